"""`%jobs 3`, and the sub-commands that do something with jobs: `stop`, `retry`, `traceback`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.display import display

from rjobs import JobGroup
from rjobs._rows import pending_text
from rjobs.errors import JobError
from rjobs.notebook import lookup

if TYPE_CHECKING:
    from rjobs import Job, JobManager

__rjobs_internal__ = True


def show(manager: JobManager, words: list[str]) -> None:
    """Show jobs, each as the value of a cell is shown."""
    for job in lookup.several(manager, words):
        job._tell()  # noqa: SLF001 - no news any more
        display(job)  # type: ignore[no-untyped-call]


def stop(manager: JobManager, words: list[str]) -> None:
    """Ask jobs to end, all at once, and kill those that do not in 5 seconds; says what came of it."""
    jobs = lookup.alive(manager) if words == ["all"] else lookup.several(manager, words)
    if not jobs:
        print("No jobs are running.")  # noqa: T201 - the answer to the command
    ended = {job.num for job in jobs if job.done()}
    # On threads of their own, since each call waits for its job.
    asking = [threading.Thread(target=job.stop, daemon=True) for job in jobs if job.num not in ended]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    for job in jobs:
        state = job.state.replace("_", " ")
        job._tell()  # noqa: SLF001
        if job.num in ended:
            print(f"Job {job.num} had already ended: {state}.")  # noqa: T201
        elif job.done():
            print(f"Job {job.num}: {state}.")  # noqa: T201
        else:
            print(f"Job {job.num} has not ended yet: {pending_text(job)}.")  # noqa: T201


def retry(manager: JobManager, words: list[str]) -> None:
    """Run the work of jobs again (of a group what failed), and show the new jobs."""
    for job in lookup.several(manager, words):
        try:
            again: Job[Any] = job.retry_failed() if isinstance(job, JobGroup) else job.retry()
        except JobError as error:
            raise UsageError(f"%jobs retry: {error}") from None
        display(again)  # type: ignore[no-untyped-call]


def traceback(manager: JobManager, words: list[str]) -> None:
    """Print the tracebacks of jobs, or without words of all dead ones."""
    if not words:
        manager.traceback()
    for job in lookup.several(manager, words):
        job.traceback()


COMMANDS: Final = {"retry": retry, "stop": stop, "traceback": traceback}
