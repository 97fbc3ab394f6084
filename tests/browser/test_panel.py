"""The panel in JupyterLab: what a user sees and clicks."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect


def row(panel, num):
    return panel.locator(".rj-row", has=panel.page.locator(f".rj-num span:text-is('{num}')"))


def test_rows_follow_the_jobs(notebook, panel):
    shown = panel()
    expect(shown.locator(".rj-empty")).to_have_text("No jobs yet. Start one with %job, or jobs.new(...).")
    notebook.run("""
def work(n):
    for i in rjobs.track(range(n), desc='files'):
        print('item', i)
        if i == n // 2: go.wait()
a = jobs.options(name='download').new(work, 10)
b = jobs.options(name='broken').new(lambda: 1 / 0)
""")
    expect(row(shown, 0).locator(".rj-name")).to_have_text("download")
    expect(row(shown, 0).locator(".rj-state")).to_have_text("running")
    expect(row(shown, 0).locator(".rj-line")).to_have_text("item 5")
    expect(row(shown, 0).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(row(shown, 0).locator(".rj-time")).to_have_text(re.compile(r"^[1-9]\d* s$"))
    expect(row(shown, 1).locator(".rj-state")).to_have_text("failed")
    expect(row(shown, 1).locator(".rj-line")).to_have_text("ZeroDivisionError: division by zero")
    notebook.picture("panel", shown)
