"""What can go wrong about `current_job().on_kill(fn)`: functions of no use, kills at a bad moment, wrong arguments."""

from __future__ import annotations

import os
import threading
import time

import pytest

import rjobs


def test_two_kills_call_it_once(started, query_type):
    release = threading.Event()
    query = query_type()

    def cancel():
        query.by.append(0)
        release.wait(10)
        query.cancelled.set()

    job = started(query, cancel)
    job.kill(0)
    job.kill(0)
    release.set()
    assert job.kill()
    assert (job.state, query.by, query.hit) == ("killed", [0], [])


def test_a_function_of_no_use_is_followed_by_the_strike_after_a_second(started, query_type):
    query = query_type(helps=False)
    job = started(query)
    begun = time.monotonic()
    assert job.kill()
    assert time.monotonic() - begun > 0.9
    assert job.state == "killed"
    assert [type(error) for error in query.hit] == [rjobs.JobKilled]


def test_a_function_that_raises_is_told_of_and_the_strike_follows(started, caplog, query_type):
    query = query_type()

    def cancel():
        raise ZeroDivisionError("no server")

    job = started(query, cancel)
    assert job.kill()
    assert job.state == "killed"
    assert any("ZeroDivisionError('no server')" in note for note in job.exception(0).__notes__)
    assert "ZeroDivisionError: no server" in caplog.text


def test_a_function_that_blocks_for_ever_holds_up_nobody(started, query_type):
    query, never = query_type(), threading.Event()
    job = started(query, never.wait)
    begun = time.monotonic()
    assert job.kill()
    assert time.monotonic() - begun < 2.5
    assert job.state == "killed"
    assert any("has not returned within a second" in note for note in job.exception(0).__notes__)
    never.set()


def test_a_function_may_kill_its_own_job_and_submit_others(manager, started, query_type):
    query, results = query_type(), []

    def cancel():
        results.append(manager.submit(pow, 2, 3).get(10))
        results.append(job.kill())
        query.cancel()

    job = started(query, cancel)
    assert job.kill()
    assert job.state == "killed"
    assert results == [8, False]
    assert query.hit == []


def test_what_it_prints_is_the_jobs(started, query_type):
    query = query_type()
    job = started(query, lambda: (print("cancelling"), query.cancel()))
    assert job.kill()
    assert job.output == "cancelling\n"


async def coroutine_function():
    """Not what a thread can call."""


@pytest.mark.parametrize("wrong", [None, 3, "cancel", coroutine_function])
def test_what_cannot_be_called_is_refused_at_once(manager, wrong):
    job = manager.submit(lambda: rjobs.current_job().on_kill(wrong))
    with pytest.raises(TypeError, match=r"on_kill\(\) of job 0 .* needs a"):
        job.get(10)


def test_it_is_for_the_job_itself(manager, started, query_type):
    job = started(query := query_type())
    with pytest.raises(RuntimeError, match=r"on_kill\(\.\.\.\) is for the code of job 0"):
        job.on_kill(print)
    query.cancelled.set()
    assert isinstance(job.exception(10), query_type.Error)
    assert job.state == "failed"


def test_a_block_cannot_be_pickled(manager):
    import pickle

    job = manager.submit(lambda: pickle.dumps(rjobs.current_job().on_kill(print)))
    with pytest.raises(TypeError, match="an on_kill block"):
        job.get(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_in_the_block_leaves_the_child_alone(manager, query_type):
    query, children = query_type(), []

    def work():
        with rjobs.current_job().on_kill(query.cancel):
            child = os.fork()
            if child == 0:
                # Leaves the block, and the process.
                return
            children.append(child)
            query.run()

    job = manager.submit(work)
    assert query.begun.wait(10)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert job.kill()
    assert (job.state, len(query.by)) == ("killed", 1)
