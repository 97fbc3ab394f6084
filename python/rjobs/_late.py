"""What is done to other libraries' modules when somebody imports them: now, or at the end of their import.

Nothing is imported here, and modules that nobody imports cost nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__rjobs_internal__ = True

# What waits for a module, by its name; each with an attribute that the module has when it is complete.
_waiting: dict[str, list[tuple[str, Callable[[ModuleType], None]]]] = {}


def when_imported(name: str, attribute: str, hook: Callable[[ModuleType], None]) -> Callable[[], None]:
    """Call ``hook(module)`` when the module of that name has been executed, or now; returns what takes that back.

    ``attribute`` is one that the module has at its end: without it, it is being imported just now.
    """
    entry = (attribute, hook)
    _waiting.setdefault(name, []).append(entry)
    look()
    if _waiting and _finder not in sys.meta_path:
        # First, since the finders behind it find the modules.
        sys.meta_path.insert(0, _finder)

    def forget() -> None:
        entries = _waiting.get(name, [])
        if entry in entries:
            entries.remove(entry)
        _tidy(name)

    return forget


def look() -> None:
    """See whether a module is there by now whose import was not seen: it had begun before."""
    for name in list(_waiting):
        module = sys.modules.get(name)
        if module is not None:
            _call(name, module)


def _call(name: str, module: ModuleType) -> None:
    for entry in _waiting.get(name, [])[:]:
        attribute, hook = entry
        if hasattr(module, attribute):
            _waiting[name].remove(entry)
            hook(module)
    _tidy(name)


def _tidy(name: str) -> None:
    if not _waiting.get(name):
        _waiting.pop(name, None)
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


class _Finder:
    """Finds no module, and waits for some: has them executed with a look at them after it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        for finder in sys.meta_path[:]:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                _wrap(spec.loader, name)
                return spec
        return None


_finder = _Finder()


def _wrap(loader: Any, name: str) -> None:
    execute = getattr(loader, "exec_module", None)
    # Loaders that are classes serve all modules of their kind; what cannot be hooked is seen by the next `look`.
    if execute is None or isinstance(loader, type) or not hasattr(loader, "__dict__"):
        return

    def exec_module(module: ModuleType) -> None:
        # One loader may serve several modules, as that of a zip file does.
        if getattr(module, "__name__", None) == name and vars(loader).get("exec_module") is exec_module:
            del loader.exec_module
        execute(module)
        if getattr(module, "__name__", None) == name:
            _call(name, module)

    loader.exec_module = exec_module
