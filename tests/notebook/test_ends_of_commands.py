"""A command that ended with a code other than 0, or by a signal, is not shown as one that went well."""

from __future__ import annotations

import os
import re

import pytest

import rjobs
from rjobs import _job_html, _news, _table
from rjobs.notebook.panel.rows import make_row

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these commands are for a Unix shell")

ENDS = {"exit 2": "exit 2", "kill -9 $$": "signal 9", "kill $$": "signal 15", "exit 255": "exit 255"}


@pytest.fixture
def manager():
    with rjobs.JobManager() as manager:
        yield manager


@pytest.mark.parametrize(("command", "told"), ENDS.items())
def test_how_it_ended_is_told_in_the_colour_of_a_failure(manager, command, told):
    job = manager.shell(command)
    job.get(10)
    assert job.state == "done"
    assert (_table.state_text(job), _table.kind(job)) == (told, "bad")
    assert re.search(rf"0 : .*{told}", _table.text(manager))
    assert f'<span class="rj-s rj-bad">{told}</span>' in _table.html(manager)
    assert f"Job 0 {told}:" in _job_html.job_text(job)
    box = _job_html.job_html(job)
    assert f'<span class="rj-s rj-bad">{told}</span>' in box
    assert "rj-good" not in box.split("</style>")[-1]
    assert make_row(job)["ended"] == told
    assert _news.line([job]).startswith(f"rjobs: job 0 {told}")


def test_in_colours(manager, monkeypatch):
    monkeypatch.setattr("rjobs._table_text.has_colours", lambda: True)
    manager.shell("exit 2").get(10)
    from rjobs import _rows, _table_text

    text = _table_text.text_of(_rows.view(manager, 10), colours=True)
    assert "\x1b[31mexit 2" in text
    assert "\x1b[32m" not in text


def test_the_line_magic_too(notebook):
    job = notebook("%job !echo text; exit 3")
    job.get(10)
    assert (job.state, _table.state_text(job), _table.kind(job)) == ("done", "exit 3", "bad")


def test_one_that_went_well_is_done(manager):
    job = manager.shell("true")
    job.get(10)
    assert (_table.state_text(job), _table.kind(job), "ended" in make_row(job)) == ("done", "good", False)


def test_with_check_it_has_failed(manager):
    job = manager.shell("exit 2", check=True)
    job.join(10)
    assert (job.state, _table.state_text(job), _table.kind(job)) == ("failed", "failed", "bad")
    assert "non-zero exit status 2" in _table.error_text(job)


def test_a_function_s_result_with_a_returncode_is_not_looked_at(manager):
    class Result:
        returncode = 5

    job = manager.submit(Result)
    job.get(10)
    assert (_table.state_text(job), _table.kind(job)) == ("done", "good")


def test_the_news_tell_of_those_apart_from_what_went_well(manager):
    jobs = [manager.shell(command) for command in ("true", "true", "exit 2", "exit 2")]
    for job in jobs:
        job.get(10)
    assert _news.line(jobs) == "rjobs: 2 jobs done: 0, 1; 2 jobs exit 2: 2, 3"
