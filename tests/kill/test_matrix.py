"""A kill ends whatever wait a job is in: sleeps, locks, queues, threads; the other files have the other calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

import rjobs


@contextmanager
def held(lock):
    """`lock`, locked by a thread that keeps it until the end, when it must still have it."""
    has, go = threading.Event(), threading.Event()
    failed = []

    def hold():
        lock.acquire()
        has.set()
        go.wait(60)
        try:
            lock.release()
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has.wait(10)
    try:
        yield
        assert not lock.acquire(blocking=False), "somebody let it go"
    finally:
        go.set()
        thread.join(10)
    assert failed == []
    assert lock.acquire(timeout=5)
    lock.release()


def enter(lock):
    with lock:
        return "in it"


def waits_for(kind, wait):
    def scene():
        lock = kind()
        with held(lock):
            yield lambda: wait(lock)

    return scene


def condition_with(kind):
    def scene():
        condition = threading.Condition(kind())

        def wait():
            with condition:
                condition.wait()

        yield wait
        assert condition.acquire(timeout=5)
        assert not condition._waiters
        condition.notify_all()
        condition.release()

    return scene


def condition_that_is_taken_again():
    """The wait is over, and the lock has to be taken again; the kill must not let `wait` return without it."""
    condition = threading.Condition(threading.Lock())
    owned = []

    def wait():
        with condition:
            try:
                condition.wait()
            finally:
                owned.append(condition.acquire(blocking=False))

    # Not the job's own thread, which would be struck with it and never release the lock.
    def notify():
        until_waiting()
        condition.acquire()
        condition.notify()
        threading.Timer(0.5, condition.release).start()

    def until_waiting():
        while not condition._waiters:
            time.sleep(0.001)

    threading.Thread(target=notify).start()
    yield wait
    assert owned == [False]
    assert condition.acquire(timeout=5)
    condition.release()


def event(*limit):
    def scene():
        event = threading.Event()
        yield lambda: event.wait(*limit)
        assert not event.is_set()
        event.set()
        assert event.wait(5)
        assert not event._cond._waiters

    return scene


def semaphore(kind, *limit):
    def scene():
        semaphore = kind(1)
        semaphore.acquire()
        yield lambda: semaphore.acquire(*limit)
        assert not semaphore.acquire(blocking=False)
        semaphore.release()
        assert semaphore.acquire(timeout=5)

    return scene


def semaphore_that_is_entered():
    semaphore = threading.Semaphore(0)
    yield lambda: enter(semaphore)
    assert semaphore._value == 0


def barrier():
    barrier = threading.Barrier(2)
    yield barrier.wait
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    thread = threading.Thread(target=barrier.wait, args=(5,))
    thread.start()
    barrier.wait(5)
    thread.join(5)


def queue_get(kind, *limit):
    def scene():
        items = kind()
        yield lambda: items.get(True, *limit)
        items.put(1)
        assert items.qsize() == 1
        assert items.get(timeout=5) == 1

    return scene


def queue_put(*limit):
    def scene():
        items = queue.Queue(1)
        items.put("first")
        yield lambda: items.put("killed", True, *limit)
        assert items.get(timeout=5) == "first"
        assert items.empty()
        items.put("second", timeout=5)
        assert items.get(timeout=5) == "second"

    return scene


def queue_join():
    items = queue.Queue()
    items.put(1)
    yield items.join
    items.get(timeout=5)
    items.task_done()
    items.join()


def future(*limit):
    def scene():
        future = concurrent.futures.Future()
        yield lambda: future.result(*limit)
        future.set_result(3)
        assert future.result(5) == 3

    return scene


def future_of_a_pool():
    go = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(go.wait, 60)
        yield future.result
        assert future.running()
        go.set()
        assert future.result(5)
        assert pool.submit(int).result(5) == 0


def futures_that_are_waited_for():
    future = concurrent.futures.Future()
    yield lambda: concurrent.futures.wait([future])
    future.set_result(3)
    assert concurrent.futures.wait([future], 5).not_done == set()


def thread_join(*limit):
    def scene():
        go = threading.Event()
        thread = threading.Thread(target=go.wait, args=(60,))
        thread.start()
        yield lambda: thread.join(*limit)
        # CPython 3.11 and 3.12 take the thread for dead here (bpo-45274).
        assert thread.is_alive()
        thread.join(0.01)
        assert thread.is_alive()
        assert thread in threading.enumerate()
        go.set()
        thread.join(10)
        assert not thread.is_alive()

    return scene


def run_of_asyncio():
    yield lambda: asyncio.run(asyncio.sleep(1000))
    assert asyncio.run(asyncio.sleep(0, 3)) == 3


def run_of_asyncio_with_a_thread():
    go = threading.Event()

    async def main():
        try:
            await asyncio.to_thread(go.wait, 60)
        finally:
            go.set()

    yield lambda: asyncio.run(main())


def sleep_of(seconds):
    def scene():
        yield lambda: time.sleep(seconds)

    return scene


def exit_stack():
    from contextlib import ExitStack

    lock = threading.Lock()

    def enter():
        with ExitStack() as stack:
            stack.enter_context(lock)
            return "in it"

    with held(lock):
        yield enter


SCENES = {
    "sleep": sleep_of(1000),
    "sleep of a whole day": sleep_of(86400.5),
    "Lock.acquire": waits_for(threading.Lock, lambda lock: lock.acquire()),
    "Lock.acquire with a time limit": waits_for(threading.Lock, lambda lock: lock.acquire(timeout=1000)),
    "Lock.acquire with two arguments": waits_for(threading.Lock, lambda lock: lock.acquire(True, 1000)),
    "with Lock": waits_for(threading.Lock, enter),
    "RLock.acquire": waits_for(threading.RLock, lambda lock: lock.acquire()),
    "RLock.acquire with a time limit": waits_for(threading.RLock, lambda lock: lock.acquire(timeout=1000)),
    "with RLock": waits_for(threading.RLock, enter),
    "with Condition": waits_for(threading.Condition, enter),
    "Condition.wait on a Lock": condition_with(threading.Lock),
    "Condition.wait on a RLock": condition_with(threading.RLock),
    "Condition.wait that takes its lock again": condition_that_is_taken_again,
    "Event.wait": event(),
    "Event.wait with a time limit": event(1000),
    "Semaphore.acquire": semaphore(threading.Semaphore),
    "Semaphore.acquire with a time limit": semaphore(threading.BoundedSemaphore, True, 1000),
    "with Semaphore": semaphore_that_is_entered,
    "Barrier.wait": barrier,
    "Queue.get": queue_get(queue.Queue),
    "Queue.get with a time limit": queue_get(queue.Queue, 1000),
    "Queue.put": queue_put(),
    "Queue.put with a time limit": queue_put(1000),
    "Queue.join": queue_join,
    "PriorityQueue.get": queue_get(queue.PriorityQueue),
    "SimpleQueue.get": queue_get(queue.SimpleQueue),
    "SimpleQueue.get with a time limit": queue_get(queue.SimpleQueue, 1000),
    "Future.result": future(),
    "Future.result with a time limit": future(1000),
    "Future.result of a pool": future_of_a_pool,
    "futures.wait": futures_that_are_waited_for,
    "Thread.join": thread_join(),
    "Thread.join with a time limit": thread_join(1000),
    "asyncio.run": run_of_asyncio,
    "asyncio.to_thread": run_of_asyncio_with_a_thread,
    "ExitStack.enter_context": exit_stack,
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_kill_ends_the_wait_and_harms_nothing(scene, end):
    with contextmanager(scene)() as call:
        end(call)


class Float(float):
    """As numpy's."""


ODD = {
    "sleep for ever": lambda: time.sleep(2_000_000_000),
    "sleep of a float of another class": lambda: time.sleep(Float(1000)),
    "Event.wait as long as can be": lambda: threading.Event().wait(threading.TIMEOUT_MAX),
    "Event.wait of a float of another class": lambda: threading.Event().wait(Float(1000)),
    "SimpleQueue.get that blocks by a number": lambda: queue.SimpleQueue().get(1),
    "SimpleQueue.get of a float of another class": lambda: queue.SimpleQueue().get(timeout=Float(1000)),
    "Thread.join as long as can be": lambda: threading.main_thread().join(threading.TIMEOUT_MAX),
}

# In a process of its own: a wait that is not ended would hold up the end of this one.
WAIT = """
import os, queue, threading, time, rjobs
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("matrix", {path!r})
matrix = module_from_spec(spec)
spec.loader.exec_module(matrix)
job = rjobs.JobManager(daemon=True).submit(matrix.ODD[{kind!r}])
time.sleep(0.2)
os._exit(0 if job.kill(5) and job.state == "killed" else 3)
"""


@pytest.mark.parametrize("kind", ODD)
def test_a_wait_with_an_odd_time_limit_is_ended(kind):
    code = WAIT.format(path=__file__, kind=kind)
    assert subprocess.run([sys.executable, "-c", code], timeout=50, check=False).returncode == 0


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_time_out_ends_the_wait_the_same_way(scene, manager):
    if scene is run_of_asyncio_with_a_thread or scene is condition_that_is_taken_again:
        pytest.skip("needs to be known to wait")
    with contextmanager(scene)() as call:
        job = manager.options(timeout=0.1).submit(call)
        job.join(20)
        assert job.state == "timed_out", job.exception(0)
        with pytest.raises(rjobs.JobTimeout):
            job.get()


def test_a_job_that_waits_for_another_is_ended_and_the_other_goes_on(end, manager):
    go = threading.Event()
    other = manager.submit(go.wait, 60)
    for wait in (other.get, other.join, lambda: manager.wait([other])):
        end(wait)
        assert other.state == "running"
    go.set()
    assert other.get(10)


def test_a_coroutine_job_is_ended_where_it_waits(manager, until):
    seen = []

    async def work():
        try:
            seen.append("begun")
            await asyncio.sleep(1000)
        finally:
            seen.append("finally")

    job = manager.submit(work)
    assert until(lambda: seen)
    assert job.kill(20)
    assert job.state == "killed"
    assert seen == ["begun", "finally"]


def test_a_coroutine_job_that_blocks_its_loop_is_ended_too(manager, until):
    seen = []

    async def work():
        seen.append("begun")
        with suppress(Exception):
            time.sleep(1000)  # noqa: ASYNC251 - what must not be done, and is

    job = manager.submit(work)
    assert until(lambda: seen)
    assert job.kill(20)
    assert job.state == "killed"
