"""What a click in the panel does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rjobs import _news
from rjobs._safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import Job, JobManager

_NOTE = 200


def perform(manager: JobManager, request: dict[str, Any], note: Callable[[str], None]) -> None:
    """Do what a button asks for, without waiting for it; `note` tells the user what the table does not show."""
    kind = request.get("kind")
    if kind == "kill_all":
        _guarded(lambda: _kill_all(manager), note)
        return
    action = _ACTIONS.get(kind) if isinstance(kind, str) else None
    num = request.get("num")
    if action is None or not isinstance(num, int):
        return
    try:
        job = manager[num]
    except Exception:  # noqa: BLE001 - forgotten meanwhile: the next table does not have it
        note(f"Job {num} is not kept any more.")
        return
    if kind in _BLOCKING:
        # A stop waits for its grace, a retry may wait for a place in the queue.
        work = threading.Thread(
            target=_guarded, args=(lambda: action(job), note), name=f"rjobs panel {kind}", daemon=True
        )
        work.start()
    else:
        _guarded(lambda: action(job), note)


def _guarded(action: Callable[[], str | None], note: Callable[[str], None]) -> None:
    try:
        said = action()
    except Exception as error:  # noqa: BLE001 - it is the user's to know
        said = f"{type(error).__qualname__}: {error}"
    if said:
        note(one_line(said, _NOTE))


def _kill_all(manager: JobManager) -> None:
    for job in manager.running:
        _news.ask_to_end(job)
    manager.kill_all(timeout=0)


def _kill(job: Job[Any]) -> None:
    _news.ask_to_end(job)
    job.kill(timeout=0)


def _stop(job: Job[Any]) -> str | None:
    _news.ask_to_end(job)
    return None if job.stop() else f"Job {job.num} has not ended yet: it was asked to stop, and killed."


def _cancel(job: Job[Any]) -> str | None:
    _news.ask_to_end(job)
    return None if job.cancel() or job.done() else f"Job {job.num} runs already: it was not cancelled."


def _retry(job: Job[Any]) -> str | None:
    return f"Job {job.num} runs again, as job {job.retry().num}."


_ACTIONS: dict[str, Callable[[Job[Any]], str | None]] = {
    "kill": _kill,
    "stop": _stop,
    "cancel": _cancel,
    "retry": _retry,
}
_BLOCKING = ("stop", "retry")
