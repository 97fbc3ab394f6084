"""`%jobs`, and what the Tab key offers."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError


@pytest.fixture
def go(notebook):
    event = notebook.shell.user_ns["go"] = threading.Event()
    yield event
    event.set()


def test_the_table(notebook, go, capsys):
    notebook("%jobs")
    assert capsys.readouterr().out == "No jobs.\n"
    notebook("%job -qn waits print('hello'); go.wait(20)")
    assert next(notebook["jobs"][0].follow()) == "hello\n"
    for cell in ("%jobs", "%jobs status", "jobs.status()"):
        notebook(cell)
        lines = capsys.readouterr().out.splitlines()
        assert lines[:1] + lines[2:] == ["Running jobs:", "", "1 running"]
        assert lines[1].split()[:4] == ["0", ":", "waits", "running"]
        assert lines[1].endswith("hello")


def test_kill(notebook, go, capsys):
    notebook("jobs_done = %job -q 1\njobs_done.join(20)")
    notebook("spin = %job -q [0 for _ in iter(int, 1)]")
    notebook("other = %job -q [0 for _ in iter(int, 1)]")
    notebook("%jobs kill 0 1, 2 1")
    assert capsys.readouterr().out == "Job 0 had already ended: done.\nJob 1: killed.\nJob 2: killed.\n"
    assert notebook["spin"].state == "killed"


def test_kill_all(notebook, capsys):
    notebook("%jobs kill all")
    assert capsys.readouterr().out == "No jobs are running.\n"
    for _ in range(3):
        notebook("%job -q [0 for _ in iter(int, 1)]")
    notebook("%jobs kill all")
    assert capsys.readouterr().out == "".join(f"Job {n}: killed.\n" for n in range(3))


def test_tail(notebook, capsys):
    notebook("job = %job -q print(*range(20), sep='\\n')\njob.get(20)")
    capsys.readouterr()
    notebook("%jobs tail 0")
    assert capsys.readouterr().out.split() == [str(n) for n in range(10, 20)]
    notebook("%jobs tail 0 2")
    assert capsys.readouterr().out == "18\n19\n"
    notebook("number = 0")
    notebook("%jobs tail $number 1")
    assert capsys.readouterr().out == "19\n"


def test_a_number_or_a_name_shows_the_job(notebook, capsys):
    notebook("one = %job -q 1\none.get(20)")
    notebook("two = %job -qn 'two words' 2\ntwo.get(20)")
    capsys.readouterr()
    notebook("%jobs 0")
    assert capsys.readouterr().out.startswith("<Job 0 done: 1")
    for line in ("1", "'two words'"):
        notebook(f"%jobs {line}")
        assert capsys.readouterr().out.startswith("<Job 1 done: two words")
    notebook("%jobs 1, 0 1")
    assert [line[:11] for line in capsys.readouterr().out.splitlines()] == ["<Job 1 done", "<Job 0 done"]


def test_stop_asks_all_at_once_and_kills_nobody_who_ends(notebook, capsys):
    notebook("import rjobs\ndone = %job -q 1\ndone.get(20)")
    for name in ("one", "two"):
        notebook(f"%job -qn {name} rjobs.current_job().sleep(60)")
    # Both have begun: a queued one would be cancelled.
    notebook("import time\nwhile not all(job.running() for job in jobs.running): time.sleep(0.001)")
    notebook("%jobs stop one 2 0")
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "Job 1: killed.",
        "Job 2: killed.",
        "Job 0 had already ended: done.",
    ]
    assert all(notebook["jobs"][name].stop_requested for name in ("one", "two"))
    notebook("%jobs stop all")
    assert capsys.readouterr().out == "No jobs are running.\n"


def test_retry_runs_again_what_failed_and_shows_the_new_job(notebook, capsys):
    notebook("bad = %job -qn bad 1 / 0\nbad.wait(20)")
    notebook("group = jobs.map(lambda n: 1 // n, [0, 1])\ngroup.wait(20)")
    capsys.readouterr()
    notebook("%jobs retry bad 1")
    assert [line[:6] for line in capsys.readouterr().out.splitlines()] == ["<Job 2", "<JobGr"]
    again, group = notebook["jobs"][2], notebook["jobs"][3]
    assert isinstance(again.exception(20), ZeroDivisionError)
    assert (again.name, len(group)) == ("bad", 1)
    assert group.wait(20)


def test_traceback_of_one_job_or_of_all_dead_ones(notebook, capsys):
    notebook("one = %job -qn one 1 / 0\none.wait(20)")
    notebook("two = %job -q int('x')\ntwo.wait(20)")
    capsys.readouterr()
    notebook("%jobs traceback one")
    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out
    assert "ValueError" not in out
    for line in ("%jobs traceback", "%jobs traceback 0 1"):
        notebook(line)
        out = capsys.readouterr().out
        assert out.index("ZeroDivisionError") < out.index("ValueError")


def test_flush(notebook):
    notebook("job = %job -q 1\njob.get(20)")
    notebook("%jobs flush")
    assert len(notebook["jobs"]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "status, kill, tail, fg, stack, flush, panel, retry, stop, traceback"),
        ("kil 0", "no sub-command 'kil': did you mean 'kill'?"),
        ("laod", "no sub-command 'laod': did you mean 'load'?"),
        ("tail laod", "not the name of one: did you mean 'load'?"),
        ("99", "job 99 is not known"),
        ("0 99", "job 99 is not known"),
        ("-1", "no sub-command '-1'"),
        ("retry", "Usage"),
        ("retry 99", "99"),
        ("retry 0", "%jobs retry: job 0 .* is done"),
        ("stop", "Usage"),
        ("stop 0 99", "99"),
        ("traceback 99", "99"),
        ("panel 1", "Usage"),
        ("fg", "no jobs are running"),
        ("fg 0 0", "Usage"),
        ("fg 99", "99"),
        ("stack nobody", "'nobody' is not the number"),
        ("kill 'open", "quote"),
        ("kill", "Usage"),
        ("kill 99", "99"),
        ("kill x", "'x' is not the number"),
        ("kill -1", "'-1' is not the number"),
        ("kill 99999999999999999999999999", "9999"),
        ("tail", "Usage"),
        ("tail 0 x", "number of lines"),
        ("tail 0 1 2", "Usage"),
        ("tail 99", "99"),
        ("flush 1", "Usage"),
    ],
)
def test_usage_errors(notebook, line, message):
    notebook("job = %job -qn load 1\njob.get(20)")
    with pytest.raises(UsageError, match=message):
        notebook(f"%jobs {line}")
    assert len(notebook["jobs"]) == 1


def test_kill_all_of_many_is_one_line(notebook, go, capsys):
    notebook("%config RJobs.max_workers = 3")
    notebook("for number in range(40):\n    %job -q go.wait(20)")
    capsys.readouterr()
    notebook("%jobs kill all")
    assert capsys.readouterr().out == "40 jobs: 40 killed.\n"
    assert {job.state for job in notebook["jobs"]} == {"killed"}
    notebook("%jobs kill 0 1 2 3 4 5")
    assert capsys.readouterr().out == "6 jobs: 6 had already ended.\n"


def test_kill_all_of_many_names_those_that_have_not_ended(notebook, go, capsys, monkeypatch):
    monkeypatch.setattr("rjobs.notebook.magics._KILL_WAIT", 0.5)
    notebook("""import rjobs, threading
started = [threading.Event() for _ in range(2)]
def stays(started):
    with rjobs.current_job().shield():
        started.set()
        go.wait(20)
""")
    notebook("for one in started:\n    %job -q stays(one)\nfor number in range(8):\n    %job -q go.wait(20)")
    notebook("[one.wait(10) for one in started]")
    capsys.readouterr()
    notebook("%jobs kill all")
    assert capsys.readouterr().out.splitlines() == [
        "10 jobs: 8 killed, 2 not ended yet.",
        "Job 0 has not ended yet: kill pending.",
        "Job 1 has not ended yet: kill pending.",
    ]
    go.set()
    notebook("jobs.wait(timeout=10)")


def test_nothing_is_killed_when_one_number_is_wrong(notebook, go):
    notebook("job = %job -q go.wait(20)")
    with pytest.raises(UsageError):
        notebook("%jobs kill 0 99")
    go.set()
    assert notebook["job"].get(timeout=20) is True


def complete(notebook, line):
    notebook.shell.Completer.use_jedi = False  # it adds Python's keywords and names of its own
    with provisionalcompleter():
        return [completion.text for completion in notebook.shell.Completer.completions(line, len(line))]


def test_completion(notebook, go):
    notebook("a = %job -q go.wait(20)")
    notebook("b = %job -q 1\nb.get(20)")
    notebook("c = %job -qn named go.wait(20)")
    notebook("d = %job -qn 'two words' go.wait(20)")
    old = ["status", "kill", "tail", "fg", "stack", "flush", "panel"]
    assert complete(notebook, "%jobs ") == [*old, "retry", "stop", "traceback"]
    assert complete(notebook, "%jobs k") == ["kill"]
    assert complete(notebook, "%jobs kill ") == ["0", "2", "3", "named", "all"]
    assert complete(notebook, "%jobs kill 0 ") == ["2", "3", "named"]
    assert complete(notebook, "%jobs kill n") == ["named"]
    assert complete(notebook, "%jobs stop ") == ["0", "2", "3", "named", "all"]
    assert complete(notebook, "%jobs r") == ["retry"]
    # Nothing has failed.
    assert complete(notebook, "%jobs retry ") == complete(notebook, "%time ")
    assert complete(notebook, "%jobs traceback ") == ["0", "2", "3", "1", "named"]
    notebook("bad = %job -q 1 / 0\nbad.wait(20)")
    assert complete(notebook, "%jobs retry ") == ["4"]
    notebook("jobs.remove(4)")
    for command in ("tail", "fg", "stack"):
        assert complete(notebook, f"%jobs {command} ") == ["0", "2", "3", "1", "named"]
        assert complete(notebook, f"%jobs {command} 0 ") == complete(notebook, "%time ")
    assert "--name" in complete(notebook, "%job --n")
    assert "--name" in complete(notebook, "%%job -q --n")
    # The code itself is completed as after any other magic.
    assert set(complete(notebook, "%job g")) == set(complete(notebook, "%time g"))


def test_completion_of_the_values_of_options(notebook, go):
    notebook("first = %job -q go.wait(20)\njobs.limit('site', 2); jobs.limit('disk', 1)")
    for before in ("--after ", "-a ", "--after=", "-q --after "):
        assert complete(notebook, f"%job {before}") == ["0", "first"], before
    assert complete(notebook, "%job --after f") == ["first"]
    assert complete(notebook, "%job -l ") == ["disk", "site"]
    assert complete(notebook, "%job --limit=s") == ["site"]
    # The code itself is completed as after any other magic.
    assert "first" in complete(notebook, "%job --name x fir")


def test_key_completion(notebook):
    notebook("a = %job -q 1")
    notebook("a = %job -qn loads 1")
    matches = complete(notebook, "jobs[")
    assert any("0" in match for match in matches)
    assert any("loads" in match for match in matches)


def test_the_magics_use_the_manager_that_the_user_calls_jobs(notebook):
    notebook("import rjobs\nextension = jobs\njobs = rjobs.JobManager(max_workers=1)")
    notebook("job = %job -q 1")
    assert notebook["job"] in notebook["jobs"]
    assert len(notebook["extension"]) == 0
    notebook("jobs.shutdown()\njobs = 'something else'")
    notebook("job = %job -q 1")
    assert notebook["job"] in notebook["extension"]


def test_the_magics_explain_themselves(notebook):
    for name in ("job", "jobs"):
        info = notebook.shell.object_inspect(f"%{name}")
        assert f"%{name}" in info["docstring"]
    assert SimpleNamespace(**notebook.shell.object_inspect("%%job")).found


def test_the_panel_of_a_terminal_is_the_table(notebook, capsys):
    notebook("job = %job -q 1\njob.get(20)")
    assert notebook("jobs.panel()") is None
    assert "0 : 1  done" in capsys.readouterr().out
    notebook("%jobs panel")
    assert "0 : 1  done" in capsys.readouterr().out
    for rows in ("0", "201", "-1"):
        with pytest.raises(ValueError, match="rows must be from 1 to 200"):
            notebook(f"jobs.panel(rows={rows})")
