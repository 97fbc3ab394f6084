"""A line of `%job` sees the values that its names had when it was run, and what is around it in a function."""

from __future__ import annotations

import threading

import pytest


@pytest.fixture
def held(notebook):
    """Run a cell whose jobs begin when another cell has changed what they read."""

    def run(cell, then):
        notebook("%config RJobs.max_workers = 1")
        jobs, go = notebook["jobs"], threading.Event()
        holder = jobs.submit(go.wait, 20)
        while not holder.running():
            pass
        first = len(jobs)
        try:
            notebook(cell)
            notebook(then)
        finally:
            go.set()
        return [jobs[number].get(20) for number in range(first, len(jobs))]

    return run


def test_the_loop_over_chunks_loses_nothing(notebook):
    notebook("""import rjobs
done = []
def download(chunk): done.append(tuple(chunk))
for chunk in rjobs.get_chunks(range(1000), 300):
    %job download(chunk)
""")
    notebook("jobs.wait(timeout=30)")
    assert notebook("sorted(done) == sorted(map(tuple, rjobs.get_chunks(range(1000), 300)))")
    assert notebook("len(jobs.completed)") == 300


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("x", [0, 1, 2]),
        ("[x + n for n in (1, 2)]", [[1, 2], [2, 3], [3, 4]]),
        ("(lambda: f'{x}')()", ["0", "1", "2"]),
        ("print(x); x", [0, 1, 2]),
        ("import math; math.floor(x)", [0, 1, 2]),
        ("got = x; got + x", [0, 2, 4]),
        ("first, *rest = x, x; first + rest[0]", [0, 2, 4]),
        ("number: int = x; number", [0, 1, 2]),
        ("[y for n in (1, 2) if (y := x + n)]", [[1, 2], [2, 3], [3, 4]]),
        ("box[x] = x; box[x]", [0, 1, 2]),
        ("assert x < 3; x", [0, 1, 2]),
        ("await sleep(0, x)", [0, 1, 2]),
        ("value = await sleep(0, x); twice(value)", [0, 2, 4]),
        ("sleep(0, x)", [0, 1, 2]),
        ("exec('made = 1'); x", [0, 1, 2]),
    ],
)
def test_each_job_of_a_loop_has_its_own_value(notebook, held, line, values):
    notebook("from asyncio import sleep\nbox = {}\nasync def twice(n): return 2 * n")
    assert held(f"for x in range(3):\n    %job {line}", "x = 100") == values
    assert notebook["x"] == 100


def test_assignments_go_into_the_notebook(notebook, held):
    assert held("x = 1\n%job x = x + 1", "x = 100") == [None]
    assert notebook["x"] == 2
    notebook("%job a, *b = [1, 2, 3]; c: int = 4; (d := 5)").get(20)
    assert [notebook[name] for name in "abcd"] == [1, [2, 3], 4, 5]
    assert notebook("%job -o total x + 1").get(20) == notebook["total"] == 3


def test_an_update_adds_to_what_there_is(notebook, held):
    held("total = 0\nfor x in range(10):\n    %job total += x", "total = 1000")
    assert notebook["total"] == 1045
    notebook("names = []")
    held("for x in range(3):\n    %job names += [x]", "x = 9")
    assert notebook["names"] == [0, 1, 2]
    with pytest.raises(NameError, match="nonesuch"):
        notebook("%job nonesuch += 1").get(20)


def test_cells_and_compound_statements_share_the_live_namespace(held):
    assert held("x = 1\n_ = get_ipython().run_cell_magic('job', '', 'x')", "x = 100") == [100]
    assert held("x = y = 1\n%job while x == 1: y = 'never'", "x = 100") == [None]


def test_names_that_are_not_there_yet_are_looked_up_later(held):
    assert held("%job fresh + 1", "fresh = 1") == [2]
    assert held("%job fresher = fresher + 1; fresher", "fresher = 1") == [2]


def test_in_a_function_a_line_sees_its_variables(notebook):
    notebook("""from asyncio import sleep
part = 'of the notebook'
def start(part, scale=10):
    %job -q [part * scale for _ in range(2)]
    %job -q (lambda: part)()
    %job -q got = part; got
    %job -q await sleep(0, part)
    %job -q for each in [part]: last = each
    %job -q [n for n in (part, part) if (m := n)]
    %job -q eval('part')
    get_ipython().run_line_magic('job', '-q part + 1')
    inner = lambda: part + get_ipython().run_line_magic('job', '-q part + 2').get(20)
    found = [get_ipython().run_line_magic('job', '-q part + i') for i in range(2)]
    class Body:
        field = 7
        get_ipython().run_line_magic('job', '-q part + field')
    part = None
    return found
found = start(2)
""")
    jobs = notebook["jobs"]
    assert [job.get(20) for job in jobs] == [[20, 20], 2, 2, 2, None, [2, 2], 2, 3, 2, 3, 9]
    assert [notebook[name] for name in ("got", "last", "m", "part")] == [2, 2, 2, "of the notebook"]
    with pytest.raises(NameError):
        notebook("%job scale").get(20)


def test_a_command_in_a_function_has_the_functions_values(notebook):
    notebook(
        "part = 'wrong'\nend = '!'\n"
        "def start(part):\n    return get_ipython().run_line_magic('job', '!echo $part {part}{end}')"
    )
    assert notebook("start('right')").get(20).stdout == "right right!\n"
    assert notebook("%job !echo $part").get(20).stdout == "wrong\n"


def test_the_output_of_commands_in_a_loop(notebook, held):
    notebook("box = {}")
    held("for x in range(3):\n    %job box[x] = !echo $x {x + 1}", "x = 100")
    assert {key: list(value) for key, value in notebook["box"].items()} == {n: [f"{n} {n + 1}"] for n in range(3)}


def test_a_star_import_on_the_line_is_seen(notebook):
    notebook("floor = None")
    assert notebook("%job from math import *; floor(2.5)").get(20) == 2


def test_magics_see_the_variables_of_a_function(notebook):
    notebook("def f(n): return n\ndef start(part):\n    %job -q x = %time f(part)")
    notebook("start(3)")
    notebook["jobs"][0].get(20)
    assert notebook["x"] == 3


def test_a_magic_that_is_called_by_another_name_sees_no_variables_of_ipython(notebook):
    notebook("line = 'mine'")
    notebook("%alias_magic j job")
    assert notebook("%j line").get(20) == "mine"
    assert notebook("get_ipython().magic('job line')").get(20) == "mine" if hasattr(notebook.shell, "magic") else True


def test_a_line_in_a_module_sees_the_module(notebook):
    space = {"__name__": "elsewhere", "shell": notebook.shell, "x": 1}
    notebook("x, y = 2, 3")
    exec(
        "job = shell.run_line_magic('job', '-q (x, y)')\ndef start(): return shell.run_line_magic('job', '-q only()')",
        space,
    )
    space["only"] = lambda: "the module's"
    assert space["job"].get(20) == (1, 3)
    assert space["start"]().get(20) == "the module's"


def test_tracebacks_of_lines_point_to_the_line(notebook):
    notebook("from asyncio import sleep\nzero = 0\nitems = [1]")
    for line in ("1 / zero", "[1 / zero for _ in items]", "x = 1 / zero", "await sleep(1 / zero)"):
        with pytest.raises(ZeroDivisionError) as caught:
            notebook(f"%job {line}").get(20)
        frames = [entry for entry in caught.traceback if "ipython" in str(entry.path) or "ipykernel" in str(entry.path)]
        assert frames[-1].lineno + 1 == 1
        assert frames[0].name == "<module>" or "module" in frames[0].name


def test_the_traceback_that_ipython_prints_shows_the_line(notebook, capsys):
    notebook("zero = 0\nitems = [1]")
    for mode in ("Context", "Verbose"):
        notebook(f"%xmode {mode}")
        job = notebook("%job 'before', [1 / zero for i in items]")
        job.join(20)
        capsys.readouterr()
        job.traceback()
        text = capsys.readouterr().out
        assert "----> 1 'before', [1 / zero for i in items]" in text
        assert "_binding" not in text
        assert "<own>" not in text
    notebook("%xmode Context")
