"""Following a job in a shell without a front end, and what is kept for those who follow."""

from __future__ import annotations

import threading

import pytest

import rjobs
from rjobs import _kept as kept


@pytest.fixture
def out(capsys):
    """What was shown since it was asked last."""
    return lambda: capsys.readouterr().out


def done(notebook, code):
    notebook(f"%%job -q\nfrom IPython.display import clear_output, display\n{code}")
    job = notebook["jobs"][max(notebook["jobs"].all)]
    job.get(timeout=20)
    return job


def test_text_and_displays_come_in_their_order(notebook, out):
    done(notebook, "print('one')\ndisplay('two')\nprint('three')")
    for ask in ("%jobs fg 0", "jobs[0].follow()", "from IPython.display import display; display(jobs[0].follow())"):
        notebook(ask)
        assert out() == "one\n'two'\nthree\n"


def test_the_iterator_gives_text_and_nothing_else(notebook, out):
    job = done(notebook, "print('one')\ndisplay('two')\nprint('three')")
    follow = job.follow()
    assert iter(follow) is follow
    assert "".join(follow) == "one\nthree\n"
    assert out() == ""
    # Made the value of a cell after that, it shows what it has not given.
    notebook.shell.user_ns["follow"] = follow
    notebook("follow")
    assert out() == "'two'\n"
    assert repr(follow).startswith("<Follow: the output of job 0 ")


def test_a_terminal_shows_what_was_cleared_too(notebook, out):
    done(notebook, "for i in range(3):\n    clear_output()\n    print(i)")
    notebook("%jobs fg 0")
    assert [line.rpartition("\r")[2] for line in out().split("\n")[:3]] == ["0", "1", "2"]


def test_the_newest_that_runs_is_followed(notebook, stdout):
    notebook.shell.user_ns.update(go=threading.Event(), stdout=stdout)
    notebook("%job -q print('oldest'); go.wait(20)")
    notebook("%job -q print('followed'); stdout.written.wait(20)")
    done(notebook, "print('ended')")
    notebook("%jobs fg")
    assert stdout.text == "followed\n"
    notebook["go"].set()


def test_a_job_that_follows_does_not_follow_itself(notebook):
    notebook.shell.user_ns["go"] = go = threading.Event()
    notebook("%job -q print('followed'); go.wait(20)")
    notebook("%job -q %jobs fg")
    follower = notebook["jobs"][1]
    assert next(follower.follow()) == "followed\n"
    go.set()
    follower.get(timeout=20)
    assert follower.output == "followed\n"
    with pytest.raises(RuntimeError, match="cannot follow itself"):
        notebook("%job -n itself %jobs fg itself").get(timeout=20)


def test_jobs_are_meant_by_name(notebook, out):
    notebook.shell.user_ns["go"] = go = threading.Event()
    notebook("%job -qn same print('first')")
    notebook("jobs.wait();")
    notebook("%job -qn same print('second'); go.wait(20)")
    assert next(notebook["jobs"][1].follow()) == "second\n"
    notebook("%jobs tail same")
    assert out() == "second\n"
    notebook("%job -qn same go.wait(20)")
    with pytest.raises(Exception, match=r"several jobs have the name 'same'.*of 1, 2"):
        notebook("%jobs kill same")
    go.set()
    notebook("jobs.wait();")
    notebook("%jobs tail 'same'")
    assert out() == ""
    # A name that nobody gave is none.
    with pytest.raises(Exception, match="not the name of one"):
        notebook("%jobs tail print")


def test_stacks_of_jobs_that_do_not_run(notebook, out):
    notebook("%jobs stack")
    assert out() == "No jobs are running.\n"
    done(notebook, "1")
    notebook("%jobs stack 0")
    assert out() == "Job 0 is done.\n"


def test_dropped_text_is_told_of(notebook, out):
    notebook("import rjobs\njobs = rjobs.JobManager(output_limit=10)\njobs.notify = False")
    done(notebook, "print('x' * 20)\ndisplay('kept')")
    notebook("%jobs fg 0")
    assert out() == "[11 bytes of older output were dropped]\nxxxxxxxxx\n'kept'\n"


def test_what_is_kept_stays_bounded(notebook):
    job = done(notebook, "for i in range(3000):\n    clear_output(wait=True)\n    print(i)\n    display(i)")
    assert len(kept.log_of(job).events) <= 3
    assert len(job.outputs) == 1
    job = done(notebook, "for i in range(3000):\n    clear_output(wait=True)\n    print(i)")
    assert len(kept.log_of(job).events) <= 3
    job = done(notebook, "for i in range(3000):\n    clear_output(wait=True)")
    assert len(kept.log_of(job).events) == 1
    job = done(notebook, "for i in range(3000):\n    display(i)")
    assert len(kept.log_of(job).events) == kept.LIMIT
    job = done(notebook, "handle = display(0, display_id=True)\nfor i in range(3000):\n    handle.update(i)")
    assert len(kept.log_of(job).events) == 1


def test_a_log_goes_with_its_job(notebook):
    job = done(notebook, "display(1)")
    before = len(kept._logs)
    del job
    notebook("%reset -f in")
    notebook["jobs"].flush()
    notebook.shell.user_ns.pop("_", None)
    import gc

    gc.collect()
    assert len(kept._logs) < before


def test_following_is_possible_without_the_extension(capsys):
    with rjobs.JobManager() as manager:
        job = manager.submit(print, "text")
        from rjobs.notebook.following import follow

        assert follow(job) is True
    assert capsys.readouterr().out == "text\n"
