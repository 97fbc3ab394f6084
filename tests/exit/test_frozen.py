"""A program that PyInstaller has frozen: the modules that only the extension imports are in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading, time
import rjobs

def work(x):
    print("printed by a job")
    return x + 1

def fails():
    raise ValueError("by a job")

def generator():
    yield from range(3)

async def coroutine():
    import asyncio
    await asyncio.sleep(0.01)
    return "awaited"

with rjobs.JobManager() as jobs:
    job = jobs.submit(work, 1)
    assert job.get() == 2
    assert job.output == "printed by a job\\n"
    assert jobs.new("sum(range(5))").get() == 10
    assert jobs.new("import asyncio; await asyncio.sleep(0.01); 5").get() == 5
    assert list(jobs.submit(generator)) == [0, 1, 2]
    assert jobs.submit(coroutine).get() == "awaited"
    assert jobs.map(abs, [-1, -2]).results() == [1, 2]
    assert jobs.shell([sys.executable, "--version"] if "--as-python" in sys.argv else ["true"]).get().returncode == 0
    assert isinstance(jobs.submit(fails).exception(), ValueError)
    assert jobs.submit(work, 1).future.result() == 2
    retried = jobs.options(retry=1).submit(fails)
    assert isinstance(retried.exception(), ValueError)
    blocked = jobs.submit(threading.Event().wait)
    while blocked.state == "queued":
        time.sleep(0.001)
    assert blocked.kill()
    cancelled = jobs.options(after=[jobs.submit(time.sleep, 0.2)]).submit(work, 1)
    assert cancelled.cancel()
    try:
        cancelled.get()
    except rjobs.JobError:
        raise
    except Exception as error:
        assert type(error).__name__ == "CancelledError", error
    assert job.to_dict()["state"] == "done"
    assert "work" in repr(job) and job.stack is not None
    jobs.status()
assert list(rjobs.Executor(2).map(abs, [-3])) == [3]
assert rjobs.Pool(2).map(abs, [-4]) == [4]
assert list(rjobs.track(range(2))) == [0, 1]
print("frozen" if getattr(sys, "frozen", False) else "plain", "IPython" in sys.modules)
"""


@pytest.mark.timeout(400)
def test_a_frozen_program_has_all_that_jobs_need(tmp_path):
    pytest.importorskip("PyInstaller")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    plain = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert plain.returncode == 0, plain.stderr
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", str(program)]
    folders = {"--distpath": "dist", "--workpath": "build", "--specpath": "."}
    command += [word for option, folder in folders.items() for word in (option, str(tmp_path / folder))]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    frozen = tmp_path / "dist" / "program" / "program"
    done = subprocess.run([str(frozen)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "frozen False"
    # The half for notebooks, and IPython with it, is not dragged along.
    assert not list((frozen.parent / "_internal").glob("IPython*"))
