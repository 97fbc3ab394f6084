"""`new`, `submit` and `options`: what becomes a job, and what it is called with."""

import asyncio
import functools
import math
import operator
import sys
import threading
from types import MappingProxyType

import pytest

import rjobs


def everything(*args, **kwargs):
    return args, kwargs


class Callable:
    def method(self, x):
        return x + 1

    def __call__(self, x):
        return x + 2


def test_new_calls_a_function_with_its_arguments_and_those_in_kw(manager):
    assert manager.new(everything, 1, 2, kw={"z": 3}).get(5) == ((1, 2), {"z": 3})


@pytest.mark.parametrize(
    ("function", "argument", "value"),
    [
        (math.sqrt, 4, 2),
        (int, "7", 7),
        (functools.partial(operator.add, 1), 2, 3),
        (lambda x: -x, 1, -1),
        (Callable().method, 1, 2),
        (Callable(), 1, 3),
        ([].append, 1, None),
        (operator.itemgetter(0), "ab", "a"),
    ],
    ids=["builtin", "class", "partial", "lambda", "method", "object", "bound builtin", "C object"],
)
def test_whatever_can_be_called_can_be_a_job(manager, function, argument, value):
    assert manager.new(function, argument).get(5) == value
    assert manager.submit(function, argument).get(5) == value


def test_arguments_arrive_as_the_very_objects(manager):
    x, y = object(), object()
    (got_x,), kwargs = manager.new(everything, x, kw={"y": y}).get(5)
    assert got_x is x
    assert kwargs["y"] is y


def test_new_returns_while_the_job_goes_on(hold):
    assert hold().state == "running"


def test_kw_is_copied_when_the_job_is_made(single, hold):
    hold(on=single)
    kw = {"a": 1}
    job = single.new(everything, kw=kw)
    kw["b"] = 2
    hold.go.set()
    assert job.get(5) == ((), {"a": 1})


def test_kw_may_be_any_mapping_or_none(manager):
    assert manager.new(everything, kw=MappingProxyType({"a": 1})).get(5) == ((), {"a": 1})
    assert manager.new(everything, kw=None).get(5) == ((), {})
    assert manager.new(everything, kw={}).get(5) == ((), {})


def test_submit_leaves_every_keyword_to_the_function(manager):
    mine = {name: name for name in ("name", "timeout", "daemon", "kw", "fn", "self", "args", "options", "func_or_exp")}
    job = manager.submit(everything, 1, **mine)
    assert job.get(5) == ((1,), mine)
    assert job.timeout is None
    assert job.daemon is False


def test_options_and_arguments_do_not_collide(manager):
    job = manager.options(name="mine", timeout=60).submit(everything, name="its own", timeout=1)
    assert job.get(5) == ((), {"name": "its own", "timeout": 1})
    assert (job.name, job.timeout) == ("mine", 60.0)


def test_options_of_new(manager):
    job = manager.new(everything, 1, kw={"x": 2}, name="n", timeout=2, daemon=False)
    assert job.get(5) == ((1,), {"x": 2})
    assert (job.name, job.timeout, job.daemon) == ("n", 2.0, False)


def test_without_options_a_job_has_no_time_out_and_is_a_daemon_where_one_works_interactively(manager, monkeypatch):
    job = manager.new(int)
    assert job.timeout is None
    assert job.daemon is False
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    # As it is when it is looked at.
    assert job.daemon is True
    assert manager.new(int, daemon=False).daemon is False


@pytest.mark.parametrize("daemon", [True, False])
def test_the_manager_says_it_for_all_that_do_not_say_it_themselves(daemon):
    with rjobs.JobManager(daemon=daemon) as manager:
        assert manager.submit(int).daemon is daemon
        assert manager.new(int, daemon=not daemon).daemon is not daemon
    for wrong in (1, "yes"):
        with pytest.raises(TypeError, match="daemon must be True, False or None, not"):
            rjobs.JobManager(daemon=wrong)


def test_a_view_can_be_used_again_and_options_pile_up(manager):
    named = manager.options(name="a", timeout=9)
    both = named.options(timeout=5, daemon=True)
    first, second, third = named.new(int), both.submit(int), both.new(int, timeout=None, name="c")
    assert [(job.name, job.timeout, job.daemon) for job in (first, second, third)] == [
        ("a", 9.0, False),
        ("a", 5.0, True),
        ("c", None, True),
    ]
    assert [job.num for job in (first, second, third)] == [0, 1, 2]


def test_a_view_of_code_finds_the_callers_namespaces(manager):
    local = 20
    assert manager.options(name="code").new("local + 1").get(5) == 21
    assert local == 20


def test_a_view_keeps_its_manager(is_gone):
    manager = rjobs.JobManager()
    dead = is_gone.death_of(manager)
    view = manager.options(name="v")
    del manager
    assert view.submit(int).get(5) == 0
    assert not dead.is_set()
    del view
    assert is_gone(dead)


def test_the_name_is_the_functions_unless_one_is_given(manager):
    assert manager.new(math.sqrt, 4).name == "sqrt"
    assert manager.new(Callable().method, 1).name == "Callable.method"
    assert manager.new(Callable(), 1).name == "Callable"
    assert manager.new(int, name="mine").name == "mine"
    assert manager.new(int, name=None).name == "int"


def test_the_name_of_code_is_its_first_line_that_is_not_empty(manager):
    assert manager.new("\n\n  \nx = 1\nx + 1").name == "x = 1"
    assert manager.new("1+1").name == "1+1"
    assert manager.new("").name == ""
    long = manager.new(" + ".join("1" * 100)).name
    assert long.startswith("1 + 1 + ")
    assert len(long) <= 60


def test_strform_is_ipythons_text_of_the_function_or_the_code(manager):
    for function in (everything, math.sqrt, int, Callable().method, functools.partial(int, "1")):
        job = manager.new(function)
        job.join(5)
        assert job.strform == str(function)
    assert str(manager.new("1 +\\\n 1")) == "1 +\\\n 1"


def test_a_huge_repr_of_a_callable_is_cut(manager):
    big = functools.partial(len, "x" * 100_000)
    assert len(manager.new(big).strform) <= 500


def test_numbers_count_from_zero_and_are_never_reused(manager):
    jobs = [manager.new(int) for _ in range(3)]
    assert [job.num for job in jobs] == [0, 1, 2]
    manager.wait(jobs, timeout=5)
    manager.remove(2)
    manager.flush()
    assert len(manager) == 0
    assert manager.new(int).num == 3
    assert rjobs.JobManager().new(int).num == 0


def test_what_is_refused_uses_up_no_number(manager):
    for wrong in ("1 +", 42, None):
        with pytest.raises((SyntaxError, TypeError)):
            manager.new(wrong)
    assert manager.new(int).num == 0
    assert len(manager) == 1


def test_jobs_made_by_many_threads_at_once_all_run_under_numbers_of_their_own(manager):
    start = threading.Barrier(8)
    jobs = []

    def make(own):
        start.wait(10)
        jobs.extend([manager.submit(operator.add, own, i) for i in range(100)])

    threads = [threading.Thread(target=make, args=(own * 1000,)) for own in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(job.num for job in jobs) == list(range(800))
    expected = sorted(own * 1000 + i for own in range(8) for i in range(100))
    assert sorted(job.get(10) for job in jobs) == expected
    assert [job.num for job in manager] == list(range(800))


def test_a_job_may_make_jobs_and_take_their_results(manager):
    def outer():
        return [job.get(5) for job in [manager.submit(int, i) for i in range(3)]]

    assert manager.submit(outer).get(10) == [0, 1, 2]


def test_a_coroutine_function_is_run_to_its_end(manager):
    async def add(x, y):
        await asyncio.sleep(0)
        return x + y

    assert manager.new(add, 1, kw={"y": 2}).get(5) == 3
    assert manager.submit(lambda: add(1, 2)).get(5) == 3


def test_an_exception_in_a_coroutine_is_the_jobs(manager):
    error = ValueError("from the coroutine")

    async def fail():
        await asyncio.sleep(0)
        raise error

    job = manager.submit(fail)
    with pytest.raises(ValueError, match="from the coroutine") as raised:
        job.get(5)
    assert raised.value is error
    assert job.state == "failed"


def test_a_coroutine_that_a_call_gives_has_an_event_loop_of_its_own(manager):
    async def loop():
        return asyncio.get_running_loop()

    def call():
        return loop()

    first, second = manager.submit(call).get(5), manager.submit(call).get(5)
    assert first is not second
    assert first.is_closed()
    assert second.is_closed()


def test_generators_that_were_made_elsewhere_are_results_like_any_other(manager):
    def count():
        yield from range(3)

    assert list(manager.submit(lambda: count()).get(5)) == [0, 1, 2]  # noqa: PLW0108


def test_where_the_system_gives_no_thread_new_says_so_and_forgets_the_job(monkeypatch):
    from rjobs import _threads

    manager = rjobs.JobManager()

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(_threads, "_start", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            manager.new(int)
    assert len(manager) == 0
    assert manager.workers == 0
    assert manager.new(int, "5").get(5) == 5


def test_where_the_system_gives_no_further_thread_the_workers_there_are_see_to_it(manager, hold, monkeypatch):
    from rjobs import _threads

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    held = hold()
    monkeypatch.setattr(_threads, "_start", no_thread)
    waiting = manager.new(int, "6")
    assert waiting.state == "queued"
    hold.go.set()
    assert held.get(5) is None
    assert waiting.get(5) == 6
    assert manager.workers == 1


def test_a_manager_can_be_subclassed():
    class Counting(rjobs.JobManager):
        made = 0

        def submit(self, fn, /, *args, **kwargs):
            self.made += 1
            return super().submit(fn, *args, **kwargs)

    with Counting(max_workers=2) as manager:
        assert manager.submit(int, "3").get(5) == 3
        assert manager.made == 1
        assert manager.max_workers == 2


def test_managers_and_jobs_have_no_other_constructor():
    with pytest.raises(TypeError):
        rjobs.Job()
    with pytest.raises(TypeError):
        rjobs.JobManager("4")
