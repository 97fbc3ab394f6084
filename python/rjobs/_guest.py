"""The jobs of a face in a manager that somebody else made: a guest there, with a bound of its own."""

from __future__ import annotations

import itertools
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from rjobs._face import giving_generators
from rjobs._rjobs import call_held, current_job
from rjobs.errors import ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rjobs._rjobs import Job, JobManager

__rjobs_internal__ = True

_numbers = itertools.count(1)


class GuestJobs:
    """Jobs in a manager that was given. They stay in its table, and its other jobs are left alone.

    At most `most` of them run at a time, by a limit of the manager's named after the face; None: no bound but the
    manager's own.
    """

    def __init__(self, manager: JobManager, most: int | None, *, daemon: bool, face: str) -> None:
        self.manager = manager
        options: dict[str, Any] = {"daemon": daemon}
        if most is not None:
            options["limit"] = f"{face}-{next(_numbers)}"
            manager.limit(options["limit"], concurrency=most)
        self._submit = manager.options(**options)._call  # noqa: SLF001
        self._changed = threading.Condition(threading.RLock())
        self._unfinished: dict[Job[Any], None] = {}
        self._closed = self._killed = False
        # Jobs on their way in: a manager whose queue is full makes them wait.
        self._starting = 0

    def start(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Job[Any]:
        """Start a job. Raises `ManagerClosed` when no more are taken."""
        # Held: a kill of a job that calls this is not to come before the new job is noted.
        return call_held(self._start, partial(self._submit, giving_generators(fn), *args, **(kwargs or {})))

    def _start(self, submit: Callable[[], Job[Any]]) -> Job[Any]:
        with self._changed:
            if self._closed:
                raise ManagerClosed("no new jobs are taken here")
            self._starting += 1
        job = None
        try:
            # Not under the lock: room comes when others end, which takes it.
            job = submit()
        finally:
            with self._changed:
                self._starting -= 1
                if job is not None:
                    self._unfinished[job] = None
                self._changed.notify_all()
        job.add_done_callback(self._ended)
        if self._killed:
            job.kill(timeout=0)
        return job

    def _ended(self, job: Job[Any]) -> None:
        with self._changed:
            del self._unfinished[job]
            self._changed.notify_all()

    def starter(self, fn: Callable[[Any], Any]) -> Callable[[Any], Job[Any]]:
        """What starts the job `fn(item)` for an item."""
        return lambda item: self.start(fn, (item,))

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._unfinished)

    def wait_until_fewer(self, number: int) -> None:
        """Wait until at most so many have not ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._unfinished) <= number)

    def unfinished(self) -> list[Job[Any]]:
        """Those that have not ended, by age."""
        with self._changed:
            return list(self._unfinished)

    def close(self) -> None:
        """Take no more."""
        with self._changed:
            self._closed = True

    def join(self) -> None:
        """Wait until all have ended; called by one of them, for the others."""
        caller = current_job()
        with self._changed:
            self._changed.wait_for(lambda: not self._starting and all(job is caller for job in self._unfinished))

    def kill(self) -> bool:
        """Close, and end them all; False when one has not ended after 5 seconds."""
        self.close()
        self._killed = True
        caller = current_job()
        # The newest first, so that none starts in the place of one that ends; the caller last: there the kill raises.
        for job in sorted(self.unfinished(), key=lambda job: (job is caller, -job.num)):
            job.kill(timeout=0)
        with self._changed:
            return self._changed.wait_for(lambda: not self._starting and not self._unfinished, 5.0)
