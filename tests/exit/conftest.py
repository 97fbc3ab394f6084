"""Whole programs: how they end, how fast, and what they leave on stderr."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

# Promised are 2 seconds; a machine that runs other tests as well gets this. Times what `slowness()` says.
LIMIT = 5.0
# A program that does not end by then hangs.
HANG = 30.0
# How long a program takes that runs one job, where LIMIT is enough.
USUAL = 0.5
_slowest: dict[str, float] = {}


@dataclass(frozen=True)
class Ending:
    """What came of a program."""

    code: int | None  # None: it hung, and was killed
    out: str
    err: str
    seconds: float


@functools.cache
def how_slow() -> float:
    """How much slower this machine is than one on which the limits hold, by which they grow; never less than 1.

    Measured with one small program, or as the environment variable RJOBS_TEST_SLOWNESS says.
    """
    said = os.environ.get("RJOBS_TEST_SLOWNESS")
    if said is not None:
        return float(said)
    began = time.monotonic()
    code = "import rjobs, subprocess, threading; rjobs.JobManager(daemon=True).submit(int).get()"
    subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=True)
    return max(1.0, (time.monotonic() - began) / USUAL)


@pytest.fixture(scope="session")
def slowness() -> float:
    """What limits of time are to be multiplied with."""
    return how_slow()


def run_command(*arguments: str) -> Ending:
    """Run a fresh interpreter, with nobody at the keyboard. Python's warning of forks beside threads (3.12+) is off."""
    began = time.monotonic()
    command = [sys.executable, "-W", "ignore::DeprecationWarning", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG * how_slow(), check=False
        )
    except subprocess.TimeoutExpired as expired:
        parts = [(part or b"").decode() for part in (expired.stdout, expired.stderr)]
        return Ending(None, *parts, time.monotonic() - began)
    return Ending(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def run(source: str, *options: str) -> Ending:
    """Run a program."""
    return run_command(*options, "-c", textwrap.dedent(source))


@pytest.fixture(name="run")
def run_fixture(record_property, request):
    """`run(source, *options)`, which notes how long the slowest program of a test took."""

    def timed(source: str, *options: str) -> Ending:
        ending = run(source, *options)
        note(request.node.name, ending.seconds)
        record_property("seconds", ending.seconds)
        return ending

    return timed


@pytest.fixture(name="run_command")
def run_command_fixture():
    """`run_command(*arguments)`: any way to start the interpreter."""
    return run_command


@pytest.fixture
def run_file(tmp_path):
    """`run_file(source, *arguments)`: a program in a file, as `multiprocessing` needs it."""

    def run_file(source: str, *arguments: str) -> Ending:
        path = tmp_path / "program.py"
        path.write_text(source)
        return run_command(str(path), *arguments)

    return run_file


def note(name: str, seconds: float) -> None:
    """Keep how long a program took, for the summary."""
    _slowest[name] = max(seconds, _slowest.get(name, 0.0))


@pytest.fixture(scope="session")
def launch():
    """`launch(source) -> Future[Ending]`: several programs side by side, since most of their time is waiting."""
    with ThreadPoolExecutor(4) as side_by_side:

        def launch(source: str) -> Future[Ending]:
            return side_by_side.submit(run, source)

        yield launch
        side_by_side.shutdown(cancel_futures=True)


@pytest.fixture
def check(request):
    """`check(ending, code, out, err)`: that a program ended as it meant to, in time, and said nothing else."""

    def check(ending: Ending, code: int, out: str | None = None, err: str = "", limit: float = LIMIT) -> None:
        note(request.node.name, ending.seconds)
        assert ending.code is not None, f"it hangs; stderr: {ending.err[-2000:]}"
        assert (ending.code, ending.err) == (code, err)
        if out is not None:
            assert ending.out == out
        assert ending.seconds < limit * how_slow()

    return check


def pytest_terminal_summary(terminalreporter):
    if _slowest:
        name, seconds = max(_slowest.items(), key=lambda item: item[1])
        terminalreporter.write_line(f"slowest of {len(_slowest)} programs: {seconds:.2f} s ({name})")


FRAME = """
import asyncio, atexit, itertools, os, signal, sys, threading, time
import rjobs
def say(*words):
    # Not print: in a job that is the job's output.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def save(name, seconds=0.05):
    time.sleep(seconds)
    say(name)
def endless():
    while True:
        time.sleep(0.01)
m = rjobs.JobManager()
"""


@pytest.fixture(scope="session")
def program():
    """`program(source)`: one that has a manager `m`, and some things to do for its jobs."""
    return lambda source: FRAME + textwrap.dedent(source)


FORKS = """
import asyncio, concurrent.futures.thread, os, signal, subprocess, sys, threading, time
import rjobs
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def child(work):
    # Run `work` in a child; how that ended.
    pid = os.fork()
    if pid == 0:
        signal.alarm(15)  # a child that hangs ends with -14
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            say("child:", repr(error))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.fixture(scope="session")
def forking():
    """`forking(source, more="")`: a program with `child(work)`, which forks."""
    return lambda source, more="": FORKS + more + textwrap.dedent(source)
