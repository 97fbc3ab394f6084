"""Jobs under all options at once, ended from all sides: each ends once, nothing waits for ever, no place is lost."""

from __future__ import annotations

import random
import threading
import time

import pytest

import rjobs

ENDS = {"done", "failed", "killed", "timed_out", "cancelled", "skipped", "expired"}


def work(what: float) -> float:
    if what < 0.2:
        raise ValueError(what)
    if what < 0.4:
        time.sleep(what / 100)
    return what


def throw_dice(jobs: rjobs.JobManager, dice: random.Random, known: list[rjobs.Job]) -> rjobs.Job:
    options = {}
    if dice.random() < 0.3 and known:
        options["after"] = dice.sample(known, min(len(known), dice.randrange(1, 4)))
    if dice.random() < 0.4:
        options["limit"] = dice.choice(["one", "two", "fast", ["one", "fast"], ["two", "fast", "one"]])
    if dice.random() < 0.2:
        options["retry"] = dice.randrange(3)
    if dice.random() < 0.2:
        options["ttl"] = dice.choice([0.001, 0.02, 5])
    if dice.random() < 0.2:
        options["timeout"] = dice.choice([0.001, 0.003, 5])
    if dice.random() < 0.3:
        options["priority"] = dice.randrange(-3, 4)
    if known and dice.random() < 0.2:
        return dice.choice(known).then(lambda *both: both[1], dice.random())
    return jobs.options(**options).submit(work, dice.random())


@pytest.mark.parametrize("seed", range(4))
def test_everything_at_once(monkeypatch, seed):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.002)
    jobs = rjobs.JobManager(4, max_queued=200)
    jobs.limit("one", concurrency=1)
    jobs.limit("two", concurrency=2)
    jobs.limit("fast", rate=5000)
    made: list[list[rjobs.Job]] = [[] for _ in range(3)]
    called = [0]
    lock = threading.Lock()

    def count(_job):
        with lock:
            called[0] += 1

    def submit(mine, number):
        dice = random.Random(f"{seed} {number}")
        for _ in range(400):
            job = throw_dice(jobs, dice, mine[-20:])
            job.add_done_callback(count)
            mine.append(job)
            if dice.random() < 0.2:
                victim = dice.choice(mine[-50:])
                dice.choice([victim.cancel, lambda victim=victim: victim.kill(0)])()
            if dice.random() < 0.01:
                jobs.limit("two", concurrency=dice.randrange(1, 4))

    threads = [threading.Thread(target=submit, args=(mine, number)) for number, mine in enumerate(made)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [job for mine in made for job in mine]
    _, left = jobs.wait(everything, 40)
    assert [(job.num, job.state, job.waiting_for) for job in left] == []
    assert {job.state for job in everything} <= ENDS
    # It returns when nobody is counted as inside any more, and after the callbacks.
    jobs.shutdown()
    assert called[0] == len(everything)
    assert jobs.limits == {"fast": (0, 0), "one": (0, 0), "two": (0, 0)}


def test_periodic_jobs_that_are_ended_at_any_moment():
    jobs = rjobs.JobManager(8)
    for round_ in range(200):
        job = jobs.every(0.0005, time.sleep, 0.0003)
        time.sleep(random.Random(round_).random() / 500)
        how = round_ % 3
        if how == 0:
            assert job.kill()
        elif how == 1:
            assert job.stop(0.01)
        else:
            job.cancel() or job.kill()
        assert job.done()
        runs = job.runs
        if round_ % 20 == 0:
            time.sleep(0.005)
        assert job.runs == runs
    jobs.shutdown()


def test_shutdown_at_any_moment(monkeypatch):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.002)
    for round_ in range(100):
        jobs = rjobs.JobManager(2)
        jobs.limit("one", concurrency=1)
        some = [jobs.options(limit="one", retry=1).submit(work, 0.1 if i % 2 else 0.9) for i in range(6)]
        chain = jobs.chain(int, str, len)
        jobs.every(0.001, int)
        jobs.shutdown(kill=round_ % 2 == 0, wait=True)
        assert all(job.done() for job in jobs), [(job, job.state) for job in jobs]
        if round_ % 2:
            assert chain.get() == 1
            assert {job.state for job in some} == {"done", "failed"}
