"""Ctrl-C while the end of a script waits ends its jobs, says how many, and that again and again changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest


def interrupted(source: str, *, more: int = 0) -> tuple[int, str, float]:
    """Run a program that says "at the end", interrupt it then, and `more` often again: code, stderr and seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            while running.stdout.readline() != "at the end\n":
                assert running.poll() is None, running.stderr.read()
            # Into the waiting, as far as that can be told from outside.
            time.sleep(0.2)
            began = time.monotonic()
            for _ in range(1 + more):
                running.send_signal(signal.SIGINT)
                time.sleep(0.03)
            err = running.communicate(timeout=30)[1]
        finally:
            running.kill()
    return running.returncode, err, time.monotonic() - began


BUSY = """
    started = threading.Barrier(3)
    def work():
        started.wait()
        time.sleep(1000)
    def stubborn():
        while True:
            try:
                while True:
                    sum(range(100))
            except BaseException:
                pass
    for job in range(2):
        m.submit(work)
    started.wait()
"""


@pytest.mark.parametrize(
    ("jobs", "count", "more"),
    [
        ("", 2, 0),
        ("", 2, 10),
        ("m.submit(stubborn)", 3, 10),
        ("m.shell('sleep 1000')", 3, 10),
        ("m.submit(asyncio.sleep, 1000)", 3, 10),
        ("m.map(time.sleep, [1000] * 10)", 3, 0),
        ("m.options(after=m[0]).submit(int); m.options(daemon=True).submit(endless)", 3, 0),
        ("rjobs.Executor(1).submit(time.sleep, 1000)", 3, 0),
    ],
    ids=["once", "again and again", "swallowing", "command", "coroutine", "map", "after and daemon", "executor"],
)
def test_ctrl_c_ends_them_and_says_how_many(program, slowness, jobs, count, more):
    # Registered before the waiting began, so that the newest hook says that it begins.
    source = program(
        textwrap.dedent(BUSY) + jobs + "\nrjobs._lifecycle.before_waiting(lambda: say('at the end'))\nsys.exit(3)"
    )
    code, err, seconds = interrupted(source, more=more)
    why = "KeyboardInterrupt while the end of the program waited"
    assert err == f"rjobs: {count} jobs were ended before they were done ({why})\n"
    assert code == 3
    assert seconds < 2 * slowness + 0.03 * more


def test_ctrl_c_ends_the_waiting_for_threads_as_well_as_ever(program, slowness):
    source = """
        rjobs._lifecycle.before_waiting(lambda: say("at the end"))
        m.submit(time.sleep, 1000)
        threading.Thread(target=time.sleep, args=(1000,)).start()
    """
    code, err, seconds = interrupted(program(source))
    assert code == 0
    assert err.startswith("rjobs: 1 job was ended before it was done")
    assert "KeyboardInterrupt" in err.splitlines()[-1]
    assert seconds < 2 * slowness


def test_a_handler_of_the_program_s_own_has_its_say_and_jobs_go_on(program, check):
    source = program("""
        signal.signal(signal.SIGINT, lambda *_: say("heard"))
        rjobs._lifecycle.before_waiting(lambda: say("at the end"))
        m.submit(save, "saved", 1)
    """)
    code, err, _ = interrupted(source)
    assert (code, err) == (0, "")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
def test_sigterm_ends_it_as_ever(program, run, check):
    source = "m.submit(time.sleep, 1000)\nthreading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()"
    check(run(program(source)), -signal.SIGTERM)
