"""echo=: what a job prints is kept, and goes where it would go without a job."""

import pytest


def test_an_echoed_job_prints_where_it_would_without_a_job(manager, capsys):
    echoed = manager.new(print, "both", kw={"flush": True}, echo=True)
    kept = manager.submit(print, "kept")
    for job in (echoed, kept):
        job.get(10)
    assert (echoed.output, kept.output) == ("both\n", "kept\n")
    assert capsys.readouterr().out == "both\n"


def test_in_a_program(python):
    code = """
import sys, rjobs
jobs = rjobs.JobManager().options(echo=True)
jobs.submit(sys.stdout.buffer.write, b"bytes\\n").get()
jobs.submit(sys.stderr.write, "error\\n").get()
with rjobs.Executor(1) as executor:
    executor.submit(print, "from a face")
    assert executor.submit(len, "abc").result() == 3
"""
    run = python(code)
    assert sorted(run.stdout.split("\n")) == ["", "bytes", "from a face"]
    assert run.stderr == "error\n"


@pytest.mark.parametrize("echo", [1, None, "yes"])
def test_what_is_no_flag(manager, echo):
    with pytest.raises(TypeError, match="echo must be True or False"):
        manager.new(int, echo=echo)
