"""A kill ends whatever code a job runs, also such that does not want to end."""

from __future__ import annotations

import gc
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Iterator

HAS_GIL = sysconfig.get_config_var("Py_GIL_DISABLED") != 1


def busy():
    while True:
        pass


def counting():
    number = 0
    while True:
        number += 1


def heavy_in_c():
    while True:
        sorted(range(10_000))


def comprehension():
    return [None for _ in iter(int, 1)]


def nested_comprehensions():
    return {x: [-y for y in range(1000)] for x in iter(int, 1)}


def generator():
    def numbers():
        while True:
            yield 1

    for _ in numbers():
        pass


def consumed_in_c():
    return sum(1 for _ in iter(int, 1))


def deep_recursion():
    def deeper(depth):
        try:
            deeper(depth + 1)
        except RecursionError:
            deeper(0)

    deeper(0)


def shallow_recursion():
    def fibonacci(number):
        return 1 if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    while True:
        fibonacci(15)


def finalizers():
    class Thing:
        def __del__(self):
            for _ in range(200):
                pass

    while True:
        Thing()


def raising():
    while True:
        with suppress(ValueError):
            raise ValueError


def exceptions_swallowed():
    while True:
        try:
            time.sleep(1000)
        except Exception:
            continue


def bare_except():
    while True:
        try:
            while True:
                sum(range(100))
        except:  # noqa: E722 - what is not to be done, and is
            pass


def bare_except_around_a_wait():
    while True:
        try:  # noqa: SIM105 - as people write it
            time.sleep(1000)
        except BaseException:
            pass


def with_block_that_swallows():
    class Swallow:
        def __enter__(self):
            pass

        def __exit__(self, *_):
            return True

    while True:
        with Swallow():
            time.sleep(1000)


def finally_that_blocks_again():
    try:
        time.sleep(1000)
    finally:
        time.sleep(1000)


def finally_that_computes_for_ever():
    try:
        time.sleep(1000)
    finally:
        while True:
            pass


def finally_that_blocks_thrice():
    try:
        time.sleep(1000)
    finally:
        try:
            threading.Event().wait()
        finally:
            condition = threading.Condition()
            with condition:
                condition.wait()


BUSY = {
    call.__name__.replace("_", " "): call
    for call in (
        busy,
        counting,
        heavy_in_c,
        comprehension,
        nested_comprehensions,
        generator,
        consumed_in_c,
        shallow_recursion,
        finalizers,
        raising,
    )
}
STUBBORN = {
    call.__name__.replace("_", " "): call
    for call in (
        exceptions_swallowed,
        bare_except,
        bare_except_around_a_wait,
        with_block_that_swallows,
        finally_that_blocks_again,
        finally_that_computes_for_ever,
        finally_that_blocks_thrice,
    )
}


@pytest.fixture
def ignored(monkeypatch) -> list[object]:
    """What Python could not raise; a kill that arrives in a finalizer is such, and is sent again."""
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: ignored.append(what.exc_type))
    return ignored


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector would work on the job's thread, and run there the finalizers of what other tests have left: Python
    swallows a kill that arrives in one, and is heard complaining."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("call", BUSY.values(), ids=BUSY)
def test_a_kill_ends_code_that_computes(call, end, ignored):
    for _ in range(5):
        end(call, is_busy=True)
    assert set(ignored) <= {rjobs.JobKilled}
    assert call is finalizers or not ignored


@pytest.mark.xfail(
    sys.version_info < (3, 12), strict=False, reason="B3: the kill is lost at the recursion limit of 3.11"
)
def test_a_kill_ends_deep_recursion(end, no_collector):
    for _ in range(10):
        end(deep_recursion, is_busy=True)


@pytest.mark.parametrize("call", STUBBORN.values(), ids=STUBBORN)
def test_a_kill_ends_code_that_does_not_want_to_end(call, end):
    end(call, is_busy=True, is_stubborn=True)


def test_a_kill_ends_code_that_does_not_want_to_end_and_is_traced(manager):
    """CPython takes a trace function away that raises, so the kill that lands in one took the storm's away with it."""

    def step():
        pass

    def work():
        sys.settrace(lambda *_: None)
        begun.set()
        while True:
            try:
                while True:
                    step()
            except:  # noqa: E722 - what is not to be done, and is
                pass

    for _ in range(20):
        begun = threading.Event()
        job = manager.submit(work)
        assert begun.wait(10)
        assert job.kill(10), job.stack()
        assert job.state == "killed"


def test_cleaning_up_that_takes_a_while_is_left_alone(manager):
    steps = []

    def work():
        try:
            time.sleep(1000)
        finally:
            for number in range(10):
                time.sleep(0.01)
                steps.append(number)

    job = manager.submit(work)
    time.sleep(0.05)
    assert job.kill(20)
    assert steps == list(range(10))


def test_a_job_that_goes_on_after_its_kill_is_ended_in_its_next_wait(manager):
    steps = []

    def work():
        with suppress(rjobs.JobKilled):
            time.sleep(1000)
        steps.append("went on")
        threading.Event().wait()
        steps.append("never")

    job = manager.submit(work)
    time.sleep(0.05)
    assert job.kill(20)
    assert job.state == "killed"
    assert steps == ["went on"]


def test_a_hundred_jobs_in_waits_and_loops_are_killed_at_once(manager, until):
    begin, begun = threading.Event(), []

    def busy_together():
        # Not before all have their threads: without the GIL it takes half a second to start one beside many that are
        # busy, on two processors, with or without rjobs.
        until(begin.is_set)
        begun.append(1)
        busy()

    calls = [busy_together, lambda: time.sleep(1000), threading.Event().wait, bare_except_around_a_wait]
    # And for a kill all threads have to stand still, which takes until each that is busy has had its turn.
    calls = calls if HAS_GIL else calls[:1] + calls[1:] * 6
    jobs = [manager.submit(calls[number % len(calls)]) for number in range(100)]
    assert until(lambda: all(job.running() for job in jobs))
    begin.set()
    assert until(lambda: len(begun) == (25 if HAS_GIL else 6))
    assert manager.kill_all(40)
    assert {job.state for job in jobs} == {"killed"}
