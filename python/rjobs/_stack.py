"""Where a running job is now."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from rjobs._near import is_users
from rjobs._rjobs import _current_frames
from rjobs._traceback import shell

if TYPE_CHECKING:
    from types import FrameType

    from rjobs._rjobs import Job

__rjobs_internal__ = True

# Of a coroutine, a generator and an asynchronous generator.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")
_THREADS = __file__.replace("_stack.py", "_threads.py")

# Outermost first, each with its line.
_Frames = list[tuple["FrameType", int]]


def stack(job: Job[Any]) -> str:
    """Where a running job is now, as a formatted traceback, innermost call last; empty when it does not run."""
    ident = job.ident
    if ident is None or not job.running():
        return ""
    frames = _on_thread(ident)
    coroutine = job._coroutine  # noqa: SLF001
    if coroutine is not None:
        frames = _of_coroutine(coroutine, frames)
    else:
        # The thread's own beginning is not the job's.
        first = next((i for i, (frame, _line) in enumerate(frames) if frame.f_code.co_filename == _THREADS), -1)
        frames = frames[first + 1 :]
        coroutine = _in_loop_of_its_own(ident)
        if coroutine is not None:
            frames = _of_coroutine(coroutine, frames)
    # Looked at again: the thread may be another job's by now.
    if not job.running() or job.ident != ident:
        return ""
    users = next((i for i, (frame, _line) in enumerate(frames) if is_users(frame)), len(frames))
    return _formatted(frames[users:])


def _on_thread(ident: int) -> _Frames:
    frame = _current_frames().get(ident)
    frames = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    frames.reverse()
    return frames


def _in_loop_of_its_own(ident: int) -> Any:
    """Give the coroutine that a worker runs in an event loop of its own, if it does."""
    coroutines = sys.modules.get("rjobs._coroutines")
    return None if coroutines is None else coroutines.running.get(ident)


def _of_coroutine(coroutine: Any, on_thread: _Frames) -> _Frames:
    """Where a coroutine is: what it calls just now, or what it awaits."""
    first = getattr(coroutine, "cr_frame", None)
    inside = next((i for i, (frame, _line) in enumerate(on_thread) if frame is first), None)
    if first is not None and inside is not None:
        return on_thread[inside:]
    frames = []
    while coroutine is not None:
        frame = next((f for f in (getattr(coroutine, name, None) for name in _FRAMES) if f is not None), None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        coroutine = next((c for c in (getattr(coroutine, name, None) for name in _AWAITED) if c is not None), None)
    return frames


def _formatted(frames: _Frames) -> str:
    summary = traceback.StackSummary.extract(iter(frames))
    compiler = getattr(shell(), "compile", None)
    name_of = getattr(compiler, "format_code_name", None)
    parts = []
    for entry in summary:
        text = summary.format_frame_summary(entry)
        # As IPython names its cells, whose files are nowhere.
        name = None if name_of is None else name_of(entry.filename)
        if name is not None:
            text = text.replace(f'File "{entry.filename}"', " ".join(name), 1)
        parts.append(text)
    return "".join(parts)
