"""What is over is let go: round after round of jobs, the process does not grow, and nothing of theirs is left."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import linecache
import os
import sys
import sysconfig
import threading
import tracemalloc
import weakref
from pathlib import Path
from time import monotonic, sleep

import pytest

import rjobs

STATM = Path("/proc/self/statm")
# Without the GIL CPython frees memory later, keeps constants of code for ever, and has no plain reference counts.
counted = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="counts of blocks and references need the GIL"
)


def rss_kib():
    """Resident memory of this process."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def forget_all(manager):
    for number in list(manager.all):
        manager.remove(number)


class Thing:
    """Something that weak references can watch."""


def gone(reference, manager):
    """Whether what a weak reference watches goes, once the workers of `manager` have put their jobs away."""
    manager.shutdown()
    for _ in range(3):
        gc.collect()
    return reference() is None


def burst(manager, count):
    """Jobs of every fate: done, failed, killed, cancelled, timed out, with output, callbacks, futures and code."""
    number = 0
    for number in range(count // 10):
        jobs = [manager.submit(lambda number=number: [number]) for _ in range(3)]
        jobs.append(manager.submit(print, "some output", number))
        jobs.append(manager.submit(int, "no number"))
        jobs.append(manager.options(timeout=60, name=f"job {number}").submit(str, number))
        jobs.append(manager.new("x = 1\nx + 1", {}))
        jobs.extend(manager.submit(max, 1, 2) for _ in range(3))
        jobs[0].add_done_callback(lambda job: job.state)
        _ = jobs[1].future
        jobs[2].kill(0)
        jobs[9].cancel()
        if number % 50 == 0:
            manager.wait(jobs, timeout=20)
    manager.wait(timeout=60)
    forget_all(manager)


@pytest.mark.skipif(not STATM.exists(), reason="only Linux tells it so")
@pytest.mark.stress
@pytest.mark.timeout(900)
def test_200_000_jobs_that_were_flushed_leave_the_process_as_big_as_after_the_first_20_000(crew):
    manager = crew(8)
    sizes = []
    for _ in range(10):
        burst(manager, 20_000)
        gc.collect()
        sizes.append(rss_kib())
    print(f"KiB after each 20,000 jobs: {sizes}")
    # The allocator may keep a little more here and there; a leak of 10 bytes a job would be 1,600 KiB.
    assert sizes[-1] - min(sizes[1:4]) < 1_600


@counted
def test_a_burst_of_jobs_leaves_no_objects_behind(crew):
    manager = crew(4)
    burst(manager, 1_000)
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(3):
        burst(manager, 1_000)
    gc.collect()
    # Three thousand jobs; half a block each would be seen.
    assert sys.getallocatedblocks() - blocks < 1_500


@counted
def test_rjobs_own_python_code_keeps_nothing_per_job(crew):
    manager = crew(4)
    burst(manager, 500)
    home = str(Path(rjobs.__file__).parent / "*")
    gc.collect()
    tracemalloc.start(5)
    try:
        burst(manager, 500)
        gc.collect()
        before = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, home, all_frames=True)])
        burst(manager, 6_000)
        gc.collect()
        after = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, home, all_frames=True)])
    finally:
        tracemalloc.stop()
    # Ten bytes a job. A dict of bounded size that is filled and emptied is made anew now and then: that is less.
    grown = [entry for entry in after.compare_to(before, "lineno") if entry.size_diff > 60_000]
    assert grown == []


class Work:
    """A call that ends in the way that was asked for."""

    def __init__(self, end):
        self.end = end

    def __call__(self, _thing):
        if self.end == "failed":
            raise ValueError
        while self.end == "killed":
            pass


@pytest.mark.parametrize("end", ["done", "failed", "killed", "cancelled"])
def test_a_job_lets_go_of_function_arguments_context_and_callbacks_when_it_ends(crew, end):
    manager = crew(1)
    gate = threading.Event()
    manager.submit(gate.wait)
    held = {name: Thing() for name in ("argument", "context", "callback")}
    deaths = {name: weakref.ref(thing) for name, thing in held.items()}
    variable = contextvars.ContextVar("variable")
    work = Work(end)
    deaths["function"] = weakref.ref(work)

    def submit(held, work):
        variable.set(held["context"])
        job = manager.submit(work, held["argument"])
        job.add_done_callback(lambda _job, kept=held["callback"]: kept)
        return job

    job = contextvars.copy_context().run(submit, held, work)
    held.clear()
    del work
    if end == "cancelled":
        assert job.cancel()
    gate.set()
    while end == "killed" and not job.running():
        job.join(0.001)
    if end == "killed":
        assert job.kill()
    job.join(10)
    assert job.state == end
    if end in ("failed", "killed"):
        # The traceback holds the frame, and the frame the arguments: as of any exception.
        for frame in walk(job.exception(0).__traceback__):
            frame.clear()
    # `retry()` needs the call; of a job that is done nothing is kept.
    kept = set() if end == "done" else {"function", "argument"}
    gone(deaths["context"], manager)
    assert {name for name, death in deaths.items() if death() is not None} == kept
    assert job.state == end
    manager.remove(job)
    del job
    gone(deaths["context"], manager)
    assert not [name for name, death in deaths.items() if death() is not None]


def walk(traceback):
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def test_a_cycle_through_a_result_is_collected(crew):
    manager = crew(1)
    job = manager.submit(Thing)
    thing = job.get(10)
    thing.job, thing.future, thing.follow, thing.ended = job, job.future, job.follow(), manager.as_completed([job])
    death = weakref.ref(thing)
    manager.remove(job)
    del thing, job
    assert gone(death, manager)


def test_a_cycle_through_an_exception_is_collected(crew):
    manager = crew(1)

    def fail():
        raise ValueError(Thing(), rjobs.current_job())

    job = manager.submit(fail)
    death = weakref.ref(job.exception(10).args[0])
    assert isinstance(death(), Thing)
    manager.remove(job)
    del job
    assert gone(death, manager)


def test_a_manager_that_is_dropped_with_finished_jobs_goes_at_once_and_its_workers_too():
    manager = rjobs.JobManager(4)
    thing_death = weakref.ref(manager.submit(Thing).get(10))
    manager.wait([manager.submit(int) for _ in range(20)])
    death = weakref.ref(manager)
    assert thing_death() is not None
    mine = [thread for thread in threading.enumerate() if type(thread).__name__ == "WorkerThread"]
    del manager
    gc.collect()
    assert death() is None
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()
    del thread, mine
    gc.collect()
    assert thing_death() is None


@counted
def test_waits_that_run_out_leave_no_waiters(crew):
    manager = crew(2)
    gate = threading.Event()
    job = manager.submit(gate.wait)

    def impatient():
        for _ in range(500):
            with contextlib.suppress(TimeoutError):
                job.get(0)
            job.join(0)
            manager.wait([job], 0)
            with contextlib.suppress(TimeoutError):
                next(manager.as_completed([job], 0))
            job.kill_pending  # noqa: B018

    impatient()
    gc.collect()
    size, blocks = rss_kib() if STATM.exists() else 0, sys.getallocatedblocks()
    for _ in range(20):
        impatient()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 1_000
    # 40,000 waits; a forgotten waiter takes 16 bytes in the job and more beside it.
    if STATM.exists():
        assert rss_kib() - size < 1_000
    gate.set()


def test_awaits_that_are_given_up_leave_nothing_in_the_job(crew):
    manager = crew(1)
    gate = threading.Event()
    job = manager.submit(gate.wait)

    async def waited():
        return await job

    async def impatient():
        for _ in range(50):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waited(), 0.0001)

    def futures():
        gc.collect()
        return sum(isinstance(thing, asyncio.Future) for thing in gc.get_objects())

    # Another test's loop may have left some: what counts is the 50 waits.
    before = futures()
    asyncio.run(impatient())
    alive = futures()
    gate.set()
    assert alive - before < 5


@counted
def test_a_thousand_kills_of_one_job_that_does_not_see_them_take_no_room(crew):
    manager = crew(1)
    gate = threading.Event()
    job = manager.submit(gate.wait)
    while not job.running():
        gate.wait(0.001)
    kinds = [type(f"Kill{number}", (BaseException,), {}) for number in range(3)]
    for _ in range(300):
        for kind in kinds:
            job.kill(0, kind)
    holders = sum(sys.getrefcount(kind) for kind in kinds)
    gate.set()
    job.join(10)
    # Each is in a list and a variable, and has its own __mro__ and the like: a few references, and not hundreds.
    assert holders < 60


def test_sources_of_code_jobs_are_forgotten_after_a_while(crew):
    manager = crew(4)
    for number in range(2_000):
        manager.new(f"value = {number}\nvalue", {})
    manager.wait(timeout=30)
    forget_all(manager)
    assert sum(name.startswith("<rjobs-") for name in linecache.cache) <= 512


def timers():
    """How many threads wait for deadlines."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        # Some go while we look.
        with contextlib.suppress(FileNotFoundError):
            names.append((task / "comm").read_text().strip())
    return names.count("rjobs-timers")


@pytest.mark.skipif(not STATM.exists(), reason="only Linux tells the threads' names so")
def test_deadlines_of_ended_jobs_leave_no_threads(crew):
    before = timers()
    for _ in range(10):
        manager = crew(1)
        started, gate = threading.Event(), threading.Event()

        def held(started=started, gate=gate):
            started.set()
            gate.wait(10)

        job = manager.options(timeout=3_600).submit(held)
        assert started.wait(10)
        gate.set()
        job.join(10)
        manager.shutdown()
    # Such a thread stays for a few seconds, for the next deadline.
    deadline = monotonic() + 20
    while timers() > before and monotonic() < deadline:
        sleep(0.05)
    assert timers() <= before


def test_a_follower_that_is_dropped_leaves_the_job_alone(crew):
    manager = crew(1)
    gate = threading.Event()
    job = manager.submit(lambda: print("text") or gate.wait())
    death = weakref.ref(job)
    for _ in range(100):
        follower = job.follow()
        assert next(follower) == "text\n"
    gate.set()
    job.join(10)
    manager.remove(job)
    del job, follower
    assert gone(death, manager)
