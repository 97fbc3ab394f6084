"""`group[i]`: the result of one item, as soon as it is there."""

import itertools
import threading

import pytest

import rjobs


def double(x):
    return 2 * x


def test_items_are_what_the_list_of_results_has(manager):
    group = manager.map(double, range(10))
    expected = [double(n) for n in range(10)]
    assert [group[n] for n in range(-10, 10)] == [expected[n] for n in range(-10, 10)]
    for part in (
        slice(2, 5),
        slice(None),
        slice(-3, None),
        slice(None, None, -2),
        slice(8, 100),
        slice(5, 2),
        slice(1, 9, 3),
    ):
        assert group[part] == expected[part], part
    assert group[True] == expected[True]
    assert group.results() == expected


def test_an_item_is_there_before_the_group_has_ended(manager):
    go = threading.Event()
    group = manager.map(lambda n: go.wait(10) if n == 3 else n, range(4), workers=2, chunksize=1)
    assert group[1] == 1
    assert group[0:2] == [0, 1]
    assert group.running()
    go.set()
    assert group[-1] is True


@pytest.mark.parametrize("index", [5, -6, 10**30, -(10**30)])
def test_an_item_that_is_not_there_is_an_index_error(manager, index):
    group = manager.map(double, range(5))
    with pytest.raises(IndexError, match=rf"no item {index} in job 0 \('double'\): it has 5 items"):
        group[index]
    assert group.results() == [0, 2, 4, 6, 8]


def test_of_a_known_length_what_is_not_there_is_said_at_once(manager):
    go = threading.Event()
    group = manager.map(lambda _: go.wait(10), [1])
    with pytest.raises(IndexError, match="it has 1 item"):
        group[1]
    assert group.running()
    go.set()


def test_an_item_that_failed_raises_what_it_raised(manager):
    group = manager.map(lambda n: 1 // (n - 2), range(5))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            group[2]
    assert group[3] == 1
    with pytest.raises(ZeroDivisionError):
        group[1:4]
    assert group[3:] == [1, 0]


@pytest.mark.parametrize("key", ["0", 1.0, None, (0,)])
def test_what_is_no_index_is_a_type_error(manager, key):
    group = manager.map(double, range(3))
    with pytest.raises(TypeError, match=f"not by {type(key).__qualname__}"):
        group[key]
    with pytest.raises(ValueError, match="zero"):
        group[::0]


def test_iterables_without_a_length(manager):
    group = manager.map(double, iter(range(20)))
    assert group[-1] == 38
    assert group[15:] == [30, 32, 34, 36, 38]
    assert group[18:25] == [36, 38]
    with pytest.raises(IndexError):
        group[20]


def test_an_endless_group_goes_as_far_as_is_asked(manager):
    group = manager.map(double, itertools.count())
    # Beyond what is ahead of who takes nothing.
    assert group[5000] == 10_000
    assert group[10:13] == [20, 22, 24]
    assert group.kill() is True
    assert group[5000] == 10_000
    for missing in (10**9, -1):
        with pytest.raises(rjobs.JobKilled):
            group[missing]


def test_asking_for_an_item_holds_back_nobody(manager):
    group = manager.map(double, iter(range(5000)))
    assert group[0] == 0
    # Nobody iterates it, and it ends all the same.
    assert group.wait(20) is True
    assert group[4999] == 9998


def test_what_the_iterable_raised_is_raised_behind_its_items(manager):
    def source():
        yield from range(3)
        raise ValueError("the source")

    group = manager.map(double, source())
    assert group[2] == 4
    for missing in (3, -1):
        with pytest.raises(ValueError, match="the source"):
            group[missing]


def test_a_group_that_forgets_what_was_taken_has_no_items(manager):
    group = manager.map(double, range(5), buffersize=2)
    with pytest.raises(TypeError, match="with a buffersize gives each result once"):
        group[0]
    assert list(group) == [0, 2, 4, 6, 8]


def test_a_job_may_ask_for_items(single):
    group = single.options(name="numbers").map(double, range(3))
    assert single.submit(lambda: group[-1]).get(20) == 4


def test_a_wait_for_an_item_can_be_killed(manager):
    go, waiting = threading.Event(), threading.Event()
    group = manager.map(lambda _: go.wait(20), [1])

    def ask():
        waiting.set()
        return group[0]

    job = manager.submit(ask)
    assert waiting.wait(10)
    assert job.kill() is True
    assert job.state == "killed"
    assert group.running()
    go.set()


def test_a_job_that_is_no_group_has_no_items(manager):
    with pytest.raises(TypeError, match="not subscriptable"):
        manager.submit(int)[0]
