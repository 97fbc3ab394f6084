"""How external commands are ended: killed, stopped, out of time, by shutdown, with the program, beside a fork."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import rjobs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these commands are for a Unix shell")
# Two processes in the background and one in front; all of their ids are written before it waits.
FAMILY = "sleep 1000 & echo $!; (sleep 1000 & echo $!; wait) & echo $!; echo $$; wait"
# A program that takes its time to end when it is asked to. No shell: it would tell of the end of its children.
LISTENING = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('up', flush=True)
signal.sigwait([signal.SIGTERM])
time.sleep(0.1)
print('cleaned')
sys.exit(5)
"""
LISTENER = [sys.executable, "-c", LISTENING]


def lines_of(job, count):
    """The first lines that a job writes; they may come in pieces."""
    text = ""
    for piece in job.follow():
        text += piece
        if text.count("\n") >= count:
            return text.splitlines()
    raise AssertionError(text)


def pids_of(job, count):
    """The ids that a job has written."""
    return [int(line) for line in lines_of(job, count)]


def test_a_kill_ends_it_and_all_that_it_started(manager, has_ended):
    job = manager.shell(FAMILY)
    pids = pids_of(job, 4)
    assert job.pid in pids
    began = time.monotonic()
    assert job.kill()
    assert time.monotonic() - began < 0.4  # nobody needed the half second
    assert job.state == "killed"
    assert [has_ended(pid) for pid in pids] == [True] * 4
    with pytest.raises(rjobs.JobKilled, match="was killed"):
        job.get()
    assert job.result == "<BackgroundJob died, call jobs.traceback() for details>"
    assert not job.kill_pending


def test_who_ignores_sigterm_is_ended_after_half_a_second(manager, has_ended):
    job = manager.shell("trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 1000; done")
    pids = pids_of(job, 2)
    assert not job.kill(timeout=0)
    assert (job.state, job.kill_pending, job.in_native_code) == ("running", True, False)
    began = time.monotonic()
    assert job.kill()
    assert 0.3 < time.monotonic() - began < 3
    assert job.state == "killed"
    assert [has_ended(pid) for pid in pids] == [True] * 2


def test_who_listens_to_sigterm_may_clean_up(manager, tmp_path):
    job = manager.shell(LISTENER)
    assert lines_of(job, 1) == ["up"]
    assert job.kill()
    assert (job.state, job.output) == ("killed", "up\ncleaned\n")
    # A child as well, whose parent has gone already.
    job = manager.shell(f"{shlex.join(LISTENER)} & wait")
    assert lines_of(job, 1) == ["up"]
    assert job.kill()
    assert job.output == "up\ncleaned\n"


def test_a_kill_may_name_what_get_raises(manager):
    job = manager.shell("sleep 1000")
    with pytest.raises(TypeError, match="exception class"):
        job.kill(exc=int)
    assert job.state == "running"
    assert job.kill(exc=SystemError)
    assert job.state == "killed"
    with pytest.raises(SystemError):
        job.get()
    assert manager.shell("sleep 1000").kill(timeout=None)


def test_a_kill_that_comes_too_late_hits_nobody(manager):
    job = manager.shell("true")
    job.get(10)
    assert job.kill()
    assert job.state == "done"


def test_a_stop_asks_and_what_ends_by_itself_is_done(manager):
    job = manager.shell(LISTENER)
    assert lines_of(job, 1) == ["up"]
    assert job.stop()
    assert (job.state, job.get().returncode, job.output) == ("done", 5, "up\ncleaned\n")
    job = manager.shell("sleep 1000")
    assert job.stop()
    assert (job.state, job.stop_requested) == ("killed", True)
    with pytest.raises(rjobs.JobKilled, match="asked to stop"):
        job.get()


def test_a_stop_gives_as_much_grace_as_it_says(manager):
    job = manager.shell("trap '' TERM; echo up; while :; do sleep 0.01; done")
    assert lines_of(job, 1) == ["up"]
    began = time.monotonic()
    assert job.stop(grace=0.8)
    assert 0.8 <= time.monotonic() - began < 3
    assert job.state == "killed"


def test_one_that_runs_too_long_is_ended_with_all_that_it_started(manager, has_ended):
    job = manager.shell(FAMILY, timeout=0.5)
    pids = pids_of(job, 4)
    with pytest.raises(rjobs.JobTimeout, match=r"timeout of 0\.5 s"):
        job.get(10)
    assert job.state == "timed_out"
    assert [has_ended(pid) for pid in pids] == [True] * 4
    assert manager.shell("echo quick", timeout=60).get(10).stdout == "quick\n"
    assert manager.shell("true", timeout=1e300).get(10).returncode == 0


def test_kills_that_race_with_the_end_leave_one_outcome(manager):
    for _ in range(100):
        job = manager.shell(["true"])
        killer = threading.Thread(target=job.kill)
        killer.start()
        job.join(10)
        killer.join()
        assert job.state in ("done", "killed")


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_a_thousand_at_once_need_no_thread_each_and_leave_nothing(manager):
    def counts():
        return len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))

    manager.shell("true").get(10)
    before, children_before = counts(), children()
    jobs = [manager.shell(["sleep", "1000"]) for _ in range(1000)]
    running = sum(job.state == "running" for job in jobs)
    assert running == min(1000, most_at_once())
    assert counts()[0] <= before[0] + 2
    assert threading.active_count() <= before[0]
    pids = [job.pid for job in jobs if job.pid]
    assert len(set(pids)) == running
    assert manager.kill_all(30)
    assert {job.state for job in jobs} == {"killed"}
    assert counts() == before
    assert set(children()) <= set(children_before)
    jobs = [manager.shell("echo $((6 * 7))") for _ in range(1000)]
    assert {job.get(60).stdout for job in jobs} == {"42\n"}
    assert counts() == before
    assert set(children()) <= set(children_before)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def most_at_once():
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4


def children():
    """The ids of this process's children, zombies among them."""
    return [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def test_beyond_what_descriptors_allow_they_wait_for_their_turn(python):
    source = """
        import resource, rjobs
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        m = rjobs.JobManager(daemon=True)
        before = [m.shell("sleep 1000") for _ in range(50)]
        late = m.shell("sleep 1000")
        gone = m.shell("echo never")
        print(late.state, late.pid, gone.cancel(), gone.state)
        for job in before:
            job.kill(0)
        jobs = [m.shell("read line; echo $$; sleep 0.01") for _ in range(200)]
        print(len({job.get(30).stdout for job in jobs}))
        while late.state == "queued": m.shell("true").get(10)
        print(late.state, late.kill(), late.state, gone.output == "")
        jobs = [m.shell("sleep 1000") for _ in range(50)]
        print(sorted({job.state for job in jobs}), m.kill_all(), {job.state for job in jobs})
        m.shutdown()
    """
    lines = python(textwrap.dedent(source)).stdout.splitlines()
    assert lines == [
        "queued None True cancelled",
        "200",
        "running True killed True",
        "['queued', 'running'] True {'killed'}",
    ]


def test_without_work_its_threads_use_no_processor(manager):
    job = manager.shell("echo up; sleep 1000")
    next(job.follow())
    before = time.process_time()
    threading.Event().wait(0.5)  # nothing is to happen in this time
    assert time.process_time() - before < 0.05


def test_shutdown_waits_for_commands(manager, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = manager.shell(f"read line < {gate}; echo $line")
    threading.Timer(0.1, gate.write_text, ["go\n"]).start()
    manager.shutdown(wait=True)
    assert job.get(0).stdout == "go\n"
    other = rjobs.JobManager()
    job = other.shell("sleep 1000")
    other.shutdown(wait=True, kill=True)
    assert job.state == "killed"


def test_a_finished_command_is_freed_like_any_job(manager):
    import weakref

    jobs = [manager.shell("true"), manager.shell("sleep 1000")]
    jobs[0].get(10)
    jobs[1].kill()
    gone = threading.Semaphore(0)
    watches = [weakref.finalize(job, gone.release) for job in jobs]
    jobs.clear()
    manager._snapshot(0)
    for number in (0, 1):
        manager.remove(number)
    gc.collect()
    manager.shell("true").get(10)
    assert gone.acquire(timeout=10)
    assert gone.acquire(timeout=10)
    assert not any(watch.alive for watch in watches)


def test_an_exit_code_that_somebody_else_took_is_an_error(python):
    source = """
        import signal, rjobs
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        job = rjobs.JobManager().shell("echo text; exit 3")
        job.join(10)
        print(job.state, repr(job.exception())[:8], "SIGCHLD" in str(job.exception()), job.output.strip())
    """
    assert python(textwrap.dedent(source)).stdout == "failed JobError True text\n"


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "raise SystemExit"])
def test_the_end_of_the_program_ends_them_promptly_and_silently(python, has_ended, ending):
    source = f"""
        import sys, rjobs
        m = rjobs.JobManager(daemon=True)
        def pids(job, count):
            text = ""
            for piece in job.follow():
                text += piece
                if text.count("\\n") == count: return text
        print(pids(m.shell({FAMILY!r}), 4), end="")
        print(pids(m.shell("trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 1000; done"), 2), end="")
        more = [m.shell("sleep 1000") for _ in range(50)]
        sys.stdout.flush()
        {ending}
    """
    began = time.monotonic()
    run = python(textwrap.dedent(source))
    assert time.monotonic() - began < 5
    assert run.stderr == ""
    pids = [int(line) for line in run.stdout.splitlines()]
    assert len(pids) == 6
    assert [has_ended(pid) for pid in pids] == [True] * 6


def test_the_end_of_the_program_waits_for_those_that_are_no_daemons(python):
    source = """
        import rjobs
        m = rjobs.JobManager(daemon=True)
        m.shell("sleep 1000")
        job = m.shell("sleep 0.3; echo text", daemon=False)
        job.add_done_callback(lambda job: print(job.state, job.get().stdout, end=""))
    """
    run = python(textwrap.dedent(source))
    assert (run.stdout, run.stderr) == ("done text\n", "")


def test_the_end_of_the_program_amid_many_ends_is_silent(python):
    source = """
        import rjobs
        m = rjobs.JobManager(daemon=True)
        for _ in range(200): m.shell("true").add_done_callback(lambda job: None)
    """
    for _ in range(3):
        run = python(textwrap.dedent(source))
        assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_leaves_the_parent_s_commands_alone_and_runs_its_own(python):
    source = """
        import os, sys, signal, rjobs
        m = rjobs.JobManager(daemon=True)
        jobs = [m.shell("sleep 1000") for _ in range(5)]
        done = m.shell("echo parent"); done.get()
        for how in ("os._exit", "sys.exit"):
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                n = rjobs.JobManager(daemon=True)
                assert [job.state for job in jobs] == ["lost"] * 5
                assert done.get().stdout == "parent\\n"
                assert jobs[0].kill() and jobs[0].state == "lost" and not jobs[0].cancel()
                m.kill_all()
                try: m.shell("true")
                except rjobs.ManagerClosed: pass
                else: os._exit(3)
                assert {n.shell("echo child").get(10).stdout for _ in range(20)} == {"child\\n"}
                own = n.shell("sleep 1000")
                assert own.kill() and own.state == "killed"
                if how == "os._exit": os._exit(0)
                n.shell("sleep 1000")
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        assert [job.state for job in jobs] == ["running"] * 5
        assert m.shell("echo still").get(10).stdout == "still\\n"
        assert m.kill_all() and {job.state for job in jobs} == {"killed"}
    """
    run = python(textwrap.dedent(source), "-W", "ignore::DeprecationWarning")
    assert run.stderr == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_callback_that_forks_ends_there_in_the_child(python, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = f"""
        import os, signal, rjobs
        m = rjobs.JobManager(daemon=True)
        pids = []
        def fork(job):
            pid = os.fork()
            if pid == 0: signal.alarm(20)
            else: pids.append(pid)
        def say(job): os.write(1, b"x")
        jobs = [m.shell("true") for _ in range(20)]
        job = m.shell("read line < {gate}")
        for callback in (fork, say): job.add_done_callback(callback)
        open({str(gate)!r}, "w").close()
        for job in jobs: job.add_done_callback(say)
        m.shutdown()
        print(os.waitpid(pids[0], 0)[1])
    """
    run = python(textwrap.dedent(source), "-W", "ignore::DeprecationWarning")
    # Each once, and once more what was to be called after the fork, in the child.
    assert (run.stdout, run.stderr) == ("x" * 22 + "0\n", "")


def test_a_process_that_is_stopped_is_ended_too(manager):
    job = manager.shell("echo up; sleep 1000")
    next(job.follow())
    os.kill(job.pid, signal.SIGSTOP)
    assert job.kill()
    assert job.state == "killed"
