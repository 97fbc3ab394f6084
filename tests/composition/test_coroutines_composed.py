"""Coroutine jobs under the options that hold jobs back and run them again."""

import asyncio

import pytest

import rjobs


async def nap(value=None):
    await asyncio.sleep(0.001)
    return value


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.001)


def test_they_come_after_jobs_and_before_them(manager, held):
    first = held(manager, 20)
    last = first.then(nap).then(int.__add__, 1)
    assert last.waiting_for == "jobs"
    held.go()
    assert last.get(10) == 21


def test_they_are_tried_again(manager):
    calls = []

    async def flaky():
        calls.append(1)
        await asyncio.sleep(0)
        if len(calls) < 3:
            raise ValueError(len(calls))
        return "fine"

    job = manager.new(flaky, retry=5)
    assert job.get(10) == "fine"
    assert job.runs == 3
    failed = manager.new(flaky, retry=0)
    calls.clear()
    assert isinstance(failed.exception(10), ValueError) or failed.get() == "fine"
    manager.shutdown()


def test_one_that_waits_for_its_next_try_can_be_killed(manager, monkeypatch):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.2)

    async def fails():
        raise ValueError

    job = manager.new(fails, retry=9)
    while job.waiting_for != "retry":
        job.join(0.001)
    assert job.kill()
    assert job.state == "killed"
    manager.shutdown()


def test_they_run_again_and_again(manager):
    seen = []

    async def tick():
        seen.append(1)
        await asyncio.sleep(0)

    job = manager.every(0.002, tick)
    while len(seen) < 4:
        job.join(0.001)
    assert job.kill()
    manager.shutdown()


def test_a_limit_bounds_them(manager):
    manager.limit("two", concurrency=2)
    inside = [0, 0]

    async def work():
        inside[0] += 1
        inside[1] = max(inside)
        await asyncio.sleep(0.002)
        inside[0] -= 1

    manager.wait([manager.new(work, limit="two") for _ in range(20)], 20)
    assert inside == [0, 2]
    assert manager.limits == {"two": (0, 0)}


def test_a_full_queue_and_a_ttl(held):
    with rjobs.JobManager(max_queued=3, on_full="reject") as manager:
        jobs = [manager.submit(nap, number) for number in range(2)]
        assert [job.get(10) for job in jobs] == [0, 1]
        late = manager.new(nap, after=held(manager), ttl=0.01)
        assert isinstance(late.exception(10), rjobs.JobExpired)
        held.go()
