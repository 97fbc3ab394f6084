"""The table of jobs, as text and as HTML, and what it reads of each job."""

from __future__ import annotations

from rjobs._rows import ROWS, Row, colour, elapsed_text, error_text, kind, plain_line, read, row, state_text, view
from rjobs._table_html import html, html_of
from rjobs._table_text import has_colours, text, text_of

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
