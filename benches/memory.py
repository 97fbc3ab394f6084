"""Bytes kept by a finished job with a small result: rjobs beside its peers.

Each peer runs in a process of its own: it keeps 100,000 finished jobs (the handles are dropped where the peer has a
registry of its own to ask later) and reports by how much its resident memory grew, after a collection.

    python benches/memory.py [--jobs 100000]
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path


def small(number: int) -> int:
    """The job; its result is an object of its own, no cached small int."""
    return number + 100_000


def resident() -> int:
    """Bytes of this process in memory."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    import psutil

    return int(psutil.Process().memory_info().rss)


def keep_rjobs(count: int) -> object:
    """The manager keeps them."""
    import rjobs

    manager = rjobs.JobManager(max_workers=8)
    for number in range(count):
        manager.new(small, number)
    manager.wait()
    return manager


def keep_futures(count: int) -> object:
    """There is no registry: a list of futures."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as executor:
        return [executor.submit(small, number) for number in range(count)]


def keep_ipython(count: int) -> object:
    """The manager keeps them; a thread each, so started one after the other."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.lib.backgroundjobs import BackgroundJobManager

    InteractiveShell.instance()
    manager = BackgroundJobManager()
    for number in range(count):
        manager.new(small, number).join()
        if number % 1000 == 0:
            _ = manager.running  # it drops the ended ones from the list that it searches
    return manager


PEERS = {"rjobs": (keep_rjobs, 1.0), "list of Futures": (keep_futures, 1.0), "IPython's manager": (keep_ipython, 0.05)}


def measure(name: str, jobs: int, *, trace: bool) -> float:
    """Bytes for each job, in this process: resident memory, or (slower) what Python's allocator gave out."""
    keep, share = PEERS[name]
    count = int(jobs * share)
    kept = [keep(100)]  # imports and the pool are not the job's
    gc.collect()
    if trace:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if trace else resident()
    kept.append(keep(count))
    gc.collect()
    after = tracemalloc.get_traced_memory()[0] if trace else resident()
    return (after - before) / count


def main() -> None:
    """Measure every peer in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description="Bytes kept by a finished job, beside the peers.")
    parser.add_argument("--jobs", type=int, default=100_000, help="finished jobs kept (default 100000)")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(measure(options.peer, options.jobs, trace=options.trace))
        return
    print(f"bytes kept by a finished job whose result is one int ({options.jobs} jobs)")
    print(f"{'':20}{'resident':>10}{'Python objects':>16}")
    for name in PEERS:
        command = [sys.executable, __file__, "--jobs", str(options.jobs), "--peer", name]
        rss = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        traced = float(subprocess.run([*command, "--trace"], capture_output=True, text=True, check=True).stdout)
        print(f"{name:20}{rss:10.0f}{traced:16.0f}")


if __name__ == "__main__":
    main()
