"""Output of a job never appears under another cell; it is kept by the job."""

from __future__ import annotations

import pytest

KERNELS = ("installed", "oldest")

WRITERS = {
    "print": ("print('written')", "written\n"),
    "stderr": ("import sys; print('written', file=sys.stderr)", "written\n"),
    "write": ("import sys; sys.stdout.write('writ'); sys.stdout.writelines(['ten'])", "written"),
    "logging": ("import logging; logging.getLogger('x').warning('written')", "written\n"),
    "handler from before": ("logger.warning('written')", "written\n"),
    "thread": (
        "import threading; t = threading.Thread(target=print, args=('written',)); t.start(); t.join()",
        "written\n",
    ),
    "thread pool": (
        "from concurrent.futures import ThreadPoolExecutor as T\nwith T() as t: t.submit(print, 'written').result()",
        "written\n",
    ),
    "to_thread": ("import asyncio; await asyncio.to_thread(print, 'written')", "written\n"),
    "task": ("import asyncio\nasync def f(): print('written')\nawait asyncio.create_task(f())", "written\n"),
    "command": ("!echo written", "written\n"),
    "script": ("%%bash\necho written", "written\n"),
    "excepthook": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='written')\nt.start()\nt.join()",
        None,
    ),
    "warning": ("import warnings; warnings.warn('written')", None),
    "traceback of %run": ("%run written.py", None),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_job_writes_while_another_cell_runs(kernel, writer):
    code, expected = WRITERS[writer]
    kernel(
        "import logging; logger = logging.getLogger('early'); logger.propagate = False\n"
        "logger.handlers = [logging.StreamHandler()]\nopen('written.py', 'w').write('x = \"written\"\\n1 / 0')"
    )
    if code.startswith("%%"):
        # A cell magic must be first: the event is waited for in the cell's own variable part.
        kernel("job = None")
        cell = kernel(f"%%job -qo done\n{code}")
    else:
        cell = kernel(f"%%job -qo done\ngo.wait(20)\n{code}\n'end'")
    assert cell.shown == []
    cell = kernel("job = jobs[max(jobs.all)]\ngo.set()\njob.join(20)\nimport time; time.sleep(0.3)")
    assert cell.shown == []
    kernel.no_more_messages()
    output = kernel("print(job.output, end='')").text
    assert "written" in output
    if expected is not None:
        assert output == expected


def test_a_cell_keeps_its_own_output(kernel):
    kernel("%job -q [print('from the job') for _ in range(1000)] and go.wait(20)")
    assert kernel("for i in range(1000): print('from the cell')").text == "from the cell\n" * 1000
    kernel("go.set(); job = jobs[max(jobs.all)]; job.join(20)")
    assert kernel("job.output == 'from the job\\n' * 1000").result == "True"


def test_displays_are_kept(kernel):
    kernel(
        """%%job -q
from IPython.display import HTML, display
go.wait(20)
display(HTML('<b>hi</b>'))
h = display('one', display_id=True)
h.update('two')"""
    )
    cell = kernel("go.set(); job = jobs[max(jobs.all)]; job.join(20)")
    assert cell.shown == []
    kernel.no_more_messages()
    cell = kernel("job.outputs[0].display()\ndisplay(job.outputs[1])")
    assert [content["data"].get("text/html") for content in cell.of("display_data")] == ["<b>hi</b>", None]
    assert cell.of("display_data")[1]["data"]["text/plain"] == "'two'"


def test_a_display_shown_again_follows_the_jobs_updates(kernel):
    kernel.published.clear()
    kernel("%%job -q\nh = display('one', display_id='shown')\ngo.wait(20)\nh.update('two')")
    kernel("import time\njob = jobs[max(jobs.all)]\nwhile not job.outputs: time.sleep(0.01)\njob.outputs[0].display()")
    assert "display_data" not in kernel("go.set(); job.join(20)").shown
    kernel("pass")
    # The message belongs to some cell, and changes what shows the display.
    (update,) = (m["content"] for m in kernel.published if m["msg_type"] == "update_display_data")
    assert (update["transient"], update["data"]) == ({"display_id": "shown"}, {"text/plain": "'two'"})
    assert kernel("job.outputs[0].data['text/plain']").result == "\"'two'\""


def test_a_handle_of_a_cell_can_be_updated_by_a_job(kernel):
    kernel.published.clear()
    assert kernel("handle = display('one', display_id=True)").shown == ["display_data"]
    kernel("%job -q handle.update('two')")
    kernel("jobs.wait()")
    kernel("pass")
    assert [m["msg_type"] for m in kernel.published].count("update_display_data") == 1


def test_widgets_and_notebook_bars_do_not_fail(kernel):
    if kernel("import importlib.util; importlib.util.find_spec('ipywidgets') is None").result == "True":
        pytest.skip("without ipywidgets")
    kernel("%%job -qn bar\nfrom tqdm.notebook import tqdm\nfor i in tqdm(range(5)): pass")
    cell = kernel("job = jobs[max(jobs.all)]; job.get(20)")
    assert "display_data" not in cell.shown
    assert kernel("len(job.outputs), job.progress.done").result == "(0, 5)"
    kernel(
        """%%job -q
import ipywidgets
display(ipywidgets.IntSlider())
w = ipywidgets.Output()
display(w)
with w:
    print('in the widget')"""
    )
    kernel("jobs[max(jobs.all)].get(20)")


def test_matplotlib_in_a_job(kernel):
    if kernel("import importlib.util; importlib.util.find_spec('matplotlib') is None").result == "True":
        pytest.skip("without matplotlib")
    kernel("%matplotlib inline")
    kernel(
        """%%job -q
from matplotlib.figure import Figure
figure = Figure()
figure.subplots().plot([1, 2])
display(figure)"""
    )
    cell = kernel("job = jobs[max(jobs.all)]; job.get(20)")
    assert "display_data" not in cell.shown
    assert kernel("'image/png' in job.outputs[0].data").result == "True"


@pytest.mark.parametrize("code", ["input('?')", "import getpass; getpass.getpass('?')"])
def test_asking_for_input_raises_at_once(kernel, code):
    kernel("pass")
    kernel(f"%%job -q\ngo.wait(20)\n{code}")
    # Between two cells and during one: the kernel has other functions in place.
    kernel("import time; go.set(); job = jobs[max(jobs.all)]; job.join(20)")
    assert kernel("job.state, type(job.exception()).__name__").result == "('failed', 'RuntimeError')"
    kernel(f"job = %job -q import time; time.sleep(0.2); {code}")
    assert kernel("job.join(20); job.state, type(job.exception()).__name__").result == "('failed', 'RuntimeError')"


def test_the_stream_is_still_the_kernels(kernel):
    kernel("import sys; from ipykernel.iostream import OutStream")
    assert kernel("isinstance(sys.stdout, OutStream), sys.stdout.encoding").result == "(True, 'UTF-8')"
    assert kernel("print('x', flush=True)").text == "x\n"
