"""How calls of libraries end that a kill cannot end by itself: by the library's own cancel.

Looked up when a job is killed, among the frames of its thread; nothing is imported, patched or watched before.
"""

from __future__ import annotations

import gc
import re
import sys
from functools import partial

from rjobs import _cancel_mysql, _syscalls
from rjobs._rjobs import _current_frames

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Cancel = Callable[[Any], object]

__rjobs_internal__ = True

# How many frames are looked at, from the innermost on.
_DEEPEST = 50
# Seconds that asking a server may take.
_TIMEOUT = 2
_WHERE = re.compile(r"[\w.]+:[\w.<>]+")


def _cancel_psycopg(connection: Any) -> None:
    if hasattr(connection, "cancel_safe"):
        connection.cancel_safe(timeout=_TIMEOUT)
    else:
        connection.cancel()


def _cancel_call(call: Any) -> None:
    call.cancel(1, "the job was killed")


# By module and qualified name of a function that waits: the variable that tells what for, and how that is cancelled.
_known: dict[tuple[str, str], tuple[str | None, Cancel]] = {
    ("psycopg.connection", "Connection.wait"): ("self", _cancel_psycopg),
    ("grpc._channel", "_UnaryUnaryMultiCallable._blocking"): ("call", _cancel_call),
    ("grpc._channel", "_StreamUnaryMultiCallable._blocking"): ("call", _cancel_call),
    ("grpc._channel", "_SingleThreadedRendezvous._next"): ("self", lambda stream: stream.cancel()),
    ("grpc._channel", "_MultiThreadedRendezvous._next"): ("self", lambda stream: stream.cancel()),
    ("oracledb.cursor", "Cursor.execute"): ("self", lambda cursor: cursor.connection.cancel()),
}


def register_canceller(where: str | Callable[..., object], cancel: Cancel, /) -> None:
    """Tell how a library's call is ended, so that a kill of a job can end it.

    ``where`` is the Python function of the library in which its calls wait: itself, or as text,
    ``"module:Class.method"``, which imports nothing. When a job is killed that is in there, ``cancel(first)`` is called
    with the first argument of that call (``self`` of a method), on a thread of its own; the rest is as with
    ``job.on_kill``. Of the functions that a job is in the innermost counts. Registered again for the same function, it
    takes the place of the one before, built-in ones included. Does not block. Raises ``TypeError`` for what is no
    Python function or cannot be called, ``ValueError`` for a text of another form.
    """
    if isinstance(where, str):
        if not _WHERE.fullmatch(where):
            raise ValueError(f'where must be a function or a text like "module:Class.method"; got {where!r}')
        module, _, name = where.partition(":")
    else:
        function = getattr(where, "__func__", where)
        if not hasattr(function, "__code__"):
            raise TypeError(
                f"where must be a Python function, since its calls are found among the frames of a thread, or a text "
                f'like "module:Class.method"; got {where!r}. For another one use current_job().on_kill(...)'
            )
        module, name = function.__module__, function.__code__.co_qualname
    if not callable(cancel):
        raise TypeError(f"cancel must be a function that ends the call, given its first argument; got {cancel!r}")
    _known[module, name] = (None, cancel)


def find(ident: int) -> tuple[Callable[[], object], FrameType] | None:
    """What ends the call that a thread is in, and the frame in which the call waits."""
    try:
        frame = _current_frames().get(ident)
        for _ in range(_DEEPEST):
            if frame is None:
                break
            code = frame.f_code
            where = str(frame.f_globals.get("__name__")), code.co_qualname
            known, prepare = _known.get(where), _cancel_mysql.KNOWN.get(where)
            if known is not None:
                name, cancel = known
                name = name or (code.co_varnames[0] if code.co_argcount else None)
                names = frame.f_locals
                if name is None or names.get(name) is not None:
                    return partial(cancel, names.get(name) if name else None), frame
            elif prepare is not None and (call := prepare(frame, ident, partial(_is_in, ident, frame))):
                return call, frame
            frame = frame.f_back
    except Exception:  # noqa: BLE001 - a look-up that fails is none
        return None
    return None


def _is_in(ident: int, frame: FrameType) -> bool:
    """Whether a thread is still in this call."""
    each = _current_frames().get(ident)
    while each is not None and each is not frame:
        each = each.f_back
    return each is frame


def find_native(ident: int, native_id: int) -> Callable[[], object] | None:
    """The same for a library whose calls have no frame of their own, when the thread has not moved for a while."""
    try:
        if found := find(ident):
            return found[0]
        frame = _current_frames().get(ident)
        if "psycopg2" in sys.modules and (cancel := _find_psycopg2(native_id)):
            return cancel
        if "duckdb" in sys.modules and frame is not None:
            return _find_duckdb(frame)
    except Exception:  # noqa: BLE001 - as above
        return None
    return None


def _find_psycopg2(native_id: int) -> Callable[[], object] | None:
    """By the descriptor that the thread waits for."""
    descriptor = _syscalls.descriptor(native_id)
    if descriptor is None:
        return None
    connection_type: Any = sys.modules["psycopg2"].extensions.connection
    for each in gc.get_objects():
        if isinstance(each, connection_type) and not each.closed and each.fileno() == descriptor:
            cancel: Callable[[], object] = each.cancel
            return cancel
    return None


def _find_duckdb(frame: FrameType) -> Callable[[], object] | None:
    """The one connection that the innermost frame knows, or the module's own."""
    module: Any = sys.modules["duckdb"]
    code, names = frame.f_code, {**frame.f_globals, **frame.f_locals}
    used = [names[name] for name in {*code.co_varnames, *code.co_names, *code.co_freevars} if name in names]
    used += [vars(each).get(name) for each in used if hasattr(each, "__dict__") for name in code.co_names]
    found = {id(each): each for each in used if isinstance(each, module.DuckDBPyConnection)}
    if len(found) == 1:
        (connection,) = found.values()
        cancel: Callable[[], object] = connection.interrupt
        return cancel
    return module.interrupt if not found and any(each is module for each in used) else None
