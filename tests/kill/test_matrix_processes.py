"""A kill ends waits for other processes, and the children that are the job's own end with it; and waits for signals."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

SPAWN = multiprocessing.get_context("spawn")


class Child:
    """A command that writes down its process id and sleeps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.command = ["/bin/sh", "-c", f"echo $$ > {path}; exec sleep 1000"]

    def has_begun(self) -> bool:
        return self.path.exists() and self.path.read_text().endswith("\n")

    @property
    def pid(self) -> int:
        return int(self.path.read_text())

    def is_there(self) -> bool:
        """Whether the process exists, if only as a zombie."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
def child(tmp_path):
    child = Child(tmp_path / "pid")
    yield child
    if child.has_begun() and child.is_there():
        os.kill(child.pid, signal.SIGKILL)


OWN = {
    "run": subprocess.run,
    "run that captures": lambda command: subprocess.run(command, capture_output=True, check=False),
    "run with input": lambda command: subprocess.run(command, input=b"x" * 1_000_000, check=False),
    "run with a time limit": lambda command: subprocess.run(command, timeout=1000, check=False),
    "run that captures with a time limit": lambda command: subprocess.run(
        command, timeout=1000, capture_output=True, check=False
    ),
    "call": subprocess.call,
    "check_call": subprocess.check_call,
    "check_output": subprocess.check_output,
}


@pytest.mark.parametrize("run", OWN.values(), ids=OWN)
def test_a_kill_ends_the_call_and_its_child(run, end, child):
    end(lambda: run(child.command), ready=child.has_begun)
    assert not child.is_there()


FOREIGN = {
    "wait": lambda process: process.wait(),
    "wait with a time limit": lambda process: process.wait(1000),
    "communicate": lambda process: process.communicate(),
    "communicate with a time limit": lambda process: process.communicate(timeout=1000),
    "read": lambda process: process.stdout.read(),
    "os.waitpid": lambda process: os.waitpid(process.pid, 0),
    "os.waitid": lambda process: os.waitid(os.P_PID, process.pid, os.WEXITED),
    "os.wait4": lambda process: os.wait4(process.pid, 0),
}


@pytest.mark.parametrize("wait", FOREIGN.values(), ids=FOREIGN)
def test_a_kill_ends_the_wait_for_a_child_that_goes_on(wait, end):
    # Its owner is somebody else: the job only waits for it.
    with subprocess.Popen(["sleep", "1000"], stdout=subprocess.PIPE) as process:
        end(lambda: wait(process))
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
        assert process.returncode == -signal.SIGTERM


def ignored_signals() -> str:
    status = Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("SigIgn"))


def test_a_kill_ends_os_system_and_the_signals_are_as_before(end, child):
    before = ignored_signals()
    end(lambda: os.system(f"echo $$ > {child.path}; exec sleep 1000"), ready=child.has_begun)
    assert ignored_signals() == before
    # The C library's call cannot be told to end its child: that is the job's own, and goes on.
    assert os.system("exit 3") >> 8 == 3


def test_a_kill_ends_os_popen(end, child):
    def read():
        file = os.popen(f"echo $$ > {child.path}; exec sleep 1000")
        try:
            return file.read()
        finally:
            os.kill(child.pid, signal.SIGKILL)
            file.close()

    end(read, ready=child.has_begun)
    assert not child.is_there()


def queue_get():
    items = SPAWN.Queue()
    yield items.get
    items.put(3)
    assert items.get(timeout=10) == 3
    items.close()
    items.join_thread()


def queue_get_with_a_limit():
    items = SPAWN.Queue()
    yield lambda: items.get(timeout=1000)
    items.put(3)
    assert items.get(timeout=10) == 3
    items.close()
    items.join_thread()


def queue_put():
    items = SPAWN.Queue(1)
    items.put("first")
    yield lambda: items.put("killed")
    assert items.get(timeout=10) == "first"
    items.put("second", timeout=10)
    assert items.get(timeout=10) == "second"
    items.close()
    items.join_thread()


def simple_queue():
    items = SPAWN.SimpleQueue()
    yield items.get
    items.put(3)
    assert items.get() == 3
    items.close()


def connection():
    ours, theirs = SPAWN.Pipe()
    with ours, theirs:
        yield ours.recv
        theirs.send(3)
        assert ours.recv() == 3


def lock(kind, *arguments):
    def scene():
        lock = kind()
        lock.acquire()
        if arguments == ("with",):
            yield lock.__enter__
        else:
            yield lambda: lock.acquire(*arguments)
        assert not lock.acquire(False)
        lock.release()
        assert lock.acquire(timeout=5)
        lock.release()

    return scene


def event():
    event = SPAWN.Event()
    yield event.wait
    event.set()
    assert event.wait(5)


SCENES = {
    "Queue.get": queue_get,
    "Queue.get with a time limit": queue_get_with_a_limit,
    "Queue.put": queue_put,
    "SimpleQueue.get": simple_queue,
    "Connection.recv": connection,
    "Lock.acquire": lock(SPAWN.Lock),
    "Lock.acquire with a time limit": lock(SPAWN.Lock, True, 1000),
    "with Lock": lock(SPAWN.Lock, "with"),
    "Semaphore.acquire": lock(SPAWN.Semaphore),
    "Event.wait": event,
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_kill_ends_waits_of_multiprocessing(scene, end):
    with contextmanager(scene)() as call:
        end(call)


def test_a_kill_ends_the_wait_for_a_process_and_for_a_pool_and_both_go_on(end):
    with SPAWN.Pool(2) as pool:
        end(lambda: pool.apply(time.sleep, (1000,)))
        assert pool.apply_async(int, ("3",)).get(30) == 3
        end(lambda: pool.map(time.sleep, [1000]))
    process = SPAWN.Process(target=time.sleep, args=(1000,))
    process.start()
    end(process.join)
    end(lambda: process.join(1000))
    assert process.is_alive()
    process.kill()
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
    process.close()


def test_a_kill_ends_a_pool_of_the_job_s_own(end):
    children = []

    def work():
        with SPAWN.Pool(1) as pool:
            children.extend(process.pid for process in pool._pool)
            try:
                return pool.apply(time.sleep, (1000,))
            finally:
                pool.terminate()
                pool.join()

    end(work, ready=lambda: children, is_stubborn=True)
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


WAITS = {
    "sigwait": lambda: signal.sigwait([signal.SIGUSR2]),
    "sigwaitinfo": lambda: signal.sigwaitinfo([signal.SIGUSR2]),
    "sigtimedwait": lambda: signal.sigtimedwait([signal.SIGUSR2], 1000),
    "pause": signal.pause,
}


@pytest.mark.skipif(sys.platform != "linux", reason="not all systems have them")
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_kill_ends_waits_for_signals(wait, end):
    handlers = signal.getsignal(signal.SIGUSR2), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    end(wait)
    assert (signal.getsignal(signal.SIGUSR2), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == handlers
