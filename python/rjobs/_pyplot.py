"""The hooks on matplotlib: `pyplot`'s figures become those of the current job, or of whoever is no job.

matplotlib is never imported here: it is hooked when somebody imports it, and outside of jobs it is as it was.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rjobs import _figures, _late
from rjobs._rjobs import call_held, current_job

if TYPE_CHECKING:
    from collections.abc import Callable

__rjobs_internal__ = True

_undo: list[Callable[[], None]] = []


def install() -> None:
    """Hook matplotlib, now or when it is imported."""
    if not _undo:
        _undo.append(_late.when_imported("matplotlib._pylab_helpers", "Gcf", _hook_figures))
        _undo.append(_late.when_imported("matplotlib.pyplot", "_get_backend_mod", _hook_pyplot))
        _undo.append(_late.when_imported(_figures.INLINE, "flush_figures", _hook_inline))


def uninstall() -> None:
    """Take the hooks back."""
    while _undo:
        _undo.pop()()


class _FiguresOfAll(OrderedDict[Any, Any]):
    """In the place of `Gcf.figs`: the figures of the current job, outside of jobs those that were there before."""

    def __init__(self, outside: OrderedDict[Any, Any]) -> None:
        super().__init__()
        self.outside = outside

    def here(self) -> OrderedDict[Any, Any]:
        """Give those that are meant."""
        state = _figures.mine()
        return self.outside if state is None else state.figs

    def __setitem__(self, number: Any, manager: Any) -> None:
        figs = self.here()
        other = figs.get(number)
        if other is not None and other is not manager and getattr(manager, "num", None) == number:
            # A figure that was open elsewhere is made the active one here, where another one has its number.
            number = manager.num = max((each for each in figs if isinstance(each, int)), default=0) + 1
        figs[number] = manager

    def __reversed__(self) -> Any:
        return reversed(self.here())

    def __reduce__(self) -> Any:
        return OrderedDict, (list(self.here().items()),)


def _to_here(name: str) -> Callable[..., Any]:
    def method(self: _FiguresOfAll, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.here(), name)(*args, **kwargs)

    method.__name__ = name
    return method


_METHODS = """
    __getitem__ __delitem__ __contains__ __len__ __iter__ __eq__ __ne__ __repr__ __or__ __ror__ __ior__ get pop popitem
    keys values items clear update setdefault move_to_end copy
"""
for _name in _METHODS.split():
    setattr(_FiguresOfAll, _name, _to_here(_name))
_FiguresOfAll.__hash__ = None


def _hook_figures(helpers: Any) -> None:
    outside = helpers.Gcf.figs
    figures = _FiguresOfAll(outside)

    def unhook() -> None:
        if helpers.Gcf.figs is figures:
            helpers.Gcf.figs = outside

    helpers.Gcf.figs = figures
    _undo.append(unhook)


class _JobBackend:
    """A backend as jobs see it: it opens no windows, and shows figures by the job."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # Windows belong to the main thread.
        self._has_windows = bool(backend.FigureCanvas.required_interactive_framework)
        if self._has_windows:
            # Held: a kill in the midst of an import would leave the module broken.
            self._agg = call_held(importlib.import_module, "matplotlib.backends.backend_agg")
            self.FigureCanvas = self._agg.FigureCanvas
            self.draw_if_interactive = _nothing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def new_figure_manager(self, *args: Any, **kwargs: Any) -> Any:
        maker = self._agg if self._has_windows else self._backend
        return self._take(maker.new_figure_manager(*args, **kwargs))

    def new_figure_manager_given_figure(self, *args: Any, **kwargs: Any) -> Any:
        maker = self._agg if self._has_windows else self._backend
        return self._take(maker.new_figure_manager_given_figure(*args, **kwargs))

    def show(self, *_args: Any, close: bool | None = None, **_kwargs: Any) -> None:
        _figures.show_all(close)

    def _take(self, manager: Any) -> Any:
        state, figure = _figures.mine(), manager.canvas.figure
        # The inline backend says itself which it is to show at the end.
        if state is not None and not _is_inline(self._backend):
            state.to_draw.append(figure)
        manager.show = functools.partial(_figures.show_one, figure)
        return manager


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """What a backend without windows does about them."""


def _is_inline(backend: Any) -> bool:
    flush = getattr(sys.modules.get(_figures.INLINE), "flush_figures", None)
    return flush is not None and getattr(backend, "flush_figures", None) is flush


def _is_web(backend: Any) -> bool:
    """Whether its figures are widgets, as those of `%matplotlib widget`: they are displayed as any other widget is."""
    core = getattr(sys.modules.get("matplotlib.backends.backend_webagg_core"), "FigureCanvasWebAggCore", None)
    return core is not None and issubclass(backend.FigureCanvas, core)


def _hook_pyplot(pyplot: Any) -> None:
    original = pyplot._get_backend_mod  # noqa: SLF001
    lock = threading.RLock()
    made: list[_JobBackend] = []

    def resolve() -> Any:
        # The first figure chooses the backend, and jobs may come to that at the same time.
        with lock:
            return original()

    @functools.wraps(original)
    def get_backend() -> Any:
        if current_job() is None:
            return original()
        backend = pyplot._backend_mod  # noqa: SLF001
        if backend is None:
            # Held: a kill in the midst of an import would leave the module broken.
            backend = call_held(resolve)
        if _is_web(backend):
            return backend
        if not made or made[-1]._backend is not backend:  # noqa: SLF001
            made[:] = [_JobBackend(backend)]
        return made[-1]

    def unhook() -> None:
        if pyplot._get_backend_mod is get_backend:  # noqa: SLF001
            pyplot._get_backend_mod = original  # noqa: SLF001

    pyplot._get_backend_mod = get_backend  # noqa: SLF001
    _undo.append(unhook)


class _InlineShow:
    """In the place of the inline backend's `show`, which has in attributes what the end of a cell is to show."""

    _OF_A_RUN = ("_to_draw", "_draw_called")

    def __init__(self, original: Any) -> None:
        vars(self).update(rjobs_original=original, __wrapped__=original, __doc__=original.__doc__)

    def __call__(self, close: bool | None = None, block: Any = None) -> None:
        if _figures.mine() is None:
            vars(self)["rjobs_original"](close, block)
        else:
            _figures.show_all(close)

    def __getattr__(self, name: str) -> Any:
        state = _figures.mine() if name in self._OF_A_RUN else None
        return getattr(vars(self)["rjobs_original"], name) if state is None else getattr(state, name[1:])

    def __setattr__(self, name: str, value: Any) -> None:
        state = _figures.mine() if name in self._OF_A_RUN else None
        if state is None:
            setattr(vars(self)["rjobs_original"], name, value)
        else:
            setattr(state, name[1:], value)


def _hook_inline(inline: Any) -> None:
    original = inline.show
    show = _InlineShow(original)

    def unhook() -> None:
        if inline.show is show:
            inline.show = original

    inline.show = show
    _undo.append(unhook)
