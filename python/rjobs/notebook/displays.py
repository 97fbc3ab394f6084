"""`display()` inside a job: kept in `job.outputs` and shown where the user asks, never under another cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core import displaypub
from IPython.display import publish_display_data
from IPython.utils.capture import capture_output

from rjobs import current_job
from rjobs.notebook import live

if TYPE_CHECKING:
    from rjobs import Job
    from rjobs.notebook.patches import Patches

# The most outputs a job keeps; the oldest go first.
LIMIT = 1000


class JobOutput:
    """One rich display of a job: show it with `display(output)` or `output.display()`.

    It looks like what IPython's `capture_output` gives: `data`, `metadata` and `transient` are the parts
    of the display. Shown with `output.display()`, it goes on following the updates the job makes to it.
    """

    def __init__(self, data: dict[str, Any], metadata: dict[str, Any], transient: dict[str, Any]) -> None:
        self.data = data
        self.metadata = metadata
        self.transient = transient
        self.shown = False

    def display(self) -> None:
        """Show it under the cell that asks for it."""
        publish: Any = publish_display_data
        publish(self.data, self.metadata, transient=self.transient)
        self.shown = True

    def __repr__(self) -> str:
        return f"<display of {', '.join(self.data) or 'nothing'}>"

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.data, self.metadata


def install(shell: Any, patches: Patches) -> None:
    """Make the shell's displays know about jobs."""
    publisher = shell.display_pub
    publish, clear_output = publisher.publish, publisher.clear_output
    # In a terminal a display is printed text, which reaches the job's output by itself.
    front_end = getattr(shell, "kernel", None) is not None

    def publish_or_keep(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return publish(data, metadata, *args, **kwargs)
        transient, update = kwargs.get("transient"), kwargs.get("update", False)
        if _keep(job, data, metadata, transient, update=update) and front_end:
            return publish(data, metadata, *args, **kwargs)
        return None

    def clear_shown_or_kept(*args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return clear_output(*args, **kwargs)
        _clear(job, wait=bool(args[0] if args else kwargs.get("wait", False)))
        return None

    patches.set(publisher, "publish", publish_or_keep)
    patches.set(publisher, "clear_output", clear_shown_or_kept)
    _guard_captures(patches)
    if front_end:
        live.install(shell, patches)


def _guard_captures(patches: Patches) -> None:
    """Keep a job's displays out of what a cell captures (`%%capture`), and let a job capture its own.

    For the time of a capture IPython replaces the shell's display publisher and `sys.displayhook`. That
    is for the thread of the cells only: done by a job, it would take the values of cells away.
    """
    publisher: Any = displaypub.CapturingDisplayPublisher
    capture: Any = capture_output
    publish, clear_output = publisher.publish, publisher.clear_output
    enter, leave = capture.__enter__, capture.__exit__

    def publish_or_keep(self: Any, data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return publish(self, data, metadata, *args, **kwargs)
        _keep(job, data, metadata, kwargs.get("transient"), update=kwargs.get("update", False))
        return None

    def clear_shown_or_kept(self: Any, wait: bool = False) -> Any:
        job = current_job()
        if job is None:
            return clear_output(self, wait)
        _clear(job, wait=wait)
        return None

    def entered(self: Any) -> Any:
        job = current_job()
        if job is None or not self.display:
            return enter(self)
        self.display = False
        try:
            captured = enter(self)
        finally:
            self.display = True
        captured._outputs = []  # noqa: SLF001 - where IPython itself puts them
        self.rjobs_capture = id(_outputs(job)), captured._outputs  # noqa: SLF001
        _captures.append(self.rjobs_capture)
        return captured

    def left(self: Any, *exception: Any) -> Any:
        capture = vars(self).pop("rjobs_capture", None)
        if capture is not None:
            _captures[:] = [other for other in _captures if other[1] is not capture[1]]
        return leave(self, *exception)

    patches.set(publisher, "publish", publish_or_keep)
    patches.set(publisher, "clear_output", clear_shown_or_kept)
    patches.set(capture, "__enter__", entered)
    patches.set(capture, "__exit__", left)


def _outputs(job: Job[Any]) -> list[JobOutput]:
    private: Any = job  # the stub tells of the public names only
    outputs: list[JobOutput] = private._outputs_list()  # noqa: SLF001
    return outputs


# The captures that jobs have open: whose (the identity of the job's outputs), and the list they fill.
_captures: list[tuple[int, list[dict[str, Any]]]] = []

# Lists that a `clear_output(wait=True)` wants emptied by the next display, by identity: an entry left
# by a list that is gone can only empty a new one at its first display, when there is nothing in it.
_waiting: set[int] = set()


def _keep(job: Job[Any], data: Any, metadata: Any, transient: Any, *, update: bool) -> bool:
    """Keep a display; True when the front end has to hear of it as well, since it shows what is updated."""
    outputs = _outputs(job)
    for owner, captured in reversed(_captures):
        if owner == id(outputs):
            captured.append({"data": data, "metadata": metadata, "transient": transient, "update": update})
            return False
    display_id = (transient or {}).get("display_id")
    if update:
        kept = [output for output in outputs if output.transient.get("display_id") == display_id]
        for output in kept:
            output.data, output.metadata = dict(data), dict(metadata or {})
        if kept:
            return any(output.shown for output in kept)
        # Somebody else's display, shown on purpose in a cell and handed to the job for updating.
        return True
    if id(outputs) in _waiting:
        _waiting.discard(id(outputs))
        outputs.clear()
    outputs.append(JobOutput(dict(data), dict(metadata or {}), dict(transient or {})))
    del outputs[:-LIMIT]
    return False


def _clear(job: Job[Any], *, wait: bool) -> None:
    outputs = _outputs(job)
    if wait:
        _waiting.add(id(outputs))
    else:
        outputs.clear()
