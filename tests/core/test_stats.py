"""`jobs.stats`: counts and latencies."""

import json
import threading

import pytest

STATES = ["queued", "running", "done", "failed", "killed", "timed_out", "cancelled", "skipped", "expired", "lost"]


def test_a_new_manager_has_nothing_to_tell(manager):
    assert manager.stats == {
        "counts": dict.fromkeys(STATES, 0),
        "wait": None,
        "run": None,
        "workers": 0,
        "max_workers": manager.max_workers,
    }


def test_counts_by_state_in_their_order(manager):
    gate, begun = threading.Event(), threading.Event()

    def wait():
        begun.set()
        gate.wait()

    running = manager.submit(wait)
    begun.wait()
    failed = manager.submit(lambda: 1 / 0)
    failed.exception()
    manager.submit(int).get()
    skipped = failed.then(print)
    waiting = running.then(print)
    skipped.exception()
    counts = manager.stats["counts"]
    assert list(counts) == STATES
    assert {state: count for state, count in counts.items() if count} == {
        "queued": 1,
        "running": 1,
        "done": 1,
        "failed": 1,
        "skipped": 1,
    }
    gate.set()
    waiting.get()


def test_latencies_are_those_of_the_jobs(manager):
    jobs = [manager.submit(int) for _ in range(50)]
    manager.wait(jobs)
    stats = manager.stats
    runs = sorted(job.elapsed for job in jobs)
    waits = sorted((job.started_at - job.created_at).total_seconds() for job in jobs)
    assert stats["run"] == {
        "count": 50,
        "mean": pytest.approx(sum(runs) / 50),
        "p50": runs[24],
        "p99": runs[49],
        "max": runs[49],
    }
    assert stats["wait"]["count"] == 50
    # Dates are kept to the microsecond.
    assert stats["wait"]["max"] == pytest.approx(waits[-1], abs=2e-6)


def test_waits_of_a_job_that_ran_again_are_not_counted(manager):
    times = iter([1, 1, 0])

    def fails_twice():
        assert not next(times)

    manager.options(retry=2).submit(fails_twice).get()
    stats = manager.stats
    assert stats["wait"] is None
    assert stats["run"]["count"] == 1


def test_json_can_hold_it(manager):
    manager.submit(int).get()
    assert json.loads(json.dumps(manager.stats)) == manager.stats


def test_forgotten_jobs_are_not_counted(manager, capsys):
    manager.submit(int).get()
    manager.flush()
    assert manager.stats["counts"]["done"] == 0
    assert manager.stats["run"] is None
