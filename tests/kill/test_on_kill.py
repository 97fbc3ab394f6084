"""`current_job().on_kill(fn)`: a block that a kill ends by calling a function."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import rjobs


@pytest.mark.parametrize("how", ["kill", "stop", "timeout"])
def test_the_function_ends_the_block_and_the_kill_is_raised_there(started, how, query_type):
    query = query_type()
    job = started(query, timeout=0.2 if how == "timeout" else None)
    if how == "kill":
        assert job.kill()
    elif how == "stop":
        assert job.stop(grace=0.01)
    assert job.wait(10)
    assert job.state == ("timed_out" if how == "timeout" else "killed")
    error = job.exception(0)
    assert type(error) is (rjobs.JobTimeout if how == "timeout" else rjobs.JobKilled)
    assert isinstance(error.__context__, query_type.Error)
    # Nothing was sent into the block, and the function ran once, on neither the killer's thread nor the job's.
    assert query.hit == []
    assert len(query.by) == 1
    assert query.by[0] not in {threading.get_ident(), job.ident}


def test_a_class_that_was_asked_for_is_raised(started, query_type):
    job = started(query_type())
    assert job.kill(exc=ArithmeticError)
    assert (job.state, type(job.exception(0))) == ("killed", ArithmeticError)
    assert isinstance(job.exception(0).__context__, query_type.Error)


def test_without_a_kill_nothing_is_called(manager, query_type):
    called = []

    def work():
        with rjobs.current_job().on_kill(lambda: called.append(1)):
            pass
        with pytest.raises(query_type.Error), rjobs.current_job().on_kill(lambda: called.append(1)):
            raise query_type.Error
        return "value"

    job = manager.submit(work)
    assert job.get(10) == "value"
    assert called == []


def test_a_block_that_returns_is_left_with_the_kill(manager):
    go, begun, after = threading.Event(), threading.Event(), []

    def work():
        with rjobs.current_job().on_kill(go.set):
            begun.set()
            go.wait(60)
        after.append("not to be reached")

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill()
    assert (job.state, after) == ("killed", [])
    assert job.exception(0).__context__ is None


def test_a_job_that_returns_a_value_nevertheless_is_done(manager, query_type):
    query = query_type()

    def work():
        try:
            with rjobs.current_job().on_kill(query.cancel):
                query.run()
        except rjobs.JobKilled:
            return "half"

    job = manager.submit(work)
    assert query.begun.wait(10)
    assert job.kill()
    assert (job.state, job.get(0)) == ("done", "half")


def test_blocks_nest(manager, query_type):
    called, query = [], query_type()

    def work():
        job = rjobs.current_job()
        with job.on_kill(lambda: called.append("outer")), job.on_kill(query.cancel):
            query.run()

    job = manager.submit(work)
    assert query.begun.wait(10)
    assert job.kill()
    assert job.state == "killed"
    assert isinstance(job.exception(0).__context__, query_type.Error)
    assert len(query.by) == 1
    assert called in ([], ["outer"])


def test_an_outer_block_is_ended_where_the_inner_function_is_of_no_use(manager, query_type):
    query, called = query_type(), []

    def work():
        job = rjobs.current_job()
        with job.on_kill(query.cancel), job.on_kill(lambda: called.append("inner")):
            query.run()

    job = manager.submit(work)
    assert query.begun.wait(10)
    begun = time.monotonic()
    assert job.kill()
    assert time.monotonic() - begun < 0.9
    assert (called, query.hit) == (["inner"], [])


@pytest.mark.parametrize("is_inner", [True, False])
def test_within_a_shield_the_kill_waits_and_nothing_is_called(manager, is_inner, query_type):
    query, go, begun = query_type(), threading.Event(), threading.Event()

    def work():
        job = rjobs.current_job()
        outer, inner = (job.on_kill(query.cancel), job.shield())[:: 1 if is_inner else -1]
        with outer:
            with inner:
                begun.set()
                go.wait(60)
            if is_inner:
                query.run()

    job = manager.submit(work)
    assert begun.wait(10)
    assert not job.kill(0.05)
    assert query.by == []
    go.set()
    assert job.kill()
    assert job.state == "killed"
    assert len(query.by) == int(is_inner)


@pytest.mark.parametrize("is_own_loop", [False, True])
def test_in_a_coroutine_job(manager, is_own_loop, query_type):
    begun, called, hit = threading.Event(), [], []

    async def work():
        loop, go = asyncio.get_running_loop(), asyncio.Event()

        def cancel():
            called.append(threading.get_ident())
            loop.call_soon_threadsafe(go.set)

        with rjobs.current_job().on_kill(cancel):
            begun.set()
            try:
                await go.wait()
            except BaseException as error:
                hit.append(error)
                raise
            raise query_type.Error("cancelled")

    job = manager.submit(functools.partial(call, work) if is_own_loop else work)
    assert begun.wait(10)
    assert job.kill()
    assert job.state == "killed"
    assert isinstance(job.exception(0).__context__, query_type.Error)
    assert hit == []
    assert len(called) == 1


def test_a_coroutine_whose_function_is_of_no_use_is_cancelled_after_a_second(manager):
    begun = threading.Event()

    async def work():
        with rjobs.current_job().on_kill(int):
            begun.set()
            await asyncio.sleep(60)

    job = manager.submit(work)
    assert begun.wait(10)
    begun_at = time.monotonic()
    assert job.kill()
    assert time.monotonic() - begun_at > 0.9
    assert job.state == "killed"


def test_in_an_item_of_a_map(manager, query_type):
    query = query_type()

    def work(_):
        with rjobs.current_job().on_kill(query.cancel):
            query.run()

    group = manager.map(work, range(3), workers=1)
    assert query.begun.wait(10)
    assert group.kill()
    assert (group.state, query.hit) == ("killed", [])


def test_in_a_thread_that_the_job_started(manager, query_type, until):
    query, left = query_type(), []

    def in_thread():
        try:
            with rjobs.current_job().on_kill(query.cancel):
                query.run()
        except rjobs.JobKilled as error:
            left.append(type(error.__context__))
            raise

    def work():
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()

    job = manager.submit(work)
    assert query.begun.wait(10)
    assert job.kill()
    # The job may be struck before it comes to wait for the thread.
    assert until(lambda: left)
    assert (job.state, query.hit, len(query.by)) == ("killed", [], 1)
    assert left == [query_type.Error]


def test_leaving_the_block_waits_for_the_function(manager):
    steps, late, begun, go = [], threading.Event(), threading.Event(), threading.Event()

    def cancel():
        go.set()
        # The connection's next query would be hit, if it began before this is over.
        late.wait(0.3)
        steps.append("cancelled")

    def work():
        try:
            with rjobs.current_job().on_kill(cancel):
                begun.set()
                go.wait(60)
        finally:
            steps.append("next query")

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill()
    assert (job.state, steps) == ("killed", ["cancelled", "next query"])


def test_a_kill_behind_the_block_calls_nothing(manager):
    called, begun = [], threading.Event()

    def work():
        with rjobs.current_job().on_kill(lambda: called.append(1)):
            pass
        begun.set()
        time.sleep(60)

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill()
    assert (job.state, called) == ("killed", [])


def test_kills_that_come_as_the_block_ends(manager):
    """The function is called, and the block waits for it, or it never is; the kill is raised in any case."""
    for _ in range(200):
        events, begun = [], threading.Event()

        def work(events=events, begun=begun):
            try:
                begun.set()
                with rjobs.current_job().on_kill(lambda: events.append("called")):
                    pass
                events.append("left")
                time.sleep(60)
            finally:
                events.append("cleanup")

        job = manager.submit(work)
        assert begun.wait(10)
        assert job.kill()
        assert job.state == "killed"
        assert "called" not in events or events.index("called") == 0, events


def test_at_the_end_of_the_program_it_is_called_too():
    program = """
        import os, sys, threading
        import rjobs

        go, begun = threading.Event(), threading.Event()

        def cancel():
            os.write(1, b"cancelled\\n")
            go.set()

        def work():
            try:
                with rjobs.current_job().on_kill(cancel):
                    begun.set()
                    go.wait()
            except rjobs.JobKilled:
                os.write(1, b"killed\\n")
                raise

        jobs = rjobs.JobManager(daemon=True)
        jobs.submit(work)
        begun.wait()
        sys.exit(3)
    """
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "cancelled\nkilled\n", "")
    assert time.monotonic() - begun < 5


def call(function):
    """Return the coroutine of a coroutine function: a job that does so has a loop of its own."""
    return function()
