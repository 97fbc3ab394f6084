"""Failures that nobody was told of: `raise_unseen` has the next cell fail, and the end of a kernel tells of the rest.

A notebook that is run from the outside (nbclient, papermill) has nobody who looks at a table, and what a background job
raises ends no cell. The kernel cannot put anything into the notebook after its last cell: whoever runs it has stopped
reading.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import weakref
from typing import TYPE_CHECKING, Any

from IPython.core.error import InputRejected

from rjobs import _news, current_job
from rjobs._lifecycle import before_ending
from rjobs._traceback import format_exception
from rjobs.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import Job, JobManager

__rjobs_internal__ = True

_BAD = ("failed", "timed_out", "lost")
# Tracebacks that the end of a kernel writes.
_MOST = 3


class UnseenJobError(JobError, InputRejected):
    """What a cell raises under `raise_unseen`: jobs have failed unseen. `__cause__` is the error of the first."""

    def __init__(self, jobs: list[Job[Any]]) -> None:
        super().__init__(_news.line(jobs))
        self.__cause__ = _error(jobs[0])

    def _render_traceback_(self) -> list[str]:
        # How the cell came to raise it is nobody's business.
        cause = self.__cause__
        first = [] if cause is None else format_exception(cause).splitlines()
        return [*first, "", f"{type(self).__name__}: {self}"]


def failed(manager: JobManager) -> list[Job[Any]]:
    """Give the jobs that have failed and were not told of, by number; they are told of by this."""
    dead = [job for job in manager.dead if job.state in _BAD]
    return sorted((job for job in dead if job._tell()), key=lambda job: job.num)  # noqa: SLF001


def _error(job: Job[Any]) -> BaseException | None:
    # Asked for without waiting: it has ended.
    with contextlib.suppress(Exception):
        return job.exception(0)
    return None


class Refusal:
    """Refuses to run a cell, or has it fail at its end: one of the AST transformers, since these may refuse a cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._failed: list[Job[Any]] = []

    def install(self) -> None:
        """Take a place before those of the user: what is refused needs no transformation."""
        self._shell.ast_transformers.insert(0, self)

    def uninstall(self) -> None:
        """Leave it."""
        if self in self._shell.ast_transformers:
            self._shell.ast_transformers.remove(self)

    def refuse(self, jobs: list[Job[Any]]) -> None:
        """Refuse the cell that is about to run, for these."""
        self._failed += jobs

    def visit(self, node: Any) -> Any:
        """Let a cell through, or not."""
        if not self._failed or current_job() is not None:
            return node
        jobs, self._failed = self._failed, []
        raise UnseenJobError(jobs)

    def fail(self, result: Any, jobs: list[Job[Any]]) -> None:
        """Have the cell that has just run fail: the kernel asks its result after this."""
        error = UnseenJobError(jobs)
        result.error_in_exec = error
        self._shell.showtraceback((type(error), error, None))


class Farewell:
    """Writes at a kernel's end which failures nobody was told of: on stderr of the last cell and of the process."""

    def __init__(self, shell: Any, manager: Callable[[], JobManager | None], last_cell: Callable[[], Any]) -> None:
        self._shell = shell
        self._manager = manager
        # Gives the message that ran the last cell.
        self._last_cell = last_cell

    def install(self) -> None:
        """Begin to look; what is registered for the exit cannot be taken back, so one hook serves all."""
        global _is_registered  # noqa: PLW0603
        _at_the_end.add(self)
        if not _is_registered:
            _is_registered = True
            before_ending(_say_farewell)

    def uninstall(self) -> None:
        """Say nothing any more."""
        _at_the_end.discard(self)

    def say(self) -> None:
        """Write it."""
        manager = self._manager()
        if manager is None or manager.notify not in ("prompt", "live"):
            return
        jobs = failed(manager)
        if not jobs:
            return
        errors = [_error(job) for job in jobs[:_MOST]]
        parts = ["".join(traceback.format_exception(error)) for error in errors if error is not None]
        text = f"{_news.line(jobs)}\n{''.join(parts)}"
        # The front end may be there still.
        with contextlib.suppress(Exception):
            kernel, content = self._shell.kernel, {"name": "stderr", "text": text}
            kernel.session.send(
                kernel.iopub_socket, "stream", content, parent=self._last_cell(), ident=b"stream.stderr"
            )
            sys.stderr.flush()  # waits until what was sent before has gone
        # A kernel's stderr has the file that was there when the kernel was started, unless that was left alone.
        try:
            file = sys.stderr.fileno()
        except Exception:  # noqa: BLE001
            file = 2
        with contextlib.suppress(OSError):
            os.write(file, text.encode(errors="backslashreplace"))


_at_the_end: weakref.WeakSet[Farewell] = weakref.WeakSet()
_is_registered = False


def _say_farewell() -> None:
    for farewell in list(_at_the_end):
        # Whatever is wrong, the end goes on.
        with contextlib.suppress(Exception):
            farewell.say()
