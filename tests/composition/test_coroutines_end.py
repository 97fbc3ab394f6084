"""Ending coroutine jobs: kills wherever they are, time-outs, stops, shields, and never another job."""

import asyncio
import functools
import threading
import time

import pytest

import rjobs


class Ticker:
    """A job on the same loop that must not notice anything."""

    def __init__(self, manager):
        self.ticks = 0
        self.enough = threading.Event()
        self.job = manager.submit(self.tick)

    async def tick(self):
        while not self.enough.is_set():
            self.ticks += 1
            await asyncio.sleep(0.001)
        return "whole"


@pytest.fixture
def bystander(manager):
    """Runs beside the test, and has to end as if nothing had been."""
    ticker = Ticker(manager)
    yield ticker
    assert ticker.job.running()
    ticker.enough.set()
    assert ticker.job.get(20) == "whole"


@pytest.fixture
def begun(manager):
    """`begun(coroutine_function, *args, **options)`: a job that has called its first argument, `ready`."""

    def begun(function, *args, **options):
        ready = threading.Event()
        job = manager.options(**options).submit(function, ready.set, *args)
        assert ready.wait(10)
        return job

    return begun


async def suspended(ready):
    asyncio.get_running_loop().call_soon(ready)
    await asyncio.sleep(1000)


async def lost(ready):
    asyncio.get_running_loop().call_soon(ready)
    await asyncio.get_running_loop().create_future()


async def computing(ready):
    ready()
    while True:
        pass


async def blocking(ready):
    ready()
    time.sleep(1000)  # noqa: ASYNC251


async def locked(ready):
    lock = threading.Lock()
    lock.acquire()
    ready()
    lock.acquire()


async def always_awake(ready):
    ready()
    while True:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def in_a_task(ready):
    await asyncio.gather(computing(ready), asyncio.sleep(1000))


async def in_a_group(ready):
    async with asyncio.TaskGroup() as group:
        group.create_task(suspended(ready))
        group.create_task(always_awake(int))


async def in_a_callback(ready):
    def spin():
        ready()
        while True:
            pass

    asyncio.get_running_loop().call_later(0, spin)
    await asyncio.sleep(1000)


async def in_a_thread(ready):
    ready()
    await asyncio.to_thread(time.sleep, 0.5)


PLACES = [suspended, lost, computing, blocking, locked, always_awake, in_a_task, in_a_group, in_a_callback, in_a_thread]


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_ends_it_wherever_it_is(begun, bystander, place):
    job = begun(place)
    before = time.monotonic()
    assert job.kill(20)
    assert time.monotonic() - before < 2
    assert job.state == "killed"
    with pytest.raises(rjobs.JobKilled, match="was killed"):
        job.get()
    assert not job.kill_pending


@pytest.mark.parametrize("place", [suspended, computing])
@pytest.mark.parametrize("exc", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_with_whatever_exception_was_asked_for(begun, bystander, place, exc):
    job = begun(place)
    assert job.kill(20, exc)
    assert job.state == "killed"
    assert type(job.exception()) is exc


@pytest.mark.parametrize("place", [suspended, computing, blocking, in_a_task])
def test_a_timeout_ends_it_wherever_it_is(begun, bystander, place):
    job = begun(place, timeout=0.05)
    job.join(20)
    assert job.state == "timed_out"
    with pytest.raises(rjobs.JobTimeout, match=r"longer than its timeout of 0\.05 s"):
        job.get()


def test_its_cleanup_may_await_and_is_not_cut_short(begun, bystander):
    steps = []

    async def work(ready, wait):
        try:
            ready()
            await asyncio.sleep(1000) if wait else time.sleep(1000)  # noqa: ASYNC251
        except asyncio.CancelledError:
            steps.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0.1)
            steps.append("cleaned")

    assert begun(work, True).kill(20)
    assert steps == ["cancelled", "cleaned"]
    steps.clear()
    assert begun(work, False).kill(20)
    assert steps == ["cleaned"]


def test_a_traceback_of_a_kill_shows_where_it_was(begun, capsys):
    async def outer(ready):
        await suspended(ready)

    job = begun(outer)
    assert job.kill(20)
    job.traceback()
    text = capsys.readouterr().out
    assert "await suspended(ready)" in text
    assert "CancelledError" not in text


async def swallows_in_sleep(ready):
    while True:
        try:
            ready()
            await asyncio.sleep(1000)
        except BaseException:
            pass


async def swallows_in_code(ready):
    while True:
        try:
            ready()
            sum(range(100))
        except BaseException:
            pass


async def swallows_in_a_task(ready):
    await asyncio.create_task(swallows_in_sleep(ready))


async def swallows_at_the_end(ready):
    asyncio.get_running_loop().create_task(swallows_in_sleep(ready))
    await asyncio.sleep(0)


@pytest.mark.parametrize("stubborn", [swallows_in_sleep, swallows_in_code, swallows_in_a_task, swallows_at_the_end])
def test_one_that_swallows_every_exception_is_ended_nevertheless(begun, bystander, stubborn):
    job = begun(stubborn)
    assert job.kill(30)
    assert job.done()


def test_a_kill_that_waits_for_another_job_to_let_go_of_the_loop_harms_that_no_more(manager, begun):
    go = threading.Event()

    async def hog(ready):
        ready()
        while not go.is_set():
            sum(range(1000))
        return "whole"

    waits = begun(suspended)
    hogs = begun(hog)
    assert not waits.kill(0.1)
    assert waits.kill_pending
    assert not hogs.kill_pending
    go.set()
    assert hogs.get(10) == "whole"
    assert waits.kill(10)
    assert waits.state == "killed"


def test_a_job_may_end_itself_or_a_fellow(manager, begun, bystander):
    async def suicide(how):
        me = rjobs.current_job()
        if how == "task":
            await asyncio.create_task(suicide("self"))
        if how == "callback":
            asyncio.get_running_loop().call_soon(functools.partial(me.kill))
            await asyncio.sleep(1000)
        me.kill()

    for how in ("self", "task", "callback"):
        job = manager.submit(suicide, how)
        job.join(20)
        assert job.state == "killed"

    async def murder(other):
        ended = other.kill()
        with pytest.raises(rjobs.JobKilled):
            await other
        return ended

    assert manager.submit(murder, begun(suspended)).get(20) is False


def test_one_that_is_queued_never_runs(manager, begun):
    go, ran = threading.Event(), []

    async def hog(ready):
        ready()
        go.wait(20)

    async def never():
        ran.append(1)

    begun(hog)
    cancelled, killed = manager.submit(never), manager.submit(never)
    assert cancelled.cancel()
    assert killed.kill(0)
    go.set()
    manager.wait(timeout=10)
    assert (cancelled.state, killed.state, ran) == ("cancelled", "killed", [])
    assert manager.submit(asyncio.sleep, 0, "goes on").get(5) == "goes on"


def test_stop_asks_first_and_kills_then(begun, bystander):
    async def polite(ready):
        ready()
        while True:
            await asyncio.sleep(0.001)
            rjobs.current_job().check()

    job = begun(polite)
    assert job.stop()
    assert job.state == "killed"
    with pytest.raises(rjobs.JobKilled, match="was asked to stop"):
        job.get()
    deaf = begun(suspended)
    assert deaf.stop(0.05)
    assert deaf.stop_requested
    assert deaf.state == "killed"


def test_sleep_says_what_to_do(manager):
    async def sleeps(seconds):
        rjobs.current_job().sleep(seconds)

    with pytest.raises(RuntimeError, match=r"await asyncio\.sleep"):
        manager.submit(sleeps, 1).get(5)


def test_a_shield_holds_off_a_kill_over_awaits_and_for_its_own_job_only(begun, bystander):
    steps, go = [], threading.Event()

    async def work(ready, in_thread):
        with rjobs.current_job().shield():
            ready()
            while not go.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            if in_thread:
                time.sleep(0.05)  # noqa: ASYNC251
            steps.append("whole")
        steps.append("never")

    for in_thread in (False, True):
        shielded, other = begun(work, in_thread), begun(suspended)
        assert not shielded.kill(0)
        assert other.kill(10)
        assert shielded.kill_pending
        go.set()
        assert shielded.kill(10)
        assert (shielded.state, steps) == ("killed", ["whole"])
        steps.clear()
        go.clear()
