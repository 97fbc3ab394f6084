"""Kills of coroutine jobs that share one thread: each hits its job or nobody, however close to an end it comes."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import logging
import threading
from collections import Counter
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import rjobs

# Jobs in each run.
SHORT, LONG = 1_500, 40_000
# So many are under way at a time.
WIDTH = 20


class Bell:
    """Runs Python code when it dies, after the last step of its job: a strike that goes astray may hit it there."""

    born, died = itertools.count(), itertools.count()

    def __init__(self) -> None:
        next(Bell.born)

    def __del__(self) -> None:
        sleep(0)
        next(Bell.died)

    @classmethod
    def alive(cls) -> int:
        return next(cls.born) - next(cls.died)


async def work(track, number, bell):
    """Steps that others get the interpreter in, and suspensions in between; targets are odd."""
    track.at = number
    sleep(0)  # noqa: ASYNC251
    for _ in range(number % 7):
        await asyncio.sleep(0)
        track.at = number
        sum(range(200))
        # Long enough, now and then, that it is struck there and not cancelled.
        sleep(0.003 if number % 16 == 1 else 0)  # noqa: ASYNC251
    if number % 5 == 0:
        await asyncio.create_task(helper())
    return number


async def helper():
    sleep(0)  # noqa: ASYNC251
    await asyncio.sleep(0)


class Track:
    """Where the loop is: each job says so, and killers aim at it when it is odd, or at the one after it."""

    def __init__(self) -> None:
        self.at = 0
        self.jobs: list[rjobs.Job] = []
        self.called: list[int] = []
        self.asked = itertools.count()

    def kill_one(self):
        number = self.at | 1
        if number >= len(self.jobs) or not self.jobs[number].running():
            sleep(0)
            return
        self.jobs[number].kill(0)
        next(self.asked)

    def callback(self, job):
        # Long enough to be hit by what was meant for the job.
        sleep(0)
        self.called.append(job.num)


class Heard(logging.Handler):
    """What asyncio has to say."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.getMessage())


@pytest.fixture
def heard():
    heard = Heard()
    logging.getLogger("asyncio").addHandler(heard)
    yield heard
    logging.getLogger("asyncio").removeHandler(heard)
    assert heard.records == []


async def bystander(enough):
    """Runs from before to after, on the same thread all the time."""
    ticks = 0
    while not enough.is_set():
        ticks += 1
        await asyncio.sleep(0)
        sum(range(50))
    return ticks


def race(crew, hammering, count):
    manager, track = crew(), Track()
    before = Bell.alive()
    enough = threading.Event()
    beside = [manager.submit(bystander, enough) for _ in range(3)]
    with hammering() as start:
        start(track.kill_one, 3)
        for number in range(count):
            job = manager.submit(work, track, number, Bell())
            track.jobs.append(job)
            if number % 3 == 0:
                job.add_done_callback(track.callback)
            if number >= WIDTH:
                track.jobs[number - WIDTH].join(30)
        assert manager.wait(track.jobs, 60).not_done == []
    enough.set()
    assert all(job.get(20) > count / 10 for job in beside)
    bystanders, targets = track.jobs[::2], track.jobs[1::2]
    assert Counter(job.state for job in bystanders) == {"done": len(bystanders)}
    assert all(job.result == number for number, job in enumerate(track.jobs) if job.state == "done")
    states = Counter(job.state for job in targets)
    assert set(states) <= {"done", "killed"}
    # It was a race: kills came in time, and too late.
    assert states["killed"] > count / 100
    assert states["done"] > count / 100
    manager.shutdown()
    summary = f"{next(track.asked)} kills, {states['killed']} of {len(targets)} targets killed"
    assert len(track.called) == len(range(0, count, 3))
    # A job that was killed keeps its traceback, and that the arguments.
    del job, beside, bystanders, targets
    track.jobs.clear()
    manager.flush()
    gc.collect()
    assert Bell.alive() == before
    print(summary)


def test_a_kill_hits_its_job_on_the_loop_or_nobody(crew, hammering, switching, heard):
    race(crew, hammering, SHORT)


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_a_kill_hits_its_job_on_the_loop_or_nobody_for_long(crew, hammering, switching, heard):
    race(crew, hammering, LONG)


class Native:
    """Awaited, it is one long step in native code: nothing in it looks whether an exception was sent, nor after it."""

    def __init__(self) -> None:
        began = monotonic()
        digest = hashlib.sha256()
        digest.update(bytes(2**20))
        # Of about 60 ms, three times what a step may compute before it is struck.
        self.data = bytes(int(2**20 * 0.06 / (monotonic() - began)))

    def __await__(self):
        return map(hashlib.sha256().update, [self.data])


def test_a_strike_that_does_not_arrive_before_its_step_is_over_hits_nobody(crew, heard):
    manager, native, enough = crew(), Native(), threading.Event()

    async def victim(ready):
        ready()
        await native
        await asyncio.sleep(1000)

    beside = [manager.submit(bystander, enough) for _ in range(3)]
    for _ in range(20):
        ready = threading.Event()
        job = manager.submit(victim, ready.set)
        assert ready.wait(10)
        assert job.kill(10)
        assert job.state == "killed"
    enough.set()
    assert all(job.get(20) for job in beside)


def test_timeouts_of_thousands_hit_theirs(crew, heard):
    manager = crew()

    async def nap(number):
        for _ in range(number % 50):
            await asyncio.sleep(0.001)
            sum(range(100))
        return number

    timed = [manager.options(timeout=0.02).submit(nap, number) for number in range(2_000)]
    free = [manager.submit(nap, number) for number in range(2_000)]
    assert [job.get(60) for job in free] == list(range(2_000))
    assert manager.wait(timed, 60).not_done == []
    states = Counter(job.state for job in timed)
    assert set(states) <= {"done", "timed_out"}
    assert states["timed_out"] > 100
