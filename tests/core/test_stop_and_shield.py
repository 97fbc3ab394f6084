"""Asking a job to end, and what a job may hold a kill off from."""

import asyncio
import threading
import time

import pytest

import rjobs


@pytest.fixture
def go():
    """Lets the jobs of a test go at its end."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def begun(manager):
    """`begun(function)`: a job that has called the function's first argument."""

    def begun(function, **options):
        started = threading.Event()
        job = manager.options(**options).submit(function, started.set)
        assert started.wait(10)
        return job

    return begun


def test_a_job_that_checks_is_stopped_without_a_kill(begun):
    seen = []

    def work(ready):
        ready()
        try:
            while True:
                rjobs.current_job().check()
        except rjobs.JobKilled as killed:
            seen.append(str(killed))
            raise

    job = begun(work)
    assert job.stop()
    assert job.state == "killed"
    assert job.stop_requested
    assert not job.kill_pending
    assert "was asked to stop" in seen[0]


def test_a_job_that_looks_at_the_request_may_end_in_its_own_way(begun):
    def work(ready):
        ready()
        while not rjobs.current_job().stop_requested:
            time.sleep(0.001)
        return "half of it"

    job = begun(work)
    assert job.stop(grace=None)
    assert job.state == "done"
    assert job.get() == "half of it"


def test_a_job_that_does_not_look_is_killed_after_the_grace(begun, go):
    job = begun(lambda ready: (ready(), go.wait()))
    assert job.stop(grace=0.01)
    assert job.state == "killed"
    assert job.stop_requested


def test_a_sleep_of_the_job_ends_when_it_is_asked_to_stop(begun):
    def work(ready):
        ready()
        rjobs.current_job().sleep(1000)

    job = begun(work)
    assert job.stop(grace=10)
    assert job.state == "killed"


def test_a_sleep_of_the_job_can_be_killed_and_ends_by_itself(begun):
    def work(ready):
        rjobs.current_job().sleep(0.001)
        ready()
        rjobs.current_job().sleep(1000)

    job = begun(work)
    assert job.kill()
    assert job.state == "killed"
    assert not job.stop_requested


def test_a_queued_job_that_is_stopped_never_runs(single, hold):
    hold(on=single)
    ran = []
    job = single.submit(ran.append, 1)
    assert job.stop()
    assert job.state == "cancelled"
    assert ran == []


def test_a_job_that_has_ended_is_left_as_it_is(manager):
    job = manager.submit(int)
    job.join(5)
    assert job.stop()
    assert job.state == "done"
    assert not job.stop_requested


@pytest.mark.parametrize("method", ["check", "shield", "sleep"])
def test_what_is_for_the_job_itself_says_so_elsewhere(manager, hold, method):
    job = hold()
    arguments = [1] if method == "sleep" else []
    with pytest.raises(RuntimeError, match=rf"{method}\(\) is for the code of job 0"):
        getattr(job, method)(*arguments)
    other = manager.submit(lambda: getattr(job, method)(*arguments))
    assert isinstance(other.exception(5), RuntimeError)


def test_a_job_cannot_stop_itself(manager):
    job = manager.submit(lambda: rjobs.current_job().stop())
    assert isinstance(job.exception(5), RuntimeError)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_time_that_is_none_is_refused(manager, seconds):
    job = manager.submit(lambda: rjobs.current_job().sleep(seconds))
    assert isinstance(job.exception(5), ValueError)


def shielded(ready, go, steps):
    with rjobs.current_job().shield():
        ready()
        while not go.is_set():
            time.sleep(0.001)
        steps.append("whole")
    steps.append("never")


@pytest.mark.parametrize("by", ["kill", "timeout"])
def test_a_kill_waits_for_the_end_of_a_shield(begun, go, by):
    steps = []
    options = {"timeout": 0.05} if by == "timeout" else {}
    job = begun(lambda ready: shielded(ready, go, steps), **options)
    if by == "kill":
        assert not job.kill(0.05)
    while not job.kill_pending:
        time.sleep(0.001)
    assert job.running()
    go.set()
    job.join(5)
    assert job.state == ("killed" if by == "kill" else "timed_out")
    assert steps == ["whole"]


def test_a_blocked_call_in_a_shield_is_not_woken(begun, go):
    job = begun(lambda ready: shield_and_wait(ready, go))
    assert not job.kill(0.1)
    go.set()
    assert job.kill()
    assert job.state == "killed"


def shield_and_wait(ready, go):
    with rjobs.current_job().shield():
        ready()
        assert go.wait(10)


def test_shields_nest(begun, go):
    steps = []

    def work(ready):
        with rjobs.current_job().shield():
            shielded_inside(ready)

    def shielded_inside(ready):
        with rjobs.current_job().shield():
            ready()
            go.wait(10)
        steps.append("after the inner")

    job = begun(work)
    job.kill(0)
    go.set()
    job.join(5)
    assert job.state == "killed"
    assert steps == ["after the inner"]


def test_a_kill_that_came_before_the_shield_does_not_wait_for_it(manager, go):
    def work():
        try:
            while not go.is_set():
                pass
        finally:
            with rjobs.current_job().shield():
                pass

    job = manager.submit(work)
    while not job.running():
        time.sleep(0)
    assert job.kill()
    assert job.state == "killed"


def test_a_coroutine_can_be_shielded(begun):
    steps = []

    async def work(ready):
        with rjobs.current_job().shield():
            ready()
            await asyncio.sleep(0.2)
            steps.append("whole")
        await asyncio.sleep(1000)

    job = begun(work)
    assert job.kill()
    assert job.state == "killed"
    assert steps == ["whole"]


def test_a_job_in_native_code_loses_the_pool_no_worker(single, deaf):
    deaf.manager = single
    job = deaf()
    assert not job.kill(0.01)
    while not job.in_native_code:
        time.sleep(0.001)
    assert [single.submit(pow, 2, n).get(5) for n in range(3)] == [1, 2, 4]
    assert job.running()
    deaf.go()
    assert job.get(5) == 1
    # The one in its place goes again.
    while single.workers > 1:
        single.submit(int).join(5)
