"""Whom a kill hits: the job that is meant, wherever it is and whoever asks, and nobody else."""

import threading

import pytest

import rjobs


@pytest.fixture
def go():
    """Lets the jobs of a test go at its end."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def start(manager, go):
    """Starts `work(started, go)`; returns the job once it has said that it runs."""

    def start(work, on=manager):
        started = threading.Event()
        job = on.submit(work, started, go)
        assert started.wait(10)
        return job

    return start


def spin(started, go):
    started.set()
    while not go.is_set():
        pass


def test_a_queued_job_is_killed_without_ever_running(single, start):
    ran = []
    start(spin, on=single)
    queued = single.submit(ran.append, 1)
    assert queued.kill() is True
    assert queued.state == "killed"
    assert queued.started_at is None
    assert single[0].kill()
    assert single.submit(int).get(5) == 0
    assert ran == []


@pytest.mark.parametrize("how", ["done", "failed", "cancelled", "killed"])
def test_to_kill_what_has_ended_changes_nothing(single, start, manager, how):
    held = start(spin, on=single)
    match how:
        case "done":
            job = manager.submit(int)
        case "failed":
            job = manager.submit(int, "x")
        case "cancelled":
            job = single.submit(int)
            job.cancel()
        case "killed":
            job = held
            job.kill()
    job.join(5)
    before = job.to_dict()
    assert job.kill() is True
    assert job.kill(0, exc=SystemExit) is True
    assert job.to_dict() == before


def test_a_kill_hits_no_other_job(single, go):
    for number in range(100):
        started = threading.Event()
        victim = single.submit(spin, started, go)
        follower = single.submit(lambda number: [number for _ in range(100)][-1], number)
        assert started.wait(5)
        victim.kill(0)
        assert follower.get(5) == number
        # On a busy machine it may be taken for one in native code, and another worker run the follower.
        victim.join(5)
        assert victim.state == "killed"


def test_kills_as_jobs_end_hit_nobody(single):
    # The job ends by itself while it is killed; the ones after it on the same thread must not notice.
    states = set()
    for number in range(300):
        short, following = single.submit(sum, range(50)), single.submit(lambda number: number + 1, number)
        short.kill(0)
        assert following.get(5) == number + 1
        states.add(short.state)
    assert states <= {"done", "killed"}


def test_a_kill_does_not_reach_the_callbacks(single, go, start):
    landed, ended = [], threading.Event()

    def callback(job):
        try:
            job.kill(0)
            for _ in range(1000):
                pass
        except BaseException as error:
            landed.append(error)
        ended.set()

    job = start(spin, on=single)
    job.add_done_callback(callback)
    job.kill(0)
    assert ended.wait(5)
    assert landed == []
    assert single.submit(int).get(5) == 0


def test_another_worker_goes_on_after_a_kill(single, start):
    def thread():
        return threading.current_thread()

    first = single.submit(thread).get(5)
    job = start(spin, on=single)
    job.kill()
    assert single.submit(thread).get(5) is not first
    assert single.workers == 1


def test_a_job_may_kill_itself(manager):
    after = []

    def suicidal():
        rjobs.current_job().kill()
        after.append(1)

    job = manager.submit(suicidal)
    with pytest.raises(rjobs.JobKilled):
        job.get(5)
    assert job.state == "killed"
    assert after == []


def test_a_job_may_kill_another(manager, start):
    victim = start(spin)
    assert manager.submit(victim.kill).get(5) is True
    assert victim.state == "killed"


def test_a_job_that_waits_for_another_can_be_killed(manager, start):
    other = start(spin)
    waiting = threading.Event()

    def waiter():
        waiting.set()
        other.get()

    job = manager.submit(waiter)
    assert waiting.wait(5)
    assert job.kill() is True
    assert job.state == "killed"
    assert other.running()


@pytest.mark.parametrize("block", ["join", "wait", "as_completed", "follow"])
def test_whatever_of_ours_a_job_blocks_in_a_kill_ends_it(manager, start, block):
    other = start(spin)
    waiting = threading.Event()
    calls = {
        "join": other.join,
        "wait": lambda: manager.wait([other]),
        "as_completed": lambda: next(manager.as_completed([other])),
        "follow": lambda: list(other.follow()),
    }

    def waiter():
        waiting.set()
        calls[block]()

    job = manager.submit(waiter)
    assert waiting.wait(5)
    assert job.kill() is True
    assert job.state == "killed"


def test_a_manager_kills_by_number_or_job(manager, start):
    first, second = start(spin), start(spin)
    assert manager.kill(0) is True
    assert manager.kill(second, timeout=5, exc=SystemExit) is True
    assert [first.state, second.state] == ["killed", "killed"]
    with pytest.raises(SystemExit):
        second.get()


def test_kill_all_ends_what_runs_and_what_waits(single, start):
    ran = []
    running = start(spin, on=single)
    queued = [single.submit(ran.append, n) for n in range(5)]
    assert single.kill_all() is True
    assert [job.state for job in (running, *queued)] == ["killed"] * 6
    assert ran == []
    assert single.running == []
    assert single.submit(int).get(5) == 0


def test_kill_all_leaves_ended_jobs_alone(manager, start):
    done = manager.submit(int)
    done.join(5)
    start(spin)
    assert manager.kill_all() is True
    assert done.state == "done"
    assert rjobs.JobManager().kill_all() is True


def test_kill_all_called_by_a_job_ends_that_one_too(manager, start):
    others = [start(spin) for _ in range(3)]
    job = manager.submit(manager.kill_all)
    job.join(5)
    manager.wait(others, 5)
    assert job.state == "killed"
    assert [other.state for other in others] == ["killed"] * 3


def test_many_may_kill_one_job_at_once(manager, start):
    job = start(spin)
    got = []
    killers = [threading.Thread(target=lambda: got.append(job.kill())) for _ in range(10)]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join(10)
    assert got == [True] * 10
    assert job.state == "killed"
    assert manager.submit(int).get(5) == 0
