"""Figures of jobs in a kernel, whose inline backend shows at the end of each cell what is open."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

KERNELS = ("installed", "oldest")

PLOT = "fig, ax = plt.subplots(); ax.plot([1, 2])"


@pytest.fixture
def plotting(kernel):
    """Seconds pass with the first import of matplotlib: in a job, which so is the first to choose a backend."""
    kernel("%%job -qo imported\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.close()")
    kernel("jobs[max(jobs.all)].join(30)\nimport time")
    return kernel


def pictures(cell):
    """Of each thing that is shown: whether it is a picture."""
    shown = cell.of("display_data") + cell.of("execute_result")
    return ["image/png" in content["data"] for content in shown]


@pytest.mark.parametrize("end", ["plt.show()", "plt.gcf()", "fig.show()", "1 / 0"])
def test_a_jobs_figure_is_in_its_outputs_and_under_no_cell(plotting, end):
    started = plotting(f"%%job -q\ngo.wait(20)\n{PLOT}\n{end}")
    assert started.shown == []
    # Cells that run, and end, while the job plots.
    cell = plotting.start("job = jobs[max(jobs.all)]\ngo.set()\nwhile not job.done(): time.sleep(0.001)")
    for _ in range(5):
        assert plotting.wait(plotting.start("time.sleep(0.01)")).shown == []
    assert [m["msg_type"] for m in plotting.published if m["parent_header"].get("msg_id") == cell].count(
        "display_data"
    ) == 0
    plotting.no_more_messages()
    assert plotting("[sorted(output.data) for output in job.outputs]").result == "[['image/png', 'text/plain']]"
    assert plotting("job.output").result == "''"


def test_who_follows_sees_it(plotting):
    cell = plotting(f"%%job -qf\nprint('before')\n{PLOT}\nplt.show()\nprint('after')")
    assert cell.shown == ["stream", "display_data", "stream"]
    assert pictures(cell) == [True]


def test_a_cell_shows_its_own_figures_and_no_others(plotting):
    plotting("%%job -q\nwhile not go.is_set():\n    plt.plot([1, 2])\n    plt.show()\n    time.sleep(0.01)")
    for _ in range(4):
        cell = plotting(f"{PLOT}\ntime.sleep(0.02)\nnumbers = plt.get_fignums(), len(ax.lines), plt.gcf() is fig")
        assert pictures(cell) == [True]
        assert plotting("numbers").result == "([1], 1, True)"
    plotting("go.set()\njob = jobs[max(jobs.all)]\njob.join(20)")
    assert plotting("job.state, len(job.outputs) > 0, job.output").result == "('done', True, '')"


def test_figures_that_cells_keep_open_stay_open(plotting):
    plotting("%config InlineBackend.close_figures = False")
    try:
        assert pictures(plotting(f"mine = {PLOT.partition('=')[2]}\nmine = plt.gcf()")) == [True]
        cell = plotting(f"%%job -q\n{PLOT}\nplt.close('all')\n{PLOT}\nplt.show()\nnumbers = plt.get_fignums()")
        cell = plotting("job = jobs[max(jobs.all)]\njob.join(20)\nplt.plot([3, 4]); alone = plt.gcf() is mine")
        assert pictures(cell) == []
        assert plotting("alone, plt.get_fignums(), numbers, len(job.outputs)").result == "(True, [1], [1], 1)"
    finally:
        plotting("plt.close('all')\n%config InlineBackend.close_figures = True")


def test_figures_come_in_the_format_that_cells_have(plotting):
    plotting("%config InlineBackend.figure_formats = ['svg']")
    try:
        plotting(f"%%job -q\n{PLOT}")
        cell = plotting("job = jobs[max(jobs.all)]\njob.join(20)\njob.outputs[0].display()")
        assert sorted(cell.of("display_data")[0]["data"]) == ["image/svg+xml", "text/plain"]
    finally:
        plotting("%config InlineBackend.figure_formats = ['png']")


def test_a_figure_that_a_job_gives_is_a_cells_value(plotting):
    plotting("job = %job -q (lambda: plt.plot([1, 2])[0].figure)()\njob.join(20)")
    assert pictures(plotting("job.get()")) == [True]
    assert plotting("len(job.outputs), plt.get_fignums()").result == "(1, [])"


def test_without_the_extension_figures_go_to_the_job_as_well(start):
    kernel = start()
    kernel("import rjobs, time\nmanager = rjobs.JobManager()\nimport threading; go = threading.Event()")
    code = f"import matplotlib.pyplot as plt; go.wait(20); {PLOT}; plt.show()"
    assert kernel(f"job = manager.new({code!r})").shown == []
    assert kernel("go.set()\nwhile not job.done(): time.sleep(0.01)").shown == []
    assert kernel("'image/png' in job.outputs[0].data").result == "True"


def test_unloading_leaves_matplotlib_as_it_was(start):
    kernel = start()
    kernel("import matplotlib.pyplot as plt; plt.figure(); plt.close()")
    kernel("from matplotlib._pylab_helpers import Gcf\nimport matplotlib_inline.backend_inline as inline")
    kernel("before = Gcf.figs, plt._get_backend_mod, inline.show")
    kernel(f"%load_ext rjobs\njob = %job -q {PLOT}\njob.join(20)")
    assert kernel("Gcf.figs is before[0]").result == "False"
    kernel("%unload_ext rjobs")
    assert kernel("[a is b for a, b in zip(before, (Gcf.figs, plt._get_backend_mod, inline.show))]").result == (
        "[True, True, True]"
    )
    assert pictures(kernel(f"{PLOT};")) == [True]
