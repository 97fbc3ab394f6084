"""Interrupt, restart and shutdown of a kernel that has jobs."""

from __future__ import annotations

import time

import pytest

KERNELS = ("installed", "oldest")


def text_seen(text):
    return lambda cell: text in cell.text


@pytest.mark.parametrize(
    "waiting",
    [
        "job.get()",
        "job.join()",
        "jobs.wait()",
        "next(jobs.as_completed())",
        "next(job.follow())",
        "next(iter(job))",
        "job.exception()",
        "job.kill(timeout=None)",
    ],
)
def test_interrupt_answers_and_the_job_goes_on(kernel, waiting):
    shield = waiting.startswith("job.kill")
    code = "import rjobs\nwith rjobs.current_job().shield(): go.wait(20)" if shield else "go.wait(20)"
    kernel(f"%%job -q\n{code}")
    kernel("job = jobs[max(jobs.all)]")
    cell_id = kernel.start(f"print('waiting', flush=True)\n{waiting}")
    kernel.wait(cell_id, until=text_seen("waiting"))
    begin = time.monotonic()
    kernel.manager.interrupt_kernel()
    cell = kernel.wait(cell_id)
    assert cell.error == "KeyboardInterrupt"
    assert time.monotonic() - begin < 5  # 0.1 s of ours, and a slow machine
    assert kernel("job.running()").result == "True"
    assert kernel("go.set(); job.join(20); job.state in ('done', 'killed')").result == "True"


def test_interrupt_during_follow_detaches(kernel):
    cell_id = kernel.start("%job -qf print('started'); go.wait(20)")
    kernel.wait(cell_id, until=text_seen("started"))
    kernel.manager.interrupt_kernel()
    cell = kernel.wait(cell_id)
    assert cell.error is None
    assert "Detached: job" in cell.text
    assert kernel("jobs[max(jobs.all)].running()").result == "True"


def test_interrupt_does_not_reach_jobs(kernel):
    kernel("job = %job -q go.wait(20)")
    kernel.wait(cell_id := kernel.start("print('busy', flush=True)\nwhile True: pass"), until=text_seen("busy"))
    kernel.manager.interrupt_kernel()
    assert kernel.wait(cell_id).error == "KeyboardInterrupt"
    assert kernel("go.set(); job.get(20)").result == "True"


JOBS = """
import time
sleeping = [jobs.new(time.sleep, 1000) for _ in range(3)]
%job -q [0 for _ in iter(int, 1)]
%job -q !sleep 1000
import threading; lock = threading.Lock(); lock.acquire()
%job -q lock.acquire()
while len(jobs.running) < 6: time.sleep(0.01)
"""


def test_restart_is_prompt(start):
    kernel = start()
    kernel("%load_ext rjobs")
    kernel(JOBS)
    begin = time.monotonic()
    kernel.manager.restart_kernel(now=False)
    kernel.client.wait_for_ready(timeout=40)
    took = time.monotonic() - begin
    assert kernel("'jobs' in globals()").result == "False"
    kernel("%load_ext rjobs")
    assert kernel("len(jobs)").result == "0"
    assert took < 15


def test_shutdown_is_prompt_and_clean(start):
    kernel = start()
    kernel("%load_ext rjobs")
    kernel(JOBS)
    process = kernel.manager.provisioner.process
    begin = time.monotonic()
    kernel.client.shutdown()
    # By itself, before the manager would kill it.
    assert process.wait(timeout=30) == 0
    assert time.monotonic() - begin < 5
