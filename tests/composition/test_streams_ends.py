"""The ends of jobs that give values: kills and requests to stop, where `send` belongs, and what is kept."""

import contextlib
import gc
import threading
import traceback
import weakref

import pytest

import rjobs


def numbers(to):
    yield from range(to)


def sends(to):
    for number in range(to):
        rjobs.current_job().send(number)


class TestEnds:
    """Kills and requests to stop: the generator's `finally` runs, at its `yield`."""

    @pytest.fixture
    def endless(self, manager, until):
        """A job that stands at its bound, what it did, and how it is ended."""
        steps = []

        def work():
            try:
                for number in range(10**9):
                    steps.append(number)
                    yield number
            except BaseException as exception:
                steps.append(type(exception))
                raise
            finally:
                steps.append("cleaned")

        job = manager.options(buffersize=2).submit(work)
        until(lambda: job.waiting_for == "reader")
        return job, steps

    def test_a_kill_ends_one_that_waits_for_a_reader(self, endless):
        job, steps = endless
        assert job.kill()
        assert job.state == "killed"
        assert steps == [0, 1, 2, rjobs.JobKilled, "cleaned"]
        values = iter(job)
        assert [next(values), next(values)] == [0, 1]
        with pytest.raises(rjobs.JobKilled):
            next(values)

    def test_a_kill_by_another_exception_arrives_as_that(self, endless):
        job, steps = endless
        assert job.kill(exc=SystemError)
        assert job.state == "killed"
        assert steps[-2:] == [SystemError, "cleaned"]

    def test_a_request_to_stop_ends_it_at_its_yield(self, endless):
        job, steps = endless
        assert job.stop(grace=None)
        assert job.state == "killed"
        assert steps == [0, 1, 2, rjobs.JobKilled, "cleaned"]
        assert "asked to stop" in str(job.exception())

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_the_traceback_ends_at_the_yield(self, endless, how):
        job, _ = endless
        getattr(job, how)()
        frames = traceback.extract_tb(job.exception().__traceback__)
        assert [frame.line for frame in frames] == ["yield number"]

    def test_a_value_that_was_made_when_stop_came_is_given(self, manager, go, until):
        running = threading.Event()

        def work():
            yield 1
            running.set()
            assert go.wait(10)
            yield 2
            yield 3

        job = manager.submit(work)
        assert running.wait(10)
        assert not job.done()
        stopper = threading.Thread(target=job.stop, kwargs={"grace": None})
        stopper.start()
        until(lambda: job.stop_requested)
        go.set()
        stopper.join(10)
        seen = []
        with pytest.raises(rjobs.JobKilled):
            seen.extend(job)
        assert seen == [1, 2]

    def test_a_generator_may_end_in_its_own_way_when_stopped(self, manager):
        def work():
            try:
                while True:
                    yield "more"
            except rjobs.JobKilled:
                return "half of it"

        job = manager.submit(work)
        assert next(iter(job)) == "more"
        assert job.stop(grace=None)
        assert job.state == "done"
        assert job.get() == "half of it"

    def test_one_that_goes_on_yielding_is_killed_after_the_grace(self, manager):
        def stubborn():
            while True:
                with contextlib.suppress(rjobs.JobKilled):
                    yield "more"

        job = manager.options(buffersize=5).submit(stubborn)
        assert next(iter(job)) == "more"
        assert job.stop(grace=0.05)
        assert job.state == "killed"

    def test_send_raises_when_the_job_was_asked_to_stop(self, manager):
        seen = []

        def work():
            try:
                while True:
                    rjobs.current_job().send("more")
            except rjobs.JobKilled as killed:
                seen.append(str(killed))
                raise

        for is_full in (True, False):
            job = manager.options(buffersize=3 if is_full else 10**9).submit(work)
            assert next(iter(job)) == "more"
            assert job.stop(grace=None)
            assert job.state == "killed"
            assert "asked to stop" in seen.pop()

    def test_a_send_that_blocks_can_be_killed(self, manager, until):
        job = manager.options(buffersize=1).submit(sends, 10)
        until(lambda: job.waiting_for == "reader")
        assert job.kill()
        assert job.state == "killed"
        assert job.waiting_for is None

    def test_a_timeout_ends_it(self, manager, until):
        job = manager.options(buffersize=1, timeout=0.05).submit(numbers, 10)
        until(job.done)
        assert job.state == "timed_out"

    def test_a_reader_that_is_killed_leaves_the_rest_to_others(self, manager, go, until):
        def source():
            yield 1
            assert go.wait(10)
            yield 2

        job = manager.submit(source)
        seen = []
        reader = manager.submit(lambda: seen.extend(job))
        until(lambda: seen == [1])
        assert reader.kill()
        go.set()
        assert list(job) == [2]


class TestWhereItBelongs:
    def test_send_is_for_the_job_itself(self, manager, go):
        job = manager.submit(go.wait, 10)
        with pytest.raises(RuntimeError, match=r"send\(\) is for the code of job 0"):
            job.send(1)
        other = manager.submit(lambda: job.send(1))
        assert isinstance(other.exception(5), RuntimeError)

    def test_a_job_cannot_read_itself(self, manager):
        job = manager.submit(lambda: list(rjobs.current_job()))
        assert isinstance(job.exception(5), RuntimeError)
        assert "cannot read its own values" in str(job.exception())

    def test_a_thread_that_outlives_its_job_is_told(self, manager, go):
        errors = []

        def late():
            assert go.wait(10)
            try:
                rjobs.current_job().send(1)
            except RuntimeError as error:
                errors.append(str(error))

        def work():
            thread = threading.Thread(target=late)
            thread.start()
            return thread

        job = manager.submit(work)
        thread = job.get(5)
        go.set()
        thread.join(5)
        assert "has ended, and gives no more values" in errors[0]

    def test_one_job_is_no_list_of_jobs(self, manager):
        job = manager.submit(numbers, 3)
        with pytest.raises(TypeError, match="put it into a list"):
            manager.wait(job)
        with pytest.raises(TypeError, match="put it into a list"):
            manager.as_completed(job)
        assert list(job) == [0, 1, 2]


class Watched:
    pass


class TestMemory:
    def test_a_value_that_was_read_is_not_kept(self, manager):
        def work():
            yield Watched()
            assert go.wait(10)

        go = threading.Event()
        job = manager.submit(work)
        value = next(iter(job))
        gone = weakref.ref(value)
        del value
        # Without the GIL what another thread made goes when that looks, or the collector.
        gc.collect()
        assert gone() is None
        go.set()
        job.join(5)

    def test_values_go_with_their_job(self):
        manager = rjobs.JobManager()

        def work():
            yield Watched()

        job = manager.submit(work)
        job.join(5)
        values = iter(job)
        gone = weakref.ref(next(values))
        del values
        gc.collect()
        assert gone() is None
        job = manager.submit(work)
        job.join(5)
        manager.shutdown()
        manager.flush()
        del job
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Watched)]

    def test_a_job_among_its_own_values_is_garbage_in_the_end(self):
        manager = rjobs.JobManager()

        def work():
            thing = Watched()
            thing.job = rjobs.current_job()
            thing.values = None
            yield thing
            yield thing

        job = manager.submit(work)
        job.join(5)
        values = iter(job)
        thing = next(values)
        thing.values = values
        gone = weakref.ref(thing)
        manager.shutdown()
        manager.flush()
        del job, values, thing
        gc.collect()
        assert gone() is None
