"""Kills leave no lock locked, wherever they land."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import queue
import random
import sys
import threading
import time

import pytest

FEW, MANY = 100, 500  # rounds; two jobs are killed in each
ENOUGH = 10  # leaks, to know
LIMIT = 2  # seconds after which a lock counts as left locked


def is_free(*locks) -> bool:
    """Whether all of these can be had now, by a thread that is no job."""
    for lock in locks:
        if not lock.acquire(timeout=LIMIT):
            return False
        lock.release()
    return True


def forever(step):
    def work():
        while True:
            step()

    work.step = step
    return work


class Litter:
    """Garbage that runs Python code when the collector comes to it, wherever that is."""

    def __init__(self):
        self.me = self

    def __del__(self):
        for _ in range(3):
            sum(())


def littering(kind):
    """A thing of this kind, whose jobs leave garbage behind at each step."""

    def with_litter(step):
        def both():
            Litter()
            step()

        return forever(both)

    def make():
        thing = kind()
        thing.jobs = [with_litter(job.step) for job in thing.jobs]
        return thing

    return make


class Queue:
    def __init__(self):
        self.items = queue.Queue(3)
        self.jobs = [forever(lambda: self.items.put(1)), forever(self.items.get)]

    def is_whole(self):
        return is_free(self.items.mutex)


class QueueWithLimits:
    def __init__(self):
        self.items = items = queue.Queue(3)

        def put():
            with contextlib.suppress(queue.Full):
                items.put(1, timeout=0.0001)

        def get():
            with contextlib.suppress(queue.Empty):
                items.get(timeout=0.0001)
                items.task_done()

        self.jobs = [forever(put), forever(get)]

    def is_whole(self):
        return is_free(self.items.mutex)


class Condition:
    kind = threading.Lock

    def __init__(self):
        self.condition = condition = threading.Condition(self.kind())
        self.inside = 0

        def step():
            with condition:
                condition.notify_all()
                condition.wait(0.0001)

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.condition) and not self.condition._waiters


class ConditionOfARLock(Condition):
    kind = staticmethod(threading.RLock)


class Notify:
    """Who is woken is struck off the list: one that is left there takes the turn of the next."""

    def __init__(self):
        self.conditions = [threading.Condition(), threading.Condition()]

        def wakes(condition):
            def step():
                # What `wait` does before it sleeps.
                waiter = threading.Lock()
                waiter.acquire()
                with condition:
                    condition._waiters.append(waiter)
                    condition.notify()

            return step

        self.jobs = [forever(wakes(condition)) for condition in self.conditions]

    def is_whole(self):
        waiters = [waiter for condition in self.conditions for waiter in condition._waiters]
        return is_free(*self.conditions) and all(waiter.locked() for waiter in waiters)


class Event:
    def __init__(self):
        self.event = event = threading.Event()

        def step():
            event.wait(0.0001)
            event.set()
            event.wait(0.0001)
            event.clear()

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.event._cond) and not self.event._cond._waiters


class Semaphore:
    def __init__(self):
        self.semaphore = semaphore = threading.Semaphore(1)

        def step():
            with semaphore:
                pass

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.semaphore._cond)


class Barrier:
    def __init__(self):
        self.barrier = barrier = threading.Barrier(2)

        def step():
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(0.001)
            if barrier.broken:
                barrier.reset()

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.barrier._cond)


class Print:
    def __init__(self):
        self.jobs = [forever(lambda: print("x" * 50))] * 2

    def is_whole(self):
        thread = threading.Thread(target=sys.stdout.flush, daemon=True)
        thread.start()
        thread.join(LIMIT)
        return not thread.is_alive()


class ExitStack:
    def __init__(self):
        self.locks = [threading.Lock(), threading.RLock()]

        def step():
            with contextlib.ExitStack() as stack:
                for lock in self.locks:
                    stack.enter_context(lock)

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(*self.locks)


class WithLock:
    kind = threading.Lock

    def __init__(self):
        self.lock = lock = self.kind()
        self.inside = 0

        def step():
            with lock:
                self.inside += 1
                assert self.inside == 1
                self.inside -= 1

        def careful():
            with lock:
                try:
                    for _ in range(3):
                        pass
                finally:
                    self.inside = 0

        self.jobs = [forever(step), forever(careful)]

    def is_whole(self):
        self.inside = 0
        return is_free(self.lock)


class WithRLock(WithLock):
    kind = staticmethod(threading.RLock)


class WithLockOfProcesses(WithLock):
    kind = staticmethod(multiprocessing.get_context("spawn").Lock)


class OwnContext:
    """What people write: a class with `__enter__` and `__exit__`."""

    def __init__(self):
        self.lock = lock = threading.Lock()

        class Context:
            def __enter__(self):
                lock.acquire()
                return self

            def __exit__(self, *exception, why=None):
                lock.release()

        def step():
            with Context():
                sum(range(10))

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.lock)


class OwnGenerator(OwnContext):
    """Or a generator."""

    def __init__(self):
        self.lock = lock = threading.Lock()

        @contextlib.contextmanager
        def held():
            with lock:
                yield

        def step():
            with held():
                sum(range(10))

        self.jobs = [forever(step)] * 2


class ByHand:
    """What people write: the lock is taken before the `try`."""

    kind = threading.Lock

    def __init__(self):
        self.lock = lock = self.kind()

        def step():
            lock.acquire()
            try:
                sum(range(10))
            finally:
                lock.release()

        self.jobs = [forever(step)] * 2

    def is_whole(self):
        return is_free(self.lock)


class ByHandOfARLock(ByHand):
    kind = staticmethod(threading.RLock)


class SemaphoreCount(Semaphore):
    """Not the lock in it, but what it counts."""

    def is_whole(self):
        return is_free(self.semaphore._cond) and self.semaphore._value == 1


NONE_LEFT = [
    Queue,
    QueueWithLimits,
    Condition,
    ConditionOfARLock,
    Notify,
    Event,
    Semaphore,
    Barrier,
    Print,
    ExitStack,
    WithLock,
    WithRLock,
    WithLockOfProcesses,
    OwnContext,
    OwnGenerator,
]


def storm(manager, kind, rounds):
    """Kill jobs that are busy with a thing of this kind; how often it was left locked."""
    leaks = 0
    thing = kind()
    for _ in range(rounds):
        jobs = [manager.submit(job) for job in thing.jobs]
        time.sleep(random.random() * 0.003)
        for job in jobs:
            job.kill(0)
        assert manager.wait(jobs, 10).not_done == [], [job.stack() for job in jobs]
        odd = [(job.state, job.exception(0)) for job in jobs if job.state not in ("killed", "cancelled")]
        assert odd == []
        if not thing.is_whole():
            leaks += 1
            thing = kind()
            if leaks == ENOUGH:
                break
    return leaks


@pytest.mark.parametrize("kind", NONE_LEFT)
def test_no_lock_is_left_locked(manager, often, kind):
    assert storm(manager, kind, FEW) == 0


@pytest.mark.stress
@pytest.mark.parametrize("kind", NONE_LEFT)
def test_no_lock_is_left_locked_by_a_thousand_kills(manager, often, kind):
    assert storm(manager, kind, MANY) == 0


@pytest.fixture
def collected():
    """The collector comes as often as its finalizers let anybody else work."""
    before = gc.get_threshold()
    gc.set_threshold(30, 10, 10)
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize("kind", [Queue, Condition, ExitStack, OwnContext, OwnGenerator, SemaphoreCount])
def test_no_lock_is_left_locked_where_finalizers_run_in_between(manager, often, collected, kind):
    assert storm(manager, littering(kind), FEW) == 0


@pytest.mark.parametrize("kind", [ByHand, ByHandOfARLock, SemaphoreCount])
def test_locks_that_are_taken_by_hand_are_hardly_ever_left_locked(manager, often, kind):
    leaks = storm(manager, kind, FEW)
    print(f"{kind.__name__}: {leaks} of {FEW} rounds")
    assert leaks <= FEW // 20
