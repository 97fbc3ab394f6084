"""What a child of a fork inherits of threads that are not in it: their locks, what they were about to make or undo."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

LIVES = """
def lives():
    # All kinds of jobs run here, are killed while they wait, and a manager comes to its end.
    n = rjobs.JobManager()
    assert n.submit(asyncio.sleep, 0.01, "slept").get(5) == "slept"
    assert n.submit(pow, 2, 3).get(5) == 8
    assert n.map(abs, [-1, -2]).results(5) == [1, 2]
    started = threading.Event()
    def waits():
        started.set()
        threading.Event().wait()
    job = n.submit(waits)
    assert started.wait(5) and job.kill(5)
    n.shutdown()
"""


def test_a_child_forked_while_others_make_do_and_kill_lives(forking, run, check):
    # Threads of the parent are at the first use of things (each program has one), at kills, and hold locks.
    source = """
        sys.setswitchinterval(1e-5)
        m = rjobs.JobManager()
        is_over = threading.Event()
        def stir():
            while not is_over.is_set():
                m.submit(asyncio.sleep, 0).get()
                job = m.submit(threading.Event().wait)
                while job.state == "queued": pass
                job.kill(5)
                m.map(abs, [-1] * 10).results(5)
        threads = [threading.Thread(target=stir) for _ in range(2)]
        for thread in threads: thread.start()
        codes = [child(lives) for _ in range(12)]
        is_over.set()
        for thread in threads: thread.join()
        say(*sorted(set(codes)))
        m.shutdown()
    """
    check(run(forking(source, LIVES)), 0, "0\n")


def test_a_child_forked_on_the_thread_of_the_timers_waits_for_its_jobs(forking, run, check):
    # A callback of a job whose time in the queue is over runs there. In the child that is the main thread.
    source = """
        m = rjobs.JobManager(1)
        gate = threading.Event()
        m.submit(gate.wait)
        def work():
            n = rjobs.JobManager()
            job = n.submit(time.sleep, 0.3)
            n.shutdown()
            say(job.state, n.workers)
        late = m.options(ttl=0.05).submit(int)
        codes, is_told = [], threading.Event()
        def forks(job):
            codes.append(child(work))
            is_told.set()
        late.add_done_callback(forks)
        assert is_told.wait(10)
        say(*codes)
        gate.set()
    """
    check(run(forking(source, LIVES)), 0, "done 0\n0\n")


def test_a_child_forked_while_a_thread_is_started_has_threads_of_the_program_s_own_size(forking, run, check):
    # Workers have larger stacks: the size is set while one is started, and set back by who starts it.
    source = """
        m = rjobs.JobManager()
        ours = threading.stack_size()
        def first(frame, event, arg):
            # On the new thread, which who starts it waits for.
            threading.settrace(None); sys.settrace(None)
            codes.append(child(lambda: say(threading.stack_size() == ours)))
        codes = []
        threading.settrace(first)
        m.submit(int).get(5)
        say(*codes)
    """
    check(run(forking(source, LIVES)), 0, "True\n0\n")


def test_a_child_asks_the_parent_s_jobs_for_nothing_that_it_is_to_do_itself(forking, run, check):
    pytest.importorskip("fasteners")
    source = """
        import tempfile
        path = os.path.join(tempfile.mkdtemp(), "lock")
        m = rjobs.JobManager()
        gate, is_inside, cache = threading.Event(), threading.Event(), {}
        def inside(*args):
            is_inside.set()
            gate.wait()
        at_work = m.options(lock=path, cache=cache).submit(inside, 1)
        assert is_inside.wait(5)
        def work():
            # The same call, which the parent's job will answer there alone; and the lock file, which it holds.
            n = rjobs.JobManager()
            gate.set()
            say(n.options(cache=cache).submit(inside, 1).get(5))
            os.remove(path)
            say(n.options(lock=path).submit(pow, 2, 3).get(5))
        say(child(work))
        gate.set()
        say(at_work.get(5))
    """
    check(run(forking(source, LIVES)), 0, "None\n8\n0\nNone\n")
