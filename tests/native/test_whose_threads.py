"""Whose threads are struck with a job, and whose are not; and how the threads of a job end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import rjobs

pytestmark = pytest.mark.usefixtures("quiet")


def spin(begun, *_):
    begun.set()
    while True:
        sum(range(100))


def sleep(begun, *_):
    begun.set()
    time.sleep(1000)


def others():
    """The threads that there are, but for workers and what libraries keep."""
    return {
        thread
        for thread in threading.enumerate()
        if not hasattr(thread, "rjobs_job") and type(thread).__name__ != "TMonitor"
    }


def test_an_executor_of_somebody_else_is_left_alone(manager):
    go_on, begun = threading.Event(), threading.Event()

    def item():
        begun.set()
        return go_on.wait(10)

    with ThreadPoolExecutor(1) as pool:

        def work():
            futures.append(pool.submit(item))
            futures.append(pool.submit(int, 7))
            submitted.set()
            futures[0].result()

        futures, submitted = [], threading.Event()
        job = manager.submit(work)
        assert begun.wait(10)
        assert submitted.wait(10)
        assert job.kill(10)
        assert job.state == "killed"
        assert not futures[0].done()
        go_on.set()
        assert [future.result(10) for future in futures] == [True, 7]
        # Its thread was started by the job.
        assert pool.submit(int, 8).result(10) == 8


def test_threads_of_another_job_are_left_alone(manager):
    go_on, begun = threading.Event(), threading.Barrier(3)

    def item(_):
        begun.wait(10)
        return go_on.wait(10)

    def work():
        with ThreadPoolExecutor(1) as pool:
            return list(pool.map(item, range(1)))

    killed, other = manager.submit(work), manager.submit(work)
    begun.wait(10)
    assert killed.kill(10)
    go_on.set()
    assert other.get(10) == [True]


def test_an_executor_that_a_killed_job_leaves_behind_works_for_others(manager):
    kept, begun = [], threading.Event()

    def work():
        kept.append(ThreadPoolExecutor(2))
        for _ in range(20):
            kept[0].submit(sleep, begun)
        time.sleep(1000)

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill(10)
    assert list(kept[0].map(pow, [2] * 9, range(9))) == [2**number for number in range(9)]
    kept[0].shutdown()


def test_cleaning_up_may_start_threads(manager):
    done, begun = [], threading.Event()

    def work():
        pool = ThreadPoolExecutor(2)
        try:
            pool.submit(sleep, begun).result()
        finally:
            done.extend(pool.map(abs, [-1, -2]))
            with ThreadPoolExecutor(2) as another:
                done.extend(another.map(abs, [-3, -4]))
            thread = threading.Thread(target=done.append, args=(5,))
            thread.start()
            thread.join()

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill(10)
    assert done == [1, 2, 3, 4, 5]


def test_an_error_of_a_thread_is_told_as_ever(manager, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))

    def work():
        thread = threading.Thread(target=int, args=("x",))
        thread.start()
        thread.join()

    manager.submit(work).get(10)
    assert told == [ValueError]


def test_one_thread_of_a_job_can_be_killed_alone(manager, monkeypatch):
    told, begun, threads = [], threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))

    def work():
        threads.append(threading.Thread(target=sleep, args=(begun,)))
        threads[0].start()
        threads[0].join()
        return "went on"

    job = manager.submit(work)
    assert begun.wait(10)
    rjobs.kill_thread(threads[0])
    assert job.get(10) == "went on"
    assert told == []


def test_a_thread_has_shields_and_helpers_of_its_own(manager, until):
    order, begun, conn = [], threading.Barrier(3), threading.Event()

    def shielded():
        with rjobs.current_job().shield():
            begun.wait(10)
            time.sleep(0.1)
            order.append("shielded")
        time.sleep(1000)

    def helped():
        with rjobs.current_job().on_kill(conn.set):
            begun.wait(10)
            order.append(("helped", conn.wait(10)))
        order.append("never")

    def work():
        threads = [threading.Thread(target=target) for target in (shielded, helped)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    job = manager.submit(work)
    begun.wait(10)
    assert job.kill(10)
    # The job may not have come to its joins by then.
    assert until(lambda: len(order) == 2)
    assert sorted(map(str, order)) == ["('helped', True)", "shielded"]


def test_a_thread_that_kills_its_own_job_ends_with_it(manager):
    said = []

    def ends_all(job):
        said.append(job.kill(10))

    def work():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ends_all, rjobs.current_job()).result()

    job = manager.submit(work)
    assert job.wait(10)
    assert job.state == "killed"
    assert said == []


def test_what_a_library_runs_for_everybody_goes_on(manager, until):
    tqdm = pytest.importorskip("tqdm")
    begun = threading.Event()

    def work():
        for _ in tqdm.tqdm(range(3)):
            sleep(begun)

    job = manager.submit(work)
    assert begun.wait(10)
    monitor = tqdm.tqdm.monitor
    assert job.kill(10)
    if monitor is not None:
        assert not until(lambda: not monitor.is_alive(), 0.1)


def test_coroutine_jobs_end_threads_of_their_own_and_not_the_loops(manager, until):
    begun, freed, order = threading.Event(), threading.Event(), []

    async def own():
        with ThreadPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, spin, begun)

    async def shared():
        await asyncio.to_thread(lambda: (begun.set(), freed.wait(10), order.append("went on")))

    before = others()
    job = manager.submit(own)
    assert begun.wait(10)
    assert job.kill(10)
    assert job.state == "killed"
    assert until(lambda: others() <= before)
    begun.clear()
    job = manager.submit(shared)
    assert begun.wait(10)
    assert job.kill(10)
    freed.set()
    assert until(lambda: order == ["went on"])


READ = """
import sys, threading, time
import pandas, rjobs
manager = rjobs.JobManager()
def reads():
    return any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate())
for round in range(6):
    job = manager.submit(pandas.read_csv, sys.argv[1])
    while not reads() and not job.done():
        time.sleep(0.001)
    time.sleep(0.02 * round)
    if round == 5:
        job = manager.options(timeout=0.05).submit(pandas.read_csv, sys.argv[1])
        job.wait(20)
    job.kill(20)
    assert job.state in ("killed", "timed_out", "done"), job.state
    while reads():
        time.sleep(0.001)
manager.kill_all()
manager.shutdown(kill=True)
print(len(pandas.read_csv(sys.argv[1])))
"""


def test_reading_a_large_table_never_crashes(tmp_path):
    pytest.importorskip("pandas")
    table = tmp_path / "table.csv"
    rows = "".join(",".join(str(number * 1.000001 + column) for column in range(8)) + "\n" for number in range(10_000))
    table.write_text("a,b,c,d,e,f,g,h\n" + rows * 50)
    run = subprocess.run(
        [sys.executable, "-c", READ, str(table)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "500000\n", "")
