"""`rjobs.Executor`: jobs behind the API of `concurrent.futures`."""

from __future__ import annotations

import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from functools import partial
from itertools import count, islice
from logging import getLogger
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rjobs._face import Initializer, check_callable, cpu_count, in_its_name, is_ending, make_jobs
from rjobs._job_future import JobFuture
from rjobs._rjobs import Job
from rjobs._threads import name_workers, workers_of
from rjobs._waits import deadline, left
from rjobs.errors import ManagerClosed

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rjobs._rjobs import JobManager

__rjobs_internal__ = True

_T = TypeVar("_T")
_P = ParamSpec("_P")

_numbers = count()


class Executor(ThreadPoolExecutor):
    """A `concurrent.futures.Executor` whose calls are jobs: seen in a table, killable, their output kept.

    It takes the place of `concurrent.futures.ThreadPoolExecutor`, and is one for who asks with `isinstance`.
    `max_workers` bounds what runs at a time (default: as there, the processors + 4, 32 at most). The jobs are in a
    manager of its own, `executor.manager`, which forgets each as it ends; the future keeps it, as `future.job`. With
    `manager=` they are in that one's table and stay there; `max_workers` (default: no bound but the manager's) then
    bounds this executor's share.

    `initializer(*initargs)` runs once in each worker thread before its first call; if it raises, the executor is
    broken: calls that have not begun, and `submit`, raise `BrokenThreadPool`. Worker threads are named as those of a
    `ThreadPoolExecutor`, `thread_name_prefix`, an underscore and a number; to the call itself its thread has the name
    of what it runs, behind the prefix. `check_and_reject(executor, backlog)`, as in
    `futurist`, is called by each `submit` with the number of calls that wait, and refuses one by raising.

    A killed call gives its future `JobKilled`. Unlike in a `ThreadPoolExecutor`, calls run in a copy of the submitter's
    contextvars; a coroutine that a call returns is run, and its result is the future's; and workers without work leave
    after ten seconds, unless there is an initializer. The exit of the interpreter waits for all calls that were
    submitted.

    Raises `ValueError` when `max_workers` is below 1, `TypeError` for what is no number, callable or `JobManager`.
    """

    def __init__(  # noqa: PLR0913
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        *,
        manager: JobManager | None = None,
        check_and_reject: Callable[[Executor, int], object] | None = None,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if check_and_reject is not None and not callable(check_and_reject):
            raise TypeError("check_and_reject must be a callable that takes the executor and a number, or None")
        # Not the base's __init__: nothing of its queue and threads is used here.
        self._initializer: Any = None if initializer is None else _Initializer(initializer, initargs)
        default = min(32, cpu_count() + 4)
        self._jobs = make_jobs(
            manager, max_workers, default, daemon=False, keep_workers=initializer is not None, face="executor"
        )
        # As the original's are named and counted.
        named = thread_name_prefix or f"ThreadPoolExecutor-{next(_numbers)}"
        self._crew = name_workers(self._jobs.manager, named) if manager is None else None
        self._max_workers = max_workers or (default if manager is None else manager.max_workers)
        self._thread_name_prefix = thread_name_prefix
        self._check_and_reject = check_and_reject
        self._shutdown = False
        self._begin: Callable[..., Job[Any]] = self._jobs.start
        if self._initializer is not None or thread_name_prefix:
            prefix = f"{thread_name_prefix}_" if thread_name_prefix else ""
            self._begin = partial(_begin_prepared, self._jobs.start, self._initializer, prefix)

    @property
    def manager(self) -> JobManager:
        """The manager that runs the calls: the one that was given, or its own."""
        return self._jobs.manager

    @property
    def backlog(self) -> int:
        """How many calls wait for a worker. About right while others submit; takes longer the more there are."""
        return sum(job.state == "queued" for job in self._unfinished())

    @property
    def _threads(self) -> set[threading.Thread]:  # type: ignore[override]
        """A new set of the worker threads that are alive, for monitoring: a guest has those of its manager."""
        return workers_of(self._jobs.manager)

    @property
    def _work_queue(self) -> _WorkQueue:  # type: ignore[override]
        """How many calls wait, as monitoring asks for it: `executor._work_queue.qsize()`."""
        return _WorkQueue(self)

    def _unfinished(self) -> list[Job[Any]]:
        return self._jobs.unfinished()

    @property
    def _broken(self) -> str | bool:  # type: ignore[override]
        return False if self._initializer is None else self._initializer.broken

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have `fn(*args, **kwargs)` called by a worker, and return its `Future` at once.

        Raises `RuntimeError` after `shutdown()` and when the interpreter ends, `BrokenThreadPool` after a failed
        initializer, `TypeError` when `fn` is not callable, and what `check_and_reject` raises. Does not block.
        """
        return JobFuture(self._start(fn, args, kwargs))

    def _start(self, fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Job[Any]:
        self._check()
        if self._check_and_reject is not None:
            self._check_and_reject(self, self.backlog)
        try:
            return self._begin(fn, args, kwargs)
        except ManagerClosed as error:
            self._check()
            # A manager that was given was shut down, or this is the child of a fork: it says so itself.
            raise RuntimeError(f"cannot schedule new futures: {error}") from None

    def _check(self) -> None:
        if self._initializer is not None:
            self._initializer.check()
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if is_ending():
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,  # noqa: ARG002
        buffersize: int | None = None,
    ) -> Iterator[_T]:
        """Call `fn` with the items of the iterables by workers, and iterate over the results in the order of the items.

        The iterables are read and the calls submitted at once; with `buffersize` (on every version of Python) that many
        are ahead of what was taken, so an endless iterable works. `chunksize` is there for the API and does nothing.
        The iterator raises what a call raised, and `TimeoutError` when `timeout` seconds from here have passed before a
        result is there; what has not begun then is cancelled. Raises `ValueError` and `TypeError` for a `buffersize`
        that is no number above 0, else as `submit`.
        """
        if buffersize is not None:
            if not isinstance(buffersize, int):
                raise TypeError("buffersize must be an integer or None")
            if buffersize < 1:
                raise ValueError("buffersize must be None or > 0")
        end = deadline(timeout)
        calls = zip(*iterables, strict=False)
        # Nobody sees the futures: jobs alone do, unless a subclass wants to know of each submission.
        is_plain = type(self).submit is Executor.submit
        first = calls if buffersize is None else islice(calls, buffersize)
        if is_plain:
            started: deque[Any] = deque(self._start(fn, args) for args in first)
        else:
            started = deque(self.submit(fn, *args) for args in first)
        # Weakly: an executor that is dropped lets its workers go, whoever holds the iterator.
        more = None if buffersize is None else partial(_start_next, weakref.ref(self), is_plain, fn, calls)
        return _results(started, more, end)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "an executor cannot be pickled or copied, since its threads belong to the process that runs it: "
            "make one where it is loaded"
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no new calls. `cancel_futures=True` cancels those that wait; those that run go on (`future.job.kill()`).

        `wait=True` blocks until all have ended and their done-callbacks have run; Ctrl-C ends the waiting. May be
        called again. A manager that was given is not shut down.
        """
        self._shutdown = True
        self._jobs.close()
        if cancel_futures:
            # The newest first, so that none starts in the place of one that is cancelled.
            for job in reversed(self._unfinished()):
                job.cancel()
        if wait:
            self._jobs.join()


class _WorkQueue:
    """What can be asked of an executor's queue. Nothing is put or taken here: `submit` and `cancel` are for that."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def qsize(self) -> int:
        """How many calls wait for a worker."""
        return self._executor.backlog

    def empty(self) -> bool:
        """Whether none does."""
        return not self.qsize()


class _Initializer(Initializer):
    """Breaks its executor when it fails."""

    broken: str | bool = False

    def failed(self, exception: BaseException) -> None:
        getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=exception)
        self.broken = "A thread initializer failed, not usable anymore"
        self.check()

    def check(self) -> None:
        if self.broken:
            raise BrokenThreadPool(self.broken)

    def ensure(self) -> None:
        # Also in a thread where it went well: the executor is broken as a whole.
        self.check()
        super().ensure()


def _begin_prepared(  # noqa: PLR0913, PLR0917
    start: Callable[..., Job[Any]],
    initializer: Initializer | None,
    prefix: str,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any] | None = None,
) -> Job[Any]:
    """Start a job that is not just the call, or that has another name."""
    check_callable(fn)

    def call(*args: Any, **kwargs: Any) -> Any:
        if initializer is not None:
            initializer.ensure()
        return fn(*args, **kwargs)

    return start(in_its_name(call, fn, prefix), args, kwargs)


def _start_next(
    executor: weakref.ref[Executor],
    is_plain: bool,
    fn: Callable[..., Any],
    calls: Iterator[tuple[Any, ...]],
    started: deque[Any],
) -> None:
    """Have one more call started, for the one whose result is taken."""
    alive = executor()
    if alive is None:
        return
    args = next(calls, None)
    if args is not None:
        started.append(alive._start(fn, args) if is_plain else alive.submit(fn, *args))  # noqa: SLF001


def _results(started: deque[Any], more: Callable[[deque[Job[Any]]], object] | None, end: float | None) -> Iterator[Any]:
    try:
        while started:
            if more is not None:
                more(started)
            # No name for the job or the value here: it is not to be held while the next one is waited for.
            yield _result_or_cancel(started.popleft(), left(end, None))
    finally:
        for job in started:
            job.cancel()


def _result_or_cancel(job: Job[Any] | Future[Any], wait: float | None) -> Any:
    try:
        return job.get(wait) if isinstance(job, Job) else job.result(wait)
    finally:
        job.cancel()
        # The traceback of what it raises leads here: no cycle.
        del job
