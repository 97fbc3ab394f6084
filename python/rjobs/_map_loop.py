"""The loops that run the items of a group: in Python, since CPython calls Python functions at its cheapest from there.

Each appends to ``out`` as it goes. So ``len(out)`` tells which item raised, and called again with the same iterator it
goes on with the next. Loaded with the first ``map``: no worker imports.
"""

from __future__ import annotations

from time import monotonic_ns

from rjobs import _near
from rjobs._reading import explain

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from rjobs._rjobs import JobGroup

__rjobs_internal__ = True

# How long a worker takes items out of an iterator before it runs them, nanoseconds.
PULL_TIME = 1_000_000
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE


def run(fn: Callable[[Any], Any], items: Iterator[Any], out: list[Any]) -> None:
    """``fn(item)`` of each."""
    for item in items:
        out.append(fn(item))  # noqa: PERF401  what there is must stay when one raises


def run_star(fn: Callable[..., Any], items: Iterator[Iterable[Any]], out: list[Any]) -> None:
    """``fn(*item)`` of each."""
    for item in items:
        out.append(fn(*item))  # noqa: PERF401  as above


def run_async(fn: Callable[[Any], Any], items: Iterator[Any], out: list[Any]) -> None:
    """``fn(item)`` of each, run in an event loop."""
    from rjobs._coroutines import run_coroutine  # noqa: PLC0415  loaded when the group was made

    for item in items:
        out.append(run_coroutine(fn(item)))  # noqa: PERF401  as above


def run_async_star(fn: Callable[..., Any], items: Iterator[Iterable[Any]], out: list[Any]) -> None:
    """``fn(*item)`` of each, run in an event loop."""
    from rjobs._coroutines import run_coroutine  # noqa: PLC0415  loaded when the group was made

    for item in items:
        out.append(run_coroutine(fn(*item)))  # noqa: PERF401  as above


def is_async(fn: object) -> bool:
    """Whether calls of ``fn`` give coroutines, as far as can be seen."""
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    if not getattr(code, "co_flags", 0) & _IS_COROUTINE:
        return False
    import rjobs._coroutines  # noqa: F401, PLC0415  for the workers

    return True


def pull(items: Iterator[Any], most: int, out: list[Any]) -> bool:
    """Take up to ``most`` items out of an iterator, but no longer than a moment; True when there are no more."""
    until = monotonic_ns() + PULL_TIME
    try:
        for item in items:
            out.append(item)
            if len(out) >= most or monotonic_ns() > until:
                return False
    except Exception as error:
        explain(error)
        raise
    return True


def trim(exception: BaseException) -> None:
    """Cut the frames that are ours off a traceback, and let go of what they hold: the items and results of a batch."""
    traceback = exception.__traceback__
    _near.trim(exception)
    while traceback is not None and traceback is not exception.__traceback__:
        # The loop's own has ended. Functions that it called have it for their caller, and would keep what is in it.
        traceback.tb_frame.clear()
        traceback = traceback.tb_next


def describe(group: JobGroup[Any]) -> str:
    """Give a group in one line."""
    progress = group.progress
    total = "?" if progress.total is None else progress.total
    return f"<JobGroup #{group.num}: {group.name}, {progress.done}/{total} items, {group.state}>"
