"""The queue: priority=, ttl=, result_ttl=, max_queued= and what happens when it is full."""

import threading
import time

import pytest

import rjobs


def test_higher_priorities_run_first(single, held):
    held(single)
    order = []
    for name, priority in (("a", 0), ("low", -5), ("b", None), ("high", 3), ("higher", 30), ("high too", 3)):
        options = {} if priority is None else {"priority": priority}
        job = single.new(order.append, name, **options)
        assert job.priority == (priority or 0)
    held.go()
    single.wait()
    assert order == ["higher", "high", "high too", "a", "b", "low"]


@pytest.mark.parametrize("priority", ["high", 1.0, None, True, 2**40])
def test_what_is_no_priority(manager, priority):
    with pytest.raises((TypeError, ValueError), match="priority must be"):
        manager.new(int, priority=priority)
    assert len(manager) == 0


def test_one_that_waits_longer_than_its_ttl_expires(single, held):
    held(single)
    ran, ended = [], threading.Event()
    job = single.new(ran.append, 1, ttl=0.02)
    job.add_done_callback(lambda _: ended.set())
    assert ended.wait(10)
    assert job.state == "expired"
    with pytest.raises(rjobs.JobExpired, match=r"it waited in the queue for longer than its ttl of 0\.02 s"):
        job.get()
    held.go()
    single.wait()
    assert ran == []
    assert single.new(int, ttl=30).get(10) == 0


def test_ttl_counts_the_wait_for_other_jobs_and_not_the_run(manager, held):
    waits = manager.new(int, after=held(manager), ttl=0.02)
    assert isinstance(waits.exception(10), rjobs.JobExpired)
    assert manager.new(time.sleep, 0.1, ttl=0.05).get(10) is None


def test_a_record_is_forgotten_after_its_result_ttl(manager):
    kept, gone, at_once = (manager.new(int, result_ttl=ttl) for ttl in (None, 0.05, 0))
    assert [job.get(10) for job in (kept, gone, at_once)] == [0, 0, 0]
    deadline = time.monotonic() + 10
    while gone in manager or at_once in manager:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert kept in manager
    assert gone.get() == 0


@pytest.mark.parametrize("option", ["ttl", "result_ttl", "timeout"])
@pytest.mark.parametrize("value", [-1, float("nan"), "1", [], float("-inf")])
def test_times_that_make_no_sense(manager, option, value):
    with pytest.raises((TypeError, ValueError), match=f"{option} must be"):
        manager.new(int, **{option: value})
    assert len(manager) == 0


@pytest.mark.parametrize("option", ["ttl", "timeout"])
def test_a_time_of_zero(manager, option):
    with pytest.raises(ValueError, match=f"{option} must be more than 0 seconds"):
        manager.new(int, **{option: 0})


@pytest.fixture
def full(request):
    manager = rjobs.JobManager(1, max_queued=2, on_full=request.param)
    yield manager
    manager.shutdown(kill=True)


@pytest.mark.parametrize("full", ["reject"], indirect=True)
def test_a_full_queue_rejects_and_gives_the_work_back(full, held):
    held(full)
    queued = [full.submit(int) for _ in range(2)]
    with pytest.raises(rjobs.QueueFull, match="2 jobs wait already") as caught:
        full.submit(divmod, 7, y=2)
    assert caught.value.work == (divmod, (7,), {"y": 2})
    with pytest.raises(rjobs.QueueFull) as caught:
        full.new("1 + 1")
    assert caught.value.work[0] == "1 + 1"
    assert len(full) == 3
    queued[0].cancel()
    replacement = full.submit(int)
    held.go()
    assert replacement.get(10) == 0


@pytest.mark.parametrize("full", ["block"], indirect=True)
def test_a_full_queue_makes_who_submits_wait(full, held):
    held(full)
    for _ in range(2):
        full.submit(int)
    submitted = threading.Event()

    def submit():
        job = full.submit(str)
        submitted.set()
        return job.get(10)

    other = rjobs.JobManager()
    waiting = other.submit(submit)
    assert not submitted.wait(0.05)
    held.go()
    assert waiting.get(10) == ""
    other.shutdown()


@pytest.mark.parametrize("full", ["block"], indirect=True)
def test_who_waits_for_room_can_be_killed_and_is_told_of_the_end(full, held):
    held(full)
    for _ in range(2):
        full.submit(int)
    other = rjobs.JobManager()
    killed, closed = other.submit(full.submit, int), other.submit(full.submit, int)
    while not (killed.running() and closed.running()):
        killed.join(0.001)
    assert killed.kill()
    full.shutdown(wait=False)
    assert isinstance(closed.exception(10), rjobs.ManagerClosed)
    held.go()
    full.shutdown()
    other.shutdown()


@pytest.mark.parametrize("full", ["block"], indirect=True)
def test_jobs_and_callbacks_never_wait_for_room(full):
    """They would wait for themselves."""

    def fan_out():
        return [full.submit(int, text) for text in "12345"]

    job = full.submit(fan_out)
    seen = []
    job.add_done_callback(lambda _: seen.extend(full.submit(int) for _ in range(5)))
    assert [part.get(10) for part in job.get(10)] == [1, 2, 3, 4, 5]
    full.shutdown()
    assert [part.state for part in seen] == ["done"] * 5


@pytest.mark.parametrize("full", ["block", "reject"], indirect=True)
def test_a_hundred_threads_at_a_full_queue(full):
    """Nothing is lost: each call is run, or was refused."""
    ran, refused, lock = [], [], threading.Lock()

    def submit(number):
        for each in range(20):
            try:
                full.submit(ran.append, (number, each))
            except rjobs.QueueFull as error:
                with lock:
                    refused.append(error.work[1][0])

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    full.shutdown()
    assert sorted(ran + refused) == [(number, each) for number in range(100) for each in range(20)]
    assert not (refused and full.max_workers != 1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_queued": 0}, ValueError),
        ({"max_queued": -1}, ValueError),
        ({"max_queued": 1.5}, TypeError),
        ({"on_full": "drop"}, ValueError),
    ],
)
def test_bounds_that_make_no_sense(options, error):
    with pytest.raises(error):
        rjobs.JobManager(**options)
