"""retry=: again after a failure, as a count or a tenacity policy; and Job.retry()."""

import threading
import time

import pytest

import rjobs


class Flaky:
    """Fails as often as it is told to, and notes when it was called."""

    def __init__(self, failures, error=ValueError):
        self.failures, self.error, self.calls = failures, error, []

    def __call__(self, *args):
        self.calls.append(time.monotonic())
        if len(self.calls) <= self.failures:
            raise self.error(f"try {len(self.calls)}")
        return args or "fine"


@pytest.fixture
def quick(monkeypatch):
    """Back-off in milliseconds."""
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.001)


def test_a_failed_run_is_tried_again(manager, quick):
    work = Flaky(2)
    job = manager.new(work, 1, retry=3)
    assert job.get(10) == (1,)
    assert (job.runs, len(work.calls), job.state) == (3, 3, "done")


def test_the_last_failure_is_the_jobs(manager, quick):
    job = manager.new(Flaky(9), retry=2)
    with pytest.raises(ValueError, match="try 3"):
        job.get(10)
    assert (job.runs, job.state) == (3, "failed")


def test_a_shutdown_while_a_try_runs_waits_for_the_others(manager, quick):
    begun, go, work = threading.Event(), threading.Event(), Flaky(2)

    def tries():
        begun.set()
        assert go.wait(10)
        return work()

    job = manager.new(tries, retry=3)
    assert begun.wait(10)
    manager.shutdown(wait=False)
    go.set()
    manager.shutdown()
    assert (job.state, job.runs) == ("done", 3)


def test_waiting_for_the_next_try_holds_no_worker(single):
    work = Flaky(1)
    job = single.new(work, retry=1)
    while job.waiting_for != "retry":
        job.join(0.001)
    assert job.state == "queued"
    assert job.next_run_at is not None
    assert single.submit(int).get(10) == 0
    assert job.get(10) == "fine"
    assert job.next_run_at is None
    first, second = work.calls
    assert 0.09 < second - first < 5


def test_waits_grow_and_are_spread():
    from rjobs._retry import LONGEST_WAIT, backoff

    waits = [[backoff(failures, ValueError()) for _ in range(50)] for failures in (0, 1, 2, 3, 500)]
    for failures, some in enumerate(waits[:-1]):
        longest = 0.2 * 2**failures
        assert all(longest / 2 <= wait <= longest for wait in some)
        assert len(set(some)) > 1
    assert max(waits[-1]) <= LONGEST_WAIT


def test_a_timed_out_run_is_tried_again(manager, quick):
    gate, calls = threading.Event(), []

    def slow():
        calls.append(1)
        if len(calls) < 3:
            gate.wait()
        return "fine"

    assert manager.new(slow, retry=5, timeout=0.02).get(10) == "fine"
    assert len(calls) == 3


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_who_wants_to_end_ends(manager, quick, error):
    work = Flaky(1, error)
    job = manager.new(work, retry=3)
    assert isinstance(job.exception(10), error)
    assert len(work.calls) == 1


@pytest.mark.parametrize("how", ["kill", "cancel", "stop"])
def test_one_that_waits_for_its_next_try_can_be_ended(manager, how):
    work = Flaky(9)
    job = manager.new(work, retry=9)
    while job.waiting_for != "retry":
        job.join(0.001)
    assert getattr(job, how)()
    assert job.state == ("killed" if how == "kill" else "cancelled")
    if how == "kill":
        with pytest.raises(rjobs.JobKilled, match="was killed while it waited for its next run"):
            job.get()
    calls = len(work.calls)
    assert manager.submit(time.sleep, 0.3).get(10) is None
    assert len(work.calls) == calls


def test_a_kill_is_never_lost_between_two_tries(manager, quick):
    """Killed at every moment of its tries, a job ends, and never runs after it."""
    for round_ in range(300):
        started = threading.Event()

        def fails(started=started):
            started.set()
            raise ValueError

        job = manager.new(fails, retry=10_000)
        assert started.wait(10)
        for _ in range(round_ % 50):
            pass
        assert job.kill()
        assert job.state in ("killed", "failed")


def test_a_retry_goes_through_its_limit_again(manager, quick):
    manager.limit("one", concurrency=1)
    jobs = [manager.new(Flaky(2), retry=3, limit="one") for _ in range(5)]
    assert [job.get(10) for job in jobs] == ["fine"] * 5
    assert manager.limits == {"one": (0, 0)}


def test_what_comes_after_waits_for_the_last_try(manager, quick):
    job = manager.new(Flaky(2), retry=2)
    assert job.then(str.upper).get(10) == "FINE"


def test_retry_of_an_ended_job_makes_a_new_one(manager):
    work = Flaky(1)
    job = manager.new(work, 7, name="seven", timeout=30)
    with pytest.raises(ValueError, match="try 1"):
        job.get(10)
    again = job.retry()
    assert again is not job
    assert (again.get(10), again.name, again.timeout) == ((7,), "seven", 30)
    with pytest.raises(rjobs.JobError, match="is done, and has released"):
        again.retry()


def test_retry_of_code_and_of_one_that_never_ran(single, held):
    names = {"texts": ["x"]}
    failed = single.new("int(texts[0])", names)
    assert isinstance(failed.exception(10), ValueError)
    # The very same list, with what is in it now; statements look up their names anew.
    names["texts"][0] = "12"
    live, names["texts"] = names["texts"], ["13"]
    assert failed.retry().get(10) == int(live[0])
    failed = single.new("number = int(text)\nnumber", names | {"text": "x"})
    assert isinstance(failed.exception(10), ValueError)
    failed.glob["text"] = "14"
    assert failed.retry().get(10) == 14
    running = held(single)
    with pytest.raises(rjobs.JobError, match="has not ended"):
        running.retry()
    cancelled = single.new(int, "5", after=running)
    cancelled.cancel()
    again = cancelled.retry()
    held.go()
    assert again.get(10) == 5


@pytest.mark.parametrize("retry", [-1, 1.5, "3", True, object(), [1]])
def test_what_is_no_retry(manager, retry):
    with pytest.raises((TypeError, ValueError), match="retry must be a number of tries after the first"):
        manager.new(int, retry=retry)
    assert len(manager) == 0


def test_none_and_zero_are_no_retry(manager):
    for retry in (None, 0):
        assert isinstance(manager.new(Flaky(1), retry=retry).exception(10), ValueError)


class TestTenacity:
    @pytest.fixture(autouse=True)
    def tenacity(self):
        self.tenacity = pytest.importorskip("tenacity")

    def policy(self, **options):
        options = {"stop": self.tenacity.stop_after_attempt(4), "wait": self.tenacity.wait_fixed(0.001), **options}
        return self.tenacity.Retrying(**options)

    def test_a_policy_says_when_and_how_often(self, manager):
        policy = self.policy()
        jobs = [manager.new(Flaky(failures), retry=policy) for failures in (0, 2, 3, 4)]
        assert [job.get(10) for job in jobs[:3]] == ["fine"] * 3
        with pytest.raises(ValueError, match="try 4"):
            jobs[3].get(10)
        assert [job.runs for job in jobs] == [1, 3, 4, 4]

    def test_a_policy_says_for_what(self, manager):
        policy = self.policy(retry=self.tenacity.retry_if_exception_type(KeyError))
        assert manager.new(Flaky(2, KeyError), retry=policy).get(10) == "fine"
        other = manager.new(Flaky(2), retry=policy)
        assert isinstance(other.exception(10), ValueError)
        assert other.runs == 1

    def test_a_result_may_be_not_good_enough(self, manager):
        answers = [None, None, 5]
        policy = self.policy(retry=self.tenacity.retry_if_result(lambda value: value is None))
        assert manager.new(lambda: answers.pop(0), retry=policy).get(10) == 5
        never = manager.new(lambda: None, retry=policy)
        with pytest.raises(self.tenacity.RetryError):
            never.get(10)
        assert (never.state, never.runs) == ("failed", 4)

    def test_hooks_are_called_and_the_original_is_raised(self, manager):
        seen = []
        policy = self.policy(
            before=lambda state: seen.append(("before", state.attempt_number)),
            before_sleep=lambda state: seen.append(("sleep", state.attempt_number)),
            stop=self.tenacity.stop_after_attempt(2),
            reraise=True,
        )
        with pytest.raises(ValueError, match="try 2"):
            manager.new(Flaky(9), retry=policy).get(10)
        assert seen == [("before", 1), ("sleep", 1), ("before", 2)]

    def test_a_policy_that_raises_harms_nobody(self, manager):
        def wrong(state):
            raise ZeroDivisionError("in the policy")

        job = manager.new(Flaky(9), retry=self.policy(stop=wrong))
        with pytest.raises(ValueError, match="try 1") as caught:
            job.get(10)
        assert "the retry policy itself raised ZeroDivisionError: in the policy" in caught.value.__notes__[0]

    def test_one_for_coroutines_is_refused(self, manager):
        with pytest.raises(TypeError, match=r"tenacity\.Retrying"):
            manager.new(int, retry=self.tenacity.AsyncRetrying())
