"""Forks, in main and in jobs: the child has no ghosts of the parent's jobs, and makes its own; the parent goes on."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def test_a_child_makes_its_own_manager_beside_the_ruins_of_the_parent_s(forking, run, check):
    # As many workers as make any table of waiting threads grow, and all of them parked at the fork.
    source = """
        def fill(manager):
            barrier = threading.Barrier(64)
            done = manager.wait([manager.submit(barrier.wait) for _ in range(64)], 10).done
            return len({job.get() for job in done})
        m = rjobs.JobManager(64, daemon=True)
        assert fill(m) == 64
        def work():
            n = rjobs.JobManager(64, daemon=True)
            for _ in range(3):
                assert fill(n) == 64
                assert [job.get(5) for job in [n.submit(int) for _ in range(500)]] == [0] * 500
            n.shutdown()
        say(*[child(work) for _ in range(4)], fill(m))
    """
    check(run(forking(source)), 0, "0 0 0 0 64\n")


def test_a_fork_beside_jobs_leaves_them_running_in_the_parent_and_lost_in_the_child(forking, run, check):
    source = """
        m = rjobs.JobManager(max_workers=2, daemon=True)
        gate = threading.Event()
        done, failed = m.submit(lambda: "value"), m.submit(int, "x")
        m.wait([done, failed])
        blocked = m.submit(gate.wait)
        started = threading.Event()
        def spin():
            started.set()
            while not gate.is_set(): pass
            return "spun"
        busy = m.submit(spin)
        started.wait(10)
        queued = m.submit(lambda: "queued")
        def work():
            say(done.get(), failed.state, type(failed.exception()).__name__)
            say(blocked.state, busy.state, queued.state, busy.done(), len(m.running), busy.kill(), queued.cancel())
            for job in (busy, queued):
                try: job.get(5)
                except rjobs.JobError as error: say(type(error).__name__, "lost" in str(error))
            try: m.submit(int)
            except rjobs.ManagerClosed as error: say("parent" in str(error))
            say(len(m.all), repr(m)[:11], m.wait(timeout=5).not_done, m.kill_all(), m.shutdown(), m.closed, m.workers)
            m.flush(); say(len(m))
        say(child(work))
        gate.set()
        say(busy.get(10), queued.get(10), blocked.get(10))
    """
    expected = [
        "value failed ValueError",
        "lost lost lost True 0 True False",
        "JobError True",
        "JobError True",
        "True",
    ]
    ending = run(forking(source))
    lines = ending.out.splitlines()
    assert lines[:5] == expected, ending
    assert lines[5].startswith("5 <JobManager [] True None"), ending
    assert lines[-2:] == ["0", "spun queued True"], ending
    check(ending, 0)


def test_a_child_that_ends_like_a_program_keeps_its_code_and_waits_for_nobody(forking, run, check):
    source = """
        m = rjobs.JobManager(daemon=True)
        def spin():
            while True: pass
        m.submit(spin)
        m.options(daemon=False, timeout=1.0).submit(time.sleep, 0.5)
        codes = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                sys.exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        say(*codes)
        sys.exit(3)
    """
    check(run(forking(source)), 3, "7 7 7 7\n")


def test_a_child_that_drops_the_parent_s_manager_is_unharmed(forking, run, check):
    source = """
        m = rjobs.JobManager(8, daemon=True)
        barrier = threading.Barrier(8)
        m.wait([m.submit(barrier.wait) for _ in range(8)])
        def work():
            global m
            del m
            import gc; gc.collect()
        say(*[child(work) for _ in range(20)])
    """
    check(run(forking(source)), 0, " ".join(["0"] * 20) + "\n")


@pytest.mark.parametrize("options", ["", "timeout=60"], ids=["without", "with a timeout"])
def test_a_child_forked_in_a_job_ends_when_the_job_s_function_ends(forking, run, check, options):
    source = f"""
        m = rjobs.JobManager(daemon=True)
        def fork(end):
            pid = os.fork()
            if pid == 0:
                return end()
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        def say_nothing(): pass
        def raises(): raise SystemExit(5)
        def leaves(): os._exit(6)
        for _ in range(10):
            jobs = [m.options({options}).submit(fork, end) for end in (say_nothing, raises, leaves)]
            say(*[job.get(10) for job in jobs])
        say(*sorted({{job.state for job in m}}), m.submit(int).get(5))
    """
    check(run(forking(source)), 0, "0 0 6\n" * 10 + "done 0\n")


def test_a_child_forked_in_a_job_is_no_job(forking, run, check):
    source = """
        m = rjobs.JobManager(daemon=True)
        def work():
            say(rjobs.current_job())
            print("printed by the child", flush=True)
            threading.Thread(target=print, args=("and by its thread",), kwargs={"flush": True}).start()
            n = rjobs.JobManager(daemon=True)
            say(n.submit(lambda: 42).get(5), n.submit(rjobs.current_job).get(5).num)
            try: m.submit(int)
            except rjobs.ManagerClosed: say("closed")
        job = m.submit(child, work)
        say(job.get(20), repr(job.output))
    """
    expected = "None\nprinted by the child\nand by its thread\n42 1\nclosed\n0 ''\n"
    ending = run(forking(source))
    assert sorted(ending.out.splitlines()) == sorted(expected.splitlines()), ending
    check(ending, 0)


def test_forks_in_a_row_have_each_their_own_jobs(forking, run, check):
    source = """
        def nest(depth):
            m = rjobs.JobManager(daemon=True)
            assert m.submit(lambda: depth).get(5) == depth
            if depth < 4:
                code = m.submit(child, lambda: nest(depth + 1)).get(20)
                assert code == 0, (depth, code)
            say(depth)
        nest(0)
    """
    check(run(forking(source)), 0, "4\n3\n2\n1\n0\n")


def test_subprocess_in_and_beside_jobs_works_and_its_signals_are_not_blocked(forking, run, check):
    source = """
        m = rjobs.JobManager(daemon=True)
        def call():
            return subprocess.check_output([sys.executable, "-c", "print('hello')"], text=True).strip()
        def stop():
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
            process.terminate()
            return process.wait(10)
        say(*[job.get(20) for job in [m.submit(call), m.submit(stop)]], call())
    """
    check(run(forking(source)), 0, "hello -15 hello\n")


PROCESSES = """
import multiprocessing, os, sys, time
import rjobs
def target(queue):
    print("printed by the process", flush=True)
    assert rjobs.current_job() is None
    m = rjobs.JobManager(daemon=True)
    queue.put(m.submit(lambda: 42).get(10))
    m.submit(time.sleep, 100)
def work(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=target, args=(queue,))
    process.start()
    got = queue.get(timeout=20)
    process.join(20)
    return got, process.exitcode
def pooled(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(abs, range(-3, 0))
if __name__ == "__main__":
    method = sys.argv[1]
    m = rjobs.JobManager(daemon=True)
    m.submit(time.sleep, 100)
    in_a_job = m.submit(work, method).get(40)
    beside = work(method)
    pool = m.submit(pooled, method).get(40)
    sys.stdout.flush()
    os.write(1, f"{in_a_job} {beside} {pool}\\n".encode())
    sys.exit(3)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_works_in_and_beside_jobs(run_file, check, method):
    ending = run_file(PROCESSES, method)
    lines = sorted(ending.out.splitlines())
    assert lines == ["(42, 0) (42, 0) [3, 2, 1]", "printed by the process", "printed by the process"], ending
    check(ending, 3)


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_forks_at_every_moment_of_the_pool_s_life_hang_no_child(forking, run, check):
    # Workers that park, wake, start and leave, and timers that are set and taken back, while main forks.
    source = """
        sys.setswitchinterval(1e-5)
        m = rjobs.JobManager(16, idle_timeout=0.001, daemon=True)
        enough = False
        def feed():
            while not enough:
                jobs = [m.options(timeout=100).submit(time.sleep, 0.0001) for _ in range(20)]
                m.wait(jobs)
        threads = [threading.Thread(target=feed) for _ in range(2)]
        for thread in threads: thread.start()
        def work():
            repr(m), m.closed, m.workers, m.running, [job.output for job in m][-5:]
            n = rjobs.JobManager(8, daemon=True)
            n.wait([n.options(timeout=50).submit(time.sleep, 0.0001) for _ in range(50)])
            n.shutdown()
        codes = [child(work) for _ in range(300)]
        enough = True
        for thread in threads: thread.join()
        say(sorted(set(codes)))
    """
    check(run(forking(source)), 0, "[0]\n")
