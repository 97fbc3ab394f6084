"""What code that monitors executors reads of a ThreadPoolExecutor: its threads, its queue, its bound."""

import gc
import re
import threading

import pytest

import rjobs


@pytest.fixture
def go():
    """Lets the calls of a test go."""
    go = threading.Event()
    yield go
    go.set()


def started(executor, go, count):
    """Have so many calls running."""
    begun = threading.Semaphore(0)
    futures = [executor.submit(lambda: (begun.release(), go.wait(20))) for _ in range(count)]
    for _ in range(count):
        assert begun.acquire(timeout=20)
    return futures


def test_the_threads_are_those_that_are_alive(go):
    with rjobs.Executor(4) as executor:
        assert executor._threads == set()
        futures = started(executor, go, 3)
        threads = executor._threads
        assert len(threads) == 3
        assert all(isinstance(thread, threading.Thread) and thread.is_alive() for thread in threads)
        assert {future.job.ident for future in futures} == {thread.ident for thread in threads}
        # A set of its own, so that who iterates it is not disturbed.
        executor._threads.clear()
        assert executor._threads == threads
        assert executor._max_workers == 4
        go.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not executor._threads


def test_no_more_threads_than_workers(go):
    with rjobs.Executor(2) as executor:
        started(executor, go, 2)
        for _ in range(20):
            executor.submit(int)
        assert len(executor._threads) == executor._max_workers == 2
        assert executor._work_queue.qsize() == 20
        assert not executor._work_queue.empty()
        go.set()
    assert executor._work_queue.qsize() == 0
    assert executor._work_queue.empty()


def test_threads_of_others_and_of_event_loops_are_not_among_them(go):
    async def nothing():
        return None

    with rjobs.Executor(2) as executor, rjobs.Executor(2) as other:
        started(other, go, 2)
        executor.submit(nothing).result(20)
        assert executor._threads == set()
        assert len(other._threads) == 2
        go.set()


def test_a_guest_has_the_threads_of_its_manager(manager, go):
    with rjobs.Executor(1, manager=manager) as executor:
        started(executor, go, 1)
        assert {thread.ident for thread in executor._threads} == {manager[0].ident}
        executor.submit(int)
        assert executor._work_queue.qsize() == 1
        # They are the manager's, and named as it names them.
        assert {thread.name for thread in executor._threads} == {manager[0].name}
        go.set()


@pytest.mark.parametrize("prefix", ["", "Special"])
def test_threads_have_the_names_of_a_thread_pools_from_elsewhere_and_their_calls_name_within(go, prefix):
    def name_within():
        return threading.current_thread().name

    with rjobs.Executor(3, thread_name_prefix=prefix) as executor:
        started(executor, go, 2)
        assert executor.submit(name_within).result(20).endswith("name_within")
        names = sorted(thread.name for thread in executor._threads)
        wanted = rf"{prefix}_[0-2]" if prefix else r"ThreadPoolExecutor-\d+_[0-2]"
        assert len(set(names)) == len(names) == 3
        for name in names:
            assert re.fullmatch(wanted, name)
        assert {repr(thread).split("(")[1].partition(",")[0] for thread in executor._threads} == set(names)
        go.set()


def test_each_executor_has_a_prefix_of_its_own():
    executors = [rjobs.Executor(1) for _ in range(2)]
    for executor in executors:
        executor.submit(int).result(20)
    names = {thread.name for executor in executors for thread in executor._threads}
    assert len(names) == 2
    for executor in executors:
        executor.shutdown()


def test_the_number_of_a_thread_that_left_is_free_again():
    from rjobs._threads import Crew

    crew = Crew("x")
    assert [crew.take() for _ in range(3)] == [(0, "x_0"), (1, "x_1"), (2, "x_2")]
    crew.give_back(1)
    assert crew.take() == (1, "x_1")
    assert crew.take() == (3, "x_3")


def test_a_thread_that_cannot_be_started_keeps_no_number(monkeypatch):
    from rjobs import _threads

    def start(_thread):
        raise RuntimeError("can't start new thread")

    with rjobs.Executor(2, thread_name_prefix="x") as executor:
        with monkeypatch.context() as patch:
            patch.setattr(_threads, "_start", start)
            for _ in range(2):
                refused = executor.submit(int)
                assert isinstance(refused.exception(20), RuntimeError)
        executor.submit(int).result(20)
        assert {thread.name for thread in executor._threads} == {"x_0"}


def test_one_that_is_dropped_lets_its_threads_end_which_can_be_joined(go):
    executor = rjobs.Executor(2)
    started(executor, go, 2)
    threads = executor._threads
    del executor
    gc.collect()
    go.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
