"""`%job !command`: what is one shell command is a job without a thread."""

from __future__ import annotations

import os
import threading

import pytest
from IPython.core.error import UsageError

import rjobs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these commands are for a Unix shell")


def test_a_command_after_job_is_a_job(notebook):
    job = notebook("%job !echo one; echo two >&2; exit 3")
    assert isinstance(job, rjobs.Job)
    done = job.get(10)
    assert (done.returncode, done.stdout, job.output) == (3, "one\ntwo\n", "one\ntwo\n")
    assert (job.state, job.strform, job.ident) == ("done", "echo one; echo two >&2; exit 3", None)
    assert job.pid > 0
    assert notebook["jobs"].workers == 0


def test_names_of_the_notebook_are_filled_in_at_once_as_the_shell_does_it(notebook):
    notebook("what, number, line, code = 'this', 6, 'mine', ['a', 'b']")
    job = notebook("%job !echo $what {number * 7} $line {code[1]} $$HOME ${{HOME}} '{nonesuch' ")
    notebook("what = 'that'")
    assert job.strform == notebook.shell.var_expand(
        "echo $what {number * 7} $line {code[1]} $$HOME ${{HOME}} '{nonesuch'"
    )
    job = notebook("%job !echo $what {number * 7} $line {code[1]} $$what")
    assert job.get(10).stdout == "that 42 mine b\n"
    assert job.strform == "echo that 42 mine b $what"
    # A name that there is not goes to the command as it is.
    assert notebook("%job !echo $nonesuch_at_all:").get(10).stdout == ":\n"


def test_names_of_the_magic_s_own_code_are_not_filled_in(notebook):
    # These are variables of the functions that see to it.
    for name in ("cell", "options", "given", "command", "manager", "shell", "self", "frame", "ns"):
        job = notebook(f"%job !echo :${name}:")
        assert job.strform == f"echo :${name}:"
        assert job.get(10).stdout == "::\n"


def test_options_stand_before_the_command(notebook):
    assert notebook("%job -n list -t 60 -q -o result !echo text") is None
    job = notebook["jobs"][0]
    assert (job.name, job.timeout) == ("list", 60.0)
    job.join(10)
    assert notebook["result"] is job.get()
    assert notebook["result"].stdout == "text\n"
    notebook.shell.system_raise_on_error = True
    job = notebook("%job -o no !echo text; exit 3")
    job.join(10)
    assert (job.state, job.exception().returncode, notebook["_exit_code"], "no" in notebook) == ("failed", 3, 3, False)
    job = notebook("%job -t 0.2 !sleep 1000")
    job.join(10)
    assert job.state == "timed_out"
    with pytest.raises(UsageError):
        notebook("%job --nonesuch !echo text")


def test_a_variable_is_there_before_the_job_is_done(notebook):
    seen = []
    ended = threading.Event()
    job = notebook("%job -o answer !read line; echo 42")
    job.add_done_callback(lambda _: (seen.append(notebook.shell.user_ns.get("answer")), ended.set()))
    assert ended.wait(10)
    assert seen == [job.get()]


def test_a_cell_that_is_one_command_is_the_same(notebook):
    job = notebook("%%job -n cell\n\n!echo from a cell\n")
    assert (job.get(10).stdout, job.name) == ("from a cell\n", "cell")
    assert job.pid > 0


def test_a_command_is_followed_like_any_job(notebook, capsys):
    job = notebook("%job -f !echo live; exit 1")
    assert job.done()
    assert capsys.readouterr().out.startswith("live\n")


@pytest.mark.parametrize(
    "code",
    [
        "%%job\n!echo one\n!echo two",
        "%%job\n!echo \\\none two",
        "%%job\nlines = !echo one two",
        "%job !!echo one two",
        "%%job\nif True:\n    !echo one two",
    ],
)
def test_everything_else_is_code_that_may_have_commands_in_it(notebook, code):
    job = notebook(code)
    job.join(20)
    assert (job.state, job.pid) == ("done", None)
    assert isinstance(job.ident, int)


def test_an_empty_command_is_no_command(notebook):
    job = notebook("%job !")
    job.join(10)
    assert job.pid is None


def test_a_command_is_killed_from_the_notebook(notebook, capsys):
    job = notebook("%job !sleep 1000")
    notebook("%jobs kill 0")
    assert capsys.readouterr().out.endswith("Job 0: killed.\n")
    assert job.state == "killed"
    with pytest.raises(rjobs.JobKilled):
        notebook("jobs[0].get()")
