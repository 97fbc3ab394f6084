"""What makes a job's output the job's: hooks on the standard streams, on threads that jobs start, and on ``input``.

No stream is replaced. A hook is set on the stream object itself, before its own ``write``, so everything else about it
(``isatty``, ``fileno``, ``encoding``, ``isinstance``) stays, and whoever kept a reference to it (a logging handler, a
progress bar) is hooked as well. Outside of jobs a hook passes through.
"""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import functools
import sys
import threading
import weakref
from typing import Any

from rjobs._rjobs import StreamHook, _current, adopt, current_job, forget_streams, refuse_input

__rjobs_internal__ = True

__all__ = ["hook_streams", "install", "refuse_input", "uninstall"]

_installed = False
# (the object, the attribute, what was in its instance dict before), in the order they were hooked.
_hooked: list[tuple[weakref.ref[Any], str, Any]] = []
_MISSING = object()
_thread_start = threading.Thread.start
_input = builtins.input


def install() -> None:
    """Hook the streams, ``Thread.start`` and ``input``, once."""
    global _installed, _input  # noqa: PLW0603
    if not _installed:
        _installed = True
        threading.Thread.start = _start_for_job  # type: ignore[method-assign]
        _input = builtins.input
        builtins.input = _refusing_input
    hook_streams()


def uninstall() -> None:
    """Take every hook back. A later manager installs them again."""
    global _installed  # noqa: PLW0603
    if not _installed:
        return
    _installed = False
    # Somebody may have put a wrapper of their own on top: then ours stays beneath, where it passes through.
    if threading.Thread.start is _start_for_job:
        threading.Thread.start = _thread_start  # type: ignore[method-assign]
    if builtins.input is _refusing_input:
        builtins.input = _input
    while _hooked:
        reference, attribute, before = _hooked.pop()
        target = reference()
        if target is None or not isinstance(vars(target).get(attribute), StreamHook):
            continue
        if before is _MISSING:
            delattr(target, attribute)
        else:
            setattr(target, attribute, before)
    forget_streams()


def hook_streams() -> None:
    """Hook ``sys.stdout`` and ``sys.stderr`` as they are now, if they are not yet."""
    if not _installed:
        return
    for stream in (sys.stdout, sys.stderr):
        _hook(stream, "write", "text")
        _hook(stream, "flush", "flush")
        # Absent in ipykernel, and on streams that are text only.
        buffer = getattr(stream, "buffer", None)
        _hook(buffer, "write", "bytes")
        _hook(buffer, "flush", "flush")


def _hook(target: Any, attribute: str, kind: str) -> None:
    original = getattr(target, attribute, None)
    if original is None or isinstance(original, StreamHook):
        return
    # A stream without an instance dict or weak references is left alone: what jobs print there passes through.
    with contextlib.suppress(AttributeError, TypeError):
        before = vars(target).get(attribute, _MISSING)
        reference = weakref.ref(target)
        setattr(target, attribute, StreamHook(original, kind))
        _hooked[:] = [entry for entry in _hooked if entry[0]() is not None]
        _hooked.append((reference, attribute, before))


def _serves_others(thread: threading.Thread) -> bool:
    # A thread that runs an event loop works for whoever posts to it, and callbacks bring their own context.
    target = getattr(thread, "_target", None)
    return getattr(target, "__name__", "") == "run_forever"


@functools.wraps(_thread_start)
def _start_for_job(self: threading.Thread) -> None:
    job = current_job()
    if job is None or _serves_others(self):
        _thread_start(self)
        return
    if getattr(self, "_context", None) is not None or getattr(
        sys.flags, "thread_inherit_context", False
    ):
        # 3.14: the thread was given a context, or inherits ours, with the job in it.
        _thread_start(self)
        return
    run = self.run

    def run_for_job() -> None:
        del self.run
        try:
            adopt(job)
            run()
        except:  # noqa: E722
            # As threading's bootstrap does it, but while the thread still works for the job.
            self._invoke_excepthook(self)  # type: ignore[attr-defined]

    if hasattr(self, "_context"):
        # 3.14: otherwise start() makes an empty one, which is as good; but only this one has the job in it.
        context = contextvars.Context()
        context.run(_current.set, job)
        self._context = context
        _thread_start(self)
        return
    self.run = run_for_job  # type: ignore[method-assign]
    try:
        _thread_start(self)
    except BaseException:
        with contextlib.suppress(AttributeError):
            del self.run
        raise


@functools.wraps(_input)
def _refusing_input(prompt: object = "", /) -> str:
    refuse_input()
    return _input(prompt)
