"""``python -m rjobs``: what a bug report needs, above all which guards are in force here, and why others are not."""

from __future__ import annotations

import platform
import sys
import sysconfig
from importlib import metadata
from typing import Any

from rjobs import __version__, _rjobs
from rjobs._rjobs import _guards, _guards_aside, _set_guards

_LIBRARIES = ("ipython", "ipykernel", "anywidget", "tqdm", "numpy", "pyzmq", "gevent", "eventlet")
_WIDTH = 120
_WHEN = {
    "import": "put in force by `import rjobs`",
    "jobs": "put in force by the first job",
    "off": "never put in force: a kill sends an exception, and calls that wait go on until they return",
}


def _about_python() -> str:
    parts = [platform.python_implementation(), platform.python_version()]
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        has_gil: Any = getattr(sys, "_is_gil_enabled", lambda: True)
        parts.append("free-threaded, with the GIL" if has_gil() else "free-threaded")
    jit: Any = getattr(sys, "_jit", None)
    if jit is not None and jit.is_enabled():
        parts.append("with the JIT")
    return f"{' '.join(parts)} ({sys.executable})"


def _versions() -> str:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found) or "none of those that rjobs looks for"


def _by_owner(names: list[str]) -> list[str]:
    """Put the functions of one module or type on one line, or on a few."""
    owners: dict[str, list[str]] = {}
    for name in sorted(names):
        owner, _, function = name.rpartition(".")
        owners.setdefault(owner, []).append(function)
    lines = []
    for owner, functions in owners.items():
        line = f"  {owner}:"
        for function in functions:
            if len(line) + len(function) > _WIDTH:
                lines.append(line)
                line = "   "
            line += f" {function}"
        lines.append(line)
    return lines


def report() -> str:
    """Say which version runs where, and which functions are guarded."""
    if _guards_aside()[0] != "off":
        # As the first job does.
        _set_guards(True)
    mode, can_wake, aside = _guards_aside()
    names = _guards()
    lines = [
        f"rjobs {__version__} ({_rjobs.__file__})",
        f"Python: {_about_python()}",
        f"platform: {platform.platform()}",
        f"libraries: {_versions()}",
        f"RJOBS_GUARDS: {mode} ({_WHEN[mode]})",
        f"calls that wait in the system: {'can be ended' if can_wake else 'cannot be ended here'}",
        f"guards in force: {len(names)}",
        *_by_owner(names),
    ]
    if mode != "off":
        lines += [f"not guarded: {len(aside)}", *(f"  {name}: {why}" for name, why in aside)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())  # noqa: T201
