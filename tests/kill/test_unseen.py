"""Where the kernel does not tell what a thread waits in, a kill ends the same calls.

Where no thread can be woken, it ends the waits for locks, and says what hinders it in the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rjobs
from rjobs import _table

PROGRAM = Path(__file__).with_name("unseen.py")
PORTABLE = 9
# Seconds: the goal is 5 ms, and the machine may be busy.
IN_TIME, IN_SLICES = 0.5, 1.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="calls are ended on Linux")


def kills(harm: str) -> dict[str, tuple[bool, str, float, str | None]]:
    """What became of a kill of each call, in a process to which this was done."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM, harm],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, tuple[bool, str, float, str | None]] = json.loads(done.stdout)
    assert len(told) > PORTABLE
    return told


@pytest.mark.parametrize(
    "harm",
    [
        "none",
        "descriptors",
        pytest.param("setuid-first", marks=pytest.mark.skipif(os.getuid() != 0, reason="for root")),
        pytest.param("setuid", marks=pytest.mark.skipif(os.getuid() != 0, reason="for root")),
    ],
)
def test_every_call_ends(harm):
    told = kills(harm)
    late = {name: what for name, what in told.items() if what[:2] != [True, "killed"] or what[2] > IN_TIME}
    assert late == {}
    assert {what[3] for what in told.values()} == {None}


@pytest.mark.parametrize("harm", ["signals", "mask"])
def test_where_nothing_can_be_woken_waits_for_locks_end_and_the_rest_says_why_not(harm):
    # Up to CPython 3.14 a wait for a child with a time-out is a loop that sleeps.
    told = [what for name, what in kills(harm).items() if name != "child, time-out"]
    assert [what[:2] for what in told[:PORTABLE]] == [[True, "killed"]] * PORTABLE
    assert max(what[2] for what in told[:PORTABLE]) < IN_SLICES
    assert {tuple(what[:2]) for what in told[PORTABLE:]} == {(False, "running")}
    assert {what[3] for what in told[PORTABLE:]} == {"in a call that cannot be ended"}


def test_the_table_says_what_hinders_a_kill():
    class Told:
        state, kill_pending, kill_obstacle = "running", True, "in a call that cannot be ended"

    assert _table.state_text(Told()) == "kill pending (in a call that cannot be ended)"
    Told.kill_obstacle = None
    assert _table.state_text(Told()) == "kill pending"
    assert rjobs.Job.kill_obstacle.__doc__
