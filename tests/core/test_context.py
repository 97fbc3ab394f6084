"""Each job runs in a copy of its submitter's contextvars, and knows which job it is."""

import asyncio
import contextvars
import decimal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import rjobs

variable = contextvars.ContextVar("variable", default="default")


def test_a_job_sees_the_contextvars_of_its_submitter(manager):
    token = variable.set("the submitter's")
    try:
        assert manager.submit(variable.get).get(5) == "the submitter's"
        assert manager.new("variable.get()").get(5) == "the submitter's"
    finally:
        variable.reset(token)
    assert manager.submit(variable.get).get(5) == "default"


def test_it_sees_them_as_they_were_when_it_was_made(single, hold):
    hold(on=single)
    token = variable.set("then")
    job = single.submit(variable.get)
    variable.set("now")
    hold.go.set()
    assert job.get(5) == "then"
    variable.reset(token)


def test_what_a_job_sets_stays_in_the_job(single):
    single.submit(variable.set, "the job's").get(5)
    assert variable.get() == "default"
    assert single.submit(variable.get).get(5) == "default"


def test_each_job_has_a_copy_of_its_own(single):
    seen = [single.submit(lambda n: (variable.get(), variable.set(n))[0], n).get(5) for n in range(3)]
    assert seen == ["default"] * 3


def test_a_context_can_be_run_by_hand_as_well(manager):
    context = contextvars.copy_context()
    context.run(variable.set, "by hand")
    assert context.run(manager.submit, variable.get).get(5) == "by hand"


def test_the_decimal_context_goes_along(manager):
    with decimal.localcontext() as context:
        context.prec = 3
        assert manager.submit(lambda: str(decimal.Decimal(1) / 3)).get(5) == "0.333"


def test_coroutines_see_them_too(manager):
    async def look():
        await asyncio.sleep(0)
        return variable.get()

    token = variable.set("the submitter's")
    assert manager.submit(look).get(5) == "the submitter's"
    variable.reset(token)


def test_outside_of_jobs_there_is_no_current_job(manager):
    manager.submit(int).join(5)
    assert rjobs.current_job() is None


def test_inside_of_a_job_it_is_that_job(manager):
    job = manager.submit(rjobs.current_job)
    assert job.get(5) is job
    code = manager.new("import rjobs; rjobs.current_job()", {})
    assert code.get(5) is code


def test_in_each_of_many_at_once(manager):
    together = threading.Barrier(10)

    def look():
        together.wait(10)
        return rjobs.current_job()

    jobs = [manager.submit(look) for _ in range(10)]
    assert [job.get(10) for job in jobs] == jobs


def test_a_job_made_by_a_job_is_its_own(manager):
    def outer():
        return manager.submit(rjobs.current_job).get(5), rjobs.current_job()

    job = manager.submit(outer)
    inner, current = job.get(5)
    assert inner is manager[1]
    assert current is job


def test_a_worker_whose_start_fell_into_a_job_works_for_no_job(hold):
    # The job that makes another starts a worker for it. What that worker does between jobs is nobody's.
    started = hold.manager.submit(hold).get(5)
    current, called = [], threading.Event()
    started.add_done_callback(lambda _: (current.append(rjobs.current_job()), called.set()))
    hold.go.set()
    assert called.wait(5)
    assert current == [None]


@pytest.mark.parametrize("how", ["thread", "executor", "to_thread", "task", "timer"])
def test_what_a_job_starts_works_for_it(manager, how):
    def in_thread():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(rjobs.current_job()))
        thread.start()
        thread.join(5)
        return seen[0]

    def in_executor():
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(rjobs.current_job).result(5)

    async def in_to_thread():
        return await asyncio.to_thread(rjobs.current_job)

    async def in_task():
        async def look():
            await asyncio.sleep(0)
            return rjobs.current_job()

        return await asyncio.create_task(look())

    def in_timer():
        seen = []
        timer = threading.Timer(0, lambda: seen.append(rjobs.current_job()))
        timer.start()
        timer.join(5)
        return seen[0]

    ways = {
        "thread": in_thread,
        "executor": in_executor,
        "to_thread": in_to_thread,
        "task": in_task,
        "timer": in_timer,
    }
    job = manager.submit(ways[how])
    assert job.get(10) is job


def test_threads_of_threads_of_a_job_work_for_it(manager):
    seen = []

    def deeper(depth):
        if depth == 0:
            seen.append(rjobs.current_job())
            return
        thread = threading.Thread(target=deeper, args=(depth - 1,))
        thread.start()
        thread.join(5)

    job = manager.submit(deeper, 3)
    job.join(10)
    assert seen == [job]


def test_a_thread_that_others_start_works_for_no_job(manager):
    seen = []
    manager.submit(int).join(5)
    thread = threading.Thread(target=lambda: seen.append(rjobs.current_job()))
    thread.start()
    thread.join(5)
    assert seen == [None]


def test_a_thread_class_of_ones_own_is_run_as_it_is(manager):
    class Mine(threading.Thread):
        def run(self):
            self.seen = rjobs.current_job(), "run" in vars(self)

    def start():
        thread = Mine()
        thread.start()
        thread.join(5)
        return thread.seen

    job = manager.submit(start)
    seen, shadowed = job.get(5)
    assert seen is job
    assert not shadowed


def test_a_thread_cannot_be_started_twice_in_a_job_either(manager):
    def start():
        thread = threading.Thread(target=int)
        thread.start()
        thread.join(5)
        thread.start()

    with pytest.raises(RuntimeError, match="threads can only be started once"):
        manager.submit(start).get(5)
