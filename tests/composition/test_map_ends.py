"""How a group and its items end: failed, late, killed, stopped; and failed items run again."""

import itertools
import threading
import time

import pytest

import rjobs


def odd_fails(item):
    if item % 2:
        raise ValueError(item)
    return item


def test_failed_items_are_told_and_the_others_are_done(manager):
    group = manager.map(odd_fails, range(5))
    assert group.wait(5)
    assert group.state == "failed"
    assert {item: error.args for item, error in group.errors.items()} == {1: (1,), 3: (3,)}
    with pytest.raises(ValueError, match="1"):
        group.results()
    with pytest.raises(ValueError, match="1") as raised:
        group.get()
    assert raised.value is group.errors[1] is group.exception()
    mixed = group.results(return_exceptions=True)
    assert mixed == [0, group.errors[1], 2, group.errors[3], 4]
    assert group.progress.done == 5


def test_iterating_raises_at_its_place_and_goes_on_behind(manager, drained):
    group = manager.map(odd_fails, range(4))
    assert drained(iter(group)) == [0, group.errors[1], 2, group.errors[3]]
    assert set(drained(group.as_completed())) == {0, group.errors[1], 2, group.errors[3]}


def test_tracebacks_begin_with_the_users_code(manager):
    error = manager.map(odd_fails, [1]).exception(5)
    assert error.__traceback__.tb_frame.f_code is odd_fails.__code__
    assert error.__traceback__.tb_next is None


def test_an_item_that_raises_stop_iteration_does_not_end_the_iteration(manager, drained):
    def stops(item):
        raise StopIteration(item)

    group = manager.map(stops, [1, 2])
    seen = drained(iter(group))
    assert [type(error) for error in seen] == [RuntimeError, RuntimeError]
    assert [error.__cause__ for error in seen] == list(group.errors.values())


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), rjobs.JobKilled("by itself"), GeneratorExit()])
def test_whatever_an_item_raises_is_its_own_failure(manager, error):
    def raising(item):
        if item == 1:
            raise error
        return item

    group = manager.map(raising, range(3))
    assert group.wait(5)
    assert (group.state, group.errors) == ("failed", {1: error})
    assert group.results(return_exceptions=True) == [0, error, 2]


def test_failed_items_can_be_run_again(manager):
    broken = {1, 3}

    def fragile(item, factor):
        if item in broken:
            raise ValueError(item)
        return item * factor

    group = manager.options(name="fragile").map(fragile, range(5), itertools.repeat(10))
    group.wait(5)
    broken.remove(1)
    again = group.retry_failed()
    assert again.wait(5)
    assert (again.name, list(again.errors)) == ("fragile", [1])
    broken.clear()
    assert again.retry_failed().results(5) == [30]
    assert group.retry_failed().results(5) == [10, 30]
    assert manager.map(abs, [1]).retry_failed().results(5) == []


def test_a_timeout_is_for_each_item(manager):
    group = manager.options(timeout=0.1).map(lambda item: time.sleep(20) if item == 1 else item, range(3))
    assert group.wait(10)
    assert group.state == "failed"
    assert isinstance(group.errors[1], rjobs.JobTimeout)
    assert "item 1" in str(group.errors[1])
    assert group.results(return_exceptions=True) == [0, group.errors[1], 2]


def test_waiting_has_its_own_time(manager, make_gate):
    gate = make_gate(0)
    group = manager.map(gate, [0])
    assert not group.wait(0.01)
    with pytest.raises(TimeoutError):
        group.results(0.01)
    with pytest.raises(TimeoutError):
        next(group.as_completed(timeout=0.01))
    gate.go()
    assert group.wait(5)


def test_kill_ends_all_items_that_run_and_begins_no_other(manager, drained):
    begun, cleaned, ready = [], [], threading.Barrier(6)

    def long(item):
        begun.append(item)
        try:
            if item:
                ready.wait(10)
                time.sleep(60)
        finally:
            cleaned.append(item)
        return item

    group = manager.map(long, range(100), workers=5)
    ready.wait(10)
    assert group.kill()
    assert group.state == "killed"
    assert len(begun) == len(cleaned) == 6
    for end in (group.get, group.results):
        with pytest.raises(rjobs.JobKilled, match="was killed"):
            end()
    assert drained(itertools.islice(group, 1)) == [0], "what was done before stays"
    assert manager.submit(int).get(5) == 0


def test_a_killed_group_raises_that_behind_its_results(manager, make_gate):
    gate = make_gate(2)
    group = manager.map(gate, range(10), workers=1, chunksize=1)
    results = iter(group)
    assert [next(results), next(results)] == [0, 1]
    assert group.kill(exc=InterruptedError)
    with pytest.raises(InterruptedError):
        next(results)
    assert list(results) == []


def test_stop_lets_items_in_flight_end_and_begins_no_other(manager, make_gate):
    gate = make_gate(0, 1)
    group = manager.map(gate, range(100), workers=2)
    gate.wait_for(2)
    stopping = manager.submit(group.stop, 20)
    while not group.stop_requested:
        time.sleep(0.001)
    gate.go()
    assert stopping.get(10)
    assert sorted(gate.begun) == [0, 1]
    assert group.state == "killed"
    assert list(itertools.islice(group, 2)) == [0, 1]
    with pytest.raises(rjobs.JobKilled, match="asked to stop"):
        group.get()
