"""What makes a job's output the job's: hooks on the standard streams, on their threads, on ``input`` and tqdm.

Outside of jobs every hook passes through. They come with the first manager, and go with ``%unload_ext``.
"""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

from rjobs import _figures, _late, _pyplot, _streams, _threads, _tqdm, _troops, _widgets
from rjobs._rjobs import _current, adopt, call_held, current_job, refuse_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._rjobs import Aide, Job

__rjobs_internal__ = True

__all__ = ["hook_streams", "install", "refuse_input", "uninstall"]

_undo: list[Callable[[], None]] = []
# `_threads` keeps it for the workers, so it is imported before the hook is set.
_thread_start = _threads._start  # noqa: SLF001
_input = builtins.input


def install() -> None:
    """Hook the streams, redirections, ``Thread.start`` and ``input``, once."""
    global _input  # noqa: PLW0603
    if not _undo:
        threading.Thread.start = _start_for_job  # type: ignore[method-assign]
        _input = builtins.input
        builtins.input = _refusing_input
        _undo.append(_streams.unhook_streams)
        _undo.append(_streams.wrap_redirect(contextlib._RedirectStream))  # noqa: SLF001
        _undo.append(_put_back)
        _tqdm.install()
        _undo.append(_tqdm.uninstall)
        _pyplot.install()
        _undo.append(_pyplot.uninstall)
        _widgets.install()
        _undo.append(_widgets.uninstall)
        _undo.extend(_troops.watch())
    hook_streams()


def uninstall() -> None:
    """Take every hook back. A later manager installs them again."""
    while _undo:
        _undo.pop()()


def hook_streams() -> None:
    """Hook ``sys.stdout`` and ``sys.stderr`` as they are now, if they are not yet."""
    if _undo:
        _streams.hook_streams()
        _hook_event_loops()
        _late.look()


def _put_back() -> None:
    # Somebody may have put a wrapper of their own on top: then ours stays beneath, where it passes through.
    if threading.Thread.start is _start_for_job:
        threading.Thread.start = _thread_start  # type: ignore[method-assign]
    if builtins.input is _refusing_input:
        builtins.input = _input


@functools.wraps(_thread_start)
def _start_for_job(self: threading.Thread) -> None:
    job = current_job()
    if job is None:
        _thread_start(self)
        return
    # It may run an event loop, and be the first to.
    _hook_event_loops()
    aide = None
    if self.ident is None and not _troops.works_for_others(self):
        aide = _troops.enlisted(self, sys._getframe(1))  # noqa: SLF001
        _adopt_later(self, job, aide)
    # Held: on 3.11 a kill would find the newborn thread in the place of the job's, and in no version should it leave
    # `threading` half way through.
    try:
        call_held(_start_and_tell, self, aide)
    except BaseException:
        if aide is not None and self.ident is None:
            aide.end()
        raise


def _start_and_tell(thread: Any, aide: Aide | None) -> None:
    _thread_start(thread)
    if aide is not None:
        # What a join waits for: 3.11 and 3.12, 3.13, and later. It may have ended by now.
        for name in ("_tstate_lock", "_handle", "_os_thread_handle"):
            awaited = getattr(thread, name, None)
            if awaited is not None:
                aide.is_awaited_by(awaited)


def _adopt_later(thread: threading.Thread, job: Job[Any], aide: Aide | None) -> None:
    """Have the thread work for ``job`` when it runs."""
    run = thread.run
    within = _widgets.entries()
    # Taken out by the thread, whose frame is not to keep it: the interpreter may end before that does.
    handed_over = [job]
    del job

    def run_for_job() -> None:
        with contextlib.suppress(AttributeError):
            del thread.run
        if aide is None:
            adopt(handed_over.pop())
        else:
            aide.begin(handed_over.pop())
        _widgets.enter(within)
        try:
            if aide is None or not aide.is_one_piece():
                run()
            else:
                aide.call(run)
        except:  # noqa: E722
            # As threading's bootstrap does it, but while the thread still works for the job, and not for the job's end.
            if aide is None or not aide.was_killed():
                thread._invoke_excepthook(thread)  # type: ignore[attr-defined]  # noqa: SLF001
        finally:
            try:
                adopted = current_job()
                if adopted is not None:
                    _figures.thread_ends(adopted)
            finally:
                if aide is not None:
                    aide.end()
                adopt(None)

    # One that was started before cannot be started again, and says so.
    thread.run = run_for_job  # type: ignore[method-assign]


def _hook_event_loops() -> None:
    """Have callbacks that a job sends to another thread's event loop work for the job, once asyncio is loaded."""
    events = sys.modules.get("asyncio.base_events")
    loop: Any = getattr(events, "BaseEventLoop", None)
    if loop is None or hasattr(loop.call_soon_threadsafe, "rjobs_original"):
        return
    original = loop.call_soon_threadsafe

    @functools.wraps(original)
    def call_soon_threadsafe(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        job = current_job() if context is None else None
        if job is not None:
            context = contextvars.copy_context()
            context.run(_current.set, job)
        return original(self, callback, *args, context=context)

    def unhook() -> None:
        if loop.call_soon_threadsafe is call_soon_threadsafe:
            loop.call_soon_threadsafe = original

    call_soon_threadsafe.rjobs_original = original  # type: ignore[attr-defined]
    loop.call_soon_threadsafe = call_soon_threadsafe
    _undo.append(unhook)


@functools.wraps(_input)
def _refusing_input(prompt: object = "", /) -> str:
    refuse_input()
    return _input(prompt)
