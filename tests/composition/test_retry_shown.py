"""What is shown of a job between two of its runs, and how it is asked for an end that it has not."""

from __future__ import annotations

import asyncio
import re
import threading
from concurrent.futures import CancelledError

import pytest

import rjobs
from rjobs import _job_html, _table
from rjobs.notebook.panel.rows import make_row


@pytest.fixture
def slow(monkeypatch):
    """The next try comes in an hour."""
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 3600.0)
    monkeypatch.setattr("rjobs._retry.LONGEST_WAIT", 3600.0)


def fail():
    raise ValueError("no luck")


def between(manager, until, fn=fail, **options):
    """A job that waits for its next try."""
    job = manager.options(**options).submit(fn)
    until(lambda: job.waiting_for == "retry")
    return job


def test_table_text_and_box_say_which_try_it_was_when_the_next_one_comes_and_what_it_raised(manager, until, slow):
    job = between(manager, until, retry=8)
    # A part of the wait is random.
    told = r"try 1 of 9, retry in [\d hmins]+: ValueError: no luck"
    for text in (_table.text(manager), _table.html(manager), repr_of(job), _job_html.job_html(job)):
        assert re.search(told, text), text
    assert _table.state_text(job) == "queued (retry)"
    row = make_row(job)
    assert (row["detail"], row["line"], row["bad"]) == ("try 1 of 9, retry in", "ValueError: no luck", True)
    assert row["due"] > 1000
    job.kill()


def repr_of(job):
    return _job_html.job_text(job)


def test_a_try_that_runs_says_which_it_is(manager, until, monkeypatch):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.001)
    go, calls = threading.Event(), []

    def second_try():
        calls.append(None)
        if len(calls) == 1:
            fail()
        go.wait(30)

    job = manager.options(retry=3).submit(second_try)
    until(lambda: len(calls) == 2)
    assert _table.state_text(job) == "running (try 2 of 4)"
    assert make_row(job)["detail"] == "try 2 of 4"
    go.set()
    job.get(10)
    assert _table.state_text(job) == "done"


def test_a_policy_has_no_number_of_tries(manager, until):
    tenacity = pytest.importorskip("tenacity")
    job = between(manager, until, retry=tenacity.Retrying(wait=tenacity.wait_fixed(3600)))
    assert re.search(r"try 1, retry in (1 h 00 min|59 min( 59 s)?): ValueError: no luck", _table.text(manager))
    job.kill()


def test_between_two_tries_the_traceback_is_that_of_the_last(manager, until, slow, capsys):
    job = between(manager, until, retry=8)
    job.traceback()
    text = capsys.readouterr().out
    assert "ValueError: no luck" in text
    assert "in fail" in text
    assert job.kill()
    assert job.state == "killed"
    job.traceback()
    assert "ValueError: no luck" in capsys.readouterr().out
    with pytest.raises(rjobs.JobKilled, match="while it waited for its next run") as raised:
        job.get(0)
    assert isinstance(raised.value.__cause__, ValueError)


def test_one_that_is_cancelled_between_two_tries_keeps_it_too(manager, until, slow, capsys):
    job = between(manager, until, retry=8)
    assert job.cancel()
    job.traceback()
    assert "ValueError: no luck" in capsys.readouterr().out
    with pytest.raises(CancelledError, match="while it waited for its next run") as raised:
        job.get(0)
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_try_that_succeeds_leaves_no_failure_behind(manager, monkeypatch, capsys):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.001)
    calls = []

    def once():
        calls.append(None)
        if len(calls) == 1:
            fail()

    job = manager.options(retry=1).submit(once)
    job.get(10)
    job.traceback()
    assert "No traceback" in capsys.readouterr().out


def test_a_periodic_job_says_at_once_that_it_has_no_end(manager, until):
    job = manager.options(name="tick").every(3600, fail)
    until(lambda: job.waiting_for == "schedule")
    message = r"job \d+ \('tick'\) runs every 3600 s and has no end to wait for"
    for ask in (job.get, lambda: job.get(timeout=1000), job.exception, lambda: asyncio.run(wait_for(job))):
        with pytest.raises(rjobs.JobError, match=message):
            ask()
    assert job.cancel()
    with pytest.raises(CancelledError):
        job.get()


async def wait_for(job):
    return await job


def test_who_has_asked_a_periodic_job_to_end_can_wait_for_that(manager, until):
    begun, go = threading.Event(), threading.Event()

    def work():
        begun.set()
        with rjobs.current_job().shield():
            go.wait(30)

    job = manager.every(3600, work)
    assert begun.wait(10)
    assert not job.kill(0)
    go.set()
    with pytest.raises(rjobs.JobKilled):
        job.get(10)


def test_runs_of_a_periodic_job_are_counted_where_it_is_shown(manager, until, capsys):
    gate = threading.Semaphore(0)
    job = manager.every(0.005, gate.acquire)
    for _ in range(2):
        gate.release()
    until(lambda: job.runs == 3)
    assert _table.state_text(job) == "running (run 3)"
    assert "running (run 3)" in _table.text(manager)
    assert make_row(job)["detail"] == "run 3"
    job.kill()
    once = manager.every(3600, fail)
    until(lambda: once.waiting_for == "schedule" and once.runs == 1)
    assert re.search(r"next run in (1 h 00 min|59 min( 59 s)?) \(1 run\)", _table.text(manager))
    assert re.fullmatch(r"next run in (1 h 00 min|59 min 59 s)", _table.state_text(once))
    assert "(1 run)" in _job_html.job_html(once)
    assert (make_row(once)["detail"], make_row(once)["times"]) == ("next run in", "1 run")
    once.traceback()
    assert "ValueError: no luck" in capsys.readouterr().out
