"""Code that keeps the interpreter for long: said once on stderr, by a thread that needs none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells which thread is at work"),
    pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="there is no lock to keep"),
]

BEGIN = """
import hashlib, os, sys, threading, time
import rjobs
jobs = rjobs.JobManager(daemon=True)
def keep():
    base = 3
    return (base ** 6_000_000) > 1
def tasks():
    names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    return [name for name in names if name.startswith("rjobs")]
"""
LIMIT = "rjobs._rjobs._set_hog_limit(0.4)\n"


@pytest.fixture
def run():
    """Run a program: what it wrote to each stream."""

    def run(code, **variables):
        ran = subprocess.run(
            [sys.executable, "-c", BEGIN + code],
            capture_output=True,
            text=True,
            timeout=58,
            env={**os.environ, **variables},
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout, ran.stderr

    return run


SAID = re.compile(r"rjobs: job 1 has kept the interpreter for [0-9.]+ s: nothing else runs meanwhile[^\n]*\n")


def test_a_job_that_keeps_the_interpreter_is_named_once(run):
    code = """
sleeper = jobs.submit(time.sleep, 1000)
print(jobs.submit(keep).get(50))
sleeper.kill()
"""
    said, errors = run(LIMIT + code)
    assert said == "True\n"
    assert SAID.fullmatch(errors), errors


def test_it_is_said_while_the_job_still_keeps_it(run):
    # Read through a pipe by a thread of another process's: here, by a program that needs no interpreter of this one.
    code = """
reader, writer = os.pipe()
os.dup2(writer, 2)
os.close(writer)
said = []
job = jobs.submit(int)
job.get(10)
child = os.posix_spawnp("sh", ["sh", "-c", "head -c 1 >/dev/null; date +%s.%N"], os.environ, file_actions=[
    (os.POSIX_SPAWN_DUP2, reader, 0)])
jobs.submit(keep).get(50)
ended = time.time()
os.waitpid(child, 0)
print(" ", ended)
"""
    said, _ = run(LIMIT + code)
    told, ended = map(float, said.split())
    assert told < ended


def test_what_lets_others_run_is_not_named(run):
    code = """
def busy():
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        sum(range(1000))
waiting = [jobs.submit(busy), jobs.submit(time.sleep, 2.5)]
waiting.append(jobs.submit(hashlib.pbkdf2_hmac, "sha256", b"word", b"salt", 3_000_000))
for job in waiting:
    job.get(50)
"""
    assert run(LIMIT + code) == ("", "")


def test_the_main_thread_is_no_job(run):
    assert run(LIMIT + "sleeper = jobs.submit(time.sleep, 1000)\ntime.sleep(0.2)\nkeep()\nsleeper.kill()\n") == ("", "")


@pytest.mark.parametrize("value", ["0", "None"])
def test_it_can_be_turned_off(value, run):
    code = "print(jobs.submit(keep).get(50), len(tasks()))\n"
    assert run(code, RJOBS_KEPT_WARNING=value) == ("True 1\n", "")


def test_the_time_is_read_from_the_environment(run):
    _, errors = run("jobs.submit(int).get(10)\njobs.submit(keep).get(50)\n", RJOBS_KEPT_WARNING="0.3")
    assert SAID.fullmatch(errors), errors


def test_a_time_that_is_none_is_warned_of(run):
    _, errors = run("", RJOBS_KEPT_WARNING="soon")
    assert 'RuntimeWarning: RJOBS_KEPT_WARNING="soon" is no number of seconds' in errors


def test_with_nothing_to_do_there_is_no_such_thread(run):
    code = """
rjobs._rjobs._set_hog_limit(8)
def until(count):
    deadline = time.monotonic() + 20
    while tasks().count("rjobs-timers") != count and time.monotonic() < deadline:
        time.sleep(0.01)
    print(tasks().count("rjobs-timers"))
for _ in range(2):
    jobs.submit(int).get(10)
    until(1)
    until(0)
jobs.submit(int).get(10)
jobs.shutdown()
print(tasks())
"""
    assert run(code) == ("1\n0\n1\n0\n[]\n", "")
