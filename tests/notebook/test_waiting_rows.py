"""What the table says of jobs that wait for more than a worker."""

from __future__ import annotations

import re
import threading

import rjobs
from rjobs import _table


def test_the_table_says_what_a_job_waits_for():
    jobs, go, tried = rjobs.JobManager(), threading.Event(), threading.Event()
    jobs.limit("api", concurrency=1)
    first = jobs.new(go.wait, limit="api")
    waiting = {
        "queued (jobs)": jobs.new(int, after=first, name="a"),
        "queued (limit)": jobs.new(int, limit="api", name="b"),
    }
    retried = jobs.new(lambda: tried.set() or 1 / 0, retry=3, name="c")
    periodic = jobs.options(name="d").every(3600, int)
    assert tried.wait(10)
    while retried.waiting_for != "retry" or periodic.waiting_for != "schedule":
        retried.join(0.001)
    for text, job in waiting.items():
        assert _table.state_text(job) == text
    assert _table.state_text(periodic) in ("next run in 1 h 00 min", "next run in 59 min 59 s")
    # A failed job is soon tried again: it is caught between two tries, or was.
    assert re.match(r"retry in [\d.]+ m?s|queued|running|failed", _table.state_text(retried))
    go.set()
    jobs.shutdown(kill=True)
