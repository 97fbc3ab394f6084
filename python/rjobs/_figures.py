"""A job's figures are the job's: what `matplotlib.pyplot` keeps open is apart for each job, and shown by the job.

pyplot keeps its figures in one place for the whole process, so a job and a cell that plot at the same time draw into
each other's figures, and the end of a cell shows (and closes) those of all. Here each job has a place of its own.
`show()` in a job, and the end of a run of it, put its figures where its displays go. `_pyplot` hooks matplotlib.
"""

from __future__ import annotations

import base64
import io
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rjobs import _kept
from rjobs._rjobs import JobGroup, current_job
from rjobs._traceback import format_exception, shell

if TYPE_CHECKING:
    from types import FrameType

    from rjobs import Job

__rjobs_internal__ = True

# Of the thread that shows the figures of a run that has ended: whose these are.
_local = threading.local()
INLINE = "matplotlib_inline.backend_inline"


def thread_ends(job: Job[Any]) -> None:
    """End what a thread leaves that a job started: an item's own figures, or those made after the end of the job."""
    figures = job._figures  # noqa: SLF001
    if figures is not None and (isinstance(job, JobGroup) or job.done()):
        figures.run_ends(job, None)


class _State:
    """What pyplot has open for one run of a job, or for one item of a group."""

    def __init__(self, item: tuple[int, int] | None) -> None:
        # As `Gcf.figs`: the managers by number, the active one last.
        self.figs: OrderedDict[Any, Any] = OrderedDict()
        # As the attributes of the inline backend's `show`: the figures that the end shows, and whether there are any.
        self.to_draw: list[Any] = []
        self.draw_called = False
        self.item = item

    def drop(self) -> None:
        """Let go of all figures. They live on for who holds them."""
        managers = list(self.figs.values())
        self.figs.clear()
        self.to_draw.clear()
        for manager in managers:
            number = getattr(manager, "_cidgcf", None)
            if number is not None:
                manager.canvas.mpl_disconnect(number)


class Figures:
    """The figures of a job; kept by it."""

    def __init__(self) -> None:
        # A job has one for all its threads, a group one for each item that runs, by its thread.
        self._states: dict[int, _State] = {}

    def state(self, job: Job[Any]) -> _State:
        """Give what is open where this is called."""
        if not isinstance(job, JobGroup):
            return self._states.get(0) or self._states.setdefault(0, _State(None))
        ident, item = threading.get_ident(), _item()
        state = self._states.get(ident)
        if state is not None and state.item != item:
            # Of an item that has ended: the loop that runs several in a row tells nobody.
            self.run_ends(job, None)
            state = None
        if state is None:
            state = self._states[ident] = _State(item)
        return state

    def run_ends(self, job: Job[Any], exception: BaseException | None) -> None:
        """Show what a run leaves open, as the end of a cell does, and let go of it; after a kill without showing it."""
        state = self._states.pop(threading.get_ident() if isinstance(job, JobGroup) else 0, None)
        if state is None:
            return
        before, _local.state = getattr(_local, "state", None), state
        try:
            if exception is None or isinstance(exception, Exception):
                _show_the_rest(job, state)
        finally:
            _local.state = before
            state.drop()


def _item() -> tuple[int, int] | None:
    """Say which item of a group this thread runs: by the list of results that it comes into, and its place there."""
    loop = sys.modules.get("rjobs._map_loop")
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        if loop is not None and frame.f_globals is loop.__dict__ and "out" in frame.f_code.co_varnames:
            out = frame.f_locals["out"]
            return id(out), len(out)
        frame = frame.f_back
    return None


def mine() -> _State | None:
    """Give what is open for the current job; None outside of jobs."""
    state: _State | None = getattr(_local, "state", None)
    if state is not None:
        return state
    job = current_job()
    if job is None:
        return None
    figures = job._figures  # noqa: SLF001
    if figures is None:
        figures = job._keep_figures(Figures())  # noqa: SLF001
    return figures.state(job)  # type: ignore[no-any-return]


# Showing them.


def show_all(close: bool | None) -> None:
    """Do what `show()` is to do in a job."""
    job, state = current_job(), mine()
    if job is None or state is None:
        return
    if close is None:
        config = getattr(sys.modules.get(INLINE), "InlineBackend", None)
        close = config is None or not config.initialized() or config.instance().close_figures
    try:
        for manager in list(state.figs.values()):
            _display(job, manager.canvas.figure)
    finally:
        state.to_draw, state.draw_called = [], False
        if close:
            state.drop()


def _show_the_rest(job: Job[Any], state: _State) -> None:
    for manager in list(state.figs.values()):
        if manager.canvas.figure in state.to_draw:
            try:
                _display(job, manager.canvas.figure)
            except Exception as error:  # noqa: BLE001 - as in a cell: it is told, and the result stays what it is
                sys.stderr.write(format_exception(error))


def show_one(figure: Any) -> None:
    """Do what `figure.show()` is to do: in a job, show it."""
    job, state = current_job(), mine()
    if job is None or state is None:
        # What `figure.show()` makes a warning of.
        raise sys.modules["matplotlib.backend_bases"].NonGuiException(
            "a figure of a job is shown by the job; elsewhere use display(figure)"
        )
    _display(job, figure)
    state.to_draw = [other for other in state.to_draw if other is not figure]


def _display(job: Job[Any], figure: Any) -> None:
    data, metadata = _bundle(figure)
    _kept.show(job, data, metadata)


def _bundle(figure: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Render a figure: as the shell shows it, else as PNG."""
    here = shell()
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if here is not None:
        data, metadata = here.display_formatter.format(figure)
        fetch = getattr(sys.modules.get(INLINE), "_fetch_figure_metadata", None)
        metadata = {**metadata, **((fetch(figure) if fetch is not None else None) or {})}
        if len(data) > 1 or _has_format(here, figure):
            return data, metadata
    data = {"text/plain": repr(figure), **data}
    # As IPython: an empty one has no picture.
    if figure.axes or figure.lines:
        png = io.BytesIO()
        colours = {"facecolor": figure.get_facecolor(), "edgecolor": figure.get_edgecolor()}
        figure.canvas.print_figure(png, format="png", dpi=figure.dpi, bbox_inches="tight", **colours)
        data["image/png"] = base64.b64encode(png.getvalue()).decode()
    return data, metadata


def _has_format(here: Any, figure: Any) -> bool:
    """Whether the shell has a picture of such figures: then what it gives is all there is."""
    classes = type(figure).__mro__
    return any(
        formatter.enabled and mime != "text/plain" and any(cls in formatter.type_printers for cls in classes)
        for mime, formatter in here.display_formatter.formatters.items()
    )
