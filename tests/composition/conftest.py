"""Fixtures of the tests of what jobs are put together to."""

from collections.abc import Iterator

import pytest

import rjobs


@pytest.fixture
def single() -> Iterator[rjobs.JobManager]:
    """A manager with one worker."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(wait=True, kill=True)
