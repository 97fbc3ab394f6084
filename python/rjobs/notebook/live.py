"""A job as the value of a cell: its box, brought up to date in place until the job ends.

One thread looks after all boxes that are shown, and is there only as long as there are some. It sends a message only
where the box has changed, under the cell that shows it. What it cannot know is whether somebody still looks: a box
whose cell was cleared costs a look now and then until its job ends.
"""

from __future__ import annotations

import atexit
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from rjobs import Job, _display, _news, current_job

if TYPE_CHECKING:
    from rjobs.notebook.patches import Patches

__rjobs_internal__ = True

# Seconds between two messages for one box, at least.
_INTERVAL = 0.25
# Seconds of that for each box that is shown: many of them take turns.
_SHARE = 0.025
# Seconds between two looks at a box that does not change: longer and longer, up to this; more for an old box.
_LAZY, _LAZIER, _OLDER = 1.0, 5.0, 60.0
_SLOWER = 1.5
# Seconds in which what ends counts as ended at once.
_GATHER = 0.05
# Of several boxes of one job, the newest are kept up to date while it runs; these many hear of its end.
_FRESH = 4
_MOST = 100
# Seconds that the end of the interpreter waits for the thread.
_PATIENCE = 0.5


@dataclass(slots=True)
class _Place:
    """One box under one cell."""

    display_id: str
    parent: Any
    html: str
    cell_id: str | None


@dataclass(slots=True, eq=False)
class _Shown:
    """A job that is shown, and where."""

    job: Job[Any]
    since: float
    sent: float
    due: float
    interval: float = _INTERVAL
    places: list[_Place] = field(default_factory=list)


class LiveBoxes:
    """The boxes of jobs in one notebook, and the thread that keeps them up to date."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lock = threading.Lock()
        self._shown: dict[int, _Shown] = {}
        self._thread: threading.Thread | None = None
        self._bell = threading.Event()
        self._closed = False
        # The cell that runs now, where the front end says which, and the cells that show a job: also when it has ended.
        self._cell_id: str | None = None
        self._cells: WeakKeyDictionary[Job[Any], set[str | None]] = WeakKeyDictionary()

    def cell_begins(self, info: Any = None) -> None:
        """A cell runs, perhaps once more: what it had shown is gone."""
        self._cell_id = cell_id = getattr(info, "cell_id", None)
        if cell_id is None:
            return
        with self._lock:
            for cells in self._cells.values():
                cells.discard(cell_id)
            for shown in self._shown.values():
                shown.places[:] = [place for place in shown.places if place.cell_id != cell_id]

    def shows(self, job: Job[Any]) -> bool:
        """Whether a job's end is seen in a box of its own."""
        with self._lock:
            return bool(self._cells.get(job))

    def show(self, job: Job[Any]) -> None:
        """Show a job that has not ended, and keep what is shown up to date.

        Raises NotImplementedError, by which IPython shows it as any other object, where that is not to be: the job has
        ended, it is shown by a job, or what is displayed is captured.
        """
        publisher = self._shell.display_pub
        if job.done() or current_job() is not None or not _can_update(publisher):
            raise NotImplementedError
        place = _Place(uuid.uuid4().hex, publisher.parent_header, _html(job, steady=True), self._cell_id)
        data = {"text/plain": _display.job_text(job), "text/html": place.html}
        publisher.publish(data, {}, transient={"display_id": place.display_id})
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return
            shown = self._shown.get(id(job))
            is_new = shown is None
            if shown is None:
                shown = self._shown[id(job)] = _Shown(job, since=now, sent=now, due=now + _INTERVAL)
            shown.places.append(place)
            self._cells.setdefault(job, set()).add(self._cell_id)
            del shown.places[:-_MOST]
            # Before the job is asked to tell of its end, so that the thread is there when it does.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rjobs-displays", daemon=True)
                self._thread.start()
        if is_new:
            job.add_done_callback(self._ring)

    def close(self) -> None:
        """Leave all boxes as they are, and end the thread."""
        with self._lock:
            self._closed = True
            self._shown.clear()
            self._cells.clear()
            thread = self._thread
        self._bell.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def _ring(self, _job: Job[Any]) -> None:
        self._bell.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._shown:
                    self._thread = None
                    return
                due = min(shown.due for shown in self._shown.values())
            if self._bell.wait(max(due - time.monotonic(), 0)):
                time.sleep(_GATHER)
                self._bell.clear()
            with self._lock:
                all_shown = list(self._shown.values())
            now = time.monotonic()
            for shown in all_shown:
                is_over = shown.job.done()
                if is_over:
                    # Its last message keeps the distance from the one before, too.
                    shown.due = shown.sent + _INTERVAL
                if shown.due <= now + (0 if is_over else _GATHER):
                    self._look(shown, is_over=is_over, count=len(all_shown))

    def _look(self, shown: _Shown, *, is_over: bool, count: int) -> None:
        """Look at a job, and send what has changed."""
        if is_over:
            with self._lock:
                self._shown.pop(id(shown.job), None)
                places = shown.places
        else:
            places = shown.places[-_FRESH:]
        try:
            html = _html(shown.job, steady=not is_over)
            stale = [place for place in places if place.html != html]
            for place in stale:
                place.html = html
                _send(self._shell.display_pub, place, {"text/plain": _display.job_text(shown.job), "text/html": html})
        except Exception:  # noqa: BLE001 - a front end that is going away; nobody is there who could be told
            with self._lock:
                self._shown.pop(id(shown.job), None)
                self._cells.pop(shown.job, None)
            return
        now = time.monotonic()
        least = max(_INTERVAL, _SHARE * count)
        if stale:
            shown.sent, shown.interval = now, least
        else:
            laziest = min(max(_LAZY, _LAZY * (now - shown.since) / _OLDER), _LAZIER)
            shown.interval = max(min(shown.interval * _SLOWER, laziest), least)
        shown.due = now + shown.interval


def _html(job: Job[Any], *, steady: bool) -> str:
    from rjobs import _job_html  # noqa: PLC0415

    return _job_html.job_html(job, steady=steady)


def _can_update(publisher: Any) -> bool:
    """Say whether messages of ours can be sent past the publisher: it is a kernel's own, and captures nothing."""
    return all(hasattr(publisher, name) for name in ("session", "pub_socket", "topic", "parent_header"))


def _send(publisher: Any, place: _Place, data: dict[str, str]) -> None:
    # Not by `publish`: in ipykernel 6 the cell that a message belongs to is one for all threads, that of the cell that
    # runs now, and in 7 a thread cannot set it before 7.4.
    content = {"data": data, "metadata": {}, "transient": {"display_id": place.display_id}}
    message = publisher.session.msg("update_display_data", content, parent=place.parent)
    publisher.session.send(publisher.pub_socket, message, ident=publisher.topic)


def install(shell: Any, patches: Patches) -> None:
    """Have the shell show jobs so, in a kernel whose displays can be updated."""
    formatters = shell.display_formatter
    formatter = getattr(formatters, "ipython_display_formatter", None)
    if formatter is None or not _can_update(shell.display_pub):
        return
    boxes = LiveBoxes(shell)
    before = formatter.type_printers.get(Job)
    formatter.for_type(Job, boxes.show)
    atexit.register(boxes.close)
    # Before the news are told of the cell that begins.
    shell.events.register("pre_run_cell", boxes.cell_begins)
    _news.shown_by.append(boxes.shows)

    def undo() -> None:
        shell.events.unregister("pre_run_cell", boxes.cell_begins)
        _news.shown_by.remove(boxes.shows)
        atexit.unregister(boxes.close)
        boxes.close()
        if formatter.type_printers.get(Job) == boxes.show:
            del formatter.type_printers[Job]
            if before is not None:
                formatter.for_type(Job, before)

    patches.call_at_undo(undo)
