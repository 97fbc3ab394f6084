"""Calls that are wrong in a way that people meet: the error says at once what to write, and nothing is started."""

import concurrent.futures
import functools
import subprocess
import sys
import threading

import pytest

import rjobs

pytestmark = pytest.mark.usefixtures("works_after")


def f(x=0):
    return x


class Callable:
    """Called, made and asked by positions only."""

    def __init__(self, x=0):
        self.x = x

    def method(self, x=0):
        return x

    def __call__(self, x=0):
        return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda jobs: jobs.submit("f(1)"), r"not str, and submit runs no code.*run the code by jobs\.new\('f\(1\)'\)"),
        (lambda jobs: jobs.options(name="x").submit("f"), r"give the function itself, without quotes"),
        (lambda jobs: jobs.every(2, "f()"), r"every runs no code.*jobs\.new\('f\(\)'\)"),
        (lambda jobs: jobs.chain(f, "f()"), "chain runs no code"),
        (lambda jobs: jobs.submit(f(1)), r"not int: .*submit\(f, x\), and not its result, submit\(f\(x\)\)"),
        (lambda jobs: jobs.submit(None), r"not NoneType: .*submit\(f, x\), and not its result, submit\(f\(x\)\)"),
        (
            lambda jobs: jobs.new(None),
            r"or a str of code, not NoneType: .*new\(f, x\), and not its result",
        ),
        (lambda jobs: jobs.every(2, f(1)), r"every\(seconds, f, x\), and not its result"),
        (lambda jobs: jobs.chain(f, f(1)), r"chain\(f, g\), and not its result"),
        (lambda jobs: jobs.every(f, 2), r"the time between two runs first, and then the function: every\(2, f\)"),
        (lambda jobs: jobs.options(name="x").every(f, 0.5), r"every\(0\.5, f\)"),
        (lambda jobs: jobs.every(None, f), "every must be a number of seconds, .*not NoneType"),
        (lambda jobs: jobs.every("2", f), "must be a number of seconds, the time between two runs, not str"),
        (lambda jobs: jobs.every(True, f), "must be a number of seconds, the time between two runs, not bool"),
        (lambda jobs: jobs.map(f, [1], retry=3), r"'retry'.*jobs\.options\(\.\.\.\)\.map.*retry_failed\(\)"),
        (lambda jobs: jobs.map(f, [1], timeout=3), r"'timeout'.*jobs\.options\(timeout=3\)\.map\(fn, \.\.\.\)"),
        (lambda jobs: jobs.starmap(f, [(1,)], name="x"), r"jobs\.options\(name='x'\)\.starmap"),
        (lambda jobs: jobs.options(name="x").map(f, [1], daemon=False), r"jobs\.options\(daemon=False\)\.map"),
        (lambda jobs: jobs.map(f, [1], chunk_size=3), "no option 'chunk_size': did you mean 'chunksize'?"),
        (lambda jobs: jobs.map(f, [1], y=3), r"it has workers, chunksize.*functools\.partial\(fn, y=\.\.\.\)"),
        (lambda jobs: jobs.map([1], f), "map needs a callable first, and then the items"),
        (lambda jobs: jobs.new(f, timout=3), "unknown option 'timout'.*did you mean 'timeout'?"),
        (lambda jobs: jobs.options(retries=3), "unknown option 'retries'.*did you mean 'retry'?"),
        (lambda jobs: jobs.options(timeout=True), "timeout must be a number of seconds or None, not bool"),
        (lambda jobs: jobs.limit("x", concurrency=True), "concurrency must be an int, not bool"),
        (lambda jobs: jobs.limit("x", rate=True), "rate must be a number of starts in a second, or None, not bool"),
        (lambda _: rjobs.JobManager(True), "max_workers must be an int, not bool"),
    ],
)
def test_it_says_what_to_write(manager, call, message):
    with pytest.raises(TypeError, match=message):
        call(manager)
    assert len(manager) == 0


@pytest.mark.parametrize("seconds", [0, -1, 0.0])
def test_a_period_that_is_not_above_zero(manager, seconds):
    with pytest.raises(ValueError, match="every must be more than 0 seconds, the time between two runs") as raised:
        manager.every(seconds, f)
    assert "None" not in str(raised.value)
    with pytest.raises(ValueError, match="more than 0 seconds, or None for no limit; got"):
        manager.options(timeout=seconds)


@pytest.mark.parametrize(
    "function",
    [f, functools.partial(f, 1), Callable, Callable().method, Callable(), len, lambda *args: args],
    ids=["function", "partial", "class", "method", "object", "builtin", "any positions"],
)
@pytest.mark.parametrize(("option", "value"), [("timeout", 5), ("name", "x"), ("retry", 3), ("on", "process")])
def test_an_option_among_the_arguments_of_a_function_that_takes_none_of_that_name(manager, function, option, value):
    wanted = rf"takes no argument '{option}': .*jobs\.options\({option}={value!r}\)"
    with pytest.raises(TypeError, match=wanted + r"\.submit\(f, \.\.\.\)"):
        manager.submit(function, 1, **{option: value})
    with pytest.raises(TypeError, match=wanted):
        manager.options(priority=1).submit(function, 1, **{option: value})
    with pytest.raises(TypeError, match=wanted + r"\.every\(seconds, f\)"):
        manager.every(1, function, 1, **{option: value})
    assert len(manager) == 0


def test_then_has_no_options_either(manager):
    job = manager.submit(f)
    with pytest.raises(TypeError, match=r"f takes no argument 'timeout'.*jobs\.options\(timeout=5\)"):
        job.then(f, timeout=5)
    with pytest.raises(TypeError, match="then runs no code"):
        job.then("f")


def passing_on(function):
    @functools.wraps(function)
    def wrapper(*args, timeout=None):
        return function(*args), timeout

    return wrapper


class Anything:
    def __new__(cls, *_args, **options):
        return options


def test_a_function_that_takes_a_keyword_of_that_name_gets_it(manager):
    def takes(x, *, timeout):
        return x, timeout

    def takes_all(**options):
        return options

    class Maker:
        def __init__(self, name):
            self.name = name

    assert manager.submit(takes, 1, timeout=5).get(10) == (1, 5)
    assert manager.submit(functools.partial(takes, 1), timeout=5).get(10) == (1, 5)
    assert manager.submit(takes_all, name="x", retry=2).get(10) == {"name": "x", "retry": 2}
    # The wrapper takes it, and not the function whose signature it shows.
    assert manager.submit(passing_on(f), 1, timeout=5).get(10) == (1, 5)
    assert manager.submit(dict, name="x").get(10) == {"name": "x"}
    assert manager.submit(Anything, name="x").get(10) == {"name": "x"}
    assert manager.submit(Maker, name="x").get(10).name == "x"
    assert manager.submit(threading.Thread, name="x").get(10).name == "x"


def test_a_keyword_in_kw_is_the_functions_whatever_it_is_called(manager):
    assert isinstance(manager.new(f, kw={"timeout": 5}).exception(10), TypeError)
    # So are all of the faces that have no options.
    with rjobs.Executor() as executor, rjobs.Pool(1) as pool:
        assert isinstance(executor.submit(f, timeout=5).exception(10), TypeError)
        with pytest.raises(TypeError, match="unexpected keyword"):
            pool.apply(f, kwds={"timeout": 5})
    with rjobs.Executor(manager=manager) as executor:
        assert isinstance(executor.submit(f, timeout=5).exception(10), TypeError)


def test_a_plain_submit_looks_at_no_signature():
    code = (
        "import sys, rjobs\n"
        "with rjobs.JobManager() as jobs:\n"
        "    assert jobs.submit(dict, x=1, y=2).get() == {'x': 1, 'y': 2}\n"
        "assert 'rjobs._hints' not in sys.modules and 'inspect' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", ["max_workers", "idle_timeout", "output_limit", "max_queued", "on_full"])
def test_a_setting_that_holds_from_the_beginning_is_not_set_later(manager, name):
    before = getattr(manager, name)
    with pytest.raises(AttributeError, match=rf"JobManager\({name}=4\).*%config RJobs\.{name} = 4"):
        setattr(manager, name, 4)
    assert getattr(manager, name) == before


def test_the_settings_can_be_read():
    manager = rjobs.JobManager(3, idle_timeout=2.5, output_limit=1000, max_queued=7, on_full="reject")
    assert (manager.max_workers, manager.idle_timeout, manager.output_limit) == (3, 2.5, 1000)
    assert (manager.max_queued, manager.on_full) == (7, "reject")
    assert rjobs.JobManager(idle_timeout=float("inf")).idle_timeout is None
    assert rjobs.JobManager().max_queued is None


def test_a_manager_that_was_shut_down_says_how_to_get_another():
    manager = rjobs.JobManager()
    manager.shutdown()
    for make, *args in ((manager.new, f), (manager.submit, f), (manager.every, 1, f), (manager.map, f, [1])):
        with pytest.raises(rjobs.ManagerClosed, match=r"make another JobManager.*%reload_ext rjobs"):
            make(*args)


def test_a_job_is_no_future_and_says_where_that_is(manager):
    job = manager.submit(f, 3)
    for wrong in (lambda: concurrent.futures.wait([job]), lambda: list(concurrent.futures.as_completed([job]))):
        with pytest.raises(AttributeError, match=r"wait\(\[job\.future\]\).*jobs\.wait\(\[job\]\)"):
            wrong()
    assert not hasattr(job, "_condition")
    assert concurrent.futures.wait([job.future]).done == {job.future}


@pytest.mark.parametrize("one", ["f", 0, None], ids=["name", "number", "Job"])
def test_one_job_where_several_are_waited_for(manager, one):
    job = manager.submit(f)
    for wait in (manager.wait, manager.as_completed):
        with pytest.raises(TypeError, match="where an iterable of jobs is needed: put it into a list"):
            wait(job if one is None else one, 1)


@pytest.mark.parametrize("wait", ["get", "wait", "join", "exception", "kill", "stop"])
def test_true_is_no_number_of_seconds(manager, wait):
    job = manager.submit(f)
    job.wait(10)
    with pytest.raises(TypeError, match="must be a number of seconds or None, not bool"):
        getattr(manager.submit(threading.Event().wait, 0.01), wait)(True)
