"""`%job -q`: the magic gives its job, and the cell shows nothing."""

from __future__ import annotations

import sys
from typing import Any


class Hiding:
    """A displayhook in front of the shell's own that leaves out one value of the running cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._hook = shell.display_trap.hook
        self._hidden: Any = None

    def __call__(self, value: Any = None) -> Any:
        """Show a value as the shell does, except the hidden one."""
        if value is not None and value is self._hidden:
            self._hidden = None
            return None
        return self._hook(value)

    def __getattr__(self, name: str) -> Any:
        """Be the shell's displayhook in everything else."""
        return getattr(self._hook, name)

    def hide(self, value: object) -> None:
        """Do not show this object once, when it is the value of the running cell."""
        self._hidden = value

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
