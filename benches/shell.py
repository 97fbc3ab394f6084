"""External commands: `shell` beside `subprocess.run` in a `ThreadPoolExecutor`, in one run.

The commands are a thousand times `true`, which measures starting and telling of the end, and `sleep 1` at once, which
measures waiting. Rounds are interleaved, so that a slow moment of the machine hits all alike; medians are shown, and
the most threads that were there beyond the program's own (Linux only).

    python benches/shell.py [--commands 1000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from throughput import machine

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = Path("/proc/self/task")
SLEEPERS = 200  # a pool needs as many threads to have them all at once


def threads() -> int:
    """How many threads this process has, those that Python does not know of among them."""
    return len(list(TASKS.iterdir())) if sys.platform == "linux" else 0


def with_rjobs(command: list[str], count: int) -> int:
    """As jobs; the most threads that were there."""
    import rjobs

    with rjobs.JobManager() as jobs:
        started = [jobs.shell(command, check=True) for _ in range(count)]
        most = threads()
        for job in started:
            job.get()
        return max(most, threads())


def with_a_pool(workers: int, command: list[str], count: int) -> int:
    """As calls of `subprocess.run` that capture the output; the most threads that were there."""
    run = partial(subprocess.run, command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    with ThreadPoolExecutor(workers) as executor:
        started = [executor.submit(run) for _ in range(count)]
        most = threads()
        for future in started:
            future.result()
        return max(most, threads())


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description="External commands, beside subprocess.run in a pool of threads.")
    parser.add_argument("--commands", type=int, default=1000, help="times `true` in each round (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    options = parser.parse_args()

    peers: dict[str, Callable[[list[str], int], int]] = {
        "rjobs shell": with_rjobs,
        "subprocess.run, 8 threads": partial(with_a_pool, 8),
        "subprocess.run, 32 threads": partial(with_a_pool, 32),
        f"subprocess.run, {SLEEPERS} threads": partial(with_a_pool, SLEEPERS),
    }
    loads = {"true": (["true"], options.commands), "sleep 1": (["sleep", "1"], SLEEPERS)}
    seconds: dict[tuple[str, str], list[float]] = {}
    most: dict[tuple[str, str], int] = {}
    own = threads()
    for number in range(options.rounds + 1):
        for load, (command, count) in loads.items():
            for name, run in peers.items():
                began = time.perf_counter()
                used = run(command, count) - own
                if number:  # the first round warms up
                    seconds.setdefault((load, name), []).append(time.perf_counter() - began)
                    most[load, name] = max(used, most.get((load, name), 0))
    print(f"{machine()}; median of {options.rounds} rounds")
    for load, (_, count) in loads.items():
        print(f"{f'{count} x {load}':32}{'seconds':>10}{'threads':>10}")
        for name in peers:
            print(f"  {name:30}{statistics.median(seconds[load, name]):10.2f}{most[load, name]:10}")


if __name__ == "__main__":
    main()
