"""The table as text, fitted to the terminal, and as HTML."""

from __future__ import annotations

import re
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import rjobs
from rjobs import _display, _safe_text, _table

ANSI = re.compile(r"\x1b\[[0-9;]*m")
EVERY = ("running", "queued", "failed", "killed", "timed_out", "cancelled", "skipped", "expired", "done")


@pytest.fixture
def all_states(manager):
    """One manager with a job in every state there is, but 'lost', which needs a fork."""
    go, started = threading.Event(), threading.Event()

    def work():
        started.set()
        for _ in rjobs.track(range(1), desc="part"):
            for number in rjobs.track(range(200), unit="page"):
                if number == 90:
                    print("a long line of output, " * 20)
                    go.wait(20)

    running = manager.options(name="a name that is much longer than its column").submit(work)
    assert next(running.follow()).startswith("a long line")
    manager.limit("one", concurrency=1)
    manager.options(limit="one", name="first").submit(go.wait, 20)
    manager.options(limit="one", name="queued").submit(int)
    manager.options(limit="one", ttl=0.01, name="expired").submit(int).join(5)
    failed = manager.options(name="failed").submit(lambda: 1 / 0)
    manager.options(name="skipped", after=failed).submit(int).join(5)
    killed = manager.options(name="killed").submit(time.sleep, 20)
    while killed.state == "queued":
        killed.join(0.001)
    assert killed.kill()
    manager.options(name="timed out", timeout=0.01).submit(time.sleep, 20).join(5)
    assert manager.options(name="cancelled", after=running).submit(int).cancel()
    manager.options(name="done").submit(print, "written").join(5)
    manager.options(name="items").map(lambda n: 1 // n, range(4)).wait(5)
    assert {job.state for job in manager} == set(EVERY)
    yield manager
    go.set()


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("colours", [False, True])
def test_no_line_is_wider_than_the_terminal(all_states, monkeypatch, columns, colours):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = _table.text(all_states, colours=colours)
    assert (ANSI.search(text) is not None) is colours
    lines = ANSI.sub("", text).splitlines()
    assert max(map(_safe_text.width, lines)) < columns
    # Every job has its line, and every state its word.
    assert sorted(int(line.split(" : ")[0]) for line in lines if " : " in line) == sorted(all_states.all)
    assert all(state.replace("_", " ") in " ".join(lines) for state in EVERY)


def test_without_a_terminal_it_fits_80_columns(all_states, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    assert 60 < max(map(_safe_text.width, _table.text(all_states).splitlines())) < 80


def test_the_columns_stand_below_each_other(all_states, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    rows = [line for line in _table.text(all_states).splitlines() if " : " in line]
    states = [row.state for row in map(_table.row, all_states)]
    places = {row.index(f"  {state} ") for row in rows for state in states if f"  {state} " in row}
    assert len(places) == 1


def test_a_bar_where_there_is_room_and_words_where_there_is_not(all_states, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    wide = next(line for line in _table.text(all_states).splitlines() if " : a name" in line)
    assert "──" in wide
    assert "0% of 1" in wide
    assert "› 45% of 200" in wide  # noqa: RUF001 - an arrow
    monkeypatch.setenv("COLUMNS", "40")
    narrow = next(line for line in _table.text(all_states).splitlines() if " : a name" in line)
    assert "──" not in narrow


def test_a_stream_that_has_no_blocks_gets_plain_bars(all_states, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding="latin-1", isatty=lambda: False))
    assert ".......... 0% of 1" in _table.text(all_states)


@pytest.mark.parametrize(
    ("shell", "terminal", "no_color", "expected"),
    [
        (SimpleNamespace(colors="linux"), True, "", True),
        (SimpleNamespace(colors="Neutral"), True, "", True),
        (SimpleNamespace(colors="NoColor"), True, "", False),
        (SimpleNamespace(colors="linux"), False, "", False),
        (SimpleNamespace(colors="linux"), True, "1", False),
        (SimpleNamespace(colors="linux", kernel=object()), True, "", False),
        (None, True, "", False),
    ],
)
def test_colours_only_on_a_terminal_whose_shell_has_them(monkeypatch, shell, terminal, no_color, expected):
    monkeypatch.setattr("rjobs._table_text.shell", lambda: shell)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding="utf-8", isatty=lambda: terminal))
    monkeypatch.setenv("NO_COLOR", no_color)
    assert _table.has_colours() is expected


def test_what_runs_or_failed_is_never_left_out_before_what_is_done_or_waits(manager):
    go = threading.Event()
    failed = [manager.submit(lambda: 1 / 0) for _ in range(12)]
    for _ in range(100):
        manager.submit(int)
    manager.wait()
    started = threading.Barrier(9)
    running = [manager.submit(lambda: (started.wait(10), go.wait(20))) for _ in range(8)]
    started.wait(10)
    waiting = [manager.options(after=running[0]).submit(int) for _ in range(100)]
    jobs, counts = manager._snapshot(50)
    assert jobs == [*running, *reversed(failed), *waiting[:30]]
    assert counts == {"queued": 100, "running": 8, "done": 100, "failed": 12}
    text = _table.text(manager)
    assert text.endswith("… 170 more; 8 running, 100 queued, 12 failed, 100 done")
    assert sum(" failed " in line for line in text.splitlines() if " : " in line) == 12
    html = _table.html(manager)
    assert html.count("<tr>") == 51
    assert "… 170 more; " in html
    # What goes on is shown first, and what has ended by its number, the newest first.
    nums = [int(num) for num in re.findall(r'<td class="rj-n rj-d">(\d+)</td>', html)]
    assert nums == [job.num for job in [*running, *waiting[:30], *reversed(failed)]]
    go.set()


def test_html_needs_nothing_but_itself(all_states):
    html = _table.html(all_states)
    for part in ("http", "src=", "url(", "@import", "<script", "<link", " on"):
        assert part not in html.replace(" one", "").replace(" only", ""), part
    for variable in ("--jp-error-color1", "--vscode-charts-red", "--jp-ui-font-color1", "--vscode-foreground"):
        assert variable in html


def test_html_has_every_state_and_cuts_what_is_long(all_states):
    html = _table.html(all_states)
    for job in all_states:
        assert f">{_table.state_text(job)}</span>" in html
    full = "a long line of output, " * 20
    assert f'title="{full.strip()}' in html
    assert html.count(full) == 1
    assert "a name that is much longer than its column</code>" not in html
    assert 'title="a name that is much longer than its column"' in html
    assert 'role="progressbar"' in html
    assert "ZeroDivisionError" in html


@pytest.mark.parametrize("state", EVERY)
def test_every_state_has_a_colour_with_fall_backs(state):
    colour = _table.colour(SimpleNamespace(state=state, kill_pending=False))
    assert re.fullmatch(r"var\(--jp-[\w-]+,var\(--vscode-[\w-]+,#[0-9a-f]{6}\)\)", colour)


def test_a_notebook_gets_the_text_without_colours(notebook, monkeypatch):
    published = []
    monkeypatch.setattr(notebook.shell, "kernel", object(), raising=False)
    monkeypatch.setattr(notebook.shell, "colors", "linux")
    publisher = SimpleNamespace(publish=lambda **bundle: published.append(bundle))
    monkeypatch.setattr(notebook.shell, "display_pub", publisher)
    notebook["jobs"].submit(int).join(5)
    _display.status(notebook["jobs"])
    assert not ANSI.search(published[0]["data"]["text/plain"])
