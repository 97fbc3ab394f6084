"""A job as the value of a cell is brought up to date in place; what is sent, when, and by whom."""

from __future__ import annotations

import queue
import re
import threading
import time
from itertools import pairwise

import pytest
from IPython.core.displaypub import DisplayPublisher

import rjobs

# Seconds for what has to come, on a slow machine.
PATIENCE = 20
THREAD = "rjobs-displays"


class Session:
    """Collects messages, with the time at which they came."""

    def __init__(self):
        self.sent = queue.Queue()
        self.broken = False

    def msg(self, kind, content, parent):
        return {"kind": kind, "parent": parent, **content}

    def send(self, _socket, message, ident):
        if self.broken:
            raise OSError("the front end is gone")
        assert ident == b"topic"
        self.sent.put((time.monotonic(), message))

    def next(self):
        return self.sent.get(timeout=PATIENCE)[1]

    def until(self, text):
        """All messages up to the one whose plain text has `text`."""
        messages = [self.next()]
        while text not in messages[-1]["data"]["text/plain"]:
            messages.append(self.next())
        return messages


class Publisher(DisplayPublisher):
    """Has what a kernel's has."""

    def __init__(self, **options):
        super().__init__(**options)
        self.session, self.pub_socket, self.topic = Session(), object(), b"topic"
        self.parent_header = {"msg_id": "first"}
        self.shown = []

    def publish(self, data, _metadata=None, **options):
        self.shown.append((data, options))


@pytest.fixture
def live(bare, monkeypatch):
    """A notebook whose displays can be updated, with the extension loaded."""
    monkeypatch.setattr(bare.shell, "kernel", object(), raising=False)
    monkeypatch.setattr(bare.shell, "display_pub", Publisher(parent=bare.shell))
    bare("%load_ext rjobs")
    bare.go = bare.shell.user_ns["go"] = threading.Event()
    yield bare
    bare.go.set()


@pytest.fixture
def sent(live):
    return live.shell.display_pub.session


def thread_of_displays():
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def shown(live):
    return live.shell.display_pub.shown


def test_a_running_job_is_shown_and_its_end_is_told(live, sent):
    live("job = jobs.options(name='named').submit(lambda: go.wait(20) and 42)\njob")
    ((data, options),) = shown(live)
    assert "named" in data["text/plain"]
    assert "named" in data["text/html"]
    live.go.set()
    last = sent.until("<Job 0 done")[-1]
    assert "→ 42" in last["data"]["text/html"]
    assert last["kind"] == "update_display_data"
    assert last["transient"] == options["transient"]
    assert last["parent"] == {"msg_id": "first"}
    # The value of the cell is the job all the same.
    assert live["_"] is live["job"]


def test_a_job_that_has_ended_is_a_plain_value(live, sent):
    live("job = jobs.submit(int)\njob.get(20)")
    live("job")
    assert shown(live) == []
    assert sent.sent.empty()
    assert not thread_of_displays()


def test_the_thread_is_there_only_as_long_as_something_is_shown(live, sent):
    live("a = jobs.submit(go.wait)")
    assert not thread_of_displays()
    live("b = jobs.submit(go.wait)\ndisplay(a, b)")
    (thread,) = thread_of_displays()
    live.go.set()
    thread.join(PATIENCE)
    assert not thread_of_displays()
    # The next one gets a thread of its own.
    live.go.clear()
    live("c = jobs.submit(go.wait)\nc")
    assert len(thread_of_displays()) == 1
    live.go.set()
    sent.until("<Job 2 done")


def test_a_box_has_at_most_four_messages_a_second(live, sent):
    live(
        """
import rjobs
from itertools import count
def work():
    for number in rjobs.track(count()):
        if go.wait(0.001):
            return
        print(number)
job = jobs.submit(work)
job"""
    )
    times = [sent.sent.get(timeout=PATIENCE)[0] for _ in range(4)]
    live.go.set()
    while True:
        at, message = sent.sent.get(timeout=PATIENCE)
        times.append(at)
        if "done" in message["data"]["text/plain"]:
            break
    assert min(after - before for before, after in pairwise(times)) >= 0.249


def test_nothing_is_sent_when_nothing_has_changed(live, sent):
    live("first = jobs.submit(go.wait)\nwaiting = jobs.options(after=first).submit(int)\nwaiting")
    # Another box that changes shows that the thread looks.
    live(
        """
from itertools import count
def work():
    for number in count():
        if go.wait(0.01):
            return
        rjobs.current_job().progress(number)
import rjobs
job = jobs.options(name="other").submit(work)
job"""
    )
    for _ in range(5):
        assert "other" in sent.next()["data"]["text/plain"]
    live.go.set()
    sent.until("<Job 1 done")


def test_one_that_runs_silently_tells_its_time_in_whole_seconds_only(live, sent):
    live("job = jobs.submit(go.wait)\nwhile job.state == 'queued': pass\njob")
    elapsed = re.compile(r'<span class="rj-d">(\d+) s</span>')
    seconds = [int(elapsed.search(sent.next()["data"]["text/html"])[1]) for _ in range(3)]
    assert seconds == sorted(set(seconds))
    assert seconds[0] >= 1
    live.go.set()


def test_what_ends_at_once_is_one_message_each(live, sent):
    live("many = [jobs.submit(go.wait) for _ in range(30)]\ndisplay(*many)")
    live.go.set()
    live("jobs.wait(many)")
    (thread,) = thread_of_displays()
    thread.join(PATIENCE)
    ends = []
    while not sent.sent.empty():
        message = sent.next()
        if " done" in message["data"]["text/plain"]:
            ends.append(message["transient"]["display_id"])
    assert len(ends) == len(set(ends)) == 30


def test_every_box_of_a_job_belongs_to_its_cell(live, sent):
    live("job = jobs.submit(go.wait)\njob")
    live.shell.display_pub.parent_header = {"msg_id": "second"}
    live("job")
    live.go.set()
    ends = {}
    while len(ends) < 2:
        message = sent.until("<Job 0 done")[-1]
        ends[message["parent"]["msg_id"]] = message["transient"]["display_id"]
    ids = [options["transient"]["display_id"] for _, options in shown(live)]
    assert ends == dict(zip(("first", "second"), ids, strict=True))


def test_of_many_boxes_of_one_job_the_newest_are_kept_up_to_date_and_all_hear_of_its_end(live, sent):
    live(
        """
from itertools import count
import rjobs
def work():
    for number in count():
        if go.wait(0.01):
            return
        rjobs.current_job().progress(number)
job = jobs.submit(work)
display(*[job] * 10)"""
    )
    ids = [options["transient"]["display_id"] for _, options in shown(live)]
    assert {sent.next()["transient"]["display_id"] for _ in range(12)} == set(ids[-4:])
    live.go.set()
    (thread,) = thread_of_displays()
    thread.join(PATIENCE)
    messages = [sent.next() for _ in range(sent.sent.qsize())]
    ends = [m["transient"]["display_id"] for m in messages if "done" in m["data"]["text/plain"]]
    assert sorted(ends) == sorted(ids)


def test_a_group_and_a_failed_job_tell_how_they_ended(live, sent):
    live("group = jobs.map(lambda n: go.wait(20) and 1 // n, range(4), workers=4)\ngroup")
    live.go.set()
    html = sent.until("<Job 0 failed")[-1]["data"]["text/html"]
    assert "3 done, 1 failed" in html
    assert "item 0: ZeroDivisionError" in html


def test_a_display_by_a_job_is_the_jobs(live, sent):
    live("job = jobs.submit(go.wait)")
    live("%job -q display(job)")
    live["jobs"][1].get(PATIENCE)
    (output,) = live["jobs"][1].outputs
    assert "<Job 0 running" in output.data["text/plain"]
    assert shown(live) == []
    assert not thread_of_displays()


def test_what_is_captured_is_left_alone(live, sent):
    live("job = jobs.submit(go.wait)")
    live("%%capture captured\njob")
    live("%%capture captured\ndisplay(job)")
    assert "<Job 0 running" in live["captured"].outputs[0].data["text/plain"]
    assert not thread_of_displays()


def test_a_front_end_that_goes_away_is_left_alone(live, sent):
    live("job = jobs.submit(go.wait)\njob")
    (thread,) = thread_of_displays()
    sent.broken = True
    live.go.set()
    thread.join(PATIENCE)
    assert not thread_of_displays()


def test_unloading_leaves_no_trace(live, sent):
    printers = live.shell.display_formatter.ipython_display_formatter.type_printers
    assert rjobs.Job in printers
    live("job = jobs.submit(go.wait)\njob")
    (thread,) = thread_of_displays()
    live("%unload_ext rjobs")
    assert rjobs.Job not in printers
    assert not thread.is_alive()
    live("job")
    assert len(shown(live)) == 1


def test_without_a_kernel_a_job_is_shown_as_text(notebook):
    assert rjobs.Job not in notebook.shell.display_formatter.ipython_display_formatter.type_printers
    notebook("job = jobs.submit(int)\njob")
    assert not thread_of_displays()
