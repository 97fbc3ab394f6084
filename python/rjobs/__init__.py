"""Background jobs for IPython and Jupyter: start, watch, take the result, kill.

In a notebook ``%load_ext rjobs``, then ``%job f(x)``; anywhere else ``jobs = rjobs.JobManager()``.
"""

from __future__ import annotations

import sys

from rjobs._cancellers import register_canceller
from rjobs._progress import track
from rjobs._rjobs import Job, JobGroup, JobManager, __version__, current_job, kill_thread
from rjobs._tools import get_chunks
from rjobs.errors import (
    JobError,
    JobExpired,
    JobKilled,
    JobSkipped,
    JobTimeout,
    ManagerClosed,
    QueueFull,
    UnknownJob,
)

# mypy reads it as True; importing typing would cost most of `import rjobs`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from rjobs._executor import Executor
    from rjobs._pool import Pool

__all__ = [
    "Executor",
    "Job",
    "JobError",
    "JobExpired",
    "JobGroup",
    "JobKilled",
    "JobManager",
    "JobSkipped",
    "JobTimeout",
    "ManagerClosed",
    "Pool",
    "QueueFull",
    "UnknownJob",
    "__version__",
    "current_job",
    "get_chunks",
    "kill_thread",
    "register_canceller",
    "track",
]

# Each brings half of the standard library's module of that name, so it is loaded when it is asked for.
_FACES = {"Executor": "rjobs._executor", "Pool": "rjobs._pool"}


def __getattr__(name: str) -> Any:
    if name not in _FACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    face = globals()[name] = getattr(import_module(_FACES[name]), name)
    return face


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACES})


class _Package(type(sys)):  # type: ignore[misc]
    """This module, which is pickled by its name: dill would pickle what is in it, unless it is in `site-packages`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (self.__name__,)


sys.modules[__name__].__class__ = _Package


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext rjobs``: put ``jobs`` into the namespace and register the magics."""
    from rjobs import notebook  # noqa: PLC0415

    notebook.load_ipython_extension(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext rjobs``: take back everything that loading did."""
    from rjobs import notebook  # noqa: PLC0415

    notebook.unload_ipython_extension(shell)
