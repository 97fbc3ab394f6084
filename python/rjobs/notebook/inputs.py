"""`input()` and `getpass()` inside a job raise at once, in a kernel too, which replaces both in every cell."""

from __future__ import annotations

import functools
import getpass
from typing import TYPE_CHECKING, Any

from rjobs._capture import refuse_input

if TYPE_CHECKING:
    from collections.abc import Callable


def _guard(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def ask(*args: Any, **kwargs: Any) -> str:
        refuse_input()
        return function(*args, **kwargs)

    ask.rjobs_guards = function  # type: ignore[attr-defined]
    return ask


def _places(shell: Any) -> list[tuple[Any, str]]:
    kernel = getattr(shell, "kernel", None)
    places: list[tuple[Any, str]] = [(getpass, "getpass")]
    if kernel is not None:
        # For the time of a cell the kernel puts its own functions in place, and it keeps the ones from
        # before to put them back: with the extension loaded in a cell, these need the guard as well.
        places += [(kernel, name) for name in ("raw_input", "getpass", "_sys_raw_input", "_save_getpass")]
    return places


def install(shell: Any) -> None:
    """Guard every function that asks the user for input."""
    for owner, name in _places(shell):
        function = getattr(owner, name, None)
        if callable(function) and not hasattr(function, "rjobs_guards"):
            setattr(owner, name, _guard(function))


def uninstall(shell: Any) -> None:
    """Take the guards off, wherever the kernel has carried them meanwhile."""
    for owner, name in _places(shell):
        function = getattr(owner, name, None)
        if not hasattr(function, "rjobs_guards"):
            continue
        before = function.rjobs_guards  # type: ignore[union-attr]
        if getattr(before, "__self__", None) is owner:
            delattr(owner, name)  # the method of the class shows again
        else:
            setattr(owner, name, before)
