"""`rjobs.Pool.terminate()` and kills: they really end the work."""

import time

import pytest

import rjobs


@pytest.fixture
def pool():
    with rjobs.Pool(3) as pool:
        yield pool
    pool.join()


def test_terminate_ends_what_runs_and_what_waits(stay):
    pool = rjobs.Pool(2)
    single = pool.apply_async(stay)
    mapped = pool.map_async(stay, range(20), 1)
    stay.wait_for(2)
    told = []
    called = pool.apply_async(stay, callback=told.append, error_callback=told.append)
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert all(result.ready() for result in (single, mapped, called))
    assert time.monotonic() - began < 5
    for result in (single, mapped, called):
        with pytest.raises(rjobs.JobKilled):
            result.get()
        assert not result.successful()
    assert [type(error) for error in told] == [rjobs.JobKilled]
    # Their clean-up ran, and no other began.
    assert stay.cleaned.acquire(timeout=0)
    assert stay.cleaned.acquire(timeout=0)
    assert not stay.begun.acquire(timeout=0)
    assert repr(pool) == "<rjobs._pool.Pool state=TERMINATE pool_size=2>"


def test_leaving_the_with_block_terminates(stay):
    with rjobs.Pool(1) as pool:
        result = pool.apply_async(stay)
        stay.wait_for(1)
    assert isinstance(result.job.exception(), rjobs.JobKilled)
    pool.join()


def test_terminate_ends_an_iterable_that_blocks(stay):
    def items():
        yield 1
        stay()

    pool = rjobs.Pool(1)
    results = pool.imap(abs, items())
    assert next(results) == 1
    stay.wait_for(1)
    pool.terminate()
    pool.join()
    with pytest.raises(rjobs.JobKilled):
        results.next(10)
    assert stay.cleaned.acquire(timeout=10)


def test_terminate_of_a_guest_leaves_the_others_alone(manager, stay):
    mine = manager.submit(stay)
    pool = rjobs.Pool(1, manager=manager)
    results = [pool.apply_async(stay) for _ in range(3)]
    stay.wait_for(2)
    pool.terminate()
    pool.join()
    assert [result.job.state for result in results] == ["killed"] * 3
    assert mine.running()
    assert [job.state for job in manager] == ["running"] + ["killed"] * 3


def test_a_killed_call_raises_at_once(pool, stay):
    results = pool.imap(stay, [1])
    single = pool.apply_async(stay)
    stay.wait_for(2)
    assert pool.manager.kill_all()
    for get in (single.get, results.next):
        with pytest.raises(rjobs.JobKilled):
            get(10)


def test_an_endless_iterable_waits_for_the_workers(stay):
    taken = []

    def numbers():
        while True:
            taken.append(None)
            yield len(taken)

    pool = rjobs.Pool(2)
    results = pool.imap(stay, numbers())
    stay.wait_for(2)
    feed = next(iter(pool._feeds))
    # It has come to a pause when this many wait.
    while len(pool.manager) < 10_000:
        time.sleep(0.001)
    pool.terminate()
    feed.join()
    assert len(taken) < 11_000
    with pytest.raises(rjobs.JobKilled):
        next(results)
    pool.join()
