"""Thousands of coroutine jobs beside plain asyncio, in one run: how long they take, and what each keeps while it waits.

The coroutine is `asyncio.sleep(0.1)`, so 0.1 seconds is what nobody can be faster than. rjobs has its registry and its
output capture on (they always are); asyncio gathers the same coroutines on one loop. Rounds are interleaved, so that a
slow moment of the machine hits both alike; medians are shown. Memory is what the process grows by while all of them
wait, in a fresh process each.

    python benches/coroutines.py [--jobs 10000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

NAP = 0.1
OURS, BASE = "rjobs", "asyncio.gather"


def ours(count: int) -> tuple[float, float]:
    """Seconds until all are submitted, and until all are done."""
    import rjobs

    with rjobs.JobManager() as manager:
        manager.submit(asyncio.sleep, 0).get()  # the loop is there
        began = time.perf_counter()
        jobs = [manager.submit(asyncio.sleep, NAP) for _ in range(count)]
        submitted = time.perf_counter() - began
        manager.wait(jobs)
        done = time.perf_counter() - began
        if any(job.state != "done" for job in jobs):
            sys.exit("not all were done")
    return submitted, done


def base(count: int) -> tuple[float, float]:
    """The same."""

    async def main() -> tuple[float, float]:
        began = time.perf_counter()
        tasks = [asyncio.create_task(asyncio.sleep(NAP)) for _ in range(count)]
        submitted = time.perf_counter() - began
        await asyncio.gather(*tasks)
        return submitted, time.perf_counter() - began

    return asyncio.run(main())


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def waiting(name: str, count: int) -> float:
    """Bytes that each of `count` keeps while all wait."""

    async def nap() -> None:
        await asyncio.sleep(1000)

    if name == OURS:
        import rjobs

        manager = rjobs.JobManager()
        manager.submit(asyncio.sleep, 0).get()
        gc.collect()
        before = resident()
        jobs = [manager.submit(nap) for _ in range(count)]
        manager.submit(asyncio.sleep, 0.01).get()  # in the line behind them
        grown = resident() - before
        if not all(job.running() for job in jobs):
            sys.exit("not all were waiting")
        manager.shutdown(kill=True)
        return grown / count

    async def main() -> float:
        gc.collect()
        before = resident()
        tasks = [asyncio.create_task(nap()) for _ in range(count)]
        await asyncio.sleep(0.01)
        grown = resident() - before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return grown / count

    return asyncio.run(main())


def machine() -> str:
    """The interpreter and the machine, for the heading."""
    free = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else ", no GIL"
    return f"CPython {platform.python_version()}{free}; {platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description="Thousands of coroutine jobs beside asyncio.gather.")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs in each round (default 10000)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--waiting", choices=[OURS, BASE], help="only print the bytes of one that waits")
    options = parser.parse_args()
    if options.waiting:
        print(waiting(options.waiting, options.jobs))
        return
    times: dict[str, list[tuple[float, float]]] = {OURS: [], BASE: []}
    for number in range(options.rounds + 1):
        for name, run in ((OURS, ours), (BASE, base)):
            gc.collect()
            took = run(options.jobs)
            if number:  # the first round warms up
                times[name].append(took)
    print(f"{machine()}; {options.jobs} times asyncio.sleep({NAP}), median of {options.rounds} rounds")
    print(f"{'':18}{'submitted':>12}{'all done':>12}{'each':>12}{'kept by one that waits':>26}")
    for name, rounds in times.items():
        submitted, done = (statistics.median(column) for column in zip(*rounds, strict=True))
        each = (done - NAP) / options.jobs * 1e6
        kept = "?"
        if sys.platform == "linux":
            command = [sys.executable, __file__, "--jobs", str(options.jobs), "--waiting", name]
            kept = f"{float(subprocess.run(command, check=True, capture_output=True, text=True).stdout):,.0f} bytes"
        print(f"{name:18}{submitted:10.3f} s{done:10.3f} s{each:9.1f} us{kept:>26}")


if __name__ == "__main__":
    main()
