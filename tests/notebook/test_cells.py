"""The code of `%job`: run as a cell is run, and never mangled."""

from __future__ import annotations

import threading

import pytest


def result(notebook, cell):
    return notebook(cell).get(timeout=20)


def test_the_magic_gives_the_job_at_once(notebook):
    notebook.shell.user_ns["go"] = go = threading.Event()
    job = notebook("%job go.wait(20)")
    assert job.state in ("queued", "running")
    go.set()
    assert job.get(timeout=20) is True


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", 2),
        ("-1 + 2", 1),
        ("- 1", -1),
        ("-(3)", -3),
        ("-abs(-4)", -4),
        ("-x.real", -7),
        ("-- -x", -7),
        ("--x.real", 7),
        ("""f"{x} $x {'a b'!r}" """, "7 $x 'a b'"),
        ("""'--name "$x" {x} \\n'""", '--name "$x" {x} \n'),
        ("'a -q b -f'", "a -q b -f"),
        ("{'x': x}['x']", 7),
        ("x  # -q", 7),
        ("[x for x in (1, 2)][-1]", 2),
        ("y = 3; y", 3),
        ("import math", None),
        ("x == 7", True),
        ("lambda: 0 and -x", None),
        ("(1,\t2)", (1, 2)),
    ],
)
def test_a_line_is_taken_as_it_is_written(notebook, code, value):
    notebook("x = 7")
    found = result(notebook, f"%job {code}")
    assert callable(found) if code.startswith("lambda") else found == value


def test_the_source_is_kept_as_it_was_written(notebook):
    assert notebook("%job -n name   1 +  1").strform == "1 +  1"
    assert notebook("%%job\nx = 1\nx").strform == "x = 1\nx\n"


def test_a_cell_assigns_prints_and_gives_its_last_value(notebook, capsys):
    job = notebook("%%job -n hello\nimport math\nfor i in range(3):\n    print('line', i)\nx = i\nx * 2")
    assert job.get(timeout=20) == 4
    assert (notebook["x"], job.name, job.output) == (2, "hello", "line 0\nline 1\nline 2\n")
    assert "math" in notebook
    assert "line" not in capsys.readouterr().out


def test_names_defined_in_jobs_can_be_used_in_cells_and_back(notebook):
    result(notebook, "%%job\ndef double(n):\n    return n * factor")
    notebook("factor = 3")
    assert notebook("double(5)") == 15
    assert result(notebook, "%job double(7)") == 21


def test_magics_and_commands(notebook):
    assert result(notebook, "%job x = !printf 'a\\nb'") is None
    assert list(notebook["x"]) == ["a", "b"]
    notebook("word = 'there'")
    job = notebook("%job !echo hello $word {word}")
    assert job.get(timeout=20).returncode == 0
    assert job.output == "hello there there\n"
    job = notebook("%%job\n%env rjobs_test=1\n!echo from $$rjobs_test; exit 3")
    job.get(timeout=20)
    assert job.output.splitlines()[-1] == "from 1"
    assert notebook["_exit_code"] == 3


def test_a_cell_magic_in_a_job(notebook, capfd):
    for expected in ("out\nerr\n", "out\nerr\n"):  # the second one finds IPython's loop thread running
        job = notebook("%%job\n%%bash\necho out\nsleep 0.05\necho err >&2")
        job.get(timeout=20)
        assert job.output == expected
    assert capfd.readouterr().out.count("out") == 0
    # That thread must not work for the job that started it.
    notebook("%%bash\necho mine")
    assert "mine" in capfd.readouterr().out
    assert "mine" not in job.output


def test_top_level_await(notebook):
    assert result(notebook, "%job import asyncio; await asyncio.sleep(0, 'slept')") == "slept"
    cell = """%%job
import asyncio
async def twice(n):
    await asyncio.sleep(0)
    return 2 * n
values = []
for n in range(3):
    values.append(await twice(n))
async with asyncio.timeout(10):
    values.append(await twice(10))
values"""
    assert result(notebook, cell) == [0, 2, 4, 20]
    assert result(notebook, "%job twice(4)") == 8
    assert result(notebook, "%%job\nawait twice(1)\ntwice(5)") == 10


def test_without_autoawait_it_is_a_syntax_error(notebook):
    notebook("%autoawait off")
    with pytest.raises(SyntaxError):
        notebook("%job await x")
    assert len(notebook["jobs"]) == 0


@pytest.mark.parametrize("cell", ["%job x = = 1", "%%job\ny = 1\nx = = 1", "%job return 1", "%job ("])
def test_a_syntax_error_is_raised_at_once(notebook, cell, capsys):
    with pytest.raises(SyntaxError):
        notebook(cell)
    assert len(notebook["jobs"]) == 0
    assert "Error: " in capsys.readouterr().out  # 3.13 has a subclass for what is not complete
    assert "y" not in notebook


def test_tracebacks_point_into_the_users_cell(notebook):
    notebook("1")
    job = notebook("%%job -n boom\nzero = 0\ndef divide():\n    return 1 / zero\ndivide()")
    with pytest.raises(ZeroDivisionError) as caught:
        job.get(timeout=20)
    frames = [(entry.name, entry.lineno + 1) for entry in caught.traceback][-2:]
    assert frames == [("<module>", 5), ("divide", 4)]
    assert "return 1 / zero" in str(caught.traceback[-1].statement)


def test_blank_lines_before_the_code_count(notebook):
    job = notebook("%%job\n\n  \nx = 1\n1 / 0")
    with pytest.raises(ZeroDivisionError) as caught:
        job.get(timeout=20)
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_job_may_start_a_job(notebook):
    outer = notebook("%%job\ninner = %job -q await f()\ninner")
    notebook.shell.user_ns["f"] = None
    assert notebook("%%job\nasync def f(): return 'inner'\ninner = %job -q await f()\ninner").get(20).get(20) == "inner"
    outer.join(20)


def test_syntax_errors_point_into_the_users_cell(notebook):
    with pytest.raises(SyntaxError) as caught:
        notebook("%%job\na = 1\nb = = 2")
    assert caught.value.lineno == 3


def test_ast_transformers_apply(notebook):
    import ast

    class Hundred(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.copy_location(ast.Constant(100), node) if node.value == 1 else node

    notebook.shell.ast_transformers.append(Hundred())
    try:
        assert result(notebook, "%job 1 + 2") == 102
    finally:
        notebook.shell.ast_transformers.clear()


def test_a_job_does_not_touch_what_belongs_to_cells(notebook):
    before = notebook.shell.execution_count
    job = notebook("%%job\n'the value of the job'")
    job.get(timeout=20)
    assert notebook.shell.execution_count == before + 1
    assert notebook("_") is job
    assert "the value of the job" not in map(str, notebook["Out"].values())


def test_what_runs_cells_says_that_it_cannot_in_a_job(notebook):
    job = notebook("%%job\n%%capture x\n1")
    with pytest.raises(RuntimeError, match=r"job\.output"):
        job.get(timeout=20)
    assert notebook("2") == 2


def test_future_statements_are_shared_with_the_notebook_as_between_cells(notebook):
    result(notebook, "%job from __future__ import annotations")
    notebook("def f(x: undefined): ...")
    assert notebook["f"].__annotations__ == {"x": "undefined"}
