"""The Future of a job, as `rjobs.Executor` gives it: all it says is asked of the job, so it costs next to nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial
from logging import getLogger
from typing import TYPE_CHECKING, Any, TypeVar

from rjobs._forks import renewed
from rjobs._rjobs import call_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._rjobs import Job

__rjobs_internal__ = True

_T = TypeVar("_T")

# What a Future consists of, beside its methods: `wait`, `as_completed` and their like in other libraries look at it.
_INSIDE = frozenset(vars(Future()))
# Held while a future is furnished with that.
_furnishing = renewed(threading.RLock())


def feed(future: Future[Any], job: Job[Any]) -> None:
    """End a future as its job has ended."""
    if job.cancelled():
        Future.cancel(future)
        # Tells who is in `wait` or `as_completed`.
        future.set_running_or_notify_cancel()
        return
    exception = job.exception()
    if exception is None:
        future.set_result(job.get())
    else:
        future.set_exception(exception)


class JobFuture(Future[_T]):
    """The Future of a job, and a `concurrent.futures.Future` for all who use one.

    `cancel()` cancels the job. `job` is the `rjobs.Job` behind it, with its output and `kill()`.
    """

    def __init__(self, job: Job[_T]) -> None:
        # Not the base's __init__: a lock, a condition and some lists for each future are most of what one costs. They
        # are made when somebody looks at them.
        self.job = job

    def __getattr__(self, name: str) -> Any:
        if name not in _INSIDE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        # Held: one that is furnished and not fed would be waited for without end.
        call_held(self._furnish)
        return vars(self)[name]

    def _furnish(self) -> None:
        with _furnishing:
            if vars(self).keys() >= _INSIDE:
                return
            super().__init__()
        # From here on the end of the job feeds it; at once when it has ended.
        self.job.add_done_callback(partial(feed, self))

    def cancel(self) -> bool:
        """Keep it from running. False when it runs or has ended already. Does not block."""
        return self.job.cancel()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.job.cancelled()

    def running(self) -> bool:
        """Whether a worker has begun it and it has not ended."""
        return self.job.running()

    def done(self) -> bool:
        """Whether it has ended or was cancelled."""
        return self.job.done()

    def result(self, timeout: float | None = None) -> _T:
        """Wait at most `timeout` seconds (None: no limit), and return the result or raise the call's exception.

        Raises `TimeoutError` when the time runs out, `CancelledError` when it was cancelled. Ctrl-C ends the waiting.
        """
        try:
            return self.job.get(None if timeout is None else max(timeout, 0.0))
        finally:
            # The traceback of what it raises leads here: no cycle.
            self = None  # type: ignore[assignment]  # noqa: PLW0642

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait as `result()` does, and return the exception that the call raised, or None."""
        return self.job.exception(None if timeout is None else max(timeout, 0.0))

    def add_done_callback(self, fn: Callable[[Future[_T]], object]) -> None:
        """Call `fn(future)` when it has ended or was cancelled; at once when that is so already.

        Callbacks run in the order they were added; what one raises is logged, as `concurrent.futures` does it.
        """
        self.job.add_done_callback(partial(_call, fn, self))

    def __repr__(self) -> str:
        text = super().__repr__()
        return text.replace("state=pending", "state=running") if self.running() else text


def _call(fn: Callable[[Future[Any]], object], future: Future[Any], _job: Job[Any]) -> None:
    try:
        fn(future)
    except Exception:
        getLogger("concurrent.futures").exception("exception calling callback for %r", future)
