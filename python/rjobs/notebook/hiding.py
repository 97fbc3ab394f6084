"""`%job -q`: the magic gives its job, and the cell shows nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import Follow
from rjobs.notebook.following import show_follow

if TYPE_CHECKING:
    from types import CodeType, FrameType


class Hiding:
    """A displayhook in front of the shell's own that leaves out one value of the running cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._hook = shell.display_trap.hook
        # The hidden value, and the code of the statement that is not to show it.
        self._hidden: tuple[object, CodeType | None] | None = None

    def __call__(self, value: Any = None) -> Any:
        """Show a value as the shell does, except the hidden one."""
        if isinstance(value, Follow):
            # Here and not in its own display, which comes below `Out[3]:` in a terminal.
            if not self._hook.quiet():  # a `;` at the end of the cell
                show_follow(value)
            return None
        if self._hidden is not None and value is self._hidden[0]:
            code = self._hidden[1]
            self._hidden = None
            # Called by the interpreter for an expression statement of the cell. The shell compiles every
            # statement by itself, so another code means that another statement shows the value.
            if code is sys._getframe(1).f_code:  # noqa: SLF001
                return None
        return self._hook(value)

    def __getattr__(self, name: str) -> Any:
        """Be the shell's displayhook in everything else."""
        return getattr(self._hook, name)

    def hide(self, value: object) -> None:
        """Do not show this object once, as the value of the statement of the cell that is running now."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
        while frame is not None and frame.f_globals is not self._shell.user_global_ns:
            frame = frame.f_back
        self._hidden = value, None if frame is None else frame.f_code

    def forget(self) -> None:
        """End of the cell: what was not shown until now was assigned, and is shown when asked for."""
        self._hidden = None

    def install(self) -> None:
        """Take the shell's place as displayhook, in the running cell too."""
        self._shell.display_trap.hook = self
        if sys.displayhook is self._hook:
            sys.displayhook = self
        self._shell.events.register("post_execute", self.forget)

    def uninstall(self) -> None:
        """Give the shell its place back, unless somebody else has taken it."""
        self._shell.events.unregister("post_execute", self.forget)
        if self._shell.display_trap.hook is self:
            self._shell.display_trap.hook = self._hook
        if sys.displayhook is self:
            sys.displayhook = self._hook
