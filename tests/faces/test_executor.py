"""`rjobs.Executor`: what a user of `ThreadPoolExecutor` does, and what the jobs behind it add."""

import concurrent.futures
import contextvars
import gc
import itertools
import logging
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool

import pytest

import rjobs


@pytest.fixture
def executor():
    with rjobs.Executor(2) as executor:
        yield executor
        executor.manager.kill_all()


class Hold:
    """A function that calls run until `go` is set; `begun` counts them."""

    def __init__(self):
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, value=None):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.release()
        assert self.go.wait(20)
        with self.lock:
            self.now -= 1
        return value

    def wait_for(self, count):
        for _ in range(count):
            assert self.begun.acquire(timeout=10)


@pytest.fixture
def hold():
    hold = Hold()
    yield hold
    hold.go.set()


def test_it_is_the_executor_that_others_look_for(executor):
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(executor, ThreadPoolExecutor)
    future = executor.submit(pow, 2, exp=10)
    assert isinstance(future, Future)
    assert future.result(10) == 1024
    assert (future.done(), future.running(), future.cancelled(), future.exception()) == (True, False, False, None)
    assert "finished returned int" in repr(future)


def test_what_a_call_raises_is_raised(executor):
    future = executor.submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result(10)
    assert isinstance(future.exception(), ValueError)
    assert isinstance(executor.submit(exit).exception(10), SystemExit)


def test_a_future_runs_from_the_moment_a_worker_begins_it(executor, hold):
    running = [executor.submit(hold, number) for number in range(2)]
    hold.wait_for(2)
    waiting = executor.submit(hold)
    assert [future.running() for future in [*running, waiting]] == [True, True, False]
    assert "state=running" in repr(running[0])
    assert "state=pending" in repr(waiting)
    assert not any(future.done() for future in [*running, waiting])
    with pytest.raises(TimeoutError):
        waiting.result(0.01)
    with pytest.raises(TimeoutError):
        waiting.exception(-1)
    assert executor.backlog == 1
    hold.go.set()
    assert [future.result(10) for future in running] == [0, 1]


def test_cancel_keeps_a_pending_one_from_running(executor, hold):
    running = [executor.submit(hold) for _ in range(2)]
    hold.wait_for(2)
    waiting, told, ran = executor.submit(hold), [], []
    another = executor.submit(ran.append, 1)
    waiting.add_done_callback(told.append)
    assert waiting.cancel()
    assert waiting.cancel()
    assert told == [waiting]
    assert another.cancel()
    assert not running[0].cancel()
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert concurrent.futures.wait([waiting], 10).done == {waiting}
    hold.go.set()
    executor.shutdown()
    assert not ran
    assert not running[0].cancelled()


def test_done_callbacks_get_the_future_in_order_and_harm_nobody(executor, hold, caplog):
    future, told = executor.submit(hold), []
    future.add_done_callback(lambda future: told.append(("first", future)))
    future.add_done_callback(lambda _future: 1 / 0)
    future.add_done_callback(lambda future: told.append(("last", future)))
    hold.go.set()
    future.result(10)
    executor.shutdown()
    future.add_done_callback(lambda future: told.append(("late", future)))
    assert told == [(when, future) for when in ("first", "last", "late")]
    assert [record.name for record in caplog.records] == ["concurrent.futures"]
    assert "ZeroDivisionError" in caplog.text


def test_who_looks_inside_a_future_finds_what_is_there(executor, hold):
    # concurrent.futures.wait does, and others that copied it.
    pending, ended = executor.submit(hold, 5), executor.submit(int)
    assert ended.result(10) == 0
    assert pending._state == "PENDING"
    assert (ended._state, ended._result) == ("FINISHED", 0)
    pending._waiters.append(waiter := concurrent.futures._base._FirstCompletedWaiter())
    hold.go.set()
    assert waiter.event.wait(10)
    assert pending._state == "FINISHED"
    assert list(concurrent.futures.as_completed([pending, ended], 10))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pending.nothing


def test_the_calls_are_jobs_with_their_output(executor, hold):
    future = executor.submit(hold)
    hold.wait_for(1)
    [job] = executor.manager.running
    assert future.job is job
    assert job.name == "Hold"
    hold.go.set()
    future.result(10)
    printed = executor.submit(print, "kept")
    assert printed.result(10) is None
    assert printed.job.output == "kept\n"


def test_a_killed_call_gives_its_future_the_kill(executor):
    started = threading.Event()

    def stay():
        started.set()
        time.sleep(100)

    future = executor.submit(stay)
    assert started.wait(10)
    assert executor.manager.kill(future.job)
    with pytest.raises(rjobs.JobKilled):
        future.result(0)
    assert isinstance(future.exception(), rjobs.JobKilled)
    assert executor.submit(int).result(10) == 0


def test_records_do_not_pile_up(executor):
    futures = [executor.submit(int) for _ in range(1000)] + [executor.submit(int, "x") for _ in range(100)]
    concurrent.futures.wait(futures)
    assert list(executor.map(abs, range(100))) == list(range(100))
    executor.shutdown()
    assert len(executor.manager) == 0


@pytest.mark.parametrize("bound", [None, 2])
def test_in_a_given_manager_they_stay_in_its_table(manager, hold, bound):
    mine = manager.submit(hold)
    hold.wait_for(1)
    with rjobs.Executor(bound, manager=manager) as executor:
        assert executor.manager is manager
        futures = [executor.submit(hold, number) for number in range(5)]
        hold.wait_for(bound or 5)
        assert len(manager) == 6
        assert executor.backlog == (3 if bound else 0)
        hold.go.set()
    assert [future.result(0) for future in futures] == list(range(5))
    assert hold.most == (bound or 5) + 1
    assert [future.job for future in futures] == list(manager)[1:]
    assert mine.get(10) is None
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)
    assert manager.submit(int).get(10) == 0


def test_shutdown_of_a_guest_waits_for_its_own_and_cancels_its_own(manager, hold):
    mine = manager.submit(hold)
    executor = rjobs.Executor(1, manager=manager)
    running, waiting = executor.submit(hold), executor.submit(hold)
    hold.wait_for(2)
    executor.shutdown(wait=False, cancel_futures=True)
    assert (running.running(), waiting.cancelled(), mine.running()) == (True, True, True)
    hold.go.set()
    executor.shutdown()
    assert running.done()


def test_the_defaults_are_those_of_the_running_version():
    with rjobs.Executor() as ours, ThreadPoolExecutor() as theirs:
        assert ours._max_workers == ours.manager.max_workers == theirs._max_workers


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"max_workers": 0}, ValueError, "max_workers must be greater than 0"),
        ({"max_workers": -1}, ValueError, "max_workers must be greater than 0"),
        ({"max_workers": 1.5}, TypeError, "max_workers must be an int"),
        ({"initializer": 5}, TypeError, "initializer must be a callable"),
        ({"manager": 5}, TypeError, "manager must be a JobManager or None, not int"),
        ({"check_and_reject": 5}, TypeError, "check_and_reject must be a callable"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, error, text):
    with pytest.raises(error, match=text):
        rjobs.Executor(**arguments)


def test_bad_calls_are_refused_at_once(executor):
    with pytest.raises(TypeError, match="callable"):
        executor.submit(5)
    with pytest.raises(TypeError):
        executor.submit()
    for bad, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="buffersize"):
            executor.map(int, [], buffersize=bad)


def test_the_initializer_runs_once_in_each_thread():
    seen, here = [], threading.local()

    def prepare(*arguments):
        seen.append((threading.current_thread(), arguments))
        here.prepared = True

    barrier = threading.Barrier(3)

    def work():
        barrier.wait(10)
        return threading.current_thread(), here.prepared

    with rjobs.Executor(3, initializer=prepare, initargs=(1, 2)) as executor:
        for _ in range(3):
            results = [future.result(10) for future in [executor.submit(work) for _ in range(3)]]
            assert all(prepared for _, prepared in results)
    assert {thread for thread, _ in seen} == {thread for thread, _ in results}
    assert [arguments for _, arguments in seen] == [(1, 2)] * 3


def test_a_failing_initializer_breaks_the_executor(caplog):
    def prepare():
        raise ValueError("not ready")

    with rjobs.Executor(1, initializer=prepare) as executor:
        futures = []
        with pytest.raises(BrokenThreadPool):
            for _ in range(10_000):
                futures.append(executor.submit(int))
                futures[-1].exception(10)
        assert futures
        assert all(isinstance(future.exception(10), BrokenThreadPool) for future in futures)
    assert "Exception in initializer:" in caplog.text
    assert "not ready" in caplog.text


def test_a_kill_in_the_initializer_is_the_jobs():
    started, calls = threading.Event(), itertools.count()

    def prepare():
        if next(calls) == 0:
            started.set()
            time.sleep(100)

    with rjobs.Executor(1, initializer=prepare) as executor:
        killed = executor.submit(int)
        assert started.wait(10)
        assert killed.job.kill()
        assert executor.submit(int).result(10) == 0
    assert next(calls) == 2


def test_workers_are_named_after_the_call_and_the_prefix():
    def name():
        return threading.current_thread().name

    with rjobs.Executor(thread_name_prefix="Special") as executor:
        assert executor.submit(name).result(10).startswith("Special_test_workers")
    with rjobs.Executor() as executor:
        assert executor.submit(name).result(10).endswith("<locals>.name")


def test_calls_run_in_a_copy_of_the_submitters_context(executor):
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("the submitter's")
    assert executor.submit(variable.get).result(10) == "the submitter's"
    executor.submit(variable.set, "another").result(10)
    assert variable.get() == "the submitter's"


def test_after_shutdown_nothing_is_taken(executor):
    executor.shutdown()
    for refused in (executor.submit, executor.map):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            refused(int, [1])
    with pytest.raises(RuntimeError, match=r"cannot schedule.*shut down"):
        other = rjobs.JobManager()
        other.shutdown()
        rjobs.Executor(manager=other).submit(int)


def test_one_that_is_dropped_works_off_what_it_was_given_and_lets_its_workers_go(hold):
    executor = rjobs.Executor(1)
    first, second = executor.submit(hold, "first"), executor.submit(threading.current_thread)
    dead = weakref.ref(executor), weakref.ref(executor.manager)
    hold.wait_for(1)
    del executor
    gc.collect()
    assert dead[0]() is None
    hold.go.set()
    assert first.result(10) == "first"
    worker = second.result(10)
    worker.join(10)
    assert not worker.is_alive()
    assert dead[1]() is None


def test_check_and_reject_may_refuse_by_the_backlog(hold):
    asked = []

    def check(executor, backlog):
        asked.append(backlog)
        if backlog >= 2:
            raise RuntimeError("too many")

    with rjobs.Executor(1, check_and_reject=check) as executor:
        executor.submit(hold)
        hold.wait_for(1)
        executor.submit(int)
        executor.submit(int)
        with pytest.raises(RuntimeError, match="too many"):
            executor.submit(int)
        hold.go.set()
    assert asked == [0, 0, 1, 2]


def test_logging_of_a_call_is_its_output(executor):
    logger = logging.getLogger("a.call")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        future = executor.submit(logger.warning, "said")
        future.result(10)
    finally:
        logger.removeHandler(handler)
    assert "said" in future.job.output
