"""A function over many items: `map`, `starmap` and the group they give."""

import asyncio
import concurrent.futures
import contextvars
import gc
import itertools
import threading
import time
import weakref

import pytest

import rjobs


@pytest.mark.parametrize(
    "items",
    [
        [1, 2, 3],
        (1, 2, 3),
        range(1, 4),
        {1: "a", 2: "b", 3: "c"},
        b"\1\2\3",
        iter([1, 2, 3]),
        (item for item in (1, 2, 3)),
    ],
    ids=lambda items: type(items).__name__,
)
def test_the_results_of_any_iterable_come_in_order(manager, items):
    group = manager.map(lambda item: item * 2, items)
    assert isinstance(group, rjobs.JobGroup)
    assert isinstance(group, rjobs.Job)
    assert list(group) == [2, 4, 6]
    assert group.results(5) == group.get(5) == [2, 4, 6]
    assert group.state == "done"
    assert len(group) == 3
    assert list(group) == [2, 4, 6], "a second time"


@pytest.mark.parametrize("items", [[], (), range(0), "", iter(()), {}], ids=lambda items: type(items).__name__)
def test_no_items_are_a_group_that_is_done(manager, items):
    group = manager.map(abs, items)
    assert group.results(5) == []
    assert list(group) == []
    assert (group.state, len(group), bool(group), group.errors) == ("done", 0, True, {})


def test_several_iterables_end_with_the_shortest(manager):
    assert manager.map(pow, [2, 3], [3, 2, 1]).results(5) == [8, 9]
    assert manager.map(lambda *all_of_them: all_of_them, "ab", itertools.count(), [7, 8, 9]).results(5) == [
        ("a", 0, 7),
        ("b", 1, 8),
    ]
    assert manager.map(pow, [], itertools.count()).results(5) == []


def test_starmap_calls_with_the_parts_of_each_item(manager):
    assert manager.starmap(pow, [(2, 3), (3, 2)]).results(5) == [8, 9]
    assert manager.starmap(lambda *args: args, iter([(), (1,), "ab"])).results(5) == [(), (1,), ("a", "b")]


def test_many_items_by_the_batch_are_each_done_once(manager):
    seen = []
    group = manager.map(lambda item: seen.append(item) or -item, range(100_000))
    assert group.results(30) == list(range(0, -100_000, -1))
    assert sorted(seen) == list(range(100_000))


def test_options_hold_for_groups(manager):
    group = manager.options(name="doubling", daemon=False).map(abs, [-1])
    assert (group.name, group.daemon, group.get(5)) == ("doubling", False, [1])
    assert manager.options(name="powers").starmap(pow, [(1, 2)]).name == "powers"


def test_it_is_one_job_in_the_table_with_its_progress(manager, capsys, make_gate):
    gate = make_gate(2)
    group = manager.map(gate, range(5), workers=1, chunksize=1)
    gate.wait_for(3)
    assert manager.running == [group]
    assert (group.progress.done, group.progress.total) == (2, 5)
    manager.status()
    assert " 40%" in capsys.readouterr().out
    assert "40% of 5, " in manager._repr_html_()
    gate.go()
    group.get(5)
    assert (group.progress.done, group.progress.eta) == (5, 0.0)
    assert len(manager) == 1
    assert "5/5" in repr(group)


def test_results_come_while_others_still_run(manager, make_gate):
    gate = make_gate(3)
    group = manager.map(gate, range(5))
    assert list(itertools.islice(group, 3)) == [0, 1, 2]
    assert sorted(itertools.islice(group.as_completed(), 4)) == [0, 1, 2, 4]
    assert group.state == "running"
    gate.go()
    assert list(group) == [0, 1, 2, 3, 4]


def test_unordered_results_come_as_they_are_done(manager, make_gate):
    gate = make_gate(0)
    group = manager.map(gate, range(3), ordered=False)
    results = iter(group)
    assert {next(results), next(results)} == {1, 2}
    gate.go()
    assert list(results) == [0]
    assert group.results() == [0, 1, 2]


@pytest.mark.parametrize("chunksize", [None, 1000])
def test_a_slow_item_does_not_take_its_batch_along(manager, chunksize):
    slow = 50_500
    done = threading.Event()

    def some_wait(item):
        if item == slow:
            assert done.wait(20)
        return item

    group = manager.map(some_wait, range(100_000), chunksize=chunksize)
    others = set(itertools.islice(group.as_completed(timeout=20), 99_999))
    assert others == set(range(100_000)) - {slow}
    assert group.progress.done == 99_999
    done.set()
    assert group.results(10) == list(range(100_000))


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.stress)])
def test_a_consumer_sees_what_is_done_of_a_batch_that_still_runs(manager, rounds):
    """Also who waited before the batch began: one in a hundred did not, when that was not told (`Group::take_off`)."""

    def last_waits(item):
        if item == 9:
            assert go.wait(20)
        return item

    for _ in range(rounds):
        go = threading.Event()
        group = manager.map(last_waits, range(10), chunksize=10, workers=1)
        assert list(itertools.islice(group, 9)) == list(range(9))
        go.set()
        assert group.results(5) == list(range(10))


def test_items_that_wait_are_spread_over_all_workers(manager):
    barrier = threading.Barrier(30)
    assert len(manager.map(lambda _: barrier.wait(20), range(30), workers=30).results(20)) == 30


def test_there_are_never_more_workers_than_were_asked_for(manager, make_gate):
    gate = make_gate(*range(20))
    group = manager.map(gate, range(20), workers=3)
    gate.wait_for(3)
    manager.submit(int).get(5)
    assert len(gate.begun) == 3
    gate.go()
    assert group.results(5) == list(range(20))


def test_other_jobs_have_their_turn_while_a_group_has_items(single):
    done = threading.Event()
    group = single.map(lambda _: done.is_set() or time.sleep(0), range(1_000_000))
    job = single.submit(done.set)
    job.get(10)
    assert group.state == "running"
    assert group.kill()


def test_a_queued_group_can_be_cancelled(single):
    go = threading.Event()
    single.submit(go.wait, 20)
    group = single.map(abs, [1])
    assert group.state == "queued"
    assert group.cancel()
    go.set()
    with pytest.raises(concurrent.futures.CancelledError):
        group.get(5)
    with pytest.raises(concurrent.futures.CancelledError):
        list(group)


def test_a_group_is_waited_for_as_any_job(manager):
    done, not_done = manager.wait([manager.map(abs, [-1]), manager.submit(int)], timeout=5)
    assert ([job.get() for job in done], not_done) == ([[1], 0], [])
    group = manager.map(abs, [-1])
    assert group.future.result(5) == [1]

    async def main():
        return await manager.map(abs, [-2])

    assert asyncio.run(main()) == [2]
    ended = []
    group.add_done_callback(ended.append)
    assert ended == [group]


def test_inside_an_item_the_job_is_the_group(manager):
    def talk(item):
        print("item", item)
        return rjobs.current_job()

    group = manager.map(talk, range(3), workers=1)
    assert all(job is group for job in group.results(5))
    assert group.output == "item 0\nitem 1\nitem 2\n"


def test_items_run_in_the_callers_context(manager):
    var = contextvars.ContextVar("var", default=0)
    var.set(5)
    assert set(manager.map(lambda _: var.get(), range(100)).results(5)) == {5}


def test_coroutine_functions_are_run(manager):
    async def double(item):
        await asyncio.sleep(0)
        return item * 2

    assert manager.map(double, range(3)).results(5) == [0, 2, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_map_inside_a_job_of_the_same_manager_ends(workers):
    with rjobs.JobManager(max_workers=workers) as manager:

        def inner(number):
            return manager.map(lambda item: item + number, range(3)).results(20)

        assert manager.submit(inner, 1).get(20) == [1, 2, 3]
        assert manager.map(inner, range(2)).results(20) == [[0, 1, 2], [1, 2, 3]]
        assert manager.submit(lambda: list(manager.map(abs, iter([-1])))).get(20) == [1]
        assert manager.submit(lambda: manager.wait([manager.map(abs, [1])], 20).not_done).get(20) == []


def test_an_endless_iterable_is_read_no_further_than_a_thousand_ahead(manager):
    group = manager.map(abs, itertools.count())
    results = iter(group)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    # Ahead of what was taken together: these five, and up to sixteen at once.
    while group.progress.done < 989:
        time.sleep(0.001)
    manager.submit(int).get(5)
    assert 989 <= group.progress.done <= 1005
    with pytest.raises(TypeError, match="not known"):
        len(group)
    assert list(itertools.islice(results, 5000)) == list(range(5, 5005))
    assert group.kill()


def test_a_buffersize_bounds_what_is_pulled_and_what_is_kept(manager):
    class Result:
        pass

    pulled, alive = [], weakref.WeakSet()

    def numbers():
        for number in itertools.count():
            pulled.append(number)
            yield number

    def make(_):
        result = Result()
        alive.add(result)
        return result

    results = iter(manager.map(make, numbers(), buffersize=4))
    for taken in range(1, 200):
        next(results)
        assert len(pulled) <= taken + 4
    gc.collect()
    assert len(alive) <= 5
    manager.kill_all()


def test_who_waits_for_the_whole_group_is_not_held_back(manager):
    group = manager.map(abs, iter(range(5000)), buffersize=2)
    assert group.get(20) == list(range(5000))
    results = iter(group := manager.map(abs, iter(range(5000))))
    assert next(results) == 0
    assert group.results(20) == list(range(5000))
    with rjobs.JobManager() as other:
        group = other.map(abs, iter(range(5000)), buffersize=2)
    assert group.state == "done"


def test_a_finished_group_lets_go_of_function_and_items(manager):
    class Watched:
        def __call__(self, _):
            return 1

    function, item = Watched(), Watched()
    gone = [weakref.ref(function), weakref.ref(item)]
    group = manager.map(function, [item] * 10)
    assert group.results(5) == [1] * 10
    assert group.func is None
    del function, item
    manager.submit(int).get(5)
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
