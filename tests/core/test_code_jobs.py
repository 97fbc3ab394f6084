"""Jobs of code: statements, the last expression, namespaces, `await`, and tracebacks that show the code."""

import linecache
import math
import threading
import traceback
from collections import ChainMap

import pytest


@pytest.fixture
def glob():
    """A namespace of one test alone."""
    return {}


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("2 + 3", 5),
        ("x = 2\nx * 3", 6),
        ("x = 2; x", 2),
        ("x = 2", None),
        ("for i in range(3): pass", None),
        ("for i in range(3): pass\ni", 2),
        ("print('hi')", None),
        ("import math\nmath.pi", math.pi),
        ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)\nf(5)", 120),
        ("class C:\n    y = 4\nC.y", 4),
        ("[a * b for a in (1, 2) for b in (3, a)]", [3, 1, 6, 4]),
        ("(y := 3) + y", 6),
        ("lambda: 1", None),
        ("", None),
        ("# only a comment", None),
        ("'''a\n  b'''", "a\n  b"),
        ("f'{1+1}{{x}} $HOME %d {2!r}'", "2{x} $HOME %d 2"),
        ("x = {'a': 1}\ndel x['a']\nx", {}),
        ("1;", 1),
        ("try:\n    1/0\nexcept ZeroDivisionError:\n    x = 'caught'\nx", "caught"),
    ],
)
def test_statements_run_and_the_last_expression_is_the_result(manager, glob, code, value):
    got = manager.new(code, glob).get(5)
    assert got() == 1 if callable(got) else got == value


def test_code_runs_in_the_callers_globals(manager, monkeypatch):
    monkeypatch.setitem(globals(), "counter", 1)
    assert manager.new("global counter\ncounter += 1\ncounter").get(5) == 2
    assert globals()["counter"] == 2


def test_code_made_at_the_top_of_a_module_assigns_there(manager):
    namespace = {"manager": manager, "__name__": "made_up"}
    exec("job = manager.new('fresh = 7')\njob.join(5)", namespace)
    assert namespace["fresh"] == 7


def test_code_made_in_a_function_sees_its_locals(manager):
    local = [1, 2]
    job = manager.new("local.append(3); sum(local)")
    assert job.get(5) == 6
    assert local == [1, 2, 3]


def test_names_that_code_assigns_in_a_function_stay_its_own(manager):
    local = 1
    assert manager.new("local = 2; local").get(5) == 2
    assert local == 1


def test_code_gets_the_locals_as_they_were_when_the_job_was_made(single, hold):
    hold(on=single)
    local = "then"
    job = single.new("local")
    local = "now"
    assert locals()["local"] == "now"
    hold.go.set()
    assert job.get(5) == "then"


def test_two_jobs_of_one_function_do_not_share_their_assignments(manager):
    manager.new("mine = 1").get(5)
    with pytest.raises(NameError):
        manager.new("mine").get(5)


def test_one_namespace_serves_as_globals_and_locals(manager, glob):
    glob["x"] = 4
    assert manager.new("y = x + 1\ndef f(): return y\nf()", glob).get(5) == 5
    assert glob["y"] == 5


def test_with_two_namespaces_assignments_go_to_the_second(manager, glob):
    loc = {"x": 1}
    assert manager.new("y = x + z", glob | {"z": 2}, loc).get(5) is None
    assert loc["y"] == 3
    assert "y" not in glob


def test_the_locals_may_be_any_mapping(manager, glob):
    loc = ChainMap({}, {"x": 1})
    assert manager.new("y = x + 1; y", glob, loc).get(5) == 2
    assert loc.maps[0] == {"y": 2}


def test_while_it_waits_and_runs_the_namespaces_are_the_very_ones(single, hold, glob):
    hold(on=single)
    loc = {}
    job = single.new("1 + 1", glob, loc)
    assert job.glob is glob
    assert job.loc is loc
    assert job.func is None
    hold.go.set()
    job.join(5)
    assert (job.glob, job.loc) == (None, None)


def test_the_namespaces_of_running_code_can_be_looked_at(manager, glob):
    glob["started"], glob["go"] = threading.Event(), threading.Event()
    job = manager.new("started.set()\nassert go.wait(10)", glob)
    assert glob["started"].wait(5)
    try:
        assert job.glob is glob
        assert job.loc is glob
    finally:
        glob["go"].set()


def test_code_that_does_not_compile_raises_at_once(manager):
    with pytest.raises(SyntaxError) as raised:
        manager.new("x = 1\ny = = 2")
    assert raised.value.lineno == 2
    assert raised.value.text.strip() == "y = = 2"
    with pytest.raises(IndentationError):
        manager.new("  x = 1")
    with pytest.raises(SyntaxError):
        manager.new("return 1")
    with pytest.raises(SyntaxError):
        manager.new("a\0b")
    assert len(manager) == 0


def test_the_code_and_what_it_compiled_to_stay_with_the_job(manager):
    job = manager.new("6 * 7")
    job.join(5)
    assert job.expression == job.strform == "6 * 7"
    assert eval(job.code) == 42
    assert job.func is None


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nawait asyncio.sleep(0, result=3)",
        "import asyncio\nx = await asyncio.sleep(0, result=3)\nx",
        "async def f(): return 3\nawait f()",
        "async def count():\n    for i in range(4):\n        yield i\nasync for x in count(): pass\nx",
        "async def f(): return 3\n(await f()) if True else None",
        "async def f(): return 1\nxs = [await f() for _ in range(3)]\nsum(xs)",
    ],
)
def test_await_works_at_the_top_level(manager, glob, code):
    assert manager.new(code, glob).get(5) == 3


def test_assignments_of_code_with_await_land_in_the_namespace(manager, glob):
    job = manager.new("import asyncio\nbefore = 1\nawait asyncio.sleep(0)\nafter = 2", glob)
    assert job.get(5) is None
    assert (glob["before"], glob["after"]) == (1, 2)


def test_a_traceback_begins_with_the_code_and_shows_its_lines(manager, glob):
    job = manager.new("def inner():\n    return 1 / 0\n\ninner()", glob)
    error = job.exception(5)
    text = "".join(traceback.format_exception(error))
    frames = traceback.extract_tb(error.__traceback__)
    assert [(frame.lineno, frame.line) for frame in frames] == [(4, "inner()"), (2, "return 1 / 0")]
    assert "return 1 / 0" in text
    assert "ZeroDivisionError" in text


@pytest.mark.parametrize(
    "code", ["import asyncio\nawait asyncio.sleep(0)\n1 / 0", "1 / 0", "1 / 0\n2"], ids=["async", "last", "statement"]
)
def test_no_frame_of_ours_or_of_the_event_loop_leads_to_the_code(manager, glob, code):
    error = manager.new(code, glob).exception(5)
    assert [frame.line for frame in traceback.extract_tb(error.__traceback__)] == ["1 / 0"]


def test_two_jobs_of_different_code_show_their_own_lines(manager, glob):
    first, second = manager.new("1 / 0 # first", glob), manager.new("1 / 0 # second", glob)
    lines = [traceback.extract_tb(job.exception(5).__traceback__)[0].line for job in (first, second)]
    assert lines == ["1 / 0 # first", "1 / 0 # second"]


def test_lines_of_code_survive_a_check_of_the_cache(manager, glob):
    job = manager.new("1 / 0  # still here", glob)
    job.join(5)
    linecache.checkcache()
    assert traceback.extract_tb(job.exception().__traceback__)[0].line == "1 / 0  # still here"


def test_the_sources_that_are_kept_for_tracebacks_are_bounded(manager, glob):
    def kept():
        return sum(name.startswith("<rjobs-") for name in linecache.cache)

    jobs = [manager.new(f"{number}", glob) for number in range(1000)]
    manager.wait(jobs, timeout=10)
    assert 1 <= kept() <= 600


def test_names_in_code_are_looked_up_when_it_runs(single, hold, glob):
    hold(on=single)
    job = single.new("late", glob)
    glob["late"] = "came after the job was made"
    hold.go.set()
    assert job.get(5) == "came after the job was made"


def test_future_statements_hold_for_the_code_that_has_them_and_no_other(manager, glob):
    job = manager.new("from __future__ import annotations\ndef f(x: nobody): pass\nf.__annotations__", glob)
    assert job.get(5) == {"x": "nobody"}
    with pytest.raises(NameError):
        # 3.14 and later evaluate annotations when they are asked for.
        manager.new("def f(x: nobody): pass\nf.__annotations__", {}).get(5)


def test_the_same_code_can_run_many_times_at_once(manager):
    spaces = [{"n": n} for n in range(50)]
    jobs = [manager.new("result = n * n\nresult", space) for space in spaces]
    assert [job.get(5) for job in jobs] == [n * n for n in range(50)]
    assert [space["result"] for space in spaces] == [n * n for n in range(50)]


def test_many_threads_may_make_code_jobs_at_once(manager):
    start, failed = threading.Barrier(6), []

    def make(own):
        start.wait(10)
        try:
            for number in range(200):
                manager.new(f"{own} + {number}", {})
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=make, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    assert sum(job.get(10) for job in manager) == sum(own + n for own in range(6) for n in range(200))
