"""``rjobs.track``: a loop that reports how far it is."""

from __future__ import annotations

import operator

from rjobs._rjobs import current_job

# mypy reads it as True; importing typing would cost most of `import rjobs`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    _T = TypeVar("_T")

__rjobs_internal__ = True


def track(
    iterable: Iterable[_T], total: float | None = None, desc: str | None = None, unit: str = "it"
) -> Iterator[_T]:
    """Iterate over ``iterable``, and report to ``job.progress`` of the current job how far that is.

    ``total`` is how many items there are (default: its length, where it has one). An item is done when the next one is
    asked for. Of nested loops the outermost is the job's; displays show the others beside it. Outside of a job it only
    iterates. Raises TypeError at once for what is no iterable.
    """
    items = iter(iterable)
    if total is None:
        # What it is short for: len(), else a hint, else -1.
        length = operator.length_hint(iterable, -1)
        total = length if length >= 0 else None
    return _tracked(items, total, desc, unit)


def _tracked(items: Iterator[_T], total: float | None, desc: str | None, unit: str) -> Iterator[_T]:
    job = current_job()
    if job is None:
        yield from items
        return
    bar = job._bar()  # noqa: SLF001
    try:
        bar.report(0, total, desc, unit)
        for done, item in enumerate(items, 1):
            yield item
            bar.report(done)
    finally:
        bar.close()
