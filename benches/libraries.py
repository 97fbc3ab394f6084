"""Kinds for benches/kill.py: calls that a library ends by its own means, and what a job has started besides itself."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import os
import sqlite3
import tempfile
import threading
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

WITHOUT_END = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"


def kinds(stack: ExitStack, seconds: int) -> dict[str, Callable[[], object]]:
    """Name what can be tried here; PostgreSQL where `RJOBS_BENCH_POSTGRES` says how psycopg reaches a server."""
    found = {**of_sqlite(stack), **of_threads(seconds), "on_kill": lambda: block(seconds)}
    server = os.environ.get("RJOBS_BENCH_POSTGRES")
    if server is None or importlib.util.find_spec("psycopg") is None:
        print("PostgreSQL: no psycopg, or RJOBS_BENCH_POSTGRES does not say where a server is: skipped")
        return found
    import psycopg

    def query() -> None:
        with psycopg.connect(server) as connection:
            connection.execute(f"SELECT pg_sleep({seconds})")

    return {**found, "psycopg query": query}


def of_sqlite(stack: ExitStack) -> dict[str, Callable[[], object]]:
    """A statement that computes, many small ones, and the wait for a lock."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
    owner = sqlite3.connect(path)
    stack.callback(owner.close)
    owner.execute("CREATE TABLE t (i)")
    owner.commit()
    owner.execute("BEGIN EXCLUSIVE")

    def with_connection(work: Callable[[Any], object], where: str = ":memory:") -> None:
        connection = sqlite3.connect(where)
        try:
            work(connection)
        finally:
            connection.close()

    def many(connection: Any) -> None:
        connection.execute("CREATE TABLE t (i)")
        connection.executemany("INSERT INTO t VALUES (?)", ((i,) for i in iter(int, 1)))

    return {
        "sqlite3 statement": lambda: with_connection(lambda connection: connection.execute(WITHOUT_END).fetchall()),
        "sqlite3 executemany": lambda: with_connection(many),
        "sqlite3 lock": lambda: with_connection(lambda c: c.execute("INSERT INTO t VALUES (1)"), str(path)),
    }


def of_threads(seconds: int) -> dict[str, Callable[[], object]]:
    """Threads of the job's own, which end with it."""

    def pool() -> None:
        with ThreadPoolExecutor(4) as threads:
            concurrent.futures.wait([threads.submit(time.sleep, seconds) for _ in range(8)])

    def join() -> None:
        thread = threading.Thread(target=time.sleep, args=(seconds,))
        thread.start()
        thread.join()

    return {"4 threads of a pool": pool, "a thread that is joined": join}


def block(seconds: int) -> None:
    """Wait in a block that a function of the job's own ends."""
    over = threading.Event()
    job: Any = rjobs.current_job()
    with job.on_kill(over.set):
        over.wait(seconds)


def print_cost_of_on_kill(manager: rjobs.JobManager, rounds: int) -> None:
    """Say what a block costs that nobody kills, median of so many rounds."""

    def work() -> float:
        names = {"job": rjobs.current_job(), "function": print}
        timer = timeit.Timer("with job.on_kill(function): pass", globals=names)
        return median(timer.timeit(10_000) for _ in range(rounds)) * 1e5

    print(f"\nwith job.on_kill(function): pass, ns: {manager.submit(work).get():.0f}")
