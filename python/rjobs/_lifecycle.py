"""The end of the interpreter: what rjobs does when the program has come to its end, in which order."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import atexit
import contextlib
import functools
import os
import sys
import threading
import time

from rjobs._rjobs import _at_exit, _at_last, _is_ending, _left_at_end, _wait_at_end, _watch_exit_code
from rjobs._stuck import spare

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

__rjobs_internal__ = True

_installed = False
_before_waiting: list[Callable[[], object]] = []
_before_ending: list[Callable[[], object]] = []
_after_ending: list[Callable[[], object]] = []

# Seconds after a signal in which no other is heard.
_DEAF = 2.0

# Modules that are a prompt when they are run by `python -m`, and take back what says so when they end.
_PROMPTS = ("asyncio.__main__", "code")


def install() -> None:
    """Register the exit hooks, once in a process."""
    global _installed  # noqa: PLW0603
    if _installed:
        return
    _installed = True
    atexit.register(_last)
    _register(_end)
    _come_first()
    if threading.current_thread() is threading.main_thread():
        _watch_exit_code()


def before_waiting(hook: Callable[[], object]) -> None:
    """Have `hook()` called when the program has come to its end, before its jobs are waited for."""
    _before_waiting.append(hook)


def before_ending(hook: Callable[[], object]) -> None:
    """Have `hook()` called when no job is waited for any more, before those that are left are ended."""
    _before_ending.append(hook)


def after_ending(hook: Callable[[], object]) -> None:
    """Have `hook()` called when the jobs that were left have been ended."""
    if hook not in _after_ending:
        _after_ending.append(hook)


def _register(hook: Callable[[], object]) -> None:
    # threading's hooks run before it joins threads and before anything is finalized; atexit's run after that. The
    # former is private (concurrent.futures uses it), so the latter stands by.
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(hook)
    except RuntimeError:
        # "can't register atexit after shutdown": a manager made by code that runs at exit.
        atexit.register(hook)


def _come_first() -> None:
    """Have `_end` called before all hooks of `threading`, also those of modules that are imported later.

    The newest hook is called first, and those of `concurrent.futures` and loky close what jobs still use, or wait for
    what only the end of the jobs ends. A module may be imported by a job at any moment, so no place in the list of
    hooks is a safe one. What the interpreter calls at its end is looked up then: it begins with ours.
    """
    shutdown = getattr(threading, "_shutdown", None)
    if not callable(shutdown):
        return

    @functools.wraps(shutdown)
    def end_and_shut_down() -> None:
        _end()
        shutdown()

    threading._shutdown = end_and_shut_down  # type: ignore[attr-defined]  # noqa: SLF001


def _end() -> None:
    """What the interpreter calls, by `threading`, when the main thread has come to its end."""
    if _is_ending():
        return
    interrupted: BaseException | None = None
    with _signals:
        try:
            for hook in reversed(_before_waiting):
                hook()
            _wait_at_end()
        except BaseException as error:  # noqa: BLE001 - Ctrl-C, or what a handler of the program's raises
            interrupted = error
        _signals.hush()
        _end_jobs(interrupted)
    if interrupted is None:
        return
    # One that is there to end the program has done so; but where Python waits for threads next, it ends that as well.
    if has_other_threads() or not isinstance(interrupted, (KeyboardInterrupt, SystemExit)):
        raise interrupted.with_traceback(None)


def _last() -> None:
    """What `atexit` calls when the threads have ended that are no daemons: until then they may go on with jobs."""
    if not _is_ending():
        # The hook was cut short before it had begun, by Ctrl-C in `threading`.
        with _signals:
            _signals.hush()
            _end_jobs(KeyboardInterrupt())
    _signals.ignore()
    stuck = _at_last(_usual_code())
    if stuck:
        spare(stuck)


def _usual_code() -> int:
    """With which code the program ends where it does so by no SystemExit; -2 is by Ctrl-C."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None or is_interactive():
        return 0
    return -int(_signal.SIGINT) if isinstance(error, KeyboardInterrupt) else 1


def _end_jobs(interrupted: BaseException | None) -> None:
    left = _left_at_end() if interrupted is not None else 0
    if left:
        jobs = "1 job was ended before it was done" if left == 1 else f"{left} jobs were ended before they were done"
        why = f"{type(interrupted).__name__} while the end of the program waited"
        # Where there is none, or nobody reads it any more, nobody can be told.
        with contextlib.suppress(Exception):
            sys.stderr.write(f"rjobs: {jobs} ({why})\n")
            sys.stderr.flush()
    for hook in reversed(_before_ending):
        hook()
    _at_exit()
    for hook in _after_ending:
        hook()


class _Signals:
    """Handlers of signals while the program ends: from the first that raises on they are not called for two seconds.

    That is more than the end takes, and whoever presses Ctrl-C again and again is not to cut short what that does.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._deaf_until = 0.0
        self._came = False

    def __enter__(self) -> None:
        for number in (_signal.SIGINT, _signal.SIGTERM):
            handler = _signal.getsignal(number)
            # Only the main thread may, and only in the main interpreter.
            with contextlib.suppress(ValueError):
                if callable(handler):
                    self._before[number] = handler
                    _signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() < self._deaf_until:
            return
        try:
            self._before[number](number, frame)
        except BaseException:
            self._came = True
            self.hush()
            raise

    def hush(self) -> None:
        """Let none of them raise just now."""
        self._deaf_until = time.monotonic() + _DEAF

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            if not self._came and _signal.getsignal(number) == self._handle:
                _signal.signal(number, handler)

    def ignore(self) -> None:
        """At the very last, if one came: Python sets handlers back to what ends the process."""
        for number in self._before:
            if self._came and _signal.getsignal(number) == self._handle:
                _signal.signal(number, _signal.SIG_IGN)


_signals = _Signals()


def has_other_threads() -> bool:
    """Whether there are threads that Python waits for at the end of the program, besides the calling one."""
    here = threading.current_thread()
    main = threading.main_thread()
    return any(not (thread.daemon or thread is here or thread is main) for thread in threading.enumerate())


def forget_this_thread() -> None:
    """Have `threading` forget the calling thread, which it did not start: up to 3.12 it never would."""
    here = threading.get_ident()
    with threading._active_limbo_lock:  # type: ignore[attr-defined]  # noqa: SLF001
        known: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(known.get(here), threading._DummyThread):  # noqa: SLF001
            del known[here]


def are_gone() -> bool:
    """Whether the threads of all managers have ended, but for those that are in a job."""
    here = threading.current_thread()
    # By what they have, since the module of their class imports this one.
    return not any(
        getattr(thread, "rjobs_job", here) is None and thread is not here and thread.is_alive()
        for thread in threading.enumerate()
    )


def is_daemon() -> bool:
    """Whether the calling thread is one that the end of the interpreter does not wait for."""
    return threading.current_thread().daemon


def is_interactive() -> bool:
    """Whether somebody works at a prompt: a kernel, IPython, `python -i` or Python's own prompt, now or next."""
    if _is_child():
        return False
    if sys.flags.interactive:
        return True
    if hasattr(sys, "ps1"):
        return not _runs_a_file_by_ipython()
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if getattr(main, "name", None) in _PROMPTS:
        return True
    # As Python looks when it has come to the end of a script.
    inspects = sys.flags.inspect or (not sys.flags.ignore_environment and os.environ.get("PYTHONINSPECT"))
    try:
        return bool(inspects) and sys.stdin.isatty()
    except (AttributeError, ValueError, OSError):
        return False


def _is_child() -> bool:
    """Whether it is a process of `multiprocessing`: it may be forked from one with a prompt, and has none itself."""
    process: Any = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _runs_a_file_by_ipython() -> bool:
    """`ipython script.py`, or with `-c` or `-m`: a shell without a prompt."""
    traitlets: Any = sys.modules.get("traitlets.config.application")
    if traitlets is None or not traitlets.Application.initialized():
        return False
    return getattr(traitlets.Application._instance, "interact", True) is False  # noqa: SLF001
