"""What workers call. It imports nothing and is loaded with the first manager: no worker imports at the end."""

from __future__ import annotations

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from rjobs._rjobs import Job

# Frames of modules that say so are ours: `trim` cuts them off.
__rjobs_internal__ = True


def nothing() -> None:
    """Do nothing: any bytecode lets an exception that was set for this thread arrive."""


def trim(exception: BaseException) -> None:
    """Cut the frames that are ours off the top of an exception's traceback, if any frame is left then."""
    first = _first_of_user(exception.__traceback__)
    if first is not None and first is not exception.__traceback__:
        exception.__traceback__ = first


def _first_of_user(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None:
        names = traceback.tb_frame.f_globals
        is_asyncio = str(names.get("__name__", "")).partition(".")[0] == "asyncio"
        if not names.get("__rjobs_internal__") and not is_asyncio:
            return traceback
        traceback = traceback.tb_next
    return None


def exception_in_callback(job: Job[Any], callback: Callable[[Job[Any]], object], exception: BaseException) -> None:
    """Log what a done-callback raised, as ``concurrent.futures`` does."""
    # Loaded already: the extension's own records go there.
    import logging  # noqa: PLC0415

    logging.getLogger("rjobs.job").error("a done-callback of job %d raised: %r", job.num, callback, exc_info=exception)
