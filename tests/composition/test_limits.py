"""limit(): how many jobs of a name run at once, and how many start in a second; and every()."""

import threading
import time

import pytest

import rjobs


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self):
        self.lock, self.inside, self.most, self.starts = threading.Lock(), 0, 0, []

    def __call__(self, seconds=0.005):
        with self.lock:
            self.starts.append(time.monotonic())
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(seconds)
        with self.lock:
            self.inside -= 1


def test_no_more_run_at_once_than_the_limit_lets(manager):
    manager.limit("api", concurrency=3)
    crowd = Crowd()
    jobs = [manager.new(crowd, limit="api") for _ in range(40)]
    free = [manager.new(int) for _ in range(10)]
    manager.wait(jobs + free, 20)
    assert crowd.most == 3
    assert {job.state for job in jobs} == {"done"}
    assert manager.limits == {"api": (0, 0)}


def test_waiting_for_a_limit_holds_no_worker(single, held):
    single.limit("one", concurrency=1)
    other = rjobs.JobManager()
    other.limit("one", concurrency=1)
    running = held(other.options(limit="one"), 1)
    waits = other.new(int, limit="one")
    assert (waits.state, waits.waiting_for) == ("queued", "limit")
    assert other.limits == {"one": (1, 1)}
    assert other.submit(str).get(10) == ""
    held.go()
    assert (running.get(10), waits.get(10)) == (1, 0)
    other.shutdown()


def test_starts_are_spread_at_the_rate(manager):
    manager.limit("api", rate=100)
    crowd = Crowd()
    jobs = [manager.new(crowd, 0, limit="api") for _ in range(21)]
    manager.wait(jobs, 20)
    # Twenty steps of 10 ms; how much longer is the machine's affair.
    assert max(crowd.starts) - min(crowd.starts) > 0.18


def test_a_job_with_two_limits_needs_both(manager, held):
    manager.limit("a", concurrency=1)
    manager.limit("b", concurrency=1)
    held(manager.options(limit="a"))
    both = manager.new(int, limit=["b", "a"])
    assert both.waiting_for == "limit"
    # It takes nothing while it waits.
    assert manager.new(int, limit="b").get(10) == 0
    held.go()
    assert both.get(10) == 0


def test_a_limit_can_be_changed(manager, held):
    manager.limit("api", concurrency=1)
    held(manager.options(limit="api"))
    waits = manager.new(int, limit="api")
    assert waits.waiting_for == "limit"
    manager.limit("api", concurrency=2)
    assert waits.get(10) == 0


def test_those_that_end_while_they_wait_take_no_place(manager, held, until):
    manager.limit("api", concurrency=1)
    held(manager.options(limit="api"))
    waiting = [manager.new(int, limit="api", ttl=None if i % 3 else 0.01) for i in range(30)]
    for job in waiting[1::3]:
        assert job.cancel()
    for job in waiting[::3]:
        assert isinstance(job.exception(10), rjobs.JobExpired)
    # The last of them is told of before it is struck off.
    until(lambda: manager.limits == {"api": (1, 10)})
    held.go()
    assert {job.get(10) for job in waiting[2::3]} == {0}
    manager.wait()
    assert manager.limits == {"api": (0, 0)}


def test_failed_and_killed_jobs_give_their_places_back(manager):
    manager.limit("api", concurrency=2)
    jobs = []
    for _ in range(60):
        jobs.append(manager.new(time.sleep, 60, limit="api"))
        jobs.append(manager.new("1 / 0", limit="api"))
        jobs[-2].kill(0)
    manager.wait(jobs, 30)
    assert all(job.done() for job in jobs)
    assert manager.new(int, limit="api").get(10) == 0
    manager.wait()
    assert manager.limits == {"api": (0, 0)}


def test_higher_priorities_pass_a_limit_first(manager, held):
    manager.limit("api", concurrency=1)
    held(manager.options(limit="api"))
    order = []
    for name, priority in (("plain", 0), ("low", -1), ("high", 1)):
        manager.new(order.append, name, limit="api", priority=priority)
    held.go()
    manager.wait()
    assert order == ["high", "plain", "low"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, TypeError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": -2}, ValueError),
        ({"concurrency": 1.5}, TypeError),
        ({"rate": 0}, ValueError),
        ({"rate": -1}, ValueError),
        ({"rate": float("nan")}, ValueError),
        ({"rate": "fast"}, TypeError),
        ({"rate": 1e-300}, ValueError),
    ],
)
def test_limits_that_make_no_sense(manager, options, error):
    with pytest.raises(error):
        manager.limit("api", **options)
    with pytest.raises(ValueError, match="there is no limit 'api': there is none yet"):
        manager.new(int, limit="api")
    manager.limit("other", rate=1e300, concurrency=10**30)
    with pytest.raises(ValueError, match="there is no limit 'api': there are other"):
        manager.new(int, limit="api")
    with pytest.raises(TypeError, match="limit must be"):
        manager.new(int, limit=3)


def test_every_runs_again_and_again_as_one_job(manager):
    ran = threading.Semaphore(0)
    job = manager.every(0.01, ran.release)
    for _ in range(4):
        assert ran.acquire(timeout=10)
    assert len(manager) == 1
    while job.waiting_for != "schedule":
        job.join(0.001)
    assert job.runs >= 4
    assert job.next_run_at is not None
    assert job.kill()
    assert job.state == "killed"
    while ran.acquire(blocking=False):
        pass
    assert not ran.acquire(timeout=0.05)


def test_runs_are_on_a_grid_and_never_overlap(manager):
    crowd = Crowd()
    job = manager.every(0.02, crowd, 0.03)
    while job.runs < 6:
        job.join(0.002)
    job.kill()
    assert crowd.most == 1
    # Each takes longer than one period, so every second time is left out; and nothing adds up.
    offsets = [start - crowd.starts[0] for start in crowd.starts]
    # 0.2 s on the grid, 0.15 if they ran one after the other; the first may begin late.
    assert offsets[5] > 0.175


def test_a_run_that_fails_does_not_end_it(manager):
    calls = []

    def fails():
        calls.append(1)
        raise ValueError(f"run {len(calls)}")

    job = manager.options(name="poll").every(0.005, fails)
    while len(calls) < 3:
        job.join(0.001)
    assert job.name == "poll"
    assert "ValueError: run 1" in job.output
    assert job.cancel() or job.kill()


def test_a_kill_during_a_run_ends_it(manager):
    started = threading.Event()

    def slow():
        started.set()
        time.sleep(60)

    job = manager.every(0.01, slow)
    assert started.wait(10)
    assert job.kill()
    assert (job.state, job.runs) == ("killed", 1)


def test_shutdown_ends_what_is_periodic(manager):
    ran = threading.Event()
    job = manager.every(3600, ran.set)
    assert ran.wait(10)
    manager.shutdown()
    assert job.done()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), None, "1", float("inf")])
def test_periods_that_make_no_sense(manager, seconds):
    with pytest.raises((TypeError, ValueError)):
        manager.every(seconds, int)
    with pytest.raises(TypeError, match="a job is a callable"):
        manager.every(1, "code")
    assert len(manager) == 0
