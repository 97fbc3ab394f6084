"""Bad input to calls: each has a clear error or a plain outcome, and leaves the manager working."""

import logging
import threading

import pytest

import rjobs

pytestmark = pytest.mark.usefixtures("works_after")


@pytest.mark.parametrize("number", [99, -2, 10**50, -(10**50)])
def test_a_number_that_is_no_jobs(manager, number):
    manager.new(int)
    for look_up in (manager.__getitem__, manager.kill):
        with pytest.raises(rjobs.UnknownJob, match=str(number)) as raised:
            look_up(number)
        assert isinstance(raised.value, KeyError)
        assert str(raised.value).startswith("job ")
    assert number not in manager


@pytest.mark.parametrize("key", [0.0, None, True, b"0", [0], slice(0, 1)])
def test_a_key_that_is_no_number(manager, key):
    manager.new(int)
    for look_up in (manager.__getitem__, manager.kill, manager.remove, manager.result):
        with pytest.raises(TypeError, match="by its number or by the Job"):
            look_up(key)
    assert key not in manager


def test_kill_of_a_finished_job(manager):
    job = manager.new(int)
    job.join(5)
    assert manager.kill(job) is True
    assert job.kill() is True
    assert job.state == "done"


def test_kill_of_a_queued_job(single):
    go = threading.Event()
    single.submit(go.wait, 10)
    job = single.submit(int)
    assert job.state == "queued"
    assert single.kill(job) is True
    assert job.state == "killed"
    go.set()
    assert single.submit(int).get(5) == 0


def test_kill_of_an_unknown_job(manager, single):
    with pytest.raises(rjobs.UnknownJob):
        manager.kill(99)
    with pytest.raises(rjobs.UnknownJob):
        manager.kill(single.submit(int))


def test_remove_of_a_running_job(manager, held, caplog):
    caplog.set_level(logging.ERROR)
    assert manager.remove(held.num) is None
    assert "still running" in caplog.text
    assert f"kill({held.num})" in caplog.text
    assert manager[held.num] is held


def test_remove_of_a_queued_job(single, caplog):
    go = threading.Event()
    single.submit(go.wait, 10)
    job = single.submit(int)
    single.remove(job)
    assert "still queued" in caplog.text
    assert single[1] is job
    go.set()


def test_remove_twice(manager, caplog):
    manager.new(int).join(5)
    manager.remove(0)
    manager.remove(0)
    assert "Job #0 not found" in caplog.text


@pytest.mark.parametrize("thing", [42, None, 3.5, b"1 + 1", ["print"], object(), Ellipsis], ids=repr)
def test_what_is_not_callable(manager, thing):
    for make in (manager.new, manager.submit, manager.options(name="x").new):
        with pytest.raises(TypeError, match=f"callable.*not {type(thing).__qualname__}"):
            make(thing)
    assert len(manager) == 0


def test_a_coroutine_that_was_called_already(manager):
    async def work():
        pass

    coroutine = work()
    with pytest.raises(TypeError, match=r"not coroutine.*give the function and its arguments"):
        manager.new(coroutine)
    coroutine.close()


def test_no_function_at_all(manager):
    for make in (manager.new, manager.submit):
        with pytest.raises(TypeError):
            make()


def test_arguments_that_do_not_fit_are_the_jobs_failure(manager):
    job = manager.new(divmod, 1)
    with pytest.raises(TypeError, match="divmod"):
        job.get(5)
    assert manager.submit(len, x=1).exception(5).args


@pytest.mark.parametrize("kw", [[("x", 1)], "x", 3, {"x"}])
def test_keyword_arguments_that_are_no_mapping(manager, kw):
    with pytest.raises(TypeError, match="kw must be a mapping"):
        manager.new(print, kw=kw)


def test_keyword_arguments_for_code(manager):
    with pytest.raises(TypeError, match="kw= goes with a function"):
        manager.new("1", kw={"x": 1})


def test_keywords_that_are_no_texts(manager):
    assert isinstance(manager.new(dict, kw={1: 2}).exception(5), TypeError)


@pytest.mark.parametrize("namespace", [None, 3, "x", [], {"x"}], ids=repr)
def test_wrong_namespaces(manager, namespace):
    with pytest.raises(TypeError, match="globals of a job of code must be a dict"):
        manager.new("1", namespace)
    with pytest.raises(TypeError, match="locals of a job of code must be a mapping"):
        manager.new("1", {}, namespace)
    assert len(manager) == 0


def test_too_many_namespaces(manager):
    with pytest.raises(ValueError, match="not 3"):
        manager.new("1", {}, {}, {})


@pytest.mark.parametrize("code", ["1 +", "def f(:", "x = = 1", "  1", "'open", "return 1", "break", "a\0b", "(" * 500])
def test_code_that_does_not_compile(manager, code):
    with pytest.raises((SyntaxError, MemoryError, RecursionError)):
        manager.new(code)
    assert len(manager) == 0


def test_code_that_no_file_could_hold(manager):
    with pytest.raises((SyntaxError, UnicodeError)):
        manager.new("'\ud800'")
    assert len(manager) == 0


@pytest.mark.parametrize("make", ["new", "options"])
def test_unknown_options(manager, make):
    call = (lambda **options: manager.new(int, **options)) if make == "new" else manager.options
    with pytest.raises(TypeError, match=r"'nmae': the options are name, timeout, daemon.*: did you mean 'name'"):
        call(nmae="x")
    with pytest.raises(TypeError, match="unknown option"):
        call(**{"\x1b[31m<b>\n": 1})
    with pytest.raises(TypeError, match="unknown option"):
        call(**{"\ud800": 1})
    assert len(manager) == 0


@pytest.mark.parametrize("option", ["on", "profile"])
def test_options_that_are_to_come_say_so(manager, option):
    with pytest.raises(NotImplementedError, match=f"'{option}' is not built yet"):
        manager.new(int, **{option: 1})


@pytest.mark.parametrize(
    ("option", "value"),
    [("name", 3), ("name", b"x"), ("daemon", 1), ("daemon", None), ("daemon", "no"), ("timeout", "5"), ("timeout", [])],
)
def test_options_of_the_wrong_type(manager, option, value):
    with pytest.raises(TypeError, match=f"{option} must be .*, not {type(value).__name__}"):
        manager.new(int, **{option: value})
    assert len(manager) == 0


@pytest.mark.parametrize("timeout", ["1", [], float("nan")], ids=repr)
def test_times_that_are_none(manager, held, timeout):
    for wait in (held.get, held.join, held.exception, held.kill, manager.kill_all):
        with pytest.raises((TypeError, ValueError)):
            wait(timeout)
    assert held.running()
