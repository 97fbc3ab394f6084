"""How jobs and managers look: what the extension module calls to show them.

Plain functions over a manager or a job. They never raise because of what a job holds: names, output
and exceptions come from user code and are made safe first.
"""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from rjobs import _table
from rjobs._safe_text import block, one_line
from rjobs._traceback import format_exception, shell

if TYPE_CHECKING:
    from rjobs import Job, JobManager

__all__ = ["format_exception", "job_html", "job_text", "manager_html", "manager_text", "show", "status"]

_TAIL_LINES = 10
_TAIL_CHARACTERS = 10_000
_NAME = 80
_ERROR = 200


def status(manager: JobManager) -> None:
    """Show the table of jobs: HTML where the front end can show it, plain text elsewhere."""
    here = shell()
    if here is not None and is_notebook(here):
        here.display_pub.publish(data={"text/plain": manager_text(manager), "text/html": manager_html(manager)})
    else:
        show(manager_text(manager))


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
    """Give the table of jobs as text of several lines."""
    return _table.text(manager)


def manager_html(manager: JobManager) -> str:
    """Give the table of jobs as HTML."""
    return _table.html(manager)


def job_text(job: Job[Any]) -> str:
    """Give one line about a job, as its repr."""
    num, name = _table.read(job, "num", "?"), one_line(str(_table.read(job, "name", "?")), _NAME)
    line = f"Job {num} {_table.state_text(job)}: {name}, {_table.elapsed_text(job)}"
    error = one_line(_table.error_text(job), _ERROR)
    return f"<{line}, {error}>" if error else f"<{line}>"


def job_html(job: Job[Any]) -> str:
    """Give a small box about a job: state, name, elapsed time, and the end of its output."""
    num = _table.read(job, "num", "?")
    name = one_line(str(_table.read(job, "name", "?")), _NAME)
    error = one_line(_table.error_text(job), _ERROR)
    parts = [
        f'<span style="color:{_table.colour(job)}">{escape(_table.state_text(job))}</span>',
        f"<code>{escape(name)}</code>",
        escape(_table.elapsed_text(job)),
    ]
    box = f"<div><b>Job {escape(str(num))}</b> {' &middot; '.join(parts)}</div>"
    if error:
        box += f'<div style="color:{_table.colour(job)}"><code>{escape(error)}</code></div>'
    tail = _tail(job)
    if tail:
        box += (
            '<pre style="margin:4px 0 0 0;padding:4px 8px;max-height:16em;overflow:auto;'
            f'border-left:2px solid rgba(128,128,128,0.4)">{escape(tail)}</pre>'
        )
    # The classes keep MathJax from reading `$` in a name as mathematics.
    return f'<div class="rjobs tex2jax_ignore mathjax_ignore">{box}</div>'


def _tail(job: Job[Any]) -> str:
    try:
        return block(job.tail(_TAIL_LINES), _TAIL_CHARACTERS).rstrip("\n")
    except Exception:  # noqa: BLE001 - the box goes on without it
        return ""


def status_new(manager: JobManager) -> bool:
    """Print the jobs that have ended since the last report; True when there are any."""
    private: Any = manager
    ended = private._newly_ended()  # noqa: SLF001
    for title, good in (("Completed", True), ("Dead, call jobs.traceback() for details", False)):
        group = [job for job in ended if (job.finished is True) is good]
        if group:
            show("\n".join([f"{title} jobs:", *(_table.plain_line(job) for job in group), ""]))
    return bool(ended)
