"""Worker threads: ordinary Python threads to everybody else, named after the job they run."""

from __future__ import annotations

import contextvars
import itertools
import sys
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import _is_there, waits_let_greenlets_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._rjobs import Job, JobManager, Keeper, Worker

__rjobs_internal__ = True

# Before rjobs._capture wraps it: a worker belongs to no job, also when a job's `new` starts it.
_start = threading.Thread.start

# Seconds that a thread may take from the end of its Python code to its own.
_LAST_STEPS = 1.0


class Crew:
    """Names the workers of one manager as a ThreadPoolExecutor does: the number of one that left is free again."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        # By number. Each step is one of the dict's, so no lock is needed, which a fork could leave locked.
        self._taken: dict[int, object] = {}

    def take(self) -> tuple[int, str]:
        """Give the lowest number that is free, and the name with it."""
        me = object()
        number = next(number for number in itertools.count() if self._taken.setdefault(number, me) is me)
        return number, f"{self._prefix}_{number}"

    def give_back(self, number: int) -> None:
        """Let another have the number."""
        self._taken.pop(number, None)


# Those that there are, by the number of the manager's pool. They belong to who made them, and to their threads.
_crews: weakref.WeakValueDictionary[int, Crew] = weakref.WeakValueDictionary()


def name_workers(manager: JobManager, prefix: str) -> Crew:
    """Have the workers of a manager named with a prefix, for as long as somebody holds what this returns."""
    crew = _crews[manager._house] = Crew(prefix)  # noqa: SLF001
    return crew


def workers_of(manager: JobManager) -> set[threading.Thread]:
    """The worker threads of a manager that are alive."""
    house = manager._house  # noqa: SLF001
    threads = [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]
    return {thread for thread in threads if thread.house == house and thread.is_alive()}


class WorkerThread(threading.Thread):
    """Runs one worker's loop, or the event loop of a manager. Its name is the running job's while there is one.

    In a crew it is so for the job alone: who looks from elsewhere sees the name that the thread has in the crew.
    """

    def __init__(self, worker: Worker | Keeper, serial: str) -> None:
        # That of the manager's pool; a thread with an event loop is none of it.
        self.house: int | None = getattr(worker, "_house", None)
        self._crew = _crews.get(self.house) if self.house is not None else None
        self._number, name = (0, f"rjobs-{serial}") if self._crew is None else self._crew.take()
        # A daemon, so that the interpreter does not join it: rjobs._lifecycle sees to the jobs at exit.
        super().__init__(name=name, daemon=True)
        if hasattr(self, "_context"):
            # 3.14 and later: it may inherit the context of who starts it, which may be a job.
            self._context = contextvars.Context()
        self._worker = worker

    @property
    def rjobs_job(self) -> Job[Any] | None:
        """The job that runs on this thread now."""
        return self._worker.job

    @property
    def name(self) -> str:
        """The running job's name, or the thread's own."""
        # Asked for when it is read, so that a job costs nothing where nobody reads it.
        worker = self.__dict__.get("_worker")
        if self._crew is not None and self.ident != threading.get_ident():
            return self._name
        job = worker.job if worker is not None else None
        return job.name if job is not None else self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = str(name)

    def __repr__(self) -> str:
        # Thread's own reads `_name`.
        return super().__repr__().replace(self._name, self.name, 1)

    def _delete(self) -> None:
        # The last that `Thread` does on the thread. It asks `get_ident`, which gives another where gevent or eventlet
        # has patched it meanwhile.
        join_ended()
        threading._active.pop(self._ident, None)  # type: ignore[attr-defined]  # noqa: SLF001
        if sys.version_info >= (3, 13):
            _ended.append(weakref.ref(self))

    def run(self) -> None:
        """Run jobs until the manager lets this thread go."""
        try:
            self._worker.run()
        finally:
            self.leave_crew()

    def leave_crew(self) -> None:
        """Give its number back."""
        if self._crew is not None:
            self._crew.give_back(self._number)


# Workers whose Python code has ended, and which nobody has joined.
_ended: deque[weakref.ref[threading.Thread]] = deque()


def join_ended() -> None:
    """Join the workers that have ended, without waiting for any.

    From CPython 3.13 on the system keeps the stack of a thread until it is joined, or its `Thread` is no more. The
    frames of a job that was killed keep that: each record would hold on to the 16 MiB of address space of its thread,
    and to what was used of it.
    """
    for _ in range(len(_ended)):
        try:
            ended = _ended.popleft()
        except IndexError:
            return
        thread = ended()
        if thread is not None:
            threading.Thread.join(thread, 0)
            if thread.is_alive():
                _ended.append(ended)


def join(thread: threading.Thread, timeout: float | None) -> None:
    """Wait for a thread's end, at most `timeout` seconds, until the system has it no more.

    Up to CPython 3.12 `Thread.join` returns a moment before that.
    """
    thread.join(timeout)
    if thread.is_alive() or thread.native_id is None:
        return
    end = time.monotonic() + _LAST_STEPS
    while _is_there(thread.native_id) and time.monotonic() < end:
        time.sleep(0.0001)


class ThreadAmongGreenlets(WorkerThread):
    """The same where gevent or eventlet has patched ``threading``: a thread of the system, and no greenlet."""

    def __init__(self, worker: Worker | Keeper, serial: str) -> None:
        super().__init__(worker, serial)
        self._is_over = False

    def start_beside(self, start: Callable[..., object]) -> None:
        """Start it by the function that starts threads of the system."""
        waits_let_greenlets_run()
        start(self._run_beside, ())

    def _run_beside(self) -> None:
        # What `Thread` does on a new thread, without what waits there for locks and events that are the greenlets' now.
        # `get_ident` is theirs, too: so `current_thread()` finds it.
        ident = threading.get_ident()
        self._ident, self._native_id = ident, threading.get_native_id()
        active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001
        active[ident] = self
        for hook, set_hook in (("_trace_hook", sys.settrace), ("_profile_hook", sys.setprofile)):
            function = getattr(threading, hook, None)
            if function:
                set_hook(function)
        try:
            self.run()
        finally:
            active.pop(ident, None)
            self._is_over = True

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        ident: int | None = self._ident
        return ident is not None and not self._is_over

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end. Other greenlets of the calling thread run meanwhile."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.is_alive() and (deadline is None or time.monotonic() < deadline):
            sleep_in_greenlet(0.001)


def sleep_in_greenlet(seconds: float) -> None:
    """Sleep, and let the other greenlets of this thread run."""
    gevent, eventlet = (sys.modules.get(name) for name in ("gevent", "eventlet"))
    sleep = getattr(gevent if _gevent_start() is not None else eventlet, "sleep", time.sleep)
    sleep(seconds)


def _gevent_start() -> Callable[..., object] | None:
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is None or not (monkey.is_module_patched("threading") or monkey.is_module_patched("_thread")):
        return None
    start: Callable[..., object] = monkey.get_original("_thread", "start_new_thread")
    return start


def _eventlet_start() -> Callable[..., object] | None:
    patcher: Any = sys.modules.get("eventlet.patcher")
    if patcher is None or not patcher.is_monkey_patched("thread"):
        return None
    start: Callable[..., object] = patcher.original("_thread").start_new_thread
    return start


def start_worker(worker: Worker | Keeper, serial: str) -> None:
    """Start a thread for ``worker``. Raises RuntimeError when the system gives none."""
    # Asked for each time: the patch may come at any moment.
    start = _gevent_start() or _eventlet_start()
    thread: WorkerThread
    if start is None:
        thread, begin = WorkerThread(worker, serial), _start
    else:
        thread = ThreadAmongGreenlets(worker, serial)
        begin = partial(ThreadAmongGreenlets.start_beside, start=start)
    try:
        begin(thread)
    except BaseException:
        if not thread.is_alive():
            thread.leave_crew()
        raise
