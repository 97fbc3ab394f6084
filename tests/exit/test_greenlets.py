"""Programs that gevent or eventlet has patched: workers are threads of the system all the same."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap

import pytest

LIBRARIES = ["gevent", "eventlet"]

PATCH = {
    "gevent": "from gevent import monkey, sleep, spawn; monkey.patch_all()",
    "eventlet": "import warnings; warnings.simplefilter('ignore')\n"
    "from eventlet import monkey_patch, sleep, spawn; monkey_patch()",
}

BODY = """
import asyncio, os, sys, threading, time
m = rjobs.JobManager()
"""


@functools.cache
def is_here(library: str) -> bool:
    """Asked in a process of its own: eventlet has each later fork of a process that imported it warn."""
    command = [sys.executable, "-W", "ignore", "-c", f"import {library}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture(params=LIBRARIES)
def library(request):
    if not is_here(request.param):
        pytest.skip(f"{request.param} cannot be imported")
    return request.param


@pytest.fixture
def patched(library, run):
    """`patched(source, when)`: a program that has `m`, patched before or after rjobs is imported, or later."""

    def patched(source: str, when: str = "before"):
        lines = {
            "before": [PATCH[library], "import rjobs", BODY],
            "after": ["import rjobs", PATCH[library], BODY],
            "late": ["import rjobs", BODY, "assert m.submit(pow, 2, 2).get(5) == 4", PATCH[library]],
        }[when]
        # Not held to the time that an end may take: these libraries are slow to import.
        ending = run("\n".join([*lines, textwrap.dedent(source)]))
        return ending.code, ending.out, ending.err

    return patched


@pytest.mark.parametrize("when", ["before", "after", "late"])
def test_jobs_run_on_threads_of_the_system_whenever_the_patch_comes(patched, when):
    source = """
        began = time.monotonic()
        def busy():
            # Several at a time, and the main thread goes on: greenlets could not.
            until = time.monotonic() + 0.2
            while time.monotonic() < until: pass
            return threading.get_native_id()
        jobs = [m.submit(busy) for _ in range(3)]
        ids = {job.get(10) for job in jobs}
        assert time.monotonic() - began < 8
        print(len(ids), os.getpid() in ids, m.submit(int, "7").get(5), m.map(abs, [-1, -2]).results(5))
        print(m.submit(asyncio.sleep, 0.01, "slept").get(5))
        def fails(): raise ValueError("its own")
        print(repr(m.submit(fails).exception(5)))
        m.shutdown()
        print(m.workers)
    """
    assert patched(source, when) == (0, "3 False 7 [1, 2]\nslept\nValueError('its own')\n0\n", "")


def test_a_worker_is_the_current_thread_of_its_job_and_has_its_locals(patched):
    source = """
        here = threading.local()
        here.mark = "main"
        def looks():
            me = threading.current_thread()
            return me.name, me.is_alive(), me in threading.enumerate(), getattr(here, "mark", None)
        print(m.submit(looks).get(5))
        thread = m.submit(threading.current_thread).get(5)
        m.shutdown()
        thread.join(5)
        print(thread.is_alive(), thread in threading.enumerate())
    """
    assert patched(source) == (0, "('looks', True, True, None)\nFalse False\n", "")


def test_other_greenlets_run_while_one_waits_for_a_job(patched):
    source = """
        ticks, gate = [], threading.Event()
        def ticking():
            while True:
                ticks.append(1)
                sleep(0.005)
        spawn(ticking)
        def busy():
            until = time.monotonic() + 0.5
            while time.monotonic() < until: pass
            return 42
        print(m.submit(busy).get(10))
        waited = len(ticks)
        job = m.submit(busy)
        print(m.wait([job], 0.1).not_done == [job], m.wait([job], 10).not_done)
        print(waited > 5, len(ticks) > waited + 5)
    """
    assert patched(source) == (0, "42\nTrue []\nTrue True\n", "")


def test_a_job_s_computing_is_killed_and_timed_out(patched):
    source = """
        started = threading.Event()
        def spins():
            while True: pass
        jobs = [m.submit(spins), m.options(timeout=0.2).submit(spins)]
        while jobs[0].state != "running": sleep(0.001)
        print(jobs[0].kill(10), jobs[0].state)
        m.wait(jobs, 10)
        print(jobs[1].state)
    """
    assert patched(source) == (0, "True killed\ntimed_out\n", "")


def test_the_program_ends_while_jobs_run(patched):
    source = """
        m.options(daemon=True).submit(lambda: [None for _ in iter(int, 1)])
        print(m.submit(pow, 2, 3).get(5))
        sys.exit(3)
    """
    assert patched(source) == (3, "8\n", "")
