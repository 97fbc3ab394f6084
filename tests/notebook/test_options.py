"""The options of `%job`."""

from __future__ import annotations

import re
import threading

import pytest
from IPython.core.error import UsageError

from rjobs import JobTimeout, ManagerClosed
from rjobs.notebook.options import Options, parse


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("f()", Options("f()")),
        ("", Options("")),
        ("-n load f()", Options("f()", name="load")),
        ("-nload f()", Options("f()", name="load")),
        ("-n 'my job' f('x  y')", Options("f('x  y')", name="my job")),
        ('-n "my job"  f()', Options("f()", name="my job")),
        ("--name load f()", Options("f()", name="load")),
        ("--name=load f()", Options("f()", name="load")),
        ('--name="my job" f()', Options("f()", name="my job")),
        ("--name='' f()", Options("f()", name="")),
        ("-n --name f()", Options("f()", name="--name")),
        ("-t 5 f()", Options("f()", timeout=5.0)),
        ("-t2.5 f()", Options("f()", timeout=2.5)),
        ("-t.5 f()", Options("f()", timeout=0.5)),
        ("--timeout=1e3 f()", Options("f()", timeout=1000.0)),
        ("-o x f()", Options("f()", out="x")),
        ("--out größe f()", Options("f()", out="größe")),
        ("-q f()", Options("f()", quiet=True)),
        ("-qf f()", Options("f()", quiet=True, follow=True)),
        ("-qn load f()", Options("f()", quiet=True, name="load")),
        ("-f --quiet -t 1 f()", Options("f()", quiet=True, follow=True, timeout=1.0)),
        ("-q -- -x", Options("-x", quiet=True)),
        ("-- --name x", Options("--name x")),
        ("-- -- x", Options("-- x")),
        ("-1", Options("-1")),
        ("-1 + 2", Options("-1 + 2")),
        ("- x", Options("- x")),
        ("-x.real", Options("-x.real")),
        ("-x[0]", Options("-x[0]")),
        ("-f(x)", Options("-f(x)")),
        ("-(x)", Options("-(x)")),
        ("--(x)", Options("--(x)")),
        ("-_x", Options("-_x")),
        ("-q -1", Options("-1", quiet=True)),
        ("-q f(-n) -q", Options("f(-n) -q", quiet=True)),
        ("-q  f( '  ' ) ", Options("f( '  ' ) ", quiet=True)),
        ("-n a -n b f()", Options("f()", name="b")),
    ],
)
def test_options_stand_before_the_code(line, options):
    assert parse(line) == options


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-x", "no option -x"),
        ("--xyz f()", "no option --xyz"),
        ("-qx f()", "no option -x"),
        ("--x=1 f()", "no option --x"),
        ("-n", "--name needs a value"),
        ("--out", "--out needs a value"),
        ("-n 'open f()", '--name needs a value: a quote is not closed in "\'open f\\(\\)"'),
        ('-n "two words f(1)', "a quote is not closed"),
        ('--name="two words f(1)', "a quote is not closed"),
        ("-n 'a'b f(1)", "a space behind its closing quote"),
        ("--timout 5 f()", "no option --timout: did you mean 'timeout'"),
        ("--nmae x f()", "no option --nmae: did you mean 'name'"),
        ("-t soon f()", "number of seconds"),
        ("-t 0 f()", "number of seconds"),
        ("-t -1 f()", "number of seconds"),
        ("-t inf f()", "number of seconds"),
        ("-t nan f()", "number of seconds"),
        ("-o 1x f()", "name of a variable"),
        ("-o x.y f()", "name of a variable"),
        ("-o class f()", "name of a variable"),
        ("--quiet=1 f()", "takes no value"),
        ("-q5 f()", "takes no value"),
        ("-p f()", "not yet"),
        ("--process f()", "not yet"),
        ("--on process f()", "not yet"),
        ("--profile f()", "not yet"),
    ],
)
def test_wrong_options_are_usage_errors(line, message):
    with pytest.raises(UsageError, match=message):
        parse(line)


@pytest.mark.parametrize(
    "cell", ["%job", "%job   ", "%job -q", "%job --", "%%job\n\n", "%%job -n x\n# only a comment\n", "%job # nothing"]
)
def test_there_must_be_code(notebook, cell):
    with pytest.raises(UsageError, match="code"):
        notebook(cell)
    assert len(notebook["jobs"]) == 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("-n f(1)", "'f(1)' was taken for the value of --name, which stands before the code: %job --name NAME f(1)"),
        ("--name=f(1)", "'f(1)' was taken for the value of --name"),
        ("-q -l site", "'site' was taken for the value of --limit"),
    ],
)
def test_code_that_became_the_value_of_an_option(notebook, options, wanted):
    with pytest.raises(UsageError, match=re.escape(wanted)):
        notebook(f"%job {options}")
    assert len(notebook["jobs"]) == 0


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("f(1)", "-n late"),
        ("f(1)", "-t 5"),
        ("f(1)", "-t5"),
        ("f(1)", "-q"),
        ("f(1)", "-qf"),
        ("f(1)", "--quiet"),
        ("f(1)", "--name=late"),
        ("f(1)", "--name 'two words' -q"),
        ("f(1); f(2)", "--timeout 5"),
        ("x = f(1)", "-n late"),
        ("await f(1)", "-n late"),
    ],
)
def test_options_behind_the_code_are_refused_with_where_they_stand(notebook, code, options):
    with pytest.raises(UsageError, match=re.escape(f"options stand before the code: %job {options} {code}")):
        notebook(f"%job {code} {options}")
    assert len(notebook["jobs"]) == 0


def test_code_that_only_looks_like_options_is_code(notebook):
    notebook("f = lambda x: x\nq = 1\nn = 2")
    for code, value in [
        ("f(5) -q", 4),
        ("f(5) -n -q", 2),
        ("f('a -q')", "a -q"),
        ("f(5) # -q", 5),
        ("f(5) - q", 4),
        ("f('x') if f(5) -q else 0", "x"),
    ]:
        assert notebook(f"%job {code}").get(20) == value, code
    # A name of the function that the line stands in.
    assert notebook("def g():\n    t5 = 3\n    return get_ipython().run_line_magic('job', 'f(5) -t5')\ng() is not None")
    for broken in ("f(5", "f('x -q", "print(1) 2"):
        with pytest.raises(SyntaxError):
            notebook(f"%job {broken}")
    # What stands in a cell is no line with options.
    with pytest.raises(SyntaxError):
        notebook("%%job\nf(1) -n late")


def test_after_takes_a_name(notebook):
    notebook("%job -qn first 'ran'")
    assert notebook("%job -a first 2").get(20) == 2


def test_after_speaks_of_itself(notebook):
    for word, message in (("99", ": job 99 is not known"), ("-1", " needs the number or name of a job")):
        with pytest.raises(UsageError, match=f"%job --after{message}"):
            notebook(f"%job -a {word} 1")
    assert len(notebook["jobs"]) == 0


def test_after_a_shutdown_the_error_says_what_to_do_and_that_works(notebook):
    notebook("jobs.shutdown()")
    with pytest.raises(ManagerClosed, match="%reload_ext rjobs"):
        notebook("%job 1")
    notebook("%reload_ext rjobs")
    assert notebook("%job 1").get(20) == 1
    # Also where the user made the manager.
    notebook("import rjobs\njobs = rjobs.JobManager()\njobs.shutdown()")
    with pytest.raises(ManagerClosed, match="%reload_ext rjobs"):
        notebook("%job 1")
    notebook("%reload_ext rjobs")
    assert notebook("%job 2").get(20) == 2


def test_a_setting_of_the_manager_says_how_it_is_changed(notebook):
    with pytest.raises(AttributeError, match=r"%config RJobs\.max_workers = 4"):
        notebook("jobs.max_workers = 4")
    notebook("%config RJobs.max_workers = 4")
    assert notebook["jobs"].max_workers == 4


def test_the_first_line_of_a_cell_has_options_only(notebook):
    with pytest.raises(UsageError, match="first line"):
        notebook("%%job -q f()\ng()")
    assert notebook("%%job -n x # a comment\n1").get(timeout=20) == 1
    assert len(notebook["jobs"]) == 1


def test_a_usage_error_is_one_line_without_a_traceback(notebook, capsys):
    with pytest.raises(UsageError):
        notebook("%job -z 1")
    captured = capsys.readouterr()
    assert captured.err.startswith("UsageError: %job has no option -z.")
    assert "Traceback" not in captured.out + captured.err


def test_name_and_timeout(notebook):
    job = notebook("%%job -n waits -t 0.05\nwhile True: pass")
    assert job.name == "waits"
    assert job.timeout == 0.05
    with pytest.raises(JobTimeout):
        job.get(timeout=20)
    assert job.state == "timed_out"


def test_out_has_the_result_when_the_job_is_done(notebook):
    for _ in range(200):
        notebook("%job -o x [1, 2]").get(timeout=20)
        assert notebook.shell.user_ns.pop("x") == [1, 2]
    notebook("%job -o y import asyncio; await asyncio.sleep(0, 'slept')").get(timeout=20)
    assert notebook["y"] == "slept"
    notebook("async def f(): return 'awaited'")
    notebook("%job -o z f()").get(timeout=20)
    assert notebook["z"] == "awaited"


def test_out_is_untouched_when_the_job_fails(notebook):
    notebook("x = 'before'")
    notebook("%job -o x 1 / 0").join(20)
    assert notebook["x"] == "before"


def test_quiet_shows_nothing_and_still_gives_the_job(notebook, capsys):
    notebook("%job -q 1")
    assert capsys.readouterr().out == ""
    notebook("%job 1;")
    assert capsys.readouterr().out == ""
    notebook("%%job\n1;")
    assert capsys.readouterr().out == ""
    notebook("job = %job -q 5")
    assert notebook["job"].get(timeout=20) == 5
    # Only that display is hidden: the job shows when it is asked for.
    notebook("job")
    assert "Job 3 done" in capsys.readouterr().out
    notebook("%job 1")
    assert "Job 4" in capsys.readouterr().out


def test_quiet_hides_no_other_value(notebook, capsys):
    notebook("%job -q 1\njobs[0]")
    assert "Job 0" in capsys.readouterr().out
    notebook("job = %job -q 1\njob")
    assert "Job 1" in capsys.readouterr().out
    notebook("job = %job -q 5\n'shown'")
    assert "shown" in capsys.readouterr().out


def test_follow_streams_until_the_end(notebook, capsys):
    job = notebook("%job -qf print('one'); print('two')")
    assert job is None  # a hidden value is no value of the cell
    assert capsys.readouterr().out == "one\ntwo\n"
    assert notebook["jobs"][0].state == "done"


def test_follow_shows_the_traceback_of_a_failed_job_and_gives_the_job(notebook, capsys):
    job = notebook("job = %job -f print('before'); 1 / 0\njob")
    out = capsys.readouterr().out
    assert out.startswith("before\n")
    assert "ZeroDivisionError" in out
    assert job.state == "failed"


def test_follow_lets_go_on_ctrl_c_and_the_job_goes_on(notebook, capsys, stdout):
    notebook("import signal")
    notebook.shell.user_ns.update(go=threading.Event(), main=threading.main_thread().ident, stdout=stdout)
    notebook("%%job -qf\nprint('here')\nstdout.written.wait(20)\nsignal.pthread_kill(main, signal.SIGINT)\ngo.wait(20)")
    job = notebook["jobs"][0]
    assert stdout.text == "here\n"
    assert "Detached: job 0 goes on." in capsys.readouterr().out
    assert job.running()
    notebook["go"].set()
    assert job.get(timeout=20) is True


def test_a_manager_that_refuses_leaves_nothing_behind(notebook):
    notebook["jobs"].shutdown()
    with pytest.raises(ManagerClosed):
        notebook("%job -q -o x 1")
    assert "x" not in notebook
    assert len(notebook["jobs"]) == 0
