"""What `map` is given that it cannot use, and iterables that break."""

import itertools
import threading

import pytest

import rjobs


@pytest.mark.parametrize("view", [False, True], ids=["manager", "view"])
@pytest.mark.parametrize("name", ["workers", "chunksize", "buffersize"])
@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (-(10**30), ValueError), (1.5, TypeError), ("3", TypeError)]
)
def test_a_number_that_makes_no_sense_is_refused_at_once(manager, view, name, value, error):
    on = manager.options(name="x") if view else manager
    with pytest.raises(error, match=name):
        on.map(abs, [1], **{name: value})
    with pytest.raises(error, match=name):
        on.starmap(abs, [(1,)], **{name: value})
    assert len(manager) == 0


def test_numbers_beyond_all_measure_are_no_limit(manager):
    assert manager.map(abs, [-1], workers=10**30, chunksize=10**30, buffersize=10**30).results(5) == [1]


@pytest.mark.parametrize("function", [None, 3, "abs", [abs]])
def test_what_cannot_be_called_is_refused_at_once(manager, function):
    with pytest.raises(TypeError, match="callable"):
        manager.map(function, [1])
    with pytest.raises(TypeError, match="callable"):
        manager.starmap(function, [(1,)])
    assert len(manager) == 0


def test_what_cannot_be_iterated_is_refused_at_once(manager):
    for call in (lambda: manager.map(abs, 3), lambda: manager.map(pow, [1], None), lambda: manager.starmap(pow, 3)):
        with pytest.raises(TypeError, match=r"iterable|iteration"):
            call()
    with pytest.raises(TypeError, match="at least one iterable"):
        manager.map(abs)
    with pytest.raises(TypeError):
        manager.map(abs, [1], ordered="yes")
    with pytest.raises(TypeError):
        manager.map(abs, [1], nonsense=1)
    assert len(manager) == 0


def test_what_breaks_when_it_is_asked_raises_at_once(manager):
    class BrokenIter:
        def __iter__(self):
            raise OSError("no iterator")

    class BrokenLength:
        def __iter__(self):
            return iter([1])

        def __len__(self):
            raise OSError("no length")

    with pytest.raises(OSError, match="no iterator"):
        manager.map(abs, BrokenIter())
    with pytest.raises(OSError, match="no length"):
        manager.map(abs, BrokenLength())
    assert len(manager) == 0


def test_a_length_that_is_wrong_does_no_harm(manager):
    class Wrong:
        def __init__(self, length):
            self.length = length

        def __iter__(self):
            return iter([1, 2, 3])

        def __len__(self):
            return self.length

    for length in (0, 2, 100):
        group = manager.map(abs, Wrong(length))
        assert group.results(5) == [1, 2, 3]
        assert (len(group), group.progress.done) == (3, 3)


@pytest.mark.parametrize("options", [{}, {"buffersize": 2}, {"workers": 1, "chunksize": 2}, {"ordered": False}])
def test_an_iterable_that_raises_half_way_loses_nothing(manager, options, drained):
    error = OSError("broken")

    def items():
        yield from range(50)
        raise error

    group = manager.map(lambda item: item * 2, items(), **options)
    seen = drained(iter(group))
    assert seen[-1] is error
    assert sorted(seen[:-1]) == list(range(0, 100, 2))
    assert group.wait(5)
    assert (group.state, group.errors, len(group), group.progress.done) == ("failed", {}, 50, 50)
    with pytest.raises(OSError, match="broken"):
        group.get()
    with pytest.raises(OSError, match="broken"):
        group.results(return_exceptions=True)


def test_the_first_error_is_an_items_where_one_failed_before_the_iterable_did(manager, drained):
    def items():
        yield 0
        raise OSError("broken")

    group = manager.map(lambda item: 1 / item, items())
    with pytest.raises(ZeroDivisionError):
        group.get(5)
    assert [type(error) for error in drained(iter(group))] == [ZeroDivisionError, OSError]


@pytest.mark.parametrize("error", [StopIteration(3), SystemExit(3), KeyboardInterrupt()])
def test_an_iterable_may_raise_anything(manager, error):
    class Breaking:
        def __iter__(self):
            return self

        def __next__(self):
            raise error

    group = manager.map(abs, Breaking())
    assert group.wait(5)
    # StopIteration is its end.
    assert group.state == ("done" if isinstance(error, StopIteration) else "failed")
    assert group.exception() is (None if group.state == "done" else error)


def test_an_iterable_that_hangs_is_ended_by_a_kill(manager):
    inside, ended, never = threading.Event(), threading.Event(), threading.Event()

    def items():
        yield 1
        try:
            inside.set()
            never.wait(60)
        finally:
            ended.set()
        yield 2

    group = manager.map(abs, items())
    assert inside.wait(5)
    assert next(iter(group)) == 1
    assert group.kill()
    assert group.state == "killed"
    assert ended.wait(5)


def test_a_list_that_changes_meanwhile_does_no_harm(manager):
    items = list(range(1000))
    group = manager.map(items.append, items, chunksize=10)
    assert len(group.results(10)) == 1000
    items = list(range(1000))
    group = manager.map(lambda _: items.clear(), items, chunksize=10, workers=1)
    assert group.wait(10)
    assert group.state == "done"
    assert len(group.results()) == len(group) == group.progress.done == 10


def test_starmap_with_items_that_are_no_arguments_fails_these_only(manager):
    group = manager.starmap(pow, [(2, 3), 5, (1,)])
    assert group.wait(5)
    assert group.results(return_exceptions=True)[0] == 8
    assert [type(error) for error in group.errors.values()] == [TypeError, TypeError]


def test_after_shutdown_there_are_no_groups(manager):
    failed = manager.map(abs, ["x"])
    failed.wait(5)
    manager.shutdown()
    for call in (lambda: manager.map(abs, [1]), lambda: manager.starmap(abs, [(1,)]), failed.retry_failed):
        with pytest.raises(rjobs.ManagerClosed):
            call()


def test_a_group_is_made_by_a_manager_only():
    with pytest.raises(TypeError):
        rjobs.JobGroup()


def test_a_shutdown_waits_for_groups_that_were_accepted():
    with rjobs.JobManager(max_workers=2) as manager:
        groups = [manager.map(abs, iter(range(2000))), manager.map(abs, range(2000)), manager.submit(int)]
    assert [group.state for group in groups] == ["done"] * 3


def test_a_shutdown_with_kill_ends_endless_groups():
    manager = rjobs.JobManager(max_workers=2)
    groups = [manager.map(abs, itertools.count(), buffersize=3) for _ in range(4)]
    manager.shutdown(kill=True)
    assert {group.state for group in groups} <= {"killed", "cancelled"}
