"""Fixtures of the tests of what jobs are composed of: commands, and jobs that wait for jobs."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def single() -> Iterator[rjobs.JobManager]:
    """A manager with one worker."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(wait=True, kill=True)


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
