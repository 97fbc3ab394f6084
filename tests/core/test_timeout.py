"""`timeout=`: a run that takes too long is ended as by a kill."""

import asyncio
import threading
import time

import pytest

import rjobs


def spin(go):
    while not go.is_set():
        pass


@pytest.fixture
def go():
    go = threading.Event()
    yield go
    go.set()


def test_a_run_that_takes_too_long_times_out(manager, go):
    job = manager.options(timeout=0.02).submit(spin, go)
    with pytest.raises(rjobs.JobTimeout, match=r"job 0 .*0.02 s"):
        job.get(10)
    assert job.state == "timed_out"
    assert job.finished is None
    assert job.elapsed >= 0.02
    assert isinstance(job.exception(), rjobs.JobKilled)


def test_its_finally_blocks_run(manager):
    cleaned = []

    def work():
        try:
            while True:
                time.sleep(0.001)
        finally:
            cleaned.append(True)

    job = manager.new(work, timeout=0.02)
    job.join(10)
    assert job.state == "timed_out"
    assert cleaned == [True]


def test_code_can_time_out_too(manager):
    job = manager.new("while True: pass", {}, timeout=0.02)
    job.join(10)
    assert job.state == "timed_out"


def test_a_coroutine_can_time_out_too(manager):
    async def wait():
        await asyncio.sleep(100)

    job = manager.new(wait, timeout=0.02)
    job.join(10)
    assert job.state == "timed_out"
    assert isinstance(job.exception(), rjobs.JobTimeout)


def test_a_run_in_time_is_left_alone(manager):
    jobs = [manager.options(timeout=30).submit(int, str(n)) for n in range(100)]
    assert [job.get(5) for job in jobs] == list(range(100))
    assert {job.state for job in jobs} == {"done"}


def test_the_time_in_the_queue_does_not_count(single, hold):
    held = hold(on=single)
    job = single.options(timeout=0.05).submit(int, "3")
    # Longer than the time-out, which must not have begun.
    held.join(0.1)
    hold.go.set()
    assert job.get(5) == 3


def test_the_time_out_of_one_job_hits_no_other(single, go):
    for number in range(20):
        short = single.options(timeout=0.001).submit(spin, go)
        following = single.submit(lambda number: number, number)
        assert following.get(10) == number
        assert short.state == "timed_out"


def test_time_outs_as_jobs_end_hit_nobody(single):
    for number in range(100):
        single.options(timeout=0.0005).submit(sum, range(number * 500))
        assert single.submit(lambda number: number, number).get(10) == number


def test_each_job_has_a_time_out_of_its_own(manager, go):
    long, short, middle = (manager.options(timeout=t).submit(spin, go) for t in (60, 0.01, 0.05))
    short.join(10)
    assert (short.state, long.state) == ("timed_out", "running")
    middle.join(10)
    assert (middle.state, long.state) == ("timed_out", "running")
    assert long.kill()
    assert long.state == "killed"


def test_a_job_that_is_killed_before_its_time_is_over_was_killed(manager, hold):
    job = hold(timeout=60)
    assert job.kill()
    assert job.state == "killed"
    assert not isinstance(job.exception(), rjobs.JobTimeout)


def test_a_job_that_catches_the_time_out_and_goes_on_is_done(manager, go):
    def stubborn():
        try:
            spin(go)
        except rjobs.JobTimeout:
            return "had enough"

    job = manager.options(timeout=0.01).submit(stubborn)
    assert job.get(10) == "had enough"
    assert job.state == "done"


def test_a_job_that_raises_timeout_error_has_failed(manager):
    def fail():
        raise TimeoutError("of its own")

    job = manager.options(timeout=30).submit(fail)
    job.join(5)
    assert job.state == "failed"


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e19, 1e30, 1e300])
def test_no_limit_or_one_past_all_counting(manager, timeout):
    assert manager.options(timeout=timeout).submit(int, "3").get(5) == 3


@pytest.mark.parametrize("timeout", [0, 0.0, -1, float("nan"), float("-inf")])
def test_a_time_out_that_is_no_time_is_refused(manager, timeout):
    with pytest.raises(ValueError, match="timeout must be more than 0 seconds"):
        manager.new(int, timeout=timeout)
    with pytest.raises(ValueError, match="timeout must be more than 0 seconds"):
        manager.options(timeout=timeout)


@pytest.mark.parametrize("timeout", ["5", b"5", [], object()])
def test_a_time_out_that_is_no_number_is_refused(manager, timeout):
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None"):
        manager.new(int, timeout=timeout)
    assert len(manager) == 0
