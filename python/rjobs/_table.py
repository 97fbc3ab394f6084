"""The table of jobs, as text and as HTML, and what it reads of each job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rjobs import _rows
from rjobs._rows import Row, colour, elapsed_text, error_text, kind, plain_line, read, row, state_text
from rjobs._table_html import html_of
from rjobs._table_text import has_colours, text_of

if TYPE_CHECKING:
    from rjobs import JobManager
    from rjobs._rows import View

__rjobs_internal__ = True

__all__ = [
    "ROWS",
    "Row",
    "colour",
    "elapsed_text",
    "error_text",
    "has_colours",
    "html",
    "html_of",
    "kind",
    "plain_line",
    "read",
    "row",
    "state_text",
    "text",
    "text_of",
    "view",
]

# Rows shown at most; with more jobs than that the table says how many it leaves out.
ROWS = 50


def view(manager: JobManager, *, tell: bool = False) -> View:
    """Look at what the table shows of a manager; with `tell` no job that has ended is news any more."""
    return _rows.view(manager, ROWS, tell=tell)


def text(manager: JobManager, *, colours: bool = False) -> str:
    """Give the table as text of several lines, none wider than the terminal; no line end at the end."""
    return text_of(view(manager), colours=colours)


def html(manager: JobManager) -> str:
    """Give the table as HTML; everything that comes from jobs is escaped."""
    return html_of(view(manager))
