"""A job as a ``concurrent.futures.Future``, and as an awaitable."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from rjobs._rjobs import Job

__rjobs_internal__ = True


class JobFuture(Future[Any]):
    """The outcome of a job as a Future: cancelling it cancels the job."""

    def __init__(self, job: Job[Any]) -> None:
        super().__init__()
        self._job = job

    def cancel(self) -> bool:
        """Cancel the job; False once it runs."""
        # The job's end cancels this future, by the callback.
        return self._job.cancel()

    def running(self) -> bool:
        """Whether the job runs."""
        return self._job.running()

    def _take(self, job: Job[Any]) -> None:
        if job.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        self.set_running_or_notify_cancel()
        exception = job.exception()
        if exception is None:
            self.set_result(job.result)
        else:
            self.set_exception(exception)


def make_future(job: Job[Any]) -> Future[Any]:
    """Make a Future that ends when the job does."""
    future = JobFuture(job)
    job.add_done_callback(future._take)  # noqa: SLF001
    return future


def await_job(job: Job[Any]) -> Generator[Any, None, Any]:
    """``job.__await__()``: wait on the running event loop, then the same outcome as ``get()``.

    A task that is cancelled while it waits leaves the job alone.
    """
    if not job.done():
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()

        def ended(_job: Job[Any]) -> None:
            # A loop that was closed meanwhile has nobody waiting.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(wake)

        def wake() -> None:
            if not waiting.done():
                waiting.set_result(None)

        job.add_done_callback(ended)
        try:
            yield from waiting.__await__()
        finally:
            # A wait that is given up (asyncio.wait_for) leaves nothing behind.
            job._remove_done_callback(ended)  # noqa: SLF001
    return job.get()
