"""IPython's `BackgroundJobManager` and `BackgroundJob`: each test is run with IPython's own classes and with ours."""

import logging
import threading
import traceback
from types import SimpleNamespace

import pytest

import rjobs

backgroundjobs = pytest.importorskip("IPython.lib.backgroundjobs")


DEAD = (
    "Dead (Exception), call jobs.traceback() for details",
    -1,
    None,
    "<BackgroundJob died, call jobs.traceback() for details>",
)


class ShellStub:
    """As much of a shell as IPython's jobs ask for: version 9 of it cannot make a job without one."""

    InteractiveTB = SimpleNamespace(text=lambda *_: traceback.format_exc())


@pytest.fixture(params=["IPython", "rjobs"])
def jobs(request, monkeypatch):
    if request.param == "IPython":
        monkeypatch.setattr(backgroundjobs, "get_ipython", ShellStub)
        yield backgroundjobs.BackgroundJobManager()
    else:
        manager = rjobs.JobManager()
        yield manager
        manager.shutdown(kill=True)


@pytest.fixture
def go():
    """Lets the jobs of a test go."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def running(jobs, go):
    """A job that runs until `go` is set."""
    started = threading.Event()

    def wait(*args, **kwargs):
        started.set()
        go.wait(10)
        return args, kwargs

    job = jobs.new(wait, 1, kw={"y": 2})
    assert started.wait(5)
    return job


def ended(job):
    job.join(10)
    assert not job.is_alive()
    return job


def fail(message="failed"):
    raise ValueError(message)


def test_a_function_with_arguments(jobs):
    job = ended(jobs.new(divmod, 7, 2))
    assert job.result == (3, 1)
    assert jobs.result(0) == (3, 1)


def test_keyword_arguments_go_into_kw(jobs):
    assert ended(jobs.new(sorted, [1, 2], kw={"reverse": True})).result == [2, 1]


def test_an_expression_in_the_callers_namespaces(jobs):
    local = 20
    assert ended(jobs.new("local + len(__name__)")).result == local + len(__name__)


def test_an_expression_in_one_namespace_or_two(jobs):
    assert ended(jobs.new("x + 1", {"x": 1})).result == 2
    assert ended(jobs.new("x + y", {"x": 1, "y": 1}, {"y": 5})).result == 6


def test_an_expression_that_does_not_compile(jobs):
    with pytest.raises(SyntaxError):
        jobs.new("1 +")
    assert jobs.all == {}


def test_what_is_neither_function_nor_code(jobs):
    with pytest.raises(TypeError):
        jobs.new(42)
    with pytest.raises(ValueError, match=r"at most|two more"):
        jobs.new("1", {}, {}, {})
    assert jobs.all == {}


def test_a_job_while_it_runs(jobs, running, go):
    assert running.num == 0
    assert (running.status, running.stat_code, running.finished) == ("Running", 1, False)
    assert running.result == "<BackgroundJob has not completed>"
    assert running.is_alive()
    assert running.func.__name__ == "wait"
    assert (running.args, running.kwargs) == ((1,), {"y": 2})
    assert jobs.running == [running]
    assert (jobs.completed, jobs.dead) == ([], [])
    go.set()
    assert ended(running).result == ((1,), {"y": 2})


def test_a_job_that_completed(jobs):
    job = ended(jobs.new(int, "5"))
    assert (job.status, job.stat_code, job.finished, job.result) == ("Completed", 2, True, 5)
    assert (jobs.running, jobs.completed, jobs.dead) == ([], [job], [])


def test_a_job_that_died(jobs):
    job = ended(jobs.new(fail))
    assert (job.status, job.stat_code, job.finished, job.result) == DEAD
    assert (jobs.running, jobs.completed, jobs.dead) == ([], [], [job])


def test_texts_of_a_job(jobs):
    function, code = ended(jobs.new(fail)), ended(jobs.new("1 + 1"))
    assert function.strform == str(fail)
    assert str(code) == code.strform == "1 + 1"
    assert repr(function) == f"<BackgroundJob #0: {function}>"
    assert repr(code) == "<BackgroundJob #1: 1 + 1>"


def test_the_code_of_a_job(jobs):
    job = jobs.new("1 + 1", {})
    assert job.expression == "1 + 1"
    assert eval(job.code) == 2
    ended(job)


def test_lookup_by_number_and_by_job(jobs):
    job = jobs.new(int)
    assert jobs[0] is job
    assert jobs[job] is job
    assert jobs.all == {0: job}
    with pytest.raises(KeyError):
        jobs[99]
    ended(job)


def test_numbers_go_on_after_a_flush(jobs):
    ended(jobs.new(int))
    jobs.flush()
    assert ended(jobs.new(int)).num == 1


@pytest.mark.parametrize("daemon", [True, False])
def test_daemon_is_a_keyword(jobs, daemon):
    job = ended(jobs.new(int, daemon=daemon))
    assert job.daemon is daemon


def test_the_ident_is_the_threads(jobs):
    job = jobs.new(threading.get_ident)
    assert ended(job).result == job.ident
    job = jobs.new(threading.get_native_id)
    assert ended(job).result == job.native_id


def test_the_name_is_a_text(jobs):
    assert isinstance(ended(jobs.new(int)).name, str)


def test_join_with_a_time_out_gives_up(running, go):
    assert running.join(0.01) is None
    assert running.is_alive()
    go.set()
    assert running.join(timeout=10) is None
    assert not running.is_alive()


@pytest.mark.parametrize("show", ["__call__", "status"])
def test_the_status_has_every_group_that_has_jobs(jobs, running, capsys, show):
    ended(jobs.new(int))
    ended(jobs.new(fail))
    capsys.readouterr()
    getattr(jobs, show)()
    text = capsys.readouterr().out
    for heading, job in (("Running", running), ("Completed", jobs[1]), ("Dead", jobs[2])):
        assert f"{heading} jobs:" in text
        assert f"{job.num} : {job}" in text


def test_the_status_leaves_out_groups_without_jobs(jobs, capsys):
    ended(jobs.new(int))
    jobs.status(verbose=1)
    text = capsys.readouterr().out
    assert "Completed jobs:" in text
    assert "Dead jobs:" not in text
    assert "Running jobs:" not in text


def test_the_news_are_told_once(jobs, running, capsys):
    assert not jobs._status_new()
    ended(jobs.new(int))
    ended(jobs.new(fail))
    assert jobs._status_new()
    text = capsys.readouterr().out
    assert "Completed jobs:" in text
    assert "Dead, call jobs.traceback() for details jobs:" in text
    assert f"{jobs[1].num} : {jobs[1]}" in text
    assert "Running" not in text
    assert running.is_alive()
    assert not jobs._status_new()
    ended(jobs.new(int))
    jobs.status()
    assert not jobs._status_new()


def test_flush_forgets_what_has_ended_and_says_so(jobs, running, capsys):
    for function in (int, int, fail):
        ended(jobs.new(function))
    jobs.flush()
    text = capsys.readouterr().out
    assert "Flushing 2 Completed jobs." in text
    assert "Flushing 1 Dead job." in text
    assert (jobs.running, jobs.completed, jobs.dead) == ([running], [], [])
    assert jobs.all == {0: running}


def test_flush_with_nothing_to_flush(jobs, running, capsys):
    jobs.flush()
    assert capsys.readouterr().out == "No jobs to flush.\n"
    assert jobs.all == {0: running}


def test_remove_takes_a_job_off_the_lists(jobs):
    good, bad = ended(jobs.new(int)), ended(jobs.new(fail))
    assert jobs.remove(good.num) is None
    assert (jobs.completed, jobs.dead) == ([], [bad])
    jobs.remove(bad.num)
    assert (jobs.completed, jobs.dead) == ([], [])


def test_remove_of_a_running_job_is_an_error_in_the_log(jobs, running, caplog):
    caplog.set_level(logging.ERROR)
    assert jobs.remove(0) is None
    assert "Job #0 is still running" in caplog.text
    assert jobs.running == [running]


@pytest.mark.parametrize("ask", ["remove", "result", "traceback"])
def test_a_number_that_is_unknown_is_an_error_in_the_log(jobs, caplog, ask):
    caplog.set_level(logging.ERROR)
    assert getattr(jobs, ask)(99) is None
    assert "Job #99 not found" in caplog.text
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("how", ["number", "job", "the job's own"])
def test_the_traceback_of_one_job(jobs, capsys, how):
    job = ended(jobs.new(fail, "in the job"))
    match how:
        case "number":
            jobs.traceback(0)
        case "job":
            jobs.traceback(job)
        case _:
            job.traceback()
    text = capsys.readouterr().out
    assert "ValueError" in text
    assert "in the job" in text
    assert "in fail" in text


def test_the_tracebacks_of_all_dead_jobs(jobs, capsys):
    first, second = ended(jobs.new(fail, "one")), ended(jobs.new(fail, "two"))
    good = ended(jobs.new(int))
    jobs.traceback()
    text = capsys.readouterr().out
    assert text.index(f"Traceback for: {first!r}") < text.index("one") < text.index(f"Traceback for: {second!r}")
    assert repr(good) not in text


def test_the_traceback_is_kept_as_a_text(jobs):
    assert "ValueError: kept" in ended(jobs.new(fail, "kept"))._tb
    assert ended(jobs.new(int))._tb is None
