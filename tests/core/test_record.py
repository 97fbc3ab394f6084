"""What a job tells about itself: state, times, idents, where it is, and all of it as plain data."""

import datetime as dt
import json
import threading
import time
from types import SimpleNamespace

import pytest

import rjobs

NOT_COMPLETED = "<BackgroundJob has not completed>"
DIED = "<BackgroundJob died, call jobs.traceback() for details>"
DEAD = ("Dead (Exception), call jobs.traceback() for details", -1, None, DIED)


def shown(job):
    """What IPython shows of a job in a terminal."""
    texts = []
    job._repr_pretty_(SimpleNamespace(text=texts.append), cycle=False)
    return "".join(texts)


@pytest.fixture
def in_state(hold, single):
    """Gives a job that is in a state, and stays there."""

    def in_state(state: str) -> rjobs.Job:
        match state:
            case "running":
                return hold()
            case "done":
                job = hold.manager.submit(int, "42")
            case "failed":
                job = hold.manager.submit(int, "x")
            case "killed":
                job = hold()
                assert job.kill()
            case "timed_out":
                job = hold(timeout=0.005)
            case "queued" | "cancelled":
                hold(on=single)
                job = single.submit(int, "42")
                if state == "queued":
                    return job
                assert job.cancel()
        job.join(5)
        return job

    return in_state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("queued", ("Created", 0, False, NOT_COMPLETED)),
        ("running", ("Running", 1, False, NOT_COMPLETED)),
        ("done", ("Completed", 2, True, 42)),
        ("failed", DEAD),
        ("killed", DEAD),
        ("timed_out", DEAD),
        ("cancelled", DEAD),
    ],
)
def test_each_state_in_our_words_and_in_ipythons(in_state, state, words):
    job = in_state(state)
    assert job.state == state
    assert (job.status, job.stat_code, job.finished, job.result) == words
    has_ended = state not in ("queued", "running")
    assert job.done() == has_ended
    assert job.is_alive() == (not has_ended)
    assert job.running() == (state == "running")
    assert job.cancelled() == (state == "cancelled")
    assert state.replace("_", " ") in shown(job)


@pytest.mark.parametrize("state", ["queued", "running", "done", "failed", "killed", "timed_out", "cancelled"])
def test_as_a_dict_a_job_is_plain_data(in_state, state):
    job = in_state(state)
    record = job.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["num"], record["name"], record["state"]) == (job.num, job.name, state)
    assert record["result"] == (42 if state == "done" else None)
    assert (record["exception"] is not None) == (state in ("failed", "killed", "timed_out", "cancelled"))
    assert (record["started_at"] is None) == (state in ("queued", "cancelled"))
    assert (record["ended_at"] is None) == (state in ("queued", "running"))


def test_the_dict_of_a_failed_job_has_its_exception(manager):
    job = manager.submit(int, "not a number")
    job.join(5)
    exception = job.to_dict()["exception"]
    assert (exception["type"], exception["module"]) == ("ValueError", "builtins")
    assert "not a number" in exception["message"]
    assert "ValueError: " in exception["traceback"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1, 2.5, "x", None, {"a": [True]}], [1, 2.5, "x", None, {"a": [True]}]),
        (float("nan"), "nan"),
        ({1, 2}, "{1, 2}"),
        (2 + 1j, "(2+1j)"),
        (b"bytes", "b'bytes'"),
    ],
)
def test_in_the_dict_a_result_is_data_or_its_repr(manager, value, shown):
    job = manager.submit(lambda: value)
    job.join(5)
    assert job.to_dict()["result"] == shown


def test_the_dict_holds_nothing_of_the_job(manager):
    job = manager.submit(lambda: [1])
    job.join(5)
    job.to_dict()["result"].append(2)
    assert job.get() == [1]


def test_a_huge_result_is_cut_in_the_dict(manager):
    job = manager.submit(lambda: {"x" * 100_000})
    job.join(5)
    assert len(job.to_dict()["result"]) <= 1000


def test_time_stamps_are_aware_and_in_order(manager):
    before = dt.datetime.now(dt.UTC)
    job = manager.submit(time.sleep, 0.002)
    job.join(5)
    after = dt.datetime.now(dt.UTC)
    stamps = [job.created_at, job.started_at, job.ended_at]
    slack = dt.timedelta(seconds=1)
    assert all(stamp.utcoffset() == dt.timedelta(0) for stamp in stamps)
    assert before - slack <= stamps[0] <= stamps[1] < stamps[2] <= after + slack
    assert job.elapsed == pytest.approx((job.ended_at - job.started_at).total_seconds(), abs=1e-4)


def test_what_has_not_happened_has_no_time(single, hold):
    running, queued = hold(on=single), None
    queued = single.submit(int)
    assert running.started_at is not None
    assert running.ended_at is None
    assert (queued.started_at, queued.ended_at, queued.elapsed) == (None, None, 0.0)
    assert queued.cancel()
    assert queued.started_at is None
    assert queued.elapsed == 0.0
    assert queued.ended_at >= queued.created_at


def test_elapsed_grows_while_it_runs_and_then_stands(hold):
    job = hold()
    first = job.elapsed
    while job.elapsed == first:
        pass
    assert job.elapsed > first
    hold.go.set()
    job.join(5)
    assert job.elapsed == job.elapsed >= first


def test_processor_time_is_that_of_the_jobs_own_thread(manager):
    def burn():
        began = time.thread_time()
        while time.thread_time() - began < 0.03:
            pass

    busy, idle = manager.submit(burn), manager.submit(time.sleep, 0.03)
    manager.wait([busy, idle], timeout=10)
    assert 0.025 <= busy.cpu_time <= busy.elapsed
    assert 0 <= idle.cpu_time < 0.02
    assert idle.elapsed >= 0.03


def test_a_job_that_never_ran_used_no_processor_time(single, hold):
    hold(on=single)
    job = single.submit(int)
    assert job.cpu_time == 0.0
    job.cancel()
    assert job.cpu_time == 0.0


def test_idents_are_those_of_the_thread_that_runs_it(single, hold):
    def idents():
        return threading.get_ident(), threading.get_native_id()

    held = hold(on=single)
    queued = single.submit(idents)
    assert (queued.ident, queued.native_id) == (None, None)
    assert held.ident in {thread.ident for thread in threading.enumerate()}
    hold.go.set()
    assert queued.get(5) == (queued.ident, queued.native_id)


def test_function_and_arguments_can_be_looked_at_while_it_waits(single, hold):
    hold(on=single)
    argument = object()
    job = single.new(print, argument, kw={"end": ""})
    assert job.func is print
    assert job.args == (argument,)
    assert job.kwargs == {"end": ""}
    assert (job.expression, job.code, job.glob, job.loc) == (None, None, None, None)
    assert job.cancel()
    # Kept for `retry()`.
    assert (job.func, job.args, job.kwargs) == (print, (argument,), {"end": ""})


def test_function_and_arguments_can_be_looked_at_while_it_runs(manager):
    started, go = threading.Event(), threading.Event()

    def work(x, y=0):
        started.set()
        go.wait(10)

    job = manager.new(work, 1, kw={"y": 2})
    assert started.wait(5)
    try:
        assert job.func is work
        assert job.args == (1,)
        assert job.kwargs == {"y": 2}
    finally:
        go.set()


def test_the_stack_shows_where_a_running_job_is(manager):
    started, go = threading.Event(), threading.Event()

    def deep_inside():
        started.set()
        go.wait(10)

    def work():
        deep_inside()

    job = manager.submit(work)
    assert started.wait(5)
    lines = job.stack().splitlines()
    go.set()
    assert "in work" in lines[0]
    assert any("in deep_inside" in line for line in lines)
    assert not any("rjobs" in line and "_threads.py" in line for line in lines)
    job.join(5)
    assert job.stack() == ""


def test_a_queued_job_has_no_stack(single, hold):
    hold(on=single)
    assert single.submit(int).stack() == ""


def test_what_ipython_shows_is_one_line_with_number_state_name_and_error(manager):
    job = manager.new(int, name="my job")
    job.join(5)
    assert shown(job).startswith("<Job 0 done: my job")
    failed = manager.new(int, "x", name="bad\nname")
    failed.join(5)
    assert "ValueError" in shown(failed)
    assert "\n" not in shown(failed)


def test_a_kill_that_has_not_landed_is_shown(deaf):
    job = deaf()
    job.kill(0)
    assert "kill pending" in shown(job)
    deaf.go()
    job.join(5)
    assert "kill pending" not in shown(job)


def test_a_job_is_hashable_and_equal_to_itself_only(manager):
    first, second = manager.new(int), manager.new(int)
    assert len({first, second, manager[0]}) == 2
    assert first == manager[0]
    assert first != second


def test_a_job_type_can_say_what_it_gives():
    assert rjobs.Job[int].__origin__ is rjobs.Job
    assert rjobs.Job[int].__args__ == (int,)


def test_the_attributes_of_a_job_are_not_for_setting(manager):
    job = manager.new(int)
    for attribute in ("num", "state", "result", "status", "output", "elapsed"):
        with pytest.raises(AttributeError):
            setattr(job, attribute, "other")
