"""What was in the frames of a job that was ended is let go of, and of one that failed it is kept: for `debug()`."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
import threading
import time
import traceback
import weakref

import pytest

import rjobs


class Big:
    """Stands for 800 MB."""


class Work:
    """A function to be run as a job, which has something big in its frames."""

    def __init__(self):
        self.begun = threading.Event()
        self.big = None

    def __call__(self):
        big = Big()
        self.big = weakref.ref(big)
        self.wait()
        return big

    def wait(self):
        self.begun.set()
        while True:
            time.sleep(0.001)

    def fail(self):
        big = Big()
        self.big = weakref.ref(big)
        raise ValueError(str(big))

    async def coroutine(self):
        big = Big()
        self.big = weakref.ref(big)
        self.begun.set()
        await asyncio.sleep(1000)
        return big

    def returns_a_coroutine(self):
        return self.coroutine()

    def generator(self):
        big = Big()
        self.big = weakref.ref(big)
        self.begun.set()
        yield 1
        self.wait()
        yield big

    def item(self, _item):
        return self()

    def in_a_handler(self):
        try:
            self.fail()
        except ValueError:
            self.wait()

    def in_a_group(self):
        async def run():
            async with asyncio.TaskGroup() as group:
                group.create_task(self.coroutine())

        return run()

    def is_free(self):
        return self.big() is None


@pytest.fixture
def work():
    return Work()


ENDS = {
    "killed": lambda job: job.kill(20),
    "stopped": lambda job: job.stop(grace=0.01),
    "by another class": lambda job: job.kill(20, exc=SystemError),
}
STARTS = {
    "a function": lambda m, work: m.submit(work),
    "code": lambda m, work: m.new("big = work()", {"work": work}),
    "a coroutine": lambda m, work: m.submit(work.coroutine),
    "a coroutine that is returned": lambda m, work: m.submit(work.returns_a_coroutine),
    "a task of a group": lambda m, work: m.submit(work.in_a_group),
    "a generator": lambda m, work: m.submit(work.generator),
    "an item": lambda m, work: m.map(work.item, [1]),
    "in a handler": lambda m, work: m.submit(work.in_a_handler),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("start", STARTS)
def test_a_job_that_was_ended_has_let_go_of_them_when_that_is_said(manager, work, start, end, no_collection):
    job = STARTS[start](manager, work)
    assert work.begun.wait(20)
    assert ENDS[end](job)
    assert job.state == "killed"
    assert work.is_free()
    # The job and its exception are there, and say where it was.
    error = job.exception()
    text = "".join(traceback.format_exception(error))
    if start not in ("a coroutine", "a coroutine that is returned", "a task of a group"):
        assert "in wait" in text
        assert "time.sleep(0.001)" in text
    assert job._tb
    with pytest.raises(type(error)):
        job.get()
    assert work.is_free()


@pytest.mark.parametrize("start", [start for start in STARTS if start != "an item"])
def test_one_that_ran_too_long_as_well(manager, work, start, no_collection):
    job = STARTS[start](manager.options(timeout=0.2), work)
    assert job.wait(20)
    assert job.state == "timed_out"
    assert work.is_free()
    assert job._tb


def test_an_item_that_ran_too_long_as_well(manager, work, no_collection):
    group = manager.options(timeout=0.1).map(work.item, [1])
    assert group.wait(20)
    (error,) = group.errors.values()
    assert isinstance(error, rjobs.JobTimeout)
    assert work.is_free()


def test_one_that_failed_keeps_them(manager, work):
    job = manager.submit(work.fail)
    with pytest.raises(ValueError, match="Big") as caught:
        job.get(20)
    assert not work.is_free()
    assert isinstance(inner(job.exception()).f_locals["big"], Big)
    manager.remove(job.num)
    assert not work.is_free()
    # They go with whoever holds it.
    del job, caught
    gc.collect()
    assert work.is_free()


def inner(error):
    here = error.__traceback__
    while here.tb_next is not None:
        here = here.tb_next
    return here.tb_frame


@pytest.mark.parametrize("how", ["manager", "attribute", "option"])
@pytest.mark.parametrize("gone", ["remove", "flush", "result_ttl"])
def test_where_they_are_kept_they_go_with_the_record(work, how, gone, capsys):
    with rjobs.JobManager(keep_frames=how == "manager") as m:
        if how == "attribute":
            m.keep_frames = True
        ttl = {"result_ttl": 0.3} if gone == "result_ttl" else {}
        job = m.options(**({"keep_frames": True} if how == "option" else {}), **ttl).submit(work)
        assert work.begun.wait(20)
        assert job.kill(20)
        assert not work.is_free()
        frame = next(f for f, _ in traceback.walk_tb(job.exception().__traceback__) if f.f_code.co_name == "__call__")
        assert isinstance(frame.f_locals["big"], Big)
        del frame
        if gone == "remove":
            m.remove(job.num)
        elif gone == "flush":
            m.flush()
        else:
            until = time.monotonic() + 20
            while not work.is_free() and time.monotonic() < until:
                time.sleep(0.01)
        assert work.is_free()
        assert "in wait" in "".join(traceback.format_exception(job.exception()))
        with pytest.raises(RuntimeError, match="what was in its frames is let go of"):
            job.debug()


def test_where_none_are_kept_one_that_failed_keeps_none(work, no_collection):
    with rjobs.JobManager(keep_frames=False) as m:
        job = m.submit(work.fail)
        assert job.wait(20)
        assert work.is_free()
        assert isinstance(job.exception(), ValueError)
        kept = m.options(keep_frames="failed").submit(work.fail)
        assert kept.wait(20)
        assert not work.is_free()
        group = m.map(lambda _item: work.fail(), [1])
        assert group.wait(20)
        assert work.is_free()


def test_debug_says_how_to_have_them(manager, work):
    job = manager.submit(work)
    assert work.begun.wait(20)
    job.kill(20)
    with pytest.raises(RuntimeError, match=r"is killed, and what was in its frames .* keep_frames=True"):
        job.debug()


def test_who_holds_the_exception_holds_no_frames(manager, work, no_collection):
    job = manager.submit(work)
    assert work.begun.wait(20)
    job.kill(20)
    with pytest.raises(rjobs.JobKilled) as caught:
        job.get()
    try:
        raise job.exception()
    except rjobs.JobKilled:
        sys.last_value = sys.exc_info()[1]
    assert work.is_free()
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), rjobs.JobKilled)
    # The frames of who waited are none of the job's.
    here = caught.tb.tb_frame
    assert here.f_locals["job"] is job
    del sys.last_value


def test_what_another_job_raised_keeps_its_frames(manager, work):
    failed = manager.submit(work.fail)
    begun = threading.Event()

    def wait_in_a_handler():
        try:
            failed.get()
        except ValueError:
            begun.set()
            while True:
                time.sleep(0.001)

    job = manager.submit(wait_in_a_handler)
    assert begun.wait(20)
    assert job.kill(20)
    assert not work.is_free()
    assert isinstance(inner(failed.exception()).f_locals["big"], Big)


def test_a_generator_that_goes_on_is_not_closed(manager):
    # Its frame is in the traceback of what it caught and handed on.
    def steps():
        try:
            raise ValueError
        except ValueError as error:
            yield error
        yield "goes on"

    generator, begun = steps(), threading.Event()
    errors = [next(generator)]

    def work():
        try:
            raise KeyError from errors.pop()
        except KeyError:
            begun.set()
            while True:
                time.sleep(0.001)

    job = manager.submit(work)
    assert begun.wait(20)
    assert job.kill(20)
    assert next(generator) == "goes on"


def test_a_finalizer_that_does_not_end_is_ended(manager):
    class Endless:
        def __del__(self):
            while True:
                time.sleep(0.001)

    begun = threading.Event()

    def work():
        endless = Endless()
        begun.set()
        while True:
            time.sleep(0.001)
        return endless

    job = manager.submit(work)
    assert begun.wait(20)
    assert job.kill(20)
    assert job.state == "killed"


@pytest.mark.parametrize(("value", "error"), [("all", ValueError), (None, None), (1, TypeError), ("", ValueError)])
def test_a_wrong_setting_is_refused(manager, value, error):
    if error is None:
        error = TypeError
    else:
        with pytest.raises(error, match="keep_frames must be True, False or 'failed'"):
            rjobs.JobManager(keep_frames=value)
    with pytest.raises(error, match="keep_frames must be True, False or 'failed'"):
        manager.keep_frames = value
    with pytest.raises(error, match="keep_frames must be True, False or 'failed'"):
        manager.options(keep_frames=value)
    assert manager.keep_frames == "failed"


@pytest.fixture
def no_collection():
    """Without the collector of cycles: what is free is so at once."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
