"""What a manager that was pickled becomes where it is loaded."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import JobManager

if TYPE_CHECKING:
    from rjobs._rjobs import ManagerView

__rjobs_internal__ = True

# By process: that of the parent of a fork is of no use to the child.
_managers: dict[int, JobManager] = {}


def manager() -> JobManager:
    """Give the manager of whoever loads: a notebook's `jobs`, else one of the process, made when first asked for."""
    notebook = sys.modules.get("rjobs.notebook")
    of_notebook: JobManager | None = notebook.manager() if notebook is not None else None
    if of_notebook is not None:
        return of_notebook
    known = _managers.get(os.getpid())
    if known is None or known.closed:
        known = _managers[os.getpid()] = JobManager()
    return known


def view(of_manager: JobManager, options: dict[str, Any]) -> ManagerView:
    """Give the manager under the same options."""
    return of_manager.options(**options)
