"""`Job.debug()` where there is no IPython, and what it refuses; `Job.stack()` beyond the plain case."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest


def test_pdb_looks_at_the_live_traceback():
    code = (
        "import rjobs\n"
        "def divide(zero):\n"
        "    secret = 41\n"
        "    return 1 / zero\n"
        "job = rjobs.JobManager().submit(divide, 0)\n"
        "job.join()\n"
        "job.debug()\n"
        "print('after')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input="p secret + zero + 1\nup\nq\n",
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert "(Pdb) 42\n" in run.stdout
    assert run.stdout.endswith("after\n")
    assert run.stderr == ""


def refused(job, words):
    with pytest.raises(RuntimeError, match=words):
        job.debug()


def test_what_cannot_be_looked_at_is_refused(manager):
    hold = threading.Event()
    running = manager.submit(hold.wait, 20)
    refused(running, rf"job {running.num} \('Event.wait'\) has not ended")
    hold.set()
    running.join(20)
    refused(running, "is done: it raised nothing")
    failed = manager.new("1 / 0")
    failed.join(20)
    exception = failed.exception()
    inside = manager.submit(failed.debug)
    with pytest.raises(RuntimeError, match="nobody can be asked inside a job"):
        inside.get(20)
    assert failed.exception() is exception


def test_a_job_that_never_ran_has_no_traceback(single, hold):
    hold(on=single)
    cancelled, killed = single.submit(int), single.submit(int)
    cancelled.cancel()
    killed.kill()
    refused(cancelled, "is cancelled: it raised nothing")
    refused(killed, "is killed: there is no live traceback")


def test_the_stack_of_an_awaiting_job_shows_what_it_awaits(manager):
    started = threading.Event()

    async def inner():
        started.set()
        await asyncio.sleep(100)

    async def outer():
        await inner()

    # A coroutine of a plain call has an event loop of its own, on a worker.
    job = manager.submit(lambda: outer())  # noqa: PLW0108 - no coroutine function
    assert started.wait(20)
    while "asyncio.sleep" not in (text := job.stack()):
        assert job.running()
    names = [line.rpartition(" in ")[2] for line in text.splitlines() if line.startswith("  File")]
    assert names[:2] == ["outer", "inner"]
    assert "run_until_complete" not in text
    job.kill()
    assert job.stack() == ""


def test_the_stack_has_no_frames_of_ours(manager):
    started, go = threading.Event(), threading.Event()

    def wait(_item):
        started.set()
        go.wait(20)

    group = manager.map(wait, [1])
    assert started.wait(20)
    lines = group.stack().splitlines()
    go.set()
    assert lines[0].endswith(" in wait")
    # Builtin code has no frames.
    job = manager.submit(go.__class__.wait, threading.Event(), 20)
    while not job.stack():
        assert not job.done()
    assert "rjobs" not in job.stack().partition("\n")[0]
    job.kill()
