"""Fixtures of the tests of the core: jobs that are known to run, and objects that are known to be gone."""

import ctypes
import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

import rjobs


@pytest.fixture
def single() -> Iterator[rjobs.JobManager]:
    """A manager with one worker: while a job is held on it, all others are queued."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(wait=True, kill=True)


class Hold:
    """Starts jobs that are known to run, and that go on until `go` is set. They can be killed."""

    def __init__(self, manager: rjobs.JobManager) -> None:
        self.manager = manager
        self.go = threading.Event()

    def __call__(self, value=None, *, on=None, **options) -> rjobs.Job:
        started = threading.Event()

        def held():
            started.set()
            # Not `go.wait`: a kill is to land in bytecode.
            while not self.go.is_set():
                time.sleep(0.001)
            return value

        job = (on or self.manager).options(**options).submit(held)
        assert started.wait(10)
        return job


@pytest.fixture
def hold(manager, single) -> Iterator[Hold]:
    # It asks for the managers, so that at the end it lets its jobs go before those wait for them.
    hold = Hold(manager)
    yield hold
    hold.go.set()


LIBC = ctypes.CDLL("msvcrt" if os.name == "nt" else None)


class Deaf:
    """Starts jobs that are known to run and that are in native code until `go()`: no kill lands in them before."""

    def __init__(self, manager: rjobs.JobManager) -> None:
        self.manager = manager
        self.read = getattr(LIBC, "_read" if os.name == "nt" else "read")
        self.ends = []

    def __call__(self) -> rjobs.Job:
        reader, writer = os.pipe()
        self.ends.append((reader, writer))
        job = self.manager.submit(self.read, reader, ctypes.create_string_buffer(1), 1)
        while job.state == "queued":
            time.sleep(0)
        return job

    def go(self) -> None:
        for _, writer in self.ends:
            os.write(writer, b"x")
        self.manager.wait(timeout=10)
        while self.ends:
            for end in self.ends.pop():
                os.close(end)


@pytest.fixture
def deaf(manager) -> Iterator[Deaf]:
    deaf = Deaf(manager)
    yield deaf
    deaf.go()


class Watched:
    """Something that can be watched dying."""

    def __init__(self) -> None:
        self.death = death_of(self)


def death_of(thing: object) -> threading.Event:
    """An event that is set when `thing` is gone."""
    dead = threading.Event()
    weakref.finalize(thing, dead.set).atexit = False
    return dead


@pytest.fixture
def watched() -> type[Watched]:
    return Watched


@pytest.fixture
def is_gone():
    """Says whether what `death_of` watches goes, after the worker of `manager` has let go of its last job."""

    def is_gone(dead: threading.Event, manager: rjobs.JobManager | None = None) -> bool:
        if manager is not None:
            # With one worker: what runs the second of these has put the job before them away.
            for _ in range(2):
                manager.submit(int).get(10)
        gc.collect()
        return dead.wait(5)

    is_gone.death_of = death_of
    return is_gone
