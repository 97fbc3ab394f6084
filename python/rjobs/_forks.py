"""Locks of this package's modules, in the child of a fork."""

from __future__ import annotations

import os

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__rjobs_internal__ = True


def in_child(call: Callable[[], object]) -> None:
    """Have ``call()`` called in each child of a fork, where there are forks."""
    register = getattr(os, "register_at_fork", None)
    if register is not None:
        register(after_in_child=call)


def renewed(lock: Any) -> Any:
    """Give ``lock`` back, to be a new one in each child of a fork: who holds it then is a thread that is not there."""
    in_child(lock._at_fork_reinit)  # noqa: SLF001
    return lock
