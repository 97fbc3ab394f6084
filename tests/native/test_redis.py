"""Redis: a killed job's call ends, and its connection is not used again in the middle of an answer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

redis = pytest.importorskip("redis")

# Until SCRIPT KILL; it writes nothing.
FOR_EVER = "while true do end"


@pytest.fixture
def client(redis_port):
    """With a pool of one connection, which another caller waits for."""
    pool = redis.BlockingConnectionPool(host="127.0.0.1", port=redis_port, max_connections=1, timeout=5)
    with redis.Redis(connection_pool=pool) as client:
        yield client
        pool.disconnect()


@pytest.fixture
def watcher(redis_port):
    with redis.Redis(host="127.0.0.1", port=redis_port) as watcher:
        watcher.flushall()
        yield watcher


@pytest.fixture
def blocked(watcher, until):
    """`blocked(number)`: as many clients wait on the server."""
    return lambda number: until(lambda: watcher.info("clients")["blocked_clients"] == number)


def calls(client):
    """What a job is killed in, by its name."""

    def pipeline():
        with client.pipeline(transaction=False) as pipe:
            pipe.set("before", "1").blpop("nothing", 0).set("after", "1")
            pipe.execute()

    return {
        "blpop": lambda: client.blpop("nothing", 0),
        "brpop with a time-out": lambda: client.brpop("nothing", 1000),
        "xread": lambda: client.xread({"nothing": "$"}, block=0),
        "pipeline": pipeline,
    }


@pytest.mark.parametrize("how", ["kill", "stop", "timeout"])
@pytest.mark.parametrize("name", list(calls(None)))
def test_a_blocking_call(client, manager, blocked, name, how):
    job = manager.options(timeout=0.5 if how == "timeout" else None).submit(calls(client)[name])
    assert blocked(1)
    begin = time.monotonic()
    if how == "kill":
        assert job.kill(10)
    elif how == "stop":
        assert job.stop(grace=0.05)
    assert job.wait(10)
    assert time.monotonic() - begin < 1
    assert job.state == ("timed_out" if how == "timeout" else "killed")
    # The server sees that the connection is closed, and waits no more: what is pushed later is not lost to it.
    assert blocked(0)
    # And the pool's only slot is back, with answers that belong to the questions.
    assert client.rpush("nothing", "kept") == 1
    assert [client.echo(f"{number}") for number in range(3)] == [b"0", b"1", b"2"]
    assert client.lrange("nothing", 0, -1) == [b"kept"]


def test_what_a_pipeline_has_sent_is_done_as_far_as_the_server_got(client, watcher, manager, blocked):
    job = manager.submit(calls(client)["pipeline"])
    assert blocked(1)
    assert job.kill(10)
    assert blocked(0)
    assert watcher.get("before") == b"1"
    assert watcher.get("after") is None


def test_a_subscription(client, watcher, manager, until):
    heard = []

    def work():
        with client.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe("news")
            heard.extend(message["data"] for message in subscription.listen())

    job = manager.submit(work)
    assert until(lambda: watcher.publish("news", "first") == 1)
    assert until(lambda: heard == [b"first"])
    assert job.kill(10)
    assert job.state == "killed"
    assert until(lambda: watcher.publish("news", "late") == 0)
    assert client.ping()


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_script_goes_on_on_the_server_until_it_is_told_to_end(client, watcher, manager, until, how):
    """The wait of the client ends; one script runs at a time, and nothing else meanwhile."""
    watcher.config_set("busy-reply-threshold", 50)

    def is_busy():
        try:
            watcher.ping()
        except redis.exceptions.RedisError:
            return True
        return False

    job = manager.options(timeout=1 if how == "timeout" else None).submit(client.eval, FOR_EVER, 0)
    assert until(is_busy)
    if how == "kill":
        assert job.kill(10)
    assert job.wait(10)
    assert job.state == ("killed" if how == "kill" else "timed_out")
    assert is_busy()
    watcher.script_kill()
    assert until(lambda: not is_busy())
    assert client.echo("mine") == b"mine"


def test_on_kill_ends_the_script_as_well(client, watcher, manager, until):
    """What the page tells to do."""
    import rjobs

    watcher.config_set("busy-reply-threshold", 50)
    runs = threading.Event()

    def work():
        with rjobs.current_job().on_kill(watcher.script_kill):
            runs.set()
            client.eval(FOR_EVER, 0)

    job = manager.submit(work)
    assert runs.wait(10)
    time.sleep(0.2)
    assert job.kill(10)
    assert job.state == "killed"
    assert isinstance(job.exception(0).__context__, redis.exceptions.ResponseError)
    assert client.echo("mine") == b"mine"


def test_a_lock_of_redis_is_let_go(client, redis_port, manager, blocked):
    """`with` blocks run, with calls of their own."""

    def work(other):
        with other.lock("only one", timeout=100):
            other.blpop("nothing", 0)

    with redis.Redis(host="127.0.0.1", port=redis_port) as other:
        job = manager.submit(work, other)
        assert blocked(1)
        assert client.exists("only one")
        assert job.kill(10)
        assert not client.exists("only one")


def test_only_the_killed_job_is_cut_off(redis_port, manager, blocked, watcher):
    """Two jobs share a client, and so its pool."""
    with redis.Redis(host="127.0.0.1", port=redis_port) as shared:
        first, second = (manager.submit(shared.blpop, name, 0) for name in ("a", "b"))
        assert blocked(2)
        assert first.kill(10)
        assert blocked(1)
        watcher.rpush("b", "for the second")
        assert second.get(10) == (b"b", b"for the second")


EXIT = """
import sys
import redis, rjobs
client = redis.Redis(host="127.0.0.1", port={port})
job = rjobs.JobManager(daemon=True).submit(client.blpop, "nothing", 0)
input()
sys.exit(3)
"""


def test_the_end_of_the_program(redis_port, blocked):
    code = EXIT.format(port=redis_port)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            assert blocked(1)
            begin = time.monotonic()
            _, said = program.communicate(b"\n", 20)
        finally:
            program.kill()
    assert (program.returncode, said) == (3, b"")
    assert time.monotonic() - begin < 2
    assert blocked(0)
