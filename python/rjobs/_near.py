"""What workers call. It imports what is there and is loaded with the first manager: no worker imports at the end."""

from __future__ import annotations

import functools
import logging  # loaded already: the extension's own records go there
import sys

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

    from rjobs._rjobs import Job

# Frames of modules that say so are ours: `trim` cuts them off.
__rjobs_internal__ = True

# Wrappers around a function that are looked into.
_DEEPEST = 20


def nothing() -> None:
    """Do nothing: any bytecode lets an exception that was set for this thread arrive."""


def trim(exception: BaseException) -> None:
    """Cut the frames that are ours off the top of an exception's traceback, if any frame is left then."""
    first = _first_of_user(exception.__traceback__)
    if first is not None and first is not exception.__traceback__:
        exception.__traceback__ = first


def _first_of_user(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and not is_users(traceback.tb_frame):
        traceback = traceback.tb_next
    return traceback


def is_users(frame: FrameType) -> bool:
    """Whether a frame is neither ours nor the event loop's."""
    names = frame.f_globals
    is_asyncio = str(names.get("__name__", "")).partition(".")[0] == "asyncio"
    return not names.get("__rjobs_internal__") and not is_asyncio


def is_in_loop() -> bool:
    """Whether the calling thread runs an event loop of asyncio's."""
    # Another thread may be importing it just now: then no loop runs anywhere.
    get_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    return get_loop is not None and get_loop() is not None


def is_made_by(callable_: Any, generator: Any) -> bool:
    """Whether a generator that a call gave is that of a generator function, so that running it is the job.

    For code: one that has not begun. One that was made elsewhere and returned is a value.
    """
    kind = "gi" if hasattr(generator, "gi_code") else "ag"
    if getattr(type(callable_), "__rjobs_code__", False):
        frame, *begun = (getattr(generator, f"{kind}_{name}", None) for name in ("frame", "running", "suspended"))
        return frame is not None and not any(begun)
    code = getattr(generator, f"{kind}_code")
    for _ in range(_DEEPEST):
        if isinstance(callable_, functools.partial):
            callable_ = callable_.func
            continue
        # A method; a wrapper; an object that is called.
        function = getattr(callable_, "__func__", callable_)
        if getattr(function, "__code__", None) is code:
            return True
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            callable_ = wrapped
        elif isinstance(function, type) or hasattr(function, "__code__"):
            return False
        else:
            callable_ = getattr(type(function), "__call__", None)  # noqa: B004 - what it is called by
    return False


def exception_in_callback(job: Job[Any], callback: Callable[[Job[Any]], object], exception: BaseException) -> None:
    """Log what a done-callback raised, as ``concurrent.futures`` does."""
    logging.getLogger("rjobs.job").error("a done-callback of job %d raised: %r", job.num, callback, exc_info=exception)


def call_on_kill(function: Callable[[], object], job: Job[Any]) -> BaseException | None:
    """Call what an ``on_kill`` block was given; what it raised is logged, by default in the job's output."""
    try:
        function()
    except BaseException as error:
        log = logging.getLogger("rjobs.job")
        log.error("what job %d has called on a kill raised: %r", job.num, function, exc_info=error)  # noqa: TRY400
        return error
    return None


def tidy_thread() -> None:
    """Leave of asyncio what a new thread has: no event loop that runs or is the current one, and no hooks."""
    if sys.get_asyncgen_hooks() != (None, None):
        sys.set_asyncgen_hooks(None, None)
    events: Any = sys.modules.get("asyncio.events")
    if is_in_loop():
        events._set_running_loop(None)  # noqa: SLF001
    # Asked for by its name, since `get_event_loop_policy` makes one, and warns from 3.14 on.
    policy = getattr(events, "_event_loop_policy", None)
    of_thread = getattr(policy, "_local", None)
    if of_thread is not None and vars(of_thread):
        vars(of_thread).clear()
