"""Waiting for many: `wait` and `as_completed`."""

import threading

import pytest

import rjobs


@pytest.fixture
def stepwise(manager):
    """Jobs that end one by one, when their event is set."""
    events = [threading.Event() for _ in range(3)]
    jobs = [manager.submit(event.wait, 10) for event in events]
    yield jobs, events
    for event in events:
        event.set()


def test_wait_waits_for_all(stepwise, manager):
    jobs, events = stepwise
    threading.Timer(0.01, lambda: [event.set() for event in events]).start()
    done, not_done = manager.wait(jobs, timeout=10)
    assert done == jobs
    assert not_done == []


def test_what_wait_returns_has_names(manager):
    waited = manager.wait([manager.submit(int)])
    assert waited.done == [manager[0]]
    assert waited.not_done == []
    assert waited == ([manager[0]], [])


def test_when_time_runs_out_wait_says_who_is_missing(stepwise, manager):
    jobs, events = stepwise
    events[1].set()
    jobs[1].join(5)
    for timeout in (0, 0.01, -1):
        done, not_done = manager.wait(jobs, timeout)
        assert done == [jobs[1]]
        assert not_done == [jobs[0], jobs[2]]


def test_wait_for_the_first(stepwise, manager):
    jobs, events = stepwise
    threading.Timer(0.01, events[2].set).start()
    done, not_done = manager.wait(jobs, timeout=10, return_when="FIRST_COMPLETED")
    assert done == [jobs[2]]
    assert not_done == jobs[:2]


def test_wait_for_the_first_does_not_wait_where_one_has_ended(stepwise, manager):
    jobs, _ = stepwise
    ended = manager.submit(int)
    ended.join(5)
    assert manager.wait([*jobs, ended], 10, "FIRST_COMPLETED").done == [ended]


def test_wait_for_trouble(stepwise, manager):
    jobs, events = stepwise
    failing = manager.submit(lambda: events[1].wait(10) / 0)
    threading.Timer(0.01, events[0].set).start()
    threading.Timer(0.02, events[1].set).start()
    done, not_done = manager.wait([*jobs, failing], timeout=10, return_when="FIRST_EXCEPTION")
    assert failing in done
    assert jobs[2] in not_done


@pytest.mark.parametrize("trouble", ["failed", "killed", "cancelled"])
def test_any_end_but_done_is_trouble(hold, single, trouble):
    held = hold(on=single)
    match trouble:
        case "failed":
            bad = hold.manager.submit(int, "x")
        case "killed":
            bad = hold()
            bad.kill()
        case "cancelled":
            bad = single.submit(int)
            bad.cancel()
    bad.join(5)
    assert hold.manager.wait([held, bad], 10, "FIRST_EXCEPTION") == ([bad], [held])
    assert hold.manager.wait([bad, held], 10, "FIRST_EXCEPTION") == ([bad], [held])


def test_without_trouble_wait_for_trouble_waits_for_all(stepwise, manager):
    jobs, events = stepwise
    events[0].set()
    events[1].set()
    assert manager.wait(jobs, 0.02, "FIRST_EXCEPTION").not_done == [jobs[2]]
    events[2].set()
    assert manager.wait(jobs, 10, "FIRST_EXCEPTION").not_done == []


def test_wait_takes_numbers_and_jobs_and_each_but_once(stepwise, manager):
    jobs, events = stepwise
    for event in events:
        event.set()
    assert manager.wait([0, jobs[0], jobs[2], 2, 0]).done == [jobs[0], jobs[2]]


def test_wait_takes_any_iterable(manager):
    jobs = [manager.submit(int) for _ in range(3)]
    assert manager.wait(iter(jobs)).done == jobs
    assert set(manager.wait(set(jobs)).done) == set(jobs)
    assert manager.wait(manager).done == jobs
    assert manager.wait([]) == ([], [])
    assert manager.wait([], return_when="FIRST_COMPLETED") == ([], [])


def test_without_jobs_wait_is_for_all_that_have_not_ended(stepwise, manager):
    jobs, events = stepwise
    events[0].set()
    jobs[0].join(5)
    assert manager.wait(timeout=0).not_done == jobs[1:]
    for event in events:
        event.set()
    manager.wait(timeout=10)
    assert manager.running == []


def test_queued_jobs_are_waited_for_too(single, hold):
    hold(on=single)
    queued = [single.submit(int) for _ in range(3)]
    assert single.wait(timeout=0).not_done == list(single)
    hold.go.set()
    assert single.wait(queued, 5).done == queued


def test_a_job_of_another_manager_can_be_waited_for(manager, single):
    job = single.submit(int)
    assert manager.wait([job], 5).done == [job]
    assert list(manager.as_completed([job], 5)) == [job]


def test_a_job_that_was_removed_can_be_waited_for(manager):
    job = manager.submit(int)
    job.join(5)
    manager.remove(job)
    assert manager.wait([job], 5).done == [job]
    with pytest.raises(rjobs.UnknownJob):
        manager.wait([job.num], 5)


@pytest.mark.parametrize("wait", ["wait", "as_completed"])
@pytest.mark.parametrize(
    ("jobs", "error"),
    [
        ([99], rjobs.UnknownJob),
        (["x"], rjobs.UnknownJob),
        ("x", TypeError),
        ([None], TypeError),
        (3, TypeError),
        ([True], TypeError),
    ],
)
def test_what_is_no_job_cannot_be_waited_for(manager, wait, jobs, error):
    manager.submit(int)
    manager.submit(int)
    with pytest.raises(error):
        getattr(manager, wait)(jobs)


@pytest.mark.parametrize("how", ["all", "", "first_completed", "a\nb"])
def test_an_unknown_return_when_is_an_error(manager, how):
    with pytest.raises(ValueError, match="return_when must be 'ALL_COMPLETED', 'FIRST_COMPLETED' or 'FIRST_EXCEPTION'"):
        manager.wait([], return_when=how)


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (float("nan"), ValueError)])
@pytest.mark.parametrize("wait", ["wait", "as_completed"])
def test_a_time_out_that_is_none_says_so(manager, wait, timeout, error):
    with pytest.raises(error, match="timeout must be a number of seconds or None"):
        getattr(manager, wait)([], timeout)


def test_the_constants_of_concurrent_futures_are_understood(manager):
    from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

    job = manager.submit(int)
    for how in (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION):
        assert manager.wait([job], 5, how).done == [job]


def test_as_completed_gives_jobs_as_they_end(stepwise, manager):
    jobs, events = stepwise
    ending = manager.as_completed(jobs, timeout=10)
    order = []
    for index in (2, 0, 1):
        events[index].set()
        order.append(next(ending))
    assert order == [jobs[2], jobs[0], jobs[1]]
    with pytest.raises(StopIteration):
        next(ending)
    with pytest.raises(StopIteration):
        next(ending)


def test_as_completed_blocks_until_the_next_one_ends(stepwise, manager):
    jobs, events = stepwise
    threading.Timer(0.01, events[1].set).start()
    assert next(manager.as_completed(jobs, timeout=10)) is jobs[1]


def test_as_completed_begins_with_those_that_have_ended(stepwise, manager):
    jobs, events = stepwise
    ended = [manager.submit(int), manager.submit(int, "x")]
    manager.wait(ended)
    ending = manager.as_completed([jobs[0], ended[1], jobs[1], ended[0]])
    assert [next(ending), next(ending)] == [ended[1], ended[0]]
    events[1].set()
    assert next(ending) is jobs[1]


def test_as_completed_gives_each_job_once(manager):
    jobs = [manager.submit(int) for _ in range(50)]
    given = list(manager.as_completed([*jobs, *jobs, 0, 1], timeout=10))
    assert len(given) == 50
    assert set(given) == set(jobs)


def test_without_jobs_as_completed_is_for_all_that_have_not_ended(stepwise, manager):
    jobs, events = stepwise
    manager.submit(int).join(5)
    ending = manager.as_completed(timeout=10)
    for event in events:
        event.set()
    assert sorted(job.num for job in ending) == [job.num for job in jobs]


def test_as_completed_counts_its_time_from_the_call(stepwise, manager):
    jobs, events = stepwise
    ending = manager.as_completed(jobs, timeout=0.02)
    events[0].set()
    assert next(ending) is jobs[0]
    with pytest.raises(TimeoutError, match="2 of 3 jobs") as raised:
        next(ending)
    assert type(raised.value) is TimeoutError
    assert all(job.running() for job in jobs[1:])


def test_as_completed_gives_jobs_that_end_badly(single, hold):
    held = hold(on=single)
    cancelled, killed = single.submit(int), single.submit(int)
    ending = single.as_completed([killed, cancelled, held], timeout=10)
    cancelled.cancel()
    killed.kill()
    held.kill(0)
    assert [job.state for job in ending] == ["cancelled", "killed", "killed"]


def test_several_threads_may_draw_from_one_iterator(stepwise, manager):
    jobs, events = stepwise
    ending = manager.as_completed(jobs, timeout=10)
    got = []
    threads = [threading.Thread(target=lambda: got.extend(ending)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for event in events:
        event.set()
    for thread in threads:
        thread.join(10)
    assert sorted(job.num for job in got) == [job.num for job in jobs]


def test_an_iterator_that_is_given_up_leaves_nothing_behind(stepwise, manager, is_gone):
    jobs, events = stepwise
    ending = manager.as_completed(jobs)
    events[0].set()
    next(ending)
    del ending
    for event in events:
        event.set()
    assert manager.wait(jobs, 10).done == jobs


def test_waiting_jobs_do_not_stand_in_each_others_way(manager):
    first = threading.Event()
    below = manager.submit(first.wait, 10)
    layers = [below]
    for _ in range(20):
        layers.append(manager.submit(lambda job: job.get(10), layers[-1]))
    first.set()
    assert layers[-1].get(10) is True


def test_a_thousand_waiters_are_all_told(manager, hold):
    job = hold("value")
    got = [manager.submit(job.get, 10) for _ in range(manager.max_workers - 1)]
    hold.go.set()
    assert [waiting.get(10) for waiting in got] == ["value"] * len(got)
