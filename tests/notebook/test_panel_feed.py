"""What the panel reads of the jobs and tells its page: rows, windows, and changes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed")
from rjobs.notebook.panel.feed import Feed, View
from rjobs.notebook.panel.rows import make_row, make_tail


@pytest.fixture
def go(manager):
    """An event that jobs may wait for; set at the test's end."""
    event = threading.Event()
    yield event
    event.set()


def started(manager, go, **options):
    """A job that has started, and waits."""
    begun = threading.Event()
    job = manager.options(**options).new(lambda: begun.set() or go.wait())
    assert begun.wait(10)
    return job


def nums(told):
    return [row["num"] for row in told["rows"]]


def test_a_row_has_what_there_is_and_nothing_else(manager):
    job = manager.options(name="work").new(lambda: print("one\ntwo"))
    job.join()
    row = make_row(job)
    assert row.pop("took").endswith("s")
    assert row == {"num": 0, "state": "done", "name": "work", "line": "two"}


def test_a_running_row_has_its_seconds_and_its_progress(manager, go):
    def work():
        manager[0].progress(45, 120, unit="file")
        begun.set()
        go.wait()

    begun = threading.Event()
    job = manager.new(work)
    assert begun.wait(10)
    row = make_row(job)
    assert 0 <= row["elapsed"] < 10
    assert row["fraction"] == 0.375
    assert row["progress"][0] == "38% of 120"


def test_a_failed_row_says_with_what(manager):
    job = manager.new(lambda: {}["key"])
    job.join()
    row = make_row(job)
    assert row["line"] == "KeyError: 'key'"
    assert row["bad"] is True


def test_a_queued_row_says_what_it_waits_for(manager, go):
    manager.limit("one", 1)
    first = started(manager, go, limit="one")
    assert make_row(manager.options(limit="one").new(int))["detail"] == "waits for a limit"
    assert make_row(manager.options(after=[first]).new(int))["detail"] == "waits for other jobs"
    again = threading.Event()
    hourly = manager.every(3600, again.set)
    assert again.wait(10)
    while hourly.state != "queued":
        hourly.join(0.01)
    row = make_row(hourly)
    assert row["detail"] == "next run in"
    assert 3500 < row["due"] <= 3600
    assert abs(datetime.fromtimestamp(row["at"], UTC) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


def test_text_of_jobs_is_one_safe_line(manager):
    job = manager.options(name="a\nb\x1b[31m\u202e").new(lambda: print("x" * 10_000 + "\x1b]0;title\x07"))
    job.join()
    row = make_row(job)
    assert row["name"] == "a\\nb\\u202e"
    assert len(row["line"]) == 200
    assert len(make_tail(job)) <= 8000


@pytest.mark.parametrize("numbers", [(float("nan"), 3), (1, float("inf")), (-5, 10), (20, 10)])
def test_progress_that_makes_no_sense_breaks_nothing(manager, go, numbers):
    class Odd:
        done, total = numbers
        rate = eta = float("nan")
        unit = "it"

    job = started(manager, go)
    row = {"state": "running"}
    from rjobs.notebook.panel import rows

    rows._add_progress(row, Odd())
    assert 0 <= row.get("fraction", 0) <= 1
    assert make_row(job)["state"] == "running"


def test_the_whole_has_a_page_of_rows_and_counts_of_all(manager, go):
    for _ in range(30):
        manager.new(int)
    manager.wait()
    running = started(manager, go)
    whole = Feed(manager, 5).whole()
    assert nums(whole) == whole["order"] == [running.num, 29, 28, 27, 26]
    assert whole["counts"] == {"done": 30, "running": 1}
    assert (whole["matched"], whole["limit"]) == (31, 5)


def test_what_has_not_changed_is_not_told(manager, go):
    feed = Feed(manager, 5)
    started(manager, go)
    feed.whole()
    # Its clock has gone on, which the page does by itself.
    assert feed.changes() is None
    assert feed.has_work()


def test_only_what_has_changed_is_told_with_its_number(manager, go):
    feed = Feed(manager, 5)
    first, second = started(manager, go), started(manager, threading.Event())
    number = feed.whole()["number"]
    go.set()
    first.join()
    changes = feed.changes()
    assert changes["number"] == number + 1
    assert nums(changes) == [first.num]
    assert changes["order"] == [second.num, first.num]
    assert changes["counts"] == {"running": 1, "done": 1}
    assert "view" not in changes
    assert feed.changes() is None
    second.kill()
    assert nums(feed.changes()) == [second.num]
    assert not feed.has_work()


def test_a_row_that_leaves_the_window_is_told_once_more(manager, go):
    feed = Feed(manager, 1)
    first = started(manager, go)
    second = started(manager, threading.Event())
    assert feed.whole()["order"] == [first.num]
    go.set()
    first.join()
    changes = feed.changes()
    assert changes["order"] == [second.num]
    assert {row["num"]: row["state"] for row in changes["rows"]} == {0: "done", 1: "running"}
    assert feed.changes() is None


def test_a_view_is_of_some_states_a_text_and_a_page(manager):
    for i in range(7):
        manager.options(name=f"Load {i}").new(int if i % 2 else lambda: 1 / 0)
    manager.wait()
    feed = Feed(manager, 2)

    def seen(**view):
        feed.look(View.from_dict(view))
        whole = feed.whole()
        return whole["order"], whole["matched"]

    assert seen() == ([6, 5], 7)
    assert seen(offset=2) == ([4, 3], 7)
    assert seen(states=["failed"]) == ([6, 4], 4)
    assert seen(states=["failed"], offset=2) == ([2, 0], 4)
    assert seen(text="load 3") == ([3], 1)
    assert seen(text="#3") == ([3], 1)
    assert seen(text="lo", states=["done"]) == ([5, 3], 3)
    assert seen(text="nothing") == ([], 0)
    # A page that is gone is the last one there is.
    assert seen(offset=100) == ([0], 7)
    assert feed.whole()["view"]["offset"] == 6


@pytest.mark.parametrize(
    "given", [None, 3, {"states": "x", "text": 3, "offset": "1", "open": [None, "1"]}, {"offset": -4}]
)
def test_a_view_that_is_none_is_the_plain_one(given):
    assert View.from_dict(given) == View()


def test_open_rows_have_the_end_of_their_output(manager):
    job = manager.new(lambda: print(*range(30), sep="\n"))
    job.join()
    feed = Feed(manager, 5)
    assert feed.whole()["tails"] == {}
    feed.look(View(open=[0, 99]))
    assert feed.changes()["tails"]["0"] == "\n".join(map(str, range(10, 30)))


def test_a_job_that_is_forgotten_leaves_the_window(manager):
    manager.new(int).join()
    feed = Feed(manager, 5)
    feed.whole()
    manager.remove(0)
    changes = feed.changes()
    assert (changes["order"], changes["counts"]) == ([], {})


def test_news_wake_who_waits_for_them(manager):
    seen = manager._await_news(0, 0)
    assert manager._await_news(seen, 0.01) == seen
    heard = threading.Event()
    waiting = threading.Thread(target=lambda: manager._await_news(seen, None) != seen and heard.set())
    waiting.start()
    manager.new(int).join()
    assert heard.wait(10)
    waiting.join(10)
    assert manager._await_news(seen, None) != seen
