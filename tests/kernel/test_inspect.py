"""Looking into jobs in a real kernel: where one is, where it failed, and what the Tab key offers."""

from __future__ import annotations

import os

import pytest

KERNELS = ("installed", "oldest")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes with names")
def test_where_a_job_is_is_told_by_the_lines_of_cells(kernel, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    kernel(f"%%job -qn deep\ndef deep():\n    open('{pipe}').read()\n    go.wait(20)\ndeep()")
    with pipe.open("w"):
        pass
    kernel("import time; job = jobs[max(jobs.all)]\nwhile 'go.wait' not in job.stack(): time.sleep(0.01)")
    text = kernel("%jobs stack deep").text
    assert text.startswith(f"Job {kernel('job.num').result} (deep) is running:\n  Cell In[")
    assert ", line 5, in <module>\n    deep()\n" in text
    assert ", line 4, in deep\n    go.wait(20)\n" in text
    assert "rjobs" not in text
    assert kernel("%jobs stack").text == text
    kernel("go.set(); job.get(20)")
    assert kernel("%jobs stack deep").text.endswith("(deep) is done.\n")


def test_where_an_awaiting_cell_is(kernel):
    kernel("%%job -q\nimport asyncio\nasync def inner():\n    await asyncio.sleep(100)\nawait inner()")
    kernel("import time; job = jobs[max(jobs.all)]\nwhile 'asyncio.sleep' not in job.stack(): time.sleep(0.01)")
    text = kernel("print(job.stack())").text
    assert ", line 5, in <module>\n    await inner()\n" in text
    assert ", line 4, in inner\n    await asyncio.sleep(100)\n" in text
    assert "run_until_complete" not in text


def test_the_debugger_looks_at_a_failed_job(kernel, strip_colours):
    kernel("%%job -q\ndef f(zero):\n    return 1 / zero\nf(0)")
    kernel("job = jobs[max(jobs.all)]; job.join(20)")
    cell_id = kernel.client.execute("job.debug()", allow_stdin=True, stop_on_error=False)
    for command in ("p zero + 41", "up", "q"):
        assert kernel.client.get_stdin_msg(timeout=40)["content"]["prompt"] == "ipdb> "
        kernel.client.input(command)
    cell = kernel.wait(cell_id)
    assert cell.error is None
    assert "41\n" in cell.text
    assert "1 / zero" in strip_colours(cell.text)
    # The values that the debugger shows are not the cell's, and the shell goes on as before.
    assert kernel("6 * 7").result == "42"


def test_the_debugger_says_what_it_cannot_look_at(kernel):
    kernel("job = jobs.new(go.wait, 20)")
    cell = kernel("job.debug()", ok=False)
    assert cell.error == "RuntimeError"
    assert "has not ended" in "".join(cell.reply["traceback"])


def test_the_traceback_has_the_users_colours(kernel):
    kernel("job = jobs.new('1 / 0'); job.join(20)")
    assert "\x1b[" in kernel("job.traceback()").text
    # IPython 9 has lower case names and refuses others.
    kernel(
        "import IPython; before, off = get_ipython().colors, 'nocolor' if IPython.version_info >= (9,) else 'NoColor'"
    )
    kernel("%colors $off")
    plain = kernel("job.traceback()").text
    kernel("%colors $before")
    assert "\x1b[" not in plain
    assert "ZeroDivisionError: division by zero" in plain


def matches(kernel, code):
    kernel.client.complete(code, len(code))
    while (reply := kernel.client.get_shell_msg(timeout=40))["msg_type"] != "complete_reply":
        pass
    return reply["content"]["matches"]


def test_completion_by_the_kernel(kernel):
    number = int(kernel("job = jobs.new(go.wait, 20, name='worker')\njob.num").result)
    kernel("jobs.limit('site', 3)")
    assert set(matches(kernel, "%jobs ")) >= {"fg", "flush", "kill", "stack", "status", "tail"}
    assert "worker" in matches(kernel, "%jobs kill w")
    assert str(number) in matches(kernel, "%jobs fg ")
    assert any(match.endswith("--name") for match in matches(kernel, "%job --na"))
    assert "site" in matches(kernel, "%job --limit ")
    assert any(str(number) in match for match in matches(kernel, "jobs["))
    assert any("notify" in match for match in matches(kernel, "jobs.not"))
    assert any(match.endswith("jobs") for match in matches(kernel, "%jo"))


@pytest.mark.parametrize(
    ("what", "text"), [("jobs", "Runs Python callables"), ("job", "One piece of work"), ("%jobs", "%jobs fg")]
)
def test_the_question_mark(kernel, what, text):
    kernel("job = jobs.new(int)")
    reply = kernel(f"{what}?").reply
    assert text in reply["payload"][0]["data"]["text/plain"]
