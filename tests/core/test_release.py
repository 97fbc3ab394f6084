"""Ended jobs let go of what they ran, and nothing of ours keeps anything alive for longer than it says."""

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from pathlib import Path

import pytest

import rjobs


def use(thing, *, key=None):
    """Has the thing as argument and as local variable, and gives nothing of it."""
    local = [thing, key]
    return len(local)


def test_an_ended_job_has_let_go_of_its_arguments_before_get_returns(single, watched, is_gone):
    first, second = watched(), watched()
    deaths = first.death, second.death
    job = single.new(use, first, kw={"key": second})
    del first, second
    assert job.get(5) == 2
    assert [is_gone(death) for death in deaths] == [True, True]
    assert (job.func, job.args, job.kwargs) == (None, (), {})


def test_an_ended_job_has_let_go_of_its_function(single, watched, is_gone):
    thing = watched()
    death = thing.death

    def closure(thing=thing):
        return 1

    job = single.submit(closure)
    del closure, thing
    assert job.get(5) == 1
    assert is_gone(death, single)
    assert "closure" in job.strform


def test_a_bound_methods_object_is_let_go(single, is_gone):
    class Owner:
        def method(self):
            return 1

    owner = Owner()
    death = is_gone.death_of(owner)
    job = single.submit(owner.method)
    del owner
    assert job.get(5) == 1
    assert is_gone(death, single)
    assert job.name.endswith("Owner.method")


@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_a_job_that_never_ran_keeps_its_call_for_a_retry_and_no_longer(single, hold, watched, is_gone, end):
    hold(on=single)
    thing = watched()
    death = thing.death
    job = single.submit(use, thing)
    del thing
    getattr(job, end)()
    assert not death.is_set()
    assert job.retry().args == job.args
    single.kill_all(0)
    hold.go.set()
    single.wait()
    single.flush()
    del job
    assert is_gone(death, single)


def test_the_context_of_an_ended_job_is_let_go(single, watched, is_gone):
    thing, variable = watched(), contextvars.ContextVar("variable")
    death = thing.death
    context = contextvars.copy_context()
    context.run(variable.set, thing)
    job = context.run(single.submit, int)
    del thing, context
    assert job.get(5) == 0
    assert is_gone(death, single)


def test_what_a_job_leaves_in_its_context_is_let_go(single, watched, is_gone):
    variable, deaths = contextvars.ContextVar("variable"), []

    def leave():
        thing = watched()
        deaths.append(thing.death)
        variable.set(thing)

    job = single.submit(leave)
    job.get(5)
    assert is_gone(deaths[0], single)


def test_the_namespaces_of_ended_code_are_let_go(single, watched, is_gone):
    space = {"thing": watched()}
    death = space["thing"].death
    job = single.new("x = thing", space)
    del space
    assert job.get(5) is None
    assert is_gone(death, single)


def test_code_lets_go_of_the_locals_of_the_function_that_made_it(single, watched, is_gone):
    def make():
        thing = watched()
        return single.new("thing is not None"), thing.death

    job, death = make()
    assert job.get(5) is True
    assert is_gone(death, single)


def test_the_frames_of_a_job_that_is_done_are_gone(single, watched, is_gone):
    deaths = []

    def work():
        thing = watched()
        deaths.append(thing.death)
        return "other"

    job = single.submit(work)
    assert job.get(5) == "other"
    assert is_gone(deaths[0])


def test_a_failed_job_keeps_its_frames_as_long_as_itself(single, watched, is_gone):
    deaths = []

    def work():
        thing = watched()
        deaths.append(thing.death)
        raise ValueError

    job = single.submit(work)
    job.join(5)
    assert not deaths[0].is_set()
    assert "thing" in job.exception().__traceback__.tb_frame.f_locals
    single.remove(job)
    del job
    assert is_gone(deaths[0], single)


def test_a_result_lives_as_long_as_the_job(single, watched, is_gone):
    deaths = []

    def make():
        thing = watched()
        deaths.append(thing.death)
        return thing

    job = single.submit(make)
    job.join(5)
    gc.collect()
    assert not deaths[0].is_set()
    single.remove(job)
    assert not deaths[0].is_set()
    del job
    assert is_gone(deaths[0], single)


@pytest.mark.parametrize("forget", ["remove", "flush"])
def test_a_job_that_is_forgotten_is_gone(single, is_gone, forget):
    job = single.submit(int)
    job.join(5)
    death = is_gone.death_of(job)
    if forget == "remove":
        single.remove(job)
    else:
        single.flush()
    del job
    assert is_gone(death, single)


@pytest.mark.parametrize("option", [{}, {"daemon": False}, {"timeout": 1000}, {"name": "named"}], ids=str)
def test_whatever_its_options_a_forgotten_job_is_gone(single, is_gone, option):
    job = single.options(**option).submit(int)
    job.join(5)
    death = is_gone.death_of(job)
    single.remove(job)
    del job
    assert is_gone(death, single)


@pytest.mark.parametrize("use", ["future", "await", "callback", "as_completed", "wait", "follow", "outputs", "kill"])
def test_whatever_was_done_with_it_a_forgotten_job_is_gone(single, is_gone, use):
    async def wait_for(job):
        return await job

    job = single.submit(int)
    match use:
        case "future":
            job.future.result(5)
        case "await":
            asyncio.run(wait_for(job))
        case "callback":
            job.add_done_callback(lambda _, job=job: job)
        case "as_completed":
            list(single.as_completed([job]))
        case "wait":
            single.wait([job])
        case "follow":
            list(job.follow())
        case "outputs":
            assert job.outputs == []
        case "kill":
            job.kill(0, exc=type("Mine", (Exception,), {}))
    job.join(5)
    death = is_gone.death_of(job)
    single.remove(job)
    del job
    assert is_gone(death, single)


@pytest.mark.parametrize("cycle", ["result", "exception", "frame", "future", "manager", "callback", "argument"])
def test_cycles_through_a_job_are_collected(is_gone, cycle):
    manager = rjobs.JobManager(max_workers=1)

    def result():
        return [rjobs.current_job()]

    def exception():
        error = ValueError()
        error.job = rjobs.current_job()
        raise error

    def frame():
        job = rjobs.current_job()
        raise ValueError(str(job))

    box = []
    work = {"result": result, "exception": exception, "frame": frame, "manager": lambda: [manager]}.get(cycle, list)
    job = manager.submit(work)
    if cycle == "future":
        job.future.job = job
    elif cycle == "callback":
        job.add_done_callback(job.__class__.done)
        job.add_done_callback(box.append)
    elif cycle == "argument":
        box.append(job)
        box.append(manager.submit(len, box))
    manager.wait(manager)
    death = is_gone.death_of(job)
    if cycle == "manager":
        manager_death = is_gone.death_of(manager)
        for _ in range(2):
            manager.submit(int).get(5)
        del job, work, manager
        assert is_gone(manager_death)
    else:
        for each in manager:
            manager.remove(each)
        del job, work, each
        box.clear()
        manager.submit(int).get(5)
    assert is_gone(death)


def test_a_manager_nobody_holds_is_gone_with_its_records(watched, is_gone):
    manager = rjobs.JobManager(max_workers=1)
    result_death = manager.submit(watched).get(5).death
    manager.submit(int).get(5)
    manager_death = is_gone.death_of(manager)
    assert not result_death.is_set()
    del manager
    assert is_gone(manager_death)
    assert is_gone(result_death)


def test_a_manager_is_gone_while_its_jobs_still_run(is_gone):
    go, manager = threading.Event(), rjobs.JobManager()
    job = manager.submit(go.wait, 10)
    death = is_gone.death_of(manager)
    del manager
    assert is_gone(death)
    go.set()
    assert job.get(5) is True


def test_a_job_and_a_manager_can_be_referred_to_weakly(manager):
    job = manager.submit(int)
    assert weakref.ref(job)() is job
    assert weakref.ref(manager)() is manager
    assert weakref.WeakValueDictionary({1: job})[1] is job


def test_waits_that_run_out_leave_nothing_behind(hold):
    job = hold()
    before = sys.getrefcount(job)
    for _ in range(100):
        job.join(0)
        hold.manager.wait([job], 0)
        with pytest.raises(TimeoutError):
            next(hold.manager.as_completed([job], 0))
    assert sys.getrefcount(job) <= before + 2


def test_awaits_that_run_out_leave_nothing_behind(hold, is_gone):
    job, deaths = hold(), []

    async def give_up():
        waiting = asyncio.ensure_future(job)
        deaths.append(is_gone.death_of(waiting))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0)

    for _ in range(10):
        asyncio.run(give_up())
    assert [is_gone(death) for death in deaths] == [True] * 10
    assert job.running()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads what Linux tells of threads")
def test_deadlines_that_are_over_leave_no_thread_behind(python):
    run = python(
        """
import contextlib, pathlib, rjobs, threading
def timers():
    count = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # gone meanwhile
            count += task.joinpath("comm").read_text().startswith("rjobs-timers")
    return count
for _ in range(3):
    with rjobs.JobManager() as manager:
        manager.options(timeout=1000).submit(int).get(5)
    del manager
never = threading.Event()
for _ in range(50):
    if not timers():
        break
    never.wait(0.01)
print(timers())
"""
    )
    assert run.stdout == "0\n"


def test_the_collector_may_run_at_any_time(manager):
    # Cycles are made and collected on many threads while jobs start and end.
    stop = threading.Event()

    def collect():
        # With a breath in between: a free-threaded collector stops every thread.
        while not stop.wait(0.001):
            gc.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(5):
            jobs = [manager.submit(lambda n: [rjobs.current_job(), n], n) for n in range(40)]
            assert [job.get(10)[1] for job in jobs] == list(range(40))
            manager.wait(jobs)
            for job in jobs:
                manager.remove(job)
    finally:
        stop.set()
        collector.join(10)
    assert manager.all == {}
