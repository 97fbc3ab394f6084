"""A job's pyplot figures are its own, without any notebook."""

from __future__ import annotations

import base64

import pytest

pytest.importorskip("matplotlib")

# Each test has an interpreter of its own: what matters is when matplotlib is imported, and what is patched.
AGG = "import os; os.environ['MPLBACKEND'] = 'agg'\nimport threading\nimport rjobs\njobs = rjobs.JobManager()\n"


def test_jobs_at_once_have_figure_1_each(python):
    code = """
both = threading.Barrier(2)
def plot(k):
    import matplotlib.pyplot as plt
    plt.figure(1)
    both.wait(30)
    plt.plot([k, k])
    both.wait(30)
    lines = [int(line.get_ydata()[0]) for line in plt.gca().lines]
    return lines, plt.get_fignums()
print([job.get(60) for job in [jobs.submit(plot, k) for k in (5, 6)]])
import matplotlib.pyplot as plt
print(plt.get_fignums())
"""
    assert python(AGG + code).stdout == "[([5], [1]), ([6], [1])]\n[]\n"


def test_closing_all_closes_the_jobs_own(python):
    code = """
import matplotlib.pyplot as plt
mine = plt.figure()
def plot():
    before = plt.get_fignums()
    plt.figure()
    plt.close("all")
    return before, plt.get_fignums()
print(jobs.submit(plot).get(60), plt.get_fignums(), plt.gcf() is mine)
"""
    assert python(AGG + code).stdout == "([], []) [1] True\n"


def test_show_and_the_end_put_figures_into_outputs(python):
    code = """
def plot(how):
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots()
    ax.plot([1, 2])
    if how == "show":
        plt.show()
    elif how == "fig.show":
        fig.show()
    elif how == "close":
        plt.close()
    elif how == "raise":
        1 / 0
    return len(jobs_own().outputs), plt.get_fignums()
def jobs_own():
    return rjobs.current_job()
for how in ("show", "fig.show", "leave", "close", "raise"):
    job = jobs.submit(plot, how)
    error = job.exception(60)
    print(how, error or job.get(), [list(output.data) for output in job.outputs], job.output)
    if how == "show":
        print(job.outputs[0].data["image/png"])
"""
    lines = python(AGG + code).stdout.splitlines()
    assert base64.b64decode(lines.pop(1)).startswith(b"\x89PNG")
    kinds = "['text/plain', 'image/png']"
    assert lines == [
        f"show (1, []) [{kinds}] ",
        f"fig.show (1, [1]) [{kinds}] ",
        f"leave (0, [1]) [{kinds}] ",
        "close (0, []) [] ",
        f"raise division by zero [{kinds}] ",
    ]


def test_each_way_to_run_ends_with_its_figures(python):
    code = """
import matplotlib.pyplot as plt
def plot(k=0):
    plt.plot([1, 2])
    return len(plt.gca().lines)
async def coroutine():
    return plot()
def generator():
    yield plot()
    yield plot()
def in_a_thread():
    thread = threading.Thread(target=plot)
    thread.start()
    thread.join()
    return plot()
tries = []
def again():
    plot()
    tries.append(1)
    if len(tries) < 2:
        raise ValueError
for work in (plot, coroutine, generator, in_a_thread, "plot()"):
    job = jobs.new(work)
    job.join(60)
    print(job.result, len(job.outputs))
job = jobs.options(retry=1).submit(again)
job.join(60)
print(job.state, len(job.outputs))
items = jobs.map(plot, range(50), workers=2)
print(set(items.results()), len(items.outputs))
with rjobs.Executor(2) as executor:
    print(set(executor.map(plot, range(10))))
print(plt.get_fignums())
"""
    expected = ["1 1", "1 1", "None 1", "2 1", "1 1", "done 2", "{1} 50", "{1}", "[]"]
    assert python(AGG + code).stdout.splitlines() == expected


def test_items_before_the_first_figure_of_a_map_do_not_matter(python):
    # The items before are so fast that one loop runs many, and the first to plot is in the midst of them.
    code = """
import matplotlib.pyplot as plt
def plot(k):
    if k < 5000:
        return 1
    plt.plot([1, 2])
    return len(plt.gca().lines)
items = jobs.map(plot, range(5020), workers=2, chunksize=1000)
print(set(items.results()), len(items.outputs), items.output)
"""
    assert python(AGG + code).stdout == "{1} 20 \n"


def test_many_jobs_that_leave_figures_open_keep_none(python):
    code = """
import gc, warnings, weakref
warnings.simplefilter("error")
import matplotlib.pyplot as plt
figures = weakref.WeakSet()
def plot():
    figures.add(plt.figure())
for _ in range(30):
    jobs.submit(plot).get(60)
gc.collect()
print(len(figures))
"""
    assert python(AGG + code).stdout == "0\n"


def test_a_figure_of_a_job_can_be_used_when_the_job_is_over(python):
    code = """
import io
import matplotlib.pyplot as plt
def plot():
    fig, ax = plt.subplots()
    ax.plot([1, 2])
    return fig
fig = jobs.submit(plot).get(60)
mine = plt.figure()
plt.figure(fig)  # has number 1 as well
plt.plot([3, 4])
fig.savefig(io.BytesIO())
print(len(fig.axes[0].lines), len(plt.get_fignums()), plt.figure(1) is mine)
"""
    assert python(AGG + code).stdout == "2 2 True\n"


def test_a_killed_job_shows_nothing_more(python):
    code = """
import time
import matplotlib.pyplot as plt
there = threading.Event()
def plot():
    plt.plot([1, 2])
    plt.show()
    plt.plot([1, 2])
    there.set()
    time.sleep(60)
job = jobs.submit(plot)
there.wait(60)
print(job.kill(), job.state, len(job.outputs), plt.get_fignums())
"""
    assert python(AGG + code).stdout == "True killed 1 []\n"


def test_a_kill_ends_the_drawing_at_the_end(python):
    code = """
import time
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
there = threading.Event()
class Slow(Artist):
    def draw(self, renderer):
        there.set()
        time.sleep(60)
def plot():
    plt.gca().add_artist(Slow())
job = jobs.submit(plot)
there.wait(60)
print(job.running(), job.kill(), job.state)
"""
    assert python(AGG + code).stdout == "True True killed\n"


def test_what_cannot_be_drawn_is_told_and_the_result_stays(python):
    code = """
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
class Broken(Artist):
    def draw(self, renderer):
        raise ValueError("cannot be drawn")
def plot():
    plt.gca().add_artist(Broken())
    return 5
job = jobs.submit(plot)
print(job.get(60), "ValueError: cannot be drawn" in job.output)
"""
    assert python(AGG + code).stdout == "5 True\n"


def test_no_window_is_opened_in_a_job(python):
    # As with Tk or Qt, whose windows belong to the main thread; this one needs no screen.
    code = """
import sys, types
from matplotlib.backend_bases import FigureManagerBase, _Backend
from matplotlib.backends.backend_agg import FigureCanvasAgg
class Manager(FigureManagerBase):
    def __init__(self, *args):
        super().__init__(*args)
class FigureCanvas(FigureCanvasAgg):
    manager_class = Manager
    required_interactive_framework = "headless"
module = types.ModuleType("windows")
vars(module).update(FigureCanvas=FigureCanvas, FigureManager=Manager)
sys.modules["windows"] = module
import warnings
warnings.simplefilter("error")
import matplotlib
matplotlib.use("module://windows")
import matplotlib.pyplot as plt
def plot():
    plt.plot([1, 2])
    plt.show()
    plt.pause(0.01)
job = jobs.submit(plot)
print(job.exception(60), len(job.outputs))
print(type(plt.figure().canvas.manager).__name__)
"""
    assert python(AGG + code).stdout == "None 1\nManager\n"


def test_a_plotting_loop_of_the_main_thread_is_not_touched(python):
    code = """
import matplotlib.pyplot as plt
go = threading.Event()
def plot():
    while not go.is_set():
        plt.plot([1, 2])
        plt.close("all")
job = jobs.submit(plot)
for k in range(200):
    fig = plt.figure()
    plt.plot([k])
    assert plt.gcf() is fig and len(plt.gca().lines) == 1 and plt.get_fignums() == [1]
    plt.close()
go.set()
print(job.exception(60), plt.get_fignums())
"""
    assert python(AGG + code).stdout == "None []\n"


def test_nothing_is_patched_before_somebody_imports_matplotlib_and_all_comes_back(python):
    code = """
import sys
assert not [name for name in sys.modules if name.startswith("matplotlib")]
from collections import OrderedDict
from matplotlib._pylab_helpers import Gcf
import matplotlib.pyplot as plt
plt.figure(7)
assert type(Gcf.figs) is not OrderedDict and list(Gcf.figs) == [7] and dict(Gcf.figs) == {**Gcf.figs}
from rjobs import _capture
_capture.uninstall()
print(type(Gcf.figs).__name__, list(Gcf.figs), plt._get_backend_mod.__module__)
print([finder for finder in sys.meta_path if type(finder).__module__.startswith("rjobs")])
"""
    assert python(AGG + code).stdout == "OrderedDict [7] matplotlib.pyplot\n[]\n"


@pytest.mark.parametrize("plot", ["pandas", "seaborn"])
def test_libraries_that_plot_by_pyplot(python, plot):
    pytest.importorskip(plot)
    code = {
        "pandas": "import pandas; pandas.Series([1, 2]).plot()",
        "seaborn": "import seaborn; seaborn.lineplot(x=[1, 2], y=[3, 4])",
    }[plot]
    end = "\nprint([job.exception(60) for job in both], [len(job.outputs) for job in both])"
    run = python(AGG + f"both = [jobs.new({code!r}) for _ in range(2)]" + end)
    assert run.stdout == "[None, None] [1, 1]\n"


def test_an_imports_own_errors_and_a_second_try(tmp_path, monkeypatch):
    from rjobs import _late

    (tmp_path / "late_module.py").write_text("import late_helper\nVALUE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    forget = _late.when_imported("late_module", "VALUE", seen.append)
    with pytest.raises(ModuleNotFoundError):
        import late_module
    (tmp_path / "late_helper.py").write_text("")
    import importlib

    importlib.invalidate_caches()
    import late_module

    assert seen == [late_module]
    forget()
