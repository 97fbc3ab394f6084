"""Worker threads: ordinary Python threads to everybody else, named after the job they run."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING, Any

from rjobs._lifecycle import stay_first
from rjobs._rjobs import _is_there

if TYPE_CHECKING:
    from rjobs._rjobs import Job, Keeper, Worker

__rjobs_internal__ = True

# Before rjobs._capture wraps it: a worker belongs to no job, also when a job's `new` starts it.
_start = threading.Thread.start

# Seconds that a thread may take from the end of its Python code to its own.
_LAST_STEPS = 1.0


class WorkerThread(threading.Thread):
    """Runs one worker's loop, or the event loop of a manager. Its name is the running job's while there is one."""

    def __init__(self, worker: Worker | Keeper, serial: str) -> None:
        # A daemon, so that the interpreter does not join it: rjobs._lifecycle sees to the jobs at exit.
        super().__init__(name=f"rjobs-{serial}", daemon=True)
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
        job = worker.job if worker is not None else None
        return job.name if job is not None else self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = str(name)

    def __repr__(self) -> str:
        # Thread's own reads `_name`.
        return super().__repr__().replace(self._name, self.name, 1)

    def run(self) -> None:
        """Run jobs until the manager lets this thread go."""
        self._worker.run()


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


def start_worker(worker: Worker | Keeper, serial: str) -> None:
    """Start a thread for ``worker``. Raises RuntimeError when the system gives none."""
    stay_first()
    _start(WorkerThread(worker, serial))
