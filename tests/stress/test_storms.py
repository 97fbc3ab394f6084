"""Kills, time-outs, cancels, shutdowns and the garbage collector, all at once: every job ends, nobody else notices."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections import Counter
from concurrent.futures import CancelledError
from time import sleep

import pytest

import rjobs

ENDS = {"done", "failed", "killed", "timed_out", "cancelled"}


def spin(turns=1_000):
    for _ in range(turns):
        pass
    return turns


def wait_a_little():
    for _ in range(20):
        sleep(0.0001)


def raises():
    raise LookupError


async def naps():
    """Under a storm of kills it may be dropped before it began (a warning of Python's: see conftest)."""
    for _ in range(5):
        await asyncio.sleep(0.0001)


def submits(manager):
    """A job that has others done, and waits for one of them."""
    jobs = [manager.submit(spin, 10) for _ in range(3)]
    return jobs[0].get(20)


def kills(manager):
    """A job that kills whatever it finds."""
    for job in manager.running[-3:]:
        job.kill(0)


def mixed(manager, rng):
    kind = rng.choice([spin, wait_a_little, raises, naps, submits, kills, max])
    if kind in (submits, kills):
        return manager.submit(kind, manager)
    if kind is max:
        return manager.submit(max, 1, 2)
    if rng.random() < 0.3:
        return manager.options(timeout=rng.choice([1e-6, 0.001, 0.01])).submit(kind)
    return manager.submit(kind)


def ended_lawfully(job):
    assert job.state in ENDS
    try:
        job.get(0)
    except (LookupError, rjobs.ManagerClosed):
        assert job.state == "failed"
    except CancelledError:
        assert job.state == "cancelled" or isinstance(job.exception(0), CancelledError)
    except rjobs.JobTimeout:
        assert job.state in {"timed_out", "failed"}
    except rjobs.JobKilled:
        # A job may also fail because the one it waited for was killed.
        assert job.state in {"killed", "failed"}
    else:
        assert job.state == "done"
    return job.state


class Storm:
    """What is thrown at one manager and its jobs, from a thread each."""

    def __init__(self, manager, rng):
        self.manager, self.rng = manager, rng
        self.jobs: list[rjobs.Job] = []

    def pick(self):
        """One of the newest jobs: it is running, or has just ended."""
        back = 1 + int(self.rng.expovariate(0.3))
        return self.jobs[max(0, len(self.jobs) - back)] if self.jobs else None

    def kill_one(self):
        if job := self.pick():
            job.kill(0)
        sleep(0)

    def cancel_one(self):
        if job := self.pick():
            job.cancel()
        sleep(0)

    def kill_all(self):
        self.manager.kill_all(0)
        sleep(0.001)

    def look(self):
        self.manager._snapshot(50)
        if job := self.pick():
            job.to_dict()
        sleep(0)


def storm(crew, hammering, rounds):
    rng = random.Random(2)
    seen: Counter[str] = Counter()
    for _ in range(rounds):
        manager = crew(6, idle_timeout=rng.choice([0.0, 0.001, 1.0]))
        storm = Storm(manager, rng)
        with hammering() as start:
            for blow in (storm.kill_one, storm.cancel_one, storm.kill_all, storm.look):
                start(blow)
            storm.jobs.extend(mixed(manager, rng) for _ in range(300))
            manager.shutdown(wait=False, kill=rng.random() < 0.5)
            manager.wait(timeout=20)
        assert manager.running == []
        seen.update(ended_lawfully(job) for job in manager)
    return seen


def test_all_kinds_of_ends_at_once_leave_every_job_ended(crew, hammering, switching):
    seen = storm(crew, hammering, 4)
    assert seen["killed"]
    assert seen["done"]


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_a_long_storm_of_ends_leaves_every_job_ended(crew, hammering, switching):
    seen = storm(crew, hammering, 150)
    assert set(seen) == ENDS


def test_a_coroutine_job_that_is_killed_a_thousand_times_ends_once_and_takes_no_thread_each(crew):
    manager = crew(1)
    started = threading.Event()

    async def stubborn():
        while True:
            try:
                started.set()
                await asyncio.sleep(1)
                spin(200_000)
            except BaseException:
                if enough:
                    raise

    enough = False
    job = manager.submit(stubborn)
    assert started.wait(10)
    most = before = threading.active_count()
    for _ in range(1_000):
        job.kill(0)
        most = max(most, threading.active_count())
    enough = True
    assert any(job.kill(2) for _ in range(5))
    assert job.state == "killed"
    assert most < before + 20


def test_many_managers_come_and_go_under_kills(hammering, crew):
    managers: list[rjobs.JobManager] = []

    def kill_any():
        if managers:
            random.choice(managers).kill_all(0)
        sleep(0)

    with hammering() as start:
        start(kill_any, 2)
        for _ in range(100):
            manager = crew(4, idle_timeout=0.001)
            managers.append(manager)
            for _ in range(10):
                manager.submit(spin, 100)
            manager.wait(timeout=20)
    for manager in managers:
        assert manager.running == []
        # It still works.
        assert manager.submit(spin, 7).get(10) == 7


def test_jobs_that_kill_each_other_all_end(crew, switching):
    for _ in range(20):
        manager = crew(4)
        jobs: list[rjobs.Job] = []

        def fight(me, jobs=jobs):
            # No lock in here: a kill would leave it locked.
            while len(jobs) < 4:
                sleep(0)
            while True:
                for job in jobs:
                    if job is not jobs[me]:
                        job.kill(0)
                sleep(0)

        jobs.extend(manager.submit(fight, me) for me in range(4))
        dead = list(itertools.islice(manager.as_completed(jobs, 10), 3))
        # The last one left has nobody who would kill it.
        assert manager.kill_all(5)
        assert len(dead) == 3
        assert {job.state for job in jobs} == {"killed"}


def test_a_job_that_kills_itself_ends_at_once(crew):
    manager = crew(2)

    def suicide():
        rjobs.current_job().kill()
        return "lives"

    jobs = [manager.submit(suicide) for _ in range(200)]
    manager.wait(timeout=20)
    assert {job.state for job in jobs} == {"killed"}


def test_a_storm_of_kills_of_jobs_that_submit_leaves_the_pool_whole(crew, hammering, switching):
    # The kill may come while a worker is being started.
    outer, inner = crew(4, idle_timeout=0.0), crew(32, idle_timeout=0.0)

    def feed():
        while True:
            inner.submit(int)

    for _ in range(60):
        job = outer.submit(feed)
        while not job.running():
            sleep(0)
        for _ in range(random.randrange(50)):
            sleep(0)
        # A finalizer may swallow it (see Witness); then again.
        assert any(job.kill(2) for _ in range(5))
        assert job.state == "killed"
    assert inner.wait(timeout=20).not_done == []
    # Neither too many nor too few: so many jobs can run at once, and no more.
    barrier = threading.Barrier(32)
    assert len({job.get(20) for job in [inner.submit(barrier.wait) for _ in range(32)]}) == 32
    assert inner.workers <= 32
    assert threading.stack_size() == 0


COLLECTED = """
import gc, threading, rjobs

enough = threading.Event()

def collect():
    # A moment between two: without the GIL a mere import takes up to 500 collections otherwise, with or without rjobs.
    while not enough.wait(0.0005):
        gc.collect()

collector = threading.Thread(target=collect)
collector.start()
manager = rjobs.JobManager(6, daemon=True)
for round_ in range(12):
    # Cycles of every kind: job - result - job, job - exception - frame - job, job - callback - job.
    jobs = [manager.submit(rjobs.current_job) for _ in range(20)]
    jobs += [manager.submit(lambda round_: 1 / (round_ * 0), round_) for _ in range(10)]
    for job in jobs:
        job.add_done_callback(lambda _ended, job=job: job.state)
    for job in jobs[::3]:
        job.kill(0)
    for job in jobs[::4]:
        assert job.future is job.future
    assert manager.wait(jobs, timeout=20).not_done == []
    manager._snapshot(100)
    del jobs, job
    for number in list(manager.all):
        manager.remove(number)
enough.set()
collector.join(20)
manager.shutdown(wait=True)
print(len(manager), manager.workers, collector.is_alive())
"""


def test_the_collector_at_work_all_the_time_finds_nothing_to_break(python):
    # In a process of its own: beside all that other tests have left the collector takes a tenth of a second each time,
    # and without the GIL all threads stand still meanwhile, so that hardly anything else would be done.
    run = python(COLLECTED)
    assert run.stdout == "0 0 False\n"
    # Nothing went wrong in a finalizer, a thread or a callback.
    assert run.stderr == ""


@pytest.mark.stress
@pytest.mark.timeout(300)
def test_a_thousand_bursts_of_kill_all(crew):
    manager = crew(16, idle_timeout=0.005)
    for _ in range(1_000):
        jobs = [manager.submit(spin, 20_000) for _ in range(32)]
        manager.kill_all(0)
        assert manager.wait(jobs, timeout=20).not_done == []
        assert {job.state for job in jobs} <= {"killed", "done"}
    assert manager.submit(spin, 3).get(10) == 3
