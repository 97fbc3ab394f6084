"""Fixtures that every folder of tests may ask for."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def manager() -> Iterator[rjobs.JobManager]:
    """A manager of this test alone; what still runs at the test's end is killed."""
    manager = rjobs.JobManager()
    yield manager
    manager.shutdown(wait=True, kill=True)


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs code in a fresh interpreter: `python(code).stdout`; fails when it does not end with 0."""

    def python(code: str, *options: str) -> subprocess.CompletedProcess:
        run = subprocess.run(
            [sys.executable, *options, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run

    return python
