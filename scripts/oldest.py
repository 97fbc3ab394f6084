"""Puts the oldest IPython and ipykernel that rjobs supports into a folder, for the tests that compare kernels.

    python3 scripts/oldest.py        .venv/oldest-3.N/, for this interpreter

Pure Python packages over an environment that has all the rest: PYTHONPATH names the folder, and the same
interpreter starts an old kernel. That takes seconds and a few MB, where another environment takes a minute.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import envs
import interpreters

# What pyproject.toml asks for at least, in the last release of that line, and what these need that newer ones do not.
WANTED = ("ipykernel==6.29.5", "ipython==8.20.0", "decorator", "nest-asyncio")


def folder(tag: str) -> Path:
    """Where they are, for the interpreter with this tag ("3.12", "3.14t")."""
    return envs.VENVS / f"oldest-{tag}"


def ensure(python: Path, tag: str) -> Path:
    """Make the folder with this interpreter's pip, where it is missing or has other versions.

    Raises:
        subprocess.CalledProcessError: pip failed.
    """
    path = folder(tag)
    stamp = path / ".installed"
    if stamp.is_file() and stamp.read_text().split() == list(WANTED):
        return path
    print(f"making {path.relative_to(envs.ROOT)}", flush=True)
    shutil.rmtree(path, ignore_errors=True)
    pip = (python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    subprocess.run([*pip, "--no-deps", "--target", path, *WANTED], check=True)
    stamp.write_text("\n".join(WANTED))
    return path


if __name__ == "__main__":
    ensure(Path(sys.executable), interpreters.this()[0])
