"""`rjobs.Pool`: what a user of `multiprocessing.dummy.Pool` does, and a `terminate()` that ends the work."""

import contextvars
import multiprocessing
import multiprocessing.pool
import threading
import time
import weakref

import pytest

import rjobs


@pytest.fixture
def pool():
    with rjobs.Pool(3) as pool:
        yield pool
    pool.join()


def half(number):
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number // 2


def test_it_is_the_pool_that_others_look_for(pool):
    assert isinstance(pool, multiprocessing.pool.ThreadPool)
    assert isinstance(pool, multiprocessing.pool.Pool)
    assert repr(pool) == "<rjobs._pool.Pool state=RUN pool_size=3>"
    assert len(pool._pool) == 3
    assert rjobs.Pool().__exit__(None, None, None) is None


def test_apply(pool):
    assert pool.apply(pow, (2, 10)) == 1024
    assert pool.apply(int, ("ff",), {"base": 16}) == 255
    with pytest.raises(ValueError, match="odd"):
        pool.apply(half, (1,))


def test_apply_async_gives_a_result(pool):
    result = pool.apply_async(half, (4,))
    assert isinstance(result, multiprocessing.pool.AsyncResult)
    assert result.get(10) == 2
    assert (result.ready(), result.successful(), result.wait(0)) == (True, True, None)
    assert result.job.state == "done"
    bad = pool.apply_async(half, (1,))
    bad.wait(10)
    assert (bad.ready(), bad.successful()) == (True, False)
    with pytest.raises(ValueError, match="odd"):
        bad.get()


def test_a_result_that_is_not_ready_says_so(pool):
    go = threading.Event()
    for callback in (None, lambda _: None):
        result = pool.apply_async(go.wait, (20,), callback=callback)
        assert not result.ready()
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        with pytest.raises(multiprocessing.TimeoutError):
            result.get(0.01)
        with pytest.raises(multiprocessing.TimeoutError):
            result.get(timeout=-1)
    go.set()


def test_callbacks_have_run_when_the_result_is_ready(pool):
    told = []
    options = {"callback": told.append, "error_callback": lambda error: told.append(type(error))}
    assert pool.apply_async(half, (4,), **options).get(10) == 2
    pool.apply_async(half, (1,), **options).wait(10)
    pool.map_async(half, [2, 4], **options).wait(10)
    pool.starmap_async(pow, [(2, 3), (3, 2)], **options).wait(10)
    pool.map_async(half, [2, 3, 4], **options).wait(10)
    assert told == [2, ValueError, [1, 2], [8, 9], ValueError]


def test_callbacks_run_one_at_a_time(pool):
    inside, most, done = [], [], threading.Semaphore(0)

    def told(_value):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0)
        inside.pop()
        done.release()

    for _ in range(300):
        pool.apply_async(int, callback=told)
    for _ in range(300):
        assert done.acquire(timeout=10)
    assert set(most) == {1}


def test_a_callback_that_raises_harms_nobody(pool, caplog):
    assert pool.apply_async(int, callback=lambda _: 1 / 0).get(10) == 0
    assert pool.apply_async(int, callback=lambda _: 1 / 0).get(10) == 0
    assert caplog.text.count("ZeroDivisionError") >= 2


@pytest.mark.parametrize("chunksize", [None, 1, 7, 1000])
def test_map_in_chunks(pool, chunksize):
    assert pool.map(half, range(0, 200, 2), chunksize) == list(range(100))
    assert pool.map(half, iter(range(0, 200, 2)), chunksize) == list(range(100))
    assert pool.starmap(pow, [(n, 2) for n in range(100)], chunksize) == [n * n for n in range(100)]
    assert pool.map(half, [], chunksize) == []


def test_a_chunk_is_a_job_named_after_the_function(manager):
    with rjobs.Pool(2, manager=manager) as pool:
        pool.map(half, range(0, 20, 2))
        pool.map(half, range(0, 20, 2), chunksize=3)
        pool.map(half, range(0, 4, 2), chunksize=1)
    # Four for each worker: chunks of 10 / 8, which is 2 items.
    assert [job.name for job in manager] == ["half"] * (5 + 4 + 2)


def test_map_raises_the_first_error_when_all_has_ended(pool):
    ended = []

    def work(number):
        if number == 0:
            raise ValueError("the first")
        time.sleep(0.01)
        ended.append(number)

    with pytest.raises(ValueError, match="the first"):
        pool.map(work, range(10), chunksize=1)
    assert sorted(ended) == list(range(1, 10))


def test_map_of_an_iterable_that_raises(pool):
    def items():
        yield 2
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        pool.map(half, items())

    class Sized(list):
        def __iter__(self):
            return items()

    result = pool.map_async(half, Sized([2, 4]), 1)
    with pytest.raises(KeyError, match="no more"):
        result.get(10)
    assert not result.successful()


def test_more_chunks_than_are_started_at_once(pool):
    assert pool.map_async(half, range(0, 8000, 2), 1).get(30) == list(range(4000))


@pytest.mark.parametrize("chunksize", [1, 3])
@pytest.mark.parametrize("items", [range(0, 100, 2), range(0, 6000, 2)], ids=["few", "many"])
def test_imap_gives_results_in_order(pool, chunksize, items):
    expected = [number // 2 for number in items]
    assert list(pool.imap(half, items, chunksize)) == expected
    assert list(pool.imap(half, iter(items), chunksize)) == expected
    assert sorted(pool.imap_unordered(half, items, chunksize)) == expected


def test_imap_unordered_gives_what_is_there(pool):
    go = threading.Event()
    results = pool.imap_unordered(lambda wait: go.wait(20) if wait else "quick", [True, False])
    assert next(results) == "quick"
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(timeout=0.01)
    go.set()
    assert results.next(10) is True
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_a_time_out_of_imap_loses_nothing(pool):
    go = threading.Event()
    results = pool.imap(lambda number: go.wait(20) and number, range(3))
    for timeout in (0.01, 0, -1):
        with pytest.raises(multiprocessing.TimeoutError):
            results.next(timeout)
    go.set()
    assert list(results) == [0, 1, 2]


def test_imap_raises_in_its_place_and_goes_on(pool):
    results = pool.imap(half, [0, 1, 2])
    assert next(results) == 0
    with pytest.raises(ValueError, match="odd: 1"):
        next(results)
    assert list(results) == [1]


def test_imap_of_a_slow_iterable_returns_at_once_and_blocks_nobody(pool):
    items, more = threading.Semaphore(0), iter([2, 4])

    def slow():
        for item in more:
            items.acquire()
            yield item

    results = pool.imap(half, slow())
    assert list(pool.imap(half, iter([6, 8]))) == [3, 4]
    items.release(2)
    assert list(results) == [1, 2]


def test_imap_works_whether_or_not_results_are_taken():
    seen = []
    pool = rjobs.Pool(2)
    pool.imap(seen.append, iter(range(2000)))
    pool.close()
    pool.join()
    assert sorted(seen) == list(range(2000))


def test_several_threads_may_share_an_iterator(pool):
    results, taken = pool.imap(half, range(0, 4000, 2), 3), []

    def take():
        taken.extend(results)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(2000))


def test_a_pool_that_does_not_run_takes_nothing(pool):
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    pool.close()
    pool.close()
    for refused in (
        lambda: pool.apply(int),
        lambda: pool.apply_async(int),
        lambda: pool.map(abs, [1]),
        lambda: pool.starmap_async(abs, [(1,)]),
        lambda: pool.imap(abs, [1]),
        lambda: pool.imap_unordered(abs, [1]),
        pool.__enter__,
    ):
        with pytest.raises(ValueError, match="Pool not running"):
            refused()
    pool.join()
    pool.join()


def test_close_lets_everything_finish_and_workers_go():
    pool, go = rjobs.Pool(2), threading.Event()
    result = pool.map_async(lambda number: go.wait(20) and number, range(10), 1)
    worker = pool.apply_async(threading.current_thread)
    pool.close()
    go.set()
    pool.join()
    assert result.get(0) == list(range(10))
    assert pool.manager.workers == 0
    assert worker.get(0).join(10) is None


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"processes": 0}, ValueError, "at least 1"),
        ({"processes": -1}, ValueError, "at least 1"),
        ({"processes": 1.5}, TypeError, "max_workers must be an int"),
        ({"initializer": 5}, TypeError, "initializer must be a callable"),
        ({"manager": 5}, TypeError, "manager must be a JobManager or None, not int"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, error, text):
    with pytest.raises(error, match=text):
        rjobs.Pool(**arguments)


def test_bad_calls_are_refused_at_once(pool):
    for call in (pool.apply_async, lambda func: pool.map(func, [1]), lambda func: pool.imap(func, [1])):
        with pytest.raises(TypeError, match="callable"):
            call(5)
    for call in (pool.imap, pool.imap_unordered, pool.map):
        with pytest.raises(ValueError, match=r"Chunksize must be 1\+, not 0"):
            call(abs, [1], 0)


def test_the_initializer_runs_in_each_thread():
    here = threading.local()

    def prepare(value):
        here.value = value

    with rjobs.Pool(2, prepare, ("prepared",)) as pool:
        assert pool.map(lambda _: here.value, range(20), 1) == ["prepared"] * 20
        assert list(pool.imap(lambda _: here.value, range(20))) == ["prepared"] * 20
        assert pool.apply(lambda: here.value) == "prepared"
        assert pool.apply_async(half, (2,)).job.name == "half"


def test_a_call_raises_what_the_initializer_raised():
    with rjobs.Pool(1, int, ("x",)) as pool:
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid literal"):
                pool.apply(abs, (1,))


def test_records_do_not_pile_up(pool):
    for _ in range(3):
        list(pool.imap(abs, range(500)))
        pool.map(abs, range(500), 1)
        [result.wait() for result in [pool.apply_async(abs, (n,)) for n in range(500)]]
    pool.close()
    pool.join()
    assert len(pool.manager) == 0


def test_one_that_is_dropped_says_so_and_lets_its_workers_go():
    pool = rjobs.Pool(1)
    worker, manager = pool.apply(threading.current_thread), weakref.ref(pool.manager)
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        del pool
    worker.join(10)
    assert not worker.is_alive()
    assert manager() is None


def test_calls_run_in_a_copy_of_the_submitters_context(pool):
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("the submitter's")
    assert pool.apply(variable.get) == "the submitter's"
    assert set(pool.map(lambda _: variable.get(), range(3))) == {"the submitter's"}
