"""What the panel shows of a job: plain data, made safe, with nothing in it that changes by itself."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rjobs._exits import exit_text
from rjobs._safe_text import block, duration, one_line, overwritten, short, speed
from rjobs._table import (
    error_text,
    failure_text,
    pending_text,
    read,
    runs_text,
    state_text,
    tries_text,
)

if TYPE_CHECKING:
    from rjobs import Job

Row = dict[str, Any]

_NAME = 80
_LINE = 200
_UNIT = 8
_TAIL_LINES = 20
_TAIL_CHARACTERS = 8000
# Read anew with every row, and no reason to send one: the page counts on from there by itself.
_CLOCKS = ("elapsed", "due")
_DUE = {"retry": "retry in", "schedule": "next run in"}
_WAITS = {"jobs": "waits for other jobs", "limit": "waits for a limit"}


def make_row(job: Job[Any]) -> Row:
    """Make the row of a job; what is not there is left out.

    `num`, `state`, `name`; `detail`: what holds it up; `elapsed`: seconds, of one that runs; `took`: the same of one
    that has ended, for people; `times`: how often a periodic one ran; `ended`: how a command ended that did not end
    well; `due`: seconds until it runs (`at`: when that is); `fraction`: of the progress, 0 to 1; `progress`: its parts,
    for people; `line`: the last line of output, or what it failed with (`bad`); `stopping`.
    """
    state = str(read(job, "state", "?"))
    row: Row = {"num": int(read(job, "num", -1)), "state": state, "name": one_line(str(read(job, "name", "?")), _NAME)}
    elapsed = read(job, "elapsed", None)
    elapsed = float(elapsed) if isinstance(elapsed, int | float) else 0.0
    if state == "running":
        row["elapsed"] = round(elapsed, 1)
        _add_hold(job, row)
    elif state == "queued":
        _add_wait(job, row)
    elif read(job, "started_at", None) is not None:
        row["took"] = duration(elapsed)
    _add_progress(row, read(job, "progress", None))
    runs = runs_text(job) if state == "queued" else ""
    if runs:
        row["times"] = runs
    ended = exit_text(job)
    if ended:
        row["ended"] = ended
    error = error_text(job) or (failure_text(job) if state == "queued" else "")
    line = one_line(error or overwritten(_tail(job, 1).rstrip("\r\n")), _LINE)
    if line:
        row["line"] = line
    if error:
        row["bad"] = True
    return row


def make_tail(job: Job[Any]) -> str:
    """Give the end of a job's output, for the opened row."""
    return block(_tail(job, _TAIL_LINES), _TAIL_CHARACTERS).rstrip("\n")


def is_news(row: Row, before: Row | None) -> bool:
    """Say whether a row differs from the one that was sent, other than by its clocks."""
    if before is None:
        return True
    return {**row, **dict.fromkeys(_CLOCKS)} != {**before, **dict.fromkeys(_CLOCKS)}


def _add_hold(job: Job[Any], row: Row) -> None:
    if read(job, "stop_requested", default=False):
        row["stopping"] = True
    waits = read(job, "waiting_for", None)
    if read(job, "kill_pending", default=False):
        row["detail"] = pending_text(job)
    elif waits is not None:
        row["detail"] = one_line(f"waits for a {waits}", _NAME)
    else:
        told = state_text(job)
        if "(" in told:
            # Which try, or which run.
            row["detail"] = told[told.index("(") + 1 : -1]


def _add_wait(job: Job[Any], row: Row) -> None:
    waits, when = str(read(job, "waiting_for", "")), read(job, "next_run_at", None)
    if waits in _DUE and when is not None:
        tries = read(job, "_tries", None)
        before = f"{tries_text(*tries)}, " if waits == "retry" and tries is not None else ""
        row["detail"], row["at"] = before + _DUE[waits], when.timestamp()
        row["due"] = round(max((when - datetime.now(UTC)).total_seconds(), 0.0), 1)
    elif waits in _WAITS:
        row["detail"] = _WAITS[waits]


def _add_progress(row: Row, progress: Any) -> None:
    done, total, rate, eta = (_number(getattr(progress, name, None)) for name in ("done", "total", "rate", "eta"))
    if done is None:
        return
    unit = one_line(str(getattr(progress, "unit", "it")), _UNIT)
    parts = [f"{short(done)} {unit}"]
    if total is not None and total > 0:
        row["fraction"] = round(min(max(done / total, 0.0), 1.0), 3)
        parts = [f"{row['fraction']:.0%} of {short(total)}"]
    if rate is not None and rate > 0:
        # Two digits: what follows is never still, and nobody reads it.
        parts.append(speed(float(f"{rate:.2g}"), unit))
    if eta and row["state"] == "running":
        parts.append(f"{_about(eta)} left")
    row["progress"] = parts


def _about(seconds: float) -> str:
    """Give a number of seconds as a guess: in steps that grow with it."""
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{math.ceil(seconds)} s"
    step = 10 if seconds < 600 else 60  # noqa: PLR2004 - ten minutes
    return duration(math.ceil(seconds / step) * step)


def _number(value: Any) -> float | None:
    # Whatever a program has reported: only what can be counted with is shown.
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _tail(job: Job[Any], lines: int) -> str:
    try:
        return job.tail(lines)
    except Exception:  # noqa: BLE001 - the row goes on without it
        return ""
