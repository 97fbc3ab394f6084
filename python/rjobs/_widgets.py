"""`with out:` of an ipywidgets `Output` in a job: what the job prints and displays there goes into the widget.

The widget itself has the front end catch the messages of a cell, that of whoever runs in the foreground. So in a job it
is filled here, by its `outputs`. ipywidgets is never imported here: it is hooked when somebody imports it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from rjobs import _late, _threads
from rjobs._rjobs import call_held, current_job
from rjobs._traceback import format_exception, shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import Job

__rjobs_internal__ = True

# Seconds between two messages to the front end: what is printed meanwhile goes with the next; and more for long text,
# which goes as a whole each time.
_INTERVAL, _PER_CHARACTER = 0.05, 1e-6
# Characters of one piece of text, and outputs, that a widget keeps; the oldest go first.
_MOST_TEXT, _MOST = 1 << 20, 1000

_undo: list[Callable[[], None]] = []
# Whether any widget was ever entered by a job: until then nobody looks further.
is_used = False


class _Entry:
    """One `with out:` of a job."""

    def __init__(self, job: Job[Any], widget: Any) -> None:
        self.job = job
        self.widget = widget
        self.is_open = True


# Those around here, the innermost last; tasks and threads that are started there are within as well.
_entries: contextvars.ContextVar[tuple[_Entry, ...]] = contextvars.ContextVar("rjobs.widgets", default=())
_takers: weakref.WeakKeyDictionary[Any, Taker] = weakref.WeakKeyDictionary()
# By the id of a display: the widget that shows it.
_displays: weakref.WeakValueDictionary[str, Taker] = weakref.WeakValueDictionary()


def install() -> None:
    """Hook ipywidgets, now or when it is imported."""
    if not _undo:
        _undo.append(_late.when_imported("ipywidgets.widgets.widget_output", "Output", _hook))


def uninstall() -> None:
    """Take the hook back."""
    while _undo:
        _undo.pop()()


def taker(owner: Job[Any] | None = None) -> Taker | None:
    """Give the widget that takes what the current job shows here; None where there is none, or the job is `owner`."""
    if not is_used:
        return None
    entries = _entries.get()
    if not entries:
        return None
    job = current_job()
    if job is None or job is owner:
        return None
    for entry in reversed(entries):
        if entry.is_open and entry.job is job:
            return taker_of(entry.widget)
    return None


def taker_of(widget: Any) -> Taker:
    """Give what fills a widget."""
    found = _takers.get(widget)
    return _takers.setdefault(widget, Taker(widget)) if found is None else found


def taker_of_display(display_id: str | None) -> Taker | None:
    """Give the widget that shows a display which is to be updated."""
    return _displays.get(display_id) if is_used and display_id is not None else None


def entries() -> tuple[_Entry, ...]:
    """Give what a thread that is started here is within."""
    return _entries.get() if is_used else ()


def enter(inherited: tuple[_Entry, ...]) -> None:
    """Be within what the thread that started this one was within."""
    if inherited:
        _entries.set(inherited)


class Taker:
    """Fills one widget, from jobs and in the order in which things come; sends to the front end now and then."""

    def __init__(self, widget: Any) -> None:
        self._widget = weakref.ref(widget)
        self._lock = threading.RLock()
        self._pending: list[Callable[[list[Any]], list[Any]]] = []
        # Where in the widget the displays are that can be updated.
        self._places: dict[str, int] = {}
        # `clear_output(wait=True)`: what comes next takes the place of all that is there.
        self._is_waiting = False
        self.pause = _INTERVAL

    def write(self, name: str, text: str) -> None:
        """Take text. Held, as all of these: a kill in between would leave it half done."""
        if text:
            call_held(self._put, functools.partial(self._add_text, name, text))

    def show(self, data: Any, metadata: Any, transient: Any) -> None:
        """Take a display."""
        display_id = (transient or {}).get("display_id")
        output = {"output_type": "display_data", "data": dict(data), "metadata": dict(metadata or {})}
        if display_id is not None:
            _displays[display_id] = self
        call_held(self._put, functools.partial(self._add, output, display_id))

    def update(self, data: Any, metadata: Any, transient: Any) -> None:
        """Take the update of a display."""
        output = {"output_type": "display_data", "data": dict(data), "metadata": dict(metadata or {})}
        call_held(self._put, functools.partial(self._replace, output, transient["display_id"]))

    def fail(self, exception: BaseException) -> None:
        """Take the traceback of an exception."""
        kind = type(exception).__name__
        text = format_exception(exception)
        evalue = text.rstrip().rpartition("\n")[2]
        output = {"output_type": "error", "ename": kind, "evalue": evalue, "traceback": text.splitlines()}
        call_held(self._put, functools.partial(self._add, output, None))

    def clear(self, *, wait: bool) -> None:
        """Forget all that is there, or have the next output take its place."""
        call_held(self._put, functools.partial(self._clear, wait))

    def flush(self) -> None:
        """Bring the widget up to date."""
        call_held(self._flush)

    def _put(self, step: Callable[[list[Any]], list[Any]]) -> None:
        with self._lock:
            self._pending.append(step)
        _flusher.look_after(self)

    def _flush(self) -> None:
        with self._lock:
            steps, self._pending = self._pending, []
            widget = self._widget()
            if not steps or widget is None:
                return
            outputs = list(widget.outputs)
            for step in steps:
                outputs = step(outputs)
            if len(outputs) > _MOST:
                del outputs[:-_MOST]
                self._places.clear()
            widget.outputs = tuple(outputs)
            length = sum(len(output["text"]) for output in outputs if output.get("output_type") == "stream")
            self.pause = _INTERVAL + _PER_CHARACTER * length

    def _place(self, outputs: list[Any]) -> list[Any]:
        if self._is_waiting:
            self._is_waiting = False
            self._places.clear()
            return []
        return outputs

    def _add(self, output: dict[str, Any], display_id: str | None, outputs: list[Any]) -> list[Any]:
        outputs = self._place(outputs)
        if display_id is not None:
            self._places[display_id] = len(outputs)
        return [*outputs, output]

    def _add_text(self, name: str, text: str, outputs: list[Any]) -> list[Any]:
        outputs = self._place(outputs)
        last = outputs[-1] if outputs else {}
        if last.get("output_type") == "stream" and last.get("name") == name:
            outputs, text = outputs[:-1], last["text"] + text
        return [*outputs, {"output_type": "stream", "name": name, "text": _without_overwritten(text)[-_MOST_TEXT:]}]

    def _replace(self, output: dict[str, Any], display_id: str, outputs: list[Any]) -> list[Any]:
        place = self._places.get(display_id, len(outputs))
        if place < len(outputs) and outputs[place].get("output_type") == "display_data":
            return [*outputs[:place], output, *outputs[place + 1 :]]
        return outputs

    def _clear(self, wait: bool, outputs: list[Any]) -> list[Any]:
        self._is_waiting = wait
        if wait:
            return outputs
        self._places.clear()
        return []


def _without_overwritten(text: str) -> str:
    """Leave out what a carriage return has the next text overwrite: a bar is drawn a thousand times."""
    if "\r" not in text:
        return text
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        *before, last = line.split("\r")
        lines.append(last if last or not before else f"{before[-1]}\r")
    return "\n".join(lines)


class _Flusher:
    """Sends what jobs have put into widgets, on a thread that lives for as long as there is something to send."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[Taker, None] = {}
        self._thread: threading.Thread | None = None

    def look_after(self, taker: Taker) -> None:
        """Have a widget brought up to date in a moment. Held by who calls."""
        with self._lock:
            self._due[taker] = None
            if self._thread is not None and self._thread.is_alive():
                return
            # In a context of nobody's, and as Python's own start, so that it works for no job.
            run = contextvars.Context().run
            thread = threading.Thread(target=run, args=(self._run,), name="rjobs-widgets", daemon=True)
            # The interpreter ends, or there are no threads: then the end of the `with` does it.
            with contextlib.suppress(RuntimeError):
                _threads._start(thread)  # noqa: SLF001
                self._thread = thread

    def _run(self) -> None:
        pause = _INTERVAL
        while True:
            time.sleep(pause)
            with self._lock:
                takers = list(self._due)
                self._due.clear()
                if not takers:
                    self._thread = None
                    return
            for each in takers:
                # A front end that is going away, or a widget that is closed.
                with contextlib.suppress(Exception):
                    each.flush()
            pause = max(each.pause for each in takers)
            del takers


_flusher = _Flusher()


def _hook(module: Any) -> None:
    """Have the widget know about jobs."""
    cls = module.Output
    makers = {
        "__enter__": _entering,
        "__exit__": _leaving,
        "_append_stream_output": _appending_text,
        "append_display_data": _appending_display,
    }
    before = {name: cls.__dict__[name] for name in makers}
    ours = {name: functools.wraps(before[name])(make(before[name])) for name, make in makers.items()}

    def unhook() -> None:
        for name, function in ours.items():
            # Somebody may have put one of their own on top: then ours stays beneath, where it passes through.
            if cls.__dict__.get(name) is function:
                setattr(cls, name, before[name])

    for name, function in ours.items():
        setattr(cls, name, function)
    _undo.append(unhook)


def _entering(original: Callable[..., Any]) -> Callable[..., Any]:
    def entered(self: Any) -> Any:
        global is_used  # noqa: PLW0603
        job = current_job()
        if job is None:
            return original(self)
        is_used = True
        _entries.set((*_entries.get(), _Entry(job, self)))
        return None

    return entered


def _leaving(original: Callable[..., Any]) -> Callable[..., Any]:
    def left(self: Any, etype: Any, evalue: Any, tb: Any) -> Any:
        around, job = _entries.get(), current_job()
        mine = [entry for entry in around if entry.widget is self and entry.job is job]
        if job is None or not mine:
            return original(self, etype, evalue, tb)
        # As the widget itself does it where there is a shell: it shows the error, and keeps it. But a kill goes on.
        is_shown = etype is not None and issubclass(etype, Exception) and shell() is not None
        try:
            if is_shown:
                taker_of(self).fail(evalue)
        finally:
            mine[-1].is_open = False
            _entries.set(tuple(entry for entry in around if entry is not mine[-1]))
            taker_of(self).flush()
        return True if is_shown else None

    return left


def _appending_text(original: Callable[..., Any]) -> Callable[..., Any]:
    def append_text(self: Any, text: str, stream_name: str) -> None:
        if current_job() is None:
            original(self, text, stream_name)
            return
        # Several jobs that do it at a time take nothing from each other.
        taker_of(self).write(stream_name, text)
        taker_of(self).flush()

    return append_text


def _appending_display(original: Callable[..., Any]) -> Callable[..., Any]:
    def append_display(self: Any, display_object: Any) -> None:
        here = shell()
        if current_job() is None or here is None:
            original(self, display_object)
            return
        data, metadata = here.display_formatter.format(display_object)
        taker_of(self).show(data, metadata, None)
        taker_of(self).flush()

    return append_display
