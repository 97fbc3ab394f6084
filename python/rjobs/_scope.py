"""What the code at a place of the program can see: the variables of a frame, for code that runs elsewhere and later."""

from __future__ import annotations

import inspect
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import FrameType

_WORD = re.compile(r"[^\W\d]\w*")
# Names with which code looks at all variables of its frame.
LOOKERS = frozenset({"eval", "exec", "locals", "vars", "dir", "get_ipython", "breakpoint"})
# Scopes whose code runs just where it stands: what is around them is on the stack.
_RUN_IN_PLACE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})


class Scope(dict[str, Any]):
    """Variables of a function as they were, in front of a namespace that gets what is assigned.

    As a dictionary it has the variables of the function alone; to look up a name goes through all of it.
    """

    __slots__ = ("_behind", "_namespace")

    def __init__(
        self, variables: Mapping[str, Any], namespace: MutableMapping[str, Any], *behind: Mapping[str, Any]
    ) -> None:
        super().__init__(variables)
        self._namespace = namespace
        self._behind = (namespace, *behind)

    def __missing__(self, name: str) -> Any:
        for names in self._behind:
            try:
                return names[name]
            except KeyError:
                continue
        raise KeyError(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._namespace[name] = value
        self.pop(name, None)

    def __delitem__(self, name: str) -> None:
        if name in self:
            super().__delitem__(name)
        else:
            del self._namespace[name]


def is_live(frame: FrameType) -> bool:
    """Say whether what the frame has as its locals is a namespace, as in modules, classes and `exec`."""
    # A comprehension within such code has variables of its own: then the locals are made anew each time.
    return not frame.f_code.co_flags & inspect.CO_OPTIMIZED and frame.f_locals is frame.f_locals


def variables(frame: FrameType, namespace: object = None) -> tuple[dict[str, Any], FrameType]:
    """Give what code in the frame sees beside its globals, and the frame of the outermost scope that has any of it.

    Beyond that scope the variables are not on the stack. What runs in the `namespace` is no function either.
    """
    levels = []
    while frame.f_locals is not frame.f_globals and frame.f_locals is not namespace:
        level = dict(frame.f_locals)
        if not frame.f_code.co_flags & inspect.CO_OPTIMIZED and not is_live(frame):
            # A comprehension that is a part of a module's code: the module's own names may be among its locals.
            level = {name: value for name, value in level.items() if frame.f_globals.get(name, level) is not value}
        levels.append(level)
        around = _around(frame)
        if around is None:
            break
        frame = around
    return {name: value for level in reversed(levels) for name, value in level.items()}, frame


def _around(frame: FrameType) -> FrameType | None:
    """Give the frame of the scope around one that runs where it stands."""
    code, caller = frame.f_code, frame.f_back
    if code.co_flags & inspect.CO_OPTIMIZED and code.co_name not in _RUN_IN_PLACE:
        return None
    found = []
    while caller is not None:
        if any(each is code for each in caller.f_code.co_consts):
            found.append(caller)
        if not code.co_flags & inspect.CO_GENERATOR:
            break
        caller = caller.f_back
    # Who asks a generator for its next item may be anybody, and a function that calls itself is there several times.
    return found[0] if len(found) == 1 else None


def mentioned(names: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Give those of the variables that the code can mean: so a job keeps nothing alive that it cannot reach."""
    words = set(_WORD.findall(code if code.isascii() else unicodedata.normalize("NFKC", code)))
    if words & LOOKERS:
        return dict(names)
    return {name: names[name] for name in words & names.keys()}
