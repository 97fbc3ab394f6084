"""`%job -r -a -e -l`: retries, order, periods and limits from the line."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError


def test_a_failed_run_is_tried_again(notebook):
    notebook("left = [1]")
    job = notebook("%job -r 2 left.pop() and 1 / len(left)")
    assert isinstance(job.exception(20), IndexError)
    assert job.runs == 3


def test_it_starts_after_others_by_number_or_variable(notebook):
    first = notebook("%job 21")
    notebook("second = %job two = 2")
    job = notebook(f"%job -a {first.num},second jobs[{first.num}].result * two")
    assert job.get(10) == 42
    failed = notebook("%job 1 / 0")
    late = notebook(f"%job --after {failed.num} 1")
    late.join(10)
    assert late.state == "skipped"


def test_it_runs_again_and_again(notebook):
    notebook("seen = []")
    job = notebook("%job -e 0.01 seen.append(1)")
    while len(notebook["seen"]) < 3:
        job.join(0.002)
    assert job.kill()
    assert job.state == "killed"


def test_it_waits_for_a_limit(notebook):
    notebook("jobs.limit('api', concurrency=1)")
    assert notebook("%job -l api 5").get(10) == 5
    with pytest.raises(ValueError, match="there is no limit 'other': there are api"):
        notebook("%job -l api,other 5")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-r x 1", "--retries needs a whole number"),
        ("-r 1.5 1", "--retries needs a whole number"),
        ("-a nobody 1", "--after needs the number or name of a job, or a variable"),
        ("-a 99 1", "job 99 is not known"),
        ("-a , 1", "--after needs a value"),
        ("-e 0 1", "--every needs a number of seconds above 0"),
        ("-e soon 1", "--every needs a number of seconds above 0"),
        ("-p 1", "not yet"),
    ],
)
def test_values_that_make_no_sense(notebook, line, message):
    with pytest.raises(UsageError, match=message):
        notebook(f"%job {line}")
    assert len(notebook["jobs"]) == 0
