"""``lock=``: one at a time, between processes as well."""

from __future__ import annotations

import functools
import inspect
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from rjobs._forks import in_child, renewed
from rjobs._rjobs import call_held, call_undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

__rjobs_internal__ = True

# Seconds between two looks at a lock file that another process holds, as fasteners has them: at first, and at most.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.1


class FileLock:
    """A lock file that also keeps apart the threads of this process.

    The locks of a file system belong to a process: all its threads would get it. So a lock of `threading` comes first,
    and the one of `fasteners` second.
    """

    _of_paths: ClassVar[weakref.WeakValueDictionary[str, FileLock]] = weakref.WeakValueDictionary()
    _guard: ClassVar[Any] = renewed(threading.Lock())

    def __init__(self, path: str) -> None:
        import fasteners  # noqa: PLC0415

        self.path = path
        self._threads = threading.Lock()
        self._processes = fasteners.InterProcessLock(path)

    @classmethod
    def of(cls, path: str) -> FileLock:
        """The one for a path."""
        path = os.path.realpath(path)
        with cls._guard:
            lock = cls._of_paths.get(path)
            if lock is None:
                cls._of_paths[path] = lock = cls(path)
            return lock

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            pause = FIRST_PAUSE
            # A kill may end the pause. In the code of fasteners it would leave the system's lock held for ever.
            # False: it does not block.
            while not call_held(self._processes.acquire, False):
                time.sleep(pause)
                pause = min(pause + FIRST_PAUSE, LONGEST_PAUSE)
        except BaseException:
            call_undisturbed(self._give_back)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        call_undisturbed(self._give_back)

    def _give_back(self) -> None:
        try:
            if self._processes.acquired:
                self._processes.release()
            elif self._processes.lockfile is not None:
                # Opened, and not got.
                self._processes.lockfile.close()
        finally:
            self._threads.release()


# Those of a parent are held by its threads, if at all.
in_child(FileLock._of_paths.clear)  # noqa: SLF001


class UnderLock:
    """A function that runs while a lock is held: its worker waits for the lock, and a kill ends that wait."""

    def __init__(self, lock: AbstractContextManager[Any], fn: Callable[..., Any]) -> None:
        if inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            msg = "lock= goes with plain functions: take the lock inside of a coroutine or generator"
            raise TypeError(msg)
        functools.update_wrapper(self, fn, updated=())
        self._lock = lock
        self._fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        with self._lock:
            return self._fn(*args, **kwargs)


def make_lock(lock: str | os.PathLike[str] | AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """What ``lock=`` means: the lock file of a path, or a context manager as it is."""
    # First, since a `pathlib.Path` was a context manager until 3.12, one that does nothing.
    if isinstance(lock, str | os.PathLike):
        try:
            return FileLock.of(os.fspath(lock))
        except ImportError:
            msg = "lock= with a path needs fasteners: pip install 'rjobs[lock]'"
            raise ImportError(msg) from None
    if hasattr(lock, "__enter__") and hasattr(lock, "__exit__"):
        return lock
    msg = f"lock must be the path of a lock file, or a lock that `with` takes, not {type(lock).__qualname__}"
    raise TypeError(msg)
