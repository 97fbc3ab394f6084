"""How far a group is."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """How far a group is: what ``group.progress`` gives. ``rate`` in a second, ``eta`` in seconds; None: not known."""

    done: float
    total: float | None = None
    unit: str = "it"
    desc: str | None = None
    rate: float | None = None
    eta: float | None = None


def progress(
    done: float, total: float | None, elapsed: float, *, unit: str = "it", desc: str | None = None
) -> Progress:
    """Make one out of what was done in ``elapsed`` seconds."""
    rate = done / elapsed if done and elapsed > 0 else None
    eta = None
    if total is not None:
        left = max(total - done, 0)
        eta = 0.0 if not left else left / rate if rate else None
    return Progress(done, total, unit, desc, rate, eta)
