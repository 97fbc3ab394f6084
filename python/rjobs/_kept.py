"""What jobs display, kept in order: `job.outputs`, and the places in the text for those who follow.

It needs no IPython: figures are kept without it, too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from rjobs import _widgets
from rjobs._rjobs import call_held

if TYPE_CHECKING:
    from rjobs import Job

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
        # Counts the updates.
        self.version = 0
        # It is in a front end for good: updates go there as they come.
        self.shown = False
        # Those who follow the job and have shown it; they show its updates too, each under its own cell.
        self.followers: list[object] = []

    def display(self) -> None:
        """Show it under the cell that asks for it."""
        # First, or an update that comes meanwhile would reach nobody.
        self.shown = True
        version = self.publish()
        if version != self.version:
            self.publish(update=True)

    def publish(self, *, update: bool = False) -> int:
        """Send it to the front end as it is now; gives the version that was sent."""
        from IPython.display import publish_display_data  # noqa: PLC0415 - kept without IPython, shown by it

        version, data, metadata = self.version, self.data, self.metadata
        publish: Any = publish_display_data
        publish(data, metadata, transient=self.transient, **({"update": True} if update else {}))
        return version

    def change(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Take an update."""
        self.data, self.metadata = data, metadata
        # Last: who reads the version first has nothing older than that.
        self.version += 1

    def __repr__(self) -> str:
        return f"<display of {', '.join(self.data) or 'nothing'}>"

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.data, self.metadata


class Event(NamedTuple):
    """A display or a `clear_output` of a job, with its number and its place in the job's text."""

    number: int
    position: int
    output: JobOutput | None  # None: `clear_output`
    wait: bool = False


class Log:
    """The displays of one job since it last cleared its output, in order."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.events: list[Event] = []
        self._next = 0

    def add(self, position: int, output: JobOutput | None, *, wait: bool = False) -> None:
        """Note one; to be called with the lock."""
        events, last = self.events, self.events[-1] if self.events else None
        if last is not None and last.output is None and last.wait:
            # It waits for what comes next, which is text in between, or this.
            if last.position == position and output is None:
                if wait:
                    return
            else:
                del events[:-1]
        if output is None and not wait:
            events.clear()
        events.append(Event(self._next, position, output, wait))
        self._next += 1
        del events[:-LIMIT]

    def is_waiting(self) -> bool:
        """Whether the next display takes the place of those before it; to be called with the lock."""
        return bool(self.events) and self.events[-1].output is None and self.events[-1].wait

    def next(self, number: int) -> Event | None:
        """Give the first event from a number on."""
        with self.lock:
            return next((event for event in self.events if event.number >= number), None)

    def last_clear(self, number: int, position: int) -> Event | None:
        """Give the last `clear_output` from a number on that took effect, the text being `position` bytes long."""
        with self.lock:
            came_after = position
            for event in reversed(self.events):
                if event.number < number:
                    break
                if event.output is not None:
                    came_after = event.position + 1
                elif not event.wait or came_after > event.position:
                    return event
        return None


_logs: WeakKeyDictionary[Job[Any], Log] = WeakKeyDictionary()


def log_of(job: Job[Any]) -> Log:
    """Give the log of a job's displays."""
    log = _logs.get(job)
    return _logs.setdefault(job, Log()) if log is None else log


def outputs_of(job: Job[Any]) -> list[JobOutput]:
    """Give the live list behind `job.outputs`."""
    return job._outputs_list()  # noqa: SLF001


# The captures that jobs have open: whose (the identity of the job's outputs), and the list they fill.
captures: list[tuple[int, list[dict[str, Any]]]] = []


def show(job: Job[Any], data: Any, metadata: Any, transient: Any = None, *, update: bool = False) -> bool:
    """Take a display of a job, where it is to go: what the job captures, a widget, else what is kept.

    True when the front end has to hear of it as well, since it shows what is updated.
    """
    owner = id(outputs_of(job))
    for other, captured in reversed(captures):
        if other == owner:
            captured.append({"data": data, "metadata": metadata, "transient": transient, "update": update})
            return False
    if update:
        taker = _widgets.taker_of_display((transient or {}).get("display_id"))
        if taker is None:
            return _update(job, data, metadata, transient)
        taker.update(data, metadata, transient)
        return False
    taker = _widgets.taker()
    if taker is not None:
        taker.show(data, metadata, transient)
        return False
    keep(job, data, metadata, transient)
    return False


def keep(job: Job[Any], data: Any, metadata: Any, transient: Any) -> None:
    """Keep a display."""
    output = JobOutput(dict(data), dict(metadata or {}), dict(transient or {}))
    # Held: a kill in between would leave the lock taken.
    call_held(_keep, job, output)
    job._mark_output()  # noqa: SLF001


def _keep(job: Job[Any], output: JobOutput) -> None:
    log, outputs = log_of(job), outputs_of(job)
    with log.lock:
        if log.is_waiting():
            outputs.clear()
        outputs.append(output)
        del outputs[:-LIMIT]
        log.add(job._output_position(), output)  # noqa: SLF001


def _update(job: Job[Any], data: Any, metadata: Any, transient: Any) -> bool:
    """Update displays that are kept; True when the front end is to hear of it from the job, since nobody follows."""
    display_id = (transient or {}).get("display_id")
    kept = [output for output in outputs_of(job)[:] if output.transient.get("display_id") == display_id]
    for output in kept:
        output.change(dict(data), dict(metadata or {}))
    job._mark_output()  # noqa: SLF001
    # None kept: somebody else's display, shown on purpose in a cell and handed to the job for updating.
    return not kept or any(output.shown and not output.followers for output in kept)


def clear(job: Job[Any], *, wait: bool) -> None:
    """Forget the displays, or have the next one take their place."""
    taker = _widgets.taker()
    if taker is not None:
        taker.clear(wait=wait)
        return
    call_held(_clear, job, wait)
    job._mark_output()  # noqa: SLF001


def _clear(job: Job[Any], wait: bool) -> None:
    log, outputs = log_of(job), outputs_of(job)
    with log.lock:
        if not wait:
            outputs.clear()
        log.add(job._output_position(), None, wait=wait)  # noqa: SLF001
