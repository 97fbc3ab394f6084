"""What coroutine jobs leave behind, and the thread of their event loop: when it comes and when it goes."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

import rjobs


def test_what_it_leaves_behind_is_ended_with_it(manager):
    ended = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.01)
            ended.append("task")

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append("generator")

    kept = []

    async def work():
        asyncio.get_running_loop().create_task(left())
        kept.append(numbers())
        await anext(kept[0])
        await asyncio.sleep(0.01)
        return "done"

    job = manager.submit(work)
    assert job.get(10) == "done"
    assert ended == ["task", "generator"]


def test_everything_is_let_go_of_with_the_job(manager):
    class Thing:
        pass

    things = [Thing() for _ in range(3)]
    deaths = [weakref.ref(thing) for thing in things]

    async def work(thing, kind):
        if kind == "fails":
            raise LookupError
        await asyncio.sleep(0 if kind == "returns" else 1000)

    # From then on the loop has a timer of its own, in front of those of jobs: these stay in the line when cancelled.
    manager.submit(asyncio.sleep, 0).join(5)
    kinds = ("returns", "fails", "is killed")
    jobs = [manager.submit(work, things.pop(), kind) for kind in kinds]
    while not jobs[2].stack():
        time.sleep(0.001)
    assert jobs[2].kill(10)
    manager.wait(jobs, 10)
    assert [job.state for job in jobs] == ["done", "failed", "killed"]
    manager.submit(asyncio.sleep, 0).join(5)
    del jobs
    manager.flush()
    gc.collect()
    assert [death() for death in deaths] == [None, None, None]


def loops():
    return [thread for thread in threading.enumerate() if thread.name == "rjobs-loop"]


def test_the_thread_comes_with_the_first_and_goes_when_idle():
    manager = rjobs.JobManager(idle_timeout=0)
    manager.submit(int).join(5)
    assert loops() == []
    for _ in range(20):
        job = manager.submit(asyncio.sleep, 0, "again")
        assert job.get(5) == "again"
        deadline = time.monotonic() + 10
        while loops() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert loops() == []
    manager.shutdown()


def test_shutdown_waits_for_them_or_ends_them(manager, until):
    job = manager.submit(asyncio.sleep, 0.05, "waited for")
    manager.shutdown()
    assert (job.state, job.result) == ("done", "waited for")
    # The thread has told of its end, and may be on its last instructions.
    until(lambda: loops() == [])
    with pytest.raises(rjobs.ManagerClosed):
        manager.submit(asyncio.sleep, 0)
    other = rjobs.JobManager()
    jobs = [other.submit(asyncio.sleep, 1000) for _ in range(1000)]
    other.shutdown(kill=True)
    assert {job.state for job in jobs} <= {"killed", "cancelled"}
    until(lambda: loops() == [])


def test_a_manager_that_nobody_holds_lets_them_finish_and_goes():
    manager = rjobs.JobManager()
    job = manager.submit(asyncio.sleep, 0.05, "finished")
    del manager
    assert job.get(5) == "finished"
    deadline = time.monotonic() + 10
    while loops() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert loops() == []
