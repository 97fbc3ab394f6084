"""Kills of jobs with pools of threads, at any moment: each future is told, and no thread goes on."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

pytestmark = pytest.mark.stress

ROUNDS = 150


def others():
    return {thread for thread in threading.enumerate() if not hasattr(thread, "rjobs_job")}


def gone(before, seconds=20):
    deadline = time.monotonic() + seconds
    while others() - before:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def item(ran, number):
    ran.append(number)
    for _ in range(number % 7):
        sum(range(200))
    if number % 3 == 0:
        time.sleep(0.001)


def test_a_kill_at_any_moment_leaves_no_future_untold(manager, capfd):
    chance, before = random.Random(7), others()
    for _ in range(ROUNDS):
        futures, ran, begun = [], [], threading.Event()

        def work(futures=futures, ran=ran, begun=begun):
            with ThreadPoolExecutor(3) as pool:
                begun.set()
                while True:
                    futures.append(pool.submit(item, ran, len(futures)))
                    if len(futures) % 50 == 0:
                        futures[-1].result()

        job = manager.submit(work)
        assert begun.wait(10)
        time.sleep(chance.random() * 0.01)
        assert job.kill(20), job.stack()
        assert job.state == "killed"
        assert all(future.done() for future in futures)
        ended = len(ran)
        assert gone(before), others() - before
        assert len(ran) == ended
    assert capfd.readouterr().err == ""


def test_a_kill_at_any_moment_leaves_an_executor_that_works(manager, capfd):
    chance, before = random.Random(8), others()
    for _ in range(ROUNDS):
        kept, ran, begun = [], [], threading.Event()

        def work(kept=kept, ran=ran, begun=begun):
            kept.append(ThreadPoolExecutor(2))
            begun.set()
            for number in range(100_000):
                kept[0].submit(item, ran, number)
            time.sleep(1000)

        job = manager.submit(work)
        assert begun.wait(10)
        time.sleep(chance.random() * 0.01)
        assert job.kill(20), job.stack()
        assert list(kept[0].map(abs, range(-20, 0), timeout=20)) == list(range(20, 0, -1))
        ended = len(ran)
        kept[0].shutdown()
        assert len(ran) == ended
        assert gone(before)
    assert capfd.readouterr().err == ""


def test_a_kill_at_any_moment_ends_a_thread_pool(manager, capfd):
    chance, before = random.Random(9), others()
    for _ in range(ROUNDS // 3):
        ran, begun = [], threading.Event()

        def work(ran=ran, begun=begun):
            with ThreadPool(3) as pool:
                begun.set()
                pool.starmap(item, [(ran, number) for number in range(100_000)], chunksize=1)

        job = manager.submit(work)
        assert begun.wait(10)
        time.sleep(chance.random() * 0.05)
        assert job.kill(20), job.stack()
        assert job.state == "killed"
        assert gone(before), others() - before
    assert capfd.readouterr().err == ""
