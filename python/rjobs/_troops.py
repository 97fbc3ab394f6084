"""What a job starts besides itself, and what ends with it: threads, pools of threads, processes.

A thread that takes one piece of work after the other from the queue of a pool is struck within such a piece only, and
never in the pool's own code: so the pool stays whole, and its futures are told.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rjobs import _late, _lifecycle, _processes
from rjobs._processes import MADE_BY
from rjobs._rjobs import Keeper, belongings, current_job, enlist, is_to_end
from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from rjobs._rjobs import Aide, Job

__rjobs_internal__ = True

# Pieces of work that waited when their job was struck.
_IS_OVER = "_rjobs_is_over"

# Modules whose threads manage processes or threads, and end with them.
_MANAGERS = ("concurrent.futures.process", "multiprocessing.pool", "multiprocessing.queues", "loky.process_executor")


class Belongings:
    """What one run of a job has started. `struck` is called by whoever strikes the job, in any thread."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = weakref.ref(job)
        self._feeds: weakref.WeakSet[_Feed] = weakref.WeakSet()
        self.processes = _processes.Processes(self)
        # How often it was struck.
        self.kills = 0

    def is_running(self) -> bool:
        """Whether the job has not ended."""
        job = self._job()
        return job is not None and job.state == "running"

    def struck(self, is_again: bool) -> float | None:
        """Mark what waits in queues of the pools, and end the processes; the seconds until `look` is to be called."""
        self.kills += 1
        _struck.add(self)
        # Once: a job that cleans up may use its pools for that.
        if not is_again:
            for feed in list(self._feeds):
                feed.ends_what_waits()
        return self.processes.end()

    def look(self) -> float | None:
        """See what has become of the processes; the seconds until it is to be called again."""
        return self.processes.look()

    def keep(self, feed: _Feed) -> None:
        """Of a pool of threads."""
        self._feeds.add(feed)


# Those that were struck.
_struck: weakref.WeakSet[Belongings] = weakref.WeakSet()


def end_processes() -> None:
    """At the end of the program: wait for processes of jobs that were struck, and kill those that do not end."""
    _processes.end_all([each.processes for each in list(_struck)])


class _Feed:
    """The queue of a pool, as one of its threads has it: the work that comes out of it is struck with the job."""

    def __init__(self, queue: Any, aide: Aide, mine: Belongings) -> None:
        self._queue = queue
        self._aide = aide
        self._mine = weakref.ref(mine)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return self._ready(self._aide.fetch(self._queue.get, block, timeout))

    def get_nowait(self) -> Any:
        return self._ready(self._aide.fetch(self._queue.get_nowait))

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def ends_what_waits(self) -> None:
        raise NotImplementedError

    def _ready(self, item: Any) -> Any:
        raise NotImplementedError


class _Line:
    """The queue of an executor. What a job puts in that was struck, and does not know it yet, is over."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.get = queue.get
        self.get_nowait = queue.get_nowait

    def put(self, item: Any, *args: Any) -> None:
        if item is not None and is_to_end():
            setattr(item, _IS_OVER, True)
        self._queue.put(item, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


class _FeedOfExecutor(_Feed):
    def ends_what_waits(self) -> None:
        # In the order in which they are; neither of these waits.
        for _ in range(self._queue.qsize()):
            try:
                item = self._queue.get_nowait()
            except Exception:  # noqa: BLE001 - `queue.Empty`: another thread has taken it
                return
            if item is not None:
                setattr(item, _IS_OVER, True)
            self._queue.put(item)

    def _ready(self, item: Any) -> Any:
        if item is None:
            return None
        if getattr(item, _IS_OVER, False):
            item.future.cancel()
        elif hasattr(item, "task"):
            function, args, kwargs = item.task
            item.task = (functools.partial(self._aide.call, function), args, kwargs)
        else:
            item.fn = functools.partial(self._aide.call, item.fn)
        return item


class _FeedOfThreadPool(_Feed):
    # Tasks with a lower number are over, and all for as long as the job that was struck has not ended.
    _first = 0

    def ends_what_waits(self) -> None:
        pool: Any = sys.modules["multiprocessing.pool"]
        self._first = next(pool.job_counter)

    def _ready(self, item: Any) -> Any:
        if item is None:
            return None
        number, index, function, args, kwargs = item
        mine = self._mine()
        if number < self._first or (mine is not None and mine.kills and mine.is_running()):
            return number, index, _refuse, args, kwargs
        return number, index, functools.partial(_call_for_pool, self._aide, function), args, kwargs


class _KilledInPool(JobKilled, Exception):  # noqa: N818
    """The kill, for a pool of threads that tells of exceptions and of nothing else."""

    __module__ = JobKilled.__module__


_KilledInPool.__name__ = _KilledInPool.__qualname__ = JobKilled.__name__


def _call_for_pool(aide: Aide, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return aide.call(function, *args, **kwargs)
    except BaseException as error:
        if isinstance(error, Exception) or not aide.was_killed():
            raise
        raise _KilledInPool(*error.args) from error


def _refuse(*_args: Any, **_kwargs: Any) -> Any:
    raise _KilledInPool


def works_for_others(thread: threading.Thread) -> bool:
    """Whether a thread that is about to start works for whoever posts to it, and not for the job alone."""
    target = getattr(thread, "_target", None)
    # It runs an event loop; callbacks bring their own context.
    if getattr(target, "__name__", "") == "run_forever":
        return True
    executor = _executor_of(thread, target)
    return executor is not None and not is_ours(executor)


def _executor_of(thread: Any, target: object) -> object:
    """The executor that a thread belongs to, if any: one that works for it, or that manages its processes."""
    futures: Any = sys.modules.get("concurrent.futures.thread")
    if target is not None and target is getattr(futures, "_worker", None):
        return thread._args[0]()  # noqa: SLF001
    reference = getattr(thread, "executor_reference", None)
    return reference() if isinstance(reference, weakref.ref) else None


def enlisted(thread: threading.Thread, starter: FrameType | None) -> Aide | None:
    """See what a thread is that the current job is about to start; None for one that goes on without it."""
    target = getattr(thread, "_target", None)
    futures: Any = sys.modules.get("concurrent.futures.thread")
    if target is not None and target is getattr(futures, "_worker", None):
        return _of_executor(thread, futures)
    pool: Any = sys.modules.get("multiprocessing.pool")
    if target is not None and target is getattr(pool, "worker", None):
        return _of_thread_pool(thread)
    if _manages(thread, target):
        return enlist("manages")
    if thread.daemon and _is_library(starter):
        # What a library does for whoever comes, from the first time on: a monitor of progress bars.
        return None
    return enlist("works")


def _of_executor(thread: Any, futures: Any) -> Aide | None:
    args = thread._args  # noqa: SLF001
    # From 3.14 on the thread has a context, whose pieces of work may be another interpreter's.
    place = 2 if hasattr(futures, "WorkerContext") else 1
    if place > 1 and type(args[1]) is not futures.WorkerContext:
        return None
    return _fed(thread, place, _FeedOfExecutor)


def _of_thread_pool(thread: Any) -> Aide | None:
    # Made with its pool, or by the pool's own thread, so that it is the job's if that is.
    return _fed(thread, 0, _FeedOfThreadPool)


def _fed(thread: Any, place: int, kind: type[_Feed]) -> Aide | None:
    aide, mine = enlist("serves"), belongings()
    if aide is None or mine is None:
        return None
    args = list(thread._args)  # noqa: SLF001
    args[place] = feed = kind(args[place], aide, mine)
    thread._args = tuple(args)  # noqa: SLF001
    mine.keep(feed)
    return aide


def _manages(thread: threading.Thread, target: object) -> bool:
    for module in (type(thread).__module__, getattr(target, "__module__", "")):
        if module and module.endswith(_MANAGERS):
            return True
    return False


@functools.cache
def _libraries() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(path + os.sep for path in {str(Path(threading.__file__).parent), *paths} if path)


def _is_library(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(_libraries())


def is_ours(executor: object) -> bool:
    """Whether the current job has made an executor. One of somebody else is left alone, also where the job uses it."""
    made_by = getattr(executor, MADE_BY, None)
    return made_by is not None and made_by() is belongings()


def watch() -> list[Callable[[], None]]:
    """Have executors say who made them; what takes that back."""
    _lifecycle.after_ending(end_processes)
    watched = [
        ("concurrent.futures.thread", "ThreadPoolExecutor"),
        ("concurrent.futures.process", "ProcessPoolExecutor"),
        ("loky.process_executor", "ProcessPoolExecutor"),
        ("joblib.externals.loky.process_executor", "ProcessPoolExecutor"),
    ]
    return [*(_watch(module, name) for module, name in watched), *_processes.watch()]


def _watch(name: str, class_name: str) -> Callable[[], None]:
    undo: list[Callable[[], None]] = []

    def hook(module: ModuleType) -> None:
        undo.append(_note_who_makes(getattr(module, class_name)))

    undo.append(_late.when_imported(name, class_name, hook))

    def take_back() -> None:
        while undo:
            undo.pop()()

    return take_back


def _note_who_makes(executor: Any) -> Callable[[], None]:
    original = executor.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if current_job() is not None and not _is_the_loops(sys._getframe(1)):  # noqa: SLF001
            mine = belongings()
            if mine is not None:
                setattr(self, MADE_BY, weakref.ref(mine))
        original(self, *args, **kwargs)
        queue = getattr(self, "_work_queue", None)
        if queue is not None and hasattr(self, MADE_BY):
            self._work_queue = _Line(queue)

    executor.__init__ = __init__

    def take_back() -> None:
        if executor.__dict__.get("__init__") is __init__:
            executor.__init__ = original

    return take_back


def _is_the_loops(frame: FrameType) -> bool:
    # The event loop of coroutine jobs makes one for all whose code it runs, and outlives them. A job may have its own.
    if not str(frame.f_globals.get("__name__")).startswith("asyncio."):
        return False
    return isinstance(getattr(threading.current_thread(), "_worker", None), Keeper)
