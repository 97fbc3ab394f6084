"""`rjobs.Executor.map`, with `buffersize` on every version of Python."""

import gc
import itertools
import threading
import time
import weakref

import pytest

import rjobs


@pytest.fixture
def executor():
    with rjobs.Executor(2) as executor:
        yield executor
        executor.manager.kill_all()


def test_results_come_in_the_order_of_the_items(executor):
    assert list(executor.map(pow, range(100), itertools.repeat(2), chunksize=7)) == [n**2 for n in range(100)]
    assert list(executor.map(abs, [])) == []


def test_without_iteration_all_calls_are_made(executor):
    seen = []
    executor.map(seen.append, range(10))
    executor.shutdown()
    assert sorted(seen) == list(range(10))


def test_what_a_call_raises_comes_in_its_place_and_cancels_the_rest(executor):
    go, ran = threading.Event(), []

    def work(number):
        if number == 1:
            raise ValueError(number)
        if number > 1:
            assert go.wait(10)
        ran.append(number)
        return number

    results = executor.map(work, range(100))
    assert next(results) == 0
    with pytest.raises(ValueError, match="1"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    go.set()
    executor.shutdown()
    assert len(ran) < 10
    assert len(executor.manager) == 0


def test_the_time_is_that_of_all_results(executor):
    go = threading.Event()
    results = executor.map(go.wait, [20, 20, 20], timeout=0.1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        next(results)
    assert time.monotonic() - began < 10
    go.set()


def test_an_endless_iterable_works_with_a_buffersize(executor):
    taken = []

    def numbers():
        for number in itertools.count():
            taken.append(number)
            yield number

    results = executor.map(str, numbers(), buffersize=4)
    assert taken == [0, 1, 2, 3]
    assert [next(results) for _ in range(50)] == [str(number) for number in range(50)]
    assert len(taken) == 54
    results.close()
    assert executor.submit(int).result(10) == 0


def test_a_buffersize_larger_than_the_work_is_as_good(executor):
    assert list(executor.map(abs, range(5), buffersize=100)) == list(range(5))
    assert list(executor.map(abs, range(5), buffersize=1)) == list(range(5))


def test_a_dropped_executor_ends_a_buffered_map_with_what_was_started():
    executor = rjobs.Executor(1)
    results = executor.map(abs, itertools.count(), buffersize=3)
    assert next(results) == 0
    del executor
    gc.collect()
    assert list(results) == [1, 2, 3]


def test_results_are_not_held_longer_than_they_are_looked_at(executor):
    class Thing:
        pass

    alive = threading.Semaphore(0)
    for thing in executor.map(lambda _: Thing(), range(5)):
        weakref.finalize(thing, alive.release)
        del thing
    executor.shutdown()
    gc.collect()
    for _ in range(5):
        assert alive.acquire(timeout=10)


def test_a_subclass_hears_of_each_submission():
    class Counting(rjobs.Executor):
        count = 0

        def submit(self, fn, /, *args, **kwargs):
            self.count += 1
            return super().submit(fn, *args, **kwargs)

    with Counting(2) as executor:
        assert list(executor.map(abs, range(10))) == list(range(10))
        assert list(executor.map(abs, range(10), buffersize=2)) == list(range(10))
        assert executor.count == 20


def test_in_a_given_manager_the_calls_are_seen(manager):
    with rjobs.Executor(3, manager=manager) as executor:
        assert list(executor.map(abs, range(10))) == list(range(10))
    assert [job.state for job in manager] == ["done"] * 10
