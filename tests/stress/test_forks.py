"""Children of a fork beside an event loop at work, while the processors are busy: each lives and comes to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

PROGRAM = """
import asyncio, os, signal
import rjobs
m = rjobs.JobManager()
m.submit(asyncio.sleep, 0).get()
job = m.submit(asyncio.sleep, 0.5, "the parent's")
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    n = rjobs.JobManager()
    assert n.submit(asyncio.sleep, 0.01, "x").get(5) == "x"
    n.shutdown()
    m.shutdown()
    os._exit(7)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
"""


def ending(_number: int) -> int:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM]
    return subprocess.run(command, check=False, timeout=60).returncode


@pytest.mark.parametrize("programs", [20, pytest.param(1000, marks=[pytest.mark.stress, pytest.mark.timeout(3600)])])
def test_a_child_forked_beside_an_event_loop_comes_to_its_end(programs):
    # More than there are processors, so that threads lose them in the midst of things.
    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
        assert set(pool.map(ending, range(programs))) == {7}
