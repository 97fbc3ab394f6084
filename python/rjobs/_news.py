"""What is told when jobs end: one line for all that ended together."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from rjobs import _threads
from rjobs._exits import exit_text
from rjobs._lifecycle import before_ending, install
from rjobs._safe_text import duration, one_line
from rjobs._traceback import summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import Job

__rjobs_internal__ = True

# Seconds between two lines of `notify='live'`: what ends meanwhile is told in one.
INTERVAL = 0.1
_ERROR = 80
_NAME = 40
_LINE = 300
# Failures that are told with their errors; of more only the first one's is.
_ERRORS = 2


# Those who show jobs in a way that tells of their ends: each says whether it does so for a job.
shown_by: list[Callable[[Job[Any]], bool]] = []
# The jobs that the user has asked by a click to end.
_asked: weakref.WeakSet[Job[Any]] = weakref.WeakSet()
_AS_ASKED = ("done", "killed", "cancelled")


def ask_to_end(job: Job[Any]) -> None:
    """Note that the user has asked a job to end, where it will be seen that it does."""
    _asked.add(job)


def is_news(job: Job[Any]) -> bool:
    """Whether the end of a job is to be told: not where its display says so, or where it is what was asked for."""
    if job in _asked and job.state in _AS_ASKED:
        return False
    return not any(shows(job) for shows in shown_by)


def line(jobs: list[Job[Any]]) -> str:
    """Give one line about jobs (by number) that have ended: their numbers, and the names that they were given.

    What a job has no name for is not told by its code: that may be anything, and long.
    """
    parts = []
    by_state: dict[str, list[Job[Any]]] = {}
    for job in jobs:
        by_state.setdefault(exit_text(job) or job.state, []).append(job)
    for state, those in sorted(by_state.items(), key=lambda item: (item[0] != "done", item[1][0].num)):
        if state in ("done", "failed") and len(those) <= (1 if state == "done" else _ERRORS):
            parts += [_one(job, state) for job in those]
        else:
            what = f"job {those[0].num}{_name(those[0])}" if len(those) == 1 else f"{len(those)} jobs"
            numbers = "" if len(those) == 1 else f": {_numbers([job.num for job in those])}"
            error = f", the first with {_error(those[0])}" if state == "failed" else ""
            parts.append(f"{what} {state.replace('_', ' ')}{numbers}{error}")
    text = f"rjobs: {'; '.join(parts)}"
    first = next((job for job in jobs if job.state in ("failed", "timed_out")), None)
    more = "" if first is None else f" -- more: jobs[{first.num}].traceback()"
    return one_line(text, _LINE) + more


def _one(job: Job[Any], state: str) -> str:
    how = f" in {duration(job.elapsed)}" if state == "done" else f": {_error(job)}"
    return f"job {job.num}{_name(job)} {state}{how}"


def _name(job: Job[Any]) -> str:
    return f" ({one_line(job.name, _NAME)})" if job._is_named else ""  # noqa: SLF001


def _error(job: Job[Any]) -> str:
    exception = job.exception(0)
    return "nothing" if exception is None else one_line(summary(exception), _ERROR)


def _numbers(numbers: list[int]) -> str:
    """Give numbers in order, with what follows on each other as a range: `1, 3-5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}{'-' if b > a + 1 else ', '}{b}" for a, b in runs)


def write(jobs: list[Job[Any]]) -> None:
    """Tell it where no shell does."""
    print(line(jobs), file=sys.stderr, flush=True)  # noqa: T201 - that is what is asked for


class _Teller:
    """Tells of jobs as they end, on a thread that lives for as long as there is something to tell.

    Not on the worker: there it would be the job that prints, and the next job that waits for it.
    """

    def __init__(self) -> None:
        self.writer: Callable[[list[Job[Any]]], None] = write
        self._lock = threading.Lock()
        self._ended: list[Job[Any]] = []
        self._is_telling = False
        self._is_over = False
        self._pid = os.getpid()
        install()
        before_ending(self._close)

    def tell(self, job: Job[Any]) -> None:
        """Tell of a job, now or with others in a moment. Does not block."""
        if self._pid != os.getpid():  # the child of a fork, which has no thread that tells
            self._lock, self._ended, self._is_telling = threading.Lock(), [], False
            self._pid = os.getpid()
        with self._lock:
            if self._is_over:
                return
            self._ended.append(job)
            if self._is_telling:
                return
            self._is_telling = True
        # Its own context: what the job has set is none of its business.
        run = contextvars.Context().run
        thread = threading.Thread(target=run, args=(self._tell_all,), name="rjobs-news", daemon=True)
        try:
            _threads._start(thread)  # noqa: SLF001 - as Python's own, so that it works for no job
        except RuntimeError:  # the interpreter ends
            self._close()

    def _tell_all(self) -> None:
        while True:
            with self._lock:
                jobs = self._ended[:]
                self._ended.clear()
                if not jobs or self._is_over:
                    self._is_telling = False
                    return
            # A stream or a front end that is gone: then nobody is there to be told.
            with contextlib.suppress(Exception):
                self.writer(jobs)
            jobs.clear()
            time.sleep(INTERVAL)

    def _close(self) -> None:
        # The jobs that the end of the interpreter ends are no news.
        with self._lock:
            self._is_over = True
            self._ended.clear()


teller = _Teller()


def live(job: Job[Any]) -> None:
    """What `notify='live'` calls at the end of each job."""
    job._tell()  # noqa: SLF001 - so that it is not told of again
    teller.tell(job)
