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
