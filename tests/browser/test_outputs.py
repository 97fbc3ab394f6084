"""What jobs show, in JupyterLab: in a widget, under who follows, and nowhere else."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

JOB = """%%job -q
import matplotlib.pyplot as plt
with out:
    print("of the job")
    go.wait(30)
    plt.plot([1, 4, 9])
    plt.show()
    print("more of the job")
fig, ax = plt.subplots()
ax.bar([1, 2], [3, 4])
plt.show()"""


def test_a_jobs_text_and_plots_are_in_its_widget_and_under_who_follows(notebook):
    pytest.importorskip("matplotlib")
    box = notebook.run("import ipywidgets\nout = ipywidgets.Output()\nout")
    notebook.run(JOB)
    expect(box).to_contain_text("of the job")
    cell = notebook.run("print('of the cell')\ngo.set()\njobs[0].join(30)\nprint('still of the cell')")
    expect(box).to_contain_text("more of the job")
    expect(box.locator("img")).to_have_count(1)
    assert cell.inner_text().strip().split("\n") == ["of the cell", "still of the cell"]
    expect(notebook.run("%jobs fg 0").locator("img")).to_have_count(1)


def test_what_a_jobs_box_says_is_told_and_saved_once(notebook):
    notebook.run("jobs.notify = 'prompt'")
    box = notebook.run("%job -n boxed go.wait(20) and 1 / 0")
    notebook.run("%job -qn quiet go.wait(20) and 1 / 0")
    notebook.run("go.set(); jobs[0].join(20); jobs[1].join(20)")
    expect(box).to_contain_text("ZeroDivisionError")
    told = notebook.run("print('mine')")
    expect(told).to_contain_text("quiet")
    saved = str([cell["outputs"] for cell in notebook.save()["cells"] if cell.get("outputs")])
    assert "job 0 (boxed)" not in saved
    assert saved.count("job 1 (quiet) failed") == 2  # as HTML and as text
    notebook.run("jobs.notify = False")
