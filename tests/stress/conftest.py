"""What every stress test needs: witnesses of stray strikes, and something that hammers from several threads."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Witness(logging.Handler):
    """Takes down everything that goes wrong where no test looks: in finalizers, threads, callbacks, and on loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.swallowed: list[str] = []

    def unraisable(self, what) -> None:
        line = f"unraisable in {what.object!r}: {what.exc_value!r}"
        (self.swallowed if self.is_known(what) else self.seen).append(line)

    def is_known(self, what) -> bool:
        """Whether this is what happens to a job that is killed, and goes wrong for nobody else."""
        # A finalizer that runs inside a job is part of it: a kill that arrives there hits whom it was meant for. Python
        # swallows it, and the hook that this witness stands in for sends it again. Anywhere else it went astray.
        job = rjobs.current_job()
        return job is not None and job.kill_pending and isinstance(what.exc_value, rjobs.JobKilled)

    def thread(self, what) -> None:
        self.seen.append(f"thread {what.thread!r}: {what.exc_value!r}")

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"log {record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def witness(monkeypatch) -> Iterator[Witness]:
    """Nothing may go wrong beside the test, and main must not be hit."""
    witness = Witness()
    monkeypatch.setattr(sys, "unraisablehook", witness.unraisable)
    monkeypatch.setattr(threading, "excepthook", witness.thread)
    logger = logging.getLogger("rjobs")
    level = logger.level
    logger.addHandler(witness)
    logger.setLevel(logging.WARNING)
    yield witness
    gc.collect()
    logger.removeHandler(witness)
    logger.setLevel(level)
    assert witness.seen == []


@pytest.fixture(params=[5e-3, 1e-6], ids=["usual switches", "switching all the time"])
def switching(request) -> Iterator[None]:
    """Run the test with the usual switch interval, and once more with threads that take turns after every bytecode."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(before)


class Hammers:
    """Threads that do something over and over until they are told to stop; what they raise is the test's failure."""

    def __init__(self) -> None:
        self.enough = threading.Event()
        self.raised: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def start(self, blow: Callable[[], object], count: int = 1) -> None:
        def swing() -> None:
            try:
                while not self.enough.is_set():
                    blow()
            except BaseException as error:
                self.raised.append(error)

        for _ in range(count):
            thread = threading.Thread(target=swing, daemon=True)
            thread.start()
            self.threads.append(thread)


@pytest.fixture
def hammering():
    """`with hammering() as start: start(blow, count)`: they swing until the end of the block."""

    @contextmanager
    def hammering() -> Iterator[Callable[..., None]]:
        hammers = Hammers()
        try:
            yield hammers.start
        finally:
            hammers.enough.set()
            for thread in hammers.threads:
                thread.join(20)
        assert not any(thread.is_alive() for thread in hammers.threads)
        assert hammers.raised == []

    return hammering


@pytest.fixture
def crew():
    """Managers that are shut down at the end: all their workers must leave then, none was lost or counted twice."""
    crew: list[rjobs.JobManager] = []

    def hire(*args, **options) -> rjobs.JobManager:
        crew.append(rjobs.JobManager(*args, **options))
        return crew[-1]

    yield hire
    for manager in crew:
        manager.shutdown(wait=True, kill=True)
    deadline = time.monotonic() + 10
    while any(manager.workers for manager in crew) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [manager.workers for manager in crew] == [0] * len(crew)
