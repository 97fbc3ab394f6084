"""The example that started it, in a real kernel: its outcome, and what its cells show."""

import json
import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# Runs in the notebook's kernel after its last cell.
REPORT = """
import json
print(json.dumps({
    "distinct": len(set(titles)), "single": len(set(single_titles)), "primes": primes,
    "downloads": sorted({job.state for job in downloads}), "singles": sorted({job.state for job in singles}),
    "chunk_names": [job.name for job in downloads][:2], "running_meanwhile": running_meanwhile,
    "seconds": seconds, "single_seconds": single_seconds,
    "watcher": watcher.state, "watcher_name": watcher.name, "watcher_output": watcher.output, "checks": checks,
    "first_titles": titles[:1] + single_titles[:2], "still_running": len(jobs.running),
}))
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield runpy.run_path(str(EXAMPLES / "run.py"))["run"](EXAMPLES / "titles.ipynb", more_cells=(REPORT,))


@pytest.fixture(scope="module")
def report(notebook):
    return json.loads(notebook.cells[-1].outputs[0].text)


def cell(notebook, piece):
    """What the one code cell with this piece of source gave, as text."""
    (found,) = [each for each in notebook.cells if each.cell_type == "code" and piece in each.source]
    return "".join(
        each.text if each.output_type == "stream" else each.data.get("text/plain", "") for each in found.outputs
    )


def test_every_title_comes_back_in_chunks(report):
    assert report["distinct"] == 1000
    assert report["downloads"] == ["done"]
    assert report["chunk_names"] == ["chunk 0", "chunk 1"]
    assert report["seconds"] < 15


def test_every_title_comes_back_from_single_jobs(report):
    assert report["single"] == 1000
    assert report["singles"] == ["done"]
    # Half a second is the best there can be; this only says that they ran side by side.
    assert 0.5 < report["single_seconds"] < 10
    assert report["first_titles"] == ["Page 0: otters", "Page 0: otters", "Page 1: lighthouses"]


def test_cells_go_on_while_jobs_run(notebook, report):
    assert report["primes"] == 664_579
    assert report["running_meanwhile"] == 20
    started = re.search(r"20 jobs started in ([\d.]+) ms", cell(notebook, "enumerate(rjobs.get_chunks"))
    assert float(started[1]) < 500


def test_one_job_is_seen_at_work_and_gives_its_value(notebook):
    assert "first twenty" in cell(notebook, "first = %job")
    assert re.search(r"of 20: Page \d+: \w+", cell(notebook, "first.tail(2)"))
    assert cell(notebook, "first.get()[:3]") == "['Page 0: otters', 'Page 1: lighthouses', 'Page 2: glaciers']"


def test_the_table_names_the_jobs(notebook):
    (table,) = [each for each in notebook.cells if each.source.strip() == "jobs.status()"]
    data = table.outputs[0].data
    assert "chunk 19" in data["text/html"]
    assert "chunk 19" in data["text/plain"]


def test_the_killed_job_ends_where_it_was(notebook, report):
    assert cell(notebook, "watcher.kill()") == "True"
    assert report["watcher"] == "killed"
    assert report["watcher_name"] == "waiting for news"
    assert report["checks"] > 2
    assert report["watcher_output"].startswith("check 1: nothing new\ncheck 2: nothing new\n")
    shown = cell(notebook, "watcher.traceback()")
    assert "JobKilled" in shown
    assert report["still_running"] == 0


def test_no_job_prints_under_a_cell_that_did_not_ask(notebook):
    asked = ("first.tail", "watcher.tail")
    for each in notebook.cells[:-1]:
        if each.cell_type == "code" and not any(piece in each.source for piece in asked):
            streams = "".join(out.text for out in each.outputs if out.output_type == "stream")
            assert not re.search(r"check \d+: nothing new", streams)
            assert not re.search(r"\d+ of \d+: Page", streams)


def test_no_cell_wrote_to_stderr(notebook):
    assert not [
        each.source for each in notebook.cells for out in each.get("outputs", ()) if out.get("name") == "stderr"
    ]


def test_the_notebook_is_kept_without_outputs():
    kept = json.loads((EXAMPLES / "titles.ipynb").read_text())
    assert not any(each.get("outputs") or each.get("execution_count") for each in kept["cells"])
