"""An expression given to `new` sees the values that its names had when the job was made."""

import asyncio
import gc
import sys
import traceback
import weakref

import pytest

import rjobs


class Value:
    """Something that can be watched."""


@pytest.fixture
def glob():
    """A namespace of one test alone."""
    return {"x": 1, "y": [1, 2, 3], "sleep": asyncio.sleep}


@pytest.fixture
def late(single, hold):
    """Make a job of code, change the names, and only then let the job run."""

    def run(code, glob, *more, changes):
        hold(on=single)
        job = single.new(code, glob, *more)
        (more[0] if more else glob).update(changes)
        hold.go.set()
        return job.get(10)

    return run


def test_a_loop_gives_each_job_its_own_part(manager):
    done = []
    glob = {"download": done.append}
    chunks = rjobs.get_chunks(range(1000), 300)
    for glob["chunk"] in chunks:
        manager.new("download(chunk)", glob)
    manager.wait(timeout=20)
    assert sorted(map(tuple, done)) == sorted(map(tuple, chunks))
    assert len(done) == 300


@pytest.mark.parametrize("spaces", ["one", "two"])
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("x", 1),
        ("x + len(y)", 4),
        ("[x + i for i in y]", [2, 3, 4]),
        ("{i: x for i in y}", {1: 1, 2: 1, 3: 1}),
        ("{x for i in y}", {1}),
        ("[[x + i + j for i in y] for j in y][0]", [3, 4, 5]),
        ("sum(x + i for i in y)", 9),
        ("(lambda: x)()", 1),
        ("(lambda z=x: [z + x + i for i in y])()", [3, 4, 5]),
        ("(lambda x: x)(5) + x", 6),
        ("[x for x in y] + [x]", [1, 2, 3, 1]),
        ("list(map(lambda i: i * x, y))", [1, 2, 3]),
        ("f'{x} {x!r:>3} {[x for i in y]}'", "1   1 [1, 1, 1]"),
        ("(x := x + 1) + x", 4),
        ("[z for i in y if (z := i * x)]", [1, 2, 3]),
        ("(lambda: (x := 7))() + x", 8),
        ("x if x else never", 1),
        ("y[x:]", [2, 3]),
        ("{**dict(a=x)}", {"a": 1}),
        ("(exec('made = 3'), x)[1]", 1),
        ("[eval('i') for i in y]", [1, 2, 3]),
        ("(locals() is not None) + x", 2),
        ("await sleep(0, x)", 1),
        ("[await sleep(0, x + i) for i in y]", [2, 3, 4]),
        ("x;", 1),
    ],
)
def test_names_have_the_values_they_had(late, glob, spaces, code, value):
    changes = {"x": 100, "y": [100], "sleep": None}
    spaces = (glob,) if spaces == "one" else ({}, glob)
    assert late(code, *spaces, changes=changes) == value


def test_a_name_that_is_not_bound_yet_is_looked_up_when_the_job_runs(late, glob):
    assert late("x + fresh", glob, changes={"fresh": 5, "x": 100}) == 6
    assert late("[len(y), fresher]", {}, glob, changes={"fresher": 6}) == [3, 6]


def test_a_builtin_that_gets_hidden_later_is_looked_up_when_the_job_runs(late, glob):
    assert late("len(y)", glob, changes={"len": lambda _: "mine"}) == "mine"
    glob["max"] = lambda _: "hidden before"
    assert late("max(y)", glob, changes={"max": lambda _: "later"}) == "hidden before"


def test_functions_that_are_called_see_live_globals(late, glob):
    exec("def f(): return x", glob)
    assert late("f(), x", glob, changes={"x": 100, "f": None}) == (100, 1)


def test_statements_share_the_live_namespace(late, glob):
    assert late("z = x\nz", glob, changes={"x": 100}) == 100
    assert late("x; x", glob, changes={"x": 200}) == 200


def test_a_walrus_assigns_into_the_namespace(manager, glob):
    assert manager.new("(z := x + 1) + z", glob).get(5) == 4
    assert glob["z"] == 2
    loc = {"x": 3}
    assert manager.new("[z for i in y if (z := i * x)]", glob, loc).get(5) == [3, 6, 9]
    assert (glob["z"], loc["z"]) == (2, 9)


def test_jobs_with_a_walrus_do_not_share_its_value(manager, glob):
    glob["wait"] = lambda n: manager.new("1").get(5) and n
    jobs = []
    for glob["x"] in range(50):
        jobs.append(manager.new("[z for i in y if (z := wait(i * x)) + 1]", glob))
    assert [job.get(20) for job in jobs] == [[x, 2 * x, 3 * x] for x in range(50)]


def test_exec_and_locals_are_about_the_namespace(manager, glob):
    manager.new("exec('made = x')", glob).get(5)
    assert glob["made"] == 1
    assert manager.new("(locals(), x)[0]", glob).get(5) is glob
    assert manager.new("(globals(), x)[0]", glob).get(5) is glob
    glob["i"] = "mine"
    manager.new("[locals() for i in y], x", glob).get(5)
    assert glob["i"] == "mine"


def test_in_a_function_the_line_sees_its_variables_in_every_scope(manager):
    part, parts = 2, [1, 2]
    assert part in parts
    assert manager.new("[part * i for i in parts]").get(5) == [2, 4]
    jobs = [manager.new("part + i") for i in range(3)]
    assert [job.get(5) for job in jobs] == [2, 3, 4]
    made = (manager.new("[part + i for _ in parts]") for i in (1,))
    assert [job.get(5) for job in made] == [[3, 3]]

    def inner():
        assert part
        return manager.new("(lambda: part)()")

    assert inner().get(5) == 2
    assert manager.new("eval('part') + part").get(5) == 4

    class Body:
        field = 5
        job = manager.new("[field + part for _ in parts]")

    assert Body.job.get(5) == [7, 7]


def test_at_the_top_of_a_module_a_comprehension_gives_each_job_its_own(manager):
    namespace = {"manager": manager, "n": 10}
    exec("jobs = [manager.new('n + i') for i in range(3)]", namespace)
    assert [job.get(5) for job in namespace["jobs"]] == [10, 11, 12]
    exec("jobs = [manager.new('(made := n + i)') for i in range(3)]", namespace)
    assert [job.get(5) for job in namespace["jobs"]] == [10, 11, 12]
    assert namespace["made"] in (10, 11, 12)
    assert "i" not in namespace


def test_errors_are_those_of_the_code(manager, glob):
    error = manager.new("x + never", glob).exception(5)
    assert (type(error), error.name, str(error)) == (NameError, "never", "name 'never' is not defined")
    glob["zero"] = 0
    for code in ("x / zero", "(lambda: x / zero)()", "[x / zero for _ in y]", "(z := x / zero)"):
        error = manager.new(code, glob).exception(5)
        frames = traceback.extract_tb(error.__traceback__)
        assert frames[0].name == "<module>"
        assert {frame.line for frame in frames} == {code}
        assert code[frames[-1].colno : frames[-1].end_colno] == "x / zero"
    with pytest.raises(SyntaxError):
        manager.new("(yield x)", glob)
    with pytest.raises(SyntaxError):
        manager.new("x = = y", glob)


def test_what_the_code_returns_looks_as_ever(manager, glob):
    made = manager.new("lambda: x", glob).get(5)
    glob["x"] = 2
    assert (made(), made.__name__, made.__qualname__) == (1, "<lambda>", "<lambda>")
    assert made.__globals__ is glob
    assert list(manager.new("(x + i for i in y)", glob)) == [3, 4, 5]


def test_the_code_of_the_job_is_the_code(manager, glob):
    job = manager.new("x + 1", glob)
    job.join(5)
    assert (job.expression, eval(job.code, {"x": 41})) == ("x + 1", 42)


def test_a_retry_sees_the_same_values(manager, glob):
    glob["fail"] = [True]
    job = manager.new("x if not fail.pop() else 1 / 0", glob)
    assert type(job.exception(5)) is ZeroDivisionError
    glob["fail"], glob["x"], before = [], 100, glob["fail"]
    before.append(False)
    assert job.retry().get(5) == 1
    job = manager.new("(n := n + 1) / 0", glob | {"n": 1})
    assert type(job.exception(5)) is ZeroDivisionError
    assert job.retry().exception(5) is not None


def test_each_run_begins_with_the_same_values(manager, glob):
    glob |= {"n": 1, "seen": []}
    job = manager.options(retry=1).new("seen.append((n := n + 1)) or 1 / 0", glob)
    assert type(job.exception(10)) is ZeroDivisionError
    assert (glob["seen"], glob["n"]) == ([2, 2], 2)


def test_only_what_the_line_reads_is_held_and_only_until_the_job_is_done(single, hold):
    read, other = Value(), Value()
    watch, watch_other = weakref.ref(read), weakref.ref(other)
    glob = {"read": read, "other": other}
    del read, other
    hold(on=single)
    job = single.new("[read for read in [1]], read and None", glob)
    glob.clear()
    gc.collect()
    assert watch_other() is None
    assert watch() is not None
    hold.go.set()
    assert job.get(5) == ([1], None)
    single.wait(timeout=5)
    gc.collect()
    assert watch() is None


def test_a_job_made_in_a_function_holds_nothing_but_what_it_can_reach(single, hold):
    def make():
        part, big = 1, Value()
        assert part
        return single.new("part + 1"), weakref.ref(big)

    hold(on=single)
    job, watch = make()
    gc.collect()
    assert watch() is None
    hold.go.set()
    assert job.get(5) == 2


def test_a_frame_that_is_looked_at_does_not_change_the_namespace(manager, glob):
    glob["i"] = "mine"
    glob["look"] = lambda: dict(sys._getframe(1).f_locals) and None
    for code in ("[look() for i in y] and x", "exec('') or [look() for i in y] and x"):
        manager.new(code, glob).get(5)
        assert glob["i"] == "mine"
        assert not any(name.startswith("<") for name in glob)


def test_names_that_pandas_looks_for_in_the_frame_have_their_values_too(late, glob):
    def query(text):
        frame = sys._getframe(1)
        return (frame.f_locals | {})[text.partition("@")[2]]

    glob["query"] = query
    assert late("query('a > @x')", glob, changes={"x": 100}) == 1


@pytest.mark.parametrize("code", ["+".join(["x"] * 700), "-" * 700 + "x", "[" * 80 + "x" + "]" * 80])
def test_code_may_be_deep(manager, glob, code):
    assert manager.new(code, glob).get(10) == eval(code, glob)

    def in_function(x):
        return manager.new(code, *[glob] * (x - 1))

    assert in_function(1).get(10) == in_function(2).get(10)
