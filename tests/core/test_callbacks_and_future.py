"""Being told of the end: done-callbacks, `job.future`, and `await job`."""

import asyncio
import concurrent.futures
import logging
import threading

import pytest

import rjobs


class Calls:
    """Collects what a callback was called with, and in which thread."""

    def __init__(self, expected: int = 1) -> None:
        self.jobs, self.threads, self.enough = [], [], threading.Event()
        self.expected = expected

    def __call__(self, job):
        self.threads.append(threading.current_thread())
        self.jobs.append(job)
        if len(self.jobs) == self.expected:
            self.enough.set()


def test_a_callback_gets_the_ended_job_on_the_worker(hold):
    calls = Calls()
    job = hold("value")
    assert job.add_done_callback(calls) is None
    assert calls.jobs == []
    hold.go.set()
    assert calls.enough.wait(5)
    assert calls.jobs == [job]
    assert calls.threads[0] is not threading.main_thread()


def test_a_callback_of_an_ended_job_is_called_at_once_and_here(manager):
    job = manager.submit(int)
    job.join(5)
    calls = Calls()
    job.add_done_callback(calls)
    assert calls.jobs == [job]
    assert calls.threads == [threading.current_thread()]


def test_in_a_callback_the_job_has_its_outcome(hold):
    seen = Calls()
    job = hold("value")
    job.add_done_callback(lambda job: seen((job.state, job.done(), job.get(0), job.ended_at is not None)))
    hold.go.set()
    assert seen.enough.wait(5)
    assert seen.jobs == [("done", True, "value", True)]


@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_a_job_that_never_ran_calls_back_too_in_who_ended_it(single, hold, end):
    hold(on=single)
    job = single.submit(int)
    calls = Calls()
    job.add_done_callback(calls)
    getattr(job, end)()
    assert calls.jobs == [job]
    assert calls.threads == [threading.current_thread()]
    getattr(job, end)()
    assert calls.jobs == [job]


@pytest.mark.parametrize("end", ["fail", "kill"])
def test_jobs_that_end_badly_call_back(hold, end):
    calls = Calls()
    job = hold() if end == "kill" else hold.manager.submit(int, "x")
    job.add_done_callback(calls)
    if end == "kill":
        assert job.kill()
    assert calls.enough.wait(5)
    assert calls.jobs == [job]


def test_callbacks_are_called_once_each_in_their_order(hold):
    job, order, last = hold(), [], threading.Event()
    for number in range(5):
        job.add_done_callback(lambda _, number=number: order.append(number))
    job.add_done_callback(lambda _: last.set())
    hold.go.set()
    assert last.wait(5)
    assert order == [0, 1, 2, 3, 4]


def test_one_callback_added_twice_is_called_twice(hold):
    calls = Calls(expected=2)
    job = hold()
    job.add_done_callback(calls)
    job.add_done_callback(calls)
    hold.go.set()
    assert calls.enough.wait(5)
    assert calls.jobs == [job, job]


def test_a_callback_may_add_another(hold):
    calls = Calls()
    job = hold()
    job.add_done_callback(lambda job: job.add_done_callback(calls))
    hold.go.set()
    assert calls.enough.wait(5)
    assert calls.jobs == [job]


def test_a_callback_may_start_jobs_and_take_their_results(single, hold):
    results = Calls()
    job = hold(on=single)
    job.add_done_callback(lambda _: results(hold.manager.submit(int, "5").get(5)))
    hold.go.set()
    assert results.enough.wait(5)
    assert results.jobs == [5]


@pytest.mark.parametrize("exception", [ValueError("in a callback"), SystemExit("in a callback"), KeyboardInterrupt()])
def test_what_a_callback_raises_is_logged_and_harms_nobody(single, hold, caplog, exception):
    def bad(job):
        raise exception

    calls = Calls()
    job = hold("value", on=single)
    job.add_done_callback(bad)
    job.add_done_callback(calls)
    with caplog.at_level(logging.ERROR, "rjobs"):
        hold.go.set()
        assert calls.enough.wait(5)
        assert job.get() == "value"
        assert single.submit(int).get(5) == 0
    (record,) = caplog.records
    assert record.name == "rjobs.job"
    assert f"job {job.num} " in record.getMessage()
    assert record.exc_info[1] is exception


def test_a_callback_that_is_called_at_once_raises_nothing_here(manager, caplog):
    def bad(job):
        raise ValueError

    job = manager.submit(int)
    job.join(5)
    with caplog.at_level(logging.ERROR, "rjobs"):
        job.add_done_callback(bad)
    assert [record.name for record in caplog.records] == ["rjobs.job"]


@pytest.mark.parametrize("callback", [None, 3, "print"])
def test_a_callback_must_be_callable(manager, callback):
    with pytest.raises(TypeError, match="callable"):
        manager.submit(int).add_done_callback(callback)


def test_what_a_callback_prints_is_not_the_jobs(hold):
    calls = Calls()
    job = hold()
    job.add_done_callback(lambda _: calls(rjobs.current_job()))
    hold.go.set()
    assert calls.enough.wait(5)
    assert calls.jobs == [None]


def test_callbacks_have_run_when_the_with_block_is_left():
    ran, never = [], threading.Event()

    def slow(job):
        never.wait(0.05)
        ran.append(job)

    go = threading.Event()
    with rjobs.JobManager() as manager:
        job = manager.submit(go.wait, 10)
        job.add_done_callback(slow)
        go.set()
    assert ran == [job]


def test_the_future_is_a_real_one_and_always_the_same(manager):
    job = manager.submit(int, "3")
    assert isinstance(job.future, concurrent.futures.Future)
    assert job.future is job.future
    assert job.future.result(5) == 3
    assert job.future.exception() is None
    assert job.future.done()
    assert not job.future.running()
    assert not job.future.cancelled()


def test_the_future_of_a_running_job_follows_it(hold):
    job = hold(1)
    future = job.future
    assert future.running()
    assert not future.done()
    assert future.cancel() is False
    with pytest.raises(TimeoutError):
        future.result(0)
    hold.go.set()
    assert future.result(5) == 1
    assert not future.running()


def test_the_future_has_the_very_exception(manager):
    error = ValueError("mine")

    def fail():
        raise error

    job = manager.submit(fail)
    assert job.future.exception(5) is error
    with pytest.raises(ValueError, match="mine") as raised:
        job.future.result()
    assert raised.value is error


def test_the_future_of_a_killed_job_raises_job_killed(hold):
    job = hold()
    future = job.future
    job.kill()
    with pytest.raises(rjobs.JobKilled):
        future.result(5)


def test_cancelling_the_future_cancels_the_job_and_the_other_way_round(single, hold):
    hold(on=single)
    by_future, by_job, unasked = (single.submit(int) for _ in range(3))
    future = by_job.future
    assert by_future.future.cancel()
    assert by_job.cancel()
    assert unasked.cancel()
    assert [job.state for job in (by_future, by_job, unasked)] == ["cancelled"] * 3
    for job in (by_future, by_job, unasked):
        assert job.future.cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            job.future.result(5)
    assert future is by_job.future


def test_futures_of_jobs_go_through_the_standard_librarys_hands(manager, hold):
    held, quick, failing = hold(), manager.submit(int, "1"), manager.submit(int, "x")
    futures = [job.future for job in (held, quick, failing)]
    done, not_done = concurrent.futures.wait(futures, 5, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert futures[2] in done
    assert not_done >= {futures[0]}
    hold.go.set()
    assert set(concurrent.futures.as_completed(futures, 5)) == set(futures)


def test_a_futures_own_callbacks_are_called(hold):
    calls = Calls()
    job = hold()
    job.future.add_done_callback(calls)
    hold.go.set()
    assert calls.enough.wait(5)
    assert calls.jobs == [job.future]


def test_many_threads_asking_at_once_get_one_future(manager):
    job = manager.submit(int)
    start, futures = threading.Barrier(8), []

    def ask():
        start.wait(10)
        futures.append(job.future)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({id(future) for future in futures}) == 1
    assert futures[0].result(5) == 0


def test_a_job_can_be_awaited(hold, manager):
    async def main():
        quick = manager.submit(int, "1")
        quick.join(5)
        held = hold(2)
        asyncio.get_running_loop().call_later(0.01, hold.go.set)
        return await quick, await held, await held

    assert asyncio.run(main()) == (1, 2, 2)


def test_the_loop_goes_on_while_a_job_is_awaited(hold):
    async def main():
        job = hold("value")
        ticks = 0
        waiting = asyncio.ensure_future(job)
        for _ in range(5):
            await asyncio.sleep(0)
            ticks += 1
        assert not waiting.done()
        hold.go.set()
        return ticks, await waiting

    assert asyncio.run(main()) == (5, "value")


def test_awaiting_raises_what_get_raises(manager, hold, single):
    error = ValueError("mine")

    def fail():
        raise error

    async def outcome(job):
        try:
            return await job
        except BaseException as raised:
            return raised

    hold(on=single)
    cancelled, killed = single.submit(int), hold()
    cancelled.cancel()
    failed = manager.submit(fail)

    async def main():
        killed.kill(0)
        return [await outcome(job) for job in (failed, killed, cancelled)]

    got = asyncio.run(main())
    assert got[0] is error
    assert [type(raised) for raised in got[1:]] == [rjobs.JobKilled, concurrent.futures.CancelledError]


def test_gather_takes_jobs(manager):
    async def main():
        return await asyncio.gather(*(manager.submit(int, str(i)) for i in range(20)))

    assert asyncio.run(main()) == list(range(20))


def test_a_wait_that_runs_out_on_the_loop_leaves_the_job_alone(hold):
    async def main():
        job = hold("late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(job), 0.01)
        assert job.state == "running"
        hold.go.set()
        return await job

    assert asyncio.run(main()) == "late"


def test_a_loop_that_is_closed_before_the_job_ends_is_no_trouble(hold, caplog):
    job = hold("value")

    async def main():
        waiting = asyncio.ensure_future(job)
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(main())
    hold.go.set()
    assert job.get(5) == "value"
    assert hold.manager.submit(int).get(5) == 0
    assert caplog.records == []


def test_wrap_future_takes_a_jobs_future(manager, hold):
    async def main():
        held = hold("value")
        wrapped = asyncio.wrap_future(held.future)
        hold.go.set()
        return await wrapped, await asyncio.wrap_future(manager.submit(int).future)

    assert asyncio.run(main()) == ("value", 0)


def test_jobs_can_be_awaited_from_several_loops(hold):
    async def main(job):
        return await job

    job, got = hold("value"), []
    threads = [threading.Thread(target=lambda: got.append(asyncio.run(main(job)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    hold.go.set()
    for thread in threads:
        thread.join(10)
    assert got == ["value"] * 3


def test_a_job_may_await_another_job(manager):
    inner = manager.submit(int, "5")

    async def outer():
        return await inner + 1

    assert manager.submit(outer).get(5) == 6
