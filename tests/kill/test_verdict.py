"""How a job ended that a kill has reached, and that left with another exception: it was killed."""

from __future__ import annotations

import asyncio
import functools
import threading
import time

import pytest

import rjobs


class LibraryError(Exception):
    """What a library raises when its call was cancelled."""


def call(function):
    """Return the coroutine of a coroutine function: a job that does so has a loop of its own."""
    return function()


def test_what_a_strike_has_come_to_is_the_kill_whatever_leaves_the_job(manager):
    """A library that takes the kill and raises an error of its own."""
    begun = threading.Event()

    def work():
        try:
            begun.set()
            time.sleep(60)
        except BaseException as error:
            raise LibraryError("interrupted") from error

    job = manager.submit(work)
    assert begun.wait(10)
    assert job.kill()
    assert job.state == "killed"
    error = job.exception(0)
    assert type(error) is rjobs.JobKilled
    assert "was killed" in str(error)
    assert isinstance(error.__context__, LibraryError)
    assert isinstance(error.__context__.__cause__, rjobs.JobKilled)


def test_the_same_for_a_time_out(manager):
    def work():
        try:
            time.sleep(60)
        except BaseException:
            raise LibraryError("interrupted") from None

    job = manager.options(timeout=0.05).submit(work)
    assert job.wait(10)
    assert job.state == "timed_out"
    assert type(job.exception(0)) is rjobs.JobTimeout
    assert isinstance(job.exception(0).__context__, LibraryError)


@pytest.mark.parametrize("is_own_loop", [False, True])
def test_the_same_for_a_coroutine(manager, is_own_loop):
    begun = threading.Event()

    async def work():
        try:
            begun.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise LibraryError("interrupted") from None

    job = manager.submit(functools.partial(call, work) if is_own_loop else work)
    assert begun.wait(10)
    assert job.kill()
    assert job.state == "killed"
    assert isinstance(job.exception(0).__context__, LibraryError)
