"""Failures of jobs that nobody was told of, in notebooks that are run from the outside."""

from __future__ import annotations

import subprocess
import sys
import time

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

LOAD = "%load_ext rjobs\nimport threading, time; go = threading.Event()"
BAD = "%%job -qn late\ngo.wait(20)\nraise ValueError('lost')"
WAIT = "go.set()\nend = time.monotonic() + 20\nwhile not jobs[0].done() and time.monotonic() < end: time.sleep(0.01)"
RAISE = "%config RJobs.raise_unseen = True"


def run(*cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    try:
        NotebookClient(notebook, timeout=60).execute()
    except CellExecutionError as error:
        return notebook, error
    return notebook, None


def test_the_cell_in_which_it_happens_raises():
    _notebook, error = run(LOAD, RAISE, BAD, WAIT, "1 + 1")
    assert error is not None
    assert error.ename == "UnseenJobError"
    assert error.evalue.startswith("rjobs: job 0 (late) failed: ValueError: lost")
    assert "lost" in error.traceback


def test_the_next_cell_raises_and_is_not_run(start, tmp_path):
    kernel = start(cwd=tmp_path)
    kernel(f"%load_ext rjobs\n{RAISE}")
    kernel("import threading; go = threading.Event()")
    # It fails while no cell runs.
    kernel("job = %job -q go.wait(20) and 1 / 0\njob.add_done_callback(lambda job: open('ended', 'w').close())")
    kernel("threading.Timer(0.5, go.set).start()")
    end = time.monotonic() + 20
    while not (tmp_path / "ended").exists() and time.monotonic() < end:
        time.sleep(0.01)
    cell = kernel("ran = True", ok=False)
    assert cell.reply["ename"] == cell.error == "UnseenJobError"
    assert "ZeroDivisionError" in "".join(cell.reply["traceback"])
    assert kernel("'ran' in globals()").result == "False"


def test_what_was_seen_does_not_raise():
    notebook, error = run(LOAD, RAISE, BAD, "go.set(); print(repr(jobs[0].exception(20)))", "1 + 1")
    assert error is None
    assert notebook.cells[-1].outputs[0]["data"]["text/plain"] == "2"


def test_a_last_cell_that_waits_raises():
    _notebook, error = run(LOAD, RAISE, BAD, "go.set(); jobs.wait();")
    assert error.ename == "UnseenJobError"


def test_the_error_of_a_cell_comes_first_and_other_ends_raise_nothing():
    _notebook, error = run(LOAD, RAISE, BAD, f"{WAIT}\n1 / 0")
    assert error.ename == "ZeroDivisionError"
    job = "%job -q go.wait(20)"
    cells = [
        f"import threading; go = threading.Event()\njob = {job}\njob.kill(timeout=0)",
        "while not job.done(): pass",
    ]
    _notebook, error = run(LOAD, RAISE, *cells, "%job -q int()", "jobs[1].join(20)", "1")
    assert error is None


def test_without_it_the_end_of_the_kernel_tells(tmp_path):
    cells = [LOAD, BAD, WAIT]
    # The last cell is the one that fails: it has ended when it is read.
    last = "%%job -qn last\nraise ValueError('the very last')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in [*cells, "jobs", last]])
    file = tmp_path / "run.ipynb"
    nbformat.write(notebook, file)
    code = (
        "import sys, nbformat, nbclient\nnbclient.NotebookClient(nbformat.read(sys.argv[1], 4), timeout=60).execute()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    # The first was told of by the cell after it.
    assert "rjobs: job 1 (last) failed: ValueError: the very last" in run.stderr
    assert "raise ValueError('the very last')" in run.stderr
    assert "lost" not in run.stderr


def test_who_still_listens_sees_it_under_the_last_cell(start):
    kernel = start()
    kernel("%load_ext rjobs")
    cell = kernel.start("%job -qn late 1 / 0")
    kernel.wait(cell)
    kernel.client.shutdown()
    told = kernel.wait(cell, until=lambda cell: "late" in cell.text)
    assert told.text.startswith("rjobs: job 0 (late) failed: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("setting", ["False", "print"])
def test_nobody_is_told_who_wants_no_news(capfd, setting):
    _notebook, error = run(f"{LOAD}\njobs.notify = {setting}", BAD, WAIT)
    assert error is None
    assert "late" not in capfd.readouterr().err
