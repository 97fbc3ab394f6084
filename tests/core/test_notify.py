"""`JobManager.notify`: who is told when jobs end."""

from __future__ import annotations

import gc
import queue
import threading
import weakref

import pytest

import rjobs
from rjobs import _news


def test_the_default_is_the_prompt_and_what_is_set_is_read(manager):
    assert manager.notify == "prompt"
    for value in ("live", False, "prompt", print):
        manager.notify = value
        assert manager.notify is value


@pytest.mark.parametrize("value", ["sometimes", True, None, 0, 1.5, ("live",)])
def test_anything_else_is_refused_and_changes_nothing(manager, value):
    with pytest.raises(ValueError, match="notify must be 'prompt', 'live', False, or a function"):
        manager.notify = value
    assert manager.notify == "prompt"


def test_a_function_is_called_with_each_job_that_has_ended(manager):
    told: queue.Queue[rjobs.Job] = queue.Queue()
    hold = threading.Event()
    manager.notify = told.put
    started = threading.Event()
    jobs = [manager.submit(lambda: (started.set(), hold.wait(20))), manager.submit(lambda: 1 / 0)]
    assert told.get(timeout=20) is jobs[1]
    assert jobs[1].state == "failed"
    assert started.wait(20)
    jobs[0].kill()
    assert told.get(timeout=20) is jobs[0]
    group = manager.map(str, range(3))
    assert told.get(timeout=20) is group
    manager.notify = False
    manager.submit(int).join(20)
    manager.notify = told.put
    last = manager.submit(int)
    assert told.get(timeout=20) is last
    assert told.empty()


def test_a_cancelled_job_is_told_of_too():
    told = []
    hold = threading.Event()
    with rjobs.JobManager(max_workers=1) as manager:
        manager.notify = told.append
        manager.submit(hold.wait, 20)
        job = manager.submit(int)
        assert job.cancel()
        assert told == [job]
        hold.set()


def test_what_the_function_raises_is_logged_and_harms_nobody(manager, caplog):
    def bad(_job):
        return 1 / 0

    manager.notify = bad
    assert manager.submit(pow, 2, 3).get(20) == 8
    manager.shutdown(wait=True)
    assert "ZeroDivisionError" in caplog.text


def test_a_function_that_holds_the_manager_goes_with_it():
    manager = rjobs.JobManager()

    def told(_job, _manager=manager):
        pass

    manager.notify = told
    del told
    manager.submit(int).join(20)
    manager.shutdown()
    gone = weakref.ref(manager)
    del manager
    gc.collect()
    assert gone() is None


def test_live_in_a_script_is_a_line_on_stderr(python):
    run = python(
        "import rjobs, threading\n"
        "for work in (dict(func_or_exp=int, name='quick'), dict(func_or_exp=lambda: print('hello'))):\n"
        "    with rjobs.JobManager() as jobs:\n"  # its end waits for what is called at the end of jobs
        "        jobs.notify = 'live'\n"
        "        jobs.new(work.pop('func_or_exp'), **work)\n"
        "    for thread in threading.enumerate():\n"
        "        if thread.name == 'rjobs-news': thread.join()\n"
    )
    assert run.stdout == ""
    first, second = run.stderr.splitlines()
    assert first.startswith("rjobs: job 0 (quick) done in ")
    assert second.startswith("rjobs: job 0 done in ")


@pytest.mark.parametrize("first", ["", "import rjobs._news\n"])
def test_jobs_that_the_exit_ends_are_no_news(python, first):
    run = python(
        f"{first}import rjobs, time\n"
        "jobs = rjobs.JobManager(daemon=True)\n"
        "jobs.notify = 'live'\n"
        "running = [jobs.submit(time.sleep, 1000) for _ in range(3)]\n"
        "while not all(job.running() for job in running): time.sleep(0.01)\n"
    )
    assert run.stderr == ""


def test_the_line(manager):
    named = manager.new(int, name="a name\nof two lines")
    failed = [manager.new("1 / 0"), manager.new("int('x')"), manager.new("{}['key']")]
    done = [manager.submit(int) for _ in range(5)]
    manager.wait(timeout=20)
    gate = threading.Event()
    killed = manager.submit(gate.wait, 20)
    killed.kill()
    line = _news.line
    assert line([named]).startswith(r"rjobs: job 0 (a name\nof two lines) done in ")
    assert line(failed[:1]) == "rjobs: job 1 failed: ZeroDivisionError: division by zero -- more: jobs[1].traceback()"
    assert line(failed) == (
        "rjobs: 3 jobs failed: 1-3, the first with ZeroDivisionError: division by zero -- more: jobs[1].traceback()"
    )
    assert line([*done, killed]) == "rjobs: 5 jobs done: 4-8; job 9 killed"
    assert line([done[0], done[2], done[3]]) == "rjobs: 3 jobs done: 4, 6, 7"
    assert line([failed[0], named, *failed[1:2], done[0], killed]) == (
        "rjobs: 2 jobs done: 0, 4; job 1 failed: ZeroDivisionError: division by zero; job 2 failed: ValueError: "
        "invalid literal for int() with base 10: 'x'; job 9 killed -- more: jobs[1].traceback()"
    )


def test_what_a_job_raises_cannot_spoil_the_line(manager):
    class BadError(Exception):
        def __str__(self):
            raise SystemExit

    def bad():
        raise BadError

    def long():
        raise ValueError("\x1b[31m" + "x" * 10_000 + "\n\n")

    jobs = [manager.submit(bad), manager.submit(long)]
    manager.wait(timeout=20)
    text = _news.line(jobs)
    assert "BadError" in text
    assert len(text) < 400
    assert text.isprintable()


def test_who_takes_the_outcome_is_not_told_again(manager):
    seen, unseen, group = manager.submit(int), manager.submit(int), manager.map(str, [1])
    assert seen.get(20) == 0
    assert group.results(20) == ["1"]
    unseen.join(20)
    assert manager._newly_ended() == [unseen]
    assert manager._newly_ended() == []


def test_whose_end_was_seen_is_not_told_again(manager):
    hold = threading.Event()
    killed, ended = manager.submit(hold.wait, 20), manager.submit(hold.wait, 20)
    assert killed.kill(20)
    assert manager.kill_all(20)
    failed, shown, values, yielded = (manager.new("1 / 0") for _ in range(4))
    assert isinstance(failed.exception(20), ZeroDivisionError)
    shown.join(20)
    shown.traceback()
    with pytest.raises(ZeroDivisionError):
        list(values)
    assert next(manager.as_completed([yielded])) is yielded
    assert list(manager.map(str, range(3))) == ["0", "1", "2"]
    assert manager._newly_ended() == []
    # One that was only waited for is told of: nobody has seen how it ended.
    waited = manager.new("1 / 0")
    manager.wait([waited], 20)
    assert manager._newly_ended() == [waited]
    assert ended.state == "killed"
