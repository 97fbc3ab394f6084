"""Code that the interpreter's own compiler has made before rjobs is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HAS_JIT = hasattr(sys, "_jit") and sys._jit.is_available()

# A method without arguments, whose C function is in the compiled code itself (gh-133020).
CODE = """
import os, sys, time
assert sys._jit.is_enabled()

def hot(files):
    for file in files:
        file.readall()

null = open(os.devnull, "rb", buffering=0)
hot([null] * 100_000)
clear, cleared = sys._clear_internal_caches, []
sys._clear_internal_caches = lambda: cleared.append(clear())
import rjobs
print(len(cleared))
jobs = rjobs.JobManager()
for _ in range(20):
    end, other = os.pipe()
    reader = open(end, "rb", buffering=0)
    job = jobs.submit(hot, [*[null] * 20_000, reader])
    time.sleep(0.1)
    print(job.kill(5), job.state, job.kill_obstacle)
    if job.state == "running":
        break
os._exit(0)
"""


@pytest.mark.skipif(not HAS_JIT, reason="this interpreter has no JIT")
def test_code_that_was_compiled_before_the_import_is_guarded():
    variables = {**os.environ, "PYTHON_JIT": "1"}
    command = [sys.executable, "-c", CODE]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, env=variables, check=False)
    assert (ran.stdout, ran.stderr) == ("1\n" + "True killed None\n" * 20, "")
