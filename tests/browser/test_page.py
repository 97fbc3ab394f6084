"""The panel and its page: loaded again, saved, without a kernel, in the dark, in a narrow window."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

SHOW = """
def train(n):
    for i in rjobs.track(range(n), desc='epochs'):
        print(f'epoch {i + 1}/{n}: loss {1 / (i + 1):.3f}')
        time.sleep(0.005)
        if i > n * 0.4: go.wait()
jobs.options(name='load customers').new(lambda: print('12,480 rows')).get()
jobs.options(name='parse logs').new(lambda: {}['timestamp']).exception()
jobs.options(name='last week').new(go.wait).kill()
jobs.options(name='train model').new(train, 20)
jobs.options(name='thumbnails').map(lambda i: go.wait() if i > 30 else time.sleep(0.01), range(200), workers=4)
jobs.limit('warehouse', 1)
for name in ('nightly sync', 'stock levels'): jobs.options(name=name, limit='warehouse').new(go.wait)
hourly = jobs.every(3600, lambda: print('all is well'))
"""


def test_a_page_that_is_loaded_again_has_the_panel_and_all_output(notebook, panel):
    notebook.run(
        "job = jobs.options(name='talks').new('for i in range(1000): print(i)\\ngo.wait(); print(\"bye\")', globals())"
    )
    shown = panel()
    shown.job(0).open.click()
    expect(shown.tail).to_contain_text("999")
    notebook.start("while not go.is_set(): time.sleep(0.05)")
    notebook.save()
    notebook.open(idle=False)
    # The page asks the main thread for its widgets: until the cell ends it has the table.
    table = notebook.page.locator(".rjobs-static")
    expect(table).to_be_visible()
    expect(table).to_contain_text("talks")
    notebook.picture("table-while-loading")
    notebook.interrupt()
    expect(shown.job(0).state).to_have_text("running")
    expect(table).to_be_hidden()
    expect(shown.tail).to_contain_text("999")
    notebook.run("go.set()")
    expect(shown.tail).to_contain_text("bye")
    assert notebook.evaluate("len(job.output.splitlines())") == "1001"


def test_a_saved_notebook_has_the_table_as_it_was(notebook, panel):
    shown = panel()
    notebook.run("jobs.options(name='work').new(go.wait)")
    expect(shown.job(0).state).to_have_text("running")
    notebook.run("go.set()")
    expect(shown.job(0).state).to_have_text("done")
    outputs = [output for cell in notebook.save()["cells"] for output in cell.get("outputs", [])]
    (html,) = ["".join(output["data"]["text/html"]) for output in outputs if "rjobs-static" in str(output)]
    assert "work" in html
    assert "1 done" in html
    notebook.forget_kernel()
    notebook.open()
    table = notebook.page.locator(".rjobs-static")
    expect(table).to_be_visible()
    expect(table).to_contain_text("1 done")
    notebook.load()


def test_a_kernel_that_is_restarted_leaves_the_rows_as_they_were(notebook, panel):
    shown = panel()
    notebook.run("jobs.options(name='work').new(go.wait)")
    expect(shown.job(0).state).to_have_text("running")
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    left = notebook.page.locator(".rjobs-panel")
    expect(left).to_contain_text("The kernel of these jobs is gone, or the panel was closed: this is how they were.")
    expect(left.locator(".rj-name")).to_have_text("work")
    expect(left.get_by_role("button", name="Kill")).to_have_count(0)
    notebook.load()


def test_light_dark_and_narrow(notebook, panel):
    notebook.run(SHOW)
    shown = panel()
    expect(shown.job(3).line).to_have_text("epoch 10/20: loss 0.100")
    expect(shown.job(4).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "16")
    notebook.picture("panel", shown)
    shown.job(3).open.click()
    expect(shown.tail).to_contain_text("epoch 1/20")
    notebook.picture("panel-output", shown)
    look = "element => { const style = getComputedStyle(element); return [style.backgroundColor, style.color]; }"
    light = shown.evaluate(look)
    try:
        notebook.theme("JupyterLab Dark")
        ground, text = shown.evaluate(look)
        assert ground != light[0]
        assert text != light[1]
        notebook.picture("panel-dark", shown)
    finally:
        notebook.theme("JupyterLab Light")
    try:
        notebook.page.set_viewport_size({"width": 520, "height": 1000})
        expect(shown.job(3).time).to_be_hidden()
        expect(shown.job(3).button("Kill")).to_be_visible()
        assert shown.evaluate("element => element.scrollWidth <= element.clientWidth")
        notebook.picture("panel-narrow", shown)
    finally:
        notebook.page.set_viewport_size({"width": 1000, "height": 760})
