"""The table of jobs: its rows, as text and as HTML."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from rjobs._safe_text import duration, fit, one_line, overwritten, padded, short, speed, width
from rjobs._traceback import summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rjobs import Job, JobManager

# Rows shown at most; with more jobs than that the table says how many it leaves out.
ROWS = 50
_NAME_CELLS = 32
_LINE_CELLS = 200
_MIN_WIDTH = 60
# Of the last line of output at least this much is shown, also where the row gets wider than the terminal.
_MIN_LINE = 20
# Characters of a job's `strform` that a terminal shows: enough for a function with its address.
_FORM = 72
# The column of the elapsed time in the text table.
_ELAPSED = 2
# The order in which the counts are told: what is going on first.
_STATES = (
    "running",
    "queued",
    "failed",
    "killed",
    "timed_out",
    "lost",
    "cancelled",
    "skipped",
    "expired",
    "done",
)
# What is due at a time, by what it waits for.
_TIMED = {"retry": "retry", "schedule": "next run"}
_HEADER = ("#", "state", "name", "elapsed", "progress", "output")
_COLOURS = {"running": "#1a73e8", "queued": "#80868b", "done": "#188038"}
_BAD_COLOUR = "#d93025"


class Row(NamedTuple):
    """What the table shows of one job; safe text, one line each."""

    num: str
    state: str
    name: str
    elapsed: str
    progress: str
    line: str


def read(job: Job[Any], attribute: str, default: object) -> Any:
    """Read an attribute of a job for display; what cannot be read never breaks the display."""
    try:
        return getattr(job, attribute)
    except Exception:  # noqa: BLE001 - a name or a result may come from user code
        return default


def state_text(job: Job[Any]) -> str:
    """Give the state, or what holds it up."""
    state = str(read(job, "state", "?"))
    if state == "running" and read(job, "kill_pending", default=False):
        native = read(job, "in_native_code", default=False)
        return "kill pending (in native code)" if native else "kill pending"
    if state == "queued":
        return _waiting_text(job)
    waiting_for = read(job, "waiting_for", None) if state == "running" else None
    if waiting_for is not None:
        return f"waiting for a {waiting_for}"
    return state.replace("_", " ")


def _waiting_text(job: Job[Any]) -> str:
    """Say what a queued job waits for, where that is more than a worker."""
    what = str(read(job, "waiting_for", "worker"))
    when = read(job, "next_run_at", None)
    if what in _TIMED and when is not None:
        seconds = (when - datetime.now(UTC)).total_seconds()
        return f"{_TIMED[what]} in {duration(max(seconds, 0.0))}"
    return f"queued ({what})" if what in ("jobs", "limit") else "queued"


def colour(job: Job[Any]) -> str:
    """Give the CSS colour of the job's state."""
    return _COLOURS.get(str(read(job, "state", "?")), _BAD_COLOUR)


def elapsed_text(job: Job[Any]) -> str:
    """Give the time the job has taken, for people."""
    elapsed = read(job, "elapsed", None)
    return duration(elapsed) if isinstance(elapsed, float | int) else ""


def error_text(job: Job[Any]) -> str:
    """Give the exception of a failed job in one line; empty for all other jobs."""
    if read(job, "state", "?") != "failed":
        return ""
    try:
        exc = job.exception(0)
    except Exception:  # noqa: BLE001 - the display goes on without it
        return ""
    return "" if exc is None else summary(exc)


def row(job: Job[Any]) -> Row:
    """Make the row of one job."""
    return Row(
        num=str(read(job, "num", "?")),
        state=state_text(job),
        name=fit(one_line(str(read(job, "name", "?")), _NAME_CELLS), _NAME_CELLS),
        elapsed=elapsed_text(job),
        progress=_progress(read(job, "progress", None)),
        line=one_line(error_text(job) or _last_line(job), _LINE_CELLS),
    )


def plain_line(job: Job[Any]) -> str:
    """Give a job as IPython's manager lists it: number and `strform`, or its name where it has one or that is long."""
    form = str(read(job, "strform", "?"))
    is_short = len(form) <= _FORM and form.isprintable()
    name = form if is_short and not read(job, "_is_named", default=False) else str(read(job, "name", "?"))
    return f"{read(job, 'num', '?')} : {fit(one_line(name, _FORM), _FORM)}"


def text(manager: JobManager) -> str:
    """Give the table as plain text, fitted to the width of the terminal; no line end at the end.

    In IPython's three groups, each with its heading.
    """
    jobs, counts = _snapshot(manager)
    if not counts:
        return "No jobs."
    groups: dict[str, list[tuple[str, ...]]] = {"Running": [], "Completed": [], "Dead": []}
    for job in jobs:
        shown = row(job)
        fields = (plain_line(job), shown.state, shown.elapsed, shown.progress, shown.line)
        state = read(job, "state", "?")
        heading = "Running" if state in ("running", "queued") else "Completed" if state == "done" else "Dead"
        groups[heading].append(fields)
    rows = [fields for group in groups.values() for fields in group]
    widths = [max(width(fields[i]) for fields in rows) for i in range(len(rows[0]) - 1)]
    total = max(shutil.get_terminal_size((100, 24)).columns, _MIN_WIDTH)
    lines = []
    for heading, group in groups.items():
        if group:
            lines += [f"{heading} jobs:", *(_line(fields, widths, total) for fields in group), ""]
    return "\n".join([*lines, _counts(counts, len(jobs))])


def _line(fields: tuple[str, ...], widths: list[int], total: int) -> str:
    # The progress column appears when some job has something to put there.
    cells = [
        padded(field, wide, right=i == _ELAPSED)
        for i, (field, wide) in enumerate(zip(fields, widths, strict=False))
        if wide
    ]
    room = total - sum(width(cell) + 2 for cell in cells) - 1
    return "  ".join([*cells, fit(fields[-1], max(room, _MIN_LINE))]).rstrip()


def html(manager: JobManager) -> str:
    """Give the table as HTML; everything that comes from jobs is escaped."""
    jobs, counts = _snapshot(manager)
    if not counts:
        return "<div>No jobs.</div>"
    cell = "text-align:left;padding:2px 10px 2px 0;white-space:nowrap"
    rows = [row(job) for job in jobs]
    # The progress column appears when some job has something to put there.
    columns = [i for i in range(len(_HEADER)) if _HEADER[i] != "progress" or any(fields.progress for fields in rows)]
    head = "".join(f'<th style="{cell}">{_HEADER[i]}</th>' for i in columns)
    body = []
    for job, fields in zip(jobs, rows, strict=True):
        state = f'<span style="color:{colour(job)}">{escape(fields[1])}</span>'
        # The output is the one that may be long: let it be cut by the page and not stretch it.
        output = f"<code>{escape(fields[5])}</code>" if fields[5] else ""
        cells = [escape(fields[0]), state, *map(escape, fields[2:5]), output]
        body.append("<tr>" + "".join(f'<td style="{cell}">{cells[i]}</td>' for i in columns) + "</tr>")
    # The classes keep MathJax from reading `$` in a name as mathematics.
    return (
        '<div class="rjobs tex2jax_ignore mathjax_ignore" style="overflow-x:auto">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        f'<div style="opacity:0.7">{escape(_counts(counts, len(jobs)))}</div></div>'
    )


def _snapshot(manager: JobManager) -> tuple[list[Job[Any]], dict[str, int]]:
    private: Any = manager  # the stub tells of the public names only
    jobs, counts = private._snapshot(ROWS)  # noqa: SLF001
    return jobs, {state: n for state, n in counts.items() if n}


def _counts(counts: Mapping[str, int], shown: int) -> str:
    known = [state for state in _STATES if state in counts]
    parts = [f"{counts[state]:,} {state.replace('_', ' ')}" for state in [*known, *(set(counts) - set(known))]]
    hidden = sum(counts.values()) - shown
    more = f"{hidden:,} more not shown; " if hidden > 0 else ""
    return more + ", ".join(parts)


def _last_line(job: Job[Any]) -> str:
    try:
        tail = job.tail(1)
    except Exception:  # noqa: BLE001 - the table goes on without it
        return ""
    return overwritten(tail.rstrip("\r\n"))


def _progress(progress: Any) -> str:
    done, total, rate = (getattr(progress, name, None) for name in ("done", "total", "rate"))
    if done is None:
        return ""
    unit = one_line(str(getattr(progress, "unit", "it")), 8)
    far = f"{min(done / total, 1):.0%} of {short(total)}" if total else f"{short(done)} {unit}"
    return one_line(f"{far}, {speed(rate, unit)}" if rate else far, 32)
