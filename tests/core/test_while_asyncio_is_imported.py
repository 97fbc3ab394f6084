"""Workers look for an event loop on their thread, also while another thread imports asyncio and it is half there."""

from __future__ import annotations


def test_a_job_that_ends_while_asyncio_is_half_imported(python):
    run = python(
        """
import sys, types
half = types.ModuleType("asyncio.events")
sys.modules["asyncio.events"] = half
import rjobs
with rjobs.JobManager() as jobs:
    assert jobs.submit(pow, 2, 3).get() == 8
    assert jobs.new("list(range(3))").get() == [0, 1, 2]
    assert list(jobs.submit(lambda: iter("ab")).get()) == ["a", "b"]
    waiting = jobs.submit(lambda: jobs.submit(pow, 2, 4).get())
    assert waiting.get() == 16
"""
    )
    assert run.stderr == ""
