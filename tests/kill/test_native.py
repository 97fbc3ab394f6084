"""What cannot be ended is said to be so, in time; it ends as soon as it can, and everything else goes on."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import time

import pytest

import rjobs
from rjobs import _table


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def raw_read(reader):
    """Read a byte without the standard library's doing: nobody knows this call."""
    return ctypes.CDLL(None).read(reader, ctypes.create_string_buffer(1), 1)


def test_a_raw_call_is_reported_in_time_and_ended_when_it_returns(catch, manager, until, pipe):
    reader, writer = pipe
    caught = catch(lambda: raw_read(reader))
    job = caught.job
    assert not job.in_native_code
    began = time.monotonic()
    assert job.kill(0.5) is False
    assert time.monotonic() - began < 10
    assert job.state == "running"
    assert job.kill_pending
    assert until(lambda: job.in_native_code)
    line = raw_read.__code__.co_firstlineno + 2
    assert job.native_call == f"native code at test_native.py:{line}"
    assert _table.state_text(job).startswith(f"kill pending (in native code at test_native.py:{line} since ")
    assert "kill pending (in native code at test_native.py" in _table.text(manager)
    # Everybody else goes on, and can be killed.
    assert manager.submit(int).get(10) == 0
    other = manager.submit(time.sleep, 1000)
    assert other.kill(20)
    assert job.state == "running"
    os.write(writer, b"x")
    job.join(10)
    # What it read was not touched; the kill came when the call was over.
    caught.check()
    assert _table.state_text(job) == "killed"


def test_a_raw_call_returns_what_it_read(manager, until, pipe):
    reader, writer = pipe
    got = []

    def work():
        buffer = ctypes.create_string_buffer(1)
        try:
            got.append(ctypes.CDLL(None).read(reader, buffer, 1))
        finally:
            got.append(buffer.raw)

    job = manager.submit(work)
    time.sleep(0.1)
    assert job.kill(0.3) is False
    for _ in range(3):
        assert job.kill(0.05) is False
    os.write(writer, b"x")
    job.join(10)
    assert job.state == "killed"
    # The kill lands behind the call, before or after its value is put away.
    assert got in ([b"x"], [1, b"x"])


def test_the_worker_of_such_a_job_is_replaced(until, pipe):
    reader, writer = pipe
    single = rjobs.JobManager(max_workers=1)
    job = single.submit(raw_read, reader)
    time.sleep(0.1)
    assert job.kill(0.5) is False
    assert until(lambda: job.in_native_code)
    try:
        assert single.submit(int).get(3) == 0
    finally:
        os.write(writer, b"x")
        job.join(10)
        single.shutdown(wait=True, kill=True)
    assert job.state == "killed"


def test_a_call_that_neither_waits_nor_returns_is_reported(manager, until):
    # At work without the GIL, for some seconds.
    job = manager.submit(hashlib.pbkdf2_hmac, "sha256", b"word", b"salt", 3_000_000)
    time.sleep(0.1)
    assert job.kill(0.3) is False
    assert job.kill_pending
    assert until(lambda: job.in_native_code, 5)
    job.join(40)
    # It was the job's last step.
    assert job.state in ("done", "killed")


def test_a_time_out_in_a_raw_call_lands_when_it_returns(manager, until, pipe):
    reader, writer = pipe
    job = manager.options(timeout=1).submit(raw_read, reader)
    assert until(lambda: job.in_native_code)
    assert job.state == "running"
    os.write(writer, b"x")
    job.join(10)
    assert job.state == "timed_out"


@pytest.mark.skipif(sys.platform != "linux", reason="calls are ended on Linux")
def test_a_call_that_is_not_to_be_ended_between_two_that_are(manager, until, pipe):
    reader, writer = pipe
    steps = []

    def work():
        try:
            raw_read(reader)
        finally:
            steps.append("finally")
            time.sleep(0.01)
            steps.append("slept")

    job = manager.submit(work)
    time.sleep(0.1)
    assert job.kill(0.3) is False
    os.write(writer, b"x")
    job.join(20)
    assert (job.state, steps) == ("killed", ["finally", "slept"])
