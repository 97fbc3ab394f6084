"""What is mended of IPython's background jobs, and what a drop-in for them has more."""

import functools
import threading

import pytest

import rjobs

DEAD = (
    "Dead (Exception), call jobs.traceback() for details",
    -1,
    None,
    "<BackgroundJob died, call jobs.traceback() for details>",
)


@pytest.fixture
def go():
    """Lets the jobs of a test go."""
    go = threading.Event()
    yield go
    go.set()


def ended(job):
    job.join(10)
    assert not job.is_alive()
    return job


def fail(message="failed"):
    raise ValueError(message)


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_job_that_leaves_by_no_exception_is_dead(manager, exception):
    def die():
        raise exception

    job = ended(manager.new(die))
    assert (job.status, job.stat_code, job.finished, job.result) == DEAD
    assert manager.dead == [job]


def test_the_codes_of_the_states_can_be_had_from_the_job(manager):
    job = ended(manager.new(int))
    assert job.stat_code == job.stat_completed_c == 2
    assert job.status == job.stat_completed == "Completed"


def test_remove_really_forgets(manager):
    job = ended(manager.new(int))
    manager.remove(0)
    assert manager.all == {}
    with pytest.raises(KeyError):
        manager[0]
    assert job.result == 0


def test_remove_takes_a_job_as_well(manager):
    manager.remove(ended(manager.new(int)))
    assert len(manager) == 0


def test_remove_takes_several_and_leaves_what_has_not_ended(manager, go, caplog):
    for function in (int, fail, int):
        ended(manager.new(function))
    begun = threading.Event()
    running = manager.new(lambda: (begun.set(), go.wait(10)))
    assert begun.wait(10)
    manager.remove(0, -1, manager[1], 99, 0)
    assert list(manager) == [manager[2], running]
    assert "Job #3 is still running" in caplog.text
    assert "Job #99 not found" in caplog.text
    # Counted from the end as it was.
    manager.remove(2)
    assert list(manager) == [running]


@pytest.mark.parametrize("ask", ["remove", "result", "traceback"])
def test_what_is_logged_says_what_was_probably_meant(manager, caplog, ask):
    ended(manager.new(int, name="load"))
    getattr(manager, ask)("laod")
    getattr(manager, ask)(99)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Job 'laod' not found",
        "Job #99 not found",
    ]
    assert "did you mean 'load'?" in caplog.text
    with pytest.raises(TypeError, match="by its number or by the Job"):
        getattr(manager, ask)(1.5)


def test_texts_of_a_job_have_the_name_of_its_function_and_no_address(manager, capsys):
    function, code = ended(manager.new(fail)), ended(manager.new("1 + 1"))
    assert (str(function), function.strform) == ("fail", str(fail))
    assert (str(code), code.strform) == ("1 + 1", "1 + 1")
    assert repr(function) == "<BackgroundJob #0: fail>"
    assert repr(code) == "<BackgroundJob #1: 1 + 1>"
    wrapped = manager.new(functools.partial(functools.partial(fail, "a")))
    assert (wrapped.name, str(ended(wrapped))) == ("fail", "fail")
    group = manager.map(fail, "abc")
    group.join(10)
    manager.status()
    manager.traceback(0)
    manager.traceback()
    shown = capsys.readouterr().out + repr(group) + str(group)
    assert "fail" in shown
    assert "<function" not in shown
    assert " at 0x" not in shown


def test_a_keyword_for_the_function_is_not_lost_but_refused(manager):
    with pytest.raises(TypeError, match=r"'x'.*kw="):
        manager.new(print, x=5)


def test_the_lists_are_the_callers_own(manager):
    ended(manager.new(int))
    manager.completed.clear()
    manager.all.clear()
    assert len(manager.completed) == len(manager.all) == 1


def test_a_manager_is_a_collection_of_its_jobs(manager):
    jobs = [ended(manager.new(int)) for _ in range(3)]
    assert list(manager) == jobs
    assert len(manager) == 3
    assert jobs[1] in manager
    assert 2 in manager
    assert 3 not in manager
    assert "x" not in manager
    assert bool(rjobs.JobManager())
    assert jobs[0] not in rjobs.JobManager()


def test_a_job_of_another_manager_is_not_known(manager):
    job = ended(rjobs.JobManager().new(int))
    manager.new(int)
    with pytest.raises(rjobs.UnknownJob):
        manager[job]


def test_numbers_may_be_of_any_integer_type(manager):
    class Index:  # as numpy.int64
        def __index__(self):
            return 1

    manager.new(int)
    job = manager.new(int)
    assert manager[Index()] is job


def test_keys_can_be_completed(manager):
    for _ in range(3):
        ended(manager.new(int))
    manager.remove(1)
    assert list(manager._ipython_key_completions_()) == [0, 2, "int"]


def test_statements_print_and_assignments_are_code_too(manager):
    space = {}
    job = ended(manager.new("for i in range(2):\n    print(i)\nlast = i", space))
    assert (job.status, job.result, job.output, space["last"]) == ("Completed", None, "0\n1\n", 1)


def test_it_works_without_a_shell(manager, capsys):
    job = ended(manager.new(fail, "no shell"))
    job.traceback()
    assert "ValueError: no shell" in capsys.readouterr().out


def test_a_job_without_a_traceback_says_why(manager, capsys):
    job = ended(manager.new(int))
    job.traceback()
    assert "done" in capsys.readouterr().out


def test_queued_jobs_are_created_and_among_the_running(go):
    manager = rjobs.JobManager(max_workers=1)
    held = manager.new(go.wait, 10)
    queued = manager.new(int)
    assert (queued.status, queued.stat_code, queued.finished) == ("Created", 0, False)
    assert manager.running == [held, queued]
    manager.flush()
    manager.remove(1)
    assert manager.all == {0: held, 1: queued}
    go.set()
    manager.shutdown()
    assert manager.completed == [held, queued]
