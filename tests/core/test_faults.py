"""A panic of rjobs itself is one job's failure, wherever in the life of a job it comes: no thread goes with it, nobody
waits for ever, and all other jobs go on.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import pytest

import rjobs
from rjobs import _rjobs

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def told(monkeypatch):
    """What was shown as nobody's exception."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(str(unraisable.exc_value)))
    return told


async def coroutine(arm=int):
    await asyncio.sleep(0)
    arm()
    return 4


def generate(arm):
    yield 1
    arm()
    return 4


def fail(arm):
    arm()
    raise ValueError


# Each makes a job that has the fault happen once it runs.
KINDS = {
    "call": lambda m, arm: m.submit(arm),
    "error": lambda m, arm: m.submit(fail, arm),
    "retry": lambda m, arm: m.options(retry=3).submit(fail, arm),
    "coroutine": lambda m, arm: m.submit(coroutine, arm),
    "code": lambda m, arm: m.new("await coroutine(arm)", {"coroutine": coroutine, "arm": arm}),
    "map": lambda m, arm: m.map(lambda _: arm(), range(3)),
    "shell": lambda m, _arm: m.shell([sys.executable, "-c", "import time; time.sleep(0.3)"]),
    "generator": lambda m, arm: m.submit(generate, arm),
    "periodic": lambda m, arm: m.every(0.001, arm),
    "expiring": lambda m, _arm: m.options(ttl=0.001, after=m.submit(threading.Event().wait)).submit(pow, 2, 2),
}

FAULTS = [
    *(("worker", kind, "failed") for kind in ("call", "retry", "code", "map")),
    *(("begin", kind, "failed") for kind in ("call", "retry", "code", "generator", "periodic")),
    *(("judge", kind, "failed") for kind in ("error", "retry")),
    *(("after run", kind, "failed") for kind in ("retry", "periodic")),
    *(("store", kind, "failed") for kind in ("call", "error", "coroutine", "code", "generator", "map", "shell")),
    ("batch", "map", "failed"),
    *(("alarm", kind, "failed") for kind in ("retry", "periodic", "expiring")),
    ("desk", "shell", "failed"),
    ("take in", "coroutine", "failed"),
    *(("end", kind, "done") for kind in ("call", "coroutine", "code", "generator", "map", "shell")),
    *(("callback", kind, "done") for kind in ("call", "coroutine", "map", "shell")),
]
# Before anything of the job runs.
EARLY = {"worker", "begin", "batch", "desk", "take in"}


@pytest.mark.parametrize(("place", "kind", "state"), FAULTS)
def test_a_panic_is_one_jobs_failure(place, kind, state, told):
    with rjobs.JobManager(2) as m:
        if place != "worker":
            # The workers are there, so that the fault is this job's.
            m.wait([m.submit(time.sleep, 0.01) for _ in range(2)])
        is_early = place in EARLY or kind in ("shell", "expiring")
        if is_early:
            _rjobs._panic(place)
        ready = threading.Event()
        job = KINDS[kind](m, int if is_early else lambda: (ready.wait(10), _rjobs._panic(place)))
        called = []
        job.add_done_callback(lambda job: called.append(job.state))
        ready.set()
        job.join(10)
        assert job.done()
        assert job.state == state
        if state == "failed":
            error = job.exception(0)
            assert type(error) is rjobs.JobError
            assert "fault in rjobs itself" in str(error)
        # Everything else goes on as before, on the workers, by the timers, on the loop, at the desk.
        assert m.submit(pow, 2, 3).get(10) == 8
        assert m.submit(coroutine).get(10) == 4
        assert type(m.options(timeout=0.01).submit(time.sleep, 100).exception(10)) is rjobs.JobTimeout
        assert m.map(str, range(3)).results(10) == ["0", "1", "2"]
        assert m.shell([sys.executable, "-c", ""]).get(10).returncode == 0
        assert called == ([] if place == "callback" else [state])
        m.kill_all(10)
    assert m.stats["workers"] == 0
    if state == "done":
        assert any("a panic: asked for by a test" in text for text in told)


def test_places_have_names():
    with pytest.raises(ValueError, match="no such place"):
        _rjobs._panic("nowhere")


def test_a_worker_that_cannot_begin_is_replaced_for_the_other_jobs(told):
    with rjobs.JobManager(1) as m:
        _rjobs._panic("worker")
        jobs = [m.submit(pow, 2, n) for n in range(20)]
        m.wait(jobs, 10)
        states = [job.state for job in jobs]
        assert states.count("done") >= 19
        assert set(states) <= {"done", "failed"}
    assert told


def test_callbacks_after_one_that_panicked_are_called(told):
    with rjobs.JobManager(1) as m:
        gate = threading.Event()
        job = m.submit(gate.wait)
        called = []
        ended = threading.Event()
        job.add_done_callback(lambda _: called.append(1))
        job.add_done_callback(lambda _: called.append(2))
        job.add_done_callback(lambda _: ended.set())
        _rjobs._panic("callback")
        gate.set()
        assert ended.wait(10)
        assert called == [2]
    assert told


def test_a_panic_of_another_extension_is_an_exception_like_any_other():
    with rjobs.JobManager(1) as m:
        job = m.options(retry=1).submit(_rjobs._panic)
        assert type(job.exception(20)).__name__ == "PanicException"
        assert job.state == "failed"
        assert m.submit(pow, 2, 2).get(10) == 4
