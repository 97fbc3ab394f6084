"""The results of `rjobs.Pool.imap` and `imap_unordered`, as they come."""

from __future__ import annotations

import queue
import threading
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import IMapIterator as BaseIterator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar

from rjobs._waits import deadline, left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rjobs._pool import Pool
    from rjobs._rjobs import Job

__rjobs_internal__ = True

_T = TypeVar("_T")

if TYPE_CHECKING:
    _Base = BaseIterator[_T]
else:

    class _Base(BaseIterator):
        """The base is generic for type checkers only."""

        __class_getitem__ = classmethod(GenericAlias)


class IMapIterator(_Base[_T]):
    """What `imap` and `imap_unordered` give: an iterator over results, which may be shared by threads."""

    def __init__(self, pool: Pool, *, in_order: bool, in_chunks: bool) -> None:
        # Not the base's __init__: no cache of a pool is needed to find it. The pool is held until nothing more comes.
        self._pool: Pool | None = pool
        self._in_chunks = in_chunks
        # Jobs: in their order as they are started, or as they end. In between, the number of all.
        self._came: queue.SimpleQueue[Job[Any] | int] = queue.SimpleQueue()
        # Held by the thread that takes a result. What follows is its own.
        self._turn = threading.Lock()
        self._next: Job[Any] | None = None
        self._taken = 0
        self._length: int | None = None
        self._chunk: Iterator[_T] = iter(())

        self.place: Callable[[Job[Any]], object] = self._came.put if in_order else self._place_as_it_ends
        # Hears how many there are.
        self.finish: Callable[[int], object] = self._came.put

    def _place_as_it_ends(self, job: Job[Any]) -> None:
        job.add_done_callback(self._came.put)

    def __iter__(self) -> IMapIterator[_T]:
        return self

    def __next__(self, timeout: float | None = None) -> _T:
        # Without the lock for what is there already.
        for value in self._chunk:
            return value
        return self.next(timeout)

    def next(self, timeout: float | None = None) -> _T:
        """The next result; waits for it, at most `timeout` seconds (None: no limit).

        Raises what the call raised, `multiprocessing.TimeoutError` when the time runs out, and `StopIteration` after
        the last. Blocks; Ctrl-C ends the waiting.
        """
        end = deadline(timeout)
        if not self._turn.acquire(timeout=left(end, -1)):
            raise PoolTimeoutError
        try:
            while True:
                for value in self._chunk:
                    return value
                outcome = self._next_job(end).get()
                if not self._in_chunks:
                    return outcome  # type: ignore[no-any-return]
                self._chunk = iter(outcome)
        finally:
            self._turn.release()

    def _next_job(self, end: float | None) -> Job[Any]:
        while self._next is None:
            if self._taken == self._length:
                raise StopIteration
            try:
                came = self._came.get(timeout=left(end, None))
            except queue.Empty:
                raise PoolTimeoutError from None
            if isinstance(came, int):
                self._length = came
                self._pool = None
            else:
                self._taken += 1
                self._next = came
        job = self._next
        if not job.done():
            job.join(left(end, None))
            if not job.done():
                # It is the next one still.
                raise PoolTimeoutError
        self._next = None
        return job
