"""How far a job has come: `progress()`, `track`, and what shows it."""

import json
import threading

import pytest

import rjobs


@pytest.fixture
def paused(manager, go):
    """`paused(step)`: a job that has called `step()`, and then waits for `go`."""

    def paused(step):
        ready = threading.Event()

        def work():
            step()
            ready.set()
            assert go.wait(10)

        job = manager.submit(work)
        assert ready.wait(10)
        return job

    return paused


def report(*args, **kwargs):
    return lambda: rjobs.current_job().progress(*args, **kwargs)


class TestReports:
    def test_a_job_says_how_far_it_is(self, paused):
        job = paused(report(5, 10, desc="pages", unit="page"))
        progress = job.progress
        assert (progress.done, progress.total, progress.unit, progress.desc) == (5, 10, "page", "pages")
        assert progress.rate > 0
        assert progress.eta == pytest.approx(5 / progress.rate)

    def test_it_says_nothing_until_the_first_report(self, paused):
        assert paused(int).progress is None

    def test_what_is_left_out_is_as_before(self, paused):
        def steps():
            progress = rjobs.current_job().progress
            progress(1, 10, "pages", "page")
            progress(2)

        progress = paused(steps).progress
        assert (progress.done, progress.total, progress.unit, progress.desc) == (2, 10, "page", "pages")

    def test_less_done_than_before_is_a_new_beginning(self, paused):
        def steps():
            rjobs.current_job().progress(10, 10, "first")
            rjobs.current_job().progress(0, desc="second")

        progress = paused(steps).progress
        assert (progress.done, progress.total, progress.desc) == (0, None, "second")
        assert progress.eta is None

    def test_what_is_all_done_has_no_time_left(self, paused, go):
        job = paused(report(3, 3))
        assert job.progress.eta == 0
        go.set()
        job.join(5)
        assert job.progress.done == job.progress.total == 3
        assert job.progress.eta == 0

    def test_a_job_that_ended_half_way_has_no_time_left_to_tell(self, paused, go):
        job = paused(report(1, 3))
        assert job.progress.eta > 0
        go.set()
        job.join(5)
        assert job.progress.eta is None
        assert job.progress.rate > 0

    def test_a_progress_does_not_change(self, manager, go):
        def work():
            rjobs.current_job().progress(1)
            yield
            assert go.wait(10)
            rjobs.current_job().progress(2)

        job = manager.submit(work)
        next(iter(job))
        before = job.progress
        go.set()
        job.join(5)
        assert (before.done, job.progress.done) == (1, 2)

    def test_a_thread_that_the_job_started_reports_for_it(self, paused):
        def steps():
            thread = threading.Thread(target=report(4, 8))
            thread.start()
            thread.join()

        assert paused(steps).progress.done == 4

    @pytest.mark.parametrize(
        ("done", "total"), [(0.5, 1.5), (10.0**30, None), (True, True), (0, 0), (3, float("inf")), (5, 3)]
    )
    def test_numbers_of_all_kinds(self, paused, done, total):
        progress = paused(report(done, total)).progress
        assert progress.done == done
        assert progress.total == (None if total == float("inf") else total)
        assert isinstance(progress.done, float if isinstance(done, float) else int)

    def test_it_can_be_read_in_the_job_before_the_first_report(self, manager):
        def look():
            progress = rjobs.current_job().progress
            return bool(progress), progress.done, progress.total, progress.unit, progress.rate, progress.eta

        assert manager.submit(look).get(5) == (False, 0, None, "it", None, None)

    def test_its_repr_tells_it_all(self, paused):
        text = repr(paused(report(5, 10, "pa\nges", "page")).progress)
        assert text.startswith(r"<Progress 5/10 page, 'pa\nges', ")
        assert text.endswith(" s left>")

    @pytest.mark.parametrize("done", [-1, -0.5, float("nan"), float("inf")])
    def test_what_is_no_count_is_refused(self, manager, done):
        with pytest.raises(ValueError, match="done must be"):
            manager.submit(report(done)).get(5)

    @pytest.mark.parametrize("total", [-1, float("nan")])
    def test_a_total_that_is_none_is_refused(self, manager, total):
        with pytest.raises(ValueError, match="total must be 0 or more"):
            manager.submit(report(1, total)).get(5)

    @pytest.mark.parametrize("done", ["5", None, []])
    def test_what_is_no_number_is_refused(self, manager, done):
        with pytest.raises(TypeError, match="done must be a number"):
            manager.submit(report(done)).get(5)

    def test_it_is_for_the_job_itself(self, manager, paused):
        job = paused(report(1))
        with pytest.raises(RuntimeError, match="for the code of the job itself"):
            job.progress(2)
        mine = []
        other = manager.submit(lambda: mine.append(rjobs.current_job().progress))
        other.join(5)
        with pytest.raises(RuntimeError, match=r"progress\(\) is for the code of job 1"):
            mine[0](2)


class TestTrack:
    def test_a_loop_reports_how_far_it_is(self, manager):
        seen = []

        def work():
            for number in rjobs.track(range(3), desc="numbers", unit="number"):
                progress = rjobs.current_job().progress
                seen.append((number, progress.done, progress.total, progress.desc, progress.unit))

        job = manager.submit(work)
        job.get(5)
        assert seen == [(number, number, 3, "numbers", "number") for number in range(3)]
        assert job.progress.done == 3

    @pytest.mark.parametrize(
        ("items", "total", "known"), [([1, 2], None, 2), (iter([1, 2]), None, 2), ((n for n in (1, 2)), None, None)]
    )
    def test_the_total_is_what_is_known_of_it(self, manager, items, total, known):
        job = manager.submit(lambda: list(rjobs.track(items, total)))
        assert job.get(5) == [1, 2]
        assert job.progress.total == known
        assert job.progress.done == 2

    def test_the_total_can_be_given(self, manager):
        job = manager.submit(lambda: list(rjobs.track(iter("ab"), 5)))
        assert job.get(5) == ["a", "b"]
        assert job.progress.total == 5

    def test_of_nested_loops_the_outermost_is_the_jobs(self, manager):
        def work():
            for _ in rjobs.track(range(2)):
                for _ in rjobs.track(range(10)):
                    assert rjobs.current_job().progress.total == 2
            for _ in rjobs.track(range(7)):
                assert rjobs.current_job().progress.total == 7

        job = manager.submit(work)
        job.get(5)
        assert job.progress.done == 7

    def test_a_loop_that_is_left_makes_room_for_the_next(self, manager):
        def work():
            for _ in rjobs.track(range(5)):
                break
            list(rjobs.track("abc"))

        job = manager.submit(work)
        job.get(5)
        assert (job.progress.done, job.progress.total) == (3, 3)

    def test_outside_of_a_job_it_only_iterates(self):
        assert list(rjobs.track("abc", desc="letters")) == ["a", "b", "c"]

    def test_a_loop_made_outside_reports_where_it_runs(self, manager):
        job = manager.submit(list, rjobs.track("abc"))
        assert job.get(5) == ["a", "b", "c"]
        assert job.progress.done == 3

    def test_what_is_no_iterable_is_refused_at_once(self):
        with pytest.raises(TypeError):
            rjobs.track(5)


def inside(job):
    """The bars inside of the job's own that are open: pairs of done and total."""
    return [(bar.done, bar.total) for bar in job._inner_progress]


class TestBarsInsideOfOthers:
    def test_they_are_known_while_they_are_open(self, manager):
        seen = []

        def work():
            job = rjobs.current_job()
            for _ in rjobs.track(range(2)):
                for number in rjobs.track("abc", desc="letters"):
                    for _ in rjobs.track(range(9)):
                        break
                    seen.append((job.progress.total, inside(job), job._inner_progress[0].desc))
                    assert number
                seen.append(inside(job))

        job = manager.submit(work)
        job.get(5)
        steps = [(2, [(done, 3)], "letters") for done in range(3)]
        assert seen == [*steps, [], *steps, []]
        assert (job.progress.done, inside(job)) == (2, [])

    def test_what_the_job_itself_reports_stays_its_own(self, manager):
        def work():
            job = rjobs.current_job()
            for part in range(3):
                job.progress(part, 3)
                for _ in rjobs.track(range(5)):
                    assert (job.progress.done, job.progress.total) == (part, 3)
                    assert inside(job)[0][1] == 5
            job.progress(3, 3)
            # All that was said is done: what comes now is the job's.
            list(rjobs.track(range(7)))

        job = manager.submit(work)
        job.get(5)
        assert (job.progress.done, job.progress.total) == (7, 7)

    def test_a_report_without_a_total_makes_room_for_a_bar(self, manager):
        def work():
            rjobs.current_job().progress(0, desc="loading")
            list(rjobs.track(range(7)))

        job = manager.submit(work)
        job.get(5)
        assert (job.progress.done, job.progress.total) == (7, 7)

    def test_those_of_items_are_inside_of_their_group(self, manager, go):
        ready = threading.Semaphore(0)

        def item(number):
            rjobs.current_job().progress(99, 100)
            for step in rjobs.track(range(10), desc=f"item {number}"):
                if step == 4:
                    ready.release()
                    assert go.wait(10)

        group = manager.map(item, range(2), workers=2, chunksize=1)
        for _ in range(2):
            assert ready.acquire(timeout=10)
        assert (group.progress.done, group.progress.total) == (0, 2)
        assert inside(group) == [(4, 10), (4, 10)]
        go.set()
        group.get(5)
        assert (group.progress.done, inside(group)) == (2, [])

    def test_a_group_has_a_progress_of_the_same_type(self, manager):
        group = manager.map(str, range(3))
        assert group.get(5) == ["0", "1", "2"]
        job = manager.submit(lambda: rjobs.current_job().progress(3, 3))
        job.get(5)
        assert type(group.progress) is type(job.progress)
        progress = group.progress
        assert (progress.done, progress.total, progress.unit, progress.desc, progress.eta) == (3, 3, "it", None, 0.0)
        assert progress.rate > 0
        assert json.dumps(group.to_dict()["progress"]["done"]) == "3"
        with pytest.raises(RuntimeError, match="for the code of the job itself"):
            group.progress(1)

    def test_a_group_that_was_killed_has_no_time_left(self, manager, go):
        started = threading.Event()

        def item(number):
            if number == 3:
                started.set()
                go.wait(10)

        group = manager.map(item, range(10), workers=1, chunksize=1)
        assert started.wait(10)
        assert group.progress.eta > 0
        assert group.kill()
        assert (group.progress.done, group.progress.eta) == (3, None)


class TestWhatShowsIt:
    def test_the_record(self, paused):
        record = paused(report(5, 10)).to_dict()["progress"]
        assert (record["done"], record["total"], record["unit"], record["desc"]) == (5, 10, "it", None)
        assert record["rate"] > 0
        assert json.loads(json.dumps(record)) == record
        assert paused(int).to_dict()["progress"] is None

    @pytest.mark.parametrize(
        ("step", "cell"), [(report(5, 10), "50% of 10, "), (report(5, unit="page"), "5 page, "), (report(0, 0), "0 it")]
    )
    def test_the_table(self, manager, paused, capsys, step, cell):
        paused(step)
        manager.status()
        row = next(line for line in capsys.readouterr().out.splitlines() if " running " in line)
        assert cell in row
        assert cell in manager._repr_html_()
