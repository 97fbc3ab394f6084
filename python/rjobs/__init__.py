"""Background jobs for IPython and Jupyter: start, watch, take the result, kill.

In a notebook ``%load_ext rjobs``, then ``%job f(x)``; anywhere else ``jobs = rjobs.JobManager()``.
"""

from __future__ import annotations

from rjobs._rjobs import Job, JobGroup, JobManager, __version__, current_job, kill_thread
from rjobs._tools import get_chunks
from rjobs.errors import JobError, JobKilled, JobTimeout, ManagerClosed, UnknownJob

# mypy reads it as True; importing typing would cost most of `import rjobs`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Job",
    "JobError",
    "JobGroup",
    "JobKilled",
    "JobManager",
    "JobTimeout",
    "ManagerClosed",
    "UnknownJob",
    "__version__",
    "current_job",
    "get_chunks",
    "kill_thread",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext rjobs``: put ``jobs`` into the namespace and register the magics."""
    from rjobs import notebook  # noqa: PLC0415

    notebook.load_ipython_extension(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext rjobs``: take back everything that loading did."""
    from rjobs import notebook  # noqa: PLC0415

    notebook.unload_ipython_extension(shell)
