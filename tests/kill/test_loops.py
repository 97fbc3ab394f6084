"""Loops at the end of a `try` in which, as the documentation says, no kill skips the `finally`."""

from __future__ import annotations

import itertools
import sys
import textwrap
import threading

import pytest

LOOPS = {
    "while True, call": "while True:\n    int()",
    "while True, sum": "x = 0\nwhile True:\n    x += 1",
    "while True, pass": "while True:\n    pass",
    "for": "for item in endless:\n    x = item",
    "for, one line": "for item in endless: x = item",
    "condition, call": "while not done:\n    int()",
    "condition, sum": "x = 0\nwhile x < 10 ** 18:\n    x += 1",
    "condition, one line": "x = 0\nwhile x < 10 ** 18: x += 1",
}
# CPython 3.13 leaves the last jump of these out of the `try` block.
SKIPPED_BY_313 = ("condition, call", "condition, sum", "condition, one line")
ROUNDS = 20


@pytest.mark.parametrize("name", LOOPS)
def test_a_kill_in_a_loop_at_the_end_of_a_try_runs_the_finally(manager, name):
    if name in SKIPPED_BY_313 and sys.version_info[:2] == (3, 13):
        pytest.skip("CPython 3.13 skips it")
    body = textwrap.indent(LOOPS[name], "        ")
    lines = ["def work(begun, left, done, endless):", "    begun.set()", "    try:", body]
    lines += ["    finally:", "        left.append(None)"]
    space: dict = {}
    exec("\n".join(lines), space)
    for _ in range(ROUNDS):
        begun, left = threading.Event(), []
        job = manager.submit(space["work"], begun, left, False, itertools.repeat(1))
        assert begun.wait(10)
        assert job.kill(20)
        assert (job.state, left) == ("killed", [None])
