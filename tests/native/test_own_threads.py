"""Threads that a job has started end with it, and first; those of others are left alone."""

from __future__ import annotations

import concurrent.futures
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

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


def wait_for_lock(begun, *_):
    lock = threading.Lock()
    lock.acquire()
    begun.set()
    lock.acquire()


def native(seconds, begun):
    """Compute in C, without the interpreter's lock, and in no call that could be ended."""
    begun.set()
    end = time.monotonic() + seconds
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(seconds * 1_000_000))
    return max(0.0, end - time.monotonic())


# How a job can wait for threads of its own, which do `work(begun, number)`.
def by_map(work, begun):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, [begun] * 20, range(20)))


def by_submit(work, begun):
    with ThreadPoolExecutor(3) as pool:
        for number in range(200):
            pool.submit(work, begun, number)


def by_result(work, begun):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, begun).result()


def by_wait(work, begun):
    with ThreadPoolExecutor(2) as pool:
        concurrent.futures.wait([pool.submit(work, begun) for _ in range(6)])


def by_pool(work, begun):
    with ThreadPool(3) as pool:
        pool.map(lambda _: work(begun), range(20))


def by_pool_join(work, begun):
    pool = ThreadPool(3)
    pool.map_async(lambda _: work(begun), range(50))
    pool.close()
    pool.join()


def by_join(work, begun):
    threads = [threading.Thread(target=work, args=(begun,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_join_now_and_then(work, begun):
    thread = threading.Thread(target=work, args=(begun,), daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)


def by_a_class(work, begun):
    class Own(threading.Thread):
        def run(self):
            work(begun)

    thread = Own()
    thread.start()
    thread.join()


def nested(work, begun):
    def inner(_):
        by_map(work, begun)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(inner, range(4)))


def by_thread_map(work, begun):
    concurrent_tqdm = pytest.importorskip("tqdm.contrib.concurrent")
    concurrent_tqdm.thread_map(lambda _: work(begun), range(9), max_workers=3)


def by_joblib(work, begun):
    joblib = pytest.importorskip("joblib")
    joblib.Parallel(n_jobs=3, prefer="threads")(joblib.delayed(work)(begun) for _ in range(30))


WAYS = [
    by_map,
    by_submit,
    by_result,
    by_wait,
    by_pool,
    by_pool_join,
    by_join,
    by_join_now_and_then,
    by_a_class,
    nested,
    by_thread_map,
    by_joblib,
]
LIBRARIES = {by_thread_map: "tqdm", by_joblib: "joblib"}


def others():
    """The threads that there are, but for workers and what libraries keep."""
    return {
        thread
        for thread in threading.enumerate()
        if not hasattr(thread, "rjobs_job") and type(thread).__name__ != "TMonitor"
    }


@pytest.fixture
def start(manager):
    """Start a job that waits for threads of its own, when one of these is at work."""

    def start(way, work, **options):
        # Imported in a job it would be spared for long.
        pytest.importorskip(LIBRARIES.get(way, "threading"))
        if way is by_thread_map:
            pytest.importorskip("tqdm.contrib.concurrent")
        begun = threading.Event()
        job = manager.options(**options).submit(way, work, begun)
        assert begun.wait(10), job.exception(0)
        return job

    return start


@pytest.mark.parametrize("work", [spin, sleep, wait_for_lock])
@pytest.mark.parametrize("way", WAYS)
def test_a_kill_ends_the_threads_and_then_the_job(start, until, way, work):
    before = others()
    job = start(way, work)
    assert job.kill(10), job.stack()
    assert job.state == "killed"
    assert isinstance(job.exception(0), rjobs.JobKilled)
    assert until(lambda: others() <= before), others() - before


@pytest.mark.parametrize("way", [by_submit, by_pool, by_join])
def test_a_stop_and_a_time_out_do_the_same(start, until, way):
    before = others()
    job = start(way, spin)
    assert job.stop(grace=0.05)
    assert job.state == "killed"
    late = start(way, spin, timeout=0.3)
    assert late.wait(10)
    assert late.state == "timed_out"
    assert until(lambda: others() <= before), others() - before


def test_the_futures_of_a_killed_job_are_told(manager):
    futures, begun, submitted = [], threading.Event(), threading.Event()

    def work():
        with ThreadPoolExecutor(2) as pool:
            futures.extend([pool.submit(sleep, begun) for _ in range(50)])
            submitted.set()

    job = manager.submit(work)
    assert begun.wait(10)
    assert submitted.wait(10)
    assert job.kill(10)
    assert all(future.done() for future in futures)
    told = {"cancelled" if future.cancelled() else type(future.exception()) for future in futures}
    assert told == {"cancelled", rjobs.JobKilled}


def test_each_thread_cleans_up_and_the_job_after_all(manager):
    order, begun = [], threading.Barrier(4)

    def helper(number):
        try:
            begun.wait(10)
            time.sleep(1000)
        finally:
            time.sleep(0.05)
            order.append(number)

    def work():
        try:
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(helper, range(3)))
        finally:
            order.append("job")

    job = manager.submit(work)
    begun.wait(10)
    assert job.kill(10)
    assert sorted(order[:3]) == [0, 1, 2]
    assert order[3:] == ["job"]


def in_with(begun, order):
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(native, 1.2, begun).add_done_callback(lambda _: order.append("thread"))
    finally:
        order.append("job")


def in_join(begun, order):
    def run():
        native(1.2, begun)
        order.append("thread")

    thread = threading.Thread(target=run)
    try:
        thread.start()
        begun.wait()
        thread.join()
    finally:
        order.append("job")


def in_cleanup(begun, order):
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(native, 1.2, begun).add_done_callback(lambda _: order.append("thread"))
        begun.wait()
        time.sleep(1000)
    finally:
        pool.shutdown()
        order.append("job")


@pytest.mark.parametrize("way", [in_with, in_join, in_cleanup])
def test_a_wait_for_threads_in_native_code_is_not_cut(manager, way):
    begun, order = threading.Event(), []
    job = manager.submit(way, begun, order)
    assert begun.wait(10)
    time.sleep(0.05)
    if not job.kill(0.7):
        assert job.state == "running"
        assert job.kill_obstacle == "waiting for threads that it started"
        assert order == []
    assert job.wait(20)
    assert job.state == "killed"
    assert order[-1] == "job"
    # One that was struck in a plain thread does not come to its last line.
    assert order[:-1] == ([] if way is in_join else ["thread"])


@pytest.mark.parametrize("way", [in_with, in_join, in_cleanup])
def test_a_second_kill_cuts_it(manager, until, way):
    begun, ended = threading.Event(), threading.Event()
    before = others()

    def helper():
        native(3.0, begun)
        ended.set()

    def work():
        if way is in_join:
            thread = threading.Thread(target=helper)
            thread.start()
            thread.join()
            return
        pool = ThreadPoolExecutor(1)
        try:
            pool.submit(native, 3.0, begun).add_done_callback(lambda _: ended.set())
            if way is in_cleanup:
                time.sleep(1000)
        finally:
            pool.shutdown()

    job = manager.submit(work)
    assert begun.wait(10)
    time.sleep(0.05)
    if not job.kill(0.2):
        assert job.kill(10)
        assert job.state == "killed"
    assert until(lambda: others() <= before, 20)
