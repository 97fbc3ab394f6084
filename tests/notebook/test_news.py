"""News of jobs that ended, at the next prompt; `notify` and what can be configured."""

from __future__ import annotations

import threading

import pytest
from traitlets import TraitError

import rjobs
from rjobs import _news, _table


@pytest.fixture
def out(capsys):
    """What was shown since it was asked last."""
    return lambda: capsys.readouterr().out


def test_one_line_for_all_that_ended_before_the_next_cell(telling, out):
    telling("jobs.new(int, name='first').join(20)\njobs.new('1 / 0').join(20)")
    assert "rjobs" not in out()
    telling("print('mine')")
    text = out()
    assert text.startswith("rjobs: job 0 (first) done in ")
    assert "job 1 failed: ZeroDivisionError: division by zero -- more: jobs[1].traceback()\nmine\n" in text
    telling("print('mine')")
    assert out() == "mine\n"


@pytest.mark.parametrize(
    "seen",
    [
        "job.get(20)",
        "job.join(20); jobs.status()",
        "%jobs fg 0",
        "for text in job.follow(): pass\n%jobs kill 0",
    ],
)
def test_what_was_seen_is_no_news(telling, out, seen):
    telling("job = jobs.new(int)")
    telling(seen)
    out()
    telling("print('mine')")
    assert out() == "mine\n"


def test_a_terminal_tells_before_it_prompts(telling, out):
    telling("%unload_ext rjobs")
    telling.shell.prompt_for_code = lambda: ""  # what makes a shell a terminal
    telling("%load_ext rjobs")
    telling("jobs.new(int).join(20); print('mine')")
    assert out().startswith("mine\nrjobs: job 0 done")
    del telling.shell.prompt_for_code


def test_no_news_when_nobody_wants_any(telling, out):
    telling("jobs.notify = False\njobs.new(int).join(20)")
    telling("print('mine')")
    assert out() == "mine\n"


def test_a_function_is_told_instead(telling, out):
    telling("told = []\njobs.notify = told.append\njob = jobs.new(int)\njob.join(20)")
    telling("jobs.shutdown()")  # what is called at the end of jobs has been
    assert telling["told"] == [telling["job"]]
    assert out() == ""


def test_live_is_told_at_once_and_not_again(telling, monkeypatch):
    written = threading.Event()
    lines = []
    monkeypatch.setattr("rjobs.notebook.news.show", lambda text: (lines.append(text), written.set()))
    telling("jobs.notify = 'live'\njobs.new(int, name='quick').join(20)")
    assert written.wait(20)
    assert lines[0].startswith("rjobs: job 0 (quick) done in ")
    telling("jobs.notify = 'prompt'")
    telling("1")
    assert len(lines) == 1


def test_jobs_that_end_together_are_told_of_in_few_lines(telling, monkeypatch):
    first, go, told = threading.Event(), threading.Event(), threading.Event()
    lines = []

    def show(text):
        lines.append(text)
        first.set()
        go.wait(20)  # all the others end while the first line is written
        if len(lines) == 2:
            told.set()

    monkeypatch.setattr("rjobs.notebook.news.show", show)
    telling("jobs.notify = 'live'\njobs.new(int)")
    assert first.wait(20)
    telling("jobs.wait([jobs.new(int) for _ in range(50)])")
    go.set()
    assert told.wait(20)
    assert lines[1] == "rjobs: 50 jobs done: 1-50"


def test_settings_of_the_configuration_hold_from_the_load_on(bare):
    settings = {
        "max_workers": 2,
        "max_queued": 5,
        "on_full": "reject",
        "notify": False,
        "timeout": 0.5,
        "table_rows": 7,
    }
    bare.shell.config.RJobs.update(settings)
    rows = _table.ROWS
    bare("%load_ext rjobs")
    manager = bare["jobs"]
    assert (manager.max_workers, manager.notify) == (2, False)
    assert settings["table_rows"] == _table.ROWS
    assert bare("%job 1").timeout == 0.5
    assert bare("%job -t 3 1").timeout == 3
    assert bare("jobs.new(int)").timeout is None
    bare("%unload_ext rjobs")
    assert rows == _table.ROWS


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_workers", 0, "RJobs.max_workers must be above 0, not 0"),
        ("timeout", -1, "RJobs.timeout must be above 0"),
        ("result_ttl", float("nan"), "RJobs.result_ttl must be above 0"),
        ("output_limit", -1, "RJobs.output_limit must be 0 or more"),
        ("idle_timeout", "long", "idle_timeout"),
        ("on_full", "panic", "on_full"),
        ("notify", "sometimes", "RJobs.notify must be 'prompt', 'live', False, or a function"),
        ("table_rows", 0, "RJobs.table_rows must be above 0"),
        ("keep_frames", "all", "RJobs.keep_frames must be True, False or 'failed', not 'all'"),
        ("keep_frames", 1, "RJobs.keep_frames must be True, False or 'failed', not 1"),
    ],
)
def test_a_wrong_setting_is_an_error_when_it_is_loaded_and_leaves_no_trace(bare, name, value, message):
    bare.shell.config.RJobs[name] = value
    with pytest.raises(TraitError, match=message):
        rjobs.load_ipython_extension(bare.shell)
    assert "jobs" not in bare
    del bare.shell.config["RJobs"]


def test_config_shows_and_changes(telling, out, caplog):
    telling("%config RJobs")
    text = out()
    for name in ("max_workers", "idle_timeout", "output_limit", "max_queued", "on_full", "notify", "timeout"):
        assert f"RJobs.{name}=" in text
    first = telling["jobs"]
    telling("%config RJobs.max_workers = 3")
    assert telling["jobs"].max_workers == 3  # nobody has used the one before
    assert telling["jobs"] is not first
    telling("jobs.notify = 'live'")
    telling("%config RJobs.notify = 'prompt'")
    assert telling["jobs"].notify == "prompt"
    telling("%config RJobs.keep_frames = True")
    assert telling["jobs"].keep_frames is True
    telling("jobs.keep_frames = False")
    telling("%config RJobs.keep_frames = 'failed'")
    assert telling["jobs"].keep_frames == "failed"
    telling("%config RJobs.timeout = 2")
    assert telling("%job 1").timeout == 2
    telling("%config RJobs.timeout = None")
    assert telling("%job 1").timeout is None
    telling("%config RJobs.notify = 'never'")
    assert "RJobs.notify must be" in caplog.text
    assert telling["jobs"].notify == "prompt"


def test_a_manager_that_is_in_use_stays_and_the_next_has_the_setting(telling, out):
    telling("job = %job 1")
    manager = telling["jobs"]
    telling("%config RJobs.max_workers = 3")
    assert "%reload_ext rjobs" in out()
    assert telling["jobs"] is manager
    telling("%reload_ext rjobs")
    assert telling["jobs"].max_workers == 3
    del telling.shell.config["RJobs"]


def test_unloading_takes_the_settings_and_the_news_away(telling, out):
    telling("job = jobs.new(int)\njob.join(20)")
    assert "RJobs" in {type(each).__name__ for each in telling.shell.configurables}
    telling("%unload_ext rjobs")
    out()
    telling("1")
    assert "rjobs" not in out()
    assert "RJobs" not in {type(each).__name__ for each in telling.shell.configurables}
    assert _news.teller.writer is _news.write
