"""The results of `rjobs.Pool`: of one call, and of a map."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from functools import partial
from logging import getLogger
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import AsyncResult as BaseResult
from multiprocessing.pool import MapResult as BaseMapResult
from typing import TYPE_CHECKING, Any, TypeVar

from rjobs._forks import renewed
from rjobs._waits import deadline, left

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._pool import Pool
    from rjobs._rjobs import Job

__rjobs_internal__ = True

_T = TypeVar("_T")

# Held while an event is made, or found not to be needed.
_making = renewed(threading.Lock())


class AsyncResult(BaseResult[_T]):
    """The result of a call: what `apply_async` gives. `job` is the `rjobs.Job` behind it.

    A `multiprocessing.pool.AsyncResult` for who asks with `isinstance`.
    """

    def __init__(self, job: Job[Any]) -> None:
        # Not the base's __init__: the job knows it all.
        self.job = job

    def ready(self) -> bool:
        """Whether it has ended and its callback has run. Does not block."""
        ended: bool = self.job.done()
        return ended

    def successful(self) -> bool:
        """Whether the call returned. Raises `ValueError` when it is not ready."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return not self.job.cancelled() and self.job.exception() is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is ready, at most `timeout` seconds (None: no limit). Blocks; Ctrl-C ends the waiting."""
        self.job.join(timeout)

    def get(self, timeout: float | None = None) -> _T:
        """Wait until it is ready, and return the value or raise what the call raised.

        Raises `multiprocessing.TimeoutError` when `timeout` seconds (None: no limit) pass first. Blocks; Ctrl-C ends
        the waiting.
        """
        self.wait(timeout)
        if not self.ready():
            raise PoolTimeoutError
        value: _T = self._outcome()
        return value

    def _outcome(self) -> Any:
        return self.job.get()


class JobResult(AsyncResult[_T]):
    """The result of a call with callbacks: ready when they have run."""

    def __init__(
        self,
        pool: Pool,
        job: Job[Any],
        callback: Callable[[_T], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        super().__init__(job)
        self._prepare(callback, error_callback)
        # The pool is held until then, as multiprocessing holds it.
        job.add_done_callback(partial(self._ended, pool))

    def _prepare(
        self,
        callback: Callable[[_T], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._callback = callback
        self._error_callback = error_callback
        self._is_ready = False
        # Made by the first who waits: it costs more than a small call.
        self._event: threading.Event | None = None

    def ready(self) -> bool:
        """Whether it has ended and its callback has run. Does not block."""
        return self._is_ready

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is ready, at most `timeout` seconds (None: no limit). Blocks; Ctrl-C ends the waiting."""
        end = deadline(timeout)
        if self.ready():
            return
        with _making:
            if self._event is None:
                self._event = threading.Event()
            if self.ready():
                return
        self._event.wait(left(end, None))

    def _set_ready(self) -> None:
        with _making:
            self._is_ready = True
            event = self._event
        if event is not None:
            event.set()

    def _ended(self, pool: Pool, _job: Job[Any]) -> None:
        pool._callbacks.run(self._tell)  # noqa: SLF001

    def _tell(self) -> None:
        callback: Callable[[Any], object] | None = self._error_callback
        argument: Any
        try:
            argument = self._outcome()
            callback = self._callback
        except BaseException as exception:  # noqa: BLE001 (whatever the call raised)
            argument = exception
        try:
            if callback is not None:
                callback(argument)
        except BaseException:
            # It is to harm nobody.
            getLogger("rjobs.job").exception("a callback of a pool raised: %r", callback)
        finally:
            self._callback = self._error_callback = None
            self._set_ready()


class MapResult(JobResult[list[_T]], BaseMapResult[_T]):
    """The result of a map: what `map_async` and `starmap_async` give. Ready when every chunk has ended."""

    def __init__(
        self,
        pool: Pool,
        count: int,
        callback: Callable[[list[_T]], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._prepare(callback, error_callback)
        self._pool: Pool | None = pool
        self._lock = threading.Lock()
        self._chunks: list[Any] = [None] * count
        self._left = count
        self._indices = itertools.count()
        self._failed: Any = None
        if not count:
            self._value: list[_T] = []
            self._set_ready()

    @property
    def jobs(self) -> list[Job[Any]]:
        """The jobs of the chunks that have ended, by the order of the chunks."""
        return [job for job in self._chunks if job is not None]

    def successful(self) -> bool:
        """Whether all calls returned. Raises `ValueError` when it is not ready."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._failed is None

    def place(self, job: Job[Any]) -> None:
        """Take the job of a chunk that was started."""
        job.add_done_callback(partial(self._arrive, next(self._indices)))

    def finish(self, count: int) -> None:
        """Hear how many chunks there are: what is missing does not come, since the iterable failed."""
        with self._lock:
            self._left -= len(self._chunks) - count
            del self._chunks[count:]
            if self._left:
                return
        self._end()

    def _arrive(self, index: int, job: Job[Any]) -> None:
        is_bad = job.cancelled() or job.exception() is not None
        with self._lock:
            self._chunks[index] = job
            if is_bad and self._failed is None:
                # Only the first is raised, and only when all have ended: nothing is left running then.
                self._failed = job
            self._left -= 1
            if self._left:
                return
        self._end()

    def _end(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool._callbacks.run(self._tell)  # noqa: SLF001

    def _outcome(self) -> list[_T]:
        if self._failed is not None:
            self._failed.get()
        if self._chunks:
            chunks, self._chunks = self._chunks, []
            self._value = [value for job in chunks for value in job.get()]
        return self._value


class InTurn:
    """Runs callbacks one at a time, as multiprocessing does, in whichever thread comes first: nobody waits."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._busy = threading.Lock()

    def run(self, call: Callable[[], object]) -> None:
        """Have `call()` run, now or by who runs others just now. It must not raise."""
        self._waiting.append(call)
        # Who gives the lock back looks again: what came in between would wait for the next.
        while self._waiting and self._busy.acquire(blocking=False):
            try:
                while self._waiting:
                    self._waiting.popleft()()
            finally:
                self._busy.release()
