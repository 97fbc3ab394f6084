"""How external commands ended, in a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rjobs import Job

__rjobs_internal__ = True


def exit_text(job: Job[Any]) -> str:
    """Say how a command ended that is done and did not end well: `exit 2`, `signal 9`; empty for all other jobs."""
    try:
        if job.pid is None or job.state != "done":
            return ""
        # Not `get()`: to look is not to be told.
        code = job.result.returncode
    except Exception:  # noqa: BLE001 - a display never breaks
        return ""
    if not isinstance(code, int) or code == 0:
        return ""
    return f"signal {-code}" if code < 0 else f"exit {code}"
