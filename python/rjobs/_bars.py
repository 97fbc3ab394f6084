"""Progress as people read it: in words, and as a bar."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from rjobs._safe_text import coarse, duration, one_line, short, speed

if TYPE_CHECKING:
    from rjobs import Job

__rjobs_internal__ = True

# Bars inside of the job's own that are shown at most.
INNER = 3
_UNIT = 8
_DESC = 40
# A line that tqdm drew: what it says is shown as a bar.
_DRAWN = re.compile(r"\d%\|.*\||\[(\d+:)?\d\d:\d\d(<|, )")


class Bar(NamedTuple):
    """A progress that was read; safe text."""

    # From 0 to 1; None where the total is not known.
    fraction: float | None
    # `45% of 1.2k`, or `450 page`.
    far: str
    # `120 page/s`, or nothing.
    rate: str
    # `5 s left`, or nothing.
    left: str
    # What it is about, or nothing.
    desc: str

    @property
    def text(self) -> str:
        """Give all of it but the description: `45% of 1.2k, 5 s left, 120 page/s`."""
        return ", ".join(filter(None, (self.far, self.left, self.rate)))


def read_bar(progress: Any, failed: int = 0, *, steady: bool = False) -> Bar | None:
    """Read a progress; None where there is none. `failed` items of a group are told of.

    `steady` rounds the time left, so that it does not change with every look.
    """
    done, total, rate, eta = (_number(progress, name) for name in ("done", "total", "rate", "eta"))
    if done is None:
        return None
    unit = one_line(str(getattr(progress, "unit", "it")), _UNIT)
    # Never 100% before all is done.
    far = f"{int(min(done / total, 1) * 100)}% of {short(total)}" if total else f"{short(done)} {unit}"
    return Bar(
        fraction=min(done / total, 1) if total else None,
        far=f"{far}, {failed:,} failed" if failed else far,
        rate=speed(rate, unit) if rate else "",
        left=f"{coarse(eta + 0.99) if steady else duration(eta)} left" if eta else "",
        desc=one_line(str(getattr(progress, "desc", None) or ""), _DESC),
    )


def _number(progress: Any, name: str) -> float | None:
    value = getattr(progress, name, None)
    return value if isinstance(value, float | int) else None


def bars_of(job: Job[Any], *, steady: bool = False, failures: bool = True) -> list[Bar]:
    """Read the progress of a job, and behind it the bars that are open inside of it; empty where there is none.

    With `failures` that of a group tells how many of its items failed.
    """
    try:
        failed = job._first_errors(0)[0] if failures and hasattr(job, "_first_errors") else 0  # noqa: SLF001
        bars = [read_bar(job.progress, failed, steady=steady)]
        if bars[0] is not None:
            bars += [read_bar(inner, steady=steady) for inner in job._inner_progress[:INNER]]  # noqa: SLF001
    except Exception:  # noqa: BLE001 - what cannot be read never breaks the display
        return []
    return [bar for bar in bars if bar is not None]


def is_drawn(line: str) -> bool:
    """Say whether a line of output is a bar that tqdm drew."""
    return _DRAWN.search(line) is not None
