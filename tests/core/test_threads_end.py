"""When `shutdown`, or a `with` block, returns, the threads have ended: for `threading`, and for the system."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
import time
from pathlib import Path

import pytest

import rjobs

ROUNDS = 20


def threads():
    """Who is there: for Python, and where it tells for the system."""
    tasks = Path("/proc/self/task")
    there = {thread.native_id: thread.name for thread in threading.enumerate()}
    if tasks.exists():
        for task in tasks.iterdir():
            try:
                there.setdefault(int(task.name), (task / "comm").read_text())
            except OSError:
                continue
    return there


def new_since(before):
    return {number: name for number, name in threads().items() if number not in before}


def plain(manager):
    for _ in range(20):
        manager.submit(int)


def busy(manager):
    together = threading.Barrier(8)
    for _ in range(8):
        manager.submit(together.wait)


async def _in_threads():
    await asyncio.sleep(0)
    await asyncio.gather(*[asyncio.to_thread(int) for _ in range(3)])


def coroutines(manager):
    for _ in range(5):
        manager.submit(_in_threads)


def timers(manager):
    manager.options(timeout=100).submit(int)
    manager.options(result_ttl=100).submit(int)
    manager.limit("slow", rate=0.5)
    manager.options(limit="slow").submit(int)
    tries = iter([ValueError, None])

    def flaky():
        if error := next(tries):
            raise error

    manager.new(flaky, retry=1).get(10)
    manager.every(100, int)


def commands(manager):
    # A callback on the thread that tells of commands asks which that is.
    manager.shell([sys.executable, "-c", ""]).add_done_callback(lambda _: threading.current_thread())


def expiry(manager):
    go = threading.Event()
    first = manager.submit(go.wait)
    late = manager.new(int, after=first, ttl=0.001)
    late.add_done_callback(lambda _: threading.current_thread())
    late.join(10)
    go.set()


def maps(manager):
    manager.map(abs, range(1000))
    next(iter(manager.map(abs, itertools.count(), buffersize=10)))


def killed(manager):
    started = threading.Event()
    job = manager.submit(lambda: (started.set(), time.sleep(100)))
    started.wait(10)
    manager.submit(asyncio.sleep, 100)
    assert job.kill()


KINDS = [plain, busy, coroutines, timers, commands, expiry, killed]


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_gone_after_a_with_block(kind):
    for _ in range(ROUNDS if kind in (plain, busy) else 3):
        before = threads()
        with rjobs.JobManager(8) as manager:
            kind(manager)
            if kind is killed:
                manager.kill_all()
        assert new_since(before) == {}
    manager.flush()


def test_and_after_a_shutdown_that_kills():
    for kind in (busy, coroutines, maps, killed):
        before = threads()
        manager = rjobs.JobManager(8)
        kind(manager)
        manager.shutdown(kill=True)
        assert new_since(before) == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: rjobs.Executor(8),
        lambda: rjobs.Executor(8, initializer=int),
        lambda: rjobs.Pool(8),
        lambda: rjobs.Pool(8, initializer=int),
    ],
    ids=["executor", "prepared executor", "pool", "prepared pool"],
)
def test_after_those_of_the_faces(make):
    for _ in range(ROUNDS):
        before = threads()
        with make() as face:
            assert list(face.map(abs, range(100))) == list(range(100))
        assert new_since(before) == {}


def test_after_the_end_of_a_pool_that_reads_on_a_thread():
    def items():
        yield 1
        never.wait()

    before, never = threads(), threading.Event()
    with rjobs.Pool(2) as pool:
        assert next(pool.imap(abs, items())) == 1
    assert new_since(before) == {}
    pool = rjobs.Pool(2)
    results = pool.imap(abs, iter(range(1000)))
    pool.close()
    pool.join()
    assert new_since(before) == {}
    assert sum(results) == 499500


def test_commands_that_others_run_keep_their_threads_and_what_comes_later_finds_new_ones(manager):
    slow = manager.shell([sys.executable, "-c", "import time; time.sleep(1000)"])
    for _ in range(3):
        with rjobs.JobManager() as other:
            job = other.shell([sys.executable, "-c", "print(5)"])
        assert job.get(20).stdout.strip() in ("5", b"5")
    assert slow.running()
    assert slow.kill()
    with rjobs.JobManager() as other:
        job = other.shell([sys.executable, "-c", "print(6)"])
    assert job.state == "done"


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_a_command_whose_output_others_hold_open_keeps_nobody(manager):
    # The grandchild writes on: its reader has to stay, and nobody waits for it.
    began = time.monotonic()
    with rjobs.JobManager() as other:
        job = other.shell("sleep 5 & echo started")
    assert job.state == "done"
    assert time.monotonic() - began < 4


class TestFromWithin:
    """Called where it cannot wait for its own thread it waits for the others, and never for itself."""

    def test_two_jobs_at_once(self):
        for _ in range(ROUNDS):
            manager = rjobs.JobManager(4)
            together = threading.Barrier(2)

            def work(manager=manager, together=together):
                together.wait(10)
                manager.shutdown()

            jobs = [manager.submit(work) for _ in range(2)]
            for job in jobs:
                job.get(20)
            manager.shutdown()

    @pytest.mark.parametrize(
        "start",
        [
            lambda manager: manager.submit(time.sleep, 0.05),
            lambda manager: manager.submit(asyncio.sleep, 0.05),
            lambda manager: manager.shell([sys.executable, "-c", ""]),
            lambda manager: manager.new(int, after=manager.submit(time.sleep, 0.1), ttl=0.01),
        ],
        ids=["worker", "loop", "command", "timers"],
    )
    def test_a_callback(self, start):
        manager, told = rjobs.JobManager(2), threading.Event()
        job = start(manager)
        job.add_done_callback(lambda _: (manager.shutdown(), told.set()))
        assert told.wait(30)
        manager.shutdown()

    def test_an_executor_of_one_s_own(self):
        executor = rjobs.Executor(2)
        assert executor.submit(executor.shutdown).result(20) is None
        executor.shutdown()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="how much memory is mapped is not told here")
@pytest.mark.parametrize("at_once", [1, 20])
def test_the_record_of_a_killed_job_does_not_keep_its_thread_s_stack(at_once):
    stack = 16 * 2**20
    with rjobs.JobManager() as manager:

        def kill_some():
            together = threading.Barrier(at_once + 1)

            def waits():
                together.wait()
                threading.Event().wait()

            jobs = [manager.submit(waits) for _ in range(at_once)]
            together.wait()
            for job in jobs:
                assert job.kill(20)

        def mapped():
            return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")

        # The C library keeps some stacks and arenas for what comes.
        kill_some()
        kill_some()
        before = mapped()
        for _ in range(100 // at_once):
            kill_some()
        assert len(manager) >= 100
        assert mapped() - before < 60 * stack
