"""`display()` inside a job: kept in `job.outputs` and shown where the user asks, never under another cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core import displaypub
from IPython.utils.capture import capture_output

from rjobs import _kept, current_job
from rjobs._kept import JobOutput, outputs_of

if TYPE_CHECKING:
    from rjobs.notebook.patches import Patches

__all__ = ["JobOutput", "install"]


def install(shell: Any, patches: Patches) -> None:
    """Make the shell's displays know about jobs."""
    publisher = shell.display_pub
    publish, clear_output = publisher.publish, publisher.clear_output
    # In a terminal a display is printed text, which reaches the job's output by itself.
    front_end = getattr(shell, "kernel", None) is not None

    def publish_or_keep(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return publish(data, metadata, *args, **kwargs)
        transient, update = kwargs.get("transient"), kwargs.get("update", False)
        if _kept.show(job, data, metadata, transient, update=update) and front_end:
            try:
                return publish(data, metadata, *args, **kwargs)
            except LookupError:
                # ipykernel 7.0 has no cell for threads that a job starts, and an update needs none.
                publisher._parent_header.set({})  # noqa: SLF001
                return publish(data, metadata, *args, **kwargs)
        return None

    def clear_shown_or_kept(*args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return clear_output(*args, **kwargs)
        _kept.clear(job, wait=bool(args[0] if args else kwargs.get("wait", False)))
        return None

    patches.set(publisher, "publish", publish_or_keep)
    patches.set(publisher, "clear_output", clear_shown_or_kept)
    _guard_captures(patches)
    if front_end:
        from rjobs.notebook import live  # noqa: PLC0415

        live.install(shell, patches)


def _guard_captures(patches: Patches) -> None:
    """Keep a job's displays out of what a cell captures (`%%capture`), and let a job capture its own.

    For the time of a capture IPython replaces the shell's display publisher and `sys.displayhook`. That
    is for the thread of the cells only: done by a job, it would take the values of cells away.
    """
    publisher: Any = displaypub.CapturingDisplayPublisher
    capture: Any = capture_output
    publish, clear_output = publisher.publish, publisher.clear_output
    enter, leave = capture.__enter__, capture.__exit__

    def publish_or_keep(self: Any, data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
        job = current_job()
        if job is None:
            return publish(self, data, metadata, *args, **kwargs)
        _kept.show(job, data, metadata, kwargs.get("transient"), update=kwargs.get("update", False))
        return None

    def clear_shown_or_kept(self: Any, wait: bool = False) -> Any:
        job = current_job()
        if job is None:
            return clear_output(self, wait)
        _kept.clear(job, wait=wait)
        return None

    def entered(self: Any) -> Any:
        job = current_job()
        if job is None or not self.display:
            return enter(self)
        self.display = False
        try:
            captured = enter(self)
        finally:
            self.display = True
        captured._outputs = []  # noqa: SLF001 - where IPython itself puts them
        self.rjobs_capture = id(outputs_of(job)), captured._outputs  # noqa: SLF001
        _kept.captures.append(self.rjobs_capture)
        return captured

    def left(self: Any, *exception: Any) -> Any:
        capture = vars(self).pop("rjobs_capture", None)
        if capture is not None:
            _kept.captures[:] = [other for other in _kept.captures if other[1] is not capture[1]]
        return leave(self, *exception)

    patches.set(publisher, "publish", publish_or_keep)
    patches.set(publisher, "clear_output", clear_shown_or_kept)
    patches.set(capture, "__enter__", entered)
    patches.set(capture, "__exit__", left)
