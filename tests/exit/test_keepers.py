"""Jobs with `daemon=False` are waited for at the end of the program; all others are ended, and their clean-up runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

FRAME = """
import atexit, os, sys, threading, time
import rjobs
def say(*words):
    # Not print: in a job that is the job's output.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
m = rjobs.JobManager(daemon=True)
started = threading.Event()
def endless():
    started.set()
    while True:
        sum(range(100))
"""


def program(source: str) -> str:
    return FRAME + textwrap.dedent(source)


def test_a_job_that_is_no_daemon_is_waited_for(run, check):
    source = """
        def work():
            time.sleep(0.3)
            say("worked")
        m.options(daemon=False).submit(work)
        say("main is over")
        sys.exit(3)
    """
    check(run(program(source)), 3, "main is over\nworked\n")


def test_one_that_a_daemon_keeps_in_the_queue_still_runs(run, check):
    source = """
        m = rjobs.JobManager(max_workers=1, daemon=True)
        m.submit(endless)
        m.options(daemon=False).submit(say, "kept")
        m.submit(say, "never")
        assert started.wait(10)
        sys.exit(3)
    """
    check(run(program(source)), 3, "kept\n")


def test_those_that_it_starts_in_its_turn_are_waited_for(run, check):
    source = """
        def work(left):
            time.sleep(0.05)
            say(left)
            if left:
                m.options(daemon=False).submit(work, left - 1)
        m.options(daemon=False).submit(work, 3)
    """
    check(run(program(source)), 0, "3\n2\n1\n0\n")


def test_it_may_fail_and_be_killed_and_run_out_of_time(run, check):
    source = """
        keep = m.options(daemon=False)
        keep.submit(int, "x")
        keep.options(timeout=0.1).submit(endless)
        killed = keep.submit(endless)
        killed.kill()
        atexit.register(lambda: say(*[job.state for job in m]))
    """
    check(run(program(source)), 0, "failed timed_out killed\n")


def test_ctrl_c_ends_the_waiting_and_the_program(check):
    source = program("""
        def work():
            say("at work")
            time.sleep(1000)
        m.options(daemon=False).submit(work)
        m.submit(endless)
        sys.exit(3)
    """)
    running = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert running.stdout.readline() == b"at work\n"
        # Into the waiting, as far as that can be told from outside.
        time.sleep(0.2)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _out, err = running.communicate(timeout=20)
    finally:
        running.kill()
    assert time.monotonic() - began < 5
    # Python shows the KeyboardInterrupt that came at the end, and nothing was aborted.
    assert running.returncode >= 0 or running.returncode == -signal.SIGINT
    assert b"FATAL" not in err


def test_the_finally_blocks_of_what_is_ended_run(run, check):
    source = """
        def work():
            try:
                with threading.Lock():
                    endless()
            except BaseException as error:
                say(type(error).__name__)
                raise
            finally:
                time.sleep(0.1)
                say("tidied up")
        job = m.submit(work)
        job.add_done_callback(lambda job: say("called back:", job.state))
        assert started.wait(10)
        atexit.register(lambda: say("then", job.state))
        sys.exit(3)
    """
    check(run(program(source)), 3, "JobKilled\ntidied up\ncalled back: killed\nthen killed\n")


def test_what_is_queued_is_cancelled_and_never_starts(run, check):
    source = """
        m = rjobs.JobManager(max_workers=1, daemon=True)
        first = m.submit(endless)
        rest = [m.submit(say, "never") for _ in range(3)]
        assert started.wait(10)
        atexit.register(lambda: say(first.state, *[job.state for job in rest]))
    """
    check(run(program(source)), 0, "killed cancelled cancelled cancelled\n")


def test_a_manager_that_is_used_by_an_atexit_function_answers_or_refuses(run, check):
    source = """
        def tried(manager):
            # It may be too late to start a thread (from 3.12 on it is), but then it says so.
            try:
                return manager.submit(lambda: 5).get(2) == 5
            except (rjobs.ManagerClosed, RuntimeError):
                return True
        atexit.register(lambda: say(tried(m), tried(rjobs.JobManager(daemon=True))))
        m.submit(endless)
        sys.exit(3)
    """
    check(run(program(source)), 3, "True True\n")


def test_a_manager_that_is_first_made_at_exit_hangs_nothing(run, check):
    source = """
        del m
        def late():
            try:
                rjobs.JobManager(daemon=True).submit(endless)
            except RuntimeError:
                pass
            say("late")
        atexit.register(late)
        sys.exit(3)
    """
    check(run(program(source)), 3, "late\n")


def test_the_program_s_own_threads_are_joined_as_ever(run, check):
    source = """
        def work():
            time.sleep(0.3)
            say("thread is over")
        m.submit(endless)
        threading.Thread(target=work).start()
        sys.exit(3)
    """
    check(run(program(source)), 3, "thread is over\n")


def test_a_stream_that_stood_for_stdout_is_written_out(run, check, tmp_path):
    source = f"""
        path = {str(tmp_path / "out.txt")!r}
        sys.stdout = open(path, "w")
        m.submit(int).get()
        print("hello")
        sys.stdout = sys.__stdout__
    """
    check(run(program(source)), 0, "")
    assert (tmp_path / "out.txt").read_text() == "hello\n"


def test_what_main_printed_and_did_not_flush_comes_out(run, check):
    source = """
        for _ in range(3):
            m.submit(endless)
        assert started.wait(10)
        print("x" * 5000)
        sys.exit(3)
    """
    check(run(program(source)), 3, "x" * 5000 + "\n")


def test_developer_mode_has_nothing_to_add(run, check):
    source = """
        m.submit(int).get()
        m.new("1 + 1").get()
        async def nap():
            import asyncio
            await asyncio.sleep(1000)
        m.submit(nap)
        # Last: without the GIL an import beside a busy thread takes seconds where all processors are taken.
        m.options(timeout=1000).submit(endless)
        assert started.wait(10)
        sys.exit(3)
    """
    check(run(program(source), "-X", "dev", "-W", "error"), 3, "")


def test_a_daemon_thread_that_waits_for_a_job_is_left_alone(run, check):
    source = """
        job = m.submit(time.sleep, 1000)
        for wait in (job.get, job.join, m.wait, lambda: next(m.as_completed([job])), lambda: next(job.follow())):
            threading.Thread(target=wait, daemon=True).start()
        time.sleep(0.1)
        sys.exit(3)
    """
    check(run(program(source)), 3, "")
