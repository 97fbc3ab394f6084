"""Showing jobs: the table with 100,000 jobs kept, and what a box under a cell costs that is kept up to date.

    python benches/status.py [--jobs 100000] [--seconds 4]

The boxes are those of a notebook (`rjobs.notebook.live`), with a front end that counts messages and bytes. A message
has about 700 bytes of headers more.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import rjobs
from rjobs import _display, _table

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL = 10.0
REPEATS = 31


def milliseconds(call: Callable[[], object]) -> tuple[float, float, float]:
    """The first call, the median, and the slowest of the others."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return times[0], statistics.median(times[1:]), max(times[1:])


def status(manager: rjobs.JobManager) -> None:
    """What `jobs.status()` does in a terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        manager.status()


def tables(jobs: int) -> None:
    """Time the table of many jobs, of which some run and some failed."""
    manager, go = rjobs.JobManager(max_workers=64), threading.Event()
    for number in range(jobs):
        manager.submit(divmod, number, 0 if number % 1000 == 0 else 7)
    manager.wait()
    for _ in range(20):
        manager.submit(go.wait)
    print(
        f"{len(manager):,} jobs kept; milliseconds: the first time, median of {REPEATS - 1} more, the slowest of them"
    )
    for name, call in (
        ("status()", lambda: status(manager)),
        ("text", lambda: _display.manager_text(manager)),
        ("HTML", lambda: _display.manager_html(manager)),
    ):
        first, median, slowest = milliseconds(call)
        verdict = "" if name == "HTML" else f"   goal {GOAL:.0f}: {'met' if median <= GOAL else 'MISSED'}"
        print(f"  {name:10}{first:8.1f}{median:8.1f}{slowest:8.1f}{verdict}")
    print(f"  text of {len(_table.text(manager)):,} characters, HTML of {len(_table.html(manager)):,}")
    go.set()
    manager.shutdown()


class Session:
    """Counts what is sent, as a kernel would send it."""

    def __init__(self) -> None:
        self.messages = self.bytes = 0

    def msg(self, _kind: str, content: dict[str, Any], parent: object = None) -> Any:
        """Make a message."""
        _ = parent
        return content

    def send(self, _socket: object, content: dict[str, Any], ident: object = None) -> None:
        """Count it."""
        _ = ident
        self.messages += 1
        self.bytes += sum(len(text.encode()) for text in content["data"].values())


def boxes(count: int, seconds: float, *, busy: bool) -> None:
    """Show some jobs for a while, and count what is sent and what it costs."""
    from rjobs.notebook.live import LiveBoxes

    go, session = threading.Event(), Session()
    publisher = SimpleNamespace(
        session=session, pub_socket=None, topic=b"", parent_header={}, publish=lambda *_, **__: None
    )
    live = LiveBoxes(SimpleNamespace(display_pub=publisher))
    manager = rjobs.JobManager(max_workers=max(count, 1))

    def work() -> None:
        if not busy:
            go.wait()
            return
        for _ in rjobs.track(range(10**9)):
            if go.wait(0.05):
                return

    jobs = [manager.options(name=f"job {number}").submit(work) for number in range(count)]
    for job in jobs:
        live.show(job)
    begin, cpu = time.perf_counter(), time.process_time()
    go.wait(seconds)
    took, used = time.perf_counter() - begin, time.process_time() - cpu
    sent, size = session.messages, session.bytes
    go.set()
    manager.wait()
    # The last messages; then the thread has gone.
    while live._thread is not None:
        time.sleep(0.01)
    kind = "that report 20 times a second" if busy else "for which nothing happens"
    print(
        f"  {count:4} jobs {kind:30}{sent / took:8.1f} messages/s{size / took / 1000:9.1f} kB/s"
        f"{used / took * 100:7.1f} % of a CPU, jobs included; {session.messages - sent} messages at the end"
    )
    manager.shutdown()


def main() -> None:
    """Time the tables, then watch the boxes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    tables(options.jobs)
    print(f"boxes that are shown, over {options.seconds:g} seconds")
    for count in (1, 10, 100):
        for busy in (True, False):
            boxes(count, options.seconds, busy=busy)


if __name__ == "__main__":
    main()
