"""The thread behind the panel: when it is there, what it sends, and what it does for a page."""

from __future__ import annotations

import queue
import threading

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed")
from rjobs.notebook.panel import updater as updaters
from rjobs.notebook.panel.feed import Feed
from rjobs.notebook.panel.updater import Updater

PATIENCE = 20


class Page:
    """What a page hears."""

    def __init__(self, manager):
        self.heard = queue.SimpleQueue()
        self.settled = queue.SimpleQueue()
        self.updater = Updater(Feed(manager, 5), self.heard.put, lambda: self.settled.put(True))
        self.count = 0

    def ask(self, kind, **more):
        self.count += 1
        request = {"id": f"r{self.count}", "page": "p", "control": True, "kind": kind, **more}
        self.updater.post(request)
        return request

    def hear(self, kind, until=lambda _message: True):
        while True:
            message = self.heard.get(timeout=PATIENCE)
            if message["kind"] == kind and until(message):
                return message

    @property
    def thread(self):
        return next((thread for thread in threading.enumerate() if thread.name == "rjobs panel"), None)


@pytest.fixture
def page(manager):
    page = Page(manager)
    yield page
    page.updater.close()
    if page.thread is not None:
        page.thread.join(PATIENCE)


@pytest.fixture
def go():
    event = threading.Event()
    yield event
    event.set()


def states(message):
    return {row["num"]: row["state"] for row in message.get("rows", [])}


def test_nothing_runs_before_the_panel_is_shown(page):
    assert page.thread is None


def test_a_page_that_comes_hears_the_whole_and_then_the_changes(manager, page, go):
    job = manager.new(go.wait)
    request = page.ask("hello")
    assert states(page.hear("whole")) == {0: "running"}
    assert page.hear("answered")["ids"] == [request["id"]]
    go.set()
    page.hear("changes", lambda message: states(message) == {0: "done"})
    # The last word, for the table that stays.
    assert page.settled.get(timeout=PATIENCE)
    assert job.state == "done"


def test_without_work_it_sleeps_until_there_is_some(manager, page, go, monkeypatch):
    looks = queue.SimpleQueue()
    changes = Feed.changes
    monkeypatch.setattr(Feed, "changes", lambda feed: looks.put(True) or changes(feed))
    page.ask("hello")
    page.hear("whole")
    looks.get(timeout=PATIENCE)
    with pytest.raises(queue.Empty):
        # The call that wakes it may have come in two parts: then it looks twice.
        for _ in range(2):
            looks.get(timeout=4 * updaters._PAUSE)
    manager.new(go.wait)
    page.hear("changes", lambda message: states(message) == {0: "running"})


def test_nothing_is_sent_while_nothing_changes(manager, page, go):
    manager.new(go.wait)
    page.ask("hello")
    page.hear("answered")
    with pytest.raises(queue.Empty):
        page.heard.get(timeout=4 * updaters._PAUSE)


def test_many_changes_are_few_messages(manager, page):
    page.ask("hello")
    page.hear("answered")
    for _ in range(2000):
        manager.new(int)
    page.hear("changes", lambda message: message.get("counts") == {"done": 2000})
    assert page.updater._feed._number < 30


def test_with_the_last_page_the_thread_ends(manager, page, go):
    manager.new(go.wait)
    page.ask("hello")
    page.hear("answered")
    thread = page.thread
    page.ask("bye")
    thread.join(PATIENCE)
    assert page.thread is None
    page.ask("hello")
    page.hear("whole")


def test_a_page_that_is_not_heard_of_any_more_is_gone(manager, page, go, monkeypatch):
    monkeypatch.setattr(updaters, "_GONE", 0.2)
    manager.new(go.wait)
    page.ask("hello")
    thread = page.thread
    thread.join(PATIENCE)
    assert page.thread is None


def test_a_page_that_cannot_reach_a_busy_kernel_is_never_taken_for_gone(manager, page, go, monkeypatch):
    monkeypatch.setattr(updaters, "_GONE", 0.0)
    manager.new(go.wait)
    page.ask("hello", control=False)
    page.hear("answered")
    go.set()
    page.hear("changes", lambda message: states(message) == {0: "done"})


def test_closing_ends_the_thread_also_where_it_sleeps(page):
    page.ask("hello")
    page.hear("answered")
    thread = page.thread
    page.updater.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    page.ask("hello")
    assert page.thread is None


def test_a_close_that_comes_as_it_looks_is_heard(page, monkeypatch):
    goes_on = page.updater._goes_on

    def goes_on_and_is_closed():
        try:
            return goes_on()
        finally:
            page.updater.close()

    monkeypatch.setattr(page.updater, "_goes_on", goes_on_and_is_closed)
    page.updater.start()
    thread = page.thread
    if thread is not None:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_kill_and_cancel(manager, page):
    manager.limit("one", 1)
    first = manager.options(limit="one").new(threading.Event().wait)
    second = manager.options(limit="one").new(int)
    page.ask("cancel", num=second.num)
    page.ask("kill", num=first.num)
    manager.wait(timeout=PATIENCE)
    assert (first.state, second.state) == ("killed", "cancelled")


def test_cancel_does_not_touch_what_runs(manager, page, go):
    begun = threading.Event()
    job = manager.new(lambda: begun.set() or go.wait())
    assert begun.wait(PATIENCE)
    page.ask("cancel", num=job.num)
    assert page.hear("note")["text"] == "Job 0 runs already: it was not cancelled."
    assert job.state == "running"


def test_stop_asks_without_holding_up_the_others(manager, page):
    import rjobs

    def polite():
        while not rjobs.current_job().stop_requested:
            rjobs.current_job().sleep(0.01)

    deaf = manager.new(threading.Event().wait)
    job = manager.new(polite)
    page.ask("stop", num=deaf.num)
    page.ask("stop", num=job.num)
    job.join(PATIENCE)
    assert job.state in ("done", "killed")
    page.hear("changes", lambda message: any(row.get("stopping") for row in message.get("rows", [])))
    assert deaf.state == "running"


def test_retry_tells_the_number_of_the_new_job(manager, page):
    manager.new(lambda: 1 / 0).join()
    page.ask("retry", num=0)
    assert page.hear("note")["text"] == "Job 0 runs again, as job 1."
    manager[1].join(PATIENCE)
    assert manager[1].state == "failed"


def test_what_cannot_be_done_is_told(manager, page):
    manager.new(lambda: 1 / 0).join()
    manager.shutdown()
    page.ask("retry", num=0)
    assert page.hear("note")["text"].startswith("ManagerClosed: ")
    page.ask("kill", num=77)
    assert page.hear("note")["text"] == "Job 77 is not kept any more."


def test_kill_all_ends_them_all(manager, page):
    jobs = [manager.new(threading.Event().wait) for _ in range(5)]
    page.ask("kill_all")
    manager.wait(timeout=PATIENCE)
    assert {job.state for job in jobs} <= {"killed", "cancelled"}


def test_what_arrives_twice_is_done_once(manager, page):
    manager.new(lambda: 1 / 0).join()
    request = page.ask("retry", num=0)
    page.updater.post(dict(request))
    page.hear("note")
    page.ask("hello")
    page.hear("whole")
    assert len(manager) == 2


@pytest.mark.parametrize(
    "request_",
    [{}, {"kind": 3}, {"kind": "kill"}, {"kind": "kill", "num": "0"}, {"kind": "look", "view": 3}, {"id": [1]}],
)
def test_nonsense_does_no_harm(manager, page, go, request_):
    job = manager.new(go.wait)
    page.updater.post(request_)
    page.ask("hello")
    page.hear("whole")
    assert not job.done()
