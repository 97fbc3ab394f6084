"""What a job leaves on its thread does not reach the next: the thread goes after a kill, and is tidied after others."""

from __future__ import annotations

import asyncio
import pdb  # noqa: T100
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import rjobs


@pytest.fixture
def one():
    """A manager with one worker at a time, so that the next job comes to where the last one was."""
    with rjobs.JobManager(1) as manager:
        yield manager


def kill_once_begun(manager, work):
    """Start `work(started)`, and kill it once it has begun."""
    started = threading.Event()
    job = manager.submit(work, started)
    assert started.wait(10)
    assert job.kill(10)
    assert job.state == "killed"
    return job


def test_the_thread_of_a_killed_job_is_another_for_the_next(one):
    here = threading.local()

    def marks(started):
        here.mark = "at work"
        started.set()
        time.sleep(1000)

    kill_once_begun(one, marks)
    assert one.submit(lambda: getattr(here, "mark", None)).get(10) is None


def test_a_job_that_ended_by_itself_leaves_its_thread_to_the_next(one):
    assert one.submit(threading.get_ident).get(10) == one.submit(threading.get_ident).get(10)
    with pytest.raises(ValueError, match="invalid"):
        one.submit(int, "x").get(10)
    assert one.workers == 1


@pytest.mark.parametrize("end", ["kill", "timeout"])
def test_a_pool_is_as_large_as_it_was_after_many_kills(end):
    with rjobs.JobManager(3) as manager:
        for _ in range(30):
            barrier = threading.Barrier(4)
            options = {"timeout": 0.1} if end == "timeout" else {}

            def meet(barrier=barrier):
                barrier.wait(10)
                time.sleep(1000)

            jobs = [manager.options(**options).submit(meet) for _ in range(3)]
            barrier.wait(10)
            if end == "kill":
                assert all(job.kill(10) for job in jobs)
            assert not manager.wait(jobs, 10).not_done
        # Three at a time still, and no more than that.
        together = threading.Barrier(4)
        jobs = [manager.submit(together.wait, 10) for _ in range(3)]
        together.wait(10)
        assert len({job.get(10) for job in jobs}) == 3
        assert manager.workers == 3


def test_what_waits_behind_a_killed_job_runs_also_when_the_manager_is_shut_down_meanwhile():
    for _ in range(20):
        manager = rjobs.JobManager(1)
        started = threading.Event()

        def waits(started=started):
            started.set()
            time.sleep(1000)

        job = manager.submit(waits)
        behind = [manager.submit(pow, 2, n) for n in range(5)]
        assert started.wait(10)
        manager.shutdown(wait=False)
        job.kill(0)
        assert [job.get(10) for job in behind] == [1, 2, 4, 8, 16]
        manager.shutdown()
        assert manager.workers == 0


RUN_AGAIN = """
import sys, threading
import {library}, rjobs
async def sleeps(started):
    started.set()
    await {library}.sleep(1000)
async def answers():
    await {library}.sleep(0)
    return 42
def run(*args):
    return {run}(*args{options})
with rjobs.JobManager(1) as one:
    for _ in range(3):
        started = threading.Event()
        job = one.submit(run, sleeps, started)
        assert started.wait(10) and job.kill(10), job
        print(one.submit(run, answers).get(10))
"""


@pytest.mark.parametrize(
    ("library", "options"),
    [("trio", ""), ("anyio", ", backend='trio'"), ("anyio", ", backend='asyncio'")],
)
def test_a_loop_of_another_library_runs_after_a_killed_run_of_it(library, options):
    pytest.importorskip(library)
    if "trio" in options:
        pytest.importorskip("trio")
    program = RUN_AGAIN.format(library=library, run=f"{library}.run", options=options)
    # A program of its own: the run that was cut off warns when it is collected, at any time.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, "42\n42\n42\n"), done.stderr


def test_an_event_loop_that_a_job_left_is_not_the_next_job_s(one):
    loop = asyncio.new_event_loop()

    def leaves():
        asyncio.set_event_loop(loop)
        asyncio._set_running_loop(loop)
        sys.set_asyncgen_hooks(print, print)
        time.sleep(0.001)

    def finds():
        asyncio.run(asyncio.sleep(0))
        policy = asyncio.events._event_loop_policy
        return asyncio._get_running_loop(), getattr(policy._local, "_loop", None), sys.get_asyncgen_hooks()

    one.submit(leaves).get(10)
    running, current, hooks = one.submit(finds).get(10)
    loop.close()
    assert (running, current, tuple(hooks)) == (None, None, (None, None))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals to block here")
def test_signals_that_a_job_has_blocked_come_to_the_next(one):
    before = one.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).get(10)
    assert one.submit(signal.pthread_sigmask, signal.SIG_BLOCK, signal.valid_signals()).get(10) == before
    assert one.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).get(10) == before
    left, right = socket.socketpair()
    with left, right:

        def waits(started):
            started.set()
            left.recv(1)

        began = time.monotonic()
        kill_once_begun(one, waits)
        assert time.monotonic() - began < 2


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals to block here")
def test_a_signal_that_a_short_job_has_blocked_comes_to_the_next(one):
    # Too short to be asked for what it has left: it is noted as the job blocks it.
    def blocked(how, signals):
        return one.submit(signal.pthread_sigmask, how, signals).get(10)

    for _ in range(50):
        blocked(signal.SIG_BLOCK, (signal.SIGUSR1,))
        assert signal.SIGUSR1 not in blocked(signal.SIG_BLOCK, ())


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals to block here")
def test_signals_that_native_code_of_a_job_has_blocked_come_to_the_next(one):
    # Python is told of nothing: a job that ran long is looked at.
    ctypes = pytest.importorskip("ctypes")
    native = ctypes.CDLL(None)

    def blocks():
        every = ctypes.create_string_buffer(256)
        native.sigfillset(every)
        assert native.pthread_sigmask(int(signal.SIG_BLOCK), every, None) == 0
        time.sleep(0.001)

    before = one.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).get(10)
    one.submit(blocks).get(10)
    assert one.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).get(10) == before


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signals to block here")
def test_a_job_can_be_killed_that_was_started_where_all_signals_are_blocked():
    # A new thread has the mask of the one that starts it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    left, right = socket.socketpair()
    try:
        with left, right, rjobs.JobManager(1) as manager:

            def waits(started):
                started.set()
                left.recv(1)

            kill_once_begun(manager, waits)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("kind", ["trace", "profile"])
def test_a_function_that_a_job_set_for_its_thread_does_not_see_the_next(one, kind):
    seen = []

    def sees(frame, event, arg):
        seen.append(frame.f_code.co_name)
        return sees

    def called():
        pass

    setter, getter = getattr(sys, f"set{kind}"), getattr(sys, f"get{kind}")

    def sets():
        setter(sees)
        called()

    one.submit(sets).get(10)
    assert "called" in seen
    seen.clear()
    assert one.submit(getter).get(10) is None
    one.submit(called).get(10)
    assert seen == []


def test_what_traces_all_threads_goes_on_tracing_workers(one):
    # A coverage tool or a debugger: it was there before the job, which may put it away for itself.
    seen = []

    def sees(frame, event, arg):
        if frame.f_code.co_name == "called":
            seen.append(event)

    def called():
        pass

    threading.settrace(sees)
    try:
        one.submit(sys.settrace, None).get(10)
        one.submit(called).get(10)
    finally:
        threading.settrace(None)
    assert seen == ["call"]


def test_a_breakpoint_in_a_job_stops_no_other(one, monkeypatch):
    asked = []
    monkeypatch.setattr(pdb.Pdb, "interaction", lambda _pdb, frame, *_: asked.append(frame.f_code.co_name))
    monkeypatch.setenv("PYTHONBREAKPOINT", "pdb.set_trace")

    def stops():
        breakpoint()  # noqa: T100
        return 1

    def goes_on():
        return 2

    assert one.submit(stops).get(10) == 1
    asked.clear()
    assert [one.submit(goes_on).get(10) for _ in range(3)] == [2, 2, 2]
    assert asked == []
