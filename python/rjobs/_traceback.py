"""Tracebacks as text: IPython's own machinery where there is a shell, the standard library's elsewhere."""

from __future__ import annotations

import copy
import sys
import traceback
from typing import TYPE_CHECKING, Any

from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from types import TracebackType


def shell() -> Any | None:
    """Give the running IPython shell, or None. Never imports IPython: one that is not loaded has none."""
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    return None if get_ipython is None else get_ipython()


def format_exception(exc: BaseException) -> str:
    """Format an exception with its traceback, as the user's shell would show it.

    Never raises an `Exception`: what IPython cannot format the standard library formats,
    and what that cannot is at least named.
    """
    tb = exc.__traceback__
    try:
        text = _by_ipython(exc, tb)
    except JobKilled:
        raise
    except BaseException:  # noqa: BLE001 - whatever goes wrong in there, the user still gets a traceback
        text = None
    if text is None:
        try:
            text = "".join(traceback.format_exception(type(exc), exc, tb))
        except JobKilled:
            raise
        except BaseException:  # noqa: BLE001 - `__cause__` and the notes are under the control of user code
            text = f"{type(exc).__name__} (its traceback cannot be formatted)"
    return text.rstrip("\n") + "\n"


def summary(exc: BaseException) -> str:
    """Give the type and the message of an exception; an exception that cannot be shown is only named."""
    try:
        message = str(exc)
    except JobKilled:
        raise
    except BaseException:  # noqa: BLE001 - user code: a SystemExit of `__str__` must not end who looks at it
        message = "<str() failed>"
    name = type(exc).__name__
    return f"{name}: {message}" if message else name


def _by_ipython(exc: BaseException, tb: TracebackType | None) -> str | None:
    here = shell()
    if here is None or _has_group(exc):
        # IPython itself leaves exception groups to the standard library.
        return None
    if type(exc).__name__ == "UsageError" and type(exc).__module__.startswith("IPython."):
        return f"UsageError: {exc}"
    # A copy, because formatting leaves the traceback in the formatter, where `%debug` looks for the
    # last one of the user's own cells.
    if isinstance(exc, SyntaxError):
        formatter = copy.copy(here.SyntaxTB)
        lines = formatter.structured_traceback(type(exc), exc, traceback.extract_tb(tb))
    elif hasattr(exc, "_render_traceback_"):
        formatter = here.InteractiveTB
        lines = exc._render_traceback_()
    else:
        formatter = copy.copy(here.InteractiveTB)
        lines = formatter.structured_traceback(type(exc), exc, tb, tb_offset=0)
    text = formatter.stb2text(lines)
    return text if isinstance(text, str) else None


def _has_group(exc: BaseException | None) -> bool:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, BaseExceptionGroup):
            return True
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return False
