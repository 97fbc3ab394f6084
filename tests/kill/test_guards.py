"""The guards: which are in force here, and that nothing but a kill can tell they are there."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import queue
import select
import signal
import socket
import sys
import threading
import time

import pytest

from rjobs import _rjobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have a part of the guards")

EXPECTED = """
_thread.LockType.acquire _thread.LockType.__enter__ _thread.LockType.release _thread.LockType.__exit__
_thread.RLock.acquire _thread.RLock.__enter__ _thread.RLock.release _thread.RLock.__exit__
_multiprocessing.SemLock.acquire _multiprocessing.SemLock.__enter__
time.sleep _queue.SimpleQueue.get _io.FileIO.__init__ _io.FileIO.read
_io.FileIO.readall _io.FileIO.readinto _io.FileIO.write
_socket.getaddrinfo _socket.socket._accept _socket.socket.connect _socket.socket.recv _socket.socket.recv_into
_socket.socket.recvfrom _socket.socket.recvmsg _socket.socket.send _socket.socket.sendall _socket.socket.sendto
_ssl._SSLSocket.read _ssl._SSLSocket.write _ssl._SSLSocket.do_handshake _ssl._SSLSocket.shutdown
posix.read posix.write posix.open posix.wait posix.waitpid posix.wait4 posix.waitid posix.system posix.lockf
select.select select.epoll.poll select.poll().poll fcntl.flock fcntl.lockf fcntl.fcntl fcntl.ioctl
_signal.pause _signal.sigwait _signal.sigwaitinfo _signal.sigtimedwait
""".split()  # noqa: SIM905 - a list would be a page long


@pytest.fixture(autouse=True)
def guards(manager):
    """In force, as after the first job; and again afterwards."""
    manager.submit(int).get(10)
    _rjobs._set_guards(True)
    yield
    _rjobs._set_guards(True)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_guard_is_in_force_on_this_interpreter(name):
    assert name in _rjobs._guards()


def test_joining_a_thread_is_guarded_where_it_has_a_function_of_its_own():
    assert ("_thread._ThreadHandle.join" in _rjobs._guards()) == (sys.version_info >= (3, 13))


def test_taking_the_guards_out_and_putting_them_in_force_again(manager):
    names = sorted(_rjobs._guards())
    for _ in range(20):
        _rjobs._set_guards(False)
        assert _rjobs._guards() == []
        _rjobs._set_guards(True)
        assert sorted(_rjobs._guards()) == names
        _rjobs._set_guards(True)
        assert sorted(_rjobs._guards()) == names
    job = manager.submit(threading.Event().wait)
    time.sleep(0.05)
    assert job.kill(20)


def test_calls_work_the_same_while_the_guards_come_and_go(manager):
    lock, go = threading.Lock(), threading.Event()

    def work():
        count = 0
        while not go.is_set():
            with lock:
                count += 1
            time.sleep(0)
        return count

    jobs = [manager.submit(work) for _ in range(2)]
    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(200):
        _rjobs._set_guards(False)
        time.sleep(0.0005)
        _rjobs._set_guards(True)
    go.set()
    thread.join(10)
    assert all(job.get(10) for job in jobs)
    assert not lock.locked()


def locked(kind=threading.Lock):
    lock = kind()
    lock.acquire()
    return lock


SPAWN = multiprocessing.get_context("spawn")
CALLS = {
    "acquire of a negative time": lambda: locked().acquire(timeout=-2),
    "acquire of no time, not blocking": lambda: locked().acquire(False, 1),
    "acquire of None": lambda: locked().acquire(blocking=1, timeout=None),
    "acquire of text": lambda: locked().acquire(timeout="x"),
    "acquire of text as blocking": lambda: locked().acquire("x", 0.01),
    "acquire of too long": lambda: locked().acquire(timeout=1e100),
    "acquire of no number": lambda: locked().acquire(timeout=float("nan")),
    "acquire of an unknown word": lambda: locked().acquire(blocked=True),
    "acquire of a word twice": lambda: locked().acquire(True, blocking=True),
    "acquire of 0": lambda: locked().acquire(0),
    "acquire of 2": lambda: threading.Lock().acquire(2),
    "acquire of time 0": lambda: locked().acquire(timeout=0),
    "acquire of time -1": lambda: threading.Lock().acquire(timeout=-1),
    "acquire of a number of another class": lambda: locked().acquire(timeout=True),
    "RLock acquire of a negative time": lambda: threading.RLock().acquire(timeout=-2),
    "RLock acquire of text": lambda: threading.RLock().acquire("x"),
    "RLock acquire of an unknown word": lambda: threading.RLock().acquire(block=True),
    "RLock release of nothing": lambda: threading.RLock().release(),
    "release of nothing": lambda: threading.Lock().release(),
    "exit of nothing": lambda: threading.Lock().__exit__(None, None, None),
    "exit with nothing": lambda: locked().__exit__(),
    "enter with something": lambda: threading.Lock().__enter__(1),
    "SemLock acquire of a negative time": lambda: locked(SPAWN.Lock).acquire(timeout=-2),
    "SemLock acquire of text": lambda: locked(SPAWN.Lock).acquire(timeout="x"),
    "SemLock acquire not blocking": lambda: locked(SPAWN.Lock).acquire(False, 1),
    "SemLock acquire of time -1": lambda: locked(SPAWN.Lock).acquire(True, -1),
    "sleep of text": lambda: time.sleep("x"),
    "sleep of a negative time": lambda: time.sleep(-1),
    "sleep of no number": lambda: time.sleep(float("nan")),
    "sleep of infinity": lambda: time.sleep(float("inf")),
    "sleep of nothing": lambda: time.sleep(),  # noqa: PLW0108
    "sleep of None": lambda: time.sleep(None),
    "sleep of a word": lambda: time.sleep(seconds=1),
    "sleep of too long": lambda: time.sleep(1e100),
    "sleep of a huge integer": lambda: time.sleep(10**30),
    "sleep of 0": lambda: time.sleep(0),
    "sleep of -0.0": lambda: time.sleep(-0.0),
    "sleep of True": lambda: time.sleep(True),
    "get of a negative time": lambda: queue.SimpleQueue().get(timeout=-1),
    "get of no number": lambda: queue.SimpleQueue().get(timeout=float("nan")),
    "get of text": lambda: queue.SimpleQueue().get(timeout="x"),
    "get of too long": lambda: queue.SimpleQueue().get(timeout=1e100),
    "get of too much": lambda: queue.SimpleQueue().get(True, 1, 2),
    "get of an unknown word": lambda: queue.SimpleQueue().get(blocking=True),
    "get not blocking": lambda: queue.SimpleQueue().get(False),
    "get not blocking, of a negative time": lambda: queue.SimpleQueue().get(False, -1),
    "get of time 0": lambda: queue.SimpleQueue().get(timeout=0),
    "join of itself": lambda: threading.current_thread().join(),
    "open of a file that is not there": lambda: open("/nowhere/at/all"),  # noqa: PTH123, SIM115
    "open of a negative file": lambda: open(-1),  # noqa: PTH123, SIM115
    "read of no file": lambda: os.read(-1, 1),
    "recv of a negative size": lambda: socket.socket().recv(-1),
    "select of nothing": lambda: select.select([], [], [], 0),
    "select of a negative time": lambda: select.select([], [], [], -1),
    "waitpid of nobody": lambda: os.waitpid(2**22 + 1, 0),
}


def outcome(call):
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_gives_the_same_with_and_without_guards_and_in_a_job(call, manager):
    with_guards = outcome(call)
    in_job = manager.submit(outcome, call).get(20)
    _rjobs._set_guards(False)
    without = outcome(call)
    assert with_guards == without
    assert in_job == without


def test_acquire_of_too_much_gives_the_same(manager):
    with_guards = outcome(lambda: threading.Lock().acquire(True, 1, 2))
    _rjobs._set_guards(False)
    assert outcome(lambda: threading.Lock().acquire(True, 1, 2)) == with_guards


def test_acquire_of_an_integer_past_all_counting_gives_the_same_in_a_job(manager):
    lock, other = threading.Lock(), threading.Lock()
    expected = outcome(lambda: other.acquire(10**30))
    assert manager.submit(outcome, lambda: lock.acquire(10**30)).get(20) == expected
    assert lock.locked() == other.locked()


def test_get_of_an_argument_twice_gives_the_same_in_a_job(manager):
    expected = outcome(lambda: queue.SimpleQueue().get(False, block=False))
    assert expected.startswith("TypeError")
    assert manager.submit(outcome, lambda: queue.SimpleQueue().get(False, block=True)).get(3) == expected


def test_signatures_and_names_are_the_same():
    functions = [threading.Lock().acquire, threading.RLock().acquire, time.sleep, queue.SimpleQueue().get, os.read]
    functions += [os.waitpid, select.select, socket.socket.recv, signal.sigwait]

    def look():
        texts = []
        for function in functions:
            try:
                signature = str(inspect.signature(function))
            except ValueError:
                signature = None
            texts.append((function.__name__, function.__doc__, signature))
        return texts

    with_guards = look()
    _rjobs._set_guards(False)
    assert look() == with_guards


def test_time_limits_in_jobs_are_kept(manager):
    def empty(get):
        try:
            get()
        except queue.Empty:
            return "empty"

    waits = {
        "lock": (lambda: locked().acquire(timeout=0.2), False),
        "semaphore of processes": (lambda: locked(SPAWN.Lock).acquire(timeout=0.2), False),
        "event": (lambda: threading.Event().wait(0.2), False),
        "simple queue": (lambda: empty(lambda: queue.SimpleQueue().get(timeout=0.2)), "empty"),
        "queue": (lambda: empty(lambda: queue.Queue().get(timeout=0.2)), "empty"),
        "join": (lambda: threading.main_thread().join(0.2), None),
        "sleep": (lambda: time.sleep(0.2), None),
        "select": (lambda: select.select([], [], [], 0.2)[0], []),
    }

    def measure(call):
        began = time.monotonic()
        result = call()
        return result, time.monotonic() - began

    jobs = {name: (manager.submit(measure, call), expected) for name, (call, expected) in waits.items()}
    for name, (job, expected) in jobs.items():
        result, took = job.get(20)
        assert (name, result) == (name, expected)
        assert 0.199 < took < 10, name


def test_locks_and_queues_in_jobs_hand_over(manager):
    lock, items = locked(), queue.SimpleQueue()
    acquired, got = manager.submit(lock.acquire, timeout=20), manager.submit(items.get)
    time.sleep(0.05)
    lock.release()
    items.put("x")
    assert (acquired.get(10), got.get(10)) == (True, "x")
    assert lock.locked()


def test_handlers_in_main_run_and_its_sleep_goes_on(manager):
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(threading.current_thread()))
    job = manager.submit(time.sleep, 1000)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        began = time.monotonic()
        time.sleep(0.3)
        assert time.monotonic() - began > 0.299
    finally:
        signal.signal(signal.SIGALRM, before)
    assert handled == [threading.main_thread()]
    assert job.state == "running"
    assert job.kill(20)


def test_threads_that_are_no_jobs_are_never_woken(manager):
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    event, lock, items, ended = threading.Event(), locked(), queue.SimpleQueue(), []
    waits = [event.wait, lock.acquire, items.get, lambda: ours.recv(1), lambda: os.read(reader, 1)]
    threads = [threading.Thread(target=lambda wait=wait: ended.append(wait())) for wait in waits]
    for thread in threads:
        thread.start()
    for _ in range(40):
        jobs = [manager.submit(wait) for wait in (threading.Event().wait, lambda: time.sleep(1000), lock.acquire)]
        assert manager.kill_all(20)
        assert {job.state for job in jobs} <= {"killed", "cancelled"}
        assert ended == []
    event.set()
    lock.release()
    items.put(1)
    theirs.send(b"x")
    os.write(writer, b"y")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(map(str, ended)) == sorted(map(str, [True, True, 1, b"x", b"y"]))
    for end in (reader, writer):
        os.close(end)
    ours.close()
    theirs.close()


def test_a_kill_while_the_guards_are_out_is_held_until_the_call_returns(manager):
    _rjobs._set_guards(False)
    event = threading.Event()
    job = manager.submit(event.wait)
    time.sleep(0.05)
    if not job.kill(0.3):
        event.set()
        job.join(10)
    # In the standard library's own code a strike is put off, and the job may end by itself before it comes.
    assert job.state in {"killed", "done"}
