"""Processes that a job has started end with it; those that others use are left alone."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import rjobs

pytestmark = [
    pytest.mark.usefixtures("quiet"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="counts children as POSIX has them"),
]

SPAWN = multiprocessing.get_context("spawn")


def spin(path, *_):
    """Compute for long, and say first that it does."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        sum(range(1000))


def stubborn(path):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spin(path)


def by_executor(path):
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        list(pool.map(spin, [path] * 6))


def by_executor_kept(path):
    pool = ProcessPoolExecutor(2, mp_context=SPAWN)
    pool.submit(spin, path).result()


def by_process(path):
    process = SPAWN.Process(target=spin, args=(path,))
    process.start()
    process.join()


def by_daemon(path):
    # As a torch DataLoader has them.
    process = SPAWN.Process(target=spin, args=(path,), daemon=True)
    process.start()
    time.sleep(1000)


def by_stubborn_process(path):
    process = SPAWN.Process(target=stubborn, args=(path,))
    process.start()
    process.join()


def by_pool(path):
    with SPAWN.Pool(2) as pool:
        pool.map(spin, [path] * 6)


def by_pool_kept(path):
    SPAWN.Pool(2).map(spin, [path] * 6)


def by_pool_join(path):
    pool = SPAWN.Pool(2)
    pool.map_async(spin, [path] * 6)
    pool.close()
    pool.join()


def by_joblib(path):
    joblib = pytest.importorskip("joblib")
    joblib.Parallel(n_jobs=2)(joblib.delayed(spin)(path) for _ in range(6))


def by_loky(path):
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(2) as pool:
        list(pool.map(spin, [path] * 6))


def by_reusable_loky(path):
    loky = pytest.importorskip("loky")
    list(loky.get_reusable_executor(2).map(spin, [path] * 6))


WAYS = [
    by_executor,
    by_executor_kept,
    by_process,
    by_daemon,
    by_stubborn_process,
    by_pool,
    by_pool_kept,
    by_pool_join,
    by_joblib,
    by_loky,
    by_reusable_loky,
]
LIBRARIES = {by_joblib: "joblib", by_loky: "loky", by_reusable_loky: "loky"}


def is_alive(pid):
    """Whether a process runs: neither gone nor a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return not Path("/proc/self").is_dir()
    return state not in "ZX"


class Begun:
    """The processes that have begun to compute."""

    def __init__(self, path):
        self.path = str(path)

    def pids(self):
        try:
            return [int(line) for line in Path(self.path).read_text().split()]
        except OSError:
            return []

    def running(self):
        return [pid for pid in self.pids() if is_alive(pid)]


@pytest.fixture
def begun(tmp_path):
    begun = Begun(tmp_path / "begun")
    yield begun
    for pid in begun.running():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(manager, begun, until):
    def start(way, **options):
        pytest.importorskip(LIBRARIES.get(way, "multiprocessing"))
        job = manager.options(**options).submit(way, begun.path)
        assert until(begun.pids, 30), job.stack()
        return job

    return start


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_ends_the_processes(start, begun, until, way):
    job = start(way)
    assert job.kill(10), job.stack()
    assert job.state == "killed"
    assert isinstance(job.exception(0), rjobs.JobKilled)
    assert until(lambda: not begun.running()), begun.running()
    # None is started in their place, and the process has no zombies of them.
    assert until(lambda: not multiprocessing.active_children()), multiprocessing.active_children()


def test_a_stop_and_a_time_out_do_the_same(start, begun, until):
    job = start(by_executor)
    assert job.stop(grace=0.05)
    assert job.state == "killed"
    assert until(lambda: not begun.running())
    late = start(by_process, timeout=3)
    assert late.wait(20)
    assert late.state == "timed_out"
    assert until(lambda: not begun.running())


def test_a_broken_pool_that_the_job_sees_is_chained(manager, begun, until):
    def work():
        with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
            future = pool.submit(spin, begun.path)
            try:
                time.sleep(1000)
            finally:
                future.result()

    job = manager.submit(work)
    assert until(begun.pids, 30)
    assert job.kill(10)
    assert job.state == "killed"
    error = job.exception(0)
    seen = set()
    while error is not None:
        seen.add(type(error))
        error = error.__cause__ or error.__context__
    # From CPython 3.15 on the pool says how its process ended, as the cause.
    assert seen >= {rjobs.JobKilled, concurrent.futures.process.BrokenProcessPool}


def test_a_pool_of_somebody_else_is_left_alone(manager, begun, until):
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        job = manager.submit(lambda: pool.submit(spin, begun.path).result())
        assert until(begun.pids, 30)
        assert job.kill(10)
        assert job.state == "killed"
        assert not until(lambda: not begun.running(), 0.2)
        os.kill(begun.pids()[0], signal.SIGKILL)
        assert until(lambda: not begun.running())


def test_a_process_of_another_job_is_left_alone(manager, begun, until, tmp_path):
    other = Begun(tmp_path / "other")
    killed, kept = manager.submit(by_process, begun.path), manager.submit(by_process, other.path)
    assert until(lambda: begun.pids() and other.pids(), 30)
    assert killed.kill(10)
    assert until(lambda: not begun.running())
    assert not until(lambda: not other.running(), 0.2)
    assert kept.kill(10)
    assert until(lambda: not other.running())


def test_an_executor_that_another_job_uses_is_left_alone(manager, begun, until, tmp_path):
    loky = pytest.importorskip("loky")
    other, executors, uses = Begun(tmp_path / "other"), [], threading.Event()

    def makes():
        executors.append(loky.get_reusable_executor(2))
        executors[0].submit(spin, begun.path).result()

    def borrows():
        future = executors[0].submit(spin, other.path)
        uses.set()
        future.result()

    killed = manager.submit(makes)
    assert until(begun.pids, 30)
    kept = manager.submit(borrows)
    assert uses.wait(10)
    try:
        assert until(other.pids, 30)
        assert killed.kill(10)
        assert not until(lambda: not (begun.running() and other.running()), 0.2)
        assert kept.state == "running"
        assert kept.kill(10)
    finally:
        executors[0].shutdown(wait=True, kill_workers=True)
    assert until(lambda: not begun.running())


def test_cleaning_up_may_start_a_process(manager, begun, until, tmp_path):
    marker = str(tmp_path / "marker")

    def work():
        try:
            by_process(begun.path)
        finally:
            process = multiprocessing.get_context("fork").Process(target=os.mkdir, args=(marker,))
            process.start()
            process.join()

    job = manager.submit(work)
    assert until(begun.pids, 30)
    assert job.kill(10)
    assert Path(marker).is_dir()


def test_what_a_job_that_has_ended_left_running_goes_on(manager, begun, until):
    processes = []

    def work():
        processes.append(SPAWN.Process(target=spin, args=(begun.path,)))
        processes[0].start()

    job = manager.submit(work)
    job.get(30)
    assert until(begun.pids, 30)
    assert job.kill(0)
    assert not until(lambda: not begun.running(), 0.2)
    processes[0].kill()
    processes[0].join(10)
