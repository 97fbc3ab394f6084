"""retry= with a tenacity policy: what tenacity's own loop would do with it."""

import threading
import time

import pytest

tenacity = pytest.importorskip("tenacity")


def boom():
    raise ValueError("boom")


def test_a_policy_may_have_a_value_in_the_place_of_a_failure(manager):
    def policy(instead, **options):
        stop = tenacity.stop_after_attempt(2)
        return tenacity.Retrying(stop=stop, retry_error_callback=instead, **options)

    job = manager.new(boom, retry=policy(lambda state: f"tried {state.attempt_number} times"))
    assert (job.get(10), job.state, job.runs) == ("tried 2 times", "done", 2)
    job = manager.new(int, retry=policy(lambda _: "nothing", retry=tenacity.retry_if_result(lambda value: not value)))
    assert (job.get(10), job.state, job.runs) == ("nothing", "done", 2)

    def give_up(state):
        raise LookupError from state.outcome.exception()

    job = manager.new(boom, retry=policy(give_up))
    with pytest.raises(LookupError):
        job.get(10)
    assert job.state == "failed"


def test_the_first_try_counts_for_the_time_of_a_policy(manager):
    def slow():
        time.sleep(0.05)
        raise ValueError

    job = manager.new(slow, retry=tenacity.Retrying(stop=tenacity.stop_after_delay(0.04)))
    job.join(10)
    assert job.runs == 1


def test_a_policy_that_is_switched_off(manager):
    job = manager.new(boom, retry=tenacity.Retrying(stop=tenacity.stop_after_attempt(3), enabled=False))
    job.join(10)
    assert (job.state, job.runs) == ("failed", 1)


def test_each_job_and_each_periodic_run_has_all_tries_of_a_policy(manager, until):
    policy = tenacity.Retrying(stop=tenacity.stop_after_attempt(3))
    job = manager.new(boom, retry=policy)
    job.join(10)
    again = job.retry()
    again.join(10)
    assert (job.runs, again.runs) == (3, 3)
    runs = []

    def fail():
        runs.append(1)
        if len(runs) > 7:  # so that the kill finds it in the middle of a try, and not as it tells of a failure
            threading.Event().wait(20)
        raise ValueError

    periodic = manager.options(retry=policy).every(0.02, fail)
    until(lambda: len(runs) > 7)
    assert periodic.kill()
    # After three tries in a row a run is over, and the next one begins anew.
    assert periodic.output.count("Traceback") >= len(runs) // 3
    assert periodic.output.count("Traceback") <= (len(runs) + 2) // 3
