"""Bars of tqdm in jobs: they feed ``job.progress``.

Those that draw text go on doing so, into the job's output. Those of ``tqdm.notebook`` make no widget, which would come
up under some cell. tqdm is never imported here: it is hooked when somebody imports it, and outside of jobs its bars are
as they were.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rjobs import _late
from rjobs._rjobs import current_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs._rjobs import ProgressBar

__rjobs_internal__ = True

# Where the class is that all others derive from.
_MODULE = "tqdm.std"
_undo: list[Callable[[], None]] = []


def install() -> None:
    """Hook tqdm, now or when it is imported."""
    if _undo:
        return
    _undo.append(_late.when_imported(_MODULE, "tqdm", _hook))


def uninstall() -> None:
    """Take the hook back."""
    while _undo:
        _undo.pop()()


def _hook(std: Any) -> None:
    """Have the class make bars of another kind in jobs."""
    original = std.tqdm.__new__

    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        job = current_job()
        kind = _kind_for_jobs(std.tqdm, cls) if job is not None else None
        if job is None or kind is None:
            return original(cls, *args, **kwargs)
        bar = object.__new__(kind)
        bar._rjobs_bar = job._bar()  # noqa: SLF001
        # No thread that monitors them is started: that would work for this job for ever.
        with kind.get_lock():
            kind._instances.add(bar)  # noqa: SLF001
        return bar

    def unhook() -> None:
        if std.tqdm.__dict__.get("__new__") is hook:
            std.tqdm.__new__ = original

    hook = staticmethod(new)
    std.tqdm.__new__ = hook
    _undo.append(_kinds.clear)
    _undo.append(unhook)


# Made when first needed; as many as there are classes of bars.
_kinds: dict[type, type | None] = {}


def _kind_for_jobs(plain: Any, cls: Any) -> Any:
    """Give the class that stands in a job for ``cls``; None where its bars show themselves in a way of their own."""
    if issubclass(cls, _JobBar):
        return cls
    if cls not in _kinds:
        notebook = getattr(sys.modules.get("tqdm.notebook"), "tqdm_notebook", None)
        kind: type | None = None
        if cls.display is plain.display:
            kind = type(cls.__name__, (_JobBar, cls), {})
        elif notebook is not None and cls.display is notebook.display and cls.__init__ is notebook.__init__:
            kind = type(cls.__name__, (_JobBar, _NoWidget, cls), {"_rjobs_plain": plain})
        if kind is not None:
            kind.__module__, kind.__qualname__ = cls.__module__, cls.__qualname__
        _kinds[cls] = kind
    return _kinds[cls]


class _JobBar:
    """Reports whenever a bar is drawn."""

    # What tqdm's own class has.
    _rjobs_bar: ProgressBar | None
    n: float
    total: float | None
    desc: str
    unit: str
    unit_scale: float | bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if getattr(self, "dynamic_miniters", False):
            # Without the thread that monitors bars it would not notice that the work got slower.
            self.dynamic_miniters = False
            self.miniters = 0

    def display(self, *args: Any, **kwargs: Any) -> Any:
        self._report()
        return super().display(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        bar = self._rjobs_bar
        if bar is not None:
            if not getattr(self, "disable", True):
                self._report()
            bar.close()
            self._rjobs_bar = None
        super().close()  # type: ignore[misc]

    def _report(self) -> None:
        bar = self._rjobs_bar
        if bar is None:
            return
        scale = 1 if isinstance(self.unit_scale, bool) or not self.unit_scale else self.unit_scale
        total = self.total * scale if self.total is not None else None
        # It puts a colon behind a description for its own sake.
        desc = self.desc.removesuffix(": ") or None
        bar.report(max(self.n, 0) * scale, total, desc, self.unit.strip() or None)


class _NoWidget:
    """In front of the notebook's class: a bar without its widget."""

    _rjobs_plain: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("display", None)
        kwargs.pop("colour", None)
        kwargs["gui"] = True
        kwargs["disable"] = bool(kwargs.get("disable", False))
        self._rjobs_plain.__init__(self, *args, **kwargs)
        self.disp = _nothing
        if not kwargs["disable"]:
            # The others are drawn as soon as they are made.
            type(self).display(self)

    def display(self, *_args: Any, **_kwargs: Any) -> bool:
        return True

    def clear(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing was drawn."""

    def reset(self, total: float | None = None) -> None:
        self._rjobs_plain.reset(self, total=total)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """What a notebook's bar would do with its widget."""
