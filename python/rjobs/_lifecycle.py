"""The end of the interpreter."""

from __future__ import annotations

import atexit
import threading

from rjobs._rjobs import _at_exit, _at_last

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__rjobs_internal__ = True

_installed = False


def install() -> None:
    """Register the exit hooks, once in a process."""
    global _installed  # noqa: PLW0603
    if _installed:
        return
    _installed = True
    atexit.register(_at_last)
    call_at_exit(_at_exit)


def call_at_exit(hook: Callable[[], object]) -> None:
    """Have `hook()` called when the interpreter begins to end; the newest is called first."""
    # threading's hooks run before it joins threads and before anything is finalized; atexit's run after that. The
    # former is private (concurrent.futures uses it), so the latter stands by.
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(hook)
    except RuntimeError:
        # "can't register atexit after shutdown": a manager made by code that runs at exit.
        atexit.register(hook)


def is_daemon() -> bool:
    """Whether the calling thread is one that the end of the interpreter does not wait for."""
    return threading.current_thread().daemon
