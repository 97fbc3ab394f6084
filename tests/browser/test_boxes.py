"""A job as the value of a cell, and the table, in JupyterLab."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

STEPS = """
def work(n=8):
    for epoch in rjobs.track(range(4), desc="epochs", unit="epoch"):
        for step in rjobs.track(range(n), desc="steps", unit="step"):
            if (epoch, step) == (2, n // 2):
                print("half way")
                go.wait()
    return {"epochs": 4}
"""
# Everything that a table can show.
MANY = """
def fails(n):
    if n % 5 == 3: raise ValueError(f"no page {n}")
    if n == 12: go.wait()
jobs.limit("api", concurrency=1)
first = jobs.options(name="train the model", limit="api").submit(work)
jobs.options(name="pages").map(fails, range(40), workers=1, chunksize=1)
jobs.options(name="a name that is much too long for its column").submit(lambda: print("listening " * 30) or go.wait())
jobs.shell("echo building...; sleep 600", name="make all")
jobs.options(name="heartbeat").every(3600, print, "alive")
jobs.options(name="second call", limit="api").submit(int)
jobs.options(name="afterwards", after=first).submit(int)
jobs.options(name="files").submit(print, "10 files written").join()
jobs.options(name="broken").submit(lambda: 1 / 0).join()
jobs.options(name="too slow", timeout=0.05).submit(time.sleep, 600).join()
endless = jobs.options(name="endless").submit(time.sleep, 600)
while endless.state == "queued": time.sleep(0.01)
endless.kill()
jobs.options(name="taken back", after=first).submit(int).cancel()
while jobs[1].progress.done < 12 or not first._inner_progress or "building" not in jobs[3].output: time.sleep(0.01)
"""


@pytest.fixture(params=["light", "dark"])
def theme(notebook, request):
    notebook.theme(f"JupyterLab {request.param.title()}")
    yield request.param
    notebook.theme("JupyterLab Light")


def test_a_box_follows_its_job_while_cells_compute(notebook):
    box = notebook.run(f"{STEPS}\njob = jobs.options(name='train').submit(work)\njob")
    expect(box).to_contain_text("epochs 50% of 4")
    expect(box).to_contain_text("steps 50% of 8")
    expect(box.locator("pre")).to_have_text("half way")
    expect(box.get_by_role("progressbar").first).to_have_attribute("aria-valuenow", "50")
    expect(box).to_contain_text(re.compile(r"train[1-9] s"))
    # The main thread computes, and the job ends meanwhile.
    other = notebook.start("go.set()\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass")
    expect(box).to_contain_text("done")
    expect(box).to_contain_text("→ {'epochs': 4}")
    expect(box).to_contain_text("100% of 4")
    assert notebook.is_busy()
    notebook.interrupt()
    expect(other).to_contain_text("KeyboardInterrupt")
    expect(other).not_to_contain_text("Job 0")


def test_a_job_that_is_shown_twice_is_followed_in_both_cells(notebook):
    first = notebook.run("job = jobs.submit(go.wait)\njob")
    second = notebook.run("job")
    notebook.run("go.set()")
    expect(first).to_contain_text("done")
    expect(second).to_contain_text("done")


def test_how_they_look(notebook, theme):
    notebook.run(f"{STEPS}\n{MANY}")
    boxes = [notebook.run(f"jobs[{num}]") for num in (0, 1, 8)]
    table = notebook.run("jobs.status()")
    expect(table.locator("tbody tr")).to_have_count(len(MANY.split("name=")) - 1)
    expect(boxes[1]).to_contain_text("10 done, 2 failed, 28 to come")
    for box, name in zip(boxes, ("job", "group", "failed"), strict=True):
        notebook.picture(f"{name}-{theme}", box)
    # What is too long is cut, and is there in full for the pointer.
    name = table.locator("td[title='a name that is much too long for its column']")
    assert name.evaluate("cell => getComputedStyle(cell).textOverflow") == "ellipsis"
    # Nothing is wider than the cell, and text stands out from what is behind it.
    assert table.locator(".rjobs").evaluate("table => table.scrollWidth <= table.clientWidth")
    colours = table.locator("td").first.evaluate(
        "cell => [getComputedStyle(cell).color,"
        " getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor]"
    )
    text, behind = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (text > behind) is (theme == "dark")
    assert abs(text - behind) > 300
    notebook.picture(f"table-{theme}", table)
    notebook.page.set_viewport_size({"width": 640, "height": 760})
    notebook.picture(f"table-narrow-{theme}", table)
    notebook.page.set_viewport_size({"width": 1000, "height": 760})
