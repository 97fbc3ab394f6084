"""A function over many items: `rjobs` beside its peers, in one run.

Half of it is a million no-ops, so that what is measured is the machinery: `JobManager.map(...).results()` and
`list(JobManager.map(...))` beside `multiprocessing.dummy.Pool.map` and a plain list comprehension, eight workers
everywhere, once over a list and once over a range. `ThreadPoolExecutor.map` gets fewer items, and its time is scaled.
The other half is a thousand items that wait 50 ms each, with a hundred workers, beside the 0.5 s that is the ideal.
Rounds are interleaved, so that a slow moment of the machine hits all alike; medians and the best rounds are shown.

    python benches/map.py [--items 1000000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import gc
import io
import multiprocessing.dummy
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from throughput import machine

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKERS = 8
BASE = "multiprocessing.dummy.Pool.map"
EXECUTOR_SHARE = 0.02
SLEEPS, SLEEP, SLEEPERS = 1_000, 0.05, 100


def nothing(_item: object) -> None:
    """The function."""


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    gc.collect()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def million(manager: rjobs.JobManager, rounds: int, items: Sequence[int]) -> dict[str, list[float]]:
    """Times of the peers over these items."""
    few = items[: int(len(items) * EXECUTOR_SHARE)]
    times: dict[str, list[float]] = {}
    with multiprocessing.dummy.Pool(WORKERS) as pool, ThreadPoolExecutor(WORKERS) as executor:
        peers: dict[str, Callable[[], object]] = {
            "rjobs: results()": lambda: manager.map(nothing, items).results(),
            "rjobs: list(group)": lambda: list(manager.map(nothing, items)),
            BASE: lambda: pool.map(nothing, items),
            "ThreadPoolExecutor.map (scaled)": lambda: list(executor.map(nothing, few)),
            "[f(x) for x in items]": lambda: [nothing(item) for item in items],
        }
        for number in range(rounds + 1):
            for name, call in peers.items():
                seconds = timed(call) * (1 / EXECUTOR_SHARE if "scaled" in name else 1)
                if number:  # the first round warms up
                    times.setdefault(name, []).append(seconds)
            with redirect_stdout(io.StringIO()):
                manager.flush()
    return times


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description="A function over many items, beside the peers.")
    parser.add_argument("--items", type=int, default=1_000_000, help="no-op items (default 1000000)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default 9)")
    options = parser.parse_args()

    print(f"{machine()}; {WORKERS} workers, {options.items} no-op items, median of {options.rounds} rounds")
    for kind, items in (("list", list(range(options.items))), ("range", range(options.items))):
        with rjobs.JobManager(max_workers=WORKERS) as manager:
            times = million(manager, options.rounds, items)
        print(f"{'over a ' + kind:34}{'ms':>10}{'ratio':>9}{'best':>10}{'ratio':>9}")
        base, best = statistics.median(times[BASE]), min(times[BASE])
        for name, rounds in times.items():
            middle, least = statistics.median(rounds), min(rounds)
            print(f"{name:34}{middle * 1e3:10.1f}{middle / base:8.2f}x{least * 1e3:10.1f}{least / best:8.2f}x")

    ideal = SLEEPS * SLEEP / SLEEPERS
    waits = []
    for _ in range(options.rounds):
        with rjobs.JobManager(max_workers=SLEEPERS) as manager:
            waits.append(timed(manager.map(time.sleep, [SLEEP] * SLEEPS).results))
    middle = statistics.median(waits)
    waits_of = f"{SLEEPS} waits of {SLEEP * 1e3:.0f} ms, {SLEEPERS} workers"
    print(f"{waits_of}: {middle:.3f} s, {middle / ideal:.2f} of the ideal")


if __name__ == "__main__":
    main()
