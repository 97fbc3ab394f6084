"""Groups under races: no item is run twice or lost, whatever is slow, fails, is robbed or killed meanwhile."""

import contextlib
import itertools
import random
import sys
import threading
import time

import pytest

import rjobs


@pytest.fixture(params=[1e-6, 0.005], ids=["switching at once", "switching as usual"])
def switching(request):
    """How soon threads take turns."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def eight():
    eight = rjobs.JobManager(max_workers=8)
    yield eight
    eight.shutdown(kill=True)


class Items:
    """Some items, a function for them, and what it was called with."""

    def __init__(self, chance):
        self.count = chance.choice([1, 7, 100, 3000])
        some = chance.choice([0, 1, 5, 20])
        self.slow = {chance.randrange(self.count): chance.choice([0.0005, 0.003, 0.012]) for _ in range(some)}
        self.bad = {chance.randrange(self.count) for _ in range(chance.choice([0, 0, 1, 10]))}
        self.calls = []

    def __call__(self, item, *_):
        self.calls.append(item)
        if item in self.slow:
            time.sleep(self.slow[item])
        if item in self.bad:
            raise ValueError(item)
        return item * 2

    def sources(self):
        yield (list(range(self.count)),)
        yield (tuple(range(self.count)),)
        yield (range(self.count),)
        yield (iter(range(self.count)),)
        yield (dict.fromkeys(range(self.count)),)
        yield (range(self.count), itertools.count())

    def expected(self):
        return [("error", item) if item in self.bad else item * 2 for item in range(self.count)]


def plain(results):
    return [("error", result.args[0]) if isinstance(result, ValueError) else result for result in results]


@pytest.mark.parametrize("seed", range(3))
def test_no_item_is_lost_or_run_twice(eight, switching, seed, drained):
    chance = random.Random(seed)
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        items = Items(chance)
        options = {
            "workers": chance.choice([None, 1, 2, 5]),
            "chunksize": chance.choice([None, None, 1, 50, 5000]),
            "ordered": chance.choice([True, False]),
            "buffersize": chance.choice([None, None, 1, 10]),
        }
        group = eight.map(items, *chance.choice(list(items.sources())), **options)
        how = chance.choice(["iterate", "as completed", "results"])
        if how == "results":
            seen = group.results(30, return_exceptions=True)
        else:
            seen = drained(iter(group) if how == "iterate" else group.as_completed(30), ValueError)
        told = (options, how, items.count, items.slow, items.bad)
        assert sorted(items.calls) == list(range(items.count)), told
        if how == "as completed" or (how == "iterate" and not options["ordered"]):
            assert sorted(map(str, plain(seen))) == sorted(map(str, items.expected())), told
        else:
            assert plain(seen) == items.expected(), told
        assert group.wait(10)
        assert group.state == ("failed" if items.bad else "done"), told
        assert set(group.errors) == items.bad, told
        again, items.bad = sorted(items.bad), set()
        assert group.retry_failed().results(30) == [item * 2 for item in again], told
        eight.remove(group)


@pytest.mark.parametrize("ordered", [True, False])
def test_several_who_iterate_a_group_all_see_everything(eight, switching, ordered):
    group = eight.map(lambda item: item, iter(range(3000)), ordered=ordered)
    readers = [eight.submit(list, group) for _ in range(3)]
    assert [sorted(reader.get(30)) for reader in readers] == [list(range(3000))] * 3


def test_several_who_iterate_a_buffer_share_it(eight, switching):
    group = eight.map(lambda item: item, iter(range(3000)), buffersize=5)
    readers = [eight.submit(list, group) for _ in range(3)]
    assert sorted(itertools.chain(*[reader.get(30) for reader in readers])) == list(range(3000))


def test_one_worker_and_one_place_hand_over_to_each_other(eight, switching):
    group = eight.map(lambda item: item, iter(range(1000)), workers=1, buffersize=1, chunksize=1)
    assert list(group) == list(range(1000))


def test_a_group_killed_while_it_is_iterated(eight, switching):
    for number in range(60):
        begun = []
        ended = []

        def item(index, begun=begun, ended=ended):
            begun.append(index)
            time.sleep(0.001 if index % 7 == 0 else 0)
            ended.append(index)
            return index

        group = eight.map(item, itertools.count(), ordered=bool(number % 2))
        killer = threading.Timer(random.random() / 50, group.kill)
        killer.start()
        seen = []
        with pytest.raises(rjobs.JobKilled):
            # What came before the exception stays in the list.
            seen.extend(group)
        killer.join()
        assert group.state == "killed"
        # Kill returns when all that ran has ended: nothing begins any more.
        count = len(begun)
        assert len(set(begun)) == count
        assert set(seen) <= set(ended)
        assert eight.map(abs, range(-3, 0)).results(10) == [3, 2, 1]
        assert len(begun) == count
        eight.flush()


def test_a_kill_in_the_middle_of_batches_hits_nobody_else(eight, switching):
    for _ in range(40):
        group = eight.map(lambda item: sum(range(item % 50)), range(10_000_000))
        others = [eight.submit(lambda: sum(range(2000))) for _ in range(5)]
        time.sleep(random.random() / 100)
        assert group.kill()
        assert {other.get(10) for other in others} == {sum(range(2000))}
        assert group.state == "killed"
        eight.flush()


def test_deadlines_hit_their_own_item_only(eight, switching):
    for _ in range(20):
        slow = set(random.sample(range(200), 5))
        group = eight.options(timeout=0.03).map(
            lambda item, slow=slow: time.sleep(0.5) if item in slow else time.sleep(0.0003) or item,
            range(200),
        )
        assert group.wait(20)
        assert slow <= set(group.errors)
        # On a machine that is busy others may be late, too; but what has a result was not struck.
        results = group.results(return_exceptions=True)
        for item, result in enumerate(results):
            assert result == item or isinstance(result, rjobs.JobTimeout), (item, result)
        eight.flush()


def test_stop_and_kill_and_the_end_may_come_together(eight, switching):
    for number in range(100):
        group = eight.map(lambda item: item, range(random.choice([1, 100, 20_000])))
        end = [group.kill, lambda group=group: group.stop(0), group.wait, lambda group=group: list(group)][number % 4]
        threads = [threading.Thread(target=group.kill), threading.Thread(target=lambda group=group: group.stop(0))]
        for thread in threads:
            thread.start()
        with contextlib.suppress(rjobs.JobKilled):
            end()
        for thread in threads:
            thread.join(10)
        assert group.wait(10)
        assert group.state in ("done", "killed", "cancelled")
        if group.state == "done":
            assert len(group.get()) == len(group)
        eight.flush()
