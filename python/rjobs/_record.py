"""A job as plain data, and where it is now."""

from __future__ import annotations

import json
import logging
import sys
import traceback
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
    from concurrent.futures import CancelledError  # noqa: PLC0415

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


def stack(job: Job[Any]) -> str:
    """Where a running job is now, as a formatted traceback, innermost call last; empty when it does not run."""
    coroutine = job._coroutine  # noqa: SLF001
    if coroutine is not None:
        return _suspended(job, coroutine)
    ident = job.ident
    frame = sys._current_frames().get(ident) if ident is not None and job.running() else None  # noqa: SLF001
    if frame is None or not job.running() or job.ident != ident:
        return ""
    frames = traceback.StackSummary.extract(traceback.walk_stack(frame))
    frames.reverse()
    # The thread's own beginning is not the job's.
    first = next((i for i, entry in enumerate(frames) if entry.filename == _THREADS), -1)
    return "".join(traceback.StackSummary.from_list(frames[first + 1 :]).format())


def _suspended(job: Job[Any], coroutine: Any) -> str:
    """Where a coroutine job is: what its coroutine awaits, or what it calls just now."""
    first = getattr(coroutine, "cr_frame", None)
    frames = []
    # On its thread, from the innermost frame out to that of its coroutine.
    frame = sys._current_frames().get(job.ident) if job.ident is not None else None  # noqa: SLF001
    while frame is not None and frame is not first:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    if frame is None or first is None:
        frames = []
        while coroutine is not None:
            frame = next((f for f in (getattr(coroutine, name, None) for name in _FRAMES) if f is not None), None)
            if frame is not None:
                frames.insert(0, (frame, frame.f_lineno))
            coroutine = next((c for c in (getattr(coroutine, name, None) for name in _AWAITED) if c is not None), None)
    else:
        frames.append((first, first.f_lineno))
    if not job.running():
        return ""
    return "".join(traceback.StackSummary.extract(reversed(frames)).format())


# Of a coroutine, a generator and an asynchronous generator.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")
_THREADS = __file__.replace("_record.py", "_threads.py")


def log_error(message: str) -> None:
    """Say to the user what could not be done, as IPython's manager does."""
    logging.getLogger("rjobs").error(message)
