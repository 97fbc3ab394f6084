"""Items that only the thread may read that made their iterator: rows of sqlite3. Loaded with the first ``map``."""

from __future__ import annotations

import gc
import itertools
import sys
import threading

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__rjobs_internal__ = True

# Modules whose `Cursor` and `Connection` may belong to a thread.
_SQLITE = ("sqlite3", "pysqlite3", "sqlcipher3")
# Iterators that end when what they read ends, and what some of them keep those in.
_ADAPTERS = (
    tuple,
    enumerate,
    filter,
    map,
    zip,
    *(
        getattr(itertools, name)
        for name in ("accumulate", "batched", "dropwhile", "filterfalse", "islice", "pairwise", "starmap", "takewhile")
        if hasattr(itertools, name)
    ),
)
# How many of them are looked through.
_DEEPEST = 8
_WRONG_THREAD = (
    *(f"{which} thread" for which in ("same", "other", "another", "different", "wrong", "main")),
    "unsendable",
)
_WAY_OUT = (
    "map() and starmap() take items out of an iterator on a worker's thread, when they are needed. If it only works on "
    "the thread that made it, read it first: jobs.map(fn, list(items)); or open the connection for all threads: "
    "sqlite3.connect(..., check_same_thread=False)."
)


def read_here(iterable: object) -> list[Any] | None:
    """Read all items, if only this thread can: of a cursor, or of map, zip, a generator expression, ... over one."""
    cursors = tuple(
        module.Cursor for name in _SQLITE if (module := sys.modules.get(name)) is not None and hasattr(module, "Cursor")
    )
    if not cursors or not _reads(iterable, cursors, _DEEPEST):
        return None
    return list(iterable)  # type: ignore[call-overload, no-any-return]


def _reads(iterable: object, cursors: tuple[type, ...], deepest: int) -> bool:
    """Say whether it takes its items out of a cursor that belongs to a thread."""
    if isinstance(iterable, cursors):
        return _is_bound(iterable)
    is_generator_expression = getattr(getattr(iterable, "gi_code", None), "co_name", None) == "<genexpr>"
    if not deepest or not (is_generator_expression or isinstance(iterable, _ADAPTERS)):
        return False
    return any(_reads(each, cursors, deepest - 1) for each in gc.get_referents(iterable))


def _is_bound(cursor: Any) -> bool:
    """Ask the connection on another thread for something that costs nothing."""
    ask = getattr(getattr(cursor, "connection", None), "getlimit", None)
    if ask is None:
        return True
    found: list[bool] = []

    def look() -> None:
        try:
            ask(0)
        except Exception:  # noqa: BLE001 - a closed one, too: what is wrong is told here
            found.append(True)

    thread = threading.Thread(target=look, name="rjobs-look", daemon=True)
    thread.start()
    thread.join()
    return bool(found)


def explain(error: BaseException) -> None:
    """Say what to do about an iterator that does not work on the thread of a worker."""
    text = str(error).lower()
    if any(words in text for words in _WRONG_THREAD):
        error.add_note(_WAY_OUT)
