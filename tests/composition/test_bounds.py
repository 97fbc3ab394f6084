"""The far ends of what may be asked for: very slow rates, very many that wait, a queue that is full half-way."""

import threading
import time

import pytest

import rjobs


@pytest.mark.parametrize("rate", [6e-20, 1e-12])
def test_a_rate_of_one_in_an_age(manager, rate):
    manager.limit("slow", rate=rate)
    view = manager.options(limit="slow")
    first, second = view.submit(int), view.submit(int)
    assert first.get(10) == 0
    assert (second.state, second.waiting_for) == ("queued", "limit")
    assert second.kill()


def test_very_many_that_wait_for_a_limit_end_at_once(manager, held):
    """Each is found where it waits, and not looked for among all of them."""
    manager.limit("one", concurrency=1)
    view = manager.options(limit="one")
    before = held(view)

    def seconds(count):
        jobs = [view.submit(int) for _ in range(count)]
        began = time.perf_counter()
        for job in jobs:
            assert job.cancel()
        return time.perf_counter() - began

    few, many = seconds(2_000), seconds(20_000)
    assert manager.limits == {"one": (1, 0)}
    assert many < 40 * few, "ten times as many, and not a hundred times the work"
    assert before.kill()


def test_many_who_wait_for_room_are_told_of_the_end(held):
    manager = rjobs.JobManager(1, max_queued=1)
    held(manager)
    manager.submit(int)
    outcomes = []

    def submit():
        try:
            outcomes.append(manager.submit(int).state)
        except rjobs.ManagerClosed:
            outcomes.append("closed")

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    manager.shutdown(wait=False)
    held.go()
    for thread in threads:
        thread.join(10)
    assert outcomes == ["closed"] * 20
    manager.shutdown()


def test_a_chain_that_does_not_fit_leaves_nothing_behind(held):
    manager = rjobs.JobManager(1, max_queued=2, on_full="reject")
    first, ran = held(manager), []
    with pytest.raises(rjobs.QueueFull):
        manager.chain(lambda: ran.append(1), lambda _: ran.append(2), lambda _: ran.append(3))
    assert list(manager) == [first]
    # There is room again, for two.
    jobs = [manager.submit(int), manager.submit(int)]
    held.go()
    manager.wait(jobs, 10)
    assert not ran


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    assert rjobs.JobManager(numpy.int64(3)).max_workers == 3
    with rjobs.Executor(numpy.int32(2)) as executor, rjobs.Pool(numpy.int64(2)) as pool:
        assert list(executor.map(int, "12")) == pool.map(int, "12") == [1, 2]
    with pytest.raises(TypeError, match="must be an int, not float"):
        rjobs.JobManager(2.0)
