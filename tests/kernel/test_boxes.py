"""Jobs as values of cells, and bars of tqdm in jobs, in a real kernel: what belongs to which cell."""

from __future__ import annotations

import pytest

UPDATE = "update_display_data"
BARS = """
def work():
    for outer in bar(range(3), desc="outer"):
        for inner in bar(range(4), desc="inner"):
            if (outer, inner) == (1, 2):
                ready.set()
                go.wait(20)
    return "worked"
"""


def updates(kernel, display):
    """The messages so far that bring this display up to date."""
    return [
        message
        for message in kernel.published
        if message["msg_type"] == UPDATE and message["content"]["transient"] == display["transient"]
    ]


def until_told(kernel, display, text):
    """Run cells until an update of the display has `text`; gives that update."""
    for _ in range(400):
        kernel("import time; time.sleep(0.05)")
        for message in updates(kernel, display):
            if text in message["content"]["data"]["text/plain"]:
                return message
    pytest.fail(f"no update with {text!r}")
    return None


def test_a_job_is_brought_up_to_date_under_its_own_cell(kernel):
    kernel.published.clear()
    cell = kernel("job = jobs.submit(lambda: go.wait(20) and 42)\njob")
    (display,) = cell.of("display_data")
    assert "→" not in display["data"]["text/html"]
    assert "<table" not in display["data"]["text/html"]
    other = kernel("go.set(); job.join(20); print('another cell')")
    last = until_told(kernel, display, "done")
    assert "→ 42" in last["content"]["data"]["text/html"]
    own = cell.messages[0]["parent_header"]["msg_id"]
    assert {message["parent_header"]["msg_id"] for message in updates(kernel, display)} == {own}
    assert other.shown == ["stream"]
    # From then on it is a value as any other, and nobody looks after it.
    assert kernel("job").shown == ["execute_result"]
    names = "import threading; 'rjobs-displays' in [thread.name for thread in threading.enumerate()]"
    assert kernel(names).result == "False"
    kernel.no_more_messages()


def test_two_cells_that_show_a_job_are_both_told_of_its_end(kernel):
    kernel.published.clear()
    cells = [kernel("job = jobs.submit(go.wait, 20)\njob"), kernel("display(job)")]
    kernel("go.set(); job.join(20)")
    for cell in cells:
        last = until_told(kernel, cell.of("display_data")[0], "done")
        assert last["parent_header"]["msg_id"] == cell.messages[0]["parent_header"]["msg_id"]


def test_a_job_that_fails_while_nobody_runs_a_cell_tells_so(kernel):
    cell = kernel("import time\njob = jobs.submit(lambda: time.sleep(0.5) or 1 / 0)\njob")
    (display,) = cell.of("display_data")
    while True:
        message = kernel.client.get_iopub_msg(timeout=40)
        kernel.published.append(message)
        if message["msg_type"] == UPDATE and "failed" in message["content"]["data"]["text/plain"]:
            break
    assert message["content"]["transient"] == display["transient"]
    assert "ZeroDivisionError: division by zero</code>" in message["content"]["data"]["text/html"]


def test_a_kernel_that_shows_running_jobs_shuts_down_cleanly(start):
    kernel = start()
    kernel("%load_ext rjobs\nimport threading; go = threading.Event()")
    kernel("for _ in range(20): display(jobs.submit(go.wait))")
    process = kernel.manager.provisioner.process
    kernel.client.shutdown()
    assert process.wait(timeout=20) == 0


@pytest.fixture(params=["with ipywidgets", "without ipywidgets"])
def widgets(start, request):
    """A kernel that has ipywidgets, and one that has not, whatever is installed."""
    kernel = start()
    if request.param == "without ipywidgets":
        kernel("import sys; sys.modules['ipywidgets'] = None")
    elif kernel("import importlib.util; importlib.util.find_spec('ipywidgets') is None").result == "True":
        pytest.skip("ipywidgets is not installed")
    kernel("%load_ext rjobs\nimport threading; go, ready = threading.Event(), threading.Event()")
    kernel("import warnings; warnings.simplefilter('ignore')")
    return kernel


@pytest.mark.parametrize(
    "bar",
    [
        "functools.partial(tqdm.tqdm, mininterval=0)",
        "functools.partial(tqdm.auto.tqdm, mininterval=0, leave=False)",
        "functools.partial(tqdm.notebook.tqdm, mininterval=0, leave=False)",
        "rjobs.track",
    ],
    ids=lambda bar: bar.removeprefix("functools.partial(").split(",")[0],
)
def test_bars_feed_the_box_and_draw_nowhere(widgets, bar):
    kernel = widgets
    kernel(f"import functools, rjobs, tqdm, tqdm.auto, tqdm.notebook\nbar = {bar}\n{BARS}")
    kernel.published.clear()
    cell = kernel("job = jobs.submit(work)\njob")
    assert cell.shown == ["display_data"]
    assert kernel("ready.wait(20)").shown == ["execute_result"]
    (display,) = cell.of("display_data")
    html = until_told(kernel, display, "33% of 3")["content"]["data"]["text/html"]
    assert html.index("outer") < html.index("33% of 3") < html.index("inner") < html.index(" of 4")
    assert kernel("jobs.status()").shown == ["display_data"]
    assert kernel("go.set(); job.get(20)").shown == ["execute_result"]
    html = until_told(kernel, display, "done")["content"]["data"]["text/html"]
    assert "100% of 3" in html
    assert "inner" not in html
    # No widget was made, and no text came to a cell.
    kinds = {message["msg_type"] for message in kernel.published}
    assert kinds <= {"status", "execute_input", "execute_result", "display_data", UPDATE}
    assert kernel("job.outputs").result == "[]"
