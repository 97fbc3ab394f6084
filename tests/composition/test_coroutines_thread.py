"""The thread of coroutine jobs: it comes with the first and goes when it is not needed."""

import asyncio
import threading
import time

import pytest

import rjobs


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


def test_shutdown_waits_for_them_or_ends_them(manager):
    job = manager.submit(asyncio.sleep, 0.05, "waited for")
    manager.shutdown()
    assert (job.state, job.result) == ("done", "waited for")
    assert loops() == []
    with pytest.raises(rjobs.ManagerClosed):
        manager.submit(asyncio.sleep, 0)
    other = rjobs.JobManager()
    jobs = [other.submit(asyncio.sleep, 1000) for _ in range(1000)]
    other.shutdown(kill=True)
    assert {job.state for job in jobs} <= {"killed", "cancelled"}
    assert loops() == []


def test_a_manager_that_nobody_holds_lets_them_finish_and_goes():
    manager = rjobs.JobManager()
    job = manager.submit(asyncio.sleep, 0.05, "finished")
    del manager
    assert job.get(5) == "finished"
    deadline = time.monotonic() + 10
    while loops() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert loops() == []
