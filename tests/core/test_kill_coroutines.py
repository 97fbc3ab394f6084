"""Kills of jobs that are coroutines: by their event loop, and in their own code where that does not answer."""

import asyncio
import threading

import pytest

import rjobs


@pytest.fixture
def go():
    """Lets the jobs of a test go at its end."""
    go = threading.Event()
    yield go
    go.set()


async def waiting(running):
    """Says so once it waits: what is called soon is called when the task is not run any more."""
    asyncio.get_running_loop().call_soon(running.set)
    await asyncio.sleep(100)


def test_a_kill_reaches_coroutines(manager):
    running = threading.Event()
    coroutine = manager.submit(waiting, running)
    assert running.wait(5)
    assert coroutine.kill()
    assert coroutine.state == "killed"
    with pytest.raises(rjobs.JobKilled):
        coroutine.get()


def test_kills_of_coroutines_never_go_astray_in_asyncio(manager, go):
    for _ in range(30):
        running = threading.Event()

        async def forever(running=running):
            running.set()
            for _ in iter(go.is_set, True):
                await asyncio.sleep(0)

        job = manager.submit(forever)
        assert running.wait(5)
        assert job.kill()
        assert job.state == "killed"


def test_a_coroutine_that_waits_is_ended_and_cleans_up(manager):
    running, steps = threading.Event(), []

    async def wait():
        try:
            await waiting(running)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned")

    job = manager.submit(wait)
    assert running.wait(5)
    assert job.kill()
    assert job.state == "killed"
    assert steps == ["cleaned"]


def test_a_coroutine_can_be_ended_by_another_exception(manager):
    running = threading.Event()

    async def wait():
        await waiting(running)

    job = manager.submit(wait)
    assert running.wait(5)
    assert job.kill(exc=ValueError)
    assert job.state == "killed"
    assert type(job.exception()) is ValueError


@pytest.mark.parametrize("where", ["task", "callback"])
def test_a_kill_reaches_what_a_coroutine_has_its_loop_do(manager, go, where):
    running = threading.Event()

    def spin():
        running.set()
        while not go.is_set():
            pass

    async def task():
        spin()

    async def work():
        if where == "callback":
            asyncio.get_running_loop().call_soon(spin)
            await asyncio.sleep(1000)
        await asyncio.create_task(task())

    job = manager.submit(work)
    assert running.wait(5)
    assert job.kill()
    assert job.state == "killed"


def test_code_with_await_can_be_ended(manager):
    running = threading.Event()
    job = manager.new("await waiting(running)", {"waiting": waiting, "running": running})
    assert running.wait(5)
    assert job.kill()
    assert job.state == "killed"


def compute():
    for _ in range(100_000):
        pass


@pytest.mark.parametrize("step", [lambda: asyncio.sleep(0.01), lambda: asyncio.to_thread(compute), None])
def test_a_coroutine_that_swallows_every_kill_is_ended(manager, step):
    running = threading.Event()

    async def stubborn():
        while True:
            try:
                running.set()
                if step is None:
                    compute()
                else:
                    await step()
            except BaseException:
                pass

    job = manager.submit(stubborn)
    assert running.wait(5)
    assert job.kill(20)
    assert job.state == "killed"
    assert manager.submit(waiting, running).kill()
    assert manager.submit(int).get(5) == 0
