"""The table of jobs for a terminal: fitted to its width, in IPython's three groups."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from rjobs import _rows
from rjobs._safe_text import fit, padded, width
from rjobs._traceback import shell

if TYPE_CHECKING:
    from rjobs import Job
    from rjobs._bars import Bar
    from rjobs._rows import Row, View

__rjobs_internal__ = True

# Cells of a line where there is no terminal, and the fewest that a table is made for.
_WIDTH = 80
_MIN_WIDTH = 40
# A state that is longer than this may push its row to the right.
_STATE = 20
# The part of a line that names may always take.
_FORM_SHARE = 3
# Output that has less room than this says nothing.
_MIN_LINE = 8
_LONG_BAR, _SHORT_BAR = 10, 6
_BLOCKS = ("━", "─")
_PLAIN_BLOCKS = ("#", ".")
_COLOURS = {"run": "34", "idle": "2", "good": "32", "warn": "33", "bad": "31"}
_BOLD, _DIM = "1", "2"


def has_colours() -> bool:
    """Say whether text may have colours: printed to a terminal, by an IPython whose colours are on."""
    here = shell()
    if here is None or getattr(here, "kernel", None) is not None or os.environ.get("NO_COLOR"):
        return False
    scheme = str(getattr(here, "colors", "nocolor")).lower()
    return scheme not in ("nocolor", "") and _is_terminal()


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


class _Paint:
    """Adds colours, or does not."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on and text else text


def text_of(view: View, *, colours: bool = False) -> str:
    """Give a table as text of several lines, none wider than the terminal; no line end at the end."""
    if not view.counts:
        return "No jobs."
    paint = _Paint(on=colours)
    groups: dict[str, list[tuple[Job[Any], Row]]] = {"Running": [], "Completed": [], "Dead": []}
    for job, row in zip(view.jobs, view.rows, strict=True):
        alive = row.raw_state in ("running", "queued")
        groups["Running" if alive else "Completed" if row.raw_state == "done" else "Dead"].append((job, row))
    layout = _Layout([pair for group in groups.values() for pair in group], paint)
    lines = []
    for heading, group in groups.items():
        if group:
            lines += [paint(f"{heading} jobs:", _BOLD), *(layout.line(row) for _, row in group), ""]
    footer = _wrapped(view.footer, layout.total)
    return "\n".join([*lines, *(paint(line, _DIM) for line in footer)])


class _Layout:
    """The columns: number and form, state, elapsed time; behind them progress and output."""

    def __init__(self, rows: list[tuple[Job[Any], Row]], paint: _Paint) -> None:
        self._paint = paint
        # The last cell stays free: some terminals wrap a line that fills them all.
        self.total = max(shutil.get_terminal_size((_WIDTH, 24)).columns, _MIN_WIDTH) - 1
        self._blocks = _BLOCKS if _can_show("".join(_BLOCKS)) else _PLAIN_BLOCKS
        self._num = max(len(row.num) for _, row in rows)
        longest = min(_STATE, self.total // 4 + 1)
        self._state = max((len(row.state) for _, row in rows if len(row.state) <= longest), default=0)
        self._elapsed = max(len(row.elapsed) for _, row in rows)
        detail = max(_wanted(row) for _, row in rows)
        room = self.total - self._state - self._elapsed - 4 - (detail + 2 if detail else 0)
        room = max(room, self.total // _FORM_SHARE) - self._num - 3
        # Whoever reads it from a pipe looks for what IPython's manager prints: a function with its address, if it fits.
        free = self.total - self._state - self._elapsed - self._num - 7
        bars = _SHORT_BAR * 4 if any(row.bars for _, row in rows) else 0
        self._form_room = room if _is_terminal() else max(free - bars, room)
        self._forms = {row.num: self._form(job, row, room) for job, row in rows}
        self._form_width = max(map(width, self._forms.values()))

    def _form(self, job: Job[Any], row: Row, room: int) -> str:
        form = _rows.plain_line(job)
        is_name = form.endswith(row.full_name)
        if width(form) > len(row.num) + 3 + (room if is_name or row.trial else self._form_room):
            # A function with its address says less than its name where there is no room for all of it.
            form = f"{row.num} : {fit(row.full_name, room)}"
        return " " * (self._num - len(row.num)) + form

    def line(self, row: Row) -> str:
        """Give one row."""
        elapsed = padded(row.elapsed, self._elapsed, right=True)
        form = padded(self._forms[row.num], self._form_width)
        if row.trial:
            told = fit(row.trial, self.total - width(form) - width(elapsed) - 4)
            return "  ".join([form, self._paint(told, _COLOURS[row.kind]), elapsed])
        state = padded(row.state, self._state)
        left = self.total - width(form) - width(state) - width(elapsed) - 4
        parts = [form, self._paint(state, _COLOURS[row.kind]), elapsed]
        if row.bars:
            bar, taken = self._bar(row.bars[0], left - 2)
            parts.append(bar)
            left -= taken + 2
            inner = " › ".join(bar.far for bar in row.bars[1:])  # noqa: RUF001 - an arrow
            if inner and width(inner) + 4 <= left:
                parts[-1] += self._paint(f"  › {inner}", _DIM)  # noqa: RUF001
                left -= width(inner) + 4
        line = "  ".join(parts)
        if row.line and left - 2 >= _MIN_LINE:
            line += "  " + fit(row.line, left - 2)
        return line.rstrip()

    def _bar(self, bar: Bar, room: int) -> tuple[str, int]:
        """Give a progress in at most `room` cells, and how many it takes."""
        percent = bar.far.split(" ", 1)[0]
        forms = [(_LONG_BAR, bar.text), (_SHORT_BAR, bar.text)]
        forms += [(_SHORT_BAR, _listed(first, bar.left)) for first in (bar.far, percent)]
        for cells, words in forms:
            if bar.fraction is not None and cells + 1 + width(words) <= room:
                full = int(bar.fraction * cells)
                done, rest = self._blocks[0] * full, self._blocks[1] * (cells - full)
                drawn = self._paint(done, _COLOURS["run"]) + self._paint(rest, _DIM)
                return f"{drawn} {words}", cells + 1 + width(words)
        words = next((words for _, words in forms if width(words) <= room), fit(bar.far, max(room, 0)))
        return words, width(words)


def _wanted(row: Row) -> int:
    """Give the cells that progress and output would like to have."""
    bar = _LONG_BAR + 1 if row.bars and row.bars[0].fraction is not None else 0
    return max(bar + width(row.progress), width(row.line))


def _listed(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _wrapped(text: str, cells: int) -> list[str]:
    """Break a list with commas into lines."""
    lines = [""]
    for part in text.split(", "):
        longer = _listed(lines[-1], part)
        if len(longer) < cells:
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(part)
    return lines


def _can_show(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
