"""A kill hits its job or nobody: the race between kills and the ends of jobs, run against the real thing.

`README.md` beside this file says how these tests were shown to fail where either half of the protocol is missing.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from collections import Counter, deque
from contextlib import suppress
from time import sleep

import pytest

import rjobs

SHORT, LONG = 20_000, 100_000


class Bell:
    """Runs Python code when it dies, so that a strike which goes astray has something to hit."""

    alive = 0

    def __init__(self) -> None:
        Bell.alive += 1

    def __del__(self) -> None:
        # Between the end of the call and the end of the job. Others get the interpreter in here.
        sleep(0)
        for _ in range(3):
            pass
        Bell.alive -= 1


class Track:
    """Where the workers are: each job of Python code says so first, and killers aim at it, or at the one after it."""

    def __init__(self) -> None:
        self.at = 0
        self.jobs: list[rjobs.Job] = []
        self.called: Counter[int] = Counter()
        self.asked = itertools.count()

    def is_target(self, number):
        return number % 2 == 1

    def killer(self):
        """Something that kills the job that runs now or comes next, whichever is a target."""
        last = 0

        def kill_one():
            nonlocal last
            number = self.at | 1
            if number == last or number >= len(self.jobs):
                # Others have the interpreter, up to the moment in which one of them gives it up.
                sleep(0)
                return
            last = number
            self.jobs[number].kill(0)
            next(self.asked)

        return kill_one

    def start(self, manager, number):
        """Start one job; every third is called back when it has ended."""
        kind = kind_of(number)
        job = manager.submit(sleep, 0) if kind is sleep else manager.submit(kind, self, number, Bell())
        self.jobs.append(job)
        if number % 3 == 0:
            job.add_done_callback(self.callback)

    def callback(self, job):
        # Long enough to be hit by what was meant for the job.
        self.called[job.num] += sum(1 for _ in range(20)) // 20


def short(track, number, bell):
    track.at = number
    return number


def yields(track, number, bell):
    track.at = number
    sleep(0)
    return number


def some(track, number, bell):
    track.at = number
    for _ in range(number % 50):
        pass
    return number


def tidy(track, number, bell):
    try:
        return yields(track, number, bell)
    finally:
        for _ in range(3):
            pass


def caught(track, number, bell):
    with suppress(KeyError):
        raise KeyError(number)
    return yields(track, number, bell)


def fails(track, number, bell):
    track.at = number
    raise ValueError(number)


# `sleep` stands for a function of C alone: it lets others have the interpreter, and never looks for an exception that was
# set for its thread meanwhile.
KINDS = (short, yields, sleep, some, tidy, sleep, caught, fails, sleep)


def kind_of(number):
    # One that is no target says where it is, so that the one of C after it is aimed at.
    kind = KINDS[number // 2 % len(KINDS)]
    return yields if kind is sleep and number % 2 == 0 else kind


def outcome(job, number):
    """How it ended, after checking that it ended as it may."""
    assert job.done(), job
    try:
        assert job.get(0) == (None if kind_of(number) is sleep else number)
    except ValueError as error:
        assert kind_of(number) is fails
        assert error.args == (number,)
    except rjobs.JobKilled:
        assert job.state == "killed"
        return "killed" if job.started_at else "never ran"
    return job.state


def race(manager, total, hammering, killers=3):
    """Run `total` jobs, the targets among them under fire."""
    track = Track()
    with hammering() as start_hammers:
        for _ in range(killers):
            start_hammers(track.killer())
        for number in range(total):
            track.start(manager, number)
            if number % 1000 == 999:
                track.jobs[number - 200].join(30)
        _done, not_done = manager.wait(track.jobs, 30)
    assert not_done == []
    # Callbacks run after the end was told: a manager that was left has no workers, so all of them have run.
    manager.shutdown()
    return track


def check_race(crew, hammering, total, workers):
    alive = Bell.alive
    manager = crew(workers)
    track = race(manager, total, hammering)
    meant = Counter(outcome(job, number) for number, job in enumerate(track.jobs) if track.is_target(number))
    others = Counter(outcome(job, number) for number, job in enumerate(track.jobs) if not track.is_target(number))
    asked = next(track.asked)
    print(f"kills: {asked}; of those that were meant: {dict(meant)}; the others: {dict(others)}")
    # None was lost, nobody was hit who was not meant,
    assert meant.total() + others.total() == total
    failing = sum(kind_of(number) is fails for number in range(total) if not track.is_target(number))
    assert others == {"done": total // 2 - failing, "failed": failing}
    # every callback ran to its end, once, and nothing was kept.
    assert track.called == Counter(range(0, total, 3))
    track.jobs.clear()
    manager.flush()
    gc.collect()
    assert Bell.alive == alive
    return meant, asked


@pytest.mark.parametrize("workers", [1, 8])
def test_a_kill_that_races_with_the_end_hits_its_job_or_nobody(crew, hammering, switching, workers):
    meant, asked = check_race(crew, hammering, SHORT // 4, workers)
    # With the usual switches there are few kills, since the workers have the interpreter for 5 ms in a row.
    if sys.getswitchinterval() < 1e-3:
        assert asked > 100
        assert meant["killed"] > 10
        assert meant["done"] > 10


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, 8])
def test_of_100_000_jobs_that_race_with_kills_none_is_lost_and_none_hit_astray(crew, hammering, switching, workers):
    check_race(crew, hammering, LONG, workers)


def aimed(manager, rounds, *, spread):
    """One victim and one bystander after it on the same worker, again and again; kills aimed at the victim's last moment.

    Returns how many victims were killed, and how many kills were too late.
    """
    killed = late = 0
    sent = threading.Event()
    go = threading.Event()
    victims: deque[rjobs.Job] = deque()
    stop = False

    def killer():
        while not stop:
            if go.wait(1):
                go.clear()
                for _ in range(spread):
                    pass
                if victims:
                    victims.pop().kill(0)
                sent.set()

    def victim():
        go.set()
        for _ in range(spread):
            pass

    def bystander():
        return sum(1 for _ in range(50))

    thread = threading.Thread(target=killer, daemon=True)
    thread.start()
    for _ in range(rounds):
        job = manager.submit(victim)
        victims.append(job)
        after = [manager.submit(bystander) for _ in range(3)]
        assert [job.get(10) for job in after] == [50] * 3
        job.join(10)
        assert sent.wait(10)
        sent.clear()
        killed += job.state == "killed"
        late += job.state == "done"
    stop = True
    thread.join(10)
    return killed, late


@pytest.mark.parametrize("spread", [0, 300])
def test_who_comes_after_the_victim_on_the_same_worker_is_never_hit(crew, switching, spread):
    killed, late = aimed(crew(1), 400, spread=spread)
    assert killed + late == 400


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("spread", [0, 50, 300, 1000])
def test_who_comes_after_the_victim_is_never_hit_in_20_000_rounds(crew, switching, spread):
    killed, late = aimed(crew(1), 20_000, spread=spread)
    assert killed + late == 20_000
