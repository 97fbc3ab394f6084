"""Times and intervals: what cannot be is an error that names it; what is longer than any process lives means never."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import math
import multiprocessing
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction

import pytest

import rjobs

NEVER = [sys.maxsize, 2**63, 1e18, 1e19, 1e300, 10**400, Decimal("1e400"), Fraction(10**400)]
NO_NUMBERS = ["1", [], None, 1j, True, False, dt.timedelta(1), object()]
NAN = [math.nan, Decimal("NaN"), Decimal("sNaN")]
SMALL = [0.01, Decimal("0.01"), Fraction(1, 100)]
BELOW = [-1, -0.5, -math.inf, -(10**400), Decimal(-1)]


def is_of_numpy(value):
    numpy = pytest.importorskip("numpy")
    return numpy.float32(value)


def show(value):
    return f"{type(value).__name__} {value}"[:30] if not isinstance(value, int | Fraction) else f"{float_of(value):g}"


def float_of(value):
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@pytest.fixture
def m():
    with rjobs.JobManager(2) as m:
        yield m
        m.kill_all(0)


@pytest.fixture
def running(m):
    """A job that runs until it is killed."""
    started = threading.Event()
    job = m.submit(lambda: (started.set(), threading.Event().wait()))
    started.wait()
    return job


class TestEvery:
    @pytest.mark.parametrize("period", NEVER, ids=show)
    def test_what_is_beyond_the_calendar_runs_once(self, m, period):
        ran = []
        job = m.every(period, ran.append, 1)
        while job.state != "queued" or not ran:
            time.sleep(0.001)
        assert job.next_run_at is None
        assert job.waiting_for == "schedule"
        assert "next_run_at" not in job.to_dict() or job.to_dict()["next_run_at"] is None
        str(job), repr(job), job._repr_html_(), m.status()
        assert job.kill(1)
        assert (job.state, ran) == ("killed", [1])

    def test_with_returns(self):
        with rjobs.JobManager(1) as m:
            job = m.every(sys.maxsize, pow, 2, 2)
        assert job.state in ("cancelled", "killed", "done")
        assert m.stats["workers"] == 0

    @pytest.mark.parametrize("period", [*BELOW, 0, *NAN, math.inf], ids=show)
    def test_what_cannot_be_is_an_error_that_names_it(self, m, period):
        with pytest.raises(ValueError, match="every must be"):
            m.every(period, pow, 2, 2)

    @pytest.mark.parametrize("period", ["1", [], 1j, True, dt.timedelta(1), object()], ids=show)
    def test_what_is_no_number_is_a_type_error(self, m, period):
        with pytest.raises(TypeError, match="every must be a number of seconds"):
            m.every(period, pow, 2, 2)

    @pytest.mark.parametrize("period", [5e-324, 1e-12, *SMALL], ids=show)
    def test_the_shortest_goes_on(self, m, period):
        often = threading.Semaphore(0)
        job = m.every(period, often.release)
        for _ in range(3):
            assert often.acquire(timeout=10)
        job.kill()


class TestOptions:
    @pytest.mark.parametrize("option", ["timeout", "ttl", "result_ttl"])
    @pytest.mark.parametrize("value", [*NEVER, *SMALL, math.inf, None], ids=show)
    def test_they_take_any_number(self, m, option, value):
        assert m.options(**{option: value}).submit(pow, 2, 2).get(10) == 4

    @pytest.mark.parametrize("option", ["timeout", "ttl", "result_ttl"])
    @pytest.mark.parametrize("value", [*BELOW, *NAN], ids=show)
    def test_what_cannot_be_is_an_error_that_names_it(self, m, option, value):
        with pytest.raises(ValueError, match=option):
            m.options(**{option: value})

    @pytest.mark.parametrize("option", ["timeout", "ttl", "result_ttl"])
    @pytest.mark.parametrize("value", [each for each in NO_NUMBERS if each is not None], ids=show)
    def test_what_is_no_number_is_a_type_error(self, m, option, value):
        with pytest.raises(TypeError, match=f"{option} must be a number of seconds"):
            m.options(**{option: value})

    def test_a_time_beyond_the_clock_is_no_limit(self, m):
        async def add(a, b):
            return a + b

        under = m.options(timeout=sys.maxsize, ttl=1e18, result_ttl=2**63)
        assert under.submit(add, 1, 2).get(10) == 3
        assert under.options(ttl=None).map(str, [1]).results(10) == ["1"]
        assert under.shell([sys.executable, "-c", ""]).get(10).returncode == 0
        assert under.submit(pow, 2, 2).timeout is None

    @pytest.mark.parametrize("value", [*NEVER, 0, 0.001, Decimal(1), math.inf], ids=show)
    def test_the_idle_time_of_workers(self, value):
        with rjobs.JobManager(1, idle_timeout=value) as m:
            assert m.submit(pow, 2, 2).get(10) == 4

    @pytest.mark.parametrize("value", [*BELOW, *NAN, "1", True], ids=show)
    def test_no_idle_time(self, value):
        with pytest.raises((ValueError, TypeError), match="idle_timeout must be"):
            rjobs.JobManager(1, idle_timeout=value)


class TestRetry:
    @pytest.mark.parametrize("wait", [1e18, 1e300, math.inf, sys.maxsize])
    def test_a_wait_beyond_the_calendar_never_ends(self, m, wait):
        tenacity = pytest.importorskip("tenacity")
        policy = tenacity.Retrying(wait=tenacity.wait_fixed(wait), stop=tenacity.stop_after_attempt(3))
        job = m.options(retry=policy).submit(divmod, 1, 0)
        while job.waiting_for != "retry":
            time.sleep(0.001)
        assert job.next_run_at is None
        assert job.state == "queued"
        str(job), m.status(), job.to_dict()
        assert job.kill(1)
        assert job.state == "killed"

    def test_a_wait_that_is_no_number_leaves_the_failure(self, m):
        tenacity = pytest.importorskip("tenacity")
        policy = tenacity.Retrying(wait=lambda _: math.nan, stop=tenacity.stop_after_attempt(3))
        error = m.options(retry=policy).submit(divmod, 1, 0).exception(10)
        assert type(error) is ZeroDivisionError
        assert "a wait of nan seconds" in "".join(error.__notes__)

    @pytest.mark.parametrize("count", [sys.maxsize, 2**63, 10**400])
    def test_any_number_of_tries(self, m, count):
        job = m.options(retry=count).submit(divmod, 1, 0)
        while job.waiting_for != "retry":
            time.sleep(0.001)
        assert job.kill(1)


WAITS = {
    "get": ("timeout", lambda _m, job, t: job.get(t)),
    "exception": ("timeout", lambda _m, job, t: job.exception(t)),
    "join": ("timeout", lambda _m, job, t: job.join(t)),
    "wait": ("timeout", lambda m, job, t: m.wait([job], t)),
    "as_completed": ("timeout", lambda m, job, t: list(m.as_completed([job], t))),
    "kill": ("timeout", lambda _m, job, t: job.kill(t)),
    "kill of the manager": ("timeout", lambda m, job, t: m.kill(job, timeout=t)),
    "kill_all": ("timeout", lambda m, _job, t: m.kill_all(t)),
    "stop": ("grace", lambda _m, job, t: job.stop(t)),
}


@pytest.mark.parametrize("how", WAITS)
class TestWaits:
    @pytest.mark.parametrize("timeout", [*NEVER, math.inf, None], ids=show)
    def test_any_time(self, m, how, timeout):
        release = threading.Event()
        job = m.submit(release.wait)
        waits = concurrent.futures.ThreadPoolExecutor(1)
        _, wait = WAITS[how]
        future = waits.submit(wait, m, job, timeout)
        if how != "stop":
            time.sleep(0.005)
        release.set()
        future.exception(10)
        assert job.done()
        waits.shutdown()

    @pytest.mark.parametrize("timeout", NAN, ids=show)
    def test_not_a_number(self, m, running, how, timeout):
        name, wait = WAITS[how]
        with pytest.raises(ValueError, match=f"{name} must be a number of seconds or None, not NaN"):
            wait(m, running, timeout)
        assert running.running()

    @pytest.mark.parametrize("timeout", [each for each in NO_NUMBERS if each is not None], ids=show)
    def test_no_number(self, m, running, how, timeout):
        name, wait = WAITS[how]
        with pytest.raises(TypeError, match=f"{name} must be a number of seconds or None, not"):
            wait(m, running, timeout)
        assert running.running()

    @pytest.mark.parametrize("timeout", BELOW, ids=show)
    def test_a_negative_time_does_not_wait(self, m, running, how, timeout):
        _, wait = WAITS[how]
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            wait(m, running, timeout)
        assert time.monotonic() - began < 4


class TestInTheJob:
    @pytest.mark.parametrize("seconds", [*NEVER, math.inf], ids=show)
    def test_sleep_for_ever(self, m, seconds):
        job = m.submit(lambda: rjobs.current_job().sleep(seconds))
        while not job.running():
            time.sleep(0.001)
        assert job.kill(5)

    @pytest.mark.parametrize("seconds", [*BELOW, *NAN], ids=show)
    def test_sleep_for_what_cannot_be(self, m, seconds):
        job = m.submit(lambda: rjobs.current_job().sleep(seconds))
        with pytest.raises(ValueError, match="seconds must be"):
            job.get(10)

    @pytest.mark.parametrize("seconds", NO_NUMBERS, ids=show)
    def test_sleep_for_no_number(self, m, seconds):
        job = m.submit(lambda: rjobs.current_job().sleep(seconds))
        with pytest.raises(TypeError, match="seconds must be a number of seconds"):
            job.get(10)

    def test_numbers_of_numpy(self, m):
        seconds = is_of_numpy(0.001)
        m.submit(lambda: rjobs.current_job().sleep(seconds)).get(10)
        assert m.options(timeout=is_of_numpy(100)).submit(pow, 2, 2).get(is_of_numpy(10)) == 4

    @pytest.mark.parametrize("done", [10**400, math.nan, -(10**400)], ids=show)
    def test_progress_that_cannot_be(self, m, done):
        with pytest.raises(ValueError, match="done"):
            m.submit(lambda: rjobs.current_job().progress(done)).get(10)


class TestRates:
    @pytest.mark.parametrize("rate", [1e-18, 5e-324, 1e18, sys.maxsize, 10**400, Fraction(1, 10**400)], ids=show)
    def test_the_first_starts_at_once(self, m, rate):
        if float_of(rate) < 1e-19:
            with pytest.raises(ValueError, match="rate must be"):
                m.limit("api", rate=rate)
            return
        m.limit("api", rate=rate)
        assert m.options(limit="api").submit(pow, 2, 2).get(10) == 4
        second = m.options(limit="api").submit(pow, 2, 2)
        str(second), m.status(), second.next_run_at, second.to_dict()
        second.cancel()

    @pytest.mark.parametrize("rate", [*BELOW, 0, *NAN], ids=show)
    def test_what_cannot_be(self, m, rate):
        with pytest.raises(ValueError, match="rate must be"):
            m.limit("api", rate=rate)

    @pytest.mark.parametrize("rate", ["1", True, []], ids=show)
    def test_no_number(self, m, rate):
        with pytest.raises(TypeError, match="rate must be"):
            m.limit("api", rate=rate)


class TestCounts:
    @pytest.mark.parametrize("count", [sys.maxsize, 2**63, 2**64, 10**400])
    @pytest.mark.parametrize("name", ["workers", "chunksize", "buffersize"])
    def test_of_map(self, m, name, count):
        assert m.map(str, range(5), **{name: count}).results(10) == list("01234")
        assert sorted(m.map(str, iter(range(5)), ordered=False, **{name: count})) == list("01234")

    @pytest.mark.parametrize("count", [sys.maxsize, 2**63, 2**64, 10**400])
    def test_of_managers(self, count):
        with rjobs.JobManager(count, output_limit=count, max_queued=count) as m:
            job = m.options(buffersize=count).submit(lambda: (print("text"), rjobs.current_job().send(1)))
            job.get(10)
            assert job.output == "text\n"
            assert job.tail(count) == "text\n"
            assert list(job) == [1]

    @pytest.mark.parametrize("count", [0, -1, -(10**400)])
    @pytest.mark.parametrize("name", ["workers", "chunksize", "buffersize"])
    def test_that_cannot_be(self, m, name, count):
        with pytest.raises(ValueError, match=name):
            m.map(str, range(5), **{name: count})


class TestFaces:
    @pytest.mark.parametrize("timeout", [*NEVER, math.inf, None], ids=show)
    def test_any_time(self, timeout):
        with rjobs.Executor(2) as pool:
            assert list(pool.map(pow, [2], [2], timeout=timeout)) == [4]
            assert pool.submit(pow, 2, 2).result(timeout) == 4
        with rjobs.Pool(2) as pool:
            slow = pool.map_async(time.sleep, [0.01] * 3)
            slow.wait(timeout)
            assert slow.ready()
            assert pool.apply_async(pow, (2, 2)).get(timeout) == 4
            results = pool.imap(time.sleep, [0.01] * 2)
            assert results.next(timeout) is results.next(timeout) is None

    @pytest.mark.parametrize("timeout", NAN, ids=show)
    def test_not_a_number(self, timeout):
        with rjobs.Executor(1) as pool, pytest.raises(ValueError, match="timeout"):
            pool.map(pow, [2], [2], timeout=timeout)
        with rjobs.Pool(1) as pool:
            with pytest.raises(ValueError, match="timeout"):
                pool.map_async(time.sleep, [0.1]).wait(timeout)
            with pytest.raises(ValueError, match="timeout"):
                pool.imap(time.sleep, [0.1]).next(timeout)

    def test_a_negative_time_does_not_wait(self):
        release = threading.Event()
        with rjobs.Pool(1) as pool:
            slow = pool.map_async(lambda _: release.wait(), [1])
            slow.wait(-1)
            assert not slow.ready()
            with pytest.raises(multiprocessing.TimeoutError):
                pool.imap(pow, [1]).next(-(10**400))
            release.set()


@pytest.mark.parametrize("count", [3, sys.maxsize, 2**63, 10**400], ids=show)
def test_chunks_of_any_count(count):
    assert rjobs.get_chunks(range(3), count) == [[0], [1], [2]]
