"""Bars of tqdm in jobs feed `job.progress`; text goes to the job's output, and widgets nowhere."""

import io
import sys
import threading
import warnings

import pytest

import rjobs

tqdm = pytest.importorskip("tqdm")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tqdm.auto
    import tqdm.notebook
    import tqdm.std


class Mine(tqdm.std.tqdm):
    """A class of the user's own."""

    def __init__(self, *args, **kwargs):
        self.mine = "mine"
        super().__init__(*args, **kwargs)


BARS = [tqdm.tqdm, tqdm.auto.tqdm, tqdm.notebook.tqdm, Mine]


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: f"{bar.__module__}.{bar.__qualname__}")
class TestBars:
    def test_a_loop_feeds_the_progress(self, manager, bar):
        def work():
            numbers = bar(range(5), desc="pages", unit="page", mininterval=0)
            return [(number, rjobs.current_job().progress.done) for number in numbers]

        job = manager.submit(work)
        assert job.get(5) == [(number, number) for number in range(5)]
        progress = job.progress
        assert (progress.done, progress.total, progress.unit, progress.desc) == (5, 5, "page", "pages")
        assert job.outputs == []
        # As text where that is what it draws.
        assert ("pages: 100%" in job.output) is (bar is not tqdm.notebook.tqdm)

    def test_a_bar_that_is_moved_by_hand(self, manager, bar):
        def work():
            with bar(total=10, initial=2) as mine:
                assert rjobs.current_job().progress.done == 2
                mine.update(3)
                mine.set_description("half way")
                assert rjobs.current_job().progress.desc == "half way"
                mine.set_postfix(loss=1)
                mine.reset(total=20)
                mine.update(4)

        job = manager.submit(work)
        job.get(5)
        assert (job.progress.done, job.progress.total) == (4, 20)

    def test_of_nested_bars_the_outermost_is_the_jobs(self, manager, bar):
        def work():
            for _ in bar(range(3)):
                for _ in bar(range(10), leave=False, desc="inner"):
                    assert rjobs.current_job().progress.total == 3
                    (inner,) = rjobs.current_job()._inner_progress
                    assert (inner.total, inner.desc) == (10, "inner")
                assert rjobs.current_job()._inner_progress == []
                list(rjobs.track(range(20)))
            list(bar(range(7)))

        job = manager.submit(work)
        job.get(5)
        assert (job.progress.done, job.progress.total) == (7, 7)

    def test_it_is_one_of_its_class(self, manager, bar):
        def work():
            mine = bar(range(3), mininterval=0)
            assert isinstance(mine, bar)
            assert type(mine).__name__ == bar.__name__
            assert len(mine) == 3
            assert getattr(mine, "mine", "mine") == "mine"
            return sum(mine)

        assert manager.submit(work).get(5) == 3

    def test_an_exception_in_the_loop_leaves_the_progress_where_it_was(self, manager, bar):
        def work():
            for number in bar(range(10)):
                if number == 4:
                    raise KeyError(number)

        job = manager.submit(work)
        assert isinstance(job.exception(5), KeyError)
        assert (job.progress.done, job.progress.total) == (4, 10)

    def test_a_bar_that_is_disabled_says_nothing(self, manager, bar):
        job = manager.submit(lambda: list(bar(range(3), disable=True)))
        assert job.get(5) == [0, 1, 2]
        assert job.progress is None

    def test_no_thread_of_tqdms_stays_with_the_job(self, manager, bar):
        before = set(threading.enumerate())
        manager.submit(lambda: list(bar(range(3)))).join(5)
        assert not [thread for thread in set(threading.enumerate()) - before if "TMonitor" in type(thread).__name__]


def test_a_unit_that_is_scaled_is_counted_so(manager):
    job = manager.submit(lambda: list(tqdm.tqdm(range(3), unit_scale=1024, unit="B")))
    job.get(5)
    assert (job.progress.done, job.progress.total, job.progress.unit) == (3072, 3072, "B")


def test_outside_of_jobs_it_draws_as_before():
    text = io.StringIO()
    assert list(tqdm.tqdm(range(3), file=text, mininterval=0)) == [0, 1, 2]
    assert "3/3" in text.getvalue()
    assert type(tqdm.tqdm(disable=True)) is tqdm.tqdm


def test_a_class_that_shows_itself_in_its_own_way_goes_on_so(manager):
    shown = []

    class Own(tqdm.std.tqdm):
        def display(self, *_args, **_kwargs):
            shown.append(self.n)

    job = manager.submit(lambda: list(Own(range(3), mininterval=0, miniters=1)))
    job.get(5)
    assert shown[-1] == 3
    assert job.progress is None


def test_write_of_tqdm_prints_for_the_job(manager):
    def work():
        for number in tqdm.tqdm(range(2)):
            tqdm.tqdm.write(f"at {number}")

    job = manager.submit(work)
    job.get(5)
    assert [line for line in job.output.replace("\r", "\n").splitlines() if line.startswith("at")] == ["at 0", "at 1"]


@pytest.mark.parametrize("when", ["before", "between", "in the job"])
def test_whenever_it_is_imported(python, when):
    code = f"""
        import sys
        when = {when!r}
        if when == "before": import tqdm
        import rjobs
        assert when == "before" or "tqdm" not in sys.modules
        manager = rjobs.JobManager()
        assert when == "before" or "tqdm" not in sys.modules
        if when == "between": import tqdm
        def work():
            import tqdm
            for _ in tqdm.tqdm(range(3)): pass
        job = manager.submit(work)
        job.get(10)
        print(job.progress.done, job.progress.total, "3/3" in job.output)
        assert "tqdm.std" not in sys.modules["rjobs._late"]._waiting
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    assert python(code).stdout == "3 3 True\n"


def test_it_goes_with_the_other_hooks(python):
    code = """
import sys, rjobs
from rjobs import _capture
finders = list(sys.meta_path)
rjobs.JobManager()
assert finders != sys.meta_path
_capture.uninstall()
assert finders == sys.meta_path
import tqdm
new = tqdm.tqdm.__new__
rjobs.JobManager()
assert tqdm.tqdm.__new__ is not new
_capture.uninstall()
assert tqdm.tqdm.__new__ is new
"""
    python(code)


def test_a_module_of_that_name_that_is_not_there(python):
    """Looking for it finds nothing, and breaks nothing."""
    code = """
import sys, rjobs
rjobs.JobManager()
sys.path[:] = [folder for folder in sys.path if "site-packages" not in folder]
try:
    import tqdm.std
except ImportError as error:
    print(error.name)
"""
    assert python(code).stdout == "tqdm\n"
    assert "tqdm" in sys.modules
