"""Ending calls: a job that is known to wait in a call is killed, and everything around it is looked at."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TASKS = Path("/proc/self/task")
SAMPLES = 5


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Wait until something is so; False when it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., bool]:
    return until


def settle(job: rjobs.Job | threading.Thread) -> None:
    """Wait until the thread (of a job) is in one and the same system call several times in a row."""
    path = TASKS / str(job.native_id) / "syscall"
    seen: list[str] = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            now = path.read_text().split()[0]
        except OSError:
            # Not Linux, or not allowed to look.
            time.sleep(0.1)
            return
        seen = [*seen, now] if now != "running" and now in seen[-1:] else [now]
        if len(seen) > SAMPLES:
            return
        time.sleep(0.003)


class Scope:
    """A `with` block that notes what it was left with."""

    def __init__(self, seen: list[BaseException | None]) -> None:
        self.seen = seen

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, error, _traceback) -> None:
        self.seen.append(error)


class Caught:
    """A job in a call that goes on for long, and what its blocks saw at its end."""

    def __init__(self, manager: rjobs.JobManager, call: Callable[[], object]) -> None:
        self.seen: list[BaseException | None] = []
        self.returned: list[object] = []
        self.begun = threading.Event()
        self.call = call
        self.job = manager.submit(self.work)
        assert self.begun.wait(10)

    def work(self) -> None:
        try:
            with Scope(self.seen):
                try:
                    self.begun.set()
                    self.returned.append(self.call())
                except BaseException as error:
                    self.seen.append(error)
                    raise
        finally:
            self.seen.append(sys.exception())

    def check(self, *, is_stubborn: bool = False) -> None:
        """It was killed, and knew it everywhere."""
        assert self.returned == []
        assert self.job.state == "killed", repr(self.job.exception(0))
        with pytest.raises(rjobs.JobKilled) as raised:
            self.job.get(0)
        assert type(raised.value) is rjobs.JobKilled
        # One that goes on is hit in every line in the end, also in the lines that note what was seen.
        assert {type(error) for error in self.seen} <= {rjobs.JobKilled}
        assert is_stubborn or len(self.seen) == 3
        assert self.job.output == ""
        assert not self.job.kill_pending
        assert not self.job.in_native_code


@pytest.fixture(name="settle")
def settle_fixture() -> Callable[..., None]:
    return settle


@pytest.fixture
def catch(manager) -> Callable[..., Caught]:
    """Start a job in `call`, and wait until it waits there, and until `ready()`."""

    def catch(
        call: Callable[[], object], *, is_busy: bool = False, ready: Callable[[], object] | None = None
    ) -> Caught:
        caught = Caught(manager, call)
        if ready is not None:
            assert until(ready)
        if is_busy:
            time.sleep(0.02)
        else:
            settle(caught.job)
        assert caught.job.state == "running", caught.job.exception(0)
        return caught

    return catch


@pytest.fixture
def end(catch, manager) -> Callable[..., rjobs.Job]:
    """Start a job in `call`, kill it there, and look at everything; beside it another job goes on."""

    def end(call: Callable[[], object], *, is_stubborn: bool = False, **options) -> rjobs.Job:
        caught = catch(call, **options)
        assert caught.job.kill(20) is True, caught.job.stack()
        caught.check(is_stubborn=is_stubborn)
        assert manager.submit(int).get(10) == 0
        return caught.job

    return end


class Query:
    """A call that ends when it is cancelled, and notes what it was hit by."""

    class Error(Exception):
        """What a library raises when its call was cancelled."""

    def __init__(self, *, helps: bool = True) -> None:
        self.helps = helps
        self.begun = threading.Event()
        self.cancelled = threading.Event()
        self.by: list[int] = []
        self.hit: list[BaseException] = []

    def run(self) -> None:
        self.begun.set()
        try:
            self.cancelled.wait(60)
        except BaseException as error:
            self.hit.append(error)
            raise
        raise self.Error("cancelled")

    def cancel(self) -> None:
        self.by.append(threading.get_ident())
        if self.helps:
            self.cancelled.set()


@pytest.fixture
def query_type() -> type[Query]:
    """A call that only its library can end, and what it raises then."""
    return Query


@pytest.fixture
def started(manager):
    """`started(query)`: a job that is in the query, in a block that a kill ends by `query.cancel`."""

    def start(query, cancel=None, **options):
        def work():
            with rjobs.current_job().on_kill(cancel or query.cancel):
                query.run()

        job = manager.options(**options).submit(work)
        assert query.begun.wait(10)
        return job

    return start


@pytest.fixture(autouse=True)
def quiet(capfd) -> Iterator[None]:
    """Nothing is written to the standard error stream."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
