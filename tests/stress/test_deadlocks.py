"""Nothing waits for ever that should not; and what a user ties into a knot, a kill cuts."""

from __future__ import annotations

import gc
import io
import queue
import sys
import threading
import weakref
from concurrent.futures import wait as wait_for_futures
from time import monotonic, sleep

import pytest

import rjobs


def run_until_killed(work, manager):
    """Start `work(started)`, and kill it once it has begun."""
    started = threading.Event()
    job = manager.submit(work, started)
    assert started.wait(10)
    return job


def test_a_job_that_waits_for_one_behind_it_in_the_queue_can_be_killed(crew):
    # One worker, taken by the job that waits: nothing but a kill can end that.
    manager = crew(1)

    def work(started):
        inner = manager.submit(int)
        started.set()
        return inner.get()

    job = run_until_killed(work, manager)
    began = monotonic()
    assert job.kill(5)
    assert monotonic() - began < 1
    assert job.state == "killed"
    assert manager[1].get(5) == 0


WAITS = {
    "get": lambda _manager: rjobs.current_job().get(),
    "join": lambda _manager: rjobs.current_job().join(),
    "exception": lambda _manager: rjobs.current_job().exception(),
    "wait": lambda manager: manager.wait([rjobs.current_job()]),
    "as_completed": lambda manager: list(manager.as_completed([rjobs.current_job()])),
    "follow": lambda _manager: list(rjobs.current_job().follow()),
    "shutdown": lambda manager: manager.shutdown(),
    "with": lambda manager: manager.__exit__(None, None, None),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_job_that_waits_for_itself_is_told_so_or_can_be_killed(crew, wait):
    manager = crew(2)

    def work(started):
        started.set()
        WAITS[wait](manager)

    job = run_until_killed(work, manager)
    began = monotonic()
    assert job.kill(5)
    assert monotonic() - began < 1
    assert job.state in ("killed", "failed", "done")


@pytest.mark.parametrize("rounds", [200, pytest.param(5000, marks=pytest.mark.stress)])
def test_a_kill_that_comes_as_a_job_begins_to_wait_is_not_missed(crew, rounds):
    """With the bell hushed once more right before the wait (`src/py/wait.rs`) one job in a thousand sleeps on."""
    manager = crew(4)
    gate = threading.Event()
    other = manager.submit(gate.wait)

    def work(started, turns):
        started.set()
        for _ in range(turns):
            pass
        other.get()

    for turn in range(rounds):
        started = threading.Event()
        job = manager.submit(work, started, turn % 100 * 20)
        assert started.wait(10)
        assert job.kill(5), f"round {turn}: {job.stack()}"
    gate.set()


def test_two_jobs_that_wait_for_each_other_can_be_killed(crew):
    manager = crew(2)
    jobs: list[rjobs.Job] = []
    both = threading.Barrier(3)

    def work(other):
        both.wait(10)
        return jobs[other].get()

    jobs.extend(manager.submit(work, other) for other in (1, 0))
    both.wait(10)
    began = monotonic()
    assert manager.kill_all(5)
    assert monotonic() - began < 1
    # The one that is hit second may have seen the end of the first.
    assert {job.state for job in jobs} <= {"killed", "failed"}


def test_a_chain_of_jobs_that_wait_for_the_next_unwinds(crew):
    manager = crew(100)

    def link(left):
        return left if left == 0 else manager.submit(link, left - 1).get() + 1

    assert manager.submit(link, 60).get(20) == 60


def test_a_chain_that_is_killed_at_its_end_unwinds_with_the_reason(crew):
    manager = crew(20)
    last = threading.Event()

    def link(left):
        if left:
            return manager.submit(link, left - 1).get()
        last.set()
        while True:
            sleep(0.0001)

    first = manager.submit(link, 10)
    assert last.wait(10)
    assert manager[10].kill(5)
    with pytest.raises(rjobs.JobKilled):
        first.get(10)
    assert manager[10].state == "killed"
    # The others were not killed: they failed with what they got.
    assert {manager[number].state for number in range(10)} == {"failed"}


def test_a_shutdown_from_a_job_with_kill_ends_all_jobs_and_itself(crew):
    manager = crew(4)
    begun = threading.Barrier(3)

    def other():
        begun.wait(10)
        while True:
            sleep(0.0001)

    jobs = [manager.submit(other) for _ in range(2)]

    def work():
        begun.wait(10)
        manager.shutdown(wait=True, kill=True)

    job = manager.submit(work)
    _done, not_done = manager.wait([*jobs, job], 10)
    assert not_done == []
    assert [job.state for job in jobs] == ["killed", "killed"]
    assert job.state in ("killed", "done")
    assert manager.closed


def test_callbacks_may_submit_and_wait_and_add_callbacks(crew):
    manager = crew(2)
    log: queue.SimpleQueue[object] = queue.SimpleQueue()

    def again(job):
        log.put(job.num)
        if job.num < 50:
            following = manager.submit(int)
            following.add_done_callback(again)

    manager.submit(int).add_done_callback(again)
    assert [log.get(timeout=10) for _ in range(51)] == list(range(51))

    def waits(job):
        # On the worker that ran the job: another one does the other job.
        log.put(manager.submit(str, "other").get(10))
        job.add_done_callback(lambda job: log.put(job.state))

    manager.submit(int).add_done_callback(waits)
    assert [log.get(timeout=10) for _ in range(2)] == ["other", "done"]


def test_callbacks_that_add_callbacks_without_end_meet_python_s_limit_and_the_worker_lives(crew, witness):
    manager = crew(1)
    job = manager.submit(int)
    depth = 0

    def deeper(job):
        nonlocal depth
        depth += 1
        job.add_done_callback(deeper)

    job.join(10)
    manager.submit(job.add_done_callback, deeper).join(20)
    job.add_done_callback(deeper)
    assert depth > 100
    assert manager.submit(int).get(10) == 0
    # Each level logs what it got; nothing else may be there.
    assert all("RecursionError" in line for line in witness.seen)
    witness.seen.clear()


def test_a_manager_that_is_dropped_while_jobs_run_lets_them_finish():
    manager = rjobs.JobManager(2)
    gate = threading.Event()
    running = [manager.submit(gate.wait) for _ in range(2)]
    queued = [manager.submit(str, number) for number in range(20)]
    death = weakref.ref(manager)
    del manager
    gc.collect()
    assert death() is None
    gate.set()
    assert [job.get(10) for job in running] == [True, True]
    assert [job.get(10) for job in queued] == [str(number) for number in range(20)]


def test_a_job_may_hold_the_last_reference_to_its_manager():
    def work(manager, go):
        go.wait(10)
        inner = manager.submit(int)
        del manager
        gc.collect()
        return inner.get(10)

    go = threading.Event()
    manager = rjobs.JobManager(2)
    death = weakref.ref(manager)
    job = manager.submit(work, manager, go)
    del manager
    go.set()
    assert job.get(20) == 0
    deadline = monotonic() + 10
    while death() is not None and monotonic() < deadline:
        gc.collect()
        sleep(0.001)
    assert death() is None


class Lines(io.TextIOBase):
    """A stream that several threads may write to, also without the GIL."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


def test_many_threads_that_print_through_a_hooked_stream_lose_nothing(crew, monkeypatch):
    manager = crew(8)
    stream = Lines()
    monkeypatch.setattr(sys, "stdout", stream)
    manager.submit(int).join(10)
    lines = 500

    def chat(name):
        for number in range(lines):
            # Not print, which writes a line in pieces.
            sys.stdout.write(f"{name} {number}\n")

    threads = [threading.Thread(target=chat, args=(f"thread{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    jobs = [manager.submit(chat, f"job{index}") for index in range(4)]
    for thread in threads:
        thread.join(20)
    assert manager.wait(jobs, 20).not_done == []
    for index, job in enumerate(jobs):
        assert job.output == "".join(f"job{index} {number}\n" for number in range(lines))
    written = "".join(stream.written)
    assert "job" not in written
    assert len(written.split()) == 4 * lines * 2


def test_printing_jobs_under_kills_leave_the_stream_usable(crew, hammering, switching, monkeypatch):
    manager = crew(4)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    def chat():
        while True:
            print("x" * 50)

    for _ in range(50):
        jobs = [manager.submit(chat) for _ in range(4)]
        assert manager.kill_all(20)
        assert {job.state for job in jobs} == {"killed"}
    print("still there")
    assert stream.getvalue() == "still there\n"


def test_futures_of_jobs_that_are_killed_all_end(crew):
    manager = crew(4)
    jobs = [manager.submit(sleep, 0.0002) for _ in range(200)]
    futures = [job.future for job in jobs]
    for job in jobs[::2]:
        job.kill(0)
    for job in jobs[1::4]:
        job.future.cancel()
    done, not_done = wait_for_futures(futures, timeout=20)
    assert len(done) == 200
    assert not not_done


def test_waiters_of_every_kind_are_told_when_jobs_end_in_a_race(crew, hammering):
    manager = crew(4)
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()
    for _ in range(100):
        job = manager.submit(sleep, 0.0001)
        waiters = [
            lambda job=job: job.join(10),
            lambda job=job: manager.wait([job], 10),
            lambda job=job: list(manager.as_completed([job], 10)),
            lambda job=job: "".join(job.follow()),
        ]
        threads = [threading.Thread(target=lambda wait=wait: ends.put(str(wait()))) for wait in waiters]
        for thread in threads:
            thread.start()
        job.kill(0)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert ends.qsize() == 400


def test_two_threads_on_one_as_completed_share_the_jobs(crew):
    manager = crew(4)
    for _ in range(50):
        jobs = [manager.submit(int) for _ in range(5)]
        ended = manager.as_completed(jobs)
        got: queue.SimpleQueue[rjobs.Job] = queue.SimpleQueue()

        def take(ended=ended, got=got):
            for job in ended:
                got.put(job)

        threads = [threading.Thread(target=take, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
        assert got.qsize() == 5
