"""gRPC: the call of a killed job is cancelled at the server, and the channel can be used again."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

grpc = pytest.importorskip("grpc")

pytestmark = pytest.mark.usefixtures("quiet")


class Server:
    """Answers at once, or never; notes which calls have begun and which were cancelled."""

    def __init__(self):
        self.begun, self.cancelled = threading.Event(), threading.Event()
        methods = {
            "unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "stream": grpc.unary_stream_rpc_method_handler(self.stream),
            "collect": grpc.stream_unary_rpc_method_handler(self.unary),
            "both": grpc.stream_stream_rpc_method_handler(self.stream),
        }
        self.server = grpc.server(ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", methods)])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def unary(self, request, context):
        if request == b"quick":
            return b"answer"
        over = threading.Event()
        context.add_callback(over.set)
        self.begun.set()
        over.wait(60)
        self.cancelled.set()
        return b""

    def stream(self, request, context):
        yield b"first"
        yield self.unary(request, context)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.stop(None).wait(10)


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


# Where gRPC's own code waits for the server.
WAITS = ("in _next", "in _blocking", "in result")


def requests():
    yield b"slow"


CALLS = {
    "unary": lambda channel: channel.unary_unary("/test/unary")(b"slow"),
    "with_call": lambda channel: channel.unary_unary("/test/unary").with_call(b"slow"),
    "future": lambda channel: channel.unary_unary("/test/unary").future(b"slow").result(),
    "of a stream": lambda channel: channel.stream_unary("/test/collect")(requests()),
    "stream": lambda channel: list(channel.unary_stream("/test/stream")(b"slow")),
    "stream of a stream": lambda channel: list(channel.stream_stream("/test/both")(requests())),
}


@pytest.fixture
def start(manager, server, channel, until):
    """Start a call as a job, and wait until both ends are in it: gRPC loses one that is not made to its end."""

    def start(call, **options):
        job = manager.options(**options).submit(CALLS[call], channel)
        assert server.begun.wait(10)
        assert until(lambda: any(name in job.stack() for name in WAITS))
        return job

    return start


@pytest.mark.parametrize("how", ["kill", "stop", "timeout"])
@pytest.mark.parametrize("call", CALLS)
def test_the_call_is_cancelled_at_the_server(start, server, channel, call, how):
    job = start(call, timeout=1 if how == "timeout" else None)
    if how == "kill":
        assert job.kill(10)
    elif how == "stop":
        assert job.stop(grace=0.01)
    assert job.wait(10)
    assert job.state == ("timed_out" if how == "timeout" else "killed")
    assert server.cancelled.wait(10)
    assert channel.unary_unary("/test/unary")(b"quick", timeout=10) == b"answer"


def test_the_error_of_the_library_is_chained(start):
    job = start("unary")
    assert job.kill(10)
    error = job.exception(0).__context__
    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.CANCELLED


def test_of_a_shared_channel_only_the_call_of_the_killed_job_is_cancelled(manager, server, channel, until):
    begun = [threading.Event(), threading.Event()]

    def stream(number):
        for answer in channel.unary_stream("/test/stream")(b"slow"):
            begun[number].set()
            assert answer == b"first"

    jobs = [manager.submit(partial(stream, number)) for number in range(2)]
    assert all(event.wait(10) for event in begun)
    assert until(lambda: all("_next" in job.stack() for job in jobs))
    assert jobs[0].kill(10)
    assert server.cancelled.wait(10)
    # A call that comes later is answered, and the other one is not yet over.
    assert channel.unary_unary("/test/unary")(b"quick", timeout=10) == b"answer"
    assert (jobs[0].state, jobs[1].state) == ("killed", "running")
    server.cancelled.clear()
    assert jobs[1].kill(10)
    assert server.cancelled.wait(10)


def test_the_program_ends_in_a_call(server):
    program = f"""
    import sys, threading, time, grpc, rjobs
    channel = grpc.insecure_channel("127.0.0.1:{server.port}")
    jobs = rjobs.JobManager(daemon=True)
    begun = threading.Event()
    def call():
        for answer in channel.unary_stream("/test/stream")(b"slow"):
            begun.set()
    jobs.submit(call)
    begun.wait()
    print(time.monotonic(), flush=True)
    sys.exit(3)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - float(run.stdout) < 5
    assert (run.returncode, run.stderr) == (3, "")
    assert server.cancelled.wait(10)
