"""Finalizers run in the midst of other code, which a kill that comes meanwhile must not break."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time

LAST = 2  # the oldest generation


class Doomed:
    """Garbage that calls a function when the collector comes to it."""

    def __init__(self, call):
        self.me = self
        self.call = call

    def __del__(self):
        self.call()


class Entered(int):
    """A context that is entered by a run of the collector, without any Python code of its own."""

    __enter__ = staticmethod(gc.collect)

    def __exit__(self, *exception):
        left.append(exception[0])


left: list[type[BaseException] | None] = []


def test_what_an_exit_stack_enters_while_a_finalizer_is_killed_is_left(manager):
    left.clear()
    begun, killed = threading.Event(), threading.Event()

    def dies():
        begun.set()
        while not killed.is_set():
            pass

    def work():
        Doomed(dies)
        with contextlib.ExitStack() as stack:
            stack.enter_context(Entered(LAST))
            time.sleep(60)

    job = manager.submit(work)
    assert begun.wait(10)
    job.kill(0)
    killed.set()
    assert manager.wait([job], 10).not_done == []
    assert job.state == "killed"
    assert len(left) == 1


def test_a_job_that_is_hardly_ever_out_of_its_finalizers_is_ended(manager):
    def dies():
        sum(range(100_000))

    def work():
        while True:
            Doomed(dies).me = None

    assert manager.submit(work).kill(10)


def test_a_collector_that_is_at_many_finalizers_is_left_alone_in_between(manager):
    """Killed at each of them it took ten times as long, and cut off two thirds of them."""
    count = 100_000
    begun, whole, at_it = itertools.count(), itertools.count(), threading.Event()

    def dies():
        if next(begun) == count // 100:
            at_it.set()
        sum(())
        next(whole)

    def work():
        gc.disable()
        try:
            for _ in range(count):
                Doomed(dies)
            gc.collect()
        finally:
            gc.enable()

    job = manager.submit(work)
    assert at_it.wait(30)
    assert job.kill(30)
    assert job.state in ("killed", "done")
    assert next(whole) > 0.9 * next(begun)
