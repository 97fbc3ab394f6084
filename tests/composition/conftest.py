"""Fixtures of the tests of composition."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def single() -> Iterator[rjobs.JobManager]:
    """A manager with one worker: while a job is held on it, all others are queued."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(wait=True, kill=True)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Lets the jobs of a test go: at its end at the latest."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """`until(condition)`: wait for what nobody tells of."""

    def until(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    return until


@pytest.fixture
def held() -> Iterator[Callable[..., rjobs.Job]]:
    """Starts jobs that run until `held.go()`: `held(manager)` returns when the job runs; it gives its `value`."""
    gate = threading.Event()

    def held(view, value=None):
        started = threading.Event()

        def hold():
            started.set()
            gate.wait()
            return value

        job = view.submit(hold)
        assert started.wait(10)
        return job

    held.go = gate.set
    yield held
    gate.set()


@pytest.fixture
def has_ended() -> Callable[[int], bool]:
    """Waits until the process of an id, which need not be a child, has ended; False when that takes 10 seconds."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells of processes that are nobody's child")

    def has_ended(pid: int) -> bool:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([process], [], [], 10)[0])
        finally:
            os.close(process)

    return has_ended


class Gate:
    """A function for items that wait until they are let go; says which have begun."""

    def __init__(self, *held):
        self.held = set(held)
        self.begun = []
        self.changed = threading.Condition()

    def __call__(self, item):
        with self.changed:
            self.begun.append(item)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: item not in self.held, 20)
        return item

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, 10)

    def go(self):
        with self.changed:
            self.held.clear()
            self.changed.notify_all()


@pytest.fixture
def make_gate() -> type[Gate]:
    return Gate


@pytest.fixture
def drained() -> Callable[[Iterator[object]], list[object]]:
    def drained(iterator, caught=Exception):
        """Everything an iterator gives, and raises of what is caught."""
        seen = []
        while True:
            try:
                seen.append(next(iterator))
            except StopIteration:
                return seen
            except caught as error:
                seen.append(error)

    return drained
