"""The hooks on standard streams: what a job writes goes to the job, everything else passes through.

No stream is replaced. A hook is set on the stream object itself, before its own ``write``, so everything else about it
(``isatty``, ``fileno``, ``encoding``, ``isinstance``) stays, and whoever kept a reference to it (a logging handler, a
progress bar) is hooked as well.

The hooks are Python functions and not the extension's: a thread that writes while the interpreter ends is ended by
CPython (up to 3.13) by unwinding its stack, and that must find no frame of Rust's.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from rjobs import _widgets
from rjobs._rjobs import Job, current_job, forget_streams, job_write, job_write_bytes

__rjobs_internal__ = True

_NAMES = ("stdout", "stderr")
_MISSING = object()
# (the object, the attribute, what was in its instance dict before), in the order they were hooked.
_hooked: list[tuple[weakref.ref[Any], str, Any]] = []

Hook = Callable[..., Any]

# Set on a thread whose job echoes, while text that the job has got already goes on to the binary stream.
_passing = threading.local()


class Redirect(NamedTuple):
    """A stream that a job put in the place of a standard one, for its own text; others' goes where it went before."""

    owner: Job[Any]
    before: Any


def hook_streams() -> None:
    """Hook ``sys.stdout`` and ``sys.stderr`` as they are now, if they are not yet."""
    for name in _NAMES:
        hook_stream(getattr(sys, name, None), name=name)


def hook_stream(stream: Any, redirect: Redirect | None = None, *, name: str = "stdout") -> None:
    """Hook one stream, with the binary stream beneath it where it has one (ipykernel's has none)."""
    _hook(stream, "write", redirect, functools.partial(_text, name=name))
    _hook(stream, "flush", redirect, _flush)
    buffer = getattr(stream, "buffer", None)
    _hook(buffer, "write", redirect, functools.partial(_bytes, name=name))
    _hook(buffer, "flush", redirect, _flush)


def unhook_stream(stream: Any) -> None:
    """Take the hooks back from one stream."""
    targets = (stream, getattr(stream, "buffer", None))
    _take_back(lambda target: any(target is one for one in targets if one is not None))


def unhook_streams() -> None:
    """Take every hook back."""
    _take_back(lambda _target: True)
    forget_streams()


def wrap_redirect(redirect: type) -> Callable[[], None]:
    """Have a context manager that replaces standard streams hook the new ones; returns what undoes that.

    A job that runs prints into its own output, also while somebody else captures theirs; a job that captures its own
    text gets it.
    """
    enter, leave = redirect.__enter__, redirect.__exit__  # type: ignore[attr-defined]

    @functools.wraps(enter)
    def entered(self: Any) -> Any:
        before = [getattr(sys, name, None) for name in _NAMES]
        result = enter(self)
        owner = current_job()
        fresh = []
        for name, old in zip(_NAMES, before, strict=True):
            stream = getattr(sys, name, None)
            if stream is not old and not is_hooked(stream):
                hook_stream(stream, Redirect(owner, old) if owner is not None else None, name=name)
                fresh.append(stream)
        # Kept on the manager, which may be entered more than once.
        vars(self).setdefault("_rjobs_hooked", []).append(fresh)
        return result

    @functools.wraps(leave)
    def left(self: Any, *exception: Any) -> Any:
        try:
            return leave(self, *exception)
        finally:
            stack = vars(self).get("_rjobs_hooked")
            for stream in stack.pop() if stack else ():
                if all(stream is not getattr(sys, name, None) for name in _NAMES):
                    unhook_stream(stream)

    def unwrap() -> None:
        # Somebody may have put a wrapper of their own on top: then ours stays beneath.
        if redirect.__enter__ is entered:  # type: ignore[attr-defined]
            redirect.__enter__ = enter  # type: ignore[attr-defined]
        if redirect.__exit__ is left:  # type: ignore[attr-defined]
            redirect.__exit__ = leave  # type: ignore[attr-defined]

    redirect.__enter__ = entered  # type: ignore[attr-defined]
    redirect.__exit__ = left  # type: ignore[attr-defined]
    return unwrap


def is_hooked(stream: Any) -> bool:
    """Whether a job's text that is written to this stream goes to the job."""
    return hasattr(getattr(stream, "write", None), "rjobs_original")


def _hook(target: Any, attribute: str, redirect: Redirect | None, make: Callable[..., Hook]) -> None:
    original = getattr(target, attribute, None)
    if original is None or hasattr(original, "rjobs_original"):
        return
    # A stream without an instance dict or weak references is left alone: what jobs print there passes through.
    with contextlib.suppress(AttributeError, TypeError):
        reference = weakref.ref(target)
        tee = _beneath(original)
        if tee is None:
            before = vars(target).get(attribute, _MISSING)
            if before is _MISSING:
                original = _weakly(reference, getattr(type(target), attribute))
            setattr(target, attribute, make(original, redirect))
            _note(reference, attribute, before)
            return
        # IPython sets a `write` of its own for the time of a cell, and then puts back what was there: that is hooked
        # too, or the hook would be gone with the cell that made the first manager. The one on top goes with the cell;
        # without it a job's text would be stored as the cell's.
        if not hasattr(tee.cell_contents, "rjobs_original"):
            before = tee.cell_contents
            tee.cell_contents = make(before, redirect)
            _note(reference, attribute, _MISSING if getattr(before, "__self__", None) is target else before)
        setattr(target, attribute, make(original, redirect))


def _note(reference: weakref.ref[Any], attribute: str, before: Any) -> None:
    _hooked[:] = [entry for entry in _hooked if entry[0]() is not None]
    _hooked.append((reference, attribute, before))


def _weakly(reference: weakref.ref[Any], method: Hook) -> Hook:
    """Make a bound method that does not keep its object alive: a file that nobody holds is closed, and so flushed."""

    def bound(*args: Any, **kwargs: Any) -> Any:
        target = reference()
        # None where the stream dies in a cycle of garbage, and its finalizer flushes: there is nothing left to call.
        return None if target is None else method(target, *args, **kwargs)

    return functools.update_wrapper(bound, method, updated=())


def _beneath(write: Any) -> Any:
    """Find the cell in which IPython's ``_tee`` (from 9.0 on) keeps the ``write`` it stands before."""
    code, closure = getattr(write, "__code__", None), getattr(write, "__closure__", None)
    if code is None or closure is None or "_tee." not in getattr(write, "__qualname__", ""):
        return None
    return dict(zip(code.co_freevars, closure, strict=True)).get("original_write")


def _take_back(is_meant: Callable[[Any], bool]) -> None:
    kept = []
    for entry in reversed(_hooked):
        reference, attribute, before = entry
        target = reference()
        if target is None:
            continue
        if not is_meant(target):
            kept.append(entry)
            continue
        now = vars(target).get(attribute)
        on_top = getattr(now, "rjobs_original", None)
        tee = _beneath(on_top) or _beneath(now)
        if tee is not None:
            # In the middle of a cell: IPython's own is on top again, and puts back what was there.
            setattr(target, attribute, now if on_top is None else on_top)
            if hasattr(tee.cell_contents, "rjobs_original"):
                bound = getattr(type(target), attribute).__get__(target) if before is _MISSING else before
                tee.cell_contents = bound
        elif on_top is not None and before is _MISSING:
            delattr(target, attribute)
        elif on_top is not None:
            setattr(target, attribute, before)
    _hooked[:] = reversed(kept)


def _text(original: Hook, redirect: Redirect | None, *, name: str) -> Hook:
    owner, before = redirect or (None, None)

    def write(text: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _widgets.is_used and isinstance(text, str) and (taker := _widgets.taker(owner)) is not None:
            taker.write(name, text)
            return len(text)
        taken = job_write(text, owner)
        if taken:
            return len(text)
        if taken is None:
            return _pass_on(original, text, *args, **kwargs)
        if before is not None and current_job() is not owner:
            return before.write(text, *args, **kwargs)
        return original(text, *args, **kwargs)

    return _marked(write, original)


def _bytes(original: Hook, redirect: Redirect | None, *, name: str) -> Hook:
    owner, before = redirect or (None, None)
    before = getattr(before, "buffer", None)

    def write(data: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(_passing, "on", False):
            return original(data, *args, **kwargs)
        if _widgets.is_used and (taker := _widgets.taker(owner)) is not None:
            taker.write(name, bytes(memoryview(data)).decode(errors="replace"))
            return memoryview(data).nbytes
        length = job_write_bytes(data, owner)
        if length is not None:
            return length
        if before is not None and current_job() is not owner:
            return before.write(data, *args, **kwargs)
        return original(data, *args, **kwargs)

    return _marked(write, original)


def _flush(original: Hook, redirect: Redirect | None) -> Hook:
    owner = redirect.owner if redirect is not None else None

    def flush(*args: Any, **kwargs: Any) -> Any:
        job = current_job()
        # In a job there is nothing to flush, since nothing was written; and what others wrote must not be flushed on
        # the job's thread: it would pass the hook on the binary stream as the job's.
        if job is None or job is owner:
            return original(*args, **kwargs)
        return _pass_on(original, *args, **kwargs) if job.echo else None

    return _marked(flush, original)


def _pass_on(original: Hook, *args: Any, **kwargs: Any) -> Any:
    _passing.on = True
    try:
        return original(*args, **kwargs)
    finally:
        _passing.on = False


def _marked(hook: Hook, original: Hook) -> Hook:
    functools.update_wrapper(hook, original, updated=())
    hook.rjobs_original = original  # type: ignore[attr-defined]
    return hook
