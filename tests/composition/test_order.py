"""Jobs that come after jobs: after=, then, chain, and what a job that did not succeed does to them."""

import sys

import pytest

import rjobs


def boom():
    raise ValueError("boom")


def test_a_job_starts_when_the_jobs_it_comes_after_are_done(manager, held):
    first, second = held(manager, 1), held(manager, 2)
    last = manager.new(lambda: (first.state, second.state), after=[first, second.num])
    assert (last.state, last.waiting_for) == ("queued", "jobs")
    held.go()
    assert last.get(10) == ("done", "done")
    assert last.waiting_for is None


def test_after_takes_a_job_a_number_or_any_iterable_of_them(manager):
    first = manager.submit(int)
    for after in (first, first.num, [first], iter([first.num]), (first, first), {first}, [], None):
        assert manager.new(str, after=after).get(10) == ""


def test_then_passes_the_result_on(manager, held):
    job = held(manager, 20)
    after = job.then(divmod, 7).then(lambda pair, scale, *, plus: pair[1] * scale + plus, 10, plus=1)
    assert after.state == "queued"
    held.go()
    assert after.get(10) == 61
    assert job.then(str).get(10) == "20"


def test_then_belongs_to_the_same_manager_and_is_in_its_table(manager):
    job = manager.submit(int)
    follower = job.then(str)
    assert manager[follower.num] is follower
    assert follower.get(10) == "0"


def test_a_chain_gives_its_last_job(manager):
    last = manager.chain(lambda: 2, lambda x: x * 10, str)
    assert last.get(10) == "20"
    assert len(manager) == 3
    assert manager.options(name="step").chain(int, str).name == "step"


def test_what_comes_after_a_failure_is_skipped_with_the_cause(manager):
    first = manager.submit(boom)
    ran = []
    second = first.then(ran.append)
    third = second.then(ran.append)
    for job in (second, third):
        with pytest.raises(
            rjobs.JobSkipped, match=r"was skipped: it comes after job 0 \('boom'\), which is failed"
        ) as caught:
            job.get(10)
        assert caught.value.__cause__ is first.exception()
        assert job.state == "skipped"
        assert job.finished is None
    assert isinstance(third.exception(), rjobs.JobSkipped)
    assert ran == []


@pytest.mark.parametrize("how", ["kill", "cancel", "timeout"])
def test_any_end_but_done_skips(single, held, how):
    if how == "timeout":
        first = held(single.options(timeout=0.01))
    else:
        held(single)
        first = single.submit(int)
    second = first.then(str)
    if how != "timeout":
        getattr(first, how)()
    with pytest.raises(rjobs.JobSkipped) as caught:
        second.get(10)
    assert type(caught.value.__cause__).__name__ in ("JobKilled", "JobTimeout", "CancelledError")


def test_one_of_several_is_enough_and_the_others_go_on(manager, held):
    good, bad = held(manager), manager.submit(boom)
    last = manager.new(int, after=[good, bad])
    with pytest.raises(rjobs.JobSkipped):
        last.get(10)
    assert good.running()
    held.go()
    assert good.get(10) is None
    assert last.state == "skipped"


def test_one_that_waits_can_be_cancelled_and_killed(manager, held):
    first = held(manager, 1)
    cancelled, killed, left = first.then(str), first.then(str), first.then(str)
    assert cancelled.cancel()
    assert killed.kill()
    held.go()
    assert left.get(10) == "1"
    assert (cancelled.state, killed.state) == ("cancelled", "killed")


def test_callbacks_futures_and_waits_hear_of_a_skipped_job(manager, held):
    first = manager.new(boom, after=held(manager))
    second = first.then(str)
    heard = []
    second.add_done_callback(lambda job: heard.append(job.state))
    future = second.future
    held.go()
    done, not_done = manager.wait([second], 10)
    assert (done, not_done) == ([second], [])
    assert isinstance(future.exception(10), rjobs.JobSkipped)
    assert heard == ["skipped"]


def test_a_job_of_another_manager_and_a_forgotten_one_are_as_good(manager, single):
    other = single.submit(boom)
    other.join(10)
    with pytest.raises(rjobs.JobSkipped):
        manager.new(int, after=other).get(10)
    done = manager.submit(int)
    done.get(10)
    manager.remove(done)
    assert manager.new(int, after=done).get(10) == 0
    with pytest.raises(rjobs.UnknownJob, match=f"job {done.num} is not known"):
        manager.new(int, after=done.num)


@pytest.mark.parametrize("after", ["x", 1.5, object(), [None], True, ["0"]])
def test_what_is_no_job_is_refused_at_once(manager, after):
    with pytest.raises((TypeError, rjobs.UnknownJob)):
        manager.new(int, after=after)
    assert len(manager) == 0


def test_chains_and_thens_of_what_cannot_be_called(manager):
    for steps in ((), (int, 3), (int, "str")):
        with pytest.raises(TypeError):
            manager.chain(*steps)
    assert len(manager) == 0
    with pytest.raises(TypeError, match="a job is a callable"):
        manager.submit(int).then(3)


def test_ten_thousand_in_a_row(manager, held):
    """Neither the way of a result nor that of a failure goes deeper with each job."""
    good = held(manager, 0)
    bad = manager.new(boom, after=good)
    last_good, last_bad = good, bad
    for _ in range(10_000):
        last_good, last_bad = last_good.then(int.__add__, 1), last_bad.then(str)
    held.go()
    assert last_good.get(30) == 10_000
    with pytest.raises(rjobs.JobSkipped):
        last_bad.get(30)


def test_shutdown_waits_for_what_waits(manager, held):
    last = held(manager, 3).then(str)
    manager.shutdown(wait=False)
    with pytest.raises(rjobs.ManagerClosed):
        manager.submit(int)
    held.go()
    manager.shutdown()
    assert last.state == "done"
    with pytest.raises(rjobs.ManagerClosed):
        last.then(str)


def test_shutdown_with_kill_ends_what_waits(manager, held):
    last = held(manager).then(str)
    manager.shutdown(kill=True)
    assert last.state == "cancelled"


def test_the_manager_may_go_while_jobs_wait(held):
    manager = rjobs.JobManager()
    first = held(manager, 3)
    last = first.then(str)
    del manager
    held.go()
    assert last.get(10) == "3"
    with pytest.raises(rjobs.ManagerClosed):
        last.then(str)


def test_a_job_may_wait_for_those_it_submits(single):
    """With one worker: who waits by `after` holds none."""

    def fan_out():
        parts = [single.submit(int, text) for text in "123"]
        return single.new(lambda: sum(part.get(0) for part in parts), after=parts)

    assert single.submit(fan_out).get(10).get(10) == 6


def test_what_a_finished_chain_held_is_let_go(manager):
    baseline = sys.getrefcount(manager)
    manager.chain(int, str, len).get(10)
    manager.wait()
    manager.flush()
    assert len(manager) == 0
    assert sys.getrefcount(manager) == baseline


def test_what_never_got_its_argument_is_not_run_again_without_it(manager, held):
    skipped = manager.submit(boom).then(str)
    cancelled = held(manager, 3).then(str)
    assert cancelled.cancel()
    for job in (skipped, cancelled):
        job.join(10)
        with pytest.raises(rjobs.JobError, match="never got the result"):
            job.retry()
    held.go()
    failed = manager.submit(int, "3").then(divmod, 0)
    failed.join(10)
    with pytest.raises(ZeroDivisionError):
        failed.retry().get(10)
