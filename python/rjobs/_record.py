"""A job as plain data."""

from __future__ import annotations

import json
import logging
import traceback
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._rjobs import Job

__rjobs_internal__ = True

# Of a result that is no plain data, and of the output, this much is shown.
REPR_LIMIT = 1000
TAIL_LINES = 20


class Waited(NamedTuple):
    """What ``JobManager.wait`` returns: two lists of jobs, each in the order given."""

    done: list[Job[Any]]
    not_done: list[Job[Any]]


def to_dict(job: Job[Any]) -> dict[str, Any]:
    """Everything known of a job that JSON can hold."""
    state = job.state
    exception = _exception(job) if state not in ("queued", "running", "done") else None
    return {
        "num": job.num,
        "name": job.name,
        "state": state,
        "status": job.status,
        "strform": job.strform,
        "expression": job.expression,
        "result": _plain(job.result) if state == "done" else None,
        "exception": exception,
        "daemon": job.daemon,
        "timeout": job.timeout,
        "kill_pending": job.kill_pending,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
        "elapsed": job.elapsed,
        "cpu_time": job.cpu_time,
        "ident": job.ident,
        "native_id": job.native_id,
        "progress": _progress(job),
        "pid": job.pid,
        "tail": job.tail(TAIL_LINES),
        "output_dropped": job.output_dropped,
        "outputs": len(job.outputs),
    }


def _progress(job: Job[Any]) -> dict[str, Any] | None:
    progress = job.progress
    if not progress:
        return None
    return {name: getattr(progress, name) for name in ("done", "total", "unit", "desc", "rate", "eta")}


def _exception(job: Job[Any]) -> dict[str, Any] | None:
    try:
        exception = job.exception(0)
    except CancelledError as cancelled:
        exception = cancelled
    if exception is None:
        return None
    lines = traceback.TracebackException.from_exception(exception)
    return {
        "type": type(exception).__qualname__,
        "module": type(exception).__module__,
        "message": safe_text(exception, str),
        "traceback": "".join(lines.format()),
    }


def _plain(value: object) -> Any:
    try:
        # Round trip, so that what is returned is nobody's live object; NaN is no JSON.
        return json.loads(json.dumps(value, allow_nan=False))
    except Exception:  # noqa: BLE001  anything may happen in user code
        return safe_text(value, repr)


def safe_text(value: object, form: Callable[[object], str] = repr) -> str:
    """``repr(value)`` or ``str(value)``, cut to length; also where that raises."""
    try:
        text = form(value)
    except JobKilled:
        raise
    except BaseException as error:  # noqa: BLE001  user code: a SystemExit of a `repr` must not end who looks at it
        text = f"<{type(value).__qualname__} whose {form.__name__} raises {type(error).__qualname__}>"
    return text if len(text) <= REPR_LIMIT else text[: REPR_LIMIT - 1] + "…"


def log_error(message: str) -> None:
    """Say to the user what could not be done, as IPython's manager does."""
    logging.getLogger("rjobs").error(message)
