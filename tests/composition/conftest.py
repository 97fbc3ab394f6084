"""Fixtures of the tests of composition."""

from __future__ import annotations

import threading
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
