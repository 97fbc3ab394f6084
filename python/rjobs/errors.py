"""Every exception class of rjobs. Imports nothing from the package, so that a worker never has to import."""

from __future__ import annotations

# mypy reads it as True; importing typing would cost most of `import rjobs`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JobError(Exception):
    """Base of the errors that rjobs itself raises about a job or a manager."""


class UnknownJob(JobError, KeyError):
    """No job has this number: it was never given out, or the job was removed or flushed."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a sentence should be shown as a sentence.
        return str(self.args[0]) if self.args else ""


class ManagerClosed(JobError, RuntimeError):
    """The manager was shut down, or belongs to the parent of a forked process: it takes no new jobs."""


class JobSkipped(JobError):
    """What ``get()`` raises of a job that never ran, since one that it came after was not done: see ``__cause__``."""


class JobExpired(JobError):
    """What ``get()`` raises of a job that never ran, since it waited for longer than its ``ttl``."""


class QueueFull(JobError):
    """As many jobs wait as ``max_queued`` lets, and ``on_full='reject'``: nothing was started.

    The work comes back: ``fn, args, kwargs = error.work``; for code ``fn`` is a str.
    """

    def __init__(
        self, message: str, fn: object = None, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.work = (fn, args, kwargs or {})


class JobKilled(BaseException):
    """Raised inside a job that is killed, and by ``get()`` of such a job.

    It derives from ``BaseException``, so that ``except Exception`` does not swallow it.
    """


class JobTimeout(JobKilled):
    """Raised inside a job whose ``timeout=`` ran out, and by ``get()`` of such a job.

    A ``JobKilled``, since a time-out ends a job by the same means. When only the *waiting* runs out
    (``get(timeout=...)``), the builtin ``TimeoutError`` is raised instead and the job goes on.
    """
