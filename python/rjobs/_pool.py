"""`rjobs.Pool`: jobs behind the API of `multiprocessing.pool.ThreadPool`."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sized
from multiprocessing.pool import CLOSE, INIT, RUN, TERMINATE, ThreadPool
from typing import TYPE_CHECKING, Any, TypeVar

from rjobs._face import Initializer, check_callable, cpu_count, in_its_name, is_ending, make_jobs
from rjobs._pool_feed import Feed
from rjobs._pool_results import AsyncResult, InTurn, JobResult, MapResult
from rjobs._pool_stream import IMapIterator
from rjobs._reading import read_here
from rjobs.errors import ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rjobs._rjobs import Job, JobManager

__rjobs_internal__ = True

_T = TypeVar("_T")


class Pool(ThreadPool):
    """A `multiprocessing.pool.ThreadPool` (`multiprocessing.dummy.Pool`) whose calls are jobs: in a table, output kept.

    It takes the place of either, and is a `ThreadPool` for who asks with `isinstance`. Each call of `apply_async`, and
    each chunk of a map, is one job. `processes` is how many run at a time (default: the processors). The jobs are in a
    manager of its own, `pool.manager`, which forgets each as it ends; the result keeps it, as `result.job`. With
    `manager=` they are in that one's table and stay there; `processes` (default: no bound but the manager's) then
    bounds this pool's share.

    `terminate()`, which also ends a `with` block, ends the running calls as well: see there. `initializer(*initargs)`
    runs once in each worker thread before its first call; what it raises is raised by that call. A killed call's result
    raises `JobKilled`. Unlike in a `ThreadPool`, calls run in a copy of the submitter's contextvars; a coroutine that a
    call returns is run, and its result is the call's; and callbacks run one at a time, but in whichever worker is
    there. The exit of the interpreter ends what still runs.

    Raises `ValueError` when `processes` is below 1, `TypeError` for what is no number, callable or `JobManager`.
    """

    # For __del__, should __init__ raise.
    _state = INIT

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        manager: JobManager | None = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        # Not the base's __init__: nothing of its queues and threads is used here.
        self._initializer = None if initializer is None else Initializer(initializer, tuple(initargs))
        default = cpu_count()
        self._jobs = make_jobs(
            manager, processes, default, daemon=True, keep_workers=initializer is not None, face="pool"
        )
        self._processes = processes or (default if manager is None else manager.max_workers)
        self._callbacks = InTurn()
        self._feeds: set[Feed] = set()
        self._state = RUN

    @property
    def manager(self) -> JobManager:
        """The manager that runs the calls: the one that was given, or its own."""
        return self._jobs.manager

    @property
    def _pool(self) -> range:
        # Others count the workers by this: dask does.
        return range(self._processes)

    def __repr__(self) -> str:
        cls = type(self)
        return f"<{cls.__module__}.{cls.__qualname__} state={self._state} pool_size={self._processes}>"

    def __del__(self, _warn: Callable[..., object] = warnings.warn, _run: str = RUN) -> None:
        # Nothing else to do: workers leave after the last job of a manager that nobody holds.
        if self._state == _run:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")

    def _start(self, fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Job[Any]:
        if is_ending():
            raise ValueError("Pool not running: the interpreter is ending")
        check_callable(fn)
        try:
            return self._jobs.start(
                fn if self._initializer is None else _initialized(self._initializer.ensure, fn), args, kwargs
            )
        except ManagerClosed as error:
            # Closed in this moment, a manager that was given and shut down, or the child of a fork.
            raise ValueError(f"Pool not running: {error}") from None

    def apply(self, func: Callable[..., _T], args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}) -> _T:
        """`func(*args, **kwds)` in a worker; wait for it and return its value. Raises what it raised. Blocks."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[_T], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[_T]:
        """Have `func(*args, **kwds)` called by a worker, and return its `AsyncResult` at once.

        When it has ended, `callback(value)` or `error_callback(exception)` is called, and then the result is ready. A
        callback is to be short: the others wait for it. Raises `ValueError` when the pool is not running, `TypeError`
        when `func` is not callable.
        """
        self._check_running()
        job = self._start(func, tuple(args), dict(kwds))
        if callback is None and error_callback is None:
            return AsyncResult(job)
        return JobResult(self, job, callback, error_callback)

    def map(self, func: Callable[[Any], _T], iterable: Iterable[Any], chunksize: int | None = None) -> list[_T]:
        """`[func(item) for item in iterable]`, done by the workers in chunks of `chunksize` items; waits for all of it.

        The default makes four chunks for each worker. Raises what a call raised, the first of them, when all chunks
        have ended; a chunk ends with the first call that raises. Blocks; Ctrl-C ends the waiting.
        """
        return self.map_async(func, iterable, chunksize).get()

    def starmap(
        self, func: Callable[..., _T], iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[_T]:
        """As `map`, with `func(*item)`."""
        return self.starmap_async(func, iterable, chunksize).get()

    def map_async(
        self,
        func: Callable[[Any], _T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[_T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult[_T]:
        """As `map`, but returns a result at once, whose `get()` gives the list. Callbacks as in `apply_async`."""
        return self._map(map, func, iterable, chunksize, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[_T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult[_T]:
        """As `map_async`, with `func(*item)`."""
        return self._map(itertools.starmap, func, iterable, chunksize, callback, error_callback)

    def _map(  # noqa: PLR0913, PLR0917
        self,
        mapper: Callable[..., Iterable[_T]],
        func: Callable[..., _T],
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callable[[list[_T]], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> MapResult[_T]:
        self._check_running()
        if not isinstance(iterable, Sized):
            iterable = list(iterable)
        length = len(iterable)
        if chunksize is None:
            chunksize, rest = divmod(length, self._processes * 4)
            chunksize += bool(rest)
        if chunksize < 1 and length:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        count = -(-length // chunksize) if length else 0
        result: MapResult[_T] = MapResult(self, count, callback, error_callback)
        if count:
            Feed(self, *self._parts(func, iterable, chunksize, mapper), result.place, result.finish).begin(count)
        return result

    def imap(self, func: Callable[[Any], _T], iterable: Iterable[Any], chunksize: int | None = 1) -> IMapIterator[_T]:
        """As `map`, but returns at once an iterator over the results in the order of the items.

        The iterable is read ahead in the background, whether or not results are taken; when very many items wait for a
        worker, reading waits. `next(timeout)` of the iterator raises `multiprocessing.TimeoutError` when no result is
        there after so many seconds. What a call, or the iterable, raised is raised in its place. Raises `ValueError`
        when the pool is not running or `chunksize` is below 1.
        """
        return self._imap(func, iterable, chunksize, in_order=True)

    def imap_unordered(
        self, func: Callable[[Any], _T], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> IMapIterator[_T]:
        """As `imap`, with the results in the order in which they come."""
        return self._imap(func, iterable, chunksize, in_order=False)

    def _imap(
        self, func: Callable[[Any], _T], iterable: Iterable[Any], chunksize: int | None, *, in_order: bool
    ) -> IMapIterator[_T]:
        self._check_running()
        chunksize = 1 if chunksize is None else chunksize
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        here = read_here(iterable)
        iterable = iterable if here is None else here
        results: IMapIterator[_T] = IMapIterator(self, in_order=in_order, in_chunks=chunksize > 1)
        mapper = map if chunksize > 1 else None
        feed = Feed(self, *self._parts(func, iterable, chunksize, mapper), results.place, results.finish)
        feed.begin(-(-len(iterable) // chunksize) if isinstance(iterable, Sized) else None)
        return results

    def _parts(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int,
        mapper: Callable[..., Iterable[Any]] | None,
    ) -> tuple[Callable[[Any], Job[Any]], Iterator[Any]]:
        """What starts a job for a part of an iterable, and the parts: items, or with a `mapper` chunks."""
        check_callable(func)
        ensure = None if self._initializer is None else self._initializer.ensure
        if mapper is None:
            if ensure is None:
                return self._jobs.starter(func), iter(iterable)
            return self._jobs.starter(_initialized(ensure, func)), iter(iterable)

        def work(items: tuple[Any, ...]) -> list[Any]:
            if ensure is not None:
                ensure()
            return list(mapper(func, items))

        return self._jobs.starter(in_its_name(work, func)), _batches(iterable, chunksize)

    def close(self) -> None:
        """Take no new calls. Those that were given, and the rest of iterables in `imap`, are worked off."""
        if self._state == RUN:
            self._state = CLOSE
            if not self._feeds:
                self._jobs.close()

    def terminate(self) -> None:
        """End it all now: calls that wait never run, running ones are killed, iterables in `imap` are read no further.

        Their results raise `JobKilled`. Waits until the calls have ended, 5 seconds at most; see `Job.kill` for what
        cannot be ended. A call that terminates its own pool gets `JobKilled` itself.
        """
        self._state = TERMINATE
        feeds = list(self._feeds)
        for feed in feeds:
            feed.stop()
        self._jobs.kill()
        for feed in feeds:
            feed.join()

    def join(self) -> None:
        """Wait until all calls have ended and their callbacks have run. Blocks; Ctrl-C ends the waiting.

        Raises `ValueError` before `close()` or `terminate()`.
        """
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("Pool is still running")
        for feed in list(self._feeds):
            feed.join()
        self._jobs.close()
        self._jobs.join()


def _initialized(ensure: Callable[[], None], fn: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        ensure()
        return fn(*args, **kwargs)

    return in_its_name(call, fn)


def _batches(iterable: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    items = iter(iterable)
    while batch := tuple(itertools.islice(items, size)):
        yield batch
