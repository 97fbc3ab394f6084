"""What `import rjobs` costs, and `%load_ext rjobs` on top of a running IPython.

Each figure is the median of fresh processes; the time is taken inside, around the one statement.

    python benches/imports.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

IMPORT = """
import time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began)
"""

LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "rjobs")
print(time.perf_counter() - began)
"""

CASES = {
    "import rjobs": IMPORT.format(module="rjobs"),
    "import concurrent.futures.thread": IMPORT.format(module="concurrent.futures.thread"),
    "%load_ext rjobs": LOAD,
}


def once(code: str, folder: str) -> float:
    """Milliseconds, in a fresh process; IPython's profile and history go to the folder."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=os.environ | {"IPYTHONDIR": folder},
    )
    return float(run.stdout.split()[-1]) * 1000


def main() -> None:
    """Run the rounds, interleaved, and print the table."""
    parser = argparse.ArgumentParser(description="What importing and loading rjobs costs.")
    parser.add_argument("--rounds", type=int, default=15, help="fresh processes for each (default 15)")
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name, code in CASES.items():
                times[name].append(once(code, folder))
    print(f"milliseconds, median of {options.rounds} fresh processes")
    for name, values in times.items():
        print(f"{name:34}{statistics.median(values):8.1f}")


if __name__ == "__main__":
    main()
