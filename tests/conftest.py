"""Fixtures that every folder of tests may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def manager() -> Iterator[rjobs.JobManager]:
    """A manager of this test alone; what still runs at the test's end is killed."""
    manager = rjobs.JobManager()
    yield manager
    manager.shutdown(wait=True, kill=True)
