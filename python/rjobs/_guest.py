"""The jobs of a face in a manager that somebody else made: a guest there, with a bound of its own."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any

from rjobs._face import check_callable
from rjobs._job_future import feed
from rjobs._rjobs import call_held, current_job
from rjobs.errors import JobKilled, ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rjobs._face import Handle
    from rjobs._rjobs import Job, JobManager

__rjobs_internal__ = True


class Ticket(Future[Any]):
    """The Future of a job that may have to wait for its turn; with what a face needs of a `Job`."""

    def __init__(self, guest: GuestJobs, begin: Callable[[], Job[Any]]) -> None:
        super().__init__()
        self._guest = guest
        # Taken, under the guest's lock, by who begins it or keeps it from running.
        self._begin: Callable[[], Job[Any]] | None = begin
        self.job: Job[Any] | None = None

    @property
    def state(self) -> str:
        """The job's."""
        return "queued" if self.job is None else self.job.state

    def running(self) -> bool:
        """Whether a worker has begun it and it has not ended."""
        return self.state != "queued" and not self.done()

    def cancel(self) -> bool:
        """Keep it from running. False when it runs or has ended already."""
        if self._guest.take_back(self):
            super().cancel()
            self.set_running_or_notify_cancel()
        return self.cancelled() or (self.job is not None and self.job.cancel())

    def kill(self, timeout: float | None = 5.0) -> bool:
        """End it now: see `Job.kill`."""
        if self._guest.take_back(self):
            self.set_exception(JobKilled("the job was killed before its turn came"))
        return self.done() if self.job is None else self.job.kill(timeout)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        wait([self], timeout)

    def get(self, timeout: float | None = None) -> Any:
        """Wait until it has ended, and return its value or raise its exception."""
        return self.result(timeout)


class GuestJobs:
    """Jobs in a manager that was given. They stay in its table, and its other jobs are left alone.

    At most `most` of them are in the manager and have not ended; the others wait here, in their order. None: no bound
    but the manager's, whose queue they wait in.
    """

    def __init__(self, manager: JobManager, most: int | None, *, daemon: bool) -> None:
        self.manager = manager
        self._view = manager.options(daemon=daemon)
        self._most = most
        self._changed = threading.Condition(threading.RLock())
        self._unfinished: dict[Handle, None] = {}
        self._waiting: deque[Ticket] = deque()
        self._inside = 0
        self._is_letting_in = False
        self._closed = False

    def start(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Handle:
        """Start a job. Raises `ManagerClosed` when no more are taken."""
        begin = partial(self._view.submit, fn, *args, **(kwargs or {}))
        # Held: a kill of a job that calls this is not to come between the counts.
        if self._most is None:
            return call_held(self._start_now, begin)
        check_callable(fn)
        # It begins later, and perhaps in another thread: the context is that of now.
        begin = partial(contextvars.copy_context().run, begin)
        return call_held(self._start_in_turn, Ticket(self, begin))

    def starter(self, fn: Callable[[Any], Any]) -> Callable[[Any], Handle]:
        """What starts the job `fn(item)` for an item."""
        return lambda item: self.start(fn, (item,))

    def _start_now(self, begin: Callable[[], Job[Any]]) -> Job[Any]:
        with self._changed:
            self._check()
            job = begin()
            self._unfinished[job] = None
        job.add_done_callback(self._ended)
        return job

    def _start_in_turn(self, ticket: Ticket) -> Ticket:
        with self._changed:
            self._check()
            self._unfinished[ticket] = None
            self._waiting.append(ticket)
        ticket.add_done_callback(self._ended)
        self._let_in()
        return ticket

    def _check(self) -> None:
        if self._closed or self.manager.closed:
            raise ManagerClosed("no new jobs are taken here")

    def _let_in(self) -> None:
        with self._changed:
            if self._is_letting_in:
                # Who does it looks again; and a job that ends as it is let in does not come back here ever deeper.
                return
            self._is_letting_in = True
        while True:
            with self._changed:
                if not self._waiting or self._inside >= (self._most or 0):
                    self._is_letting_in = False
                    return
                ticket = self._waiting.popleft()
                begin, ticket._begin = ticket._begin, None  # noqa: SLF001
                if begin is None:
                    continue
                self._inside += 1
            try:
                job = begin()
            except BaseException as error:  # noqa: BLE001 (the manager was shut down, or got no thread)
                with self._changed:
                    self._inside -= 1
                ticket.set_exception(error)
                continue
            ticket.job = job
            job.add_done_callback(partial(feed, ticket))
            job.add_done_callback(self._left)

    def _left(self, _job: Job[Any]) -> None:
        with self._changed:
            self._inside -= 1
        self._let_in()

    def _ended(self, job: Handle) -> None:
        with self._changed:
            del self._unfinished[job]
            self._changed.notify_all()

    def take_back(self, ticket: Ticket) -> bool:
        """Keep a job that waits from starting: True when that came in time."""
        with self._changed:
            begin, ticket._begin = ticket._begin, None  # noqa: SLF001
        return begin is not None

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._unfinished)

    def wait_until_fewer(self, number: int) -> None:
        """Wait until at most so many have not ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._unfinished) <= number)

    def unfinished(self) -> list[Handle]:
        """Those that have not ended, by age."""
        with self._changed:
            return list(self._unfinished)

    def close(self) -> None:
        """Take no more."""
        with self._changed:
            self._closed = True

    def join(self) -> None:
        """Wait until all have ended and their callbacks have run; called by one of them, for the others."""
        caller = current_job()
        with self._changed:
            for job in self._unfinished:
                if caller is not None and caller in (job, getattr(job, "job", None)):
                    self._changed.wait_for(lambda: list(self._unfinished) == [job])  # noqa: B023 (not called later)
                    return
            self._changed.wait_for(lambda: not self._unfinished)

    def kill(self) -> bool:
        """Close, and end them all; False when one has not ended after 5 seconds."""
        self.close()
        caller = current_job()
        jobs = self.unfinished()
        # The newest first, so that none starts in the place of one that ends; the caller last: there the kill raises.
        jobs.sort(key=lambda job: caller is not None and caller in (job, getattr(job, "job", None)), reverse=True)
        for job in reversed(jobs):
            job.kill(timeout=0)
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, 5.0)
