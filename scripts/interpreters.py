"""Finds the CPython interpreters of this machine that rjobs supports.

Looked at, in this order: the interpreter that runs this script, `python3.N` (and `python3.Nt`) on PATH, the versions
of pyenv. The first that starts and can make a virtual environment wins for its version.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = ("3.11", "3.12", "3.13", "3.14", "3.15")

# PyO3 supports the free-threaded build from this version on.
FIRST_FREE_THREADED = 14

PROBE = """
import json, sys, sysconfig, ensurepip, venv
gil = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(json.dumps([sys.implementation.name, sys.version_info[1], gil, getattr(sys, "_base_executable", sys.executable)]))
"""


def candidates() -> Iterator[Path]:
    """Every file that may be an interpreter, the most wanted first; some do not start or are too old."""
    yield Path(sys.executable)
    for version in WANTED:
        for name in (f"python{version}", f"python{version}t"):
            if found := shutil.which(name):
                yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # The shims of pyenv answer only for the versions selected, so its folders are read.
    yield from sorted(pyenv.glob("versions/3.*/bin/python"), reverse=True)


def probe(python: Path) -> tuple[str, Path] | None:
    """The tag ("3.12", "3.14t") and the real path of an interpreter, or None where it is none of ours."""
    try:
        run = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30, check=True)
        name, minor, free, base = json.loads(run.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    tag = f"3.{minor}{free}"
    if name != "cpython" or tag.removesuffix("t") not in WANTED or (free and minor < FIRST_FREE_THREADED):
        return None
    return tag, Path(base or python)


def find() -> dict[str, Path]:
    """Interpreters by tag, in the order of their versions."""
    found: dict[str, Path] = {}
    for python in candidates():
        if probed := probe(python):
            found.setdefault(*probed)
    return dict(sorted(found.items(), key=lambda item: (len(item[0].rstrip("t")), item[0])))


def this() -> tuple[str, Path]:
    """The interpreter that runs this script."""
    probed = probe(Path(sys.executable))
    if probed is None:
        sys.exit(
            f"rjobs needs CPython {WANTED[0]} to {WANTED[-1]} with the venv module (Debian: python3-venv); "
            f"{sys.executable} is {sys.version.split()[0]} or has no venv.\n"
            "Name another one: make PYTHON=/path/to/python3.12 ..."
        )
    return probed


if __name__ == "__main__":
    for tag, python in find().items():
        print(f"{tag:6} {python}")
