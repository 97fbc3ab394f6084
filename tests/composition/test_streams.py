"""The values that a job gives before its end: generators as jobs, `send`, and who reads them."""

import functools
import threading
from concurrent.futures import CancelledError

import pytest

import rjobs


def numbers(to, *, start=0):
    yield from range(start, to)
    return f"{to} in all"


def sends(to):
    for number in range(to):
        rjobs.current_job().send(number)
    return "sent"


class TestValues:
    def test_a_generator_function_gives_its_values_as_they_come(self, manager, go):
        def one_by_one():
            yield 1
            assert go.wait(10)
            yield 2

        values = iter(manager.submit(one_by_one))
        assert next(values) == 1
        go.set()
        assert list(values) == [2]

    def test_what_it_returns_is_the_result(self, manager):
        job = manager.submit(numbers, 5)
        assert list(job) == [0, 1, 2, 3, 4]
        assert job.get(5) == "5 in all"
        assert job.state == "done"

    def test_any_function_can_send(self, manager):
        job = manager.submit(sends, 5)
        assert list(job) == [0, 1, 2, 3, 4]
        assert job.get(5) == "sent"

    def test_a_generator_can_send_too(self, manager):
        def both():
            yield 1
            rjobs.current_job().send(2)
            yield 3

        assert list(manager.submit(both)) == [1, 2, 3]

    def test_a_thread_that_the_job_started_can_send(self, manager):
        def work():
            thread = threading.Thread(target=sends, args=[3])
            thread.start()
            thread.join()

        assert list(manager.submit(work)) == [0, 1, 2]

    def test_a_job_that_gives_nothing_has_no_values(self, manager):
        assert list(manager.submit(int)) == []
        done = manager.submit(int)
        done.join(5)
        assert list(done) == []

    def test_values_that_nobody_read_stay_after_the_end(self, manager):
        job = manager.submit(numbers, 5)
        assert job.get(5) == "5 in all"
        values = iter(job)
        assert next(values) == 0
        assert list(job) == [1, 2, 3, 4]
        assert list(values) == []

    def test_the_loop_ends_with_what_the_job_raised(self, manager):
        def breaks():
            yield 1
            raise KeyError("torn")

        job = manager.submit(breaks)
        values = iter(job)
        assert next(values) == 1
        with pytest.raises(KeyError, match="torn") as raised:
            next(values)
        assert raised.value is job.exception()
        with pytest.raises(KeyError):
            list(job)

    @pytest.mark.parametrize("stop", [StopIteration, StopAsyncIteration])
    def test_an_exception_that_would_pass_for_the_end_does_not(self, manager, stop):
        def work():
            raise stop

        with pytest.raises(RuntimeError, match="raised Stop") as raised:
            list(manager.submit(work))
        assert isinstance(raised.value.__cause__, stop)

    def test_a_job_that_was_cancelled_raises_so(self, go):
        with rjobs.JobManager(max_workers=1) as single:
            single.submit(go.wait, 10)
            job = single.submit(numbers, 5)
            assert job.cancel()
            with pytest.raises(CancelledError):
                list(job)
            go.set()

    def test_several_readers_share_the_values(self, manager):
        job = manager.submit(numbers, 5_000)
        lists = [[] for _ in range(3)]
        threads = [threading.Thread(target=lambda mine=mine: mine.extend(job)) for mine in lists]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(value for mine in lists for value in mine) == list(range(5_000))
        assert all(mine == sorted(mine) for mine in lists)

    def test_another_job_can_read(self, manager):
        source = manager.submit(numbers, 10)
        squares = manager.submit(lambda: sum(number**2 for number in source))
        assert squares.get(10) == 285


class TestWhatIsAGenerator:
    class Counter:
        def count(self, to):
            yield from range(to)

        __call__ = count

    def wrapped():
        @functools.wraps(numbers)
        def wrapper(*args):
            return numbers(*args)

        return wrapper

    @pytest.mark.parametrize(
        "function",
        [functools.partial(numbers, start=0), Counter().count, Counter(), wrapped(), functools.lru_cache(numbers)],
        ids=["partial", "method", "called object", "wrapper", "cached"],
    )
    def test_generator_functions_in_disguise(self, manager, function):
        assert list(manager.submit(function, 3)) == [0, 1, 2]

    def test_a_generator_that_was_made_elsewhere_is_a_value(self, manager):
        mine = numbers(3)
        job = manager.submit(lambda: mine)
        assert job.get(5) is mine
        assert list(job) == []
        assert list(mine) == [0, 1, 2]

    def test_code_whose_value_is_a_new_generator_runs_it(self, manager):
        job = manager.new("n = 3\nnumbers(n)", dict(globals()))
        assert list(job) == [0, 1, 2]
        assert job.get(5) == "3 in all"
        assert list(manager.new("(x * x for x in range(4))")) == [0, 1, 4, 9]

    def test_code_whose_value_is_a_generator_at_work_is_not(self, manager):
        mine = numbers(3)
        assert next(mine) == 0
        job = manager.new("mine", {"mine": mine})
        assert job.get(5) is mine
        assert list(mine) == [1, 2]

    def test_its_code_works_for_the_job(self, manager):
        def says():
            print("hello")
            yield rjobs.current_job().num

        job = manager.submit(says)
        assert list(job) == [job.num]
        assert job.output == "hello\n"


class TestBackPressure:
    def test_a_job_that_nobody_reads_stops_at_the_bound(self, manager, until):
        made = []

        def work():
            for number in range(20):
                made.append(number)
                yield number

        job = manager.options(buffersize=3).submit(work)
        until(lambda: job.waiting_for == "reader")
        assert made == [0, 1, 2, 3]
        assert job.state == "running"
        assert list(job) == list(range(20))
        assert job.waiting_for is None

    def test_the_bound_is_1000(self, manager, until):
        made = []
        job = manager.submit(lambda: [(made.append(n), rjobs.current_job().send(n)) for n in range(3_000)])
        until(lambda: job.waiting_for == "reader")
        assert len(made) == 1_001
        assert list(job) == list(range(3_000))

    @pytest.mark.parametrize("work", [numbers, sends])
    @pytest.mark.parametrize(
        "wait",
        [
            lambda job, _: job.get(30),
            lambda job, _: job.join(30),
            lambda job, _: job.exception(30),
            lambda job, _: job.future.result(30),
            lambda job, manager: manager.wait([job], 30),
            lambda job, manager: list(manager.as_completed([job], 30)),
            lambda _, manager: manager.shutdown(),
            lambda job, _: list(job.follow()),
        ],
        ids=["get", "join", "exception", "future", "wait", "as_completed", "shutdown", "follow"],
    )
    def test_who_waits_for_the_end_is_not_left_waiting(self, work, wait, until):
        # Also where the job came to its bound before anybody waited.
        for is_late in (False, True):
            manager = rjobs.JobManager()
            job = manager.options(buffersize=2).submit(work, 50)
            if is_late:
                until(lambda job=job: job.waiting_for == "reader")
            wait(job, manager)
            assert job.state == "done"
            assert list(job) == list(range(50))
            manager.shutdown()

    def test_a_callback_for_the_end_is_called(self, manager, until):
        ended = threading.Event()
        job = manager.options(buffersize=1).submit(numbers, 50)
        until(lambda: job.waiting_for == "reader")
        job.add_done_callback(lambda _: ended.set())
        assert ended.wait(10)

    def test_who_waited_in_vain_leaves_the_bound_as_it_was(self, manager, go, until):
        made = []

        def work():
            yield 0
            assert go.wait(10)
            for number in range(1, 20):
                made.append(number)
                yield number

        job = manager.options(buffersize=2).submit(work)
        with pytest.raises(TimeoutError):
            job.get(0.05)
        go.set()
        until(lambda: job.waiting_for == "reader")
        assert len(made) == 2
        assert list(job) == list(range(20))

    def test_the_table_says_what_it_waits_for(self, manager, until, capsys):
        job = manager.options(buffersize=1).submit(numbers, 5)
        until(lambda: job.waiting_for == "reader")
        manager.status()
        assert "waiting for a reader" in capsys.readouterr().out

    @pytest.mark.parametrize("size", [0, -1, -(10**30)])
    def test_a_bound_that_is_none_is_refused(self, manager, size):
        with pytest.raises(ValueError, match="buffersize must be 1 or more"):
            manager.options(buffersize=size)

    @pytest.mark.parametrize("size", ["3", 1.5, True])
    def test_a_bound_that_is_no_number_is_refused(self, manager, size):
        with pytest.raises(TypeError, match="buffersize must be an int"):
            manager.options(buffersize=size)

    @pytest.mark.parametrize("size", [None, 1, 10**30])
    def test_other_bounds_are_taken(self, manager, size):
        assert list(manager.options(buffersize=size).submit(numbers, 100)) == list(range(100))
