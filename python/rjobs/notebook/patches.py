"""Changes to objects that are not ours, kept in a list so that every one of them can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSENT: Final = object()


class Patches:
    """Attributes set on foreign objects and classes, with what was there before.

    `undo` restores an attribute only while our value is still in place: what somebody else has put
    there since is theirs, and stays.
    """

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []
        self._calls: list[Callable[[], object]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of an object, a class or a module."""
        # What the owner itself holds, not what it inherits: an inherited one comes back by deleting ours.
        before = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self._done.append((owner, name, value, before))

    def call_at_undo(self, function: Callable[[], object]) -> None:
        """Have `undo` call this, for what is no attribute."""
        self._calls.append(function)

    def undo(self) -> None:
        """Take all changes back, the last one first. Doing it twice is harmless."""
        while self._calls:
            self._calls.pop()()
        while self._done:
            owner, name, value, before = self._done.pop()
            if vars(owner).get(name, _ABSENT) is not value:
                continue
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
