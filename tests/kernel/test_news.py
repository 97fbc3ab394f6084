"""News of jobs in a real kernel: at the start of the next cell, or at once under the cell that started the job."""

from __future__ import annotations

import pytest

KERNELS = ("installed", "oldest")


@pytest.fixture
def telling(kernel):
    """A kernel that tells the user, as it does unless told otherwise."""
    kernel("jobs.notify = 'prompt'")
    yield kernel
    kernel("jobs.notify = False; go.set(); jobs.wait(timeout=20)")


def lines(cell):
    return [content["data"]["text/plain"] for content in cell.of("display_data")]


def test_news_are_the_first_line_of_the_next_cell(telling):
    number = int(telling("%job -qn '<b>' go.wait(20)\nbad = jobs.new('1 / 0')\nbad.join(20)\nbad.num").result)
    cell = telling("go.set(); jobs.wait(timeout=20); print('mine')")
    # What had ended before this cell, and nothing more.
    assert cell.shown == ["display_data", "stream"]
    assert lines(cell) == [
        f"rjobs: job {number} failed: ZeroDivisionError: division by zero -- more: jobs[{number}].traceback()"
    ]
    cell = telling("print('mine')")
    assert cell.shown == ["display_data", "stream"]
    assert lines(cell)[0].startswith(f"rjobs: job {number - 1} (<b>) done in ")
    assert "&lt;b&gt;" in cell.of("display_data")[0]["data"]["text/html"]
    assert telling("print('mine')").shown == ["stream"]


def test_live_news_come_at_once_under_the_cell_that_started_the_job(telling):
    telling("jobs.notify = 'live'")
    telling.published.clear()
    first, second = (telling.start(f"{name} = jobs.new(go.wait, 20)") for name in ("one", "two"))
    telling.wait(first), telling.wait(second)
    last = telling.start("go.set(); jobs.wait(timeout=20)")
    telling.wait(last)
    told = [m for m in telling.published if m["msg_type"] == "display_data"]
    while len(told) < 2:
        telling.published.append(telling.client.get_iopub_msg(timeout=40))
        told = [m for m in telling.published if m["msg_type"] == "display_data"]
    assert {m["parent_header"]["msg_id"] for m in told} == {first, second}
    assert all("done" in m["content"]["data"]["text/plain"] for m in told)
    telling("jobs.notify = 'prompt'")
    assert telling("1").shown == ["execute_result"]


def run_cell(kernel, code, cell_id):
    """Run a cell that has an identity, as those of JupyterLab have."""
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    message = kernel.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
    kernel.client.shell_channel.send(message)
    return kernel.wait(message["header"]["msg_id"])


@pytest.mark.parametrize("notify", ["prompt", "live"])
def test_what_the_jobs_own_box_says_is_no_news(telling, notify):
    telling(f"jobs.notify = {notify!r}")
    telling.published.clear()
    run_cell(telling, "%job go.wait(20) and 1 / 0", "boxed")
    assert run_cell(telling, "job = jobs[max(jobs.all)]\ngo.set()\njob.join(20)", "other").shown == []
    assert lines(run_cell(telling, "import time; time.sleep(0.5)", "third")) == []
    told = [m["content"]["data"]["text/plain"] for m in telling.published if m["msg_type"] == "display_data"]
    assert not [text for text in told if text.startswith("rjobs:")]


def test_it_is_news_when_the_box_is_gone(telling):
    run_cell(telling, "%job go.wait(20)", "boxed")
    telling("job = jobs[max(jobs.all)]\ngo.set()\nwhile not job.done(): pass\nnumber = job.num")
    number = telling("number").result  # the box has the news
    run_cell(telling, "go.clear()\n%job go.wait(20)", "boxed")
    # The cell runs once more, and what it had shown is cleared.
    run_cell(telling, "1", "boxed")
    telling("job = jobs[max(jobs.all)]\ngo.set()\nwhile not job.done(): pass")
    assert lines(telling("1"))[0].startswith(f"rjobs: job {int(number) + 1} done in ")


def test_a_job_that_a_click_has_ended_is_no_news(telling):
    telling(
        "from rjobs.notebook.panel.requests import perform\n"
        "both = [jobs.new(go.wait, 20) for _ in range(2)]\n"
        "perform(jobs, {'kind': 'kill', 'num': both[0].num}, print)\n"
        "import time\nwhile not both[0].done(): time.sleep(0.01)"
    )
    assert telling("perform(jobs, {'kind': 'kill_all'}, print)\nwhile not both[1].done(): time.sleep(0.01)").shown == []
    assert telling("print('mine')").shown == ["stream"]
