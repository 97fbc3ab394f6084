"""`Job.debug`: a debugger, post mortem, on the live traceback of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rjobs import current_job
from rjobs._traceback import shell

if TYPE_CHECKING:
    from types import TracebackType

    from rjobs import Job

__rjobs_internal__ = True


def debug(job: Job[Any]) -> None:
    """Look around where a job failed, in IPython's debugger where there is an IPython, else in `pdb`."""
    exception = _exception(job)
    traceback = exception.__traceback__
    if traceback is None:
        message = f"{_title(job)} is {job.state}: there is no live traceback to look at."
        raise RuntimeError(message)
    here = shell()
    if here is None:
        import pdb  # noqa: PLC0415, T100 - that is what is asked for

        pdb.post_mortem(traceback)
    else:
        _debug_in_ipython(here, exception, traceback)


def _exception(job: Job[Any]) -> BaseException:
    if current_job() is not None:
        message = "debug() asks the user, and nobody can be asked inside a job: call it in a cell."
        raise RuntimeError(message)
    if not job.done():
        message = f"{_title(job)} has not ended: debug() is for one that failed; stack() shows where it is now."
        raise RuntimeError(message)
    if job.state in ("done", "cancelled"):
        message = f"{_title(job)} is {job.state}: it raised nothing that could be looked at."
        raise RuntimeError(message)
    if job._has_no_frames:  # noqa: SLF001
        message = (
            f"{_title(job)} is {job.state}, and what was in its frames is let go of: traceback() shows where it was. "
            "To look at such a job, set keep_frames=True before it ends (`%config RJobs.keep_frames`, "
            "`jobs.keep_frames`, or an option)."
        )
        raise RuntimeError(message)
    exception = job.exception(0)
    if exception is None:  # not reached: it did not end well
        raise RuntimeError(_title(job))
    return exception


def _title(job: Job[Any]) -> str:
    return f"job {job.num} ({job.name!r})"


def _debug_in_ipython(here: Any, exception: BaseException, traceback: TracebackType) -> None:
    """Do what IPython's `%debug` does, on another exception than the last one of the user's cells."""
    import sys  # noqa: PLC0415

    from IPython.core.display_trap import DisplayTrap  # noqa: PLC0415

    debugger = here.debugger_cls()
    trap: Any = DisplayTrap  # untyped
    # Values are printed as in any Python, and do not become the cell's.
    with trap(hook=sys.__displayhook__):
        debugger.reset()
        debugger.botframe = traceback.tb_frame
        # Those that walk chained exceptions (`exceptions` at their prompt) take the exception itself.
        walks_chains = hasattr(debugger, "_get_tb_and_exceptions")
        debugger.interaction(None, exception if walks_chains else traceback)
