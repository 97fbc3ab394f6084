"""Fixtures of the tests of the faces."""

import contextlib
import json
import threading
import time
from types import SimpleNamespace

import pytest

import rjobs


@pytest.fixture
def single():
    """A manager with one worker."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(kill=True)


@pytest.fixture
def held(manager):
    """A job that runs until the end of the test."""
    started, go = threading.Event(), threading.Event()

    def wait():
        started.set()
        while not go.is_set():
            time.sleep(0.001)

    job = manager.submit(wait)
    assert started.wait(5)
    yield job
    go.set()
    job.join(5)


@pytest.fixture
def shown():
    """Gives what IPython shows of a job or a manager in a terminal."""

    def shown(thing) -> str:
        texts = []
        thing._repr_pretty_(SimpleNamespace(text=texts.append), cycle=False)
        return "".join(texts)

    return shown


@pytest.fixture
def ends_nobody():
    """For a `with` block: what would end the test session is a failure of the test."""

    @contextlib.contextmanager
    def ends_nobody():
        try:
            yield
        except (SystemExit, KeyboardInterrupt) as error:
            pytest.fail(f"{type(error).__name__} of a job came out to who looked at it")

    return ends_nobody


@pytest.fixture
def works_after(manager, capsys, shown, ends_nobody):
    """Whatever a test did, afterwards the manager shows and describes all its jobs, and runs others."""
    yield
    with ends_nobody():
        manager.status()
        manager()
        manager.traceback()
        for look in (repr, shown, str):
            assert look(manager)
        assert manager._repr_html_()
        for job in manager:
            assert repr(job) is not None
            assert shown(job)
            assert job._repr_html_()
            json.dumps(job.to_dict(), allow_nan=False)
            job.traceback()
            assert manager[job.num] is job
    assert capsys.readouterr().out
    assert manager.new("20 + 1", {}).get(5) == 21
    assert manager.submit(int, "22").get(5) == 22


@pytest.fixture
def stay():
    """A call that is known to run, and that only a kill ends."""

    class Stay:
        def __init__(self):
            self.begun = threading.Semaphore(0)
            self.cleaned = threading.Semaphore(0)

        def __call__(self, *_arguments):
            try:
                self.begun.release()
                time.sleep(1000)
            finally:
                self.cleaned.release()

        def wait_for(self, count):
            for _ in range(count):
                assert self.begun.acquire(timeout=10)

    return Stay()
