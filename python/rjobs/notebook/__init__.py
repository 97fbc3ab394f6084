"""rjobs in IPython: what `%load_ext rjobs` loads. Imported by nothing else, since it needs IPython."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from rjobs.notebook.session import Session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from rjobs import JobManager

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

_sessions: dict[int, tuple[Any, Session]] = {}


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Load the extension into a shell: the variable `jobs`, `%job`, `%%job`, `%jobs`, and the hooks for output.

    Loading it twice changes nothing.
    """
    if id(ipython) not in _sessions:
        session = Session(ipython)
        session.load()
        _sessions[id(ipython)] = (ipython, session)


def manager() -> JobManager | None:
    """Give the manager that the magics use, in the shell that runs or else in the last; None without the extension."""
    _shell, session = _sessions.get(id(get_ipython()), (None, None))
    if session is None and _sessions:
        _shell, session = list(_sessions.values())[-1]
    return session.manager() if session is not None else None


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the extension out of a shell, leaving no trace; without it loaded, nothing happens.

    Jobs that run go on. A `jobs` variable that the user has bound to something else stays.
    """
    _shell, session = _sessions.pop(id(ipython), (None, None))
    if session is not None:
        session.unload()
