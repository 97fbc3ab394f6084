"""Processes that a job has started by `multiprocessing`, `concurrent.futures`, loky: they end with it.

Those of an executor that nobody else uses, and those that are the job's own, are sent SIGTERM, and half a second later
SIGKILL. A `multiprocessing.Pool` is terminated: it waits for a lock that one of its processes may have when it ends.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from rjobs import _late, _threads
from rjobs._rjobs import belongings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType, ModuleType

    from rjobs._troops import Belongings

__rjobs_internal__ = True

# Seconds that a process has to end by itself, and between two looks whether it has.
GRACE = 0.5
LOOK = 0.05

# Where a future says for which job it was made.
_FOR = "_rjobs_for"

# Where an executor or a pool starts a process: it is `self` there.
_STARTERS = ("_spawn_process", "_adjust_process_count", "_launch_processes", "_repopulate_pool")
# How many frames lie between that and the start of the process, at most.
_NEAR = 6


class Processes:
    """Those that one run of a job has started."""

    def __init__(self, mine: Belongings) -> None:
        self._mine = weakref.ref(mine)
        # With the executor or the pool that started them.
        self._owners: weakref.WeakKeyDictionary[Any, weakref.ref[Any] | None] = weakref.WeakKeyDictionary()
        self._ended: list[Any] = []
        self._left = 0.0

    def add(self, process: Any, owner: Any) -> None:
        """One that is about to start."""
        self._owners[process] = None if owner is None else weakref.ref(owner)

    def end(self) -> float | None:
        """Ask them to end, and do not wait; the seconds after which `look` is to be called."""
        pools: set[Any] = set()
        for process, owner_ref in list(self._owners.items()):
            owner = owner_ref() if owner_ref is not None else None
            if owner is not None and hasattr(owner, "terminate") and hasattr(owner, "_worker_handler"):
                pools.add(owner)
            elif owner is None or not self._is_shared(owner):
                self._owners.pop(process, None)
                if _send(process, "SIGTERM"):
                    self._ended.append(process)
        for pool in pools:
            _terminate(pool)
        self._left = GRACE
        return LOOK if self._ended else None

    def look(self) -> float | None:
        """See which have ended, and kill the rest when their time is over; the seconds until the next look."""
        self._left -= LOOK
        for process in self._ended[:]:
            if _has_ended(process):
                self._ended.remove(process)
            elif self._left <= 0:
                _send(process, "SIGKILL")
        return LOOK if self._ended and self._left > -GRACE else None

    def _is_shared(self, executor: Any) -> bool:
        mine = self._mine()
        others = False
        for item in list((getattr(executor, "_pending_work_items", None) or {}).values()):
            future = item.future
            made_for = getattr(future, _FOR, None)
            if made_for is None or made_for() is not mine:
                others = others or not future.done()
        users = [user for user in getattr(executor, _USERS, ()) if user is not mine]
        return others or any(user.is_running() for user in users)


# The jobs that have used an executor.
_USERS = "_rjobs_users"


def _send(process: Any, name: str) -> bool:
    """Send a signal to a process; False for one that is not running."""
    popen = getattr(process, "_popen", None)
    # Of the parent only; and not when it was seen to have ended, since its number may be another's by then.
    if popen is None or popen.returncode is not None or process._parent_pid != os.getpid():  # noqa: SLF001
        return False
    try:
        number = getattr(signal, name, None)
        if os.name == "posix" and number is not None:
            os.kill(popen.pid, number)
        else:
            popen.terminate()
    except OSError:
        return False
    return True


def _has_ended(process: Any) -> bool:
    try:
        return not process.is_alive()
    except Exception:  # noqa: BLE001 - it was closed
        return True


def _terminate(pool: Any) -> None:
    """Have a pool terminated, on a thread of its own: it may have to wait. Its job may do so as well."""
    thread = threading.Thread(target=pool.terminate, name="rjobs-terminate", daemon=True)
    # Where there are no more threads, the end of the program terminates it.
    with contextlib.suppress(RuntimeError):
        _threads._start(thread)  # noqa: SLF001


def end_all(all_processes: Iterable[Processes]) -> None:
    """At the end of the program: wait until those have ended that were asked to, `GRACE` at most, then kill them."""
    left = list(all_processes)
    while left:
        left = [each for each in left if each.look() is not None]
        if left:
            threading.Event().wait(LOOK)


def watch() -> list[Callable[[], None]]:
    """Have processes, and the futures of executors of processes, say whose they are; what takes that back."""
    undo: list[Callable[[], None]] = []
    forget = [
        _late.when_imported("multiprocessing.process", "_dangling", lambda module: undo.append(_watch_starts(module))),
        *(
            _late.when_imported(name, "ProcessPoolExecutor", lambda module: undo.append(_watch_submits(module)))
            for name in (
                "concurrent.futures.process",
                "loky.process_executor",
                "joblib.externals.loky.process_executor",
            )
        ),
    ]

    def take_back() -> None:
        while undo:
            undo.pop()()

    return [*forget, take_back]


def _watch_starts(module: ModuleType) -> Callable[[], None]:
    base: Any = module.BaseProcess
    original = base.start

    @functools.wraps(original)
    def start(self: Any) -> None:
        mine: Belongings | None = belongings()
        if mine is None:
            original(self)
            return
        owner = _owner(sys._getframe(1))  # noqa: SLF001
        if owner is not None and not _is_made_by(owner, mine):
            original(self)
            return
        kills = mine.kills
        mine.processes.add(self, owner)
        try:
            original(self)
        finally:
            if mine.kills != kills:
                mine.processes.end()

    base.start = start

    def take_back() -> None:
        if base.start is start:
            base.start = original

    return take_back


def _owner(frame: FrameType | None) -> Any:
    for _ in range(_NEAR):
        if frame is None:
            return None
        if frame.f_code.co_name in _STARTERS:
            owner = frame.f_locals.get("self")
            if owner is not None:
                return owner
        frame = frame.f_back
    return None


def _is_made_by(owner: Any, mine: Belongings) -> bool:
    if hasattr(owner, "_worker_handler") or hasattr(owner, "_taskqueue"):
        # A pool starts its processes as it is made, or on a thread that was started then.
        return True
    made_by = getattr(owner, MADE_BY, None)
    return made_by is not None and made_by() is mine


# Where an executor says whose it is.
MADE_BY = "_rjobs_made_by"


def _watch_submits(module: ModuleType) -> Callable[[], None]:
    executor: Any = module.ProcessPoolExecutor
    original = executor.submit

    @functools.wraps(original)
    def submit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self, MADE_BY):
            return original(self, *args, **kwargs)
        mine = belongings()
        if mine is not None:
            if not hasattr(self, _USERS):
                setattr(self, _USERS, weakref.WeakSet())
            getattr(self, _USERS).add(mine)
        future = original(self, *args, **kwargs)
        if mine is not None:
            setattr(future, _FOR, weakref.ref(mine))
        return future

    executor.submit = submit

    def take_back() -> None:
        if executor.submit is submit:
            executor.submit = original

    return take_back
