"""The table of jobs, as text and as HTML, and what it reads of each job.

`%load_ext rjobs` needs its settings only, so what makes it is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rjobs import JobManager
    from rjobs._rows import (
        Row,
        View,
        colour,
        elapsed_text,
        error_text,
        failure_text,
        kind,
        pending_text,
        plain_line,
        read,
        row,
        runs_text,
        state_text,
        trial_text,
        tries_text,
    )
    from rjobs._table_html import html_of
    from rjobs._table_text import has_colours, text_of

__rjobs_internal__ = True

__all__ = [
    "ROWS",
    "Row",
    "colour",
    "elapsed_text",
    "error_text",
    "failure_text",
    "has_colours",
    "html",
    "html_of",
    "kind",
    "pending_text",
    "plain_line",
    "read",
    "row",
    "runs_text",
    "state_text",
    "text",
    "text_of",
    "trial_text",
    "tries_text",
    "view",
]

# Rows shown at most; with more jobs than that the table says how many it leaves out.
ROWS = 50
_ROOMS = {"html_of": "rjobs._table_html", "has_colours": "rjobs._table_text", "text_of": "rjobs._table_text"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found = globals()[name] = getattr(import_module(_ROOMS.get(name, "rjobs._rows")), name)
    return found


def view(manager: JobManager, *, tell: bool = False) -> View:
    """Look at what the table shows of a manager; with `tell` no job that has ended is news any more."""
    from rjobs import _rows  # noqa: PLC0415

    return _rows.view(manager, ROWS, tell=tell)


def text(manager: JobManager, *, colours: bool = False) -> str:
    """Give the table as text of several lines, none wider than the terminal; no line end at the end."""
    from rjobs._table_text import text_of  # noqa: PLC0415

    return text_of(view(manager), colours=colours)


def html(manager: JobManager) -> str:
    """Give the table as HTML; everything that comes from jobs is escaped."""
    from rjobs._table_html import html_of  # noqa: PLC0415

    return html_of(view(manager))
