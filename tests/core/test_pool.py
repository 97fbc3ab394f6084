"""The pool: how many workers there are, when they come and go, and what kind of threads they are."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import rjobs


def test_a_new_manager_has_no_thread():
    before = threading.active_count()
    manager = rjobs.JobManager()
    assert manager.workers == 0
    assert threading.active_count() == before


def test_jobs_start_at_once_however_many_others_run(manager):
    # Every one of them waits until all of them run.
    together = threading.Barrier(40)
    jobs = [manager.submit(together.wait, 10) for _ in range(40)]
    assert sorted(job.get(10) for job in jobs) == list(range(40))
    assert manager.workers == 40


def test_without_a_number_there_is_a_generous_limit(manager):
    assert 32 <= manager.max_workers <= 1024


def test_max_workers_bounds_the_threads():
    lock, now, most = threading.Lock(), 0, 0
    seen, pause = set(), threading.Event()

    def work():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            seen.add(threading.get_ident())
        pause.wait(0.001)
        with lock:
            now -= 1

    with rjobs.JobManager(max_workers=3) as manager:
        assert manager.max_workers == 3
        manager.wait([manager.submit(work) for _ in range(60)], 20)
        assert manager.workers <= 3
    assert most <= 3
    assert len(seen) <= 3


def test_one_worker_runs_jobs_in_the_order_they_were_made(single):
    order = []
    jobs = [single.submit(order.append, number) for number in range(200)]
    single.wait(jobs, 10)
    assert order == list(range(200))


def test_a_worker_that_is_free_takes_the_next_job(single):
    idents = {single.submit(threading.get_ident).get(5) for _ in range(50)}
    assert len(idents) == 1
    assert single.workers == 1


def test_idle_workers_leave_and_come_back():
    manager = rjobs.JobManager(idle_timeout=0.01)
    thread = manager.submit(threading.current_thread).get(5)
    thread.join(10)
    assert not thread.is_alive()
    assert manager.workers == 0
    assert manager.submit(threading.current_thread).get(5) is not thread


def test_with_no_idle_time_at_all_every_job_still_runs():
    with rjobs.JobManager(max_workers=4, idle_timeout=0) as manager:
        assert [manager.submit(int, str(n)).get(5) for n in range(200)] == list(range(200))


def test_a_burst_of_jobs_is_run_though_workers_come_and_go():
    done = []
    with rjobs.JobManager(max_workers=8, idle_timeout=0.0005) as manager:
        for _ in range(20):
            manager.wait([manager.submit(done.append, 1) for _ in range(50)], 10)
    assert len(done) == 1000


def test_a_manager_that_is_gone_leaves_no_thread_behind():
    manager = rjobs.JobManager()
    thread = manager.submit(threading.current_thread).get(5)
    del manager
    thread.join(10)
    assert not thread.is_alive()


def test_jobs_of_a_manager_that_is_gone_are_run_to_their_end():
    go, manager = threading.Event(), rjobs.JobManager(max_workers=1)
    jobs = [manager.submit(go.wait, 10), *(manager.submit(int, str(n)) for n in range(3))]
    del manager
    go.set()
    assert [job.get(10) for job in jobs] == [True, 0, 1, 2]


def test_threading_knows_the_thread_of_a_job(manager, hold):
    job = hold(name="my job")
    thread = next(thread for thread in threading.enumerate() if thread.ident == job.ident)
    assert thread.name == "my job"
    assert thread.is_alive()
    assert thread.daemon
    assert thread is not threading.main_thread()
    assert type(thread) is not threading._DummyThread


def test_inside_of_a_job_threading_says_the_same(manager):
    def look():
        thread = threading.current_thread()
        return thread.name, thread.ident == threading.get_ident(), thread in threading.enumerate()

    assert manager.new(look, name="looking").get(5) == ("looking", True, True)


def test_between_jobs_a_worker_has_a_name_of_its_own(single):
    thread = single.submit(threading.current_thread).get(5)
    single.new(int, name="second").get(5)
    ended = threading.Event()
    single.submit(int).add_done_callback(lambda _: ended.set())
    assert ended.wait(5)
    single.shutdown()
    assert thread.name.startswith("rjobs-")


def test_a_job_may_name_its_thread(single):
    def rename():
        threading.current_thread().name = "mine"

    single.submit(rename).get(5)
    assert single.new(lambda: threading.current_thread().name, name="next").get(5) == "next"


def test_thread_locals_stay_with_the_worker(single):
    local = threading.local()

    def count():
        local.count = getattr(local, "count", 0) + 1
        return local.count

    assert [single.submit(count).get(5) for _ in range(3)] == [1, 2, 3]


@pytest.fixture
def stack_size():
    """Sets the stack size of new threads, and gives it back (asking for it sets it to 0)."""
    yield threading.stack_size
    threading.stack_size(0)


@pytest.mark.parametrize("own", [0, 512 * 1024, 16 * 1024 * 1024])
def test_the_programs_own_stack_size_stays(manager, stack_size, own):
    stack_size(own)
    assert manager.submit(int).get(5) == 0
    assert stack_size() == own


def test_it_stays_however_many_threads_make_workers(stack_size):
    start = threading.Barrier(8)

    def make():
        start.wait(10)
        for _ in range(50):
            with rjobs.JobManager() as manager:
                manager.submit(int).get(10)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert stack_size() == 0


@pytest.mark.parametrize(
    "recursion",
    [
        "def f(n=0): return f(n + 1)\n",
        "def f(n=0): return sorted([n], key=f)\n",
        "class C:\n    def __repr__(self): return repr(self)\ndef f(): return repr(C())\n",
        "class C:\n    def __eq__(self, other): return self == other\ndef f(): return C() == 1\n",
        "import json\ndef f():\n    x = []\n    for _ in range(200_000): x = [x]\n    return json.dumps(x)\n",
        "import re\ndef f(m=None): return re.sub('a', f, 'a')\n",
        "def f(x=0): return max([x], key=f)\n",
    ],
    ids=["plain", "sorted", "repr", "==", "json", "re", "max"],
)
def test_recursion_without_end_is_an_error_and_no_crash(python, recursion):
    run = python(
        recursion
        + """
import rjobs
manager = rjobs.JobManager(daemon=True)
for _ in range(2):
    job = manager.submit(f)
    error = job.exception(30)
    assert isinstance(error, RecursionError), error
    assert job.state == "failed"
    job.traceback()
assert manager.submit(int, "7").get(5) == 7
print("went on")
"""
    )
    assert run.stdout.endswith("went on\n")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signal masks are POSIX")
def test_signals_are_not_blocked_in_a_job(manager):
    assert manager.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).get(5) == signal.pthread_sigmask(
        signal.SIG_BLOCK, ()
    )


def test_a_panic_in_a_job_is_that_jobs_failure(single):
    job = single.submit(rjobs._rjobs._panic)
    job.join(5)
    assert job.state == "failed"
    assert "asked for by a test" in str(job.exception())
    assert single.submit(int, "3").get(5) == 3


def assert_asleep(jobs):
    """The threads of `jobs` come to rest, and get no turn in a fifth of a second."""

    def wakes():
        files = [Path(f"/proc/self/task/{job.native_id}/status").read_text() for job in jobs]
        return [line for file in files for line in file.splitlines() if "ctxt_switches" in line]

    # The last of them may be on their way to bed still.
    never, before = threading.Event(), None
    for _ in range(50):
        before, now = wakes(), before
        if before == now:
            break
        never.wait(0.01)
    never.wait(0.2)
    assert wakes() == before


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads what Linux tells of threads")
def test_idle_workers_do_not_wake(manager):
    together = threading.Barrier(8)
    jobs = [manager.submit(together.wait, 10) for _ in range(8)]
    manager.wait(jobs, 10)
    assert_asleep(jobs)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads what Linux tells of threads")
def test_jobs_that_wait_for_others_do_not_wake(manager):
    gate, together = threading.Event(), threading.Barrier(5)
    other = manager.submit(gate.wait)
    waits = [
        other.get,
        lambda: manager.wait([other]),
        lambda: next(manager.as_completed([other])),
        lambda: rjobs.current_job().sleep(1000),
    ]
    jobs = [manager.submit(lambda wait=wait: (together.wait(10), wait())) for wait in waits]
    together.wait(10)
    assert_asleep(jobs)
    assert jobs[-1].kill()
    gate.set()
    manager.wait(jobs, 10)
    assert [job.state for job in jobs] == ["done"] * 3 + ["killed"]


def test_two_managers_have_threads_of_their_own(manager, single):
    first, second = threading.Event(), threading.Event()
    job = single.submit(first.wait, 10)
    other = manager.submit(second.wait, 10)
    assert first.is_set() is False
    first.set()
    second.set()
    assert job.get(5) is other.get(5) is True
    assert job.ident != other.ident


def test_a_job_can_start_processes_and_kill_them(manager):
    import subprocess

    def run():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        child.terminate()
        return child.wait(10)

    assert manager.submit(run).get(10) == (-signal.SIGTERM if os.name == "posix" else 1)


def test_asyncio_works_in_a_job(manager):
    async def main():
        return await asyncio.gather(*(asyncio.to_thread(int, str(n)) for n in range(3)))

    assert manager.submit(lambda: asyncio.run(main())).get(5) == [0, 1, 2]


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_manager_has_room_for_one_worker_at_least(wrong):
    with pytest.raises(ValueError, match="max_workers must be 1 or more, or None"):
        rjobs.JobManager(wrong)


@pytest.mark.parametrize("wrong", ["4", 2.5, [4]])
def test_max_workers_is_an_integer(wrong):
    with pytest.raises(TypeError):
        rjobs.JobManager(max_workers=wrong)


@pytest.mark.parametrize("option", ["idle_timeout", "output_limit"])
def test_what_a_manager_is_told_must_make_sense(option):
    with pytest.raises(ValueError, match=f"{option} must be 0 (seconds|bytes) or more"):
        rjobs.JobManager(**{option: -1})
    with pytest.raises(TypeError):
        rjobs.JobManager(**{option: "1"})
    with pytest.raises(TypeError):
        rjobs.JobManager(workers=1)


def test_a_managers_repr_says_what_it_has(single, hold):
    hold(on=single)
    assert repr(single) == "<JobManager: 1 job, 1 of at most 1 workers>"
    single.submit(int)
    assert "2 jobs" in repr(single)
