"""``get_chunks``, the other function of the well-known snippet."""

from __future__ import annotations

# mypy reads it as True; importing typing would cost most of `import rjobs`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    _T = TypeVar("_T")


def get_chunks(sequence: Iterable[_T], count: int) -> list[list[_T]]:
    """Deal a sequence out into ``count`` lists of nearly the same length, as one deals cards.

    Item ``i`` goes to list ``i % count``, so expensive neighbours are spread. Where there are fewer items than
    ``count``, there are as many lists as items, none of them empty; any iterable is taken. Raises ValueError when
    ``count`` is less than 1, TypeError when it is no integer.
    """
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        msg = f"count must be an int, not {type(count).__qualname__}"
        raise TypeError(msg)
    count = count.__index__()
    if count < 1:
        msg = f"count must be 1 or more; got {count}"
        raise ValueError(msg)
    items = list(sequence)
    count = min(count, len(items))
    return [items[start::count] for start in range(count)]
