"""The panel in a real kernel, as its page speaks with it: the messages, and while a cell runs."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed")

PATIENCE = 40

# One that tells nobody when jobs end: a cell shows what is its own.
MANAGER = "import rjobs; jobs = rjobs.JobManager(); jobs.notify = False"


class Page:
    """The page's side of one panel."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.at = len(kernel.published)
        cell = kernel("p = jobs.panel()\np")
        opened = next(content for content in cell.of("comm_open") if "key" in content["data"]["state"])
        self.comm, self.state = opened["comm_id"], opened["data"]["state"]
        self.shown = [content["data"] for content in cell.of("display_data")]

    def ask(self, kind: str, **more: Any) -> dict[str, Any]:
        """Send a request on the control channel; the answer."""
        request = {
            "id": uuid.uuid4().hex,
            "key": self.state["key"],
            "page": "page",
            "control": True,
            "kind": kind,
            **more,
        }
        return self.debug("rjobs", request)

    def debug(self, command: str, arguments: Any) -> dict[str, Any]:
        client = self.kernel.client
        message = client.session.msg(
            "debug_request", {"type": "request", "seq": 7, "command": command, "arguments": arguments}
        )
        client.control_channel.send(message)
        while True:
            reply = client.get_control_msg(timeout=PATIENCE)
            if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
                return reply["content"]

    def hear(self, until: Any) -> dict[str, Any]:
        """Read what the kernel sends to the page, until a message is the one."""
        return self.read(
            lambda message: (
                message["msg_type"] == "comm_msg"
                and message["content"]["comm_id"] == self.comm
                and until(message["content"]["data"]["content"])
            )
        )["data"]["content"]

    def read(self, until: Any) -> dict[str, Any]:
        """Read what the kernel publishes, and has published while cells ran, until a message is the one."""
        published, end = self.kernel.published, time.monotonic() + PATIENCE
        while True:
            while self.at < len(published):
                self.at += 1
                if until(published[self.at - 1]):
                    return published[self.at - 1]["content"]
            published.append(self.kernel.client.get_iopub_msg(timeout=max(end - time.monotonic(), 0)))


def row(num: int, **wanted: Any) -> Any:
    """Whether a message has a row like that."""
    return lambda content: any(row["num"] == num and wanted.items() <= row.items() for row in content.get("rows", []))


@pytest.fixture
def page(kernel):
    kernel(MANAGER)
    page = Page(kernel)
    yield page
    kernel("p.close()")


def test_it_shows_itself_and_the_table_for_where_there_are_no_widgets(kernel):
    kernel(MANAGER)
    kernel("j = jobs.options(name='<b>work</b>').new(int); j.join()")
    page = Page(kernel)
    # Before them there may be news of the job.
    *_, widget, table = page.shown
    assert widget["application/vnd.jupyter.widget-view+json"]["model_id"] == page.comm
    assert widget["text/plain"] == "<JobsPanel of 1 job>"
    assert "&lt;b&gt;work&lt;/b&gt;" in table["text/html"]
    assert "work" in table["text/plain"]
    assert [row["name"] for row in page.state["state"]["rows"]] == ["<b>work</b>"]
    kernel("p.close()")


def test_a_running_cell_holds_up_neither_the_rows_nor_a_kill(kernel, page):
    assert page.ask("hello")["success"]
    page.hear(lambda content: content["kind"] == "whole")
    cell = kernel.start("job = jobs.new(threading.Event().wait)\nwhile job.state != 'killed' or not go.is_set(): pass")
    page.hear(row(0, state="running"))
    assert page.ask("kill", num=0)["success"]
    page.hear(row(0, state="killed"))
    # The cell still runs: what it waits for comes from another job.
    page.ask("retry", num=0)
    page.hear(lambda content: content.get("text") == "Job 0 runs again, as job 1.")
    kernel.client.session.send(kernel.client.control_channel.socket, "interrupt_request", {})
    assert kernel.wait(cell).error == "KeyboardInterrupt"
    kernel("jobs.kill_all()")


def test_the_last_state_is_told_and_the_table_brought_up_to_date(kernel, page):
    page.ask("hello")
    kernel("job = jobs.options(name='work').new(go.wait)")
    page.hear(row(0, state="running"))
    kernel("go.set(); job.join()")
    page.hear(row(0, state="done"))
    table = page.read(lambda message: message["msg_type"] == "update_display_data")
    assert "1 done" in table["data"]["text/plain"]


def test_nothing_is_sent_while_nothing_changes(kernel, page):
    page.ask("hello")
    kernel("job = jobs.new(go.wait)")
    page.hear(row(0, state="running"))
    kernel.no_more_messages()


def test_a_message_of_the_widget_does_the_same_when_no_cell_runs(kernel, page):
    kernel("job = jobs.new(go.wait)")
    request = {"id": "x", "key": page.state["key"], "page": "page", "control": False, "kind": "kill", "num": 0}
    data = {"method": "custom", "content": request}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", {"comm_id": page.comm, "data": data}))
    page.hear(lambda content: content["kind"] == "answered" and content["ids"] == ["x"])
    assert kernel("job.join(); job.state").result == "'killed'"


def test_the_debugger_is_asked_as_before(kernel, page):
    answer = page.debug("debugInfo", {})
    assert answer["command"] == "debugInfo"
    assert "isStarted" in answer["body"]


def test_a_closed_panel_leaves_nothing_behind(kernel):
    kernel(MANAGER)
    kernel("before = get_ipython().kernel.control_handlers['debug_request']")
    page = Page(kernel)
    page.ask("hello")
    page.hear(lambda content: content["kind"] == "answered")
    kernel("p.close(); p.close()")
    assert kernel("get_ipython().kernel.control_handlers['debug_request'] == before").result == "True"
    assert kernel("[t.join() for t in threading.enumerate() if 'panel' in t.name] and None").error is None
    assert page.ask("kill", num=0).get("command") != "rjobs"
    assert kernel("p").of("display_data")[0].keys() >= {"data"}
    assert kernel("p.close()\nrepr(p)").result == "'<JobsPanel of 0 jobs, closed>'"


def test_without_anywidget_the_table_says_what_to_install(kernel):
    hidden = "import importlib.util as u, rjobs._panel as d; find = d.find_spec; d.find_spec = lambda name: None"
    kernel(f"{MANAGER}; {hidden}")
    try:
        (shown,) = kernel("assert jobs.panel() is None").of("display_data")
    finally:
        kernel("d.find_spec = find")
    assert 'pip install "rjobs[panel]"' in shown["data"]["text/html"]
    assert "No jobs." in shown["data"]["text/plain"]


def test_wrong_rows_are_refused(kernel):
    assert kernel("jobs.panel(rows=0)", ok=False).error == "ValueError"
    assert kernel("jobs.panel('many')", ok=False).error == "TypeError"
