"""`%job -f`, `%jobs fg`, `job.follow()` as a value: what a job prints and displays, under the cell that asks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from IPython import display

from rjobs import current_job
from rjobs._kept import log_of
from rjobs._traceback import shell

if TYPE_CHECKING:
    from rjobs import Job
    from rjobs._kept import Event, JobOutput
    from rjobs._rjobs import Follow

__rjobs_internal__ = True


def follow(job: Job[Any]) -> bool:
    """Show what the job prints (on `sys.stdout`) and displays, from its beginning and as it comes.

    Blocks until the job ends. Ctrl-C (or the notebook's interrupt) detaches: the job goes on. A job that did
    not end well has its traceback printed. Gives True when the job ended, False when the user detached.
    """
    return show_follow(job.follow())


def show_follow(text: Follow) -> bool:
    """Show the rest of what a job prints and displays: what `follow` does, from where the iterator is."""
    job = text._job  # noqa: SLF001
    if job is current_job():
        raise RuntimeError(f"job {job.num} cannot follow itself: it would wait for its own end")
    follower = _Follower(text)
    try:
        follower.run()
    except KeyboardInterrupt:
        print(f"\nDetached: job {job.num} goes on. `%jobs fg {job.num}` attaches again.")  # noqa: T201
        return False
    finally:
        follower.leave()
    job._tell()  # noqa: SLF001 - its end was seen
    if job.state != "done":
        job.traceback()
    return True


class _Follower:
    """One who shows a job's text and displays, in their order, on the thread of the cell that asks.

    Nothing is shown from the job's own thread: which cell that would reach is another one in every
    version of ipykernel.
    """

    def __init__(self, text: Follow) -> None:
        self._text = text
        self._job = text._job  # noqa: SLF001
        self._log = log_of(self._job)
        # The number of the next event.
        self._number = 0
        # What was shown since the last clear, with the version that was.
        self._shown: list[tuple[JobOutput, int]] = []
        self._is_fresh = True
        # A terminal keeps what scrolled by: there text that was cleared later is shown too.
        here = shell()
        self._can_clear = getattr(here, "kernel", None) is not None or current_job() is not None

    def run(self) -> None:
        """Show all that there is and that comes, until the job has ended."""
        if dropped := self._job.output_dropped:
            print(f"[{dropped} bytes of older output were dropped]")  # noqa: T201 - as `job.output` says it
        while True:
            marks = self._text._marks  # noqa: SLF001 - before the look, so that none is missed
            while self._step():
                pass
            self._update()
            if not self._text._wait(marks):  # noqa: SLF001
                return

    def _step(self) -> bool:
        """Show the text up to the next event, and that; False when there is nothing more just now."""
        if self._can_clear:
            # What a later `clear_output` took away is not worth showing.
            position = self._job._output_position()  # noqa: SLF001
            cleared = self._log.last_clear(self._number, position)
            if cleared is not None:
                self._text._read(cleared.position)  # noqa: SLF001
                self._show(cleared)
                return True
        event = self._log.next(self._number)
        text = self._text._read(None if event is None else event.position)  # noqa: SLF001
        if text:
            self._is_fresh = False
            sys.stdout.write(text)
            sys.stdout.flush()
        if event is not None:
            self._show(event)
        return event is not None or bool(text)

    def _show(self, event: Event) -> None:
        self._number = event.number + 1
        if event.output is None:
            # What the cell itself printed before it began to follow is not the job's to clear.
            if not self._is_fresh or not self._can_clear:
                clear: Any = display.clear_output  # untyped
                clear(wait=event.wait)
            self._let_go()
            return
        self._is_fresh = False
        # First, so that an update that comes meanwhile is this one's to show.
        event.output.followers.append(self)
        self._shown.append((event.output, -1))
        self._shown[-1] = event.output, event.output.publish()

    def _update(self) -> None:
        """Show the updates of what was shown."""
        for i, (output, version) in enumerate(self._shown):
            if output.version != version:
                self._shown[i] = output, output.publish(update=version >= 0)

    def _let_go(self) -> None:
        for output, _version in self._shown:
            output.followers.remove(self)
        self._shown.clear()

    def leave(self) -> None:
        """From here on updates are not this one's to show: the front end gets them from the job."""
        for output, _version in self._shown:
            output.shown = True
            output.followers.remove(self)
        # After that, so that none is forgotten; one that comes just now may be shown twice.
        self._update()
