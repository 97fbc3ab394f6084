"""rjobs belongs to the main interpreter: others are refused, and what jobs run in them is left alone."""

from __future__ import annotations

import sys

import pytest

# `run(code)` runs code in a new interpreter of some kind, and ends it.
KINDS = {
    "isolated": """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
def run(code):
    interpreter = interpreters.create()
    error = interpreters.run_string(interpreter, code)
    interpreters.destroy(interpreter)
    assert not error, error
""",
    "with the same lock": """
try:
    import _interpreters as interpreters
    shared = "legacy"
except ImportError:
    import _xxsubinterpreters as interpreters
    shared = None
def run(code):
    interpreter = interpreters.create(shared) if shared else interpreters.create(isolated=False)
    error = interpreters.run_string(interpreter, code)
    interpreters.destroy(interpreter)
    assert not error, error
""",
    "of the C API": """
import _testcapi
def run(code):
    assert _testcapi.run_in_subinterp(code) == 0
""",
    "concurrent.interpreters": """
from concurrent import interpreters
def run(code):
    interpreter = interpreters.create()
    interpreter.exec(code)
    interpreter.close()
""",
}

IMPORT = """
for name in ("rjobs", "rjobs._rjobs"):
    try:
        __import__(name)
    except ImportError as error:
        print("refused:", error, flush=True)
    else:
        print("imported", flush=True)
"""

# In our words, or in CPython's from 3.12 on, which refuses those with a lock of their own before it comes to us.
REFUSED = (
    "refused: rjobs cannot be imported in a subinterpreter",
    "refused: module rjobs._rjobs does not support loading in subinterpreters",
)

kinds = pytest.mark.parametrize("kind", KINDS)


def skip_where_missing(kind):
    if kind == "concurrent.interpreters" and sys.version_info < (3, 14):
        pytest.skip("concurrent.interpreters is of 3.14")
    if kind == "of the C API":
        pytest.importorskip("_testcapi")
    if "interpreters" not in kind and sys.version_info < (3, 13):
        pytest.importorskip("_xxsubinterpreters")


@kinds
@pytest.mark.parametrize("first", [True, False], ids=["before the main one", "after the main one"])
def test_a_subinterpreter_is_refused_and_the_main_one_works(python, kind, first):
    skip_where_missing(kind)
    if kind == "of the C API" and sys.version_info >= (3, 13) and not sys._is_gil_enabled():
        pytest.skip("such an interpreter turns the GIL on")
    run = python(
        f"""
{KINDS[kind]}
{"" if first else "import rjobs"}
run({IMPORT!r})
run({IMPORT!r})
import rjobs
with rjobs.JobManager() as jobs:
    assert jobs.submit(pow, 2, 3).get() == 8
    assert jobs.new("2 ** 4").get() == 16
print("works")
"""
    )
    said = run.stdout.splitlines()
    assert len(said) == 5
    assert all(line.startswith("refused: ") for line in said[:-1]), said
    # A second time the package is half there, and either says so.
    assert said[0].startswith(REFUSED), said
    assert said[-1] == "works"


def test_a_job_that_blocks_in_a_subinterpreter_is_not_broken_by_a_kill(python):
    skip_where_missing("isolated")
    run = python(
        f"""
import threading, time
import rjobs
{KINDS["isolated"]}
reading, writing = __import__("os").pipe()
code = f"import os, time; os.write({{writing}}, b'x'); time.sleep(0.5); os.write({{writing}}, b'y')"
with rjobs.JobManager() as jobs:
    job = jobs.submit(run, code)
    assert __import__("os").read(reading, 1) == b"x"
    # The interpreter's own code goes on: nothing of this one is raised there. Then the job ends.
    # What looks at the frames of threads: CPython's own function would break those of the other interpreter.
    assert isinstance(job.stack(), str)
    assert job.kill()
    assert job.state == "killed"
    assert __import__("os").read(reading, 1) == b"y"
    assert jobs.submit(pow, 2, 3).get() == 8
print("works")
"""
    )
    assert run.stdout == "works\n"
