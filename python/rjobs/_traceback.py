"""Tracebacks as text: IPython's own machinery where there is a shell, the standard library's elsewhere."""

from __future__ import annotations

import copy
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, TracebackType


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
    return _with_arguments(text, exc, tb) if isinstance(text, str) else None


# What IPython shows where a frame has no variables any more, as those of a job that was ended.
_EMPTIED = re.compile(
    # After a space, or the sign of a colour.
    r"(?:(?<=\s)|(?<=\dm))(?P<name>[^\W\d][\w.<>]*|<\w+>)(?P<color>(?:\x1b\[[\d;]*m)*)"
    r"\(\*\*\*failed resolving arguments\*\*\*\)"
)


def _with_arguments(text: str, exc: BaseException, tb: TracebackType | None) -> str:
    """Name the arguments of functions as IPython does, by their code."""
    if "***failed resolving arguments***" not in text:
        return text
    known: dict[str, str] = {}
    for link in _chain(exc):
        for frame, _ in traceback.walk_tb(tb if link is exc else link.__traceback__):
            known[frame.f_code.co_name] = ", ".join(_arguments(frame.f_code))

    def named(found: re.Match[str]) -> str:
        function = found["name"].rpartition(".")[2]
        return f"{found['name']}{found['color']}({known.get(function, '...')})"

    return _EMPTIED.sub(named, text)


def _arguments(code: CodeType) -> list[str]:
    plain = code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames[:plain])
    # `inspect.CO_VARARGS` and `CO_VARKEYWORDS`; that module takes long to import.
    for flag, stars in ((0x04, "*"), (0x08, "**")):
        if code.co_flags & flag:
            names.append(stars + code.co_varnames[plain])
            plain += 1
    return names


def _has_group(exc: BaseException) -> bool:
    return any(isinstance(link, BaseExceptionGroup) for link in _chain(exc))


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it came of, the newest first."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        yield exc
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
