"""The panel in JupyterLab: what a user sees of the jobs, and how it is looked at."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

HALF_WAY = """
def work(n):
    for i in rjobs.track(range(n), desc='files'):
        print('item', i)
        if i == n // 2: go.wait()
"""


def test_rows_follow_the_jobs(notebook, panel):
    shown = panel()
    expect(shown.root).to_contain_text("No jobs yet.")
    notebook.run(
        f"{HALF_WAY}\njobs.options(name='download').new(work, 10)\njobs.options(name='broken').new(lambda: 1 / 0)"
    )
    first, second = shown.job(0), shown.job(1)
    expect(first.name).to_have_text("download")
    expect(first.state).to_have_text("running")
    expect(first.line).to_have_text("item 5")
    expect(first.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(first.time).to_have_text(re.compile(r"^[1-9]\d* s$"))
    expect(second.state).to_have_text("failed")
    expect(second.line).to_have_text("ZeroDivisionError: division by zero")
    notebook.run("go.set()")
    expect(first.state).to_have_text("done")
    expect(first.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(shown.chip("running")).to_have_count(0)
    expect(shown.chip("done")).to_have_text("done1")


def test_rows_follow_while_a_cell_computes(notebook, panel):
    shown = panel("%jobs panel")
    notebook.start(f"{HALF_WAY}\njob = jobs.new(work, 4)\nwhile not go.is_set(): pass")
    expect(shown.job(0).line).to_have_text("item 2")
    shown.job(0).open.click()
    expect(shown.tail).to_have_text("item 0\nitem 1\nitem 2")
    assert notebook.is_busy()
    notebook.interrupt()
    expect(shown.job(0).state).to_have_text("running")


def test_the_output_of_a_row_can_be_opened_and_follows(notebook, panel):
    shown = panel()
    notebook.run(
        "job = jobs.options(name='talks').new('for i in range(3): print(i)\\ngo.wait(); print(\"bye\")', globals())"
    )
    row = shown.job(0)
    expect(row.open).to_have_attribute("aria-expanded", "false")
    row.open.click()
    expect(shown.tail).to_have_text("0\n1\n2")
    expect(row.open).to_have_attribute("aria-expanded", "true")
    notebook.run("go.set()")
    expect(shown.tail).to_have_text("0\n1\n2\nbye")
    row.open.click()
    expect(shown.tail).to_have_count(0)


def test_jobs_are_found_by_state_by_name_and_by_number(notebook, panel):
    notebook.run(
        "for i in range(12): jobs.options(name=f'load {i}').new(int)\n"
        "for i in range(3): jobs.options(name=f'parse {i}').new(go.wait)\n"
        "jobs.wait([jobs[i] for i in range(12)])"
    )
    shown = panel("jobs.panel(rows=5)")
    expect(shown.names).to_have_text(["parse 0", "parse 1", "parse 2", "load 11", "load 10"])
    expect(shown.range).to_have_text("1\u20135 of 15")
    shown.get_by_role("button", name="Next page").click()
    expect(shown.names).to_have_text(["load 9", "load 8", "load 7", "load 6", "load 5"])
    shown.chip("running").click()
    expect(shown.names).to_have_text(["parse 0", "parse 1", "parse 2"])
    expect(shown.chip("running")).to_have_attribute("aria-pressed", "true")
    shown.chip("all").click()
    shown.search.fill("LOAD 1")
    expect(shown.names).to_have_text(["load 11", "load 10", "load 1"])
    shown.search.fill("13")
    expect(shown.names).to_have_text(["parse 1"])
    shown.search.fill("nothing")
    expect(shown.root).to_contain_text("No jobs like these.")


def test_rows_keep_their_places_under_the_pointer(notebook, panel):
    notebook.run(
        "a = jobs.options(name='first').new(go.wait)\nb = jobs.options(name='second').new(threading.Event().wait)"
    )
    shown = panel()
    expect(shown.names).to_have_text(["first", "second"])
    shown.job(1).name.hover()
    notebook.start("go.set()")
    # Still where it was, and a click meets what the user aims at: until the pointer rests, or leaves.
    expect(shown.job(0).state).to_have_text("done")
    expect(shown.names).to_have_text(["first", "second"])
    notebook.page.mouse.move(0, 0)
    expect(shown.names).to_have_text(["second", "first"])


def test_text_of_jobs_stays_text(notebook, panel):
    name = '<img src=x onerror="window.hurt = 1"> $x$ <b>bold</b>'
    notebook.run(f"job = jobs.options(name={name!r}).new(lambda: print({name!r}) or go.wait())")
    shown = panel()
    expect(shown.job(0).name).to_have_text(name)
    expect(shown.job(0).line).to_have_text(name)
    shown.job(0).open.click()
    expect(shown.tail).to_have_text(name)
    shown.search.fill("<b>")
    expect(shown.names).to_have_text([name])
    expect(shown.locator("img, .rj-name b")).to_have_count(0)
    assert notebook.page.evaluate("window.hurt") is None


def test_a_hundred_thousand_jobs_open_at_once(notebook, panel):
    notebook.run("for _ in range(100_000): jobs.new(int)\njobs.wait()\nbusy = jobs.options(name='busy').new(go.wait)")
    shown = panel()
    expect(shown.chip("done")).to_have_text("done100,000")
    expect(shown.job(100_000).state).to_have_text("running")
    expect(shown.rows).to_have_count(20)
    shown.get_by_role("button", name="Next page").click()
    expect(shown.range).to_have_text("21\u201340 of 100,001")


def test_a_closed_panel_gives_way_to_the_table(notebook, panel):
    shown = panel("p = jobs.panel()\np")
    notebook.run("job = jobs.options(name='work').new(go.wait)")
    expect(shown.job(0).state).to_have_text("running")
    table = notebook.page.locator(".rjobs-static")
    expect(table).to_be_hidden()
    notebook.run("p.close()")
    expect(shown.root).to_have_count(0)
    expect(table).to_contain_text("work")
    assert notebook.evaluate("[t.name for t in threading.enumerate() if 'panel' in t.name]") == "[]"
