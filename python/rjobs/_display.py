"""How jobs and managers look: what the extension module calls to show them.

Plain functions over a manager or a job. They never raise because of what a job holds: names, output
and exceptions come from user code and are made safe first.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rjobs import _table
from rjobs._traceback import format_exception, shell

if TYPE_CHECKING:
    from rjobs import Job, JobManager

__all__ = ["format_exception", "job_html", "job_text", "manager_html", "manager_text", "show", "status"]


def status(manager: JobManager) -> None:
    """Show the table of jobs: HTML where the front end can show it, plain text elsewhere."""
    here, view = shell(), _table.view(manager, tell=True)
    if here is not None and is_notebook(here):
        data = {"text/plain": _table.text_of(view), "text/html": _table.html_of(view)}
        here.display_pub.publish(data=data)
    else:
        show(_table.text_of(view, colours=_table.has_colours()))


def is_notebook(here: Any) -> bool:
    """Say whether this shell belongs to a kernel, so that rich displays reach a front end."""
    return getattr(here, "kernel", None) is not None


def show(text: str) -> None:
    """Print `text`, also to a stream whose encoding lacks some of its characters."""
    try:
        print(text)  # noqa: T201 - that is what is asked for
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201


def manager_text(manager: JobManager) -> str:
    """Give the table of jobs as text of several lines; coloured where it goes to a terminal that wants it."""
    return _table.text(manager, colours=_table.has_colours())


def manager_html(manager: JobManager) -> str:
    """Give the table of jobs as HTML."""
    return _table.html(manager)


def job_text(job: Job[Any]) -> str:
    """Give one line about a job, as its repr."""
    from rjobs import _job_html  # noqa: PLC0415 - `%load_ext` does not need it

    return _job_html.job_text(job)


def job_html(job: Job[Any]) -> str:
    """Give a box about a job."""
    from rjobs import _job_html  # noqa: PLC0415

    return _job_html.job_html(job)


def status_new(manager: JobManager) -> bool:
    """Print the jobs that have ended since the last report; True when there are any."""
    private: Any = manager
    ended = private._newly_ended()  # noqa: SLF001
    for title, good in (("Completed", True), ("Dead, call jobs.traceback() for details", False)):
        group = [job for job in ended if (job.finished is True) is good]
        if group:
            show("\n".join([f"{title} jobs:", *(_table.plain_line(job) for job in group), ""]))
    return bool(ended)
