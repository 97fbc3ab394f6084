"""Jobs per second and one round trip: rjobs beside its peers, in one run.

The job is a function that does nothing, so what is measured is the machinery: rjobs with its registry and its output
capture on (they always are), eight workers everywhere. Rounds are interleaved, so that a slow moment of the machine
hits all alike; medians are shown. IPython's manager starts a thread for every job, so it gets fewer of them.

    python benches/throughput.py [--jobs 20000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import gc
import io
import multiprocessing.dummy
import os
import platform
import statistics
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from multiprocessing.pool import AsyncResult
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 8
OURS, BASE, POOL, IPYTHON = "rjobs", "ThreadPoolExecutor", "multiprocessing.dummy.Pool", "IPython's manager"


def nothing() -> None:
    """The job."""


class Peer(NamedTuple):
    """One way to run background work: what starts a job, and what waits for its value."""

    start: Callable[[], object]
    finish: Callable[..., object]
    clean: Callable[[], object]  # forget what ended, between rounds and not timed
    share: float  # of the jobs that the others get


@contextmanager
def rjobs_peer() -> Iterator[Peer]:
    """`new` and `get`."""
    import rjobs

    with rjobs.JobManager(max_workers=WORKERS) as manager:
        yield Peer(partial(manager.new, nothing), rjobs.Job.get, manager.flush, 1)


@contextmanager
def executor_peer() -> Iterator[Peer]:
    """`submit` and `result`."""
    with ThreadPoolExecutor(WORKERS) as executor:
        yield Peer(partial(executor.submit, nothing), Future.result, nothing, 1)


@contextmanager
def pool_peer() -> Iterator[Peer]:
    """`apply_async` and `get`."""
    with multiprocessing.dummy.Pool(WORKERS) as pool:
        yield Peer(partial(pool.apply_async, nothing), AsyncResult.get, nothing, 1)


@contextmanager
def ipython_peer() -> Iterator[Peer]:
    """`new` and `join`; a thread for each job, and (IPython 9) only in a shell."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = folder
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.lib.backgroundjobs import BackgroundJobFunc, BackgroundJobManager

        shell = InteractiveShell.instance()
        manager = BackgroundJobManager()
        yield Peer(partial(manager.new, nothing), BackgroundJobFunc.join, manager.flush, 0.02)
        shell.history_manager.end_session()


def throughput(peer: Peer, jobs: int) -> float:
    """Jobs per second: all started, then all waited for."""
    count = max(1, int(jobs * peer.share))
    start, finish = peer.start, peer.finish
    began = time.perf_counter()
    started = [start() for _ in range(count)]
    for job in started:
        finish(job)
    return count / (time.perf_counter() - began)


def round_trip(peer: Peer, jobs: int) -> float:
    """Microseconds of the median job that is started and waited for alone."""
    count = max(1, int(jobs * peer.share / 10))
    start, finish = peer.start, peer.finish
    times = []
    for _ in range(count):
        began = time.perf_counter_ns()
        finish(start())
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1000


def machine() -> str:
    """The interpreter and the processor, for the heading."""
    cpu = platform.processor() or platform.machine()
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (no path to speak of)
            cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    free = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else ", no GIL"
    return f"CPython {platform.python_version()}{free}; {cpu}, {os.cpu_count()} cores"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description="Jobs per second and one round trip, beside the peers.")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs in each round (default 20000)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default 9)")
    options = parser.parse_args()

    rates: dict[str, list[float]] = {}
    trips: dict[str, list[float]] = {}
    with ExitStack() as stack:
        peers = {
            OURS: stack.enter_context(rjobs_peer()),
            BASE: stack.enter_context(executor_peer()),
            POOL: stack.enter_context(pool_peer()),
            IPYTHON: stack.enter_context(ipython_peer()),
        }
        for number in range(options.rounds + 1):
            for name, peer in peers.items():
                gc.collect()
                rate = throughput(peer, options.jobs)
                trip = round_trip(peer, options.jobs)
                with redirect_stdout(io.StringIO()):  # IPython's says what it flushes
                    peer.clean()
                if number:  # the first round warms up
                    rates.setdefault(name, []).append(rate)
                    trips.setdefault(name, []).append(trip)
    show(rates, trips, options)


def show(rates: dict[str, list[float]], trips: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Print the medians, each beside ThreadPoolExecutor's."""
    print(f"{machine()}; {WORKERS} workers, {options.jobs} no-op jobs, median of {options.rounds} rounds")
    print(f"{'':28}{'jobs/s':>12}{'ratio':>9}{'round trip':>14}{'ratio':>9}")
    base_rate, base_trip = statistics.median(rates[BASE]), statistics.median(trips[BASE])
    for name, rounds in rates.items():
        rate, trip = statistics.median(rounds), statistics.median(trips[name])
        print(f"{name:28}{rate:12,.0f}{rate / base_rate:8.2f}x{trip:11.1f} us{trip / base_trip:8.2f}x")


if __name__ == "__main__":
    main()
