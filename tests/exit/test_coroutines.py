"""Programs that end, or fork, with coroutine jobs on the event loop of a manager."""

from __future__ import annotations

import os
import textwrap

import pytest

FRAME = """
import asyncio, logging, os, signal, sys, threading, time
import rjobs
# In developer mode it tells how long a step took, which on a busy machine may be any time.
logging.getLogger("asyncio").setLevel(logging.ERROR)
def say(*words):
    # Not print: in a job that is the job's output.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
m = rjobs.JobManager(daemon=True)
started = threading.Event()
def ready():
    started.set()
def on(function):
    started.clear()
    job = m.submit(function)
    assert started.wait(10)
    return job
"""

JOBS = {
    "none any more": "m.submit(asyncio.sleep, 0).get()",
    "suspended": """
        async def wait():
            ready()
            await asyncio.sleep(1000)
        on(wait)
    """,
    "waiting for nothing": """
        async def wait():
            ready()
            await asyncio.get_running_loop().create_future()
        on(wait)
        del m
    """,
    "thousands": "jobs = [m.submit(asyncio.sleep, 1000) for _ in range(5000)]",
    "computing": """
        async def compute():
            ready()
            while True:
                sum(range(100))
        on(compute)
        m.submit(asyncio.sleep, 1000)
    """,
    "blocking": """
        async def block():
            ready()
            time.sleep(1000)
        on(block)
        m.submit(asyncio.sleep, 1000)
    """,
    "swallowing": """
        async def stubborn():
            while True:
                try:
                    ready()
                    await asyncio.sleep(0.001)
                except BaseException:
                    pass
        on(stubborn)
    """,
    "with tasks": """
        async def wait():
            tasks = [asyncio.create_task(asyncio.sleep(1000)) for _ in range(100)]
            await asyncio.sleep(0)
            ready()
            tasks.append(asyncio.create_task(asyncio.sleep(1000)))
            await asyncio.gather(*tasks)
        on(wait)
    """,
    "cleaning up": """
        async def clean():
            try:
                ready()
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(1000)
        on(clean)
    """,
    "ticking": """
        async def tick():
            while True:
                ready()
                print("tick")
                await asyncio.sleep(0)
        for _ in range(3):
            on(tick)
    """,
    "awaiting a job": """
        async def outer():
            inner = m.submit(asyncio.sleep, 1000)
            ready()
            await asyncio.gather(inner, asyncio.to_thread(time.sleep, 0.1))
        on(outer)
    """,
}
ENDS = {"falls off its end": ("", 0, ""), "sys.exit(3)": ("sys.exit(3)", 3, ""), "os._exit(4)": ("os._exit(4)", 4, "")}


def program(source: str) -> str:
    return FRAME + textwrap.dedent(source)


@pytest.mark.parametrize("options", [(), ("-X", "dev", "-W", "error")], ids=["as usual", "developer mode"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("jobs", JOBS)
def test_a_program_ends_at_once_and_in_silence(run, check, jobs, end, options):
    if options and end != "falls off its end":
        pytest.skip("developer mode once for each kind of job")
    source, code, err = ENDS[end]
    check(run(program(JOBS[jobs]) + "\n" + source, *options), code, "", err)


def test_their_cleanup_runs(run, check):
    source = """
        async def wait():
            try:
                ready()
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0.01)
                say("cleaned up")
        on(wait)
    """
    check(run(program(source)), 0, "cleaned up\n")


def test_those_that_are_no_daemons_are_waited_for(run, check):
    source = """
        async def work(left):
            await asyncio.sleep(0.05)
            say(left)
            if left:
                m.options(daemon=False).submit(work, left - 1)
        m.options(daemon=False).submit(work, 2)
        m.submit(asyncio.sleep, 1000)
        say("main is over")
        sys.exit(3)
    """
    check(run(program(source)), 3, "main is over\n2\n1\n0\n")


def test_importing_rjobs_and_running_plain_jobs_does_not_import_asyncio(run, check):
    source = """
        import sys
        import rjobs
        rjobs.JobManager(daemon=True).submit(int).get()
        print("asyncio" in sys.modules)
    """
    check(run(source), 0, "False\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_makes_its_own_loop(run, check):
    source = """
        m.submit(asyncio.sleep, 0).get()
        job = m.submit(asyncio.sleep, 0.5, "the parent's")
        pid = os.fork()
        if pid == 0:
            signal.alarm(15)
            try:
                assert job.state == "lost"
                n = rjobs.JobManager(daemon=True)
                assert n.submit(asyncio.sleep, 0.01, "the child's").get(5) == "the child's"
                n.shutdown()
                m.shutdown()
                os._exit(7)
            except BaseException as error:
                say(repr(error))
                os._exit(1)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), job.get(5))
    """
    check(run(program(source)), 0, "7 the parent's\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_job_that_forks_goes_on_in_the_parent_only(run, check):
    source = """
        async def forks():
            pid = os.fork()
            if pid == 0:
                signal.alarm(15)
                return "in the child"
            # The child leaves the loop with the step that it was made in.
            status = await asyncio.to_thread(os.waitpid, pid, 0)
            return os.waitstatus_to_exitcode(status[1])
        beside = m.submit(asyncio.sleep, 0.1, "whole")
        say(m.submit(forks).get(20), beside.get(5))
    """
    check(run(program(source)), 0, "0 whole\n")
