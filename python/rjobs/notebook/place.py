"""Where a line of `%job` stands: in a cell, or in a function, whose variables it sees."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rjobs._scope import Scope, mentioned, variables

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import FrameType

__rjobs_internal__ = True

# Who calls magics for others: their variables are nobody's business.
_GO_BETWEENS = frozenset({"IPython", "rjobs"})


@dataclass(frozen=True, slots=True)
class Place:
    """The shell, and the namespaces of the code: its globals, its locals, and what gets its assignments."""

    shell: Any
    glob: dict[str, Any]
    loc: MutableMapping[str, Any]
    target: MutableMapping[str, Any]
    # The variables of the function that it is in.
    variables: dict[str, Any]

    def find(self, name: str) -> Any:
        """Give the value that the name has now, or raise KeyError."""
        try:
            return self.loc[name]
        except KeyError:
            return self.glob[name]


def where(shell: Any, code: str) -> Place:
    """Give the place of code that a magic was called with: its assignments go into the notebook, wherever it is."""
    glob, names = shell.user_global_ns, shell.user_ns
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None and _package(frame) in _GO_BETWEENS:
        frame = frame.f_back
    own: dict[str, Any] = {}
    behind: tuple[dict[str, Any], ...] = ()
    if frame is not None:
        own, _ = variables(frame, names)
        if frame.f_globals is not names and frame.f_globals is not glob:
            # In a module the line sees what the module has. At its top that comes first, as a function's variables do.
            is_top = frame.f_locals is frame.f_globals
            own, behind = (frame.f_globals, ()) if is_top else (own, (frame.f_globals,))
    if not own and not behind:
        return Place(shell, glob, names, names, {})
    own = mentioned(own, code)
    return Place(shell, glob, Scope(own, names, *behind), names, own)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
