"""The panel's buttons, by mouse and by keyboard, while the notebook computes and while it does not."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

# What keeps the main thread busy: bytecode, a wait, and C code that lets the others run.
BUSY = ["pass", "time.sleep(0.5)", "hashlib.pbkdf2_hmac('sha256', b'', b'', 500_000)"]


@pytest.mark.parametrize("busy", BUSY)
def test_kill_and_stop_work_while_a_cell_computes(notebook, panel, busy):
    shown = panel()
    notebook.run(
        "import hashlib\n"
        "def polite():\n    while not rjobs.current_job().stop_requested: time.sleep(0.01)\n    go.set()\n"
        "a = jobs.options(name='blocked').new(threading.Event().wait)\n"
        "b = jobs.options(name='polite').new(polite)"
    )
    expect(shown.job(1).state).to_have_text("running")
    notebook.start(f"while not go.is_set(): {busy}")
    shown.job(0).button("Kill").click()
    expect(shown.job(0).state).to_have_text("killed")
    assert notebook.is_busy()
    assert notebook.status() == "busy"
    if busy == "pass":
        notebook.picture("killed-while-busy", shown)
    shown.job(1).button("Stop").click()
    expect(shown.job(1).state).to_have_text("done")
    notebook.wait()


def test_stop_asks_and_what_does_not_stop_can_be_killed(notebook, panel):
    shown = panel()
    notebook.run("job = jobs.new(go.wait)")
    shown.job(0).button("Stop").click()
    expect(shown.job(0).detail).to_have_text("asked to stop")
    expect(shown.job(0).button("Stop")).to_have_attribute("aria-disabled", "true")
    expect(shown.job(0).state).to_have_text("running")
    shown.job(0).button("Kill").click()
    expect(shown.job(0).state).to_have_text("killed")


def test_cancel_takes_a_queued_job_out(notebook, panel):
    shown = panel()
    notebook.run("jobs.limit('one', 1)\na, b = (jobs.options(limit='one').new(go.wait) for _ in range(2))")
    expect(shown.job(1).detail).to_have_text("waits for a limit")
    expect(shown.job(1).button("Kill")).to_be_hidden()
    shown.job(1).button("Cancel").click()
    expect(shown.job(1).state).to_have_text("cancelled")
    expect(shown.job(0).state).to_have_text("running")


def test_retry_runs_the_work_again_as_a_new_job(notebook, panel):
    shown = panel()
    notebook.run("tries = []\njob = jobs.options(name='flaky').new(lambda: tries.append(1) or 1 / (len(tries) - 1))")
    expect(shown.job(0).state).to_have_text("failed")
    shown.job(0).button("Retry").click()
    expect(shown.job(1).state).to_have_text("done")
    expect(shown.job(1).name).to_have_text("flaky")
    expect(shown.note).to_have_text("Job 0 runs again, as job 1.")
    expect(shown.job(1).button("Retry")).to_be_hidden()


def test_kill_all_asks_first(notebook, panel):
    shown = panel()
    notebook.run(
        "jobs.limit('one', 1)\nfor _ in range(3): jobs.options(limit='one').new(go.wait)\nx = jobs.new(go.wait)"
    )
    question = shown.get_by_role("alertdialog")
    shown.kill_all.click()
    expect(question).to_contain_text("Kill 2 running and cancel 2 queued jobs?")
    keep = question.get_by_role("button", name="Keep them")
    expect(keep).to_be_focused()
    notebook.picture("kill-all", shown)
    keep.press("Escape")
    expect(question).to_be_hidden()
    expect(shown.kill_all).to_be_focused()
    expect(shown.chip("running")).to_have_text("running2")
    shown.kill_all.click()
    question.get_by_role("button", name="Kill all").click()
    expect(shown.chip("running")).to_have_count(0)
    expect(shown.chip("queued")).to_have_count(0)
    expect(shown.kill_all).to_be_hidden()


def test_everything_works_with_the_keyboard(notebook, panel):
    shown = panel()
    notebook.run("a = jobs.options(name='one').new(go.wait)\nb = jobs.options(name='two').new(go.wait)")
    keyboard = notebook.page.keyboard
    expect(shown.job(1).state).to_have_text("running")
    cells = notebook.page.locator(".jp-Notebook .jp-Cell").count()
    shown.search.focus()
    keyboard.press("Tab")
    expect(shown.kill_all).to_be_focused()
    keyboard.press("Tab")
    expect(shown.job(0).open).to_be_focused()
    keyboard.press("Enter")
    expect(shown.tail).to_have_text("No output yet.")
    keyboard.press("Tab")
    expect(shown.job(0).button("Stop")).to_be_focused()
    keyboard.press("Tab")
    kill = shown.job(0).button("Kill")
    expect(kill).to_be_focused()
    expect(kill).to_have_attribute("aria-label", "Kill job 0, one")
    keyboard.press("Enter")
    expect(shown.job(0).state).to_have_text("killed")
    # The button is gone; the focus stays in its row, which has moved to the end.
    expect(shown.names).to_have_text(["two", "one"])
    expect(shown.job(0).open).to_be_focused()
    # JupyterLab's own keys (cut this cell, add one) do not act meanwhile.
    keyboard.press("x")
    keyboard.press("b")
    assert notebook.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_changes_are_told_to_screen_readers(notebook, panel):
    shown = panel()
    notebook.run("a = jobs.new(go.wait)\nb = jobs.new(lambda: 1 / 0)")
    voice = shown.locator("[aria-live=polite]")
    expect(voice).to_have_text("Jobs: 1 running, 1 failed")
    expect(shown.get_by_role("button", name="Kill job 0, Event.wait")).to_be_visible()
    expect(shown.get_by_role("columnheader", name="State")).to_be_visible()


def test_where_the_kernel_cannot_be_reached_a_click_waits_for_the_cell_and_says_so(notebook, panel):
    # As in a front end whose pages cannot write to the control channel.
    notebook.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestDebug = 0; }"
    )
    try:
        notebook.run("job = jobs.new(threading.Event().wait)")
        shown = panel()
        notebook.start("while not go.is_set(): time.sleep(0.05)")
        shown.job(0).button("Kill").click()
        expect(shown.job(0).detail).to_have_text("killing\u2026")
        expect(shown.note).to_have_text("The kernel is busy: this is done when the running cell ends.")
        notebook.interrupt()
        expect(shown.job(0).state).to_have_text("killed")
        expect(shown.note).to_be_hidden()
    finally:
        notebook.page.evaluate(
            "() => { delete window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestDebug; }"
        )
