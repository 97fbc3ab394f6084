"""A kill or a time-out that leaves a job within an exception group, and alone in it, is the kill or the time-out."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import rjobs


class Child:
    """A task that blocks its thread: what is sent lands in it, and its task group or nursery wraps that."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    async def __call__(self, *, error: Exception | None = None) -> None:
        self.begun.set()
        try:
            time.sleep(1000)  # noqa: ASYNC251 - that is the point
        finally:
            if error is not None:
                raise error


def in_task_group(child, **options):
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(child(**options))
            group.create_task(asyncio.sleep(1000))

    asyncio.run(main())


def in_two_task_groups(child, **options):
    async def inner():
        async with asyncio.TaskGroup() as group:
            group.create_task(child(**options))

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    asyncio.run(main())


def in_nursery(child, **options):
    trio = pytest.importorskip("trio")

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1000)
            nursery.start_soon(lambda: child(**options))

    trio.run(main)


def in_anyio(child, **options):
    anyio = pytest.importorskip("anyio")

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: child(**options))
            group.start_soon(anyio.sleep, 1000)

    anyio.run(main)


def reraised_by_except_star(child, **options):
    try:
        in_task_group(child, **options)
    except* rjobs.JobKilled:
        raise
    except* rjobs.JobTimeout:
        raise


WAYS = [in_task_group, in_two_task_groups, in_nursery, in_anyio, reraised_by_except_star]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request):
    library = {in_nursery: "trio", in_anyio: "anyio"}.get(request.param)
    if library:
        pytest.importorskip(library)
    return request.param


def test_a_group_of_the_kill_alone_is_the_kill(manager, way):
    child = Child()
    job = manager.submit(way, child)
    assert child.begun.wait(10)
    assert job.kill(20)
    assert job.state == "killed", repr(job.exception(0))
    with pytest.raises(rjobs.JobKilled, match="was killed") as raised:
        job.get(0)
    assert type(raised.value) is rjobs.JobKilled
    assert job.exception(0) is raised.value


def test_a_group_of_the_time_out_alone_is_the_time_out(manager, way):
    child = Child()
    job = manager.options(timeout=0.2).submit(way, child)
    with pytest.raises(rjobs.JobTimeout, match=r"ran longer than its timeout of 0\.2 s"):
        job.get(20)
    assert job.state == "timed_out"


def test_a_group_with_other_errors_has_failed_with_the_group(manager, way):
    child, other = Child(), ValueError("the cleanup failed")
    job = manager.submit(both, way, child, other)
    assert child.begun.wait(10)
    assert job.kill(20)
    assert job.state == "failed"
    error = job.exception(0)
    assert isinstance(error, BaseExceptionGroup)
    kills, others = error.split(rjobs.JobKilled)
    assert kills is not None
    assert others is not None
    assert others.exceptions == (other,)


def both(way, child, other):
    """Leave with what the way leaves with, and another error beside it."""
    try:
        way(child)
    except BaseExceptionGroup as group:
        raise BaseExceptionGroup("two", [group, other]) from None


def test_a_class_that_was_asked_for_is_found_in_a_group(manager):
    child = Child()
    job = manager.submit(in_task_group, child)
    assert child.begun.wait(10)
    assert job.kill(20, exc=ArithmeticError)
    assert (job.state, type(job.exception(0))) == ("killed", ArithmeticError)


def test_a_coroutine_job_with_a_task_group_is_killed(manager):
    child = Child()

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(asyncio.sleep(1000))

    job = manager.submit(main)
    assert child.begun.wait(10)
    assert job.kill(20)
    assert job.state == "killed", repr(job.exception(0))
    assert type(job.exception(0)) is rjobs.JobKilled


def test_cancelled_tasks_beside_the_kill_do_not_count(manager, until):
    begun = threading.Event()

    def work():
        begun.set()
        try:
            time.sleep(1000)
        except BaseException as kill:
            raise BaseExceptionGroup("all", [asyncio.CancelledError(), kill, GeneratorExit()]) from None

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill(20)
    assert (job.state, type(job.exception(0))) == ("killed", rjobs.JobKilled)


def test_a_group_that_the_job_made_of_kills_by_itself_has_failed(manager):
    def work():
        raise BaseExceptionGroup("nobody asked", [rjobs.JobKilled()])

    job = manager.submit(work)
    with pytest.raises(BaseExceptionGroup, match="nobody asked"):
        job.get(10)
    assert job.state == "failed"


def test_a_group_of_cancellations_alone_has_failed(manager):
    begun = threading.Event()

    def work():
        begun.set()
        try:
            time.sleep(1000)
        except BaseException:
            raise BaseExceptionGroup("all", [asyncio.CancelledError()]) from None

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill(20)
    assert job.state == "failed"


def test_items_of_a_map_end_so_too(manager):
    child = Child()
    group = manager.options(timeout=0.2).map(in_task_group, [child])
    group.wait(20)
    assert [type(error) for error in group.errors.values()] == [rjobs.JobTimeout]
    other = Child()
    group = manager.map(in_task_group, [other])
    assert other.begun.wait(10)
    assert group.kill(20)
    assert group.state == "killed"
