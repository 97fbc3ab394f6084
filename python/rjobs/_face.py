"""What `rjobs.Executor` and `rjobs.Pool` share: the jobs, in a manager of their own, and the initializer."""

from __future__ import annotations

import math
import os
import threading
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rjobs import _lifecycle
from rjobs._rjobs import JobManager
from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rjobs._rjobs import Job

__rjobs_internal__ = True

_T = TypeVar("_T")

# Set when the interpreter begins to end: from then on no face takes work, as concurrent.futures does it.
_ending = False


def is_ending() -> bool:
    """Whether the interpreter has begun to end."""
    return _ending


def _note_the_end() -> None:
    global _ending  # noqa: PLW0603
    _ending = True


_lifecycle.install()
_lifecycle.before_waiting(_note_the_end)


def cpu_count() -> int:
    """The processors that this process may use, as the running version of Python counts them for its own pools."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def check_callable(fn: object) -> None:
    """Raise what a manager raises."""
    if not callable(fn):
        raise TypeError(f"a job is a callable, not {type(fn).__qualname__}")


def in_its_name(work: Callable[..., _T], fn: Callable[..., object], prefix: str = "") -> Callable[..., _T]:
    """Name a new function, which a job calls, after the one that it calls in turn: so is the job."""
    name = getattr(fn, "__qualname__", None)
    work.__qualname__ = prefix + (name if isinstance(name, str) else type(fn).__qualname__)
    return work


# The flags of a code object: of a generator function, of an asynchronous one.
_MAKES_GENERATORS = 0x20 | 0x200
# How many wrappers are looked through.
_DEEPEST = 100


def giving_generators(fn: Callable[..., _T]) -> Callable[..., _T]:
    """Have a generator function's call give its generator, as the originals do: as a job it would run to its end."""
    inner: Any = fn
    for _ in range(_DEEPEST):
        if isinstance(inner, partial):
            inner = inner.func
            continue
        code = getattr(inner, "__code__", None)
        if code is None and not isinstance(inner, type):
            # An object that is called.
            inner = type(inner).__call__
            code = getattr(inner, "__code__", None)
        if code is None:
            return fn
        if code.co_flags & _MAKES_GENERATORS:
            # What is called is not a generator function, so what it gives is a value.
            return in_its_name(lambda *args, **kwargs: fn(*args, **kwargs), fn)  # noqa: PLW0108
        inner = getattr(inner, "__wrapped__", None)
        if inner is None:
            return fn
    return fn


class Jobs(Protocol):
    """The jobs of one face."""

    manager: JobManager

    def start(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Job[Any]:
        """Start a job. Raises `ManagerClosed` when no more are taken."""

    def starter(self, fn: Callable[[Any], Any]) -> Callable[[Any], Job[Any]]:
        """What starts the job `fn(item)` for an item: the same, faster."""

    def __len__(self) -> int:
        """How many have not ended."""

    def wait_until_fewer(self, number: int) -> None:
        """Wait until at most so many have not ended."""

    def unfinished(self) -> list[Job[Any]]:
        """Those that have not ended, by age."""

    def close(self) -> None:
        """Take no more."""

    def join(self) -> None:
        """Wait until all have ended; called by one of them, for the others."""

    def kill(self) -> bool:
        """End them all: those that wait never run."""


class OwnJobs:
    """Jobs in a manager that belongs to the face alone.

    The manager is to be held by nobody but the face: so one that is dropped lets its workers go, after the last job.
    """

    def __init__(self, max_workers: int, *, daemon: bool, keep_workers: bool) -> None:
        self.manager = JobManager(max_workers, idle_timeout=math.inf if keep_workers else 10.0)
        # An ended job is forgotten at once: nobody would ever flush this manager. What it prints is seen, as with the
        # classes whose faces these are.
        self._submit: Callable[..., Job[Any]] = self.manager.options(daemon=daemon, result_ttl=0, echo=True)._call  # noqa: SLF001

    def start(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Job[Any]:
        """Start a job. Raises `ManagerClosed` when no more are taken."""
        fn = giving_generators(fn)
        return self._submit(fn, *args, **kwargs) if kwargs else self._submit(fn, *args)

    def starter(self, fn: Callable[[Any], Any]) -> Callable[[Any], Job[Any]]:
        """What starts the job `fn(item)` for an item: the same, faster."""
        return partial(self._submit, giving_generators(fn))

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self.manager)

    def wait_until_fewer(self, number: int) -> None:
        """Wait until at most so many have not ended."""
        for _job in islice(self.manager.as_completed(), max(0, len(self.manager) - number)):
            pass

    def unfinished(self) -> list[Job[Any]]:
        """Those that have not ended, by age."""
        return self.manager.running

    def close(self) -> None:
        """Take no more; workers finish what is queued, and leave."""
        self.manager.shutdown(wait=False)

    def join(self) -> None:
        """Close, and wait until the workers have left."""
        self.manager.shutdown(wait=True)

    def kill(self) -> bool:
        """Close, and end them all; False when one has not ended after 5 seconds."""
        self.manager.shutdown(wait=False)
        have_ended = self.manager.kill_all()
        if have_ended:
            self.manager.shutdown()
        return have_ended


class Initializer:
    """Runs `initializer(*initargs)` once in each thread, before the first job of the face there."""

    def __init__(self, initializer: Callable[..., object], initargs: Sequence[Any]) -> None:
        if not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._call = initializer
        self._args = tuple(initargs)
        # Workers come and go, and those of a manager that was given work for others, too.
        self._here = threading.local()

    def failed(self, exception: BaseException) -> None:
        """Hear what the initializer raised; what this raises is the outcome of the job instead."""

    def check(self) -> None:
        """Raise when no job is to run any more."""

    def ensure(self) -> None:
        """See to it that the calling thread is initialized."""
        if not getattr(self._here, "done", False):
            self.check()
            try:
                self._call(*self._args)
            except JobKilled:
                # That was meant for the job.
                raise
            except BaseException as exception:
                self.failed(exception)
                raise
            self._here.done = True


def make_jobs(  # noqa: PLR0913
    manager: JobManager | None, bound: int | None, default: int, *, daemon: bool, keep_workers: bool, face: str
) -> Jobs:
    """The jobs of a face: at most `bound` at a time; in a manager that was given, or in one of its own."""
    if manager is None:
        return OwnJobs(default if bound is None else bound, daemon=daemon, keep_workers=keep_workers)
    if not isinstance(manager, JobManager):
        raise TypeError(f"manager must be a JobManager or None, not {type(manager).__qualname__}")
    from rjobs._guest import GuestJobs  # noqa: PLC0415

    return GuestJobs(manager, bound, daemon=daemon, face=face)
