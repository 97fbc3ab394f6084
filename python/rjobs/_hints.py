"""What an error can say more than what is wrong: what was probably meant. Loaded when there is such an error."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__rjobs_internal__ = True

# Words that are offered at most.
_MOST = 2
# Wrappers around a function that are looked into.
_DEEPEST = 20
_TAKES_ANY_KEYWORD = 0x08  # inspect.CO_VARKEYWORDS


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Give ``: did you mean 'x'?`` for the words that are like one, or nothing."""
    import difflib  # noqa: PLC0415 - for few

    likely = difflib.get_close_matches(word, list(words), _MOST)
    return f": did you mean {' or '.join(map(repr, likely))}?" if likely else ""


def keywords_not_taken(fn: Any, keywords: Iterable[str]) -> list[str]:
    """Give the keywords that a call of ``fn`` cannot take, for certain: none where that cannot be seen.

    The code itself is looked at: a signature may be that of a wrapped function, and the wrapper may take what that
    does not.
    """
    for _ in range(_DEEPEST):
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif isinstance(fn, type):
            make: Any = fn.__new__
            plain = type(fn) is type and make is object.__new__
            fn = fn.__init__ if plain else None  # type: ignore[misc]
        elif fn is not None and not hasattr(fn, "__code__") and not isinstance(fn, types.BuiltinFunctionType):
            # An object that is called.
            call = getattr(type(fn), "__call__", None)  # noqa: B004 - what it is called by
            fn = call if isinstance(call, types.FunctionType) else None
        else:
            break
    if isinstance(fn, types.FunctionType):
        code = fn.__code__
        if code.co_flags & _TAKES_ANY_KEYWORD:
            return []
        names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
        return [keyword for keyword in keywords if keyword not in names]
    if isinstance(fn, types.BuiltinFunctionType):
        return _not_taken_by_builtin(fn, keywords)
    return []


def _not_taken_by_builtin(fn: Any, keywords: Iterable[str]) -> list[str]:
    import inspect  # noqa: PLC0415 - for few

    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return []
    taken = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    names = {name for name, parameter in parameters.items() if parameter.kind in taken}
    return [keyword for keyword in keywords if keyword not in names]
