"""Which job is meant: by number, from the end, by name, by itself; and what is done to several at once."""

import functools
import inspect
import threading

import pytest

import rjobs


def work(x=0):
    return x


def ended(job):
    assert job.wait(10) is True
    return job


def test_the_newest_of_a_name_is_meant_by_it(manager):
    first, second = manager.new(int, name="load"), manager.new(int, name="load")
    other = manager.new(int, name="other")
    assert manager["load"] is second
    assert manager["other"] is other
    ended(second)
    manager.remove(second)
    assert manager["load"] is first
    assert "load" in manager
    assert "lod" not in manager


def test_jobs_without_a_name_have_that_of_their_function_or_the_code(manager):
    jobs = [
        manager.submit(work),
        manager.submit(functools.partial(work, 1)),
        manager.new("1 + 1"),
        manager.map(work, [1], [2]),
        manager.map(len, ["a"]),
        manager.shell("exit 0"),
    ]
    assert manager["1 + 1"] is jobs[2]
    assert manager["work"] is jobs[3]
    assert manager["len"] is jobs[4]
    assert manager["exit 0"] is jobs[5]
    manager.wait(timeout=10)


def test_numbers_below_zero_count_from_the_newest_that_is_kept(manager):
    jobs = [ended(manager.submit(work)) for _ in range(4)]
    assert [manager[-n] for n in (1, 2, 3, 4)] == jobs[::-1]
    manager.remove(3, 1)
    assert [manager[-1], manager[-2]] == [jobs[2], jobs[0]]
    assert manager[2] is jobs[2]
    with pytest.raises(rjobs.UnknownJob, match="there are 2 jobs, and -1 is the newest"):
        manager[-3]
    manager.flush()
    with pytest.raises(LookupError, match="there are 0 jobs"):
        manager[-1]
    # A number of a job is never negative.
    manager.submit(work)
    assert -1 not in manager


@pytest.mark.parametrize("ask", ["__getitem__", "kill", "remove", "result", "traceback"])
def test_all_that_takes_a_job_takes_each_way_to_mean_it(manager, ask):
    for key in ("named", -1, 1, None):
        ended(manager.new(int))
        job = ended(manager.new(work, 7, name="named"))
        getattr(manager, ask)({None: job, 1: job.num}.get(key, key))
        assert (job in manager) is (ask != "remove")
        manager.flush()


def test_a_name_that_nobody_has_is_unknown_and_the_closest_are_offered(manager):
    ended(manager.new(int, name="download"))
    with pytest.raises(rjobs.UnknownJob, match="no job here has the name 'dwonload': did you mean 'download'"):
        manager["dwonload"]
    with pytest.raises(rjobs.UnknownJob) as raised:
        manager["something else"]
    assert str(raised.value) == "no job here has the name 'something else'"
    with pytest.raises(rjobs.UnknownJob, match=r"a number has no quotes, jobs\[0\]"):
        manager["0"]
    with pytest.raises(rjobs.UnknownJob, match="no job here has the name ''"):
        manager[""]


def test_a_job_that_is_not_kept_here_is_told_from_one_that_is_anothers(manager):
    job = ended(manager.submit(work))
    manager.remove(job)
    for key in (job, job.num):
        with pytest.raises(rjobs.UnknownJob, match="not known here any more: it was removed"):
            manager[key]
    with pytest.raises(rjobs.UnknownJob, match="another manager's"):
        manager[ended(rjobs.JobManager().submit(work))]
    with pytest.raises(rjobs.UnknownJob, match="job 1 is not known here: see"):
        manager[1]


def test_a_slice_is_refused_with_what_to_write(manager):
    ended(manager.submit(work))
    with pytest.raises(TypeError, match=r"not by slice: list\(jobs\)\[-3:\]"):
        manager[0:1]


def test_wait_of_a_job_says_whether_it_has_ended(manager):
    go = threading.Event()
    job = manager.submit(go.wait, 10)
    assert job.wait(0.01) is False
    assert job.wait(timeout=0) is False
    go.set()
    assert job.wait() is True
    bad = manager.submit(int, "x")
    assert bad.wait(10) is True
    assert bad.state == "failed"
    assert "wait" in inspect.getdoc(rjobs.Job.wait).lower()


def test_a_job_may_wait_for_another_by_wait(manager):
    first = manager.submit(work, 1)
    assert manager.submit(first.wait).get(10) is True


@pytest.fixture
def forever():
    """Starts jobs that run until they are killed."""
    stop = threading.Event()
    started = []

    def start(manager):
        begun = threading.Event()
        job = manager.submit(lambda: (begun.set(), stop.wait()))
        assert begun.wait(10)
        started.append(job)
        return job

    yield start
    stop.set()


def test_kill_ends_all_that_it_is_given(manager, forever):
    jobs = [forever(manager) for _ in range(4)]
    assert manager.kill(0, 1) is True
    assert [job.state for job in jobs] == ["killed", "killed", "running", "running"]
    # 0 and 1 are jobs, wherever they stand; the time-out has a name.
    assert manager.kill(jobs[2], -1, 0, timeout=10) is True
    assert [job.state for job in jobs] == ["killed"] * 4


def test_kill_of_several_is_one_wait_for_all(manager, deaf):
    job = deaf()
    group = manager.map(threading.Event().wait, [60, 60])
    assert manager.kill(job, group, timeout=0.01) is False
    assert job.kill_pending
    deaf.go()
    assert manager.kill(job, group, timeout=10) is True
    assert job.done()
    assert group.state == "killed"


def test_nothing_is_killed_when_one_of_them_is_unknown(manager, forever):
    job = forever(manager)
    for wrong in (99, "nobody", 5.0, None, SystemExit, [1], True):
        with pytest.raises((rjobs.UnknownJob, TypeError)):
            manager.kill(job, wrong)
    assert job.running()
    with pytest.raises(TypeError, match=r"the time-out and the class go by their names, kill\(job, timeout=5.0"):
        manager.kill(0, 5.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'job'"):
        manager.kill()
    assert job.kill() is True


def test_a_job_that_kills_itself_among_others_ends_them_too(manager, forever):
    other = forever(manager)
    job = manager.submit(lambda: manager.kill(rjobs.current_job(), other))
    assert job.wait(10)
    assert other.wait(10)
    assert (job.state, other.state) == ("killed", "killed")


def test_queued_jobs_that_are_killed_never_start_in_the_place_of_others(single):
    ran, go = [], threading.Event()
    running = single.submit(go.wait, 10)
    queued = [single.submit(ran.append, n) for n in range(3)]
    assert single.kill(running, *queued) is True
    assert [job.state for job in (running, *queued)] == ["killed"] * 4
    assert ran == []
