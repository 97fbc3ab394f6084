"""Installs the package that a folder holds into an empty environment and runs one job with it.

    python scripts/smoke.py dist

A wheel for this interpreter is taken where there is one, else the source distribution; nothing comes from an index
but the build requirements of the latter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

JOB = """
import rjobs
from importlib.resources import files
assert files("rjobs").joinpath("py.typed").is_file()
assert files("rjobs").joinpath("notebook", "panel", "link.js").is_file()
with rjobs.JobManager() as manager:
    assert manager.new(sum, range(5)).get(timeout=10) == 10
print("rjobs", rjobs.__version__, "works from", rjobs.__file__)
"""


def main(folder: Path) -> None:
    """Install and run; raises CalledProcessError when either fails."""
    wheels, archives = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    source = ["rjobs", "--no-index", "--find-links", folder] if wheels else archives[:1]
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = Path(place) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *source], check=True)
        subprocess.run([python, "-I", "-c", JOB], check=True, cwd=place)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
