"""CPython's own tests of its thread pools pass with `rjobs.Executor` and `rjobs.Pool` in their place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("swapped.py")
# Lib/test of the same version, where the interpreter comes without it (Debian: the package libpythonX.Y-testsuite).
FOLDER = os.environ.get("RJOBS_CPYTHON_TESTS")
# As swapped.py has it.
MISSING = 77
# How many tests of each group pass at least, on every version: less, and they were not found.
LEAST = {"executor": 25, "wait": 9, "as_completed": 8, "pool": 20}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All groups, started side by side: their tests sleep most of the time."""
    folder = tmp_path_factory.mktemp("cpython-suite")
    runs = {}
    for group in LEAST:
        command = [sys.executable, RUNNER, group, folder / group, *filter(None, [FOLDER])]
        with (folder / f"{group}.txt").open("w") as output:
            runs[group] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
    yield lambda group: (runs[group].wait(), folder / group, (folder / f"{group}.txt").read_text())
    for run in runs.values():
        run.kill()
        run.wait()


@pytest.mark.timeout(300)  # 20 s where nothing else runs
@pytest.mark.parametrize("group", LEAST)
def test_cpythons_own_tests_pass(runs, group, record_property):
    code, report, output = runs(group)
    if code == MISSING:
        pytest.skip(
            f"this Python comes without its tests ({output.strip()}); RJOBS_CPYTHON_TESTS may say where they are"
        )
    assert code == 0, output
    outcomes = dict(json.loads(report.read_text()))
    for outcome in set(outcomes.values()):
        record_property(outcome, sum(other == outcome for other in outcomes.values()))
    assert not [test for test, outcome in outcomes.items() if outcome == "failed"]
    assert list(outcomes.values()).count("passed") >= LEAST[group], output
