"""`kill_thread`: the function of the well-known snippet, for any thread."""

import threading

import pytest

import rjobs


class Spinner(threading.Thread):
    """A thread that computes until it is let go, and keeps what was raised in it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.running, self.go, self.raised = threading.Event(), threading.Event(), None

    def run(self) -> None:
        try:
            self.spin()
        except BaseException as error:
            self.raised = error

    def spin(self) -> None:
        # On its own: CPython 3.13 takes the end of a loop that ends a try block for outside of it.
        self.running.set()
        while not self.go.is_set():
            pass


@pytest.fixture
def spinner():
    spinner = Spinner()
    spinner.start()
    assert spinner.running.wait(5)
    yield spinner
    spinner.go.set()
    spinner.join(5)


def test_it_raises_system_error_in_the_thread_as_the_snippet_did(spinner):
    assert rjobs.kill_thread(spinner) is None
    spinner.join(5)
    assert not spinner.is_alive()
    assert type(spinner.raised) is SystemError


@pytest.mark.parametrize("exc", [SystemExit, ValueError, rjobs.JobKilled])
def test_it_raises_what_it_is_asked_for(spinner, exc):
    rjobs.kill_thread(spinner, exc)
    spinner.join(5)
    assert type(spinner.raised) is exc


def test_a_thread_may_be_meant_by_its_ident(spinner):
    rjobs.kill_thread(spinner.ident, exc=SystemExit)
    spinner.join(5)
    assert type(spinner.raised) is SystemExit


def test_a_thread_that_ends_by_system_exit_says_nothing(python):
    run = python("""
import rjobs, threading
running, go = threading.Event(), threading.Event()
def spin():
    running.set()
    while not go.is_set(): pass
thread = threading.Thread(target=spin, daemon=True)
thread.start()
running.wait(5)
rjobs.kill_thread(thread, SystemExit)
thread.join(5)
assert not thread.is_alive()
""")
    assert (run.stdout, run.stderr) == ("", "")


def test_a_job_is_killed_and_not_its_thread(single, hold):
    job = hold(on=single)
    rjobs.kill_thread(job)
    job.join(5)
    assert job.state == "killed"
    assert type(job.exception()) is SystemError
    assert single.submit(pow, 2, 3).get(5) == 8


@pytest.mark.parametrize("by", ["thread", "ident"])
def test_the_thread_of_a_worker_stands_for_the_job_it_runs(single, hold, by):
    job = hold(on=single)
    thread = next(thread for thread in threading.enumerate() if thread.ident == job.ident)
    rjobs.kill_thread(thread if by == "thread" else thread.ident, SystemExit)
    job.join(5)
    assert job.state == "killed"
    assert type(job.exception()) is SystemExit
    assert single.submit(int).get(5) == 0


def test_a_queued_job_never_runs(single, hold):
    hold(on=single)
    job = single.submit(int)
    rjobs.kill_thread(job)
    assert job.state == "killed"


def test_the_thread_itself_gets_it_at_once():
    with pytest.raises(SystemError):
        rjobs.kill_thread(threading.current_thread())
    with pytest.raises(ValueError, match="killed itself"):
        rjobs.kill_thread(threading.get_ident(), ValueError)


def test_what_has_ended_is_left_alone(manager):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join(5)
    assert rjobs.kill_thread(thread) is None
    job = manager.submit(int)
    job.join(5)
    assert rjobs.kill_thread(job) is None
    assert job.state == "done"


def test_a_thread_that_was_not_started_is_no_thread_yet():
    with pytest.raises(ValueError, match="not started"):
        rjobs.kill_thread(threading.Thread(target=int))


@pytest.mark.parametrize("thread", [None, "MainThread", True, 1.5, object(), -1, 2**70])
def test_what_is_no_thread_is_refused(thread):
    with pytest.raises((TypeError, ValueError), match="thread"):
        rjobs.kill_thread(thread)


def test_an_ident_that_is_no_threads_is_refused():
    with pytest.raises(ValueError, match="no thread with the ident 1"):
        rjobs.kill_thread(1)


@pytest.mark.parametrize("exc", [ValueError(), int, "SystemExit"])
def test_what_is_no_exception_class_is_refused(spinner, exc):
    with pytest.raises(TypeError, match="exception class"):
        rjobs.kill_thread(spinner, exc)
    assert spinner.is_alive()
