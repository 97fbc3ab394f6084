"""`rjobs.Executor` beside `ThreadPoolExecutor`, and `rjobs.Pool` beside `multiprocessing.dummy.Pool`, in one run.

The call is a function that does nothing, so what is measured is the machinery: rjobs with its registry and its output
capture on (they always are), eight workers everywhere. Rounds are interleaved, so that a slow moment of the machine
hits all alike; medians are shown.

    python benches/executor.py [--calls 20000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing.dummy
import statistics
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from throughput import WORKERS, machine

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing(value: object = None) -> object:
    """The call."""
    return value


class Measured(NamedTuple):
    """One thing that is done with a pool, and what it is shown in."""

    what: str
    unit: str
    measure: Callable[[Any, int], float]


def timed(act: Callable[[], object]) -> float:
    """Seconds that it takes."""
    gc.collect()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def submit(executor: Any, calls: int) -> float:
    """Microseconds of one `submit`, while workers are at the others."""
    futures: list[Any] = []
    seconds = timed(lambda: futures.extend(executor.submit(nothing) for _ in range(calls)))
    for future in futures:
        future.result()
    return seconds / calls * 1e6


def submit_and_result(executor: Any, calls: int) -> float:
    """Calls per second: all submitted, then all waited for."""
    return calls / timed(lambda: [future.result() for future in [executor.submit(nothing) for _ in range(calls)]])


def round_trip(executor: Any, calls: int) -> float:
    """Microseconds of the median call that is submitted and waited for alone."""
    return statistics.median(timed_once(executor) for _ in range(calls // 10)) / 1000


def timed_once(executor: Any) -> int:
    """Nanoseconds of one call."""
    began = time.perf_counter_ns()
    executor.submit(nothing).result()
    return time.perf_counter_ns() - began


def executor_map(executor: Any, calls: int) -> float:
    """Items per second."""
    return calls / timed(lambda: list(executor.map(nothing, range(calls))))


def apply_async(pool: Any, calls: int) -> float:
    """Calls per second: all given, then all waited for."""
    return calls / timed(lambda: [result.get() for result in [pool.apply_async(nothing) for _ in range(calls)]])


def with_callback(pool: Any, calls: int) -> float:
    """The same, each with a callback."""
    return calls / timed(
        lambda: [result.get() for result in [pool.apply_async(nothing, callback=nothing) for _ in range(calls)]]
    )


def imap(pool: Any, calls: int) -> float:
    """Items per second."""
    return calls / timed(lambda: list(pool.imap(nothing, range(calls))))


def imap_unordered(pool: Any, calls: int) -> float:
    """Items per second."""
    return calls / timed(lambda: list(pool.imap_unordered(nothing, range(calls))))


def imap_in_chunks(pool: Any, calls: int) -> float:
    """Items per second, ten in a chunk."""
    return calls / timed(lambda: list(pool.imap(nothing, range(calls), 10)))


def pool_map(pool: Any, calls: int) -> float:
    """Items per second, of ten times as many."""
    return calls * 10 / timed(lambda: pool.map(nothing, range(calls * 10)))


EXECUTOR = [
    Measured("submit", "us", submit),
    Measured("submit, then result", "/s", submit_and_result),
    Measured("one round trip", "us", round_trip),
    Measured("map", "/s", executor_map),
]
POOL = [
    Measured("apply_async, then get", "/s", apply_async),
    Measured("the same with a callback", "/s", with_callback),
    Measured("imap", "/s", imap),
    Measured("imap_unordered", "/s", imap_unordered),
    Measured("imap, chunks of 10", "/s", imap_in_chunks),
    Measured("map", "/s", pool_map),
]


def compare(ours: Any, theirs: Any, measured: list[Measured], options: argparse.Namespace) -> None:
    """Run the rounds for two pools, and print the medians."""
    figures: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for number in range(options.rounds + 1):
        for what, _, measure in measured:
            for is_ours, pool in ((True, ours), (False, theirs)):
                figure = measure(pool, options.calls)
                if number:  # the first round warms up
                    figures[what, is_ours].append(figure)
    name = type(theirs).__name__
    print(f"{'':28}{'rjobs':>15}{name:>23}{'ratio':>9}")
    for what, unit, _ in measured:
        us, them = (statistics.median(figures[what, is_ours]) for is_ours in (True, False))
        digits = 1 if unit == "us" else 0
        print(f"{what:28}{us:12,.{digits}f} {unit}{them:20,.{digits}f} {unit}{us / them:8.2f}x")


def main() -> None:
    """Compare both."""
    parser = argparse.ArgumentParser(description="Executor and Pool, beside those of the standard library.")
    parser.add_argument("--calls", type=int, default=20_000, help="calls in each round (default 20000)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default 9)")
    options = parser.parse_args()
    print(f"{machine()}; {WORKERS} workers, {options.calls} no-op calls, median of {options.rounds} rounds")
    with ExitStack() as stack:
        enter = stack.enter_context
        compare(enter(rjobs.Executor(WORKERS)), enter(ThreadPoolExecutor(WORKERS)), EXECUTOR, options)
    with ExitStack() as stack:
        enter = stack.enter_context
        compare(enter(rjobs.Pool(WORKERS)), enter(multiprocessing.dummy.Pool(WORKERS)), POOL, options)


if __name__ == "__main__":
    main()
