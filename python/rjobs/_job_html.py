"""A job as the value of a cell: one line of text, or a small box; everything that comes from the job is escaped."""

from __future__ import annotations

import reprlib
from html import escape
from typing import TYPE_CHECKING, Any

from rjobs import _rows
from rjobs._bars import bars_of, is_drawn
from rjobs._safe_text import block, fit, one_line
from rjobs._style import BOX
from rjobs._table_html import OUTER, drawn, state, title
from rjobs._traceback import summary
from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from rjobs import Job
    from rjobs._bars import Bar

__rjobs_internal__ = True

_TAIL_LINES = 10
_TAIL_CHARACTERS = 10_000
_NAME = 80
_FULL_NAME = 1000
_ERROR = 200
# In the box an error may take a few lines.
_LONG_ERROR = 500
_RESULT = 120
# Failed items of a group that are told of one by one.
_ERRORS = 3
_ENDED = ("done", "failed", "killed", "timed_out", "cancelled", "skipped", "expired", "lost")


def job_text(job: Job[Any]) -> str:
    """Give one line about a job, as its repr."""
    num, name = _rows.read(job, "num", "?"), one_line(str(_rows.read(job, "name", "?")), _NAME)
    line = f"Job {num} {_rows.told_state(job)}: {name}, {_rows.elapsed_text(job)}"
    error = _rows.error_text(job) or _rows.trial_text(job)
    more = one_line(error, _ERROR) or ", ".join(bar.text for bar in bars_of(job)[:1])
    return f"<{line}, {more}>" if more else f"<{line}>"


def job_html(job: Job[Any], *, steady: bool = False) -> str:
    """Give a box about a job: number, state, name, elapsed time; progress; error or result; the end of its output.

    `steady` rounds times, so that the box of a job for which nothing happens seldom changes.
    """
    kind = _rows.kind(job)
    name = one_line(str(_rows.read(job, "name", "?")), _FULL_NAME)
    bars = bars_of(job, steady=steady, failures=False)
    parts = [
        '<div class="rj-h">',
        f"<b>Job {escape(str(_rows.read(job, 'num', '?')))}</b>",
        state(_rows.told_state(job, steady=steady), kind),
        f"<code{title(name)}>{escape(fit(name, _NAME))}</code>",
        f'<span class="rj-d">{escape(_rows.elapsed_text(job, steady=steady))}</span></div>',
        *(_bar(bar, kind, is_inner=place > 0) for place, bar in enumerate(bars)),
        _counts(job),
        *(_line("rj-w rj-x", text) for text in _errors(job, steady=steady)),
    ]
    result = result_text(job)
    if result:
        parts.append(_line("rj-w", f"→ {result}"))
    tail = _tail(job, drawn=not bars)
    if tail:
        parts.append(f"<pre>{escape(tail)}</pre>")
    style = f"--rj-c:{_rows.COLOURS[kind]}"
    return f'<div class="{OUTER} rj-j" style="{style}">{BOX}{"".join(parts)}</div>'


def _bar(bar: Bar, kind: str, *, is_inner: bool) -> str:
    desc = f'<span class="rj-d">{escape(bar.desc)}</span> ' if bar.desc else ""
    return f'<div class="rj-p{" rj-q" if is_inner else ""}">{drawn(bar, kind)}{desc}{escape(bar.text)}</div>'


def _counts(job: Job[Any]) -> str:
    """Say of a group how many of its items are done, failed, and to come."""
    private: Any = job
    try:
        failed, progress = private._first_errors(0)[0], private.progress  # noqa: SLF001
        to_come = None if progress.total is None else progress.total - progress.done
        counts = [(progress.done - failed, "done"), (failed, "failed"), (to_come, "to come")]
    except Exception:  # noqa: BLE001 - no group, or one that cannot be read
        return ""
    text = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    return f'<div class="rj-d">{text}</div>' if text else ""


def _line(kind: str, text: str) -> str:
    return f'<div class="{kind}"><code>{escape(text)}</code></div>'


def _errors(job: Job[Any], *, steady: bool) -> list[str]:
    """Give the exception of a failed job, or of its last try; for a group those of the first items that failed."""
    private: Any = job
    try:
        if hasattr(job, "_first_errors"):
            count, first = private._first_errors(_ERRORS)  # noqa: SLF001
            lines = [one_line(f"item {item}: {summary(error)}", _ERROR) for item, error in first]
            if lines:
                return [*lines, f"… {count - len(lines):,} more"] if count > len(lines) else lines
    except Exception:  # noqa: BLE001 - the box goes on without it
        return []
    error = one_line(_rows.error_text(job) or _rows.trial_text(job, steady=steady), _LONG_ERROR)
    return [error] if error else []


def result_text(job: Job[Any]) -> str:
    """Give the result of a job that is done as a short repr; empty where it is None, and for all other jobs."""
    if _rows.read(job, "state", "?") != "done":
        return ""
    try:
        result = job.result
        if result is None:
            return ""
        if hasattr(job, "_first_errors"):
            return f"{len(result):,} result{'' if len(result) == 1 else 's'}: {_short.repr(result)}" if result else ""
        return one_line(_short.repr(result), _RESULT)
    except JobKilled:
        raise
    except BaseException as error:  # noqa: BLE001 - user code: a SystemExit of a `repr` must not end who looks at it
        return f"<{type(job.result).__qualname__} whose repr raises {type(error).__qualname__}>"


class _Short(reprlib.Repr):
    """Looks at the first few elements of what is built in, however long it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 6
        self.maxstring = self.maxlong = 100
        self.maxother = 200

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Not all of many megabytes."""
        _ = level
        return repr(x[: self.maxstring]) + ("..." if len(x) > self.maxstring else "")

    repr_bytearray = repr_bytes


_short = _Short()


def _tail(job: Job[Any], *, drawn: bool) -> str:
    try:
        tail = block(job.tail(_TAIL_LINES), _TAIL_CHARACTERS).rstrip("\n")
    except Exception:  # noqa: BLE001 - the box goes on without it
        return ""
    if drawn:
        return tail
    return "\n".join(line for line in tail.split("\n") if line and not is_drawn(line))
