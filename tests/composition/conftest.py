"""Fixtures of the tests of what jobs give and take."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest


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
