"""`%job` in a real kernel: the namespace, magics, commands, await, errors."""

from __future__ import annotations


def value(kernel, cell):
    """The value of the job that a cell makes, as text."""
    # A job that has not ended is a display that is updated, and no `execute_result`.
    return kernel(cell).shown and kernel("_.get(20)").result


def test_the_job_is_the_value_of_the_cell(kernel):
    cell = kernel("%job go.wait(20) and 6 * 7")
    assert cell.shown == ["display_data"]
    data = cell.of("display_data")[0]["data"]
    assert data["text/plain"].startswith("<Job ")
    assert "6 * 7" in data["text/html"]
    assert kernel("go.set(); _.get(20)").result == "42"
    (result,) = kernel("__").of("execute_result")
    assert result["data"]["text/plain"].startswith("<Job ")


def test_assignments_land_in_the_notebook(kernel):
    cell = "%%job\nimport math\ndef area(r):\n    return math.pi * r ** 2\nx = area(1)\nround(x, 3)"
    assert value(kernel, cell) == "3.142"
    assert kernel("round(area(2), 3), x == math.pi").result == "(12.566, True)"


def test_a_loop_of_lines_gives_each_job_its_own_part(kernel):
    kernel("""import rjobs
done, chunks = [], rjobs.get_chunks(range(1000), 300)
def download(chunk): done.append(tuple(chunk))
for chunk in chunks:
    %job -q download(chunk)
""")
    kernel("jobs.wait(timeout=40)")
    assert kernel("len(done), sorted(done) == sorted(map(tuple, chunks))").result == "(300, True)"


def test_magics_and_commands(kernel):
    assert value(kernel, "%job files = !echo one; echo two") is None
    assert kernel("list(files)").result == "['one', 'two']"
    kernel("job = %job !echo hello && echo there >&2")
    assert kernel("job.join(20); job.output").result == r"'hello\nthere\n'"
    assert value(kernel, "%job %pwd") == kernel("%pwd").result
    kernel("job = %%job\n1", ok=False)
    kernel("%%job -qn bash\n%%bash\necho from bash; echo and its errors >&2")
    assert kernel("job = jobs.all[max(jobs.all)]; job.get(20); job.output").result == r"'from bash\nand its errors\n'"


def test_top_level_await(kernel):
    assert value(kernel, "%job import asyncio; await asyncio.sleep(0.01, 'slept')") == "'slept'"
    assert value(kernel, "%%job\nasync def f():\n    return 'awaited'\nx = await f()\nx") == "'awaited'"
    assert kernel("x").result == "'awaited'"


def test_code_is_never_mangled(kernel):
    kernel("x = 7; name = 'n'")
    assert value(kernel, """%job f"{x} $x {name!r} -q --name" + '"'""") == """'7 $x \\'n\\' -q --name"'"""


def test_a_syntax_error_is_the_cells_own_error(kernel):
    cell = kernel("%job x = = 1", ok=False)
    assert (cell.error, cell.reply["status"]) == ("SyntaxError", "error")
    assert kernel("len(jobs)").result == "0"


def test_a_usage_error_is_one_line(kernel):
    cell = kernel("%job -z 1", ok=False)
    assert cell.text.startswith("UsageError: %job has no option -z.")
    assert cell.reply["status"] == "error"


def test_the_traceback_of_a_failed_job_shows_the_users_lines(kernel, strip_colours):
    kernel("%%job -q\nzero = 0\n\n1 / zero")
    cell = kernel("jobs.wait(); jobs[max(jobs.all)].traceback()")
    text = strip_colours(cell.text)
    assert "----> 4 1 / zero" in text
    assert "rjobs" not in text
    cell = kernel("jobs[max(jobs.all)].get()", ok=False)
    assert cell.error == "ZeroDivisionError"
    assert "----> 4 1 / zero" in strip_colours("\n".join(cell.reply["traceback"]))


def test_quiet_shows_nothing(kernel):
    assert kernel("%job -q 1").shown == []
    assert kernel("%%job\n1;").shown == []


def test_follow_streams_under_the_cell(kernel):
    cell = kernel("%%job -qf\nfor i in range(3):\n    print('line', i)")
    assert cell.text == "line 0\nline 1\nline 2\n"
    assert set(cell.shown) == {"stream"}


def test_the_table(kernel):
    kernel("job = %job -n '<b>&' go.wait(20)")
    for code in ("%jobs", "jobs.status()"):
        (content,) = kernel(code).of("display_data")
        assert "running" in content["data"]["text/plain"]
        assert "&lt;b&gt;&amp;" in content["data"]["text/html"]
    assert "<table>" in kernel("jobs").of("execute_result")[0]["data"]["text/html"]


def test_completion(kernel):
    kernel("job = %job -q 1")
    kernel.client.complete("%jobs ki", 8)
    while (reply := kernel.client.get_shell_msg(timeout=40))["msg_type"] != "complete_reply":
        pass
    assert "kill" in reply["content"]["matches"]
