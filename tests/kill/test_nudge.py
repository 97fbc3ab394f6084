"""Foreign calls that return to Python on a signal, and guarded calls that are at work in the kernel for long."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

import rjobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="calls are ended on Linux")

LONG = 1000
SIZE = 2 << 30  # what one call of the kernel copies at most, nearly


def descriptors(path):
    """How many descriptors of this process are open on a file."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += entry.readlink() == path
        except OSError:
            continue
    return found


@pytest.fixture
def timed(end):
    """End a call, and say how long that took from its being seen at it."""

    def timed(call, **options):
        began = time.monotonic()
        job = end(call, **options)
        return time.monotonic() - began, job

    return timed


@pytest.fixture
def sockets():
    zmq = pytest.importorskip("zmq")
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        for socket in pull, push:
            socket.linger = 0
        yield zmq, pull, push


def zmq_recv(_zmq, pull, _push):
    pull.recv()


def zmq_socket_poll(_zmq, pull, _push):
    pull.poll()


def zmq_poller(zmq, pull, _push):
    poller = zmq.Poller()
    poller.register(pull, zmq.POLLIN)
    poller.poll()


def zmq_poller_with_limit(zmq, pull, _push):
    poller = zmq.Poller()
    poller.register(pull, zmq.POLLIN)
    poller.poll(LONG * 1000)


def zmq_send(_zmq, _pull, push):
    push.send(b"nobody takes it")


@pytest.mark.parametrize("wait", [zmq_recv, zmq_socket_poll, zmq_poller, zmq_poller_with_limit, zmq_send])
def test_zmq_is_ended_and_its_sockets_go_on(wait, sockets, end, manager):
    _zmq, pull, push = sockets
    address = f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}"
    for _ in range(3):
        end(partial(wait, *sockets))
    push.connect(address)
    push.send(b"after")
    assert manager.submit(pull.recv).get(10) == b"after"


def test_a_job_that_goes_on_after_a_kill_in_zmq_is_ended_again(sockets, end):
    _zmq, pull, _push = sockets
    pull.bind_to_random_port("tcp://127.0.0.1")

    def work():
        for _ in range(3):
            try:
                pull.recv()
            except rjobs.JobKilled:
                continue
        pull.recv()

    end(work, is_stubborn=True)


def test_a_time_out_ends_zmq(sockets, manager):
    _zmq, pull, _push = sockets
    pull.bind_to_random_port("tcp://127.0.0.1")
    job = manager.options(timeout=0.1).submit(pull.recv)
    assert job.join(10) is None
    assert job.state == "timed_out"


def libc(name, *arguments):
    return getattr(ctypes.CDLL(None), name)(*arguments)


@pytest.mark.parametrize(
    "call",
    [
        partial(libc, "sleep", LONG),
        partial(libc, "usleep", LONG * 1_000_000),
        partial(libc, "poll", None, 0, LONG * 1000),
        partial(libc, "select", 0, None, None, None, None),
        partial(libc, "pause"),
    ],
    ids=lambda call: call.args[0],
)
def test_a_wait_that_is_called_by_ctypes_is_ended(call, end):
    end(call)


@pytest.mark.parametrize("name", ["sleep", "zmq", "sendfile"])
def test_what_a_call_returned_for_a_signal_is_no_result(name, manager, sockets, large):
    _zmq, pull, _push = sockets
    pull.bind_to_random_port("tcp://127.0.0.1")
    source, target = large
    with source.open("rb") as one, target.open("wb") as other:
        call = {
            "sleep": partial(ctypes.CDLL(None).sleep, LONG),
            "zmq": pull.recv,
            "sendfile": partial(os.sendfile, other.fileno(), one.fileno(), 0, SIZE),
        }[name]
        # The call is all that the job does, so nothing comes behind it where the kill could land.
        job = manager.submit(call)
        while name == "sendfile" and not has_grown(target):
            time.sleep(0.001)
        time.sleep(0.05)
        assert job.kill(20)
    assert job.state == "killed"
    with pytest.raises(rjobs.JobKilled):
        job.get(0)


def library():
    """A library that sleeps by itself, and that nobody has tried signals on."""
    name = ctypes.util.find_library("sqlite3")
    if name is None:
        pytest.skip("there is no shared library of SQLite's here")
    return ctypes.CDLL(name)


def test_other_peoples_code_is_left_alone(manager, until):
    sqlite = library()
    took = []

    def work():
        began = time.monotonic()
        try:
            sqlite.sqlite3_sleep(1500)
        finally:
            took.append(time.monotonic() - began)

    job = manager.submit(work)
    assert until(lambda: job.started_at is not None)
    time.sleep(0.1)
    assert job.kill(0.3) is False
    assert until(lambda: job.in_native_code)
    job.join(20)
    assert job.state == "killed"
    # A signal would have ended its sleep.
    assert took[0] >= 1.5


@pytest.fixture
def large(tmp_path):
    """A file of 2 GiB that takes no room, and a path to copy it to."""
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(SIZE)
    yield source, target
    target.unlink(missing_ok=True)


def has_grown(target):
    return target.exists() and target.stat().st_size > 0


def by_descriptors(how):
    def copy(source, target):
        with source.open("rb") as one, target.open("wb") as other:
            how(one.fileno(), other.fileno())

    return copy


copy_range = by_descriptors(lambda one, other: os.copy_file_range(one, other, SIZE))
send_file = by_descriptors(lambda one, other: os.sendfile(other, one, 0, SIZE))


@pytest.mark.parametrize("copy", [shutil.copyfile, shutil.copy, shutil.copy2, copy_range, send_file])
def test_a_large_copy_is_ended_within_it(copy, large, timed):
    source, target = large
    took, _ = timed(partial(copy, source, target), is_busy=True, ready=partial(has_grown, target))
    # The whole takes some seconds, and on a slow disk a minute.
    assert took < 2
    # As an interrupt would leave it: a part of it, and nothing open.
    assert 0 < target.stat().st_size < SIZE
    assert source.stat().st_size == SIZE
    assert descriptors(source) == descriptors(target) == 0


def test_a_thread_that_is_no_job_is_ended_in_a_large_copy(large, until):
    source, target = large
    seen = []

    def work():
        try:
            shutil.copyfile(source, target)
        except SystemError as error:
            seen.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert until(partial(has_grown, target))
    rjobs.kill_thread(thread)
    thread.join(20)
    assert seen == [SystemError]
    assert target.stat().st_size < SIZE
