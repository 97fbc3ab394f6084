"""Coroutine functions as jobs, all on one event loop of their manager: starting, awaiting, output, what they start."""

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import logging
import sys
import threading
import time

import pytest

import rjobs

variable = contextvars.ContextVar("variable", default="unset")


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


async def thread_of():
    return threading.get_ident()


class Calls:
    async def method(self):
        return threading.get_ident()

    @classmethod
    async def of_class(cls):
        return threading.get_ident()

    async def __call__(self):
        return threading.get_ident()


@pytest.fixture
def single():
    """A manager with one worker."""
    single = rjobs.JobManager(max_workers=1)
    yield single
    single.shutdown(wait=True, kill=True)


@pytest.fixture
def until():
    """`until(happens)`: False when it does not within 10 seconds."""

    def until(happens):
        deadline = time.monotonic() + 10
        while not happens():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    return until


def test_a_coroutine_function_is_a_job_with_a_result(manager):
    job = manager.submit(double, 4)
    assert job.get(5) == 8
    assert (job.state, job.name, job.func, job.args) == ("done", "double", None, ())
    assert job.started_at <= job.ended_at


def test_arguments_come_as_they_were_given(manager):
    async def take(*args, **kwargs):
        return args, kwargs

    assert manager.new(take, 1, 2, kw={"x": 3}).get(5) == ((1, 2), {"x": 3})
    assert manager.submit(take, 1, timeout=3).get(5) == ((1,), {"timeout": 3})


def test_wrong_arguments_are_the_failure_of_the_job(manager):
    job = manager.submit(double)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        job.get(5)
    assert job.state == "failed"


@pytest.mark.parametrize(
    "function",
    [
        thread_of,
        Calls().method,
        Calls.of_class,
        Calls(),
        functools.partial(thread_of),
        functools.partial(functools.partial(Calls().method)),
    ],
    ids=["function", "method", "class method", "object", "partial", "partial of a method"],
)
def test_whatever_is_a_coroutine_function_runs_on_the_one_thread(manager, function):
    assert inspect.iscoroutinefunction(function) or isinstance(function, Calls)
    first = manager.submit(thread_of)
    job = manager.submit(function)
    assert job.get(5) == first.get(5) == job.ident
    assert manager.workers == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12 has it")
def test_a_marked_function_runs_there_too(manager):
    def marked():
        return thread_of()

    inspect.markcoroutinefunction(marked)
    assert manager.submit(marked).get(5) == manager.submit(thread_of).get(5)


def test_what_a_marked_function_gives_may_be_anything_that_can_be_awaited(manager):
    class Answer:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return 42

    class Asks:
        async def __call__(self):
            return await Answer()

    assert manager.submit(Asks()).get(5) == 42


def test_what_only_returns_a_coroutine_has_a_worker_and_a_loop_of_its_own(manager):
    def call():
        return thread_of()

    assert manager.submit(call).get(5) != manager.submit(thread_of).get(5)
    assert manager.new("await f()", {"f": thread_of}).get(5) != manager.submit(thread_of).get(5)


def test_an_asynchronous_generator_function_is_left_alone(manager):
    async def count():
        yield 1

    # Its values are a stream, and it runs on a worker: see test_streams_async.
    assert list(manager.submit(count)) == [1]


def test_jobs_run_at_the_same_time_whatever_max_workers_is(single):
    everybody = asyncio.Barrier(100)

    async def meet():
        await everybody.wait()
        return True

    blocked = threading.Event()
    worker = single.submit(blocked.wait, 30)
    assert all(job.get(10) for job in [single.submit(meet) for _ in range(100)])
    blocked.set()
    assert worker.get(5)


def test_each_is_queued_until_its_first_step(manager):
    busy, go, states = threading.Event(), threading.Event(), []

    async def block():
        busy.set()
        go.wait(10)  # keeps the loop

    async def look(me):
        states.append(rjobs.current_job().state)

    first = manager.submit(block)
    assert busy.wait(5)
    second = manager.submit(look, None)
    assert (first.state, second.state, second.started_at, second.ident) == ("running", "queued", None, None)
    go.set()
    second.join(5)
    assert states == ["running"]


def test_a_job_can_be_awaited_on_any_loop(manager):
    async def main():
        job = manager.submit(double, 1)
        return [
            await job,
            await asyncio.gather(*(manager.submit(double, n) for n in range(5))),
            await asyncio.wait_for(manager.submit(double, 2), 5),
            await asyncio.wrap_future(manager.submit(double, 3).future),
        ]

    expected = [2, [0, 2, 4, 6, 8], 4, 6]
    # On a loop of the main thread, on the very loop of the jobs, on that of another manager, on a worker's.
    assert asyncio.run(main()) == expected
    assert manager.submit(main).get(10) == expected
    with rjobs.JobManager() as other:
        assert other.submit(main).get(10) == expected
    assert manager.submit(lambda: asyncio.run(main())).get(10) == expected


def test_asyncio_wait_takes_their_futures(manager):
    async def main():
        jobs = [manager.submit(double, n) for n in range(10)]
        done, pending = await asyncio.wait([asyncio.wrap_future(job.future) for job in jobs])
        return sorted(future.result() for future in done), pending

    assert manager.submit(main).get(10) == ([2 * n for n in range(10)], set())


def test_wait_as_completed_and_the_future_know_them(manager):
    jobs = [manager.submit(double, n) for n in range(5)]
    assert manager.wait(jobs, 5).done == jobs
    assert {job.get() for job in manager.as_completed(jobs)} == {0, 2, 4, 6, 8}
    assert concurrent.futures.wait([job.future for job in jobs], 5).not_done == set()


def test_a_wait_that_is_given_up_leaves_the_job_alone(manager):
    go = threading.Event()

    async def until():
        while not go.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.001)
        return "went on"

    job = manager.submit(until)

    async def impatient():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job, 0.01)

    manager.submit(impatient).get(5)
    go.set()
    assert job.get(5) == "went on"


def test_to_wait_for_one_where_that_blocks_its_own_loop_is_an_error_at_once(manager):
    async def outer():
        inner = manager.submit(double, 1)
        waits = [inner.get, inner.join, inner.exception, lambda: manager.wait([inner])]
        waits.append(lambda: next(manager.as_completed([inner])))
        for wait in waits:
            with pytest.raises(RuntimeError, match="await the job"):
                wait()
        with pytest.raises(TimeoutError):
            inner.get(0)
        assert await asyncio.to_thread(inner.get, 5) == 2
        return inner.get()

    assert manager.submit(outer).get(10) == 2


def test_an_exception_is_the_very_one_and_its_traceback_begins_in_the_users_code(manager, capsys):
    error = LookupError("here")

    async def inner():
        await asyncio.sleep(0)
        raise error

    async def outer():
        await inner()

    job = manager.submit(outer)
    with pytest.raises(LookupError) as raised:
        job.get(5)
    assert raised.value is error
    names = [frame.name for frame in raised.traceback]
    assert names[-2:] == ["outer", "inner"]
    job.traceback()
    lines = [line for line in capsys.readouterr().out.splitlines() if "File" in line]
    assert ["outer" in lines[0], "inner" in lines[-1], len(lines)] == [True, True, 2]


def test_system_exit_ends_its_job_and_not_the_loop(manager):
    async def leave(how):
        await asyncio.sleep(0)
        if how == "task":
            await asyncio.create_task(leave("self"))
        if how == "callback":
            asyncio.get_running_loop().call_soon(sys.exit, 3)
            asyncio.get_running_loop().call_soon(lambda: sys.exit(3))
            await asyncio.sleep(10)
        sys.exit(3)

    bystander = manager.submit(asyncio.sleep, 0.3, "alive")
    for how in ("self", "task", "callback"):
        job = manager.submit(leave, how)
        job.join(5)
        assert (job.state, type(job.exception(0)), job.exception(0).code) == ("failed", SystemExit, 3)
    assert bystander.get(5) == "alive"


def test_the_output_of_a_hundred_stays_apart(manager):
    async def chat(number):
        for step in range(10):
            print(number, step)
            await asyncio.sleep(0)
            sys.stderr.write(f"{number}!\n")
            await asyncio.sleep(0.001)
        logging.getLogger().warning("from %d", number)

    handler = logging.StreamHandler(sys.stderr)
    handler.stream = type("Now", (), {"write": lambda _, text: sys.stderr.write(text), "flush": lambda _: None})()
    logging.getLogger().addHandler(handler)
    jobs = [manager.submit(chat, number) for number in range(100)]
    manager.wait(jobs, 20)
    logging.getLogger().removeHandler(handler)
    for number, job in enumerate(jobs):
        lines = "".join(f"{number} {step}\n{number}!\n" for step in range(10))
        assert job.output == f"{lines}from {number}\n"


def test_what_they_start_works_for_them(manager):
    async def look():
        loop = asyncio.get_running_loop()
        seen = [rjobs.current_job()]

        async def task():
            await asyncio.sleep(0)
            seen.append(rjobs.current_job())

        await asyncio.create_task(task())
        async with asyncio.TaskGroup() as group:
            group.create_task(task())
        called = asyncio.Event()
        loop.call_soon(lambda: seen.append(rjobs.current_job()))
        loop.call_later(0.001, lambda: (seen.append(rjobs.current_job()), called.set()))
        await called.wait()
        seen.append(await asyncio.to_thread(rjobs.current_job))
        seen.append(await loop.run_in_executor(None, rjobs.current_job))
        thread = threading.Thread(target=lambda: seen.append(rjobs.current_job()))
        thread.start()
        thread.join()
        return seen, asyncio.current_task().get_name(), threading.current_thread().name

    jobs = [manager.options(name=f"job {n}").submit(look) for n in range(20)]
    for job in jobs:
        seen, task, thread = job.get(10)
        assert len(seen) == 8
        assert set(seen) == {job}
        assert task == thread == job.name
    assert rjobs.current_job() is None


def test_each_has_a_copy_of_the_submitters_context(manager):
    async def change(to):
        before = variable.get()
        variable.set(to)
        await asyncio.sleep(0.001)
        return before, variable.get()

    variable.set("outside")
    jobs = [manager.submit(change, n) for n in range(10)]
    assert [job.get(5) for job in jobs] == [("outside", n) for n in range(10)]
    assert variable.get() == "outside"


def test_callbacks_are_called_and_belong_to_nobody(manager):
    called = []
    job = manager.submit(double, 1)
    job.add_done_callback(lambda job: called.append((job.state, job.result, rjobs.current_job())))
    job.join(5)
    manager.shutdown()
    assert called == [("done", 2, None)]


def test_a_look_at_a_suspended_job(manager, until):
    async def inner():
        await asyncio.sleep(100)

    async def outer():
        await inner()

    job = manager.submit(outer)
    assert until(lambda: "asyncio.sleep(100)" in job.stack())
    names = [line.rpartition(" in ")[2] for line in job.stack().splitlines() if line.startswith("  File")]
    assert names == ["outer", "inner", "sleep"]
    assert job.cpu_time < job.elapsed
    assert job.to_dict()["state"] == "running"
    job.kill()
    assert job.stack() == ""


def test_a_look_at_one_that_computes(manager, until):
    go = threading.Event()

    async def compute():
        while not go.is_set():
            sum(range(1000))

    job = manager.submit(compute)
    assert until(lambda: "compute" in job.stack())
    assert "_loop.py" not in job.stack()
    assert until(lambda: job.elapsed > 0.05)
    go.set()
    job.join(5)
    assert 0.01 < job.cpu_time <= job.elapsed


def test_ten_thousand_at_once(manager):
    began = time.monotonic()
    jobs = [manager.submit(asyncio.sleep, 0.1, number) for number in range(10_000)]
    assert [job.get(30) for job in jobs] == list(range(10_000))
    assert {job.ident for job in jobs} == {jobs[0].ident}
    # About half a second alone on a machine; ten thousand one after another would be a thousand.
    assert time.monotonic() - began < 15
