"""An executor or a pool in a manager whose queue is bounded; generator functions, whose generators are values there."""

import contextlib
import functools
import threading
import types

import pytest

import rjobs


def numbers(count=3):
    yield from range(count)


async def async_numbers():
    yield 1


class Numbers:
    def method(self):
        yield 1

    def __call__(self):
        yield 1


@functools.wraps(numbers)
def wrapped(*args):
    return numbers(*args)


MAKERS = [numbers, functools.partial(numbers, 2), Numbers().method, Numbers(), wrapped]


@pytest.mark.parametrize("in_a_manager", [False, True], ids=["own", "guest"])
@pytest.mark.parametrize("maker", MAKERS, ids=["function", "partial", "method", "object", "wrapper"])
def test_a_generator_is_a_value_as_with_the_originals(manager, maker, in_a_manager):
    given = manager if in_a_manager else None
    with rjobs.Executor(2, manager=given) as executor:
        future = executor.submit(maker)
        assert isinstance(future.result(10), types.GeneratorType)
        assert list(future.result()) in ([0, 1, 2], [0, 1], [1])
    with rjobs.Pool(2, manager=given) as pool:
        assert isinstance(pool.apply(maker), types.GeneratorType)
    with rjobs.Executor(2, manager=given) as executor, rjobs.Pool(2, manager=given) as pool:
        for made in (executor.map(numbers, [2]), pool.map(numbers, [2]), pool.imap(numbers, [2])):
            assert [list(each) for each in made] == [[0, 1]]
        assert isinstance(executor.submit(async_numbers).result(10), types.AsyncGeneratorType)


@pytest.mark.parametrize("face", [rjobs.Executor, rjobs.Pool])
def test_a_face_in_a_manager_with_a_full_queue_waits_for_room(face):
    manager = rjobs.JobManager(1, max_queued=1)
    guest, ran = face(2, manager=manager), []
    submit = guest.submit if face is rjobs.Executor else lambda fn, *args: guest.apply_async(fn, args)
    go = threading.Event()

    def feed():
        for number in range(20):
            submit(lambda number=number: go.wait(10) and ran.append(number))

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    go.set()
    feeder.join(10)
    assert not feeder.is_alive()
    if face is rjobs.Pool:
        guest.close()
        guest.join()
    else:
        guest.shutdown()
    assert ran == list(range(20))
    manager.shutdown()


def test_who_waits_for_room_when_a_pool_is_terminated():
    manager = rjobs.JobManager(1, max_queued=1)
    pool, results, is_full = rjobs.Pool(2, manager=manager), [], threading.Event()

    def feed():
        with contextlib.suppress(ValueError):
            for number in range(4):
                # One that runs, one that waits, and then there is no room.
                if number == 2:
                    is_full.set()
                results.append(pool.apply_async(threading.Event().wait))

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    assert is_full.wait(10)
    pool.terminate()
    feeder.join(10)
    assert not feeder.is_alive()
    pool.join()
    for result in results:
        with pytest.raises(rjobs.JobKilled):
            result.get(10)
    manager.shutdown()
