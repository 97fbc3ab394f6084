"""Ctrl-C while a call of ours blocks: `KeyboardInterrupt` within 100 ms, and the job goes on."""

import os
import signal
import threading
import time
from functools import partial

import pytest

import rjobs

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal as a terminal does")

# What the issue promises. Of several tries one must keep it: the machine may be busy with other things.
PROMISED = 0.1
TRIES = 10


class CtrlC:
    """Sends SIGINT to this process while `call` blocks; says how long that took to come out of it."""

    def __call__(self, call) -> float:
        about_to_block, sent = threading.Event(), []

        def send() -> None:
            about_to_block.wait(10)
            # Some time for the call to get to where it blocks; were it too short, the test would only be an easier one.
            time.sleep(0.02)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                about_to_block.set()
                call()
            return time.monotonic() - sent[0]
        finally:
            sender.join(10)


@pytest.fixture
def ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield CtrlC()
    signal.signal(signal.SIGINT, before)


def with_block(manager):
    with manager:
        pass


def blocking_calls(job, manager):
    """Every call of ours that blocks, by a name for it."""
    return {
        "get": job.get,
        "get with a time-out": partial(job.get, 60),
        "exception": job.exception,
        "join": job.join,
        "wait": manager.wait,
        "wait with a time-out": partial(manager.wait, [job], 60),
        "wait for the first": partial(manager.wait, [job], return_when="FIRST_COMPLETED"),
        "as_completed": partial(next, manager.as_completed([job])),
        "follow": partial(list, job.follow()),
        "shutdown": manager.shutdown,
        "leaving a with block": partial(with_block, manager),
    }


NAMES = [
    "get",
    "get with a time-out",
    "exception",
    "join",
    "wait",
    "wait with a time-out",
    "wait for the first",
    "as_completed",
    "follow",
    "shutdown",
    "leaving a with block",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_blocking_call_answers_and_the_job_goes_on(hold, ctrl_c, name):
    job = hold("value")
    best = PROMISED
    for _ in range(TRIES):
        best = min(best, ctrl_c(blocking_calls(job, hold.manager)[name]))
        if best < PROMISED:
            break
    assert best < PROMISED
    assert job.state == "running"
    hold.go.set()
    assert job.get(5) == "value"


def test_the_wait_of_a_kill_answers(deaf, manager, ctrl_c):
    job = deaf()
    for kill in (partial(manager.kill, job), manager.kill_all, partial(job.kill, None)):
        assert ctrl_c(kill) < 5
        assert job.running()
        assert job.kill_pending
    deaf.go()
    job.join(5)
    assert not job.is_alive()


def test_the_interrupt_is_the_callers_and_no_jobs(hold, ctrl_c):
    jobs = [hold(n) for n in range(4)]
    ctrl_c(hold.manager.wait)
    hold.go.set()
    assert [job.get(5) for job in jobs] == [0, 1, 2, 3]


def test_a_wait_that_was_interrupted_can_be_taken_up_again(hold, ctrl_c):
    job = hold("value")
    for _ in range(3):
        ctrl_c(job.get)
    ending = hold.manager.as_completed([job])
    ctrl_c(partial(next, ending))
    hold.go.set()
    assert next(ending) is job
    assert job.get() == "value"


def test_another_handler_than_pythons_own_is_run_and_the_wait_goes_on(hold):
    came = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: (came.set(), hold.go.set()))
    try:
        job = hold("value")
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert job.get(10) == "value"
        assert came.is_set()
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_a_handler_raises_comes_out_of_the_wait(hold):
    class StopError(Exception):
        pass

    def stop(*_):
        raise StopError

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        job = hold()
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(StopError):
            job.get(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert isinstance(job, rjobs.Job)
    assert job.running()
