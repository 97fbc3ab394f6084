"""Taking the outcome: `get`, `exception`, and what they raise."""

import concurrent.futures
import threading
import traceback

import pytest

import rjobs


def raising(exception):
    raise exception


class Odd(BaseException):
    """Neither an Exception nor anything the library knows."""


def test_get_gives_the_very_value_again_and_again(manager):
    value = object()
    job = manager.submit(lambda: value)
    assert job.get() is value
    assert job.get(5) is value
    assert job.result is value


@pytest.mark.parametrize("value", [None, False, 0, ValueError("returned"), NotImplemented, ...], ids=repr)
def test_any_value_is_a_value(manager, value):
    job = manager.submit(lambda: value)
    assert job.get(5) is value
    assert job.exception() is None
    assert job.state == "done"


@pytest.mark.parametrize(
    "exception",
    [
        ValueError("mine"),
        KeyError("mine"),
        StopIteration("mine"),
        TimeoutError("mine"),
        concurrent.futures.CancelledError("mine"),
        GeneratorExit("mine"),
        KeyboardInterrupt("mine"),
        SystemExit("mine"),
        Odd("mine"),
        rjobs.JobKilled("mine"),
        rjobs.JobTimeout("mine"),
        ExceptionGroup("mine", [ValueError()]),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_get_raises_the_very_exception(manager, exception):
    job = manager.submit(raising, exception)
    with pytest.raises(type(exception), match="mine") as raised:
        job.get(5)
    assert raised.value is exception
    assert job.exception() is exception
    # It raised this by itself: nobody killed it, cancelled it or took too long.
    assert job.state == "failed"
    assert job.finished is None
    assert not job.cancelled()
    assert manager.submit(int).get(5) == 0


def test_an_exception_keeps_its_traceback(manager):
    def inner():
        raise ValueError

    def outer():
        inner()

    error = manager.submit(outer).exception(5)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-2:] == ["outer", "inner"]


def test_no_frame_of_ours_leads_to_the_function(manager):
    error = manager.submit(raising, ValueError()).exception(5)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["raising"]


def test_raising_it_again_does_not_lengthen_the_traceback(manager):
    job = manager.submit(raising, ValueError("again"))
    lengths = []
    for _ in range(5):
        with pytest.raises(ValueError, match="again") as raised:
            job.get(5)
        lengths.append(len(traceback.extract_tb(raised.value.__traceback__)))
    assert len(set(lengths)) == 1
    assert len(traceback.extract_tb(job.exception().__traceback__)) == 1


def test_cause_and_context_stay(manager):
    def chained():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    job = manager.submit(chained)
    try:
        raise RuntimeError("the caller's own trouble")
    except RuntimeError:
        error = job.exception(5)
    assert isinstance(error.__cause__, KeyError)
    assert isinstance(error.__context__, KeyError)
    assert error.__suppress_context__


def test_one_exception_may_end_two_jobs(manager):
    shared = ValueError("shared")

    def other():
        raise shared

    first = manager.submit(raising, shared)
    first.join(5)
    second = manager.submit(other)
    second.join(5)
    names = [traceback.extract_tb(job.exception().__traceback__)[0].name for job in (first, second, first)]
    assert names == ["raising", "other", "raising"]
    assert first.exception() is second.exception() is shared


def test_many_threads_may_wait_for_one_job(hold):
    job = hold("value")
    got = []
    threads = [threading.Thread(target=lambda: got.append(job.get(10))) for _ in range(10)]
    for thread in threads:
        thread.start()
    hold.go.set()
    for thread in threads:
        thread.join(10)
    assert got == ["value"] * 10


@pytest.mark.parametrize("timeout", [0, 0.01, -1, -0.0, 1e-300])
@pytest.mark.parametrize("method", ["get", "exception"])
def test_when_the_wait_runs_out_the_job_goes_on(hold, method, timeout):
    job = hold(3)
    with pytest.raises(TimeoutError, match="it goes on") as raised:
        getattr(job, method)(timeout)
    assert type(raised.value) is TimeoutError
    assert f"job {job.num} " in str(raised.value)
    assert job.state == "running"
    hold.go.set()
    assert job.get(5) == 3


@pytest.mark.parametrize("timeout", [None, 5, 5.0, 1e9, 1e19, 1e300, float("inf")])
def test_however_long_the_time_out_the_value_comes(hold, timeout):
    job = hold("late")
    threading.Timer(0.01, hold.go.set).start()
    assert job.get(timeout=timeout) == "late"


@pytest.mark.parametrize(("timeout", "error"), [("5", TypeError), (float("nan"), ValueError), ([], TypeError)])
@pytest.mark.parametrize("method", ["get", "exception", "join"])
def test_a_time_out_that_is_none_says_so(hold, method, timeout, error):
    with pytest.raises(error, match="timeout must be a number of seconds or None"):
        getattr(hold(), method)(timeout)


def test_a_value_is_there_even_without_time(manager):
    job = manager.submit(int, "4")
    job.join(5)
    assert job.get(0) == 4
    assert job.get(-1) == 4
    assert job.exception(0) is None


def test_a_cancelled_job_raises_cancelled_error(single, hold):
    hold(on=single)
    job = single.submit(int)
    assert job.cancel()
    for take in (job.get, job.exception):
        with pytest.raises(concurrent.futures.CancelledError, match=f"job {job.num} "):
            take()


def test_a_job_that_was_killed_in_the_queue_raises_job_killed(single, hold):
    hold(on=single)
    job = single.submit(int)
    assert job.kill()
    with pytest.raises(rjobs.JobKilled, match="before it started"):
        job.get()
    assert isinstance(job.exception(), rjobs.JobKilled)


def test_join_returns_none_and_raises_nothing_of_the_jobs(hold, manager):
    held, failing = hold(), manager.submit(raising, SystemExit(3))
    assert failing.join() is None
    assert held.join(0) is None
    assert held.join(timeout=0.01) is None
    assert held.is_alive()
    hold.go.set()
    assert held.join(5) is None
    assert not held.is_alive()


def test_the_outcome_outlives_the_manager_and_the_record():
    manager = rjobs.JobManager()
    good, bad = manager.submit(int, "8"), manager.submit(raising, ValueError("kept"))
    manager.wait(timeout=5)
    manager.shutdown()
    manager.flush()
    del manager
    assert good.get() == 8
    assert str(bad.exception()) == "kept"
