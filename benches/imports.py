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

TIMED = """
import time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began)
"""
SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""

CASES = {
    "import rjobs, in a bare Python": TIMED.format(statement="import rjobs"),
    "import concurrent.futures.thread, there": TIMED.format(statement="import concurrent.futures.thread"),
    "import rjobs, in IPython": SHELL + TIMED.format(statement="import rjobs"),
    "%load_ext rjobs, with the import": SHELL + TIMED.format(statement="shell.run_line_magic('load_ext', 'rjobs')"),
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
        print(f"{name:42}{statistics.median(values):8.1f}")


if __name__ == "__main__":
    main()
