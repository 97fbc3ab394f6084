"""A job as the value of a cell: its box and its line."""

from __future__ import annotations

import re
import threading

import pytest

import rjobs
from rjobs._job_html import job_html, job_text, result_text


def ended(job):
    job.join(10)
    return job


class Raising:
    def __init__(self, error):
        self.error = error

    def __repr__(self):
        raise self.error


class Recursive:
    def __repr__(self):
        return repr(self)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"),
        (None, ""),
        ("two\nlines", r"'two\nlines'"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (list(range(10_000_000)), "[0, 1, 2, 3, 4, 5, ...]"),
        (10**10_000, None),
        ("x" * 10_000_000, None),
        (b"x" * 10_000_000, None),
        (Raising(ValueError()), None),
        (Raising(SystemExit()), "<Raising whose repr raises SystemExit>"),
        ([[[[[[1]]]]]], "[[[[...]]]]"),
        (Recursive(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_is_told_in_short(manager, value, text):
    job = ended(manager.submit(lambda: value))
    assert len(result_text(job)) <= 120
    assert text is None or result_text(job) == text
    assert ("→ " in job_html(job)) is (value is not None)


def test_a_failed_job_names_its_exception(manager):
    html = job_html(ended(manager.submit(lambda: 1 / 0)))
    assert ">ZeroDivisionError: division by zero</code>" in html
    assert "→" not in html


def test_a_group_has_its_bar_its_counts_and_its_first_errors(manager):
    gate = threading.Event()

    def item(number):
        if number == 60:
            gate.wait(20)
        return 1 // (number % 10)

    group = manager.options(name="items").map(item, range(100), workers=1, chunksize=1)
    while group.progress.done < 60:
        group.wait(0.001)
    html = job_html(group)
    assert 'style="width:60%"' in html
    assert "60% of 100, " in html
    assert "/s</div>" in html
    assert " left" in html
    assert "54 done, 6 failed, 40 to come" in html
    assert re.findall(r"item (\d+): ZeroDivisionError", html) == ["0", "10", "20"]
    assert "… 3 more" in html
    assert "60% of 100, 6 failed, " in job_text(group)
    gate.set()
    ended(group)
    assert "90 done, 10 failed</div>" in job_html(group)
    assert "10 results: [0, 1, 2, 3, 4, 5, ...]" in job_html(ended(manager.map(int, range(10))))


def test_bars_inside_of_the_jobs_stand_below_it(manager):
    go, ready = threading.Event(), threading.Event()

    def work():
        for _ in rjobs.track(range(4), desc="outer <1>"):
            for number in rjobs.track(range(10), desc="inner"):
                if number == 5:
                    ready.set()
                    go.wait(20)

    job = manager.submit(work)
    assert ready.wait(10)
    html = job_html(job)
    assert html.index("outer &lt;1&gt;") < html.index("0% of 4") < html.index("inner") < html.index("50% of 10")
    go.set()
    html = job_html(ended(job))
    assert "100% of 4" in html
    assert "inner" not in html


def test_what_tqdm_drew_is_not_shown_a_second_time(manager):
    tqdm = pytest.importorskip("tqdm")

    def work():
        for number in tqdm.tqdm(range(3), mininterval=0):
            tqdm.tqdm.write(f"at {number}")

    job = ended(manager.submit(work))
    assert "100%|" in job.output
    html = job_html(job)
    assert "100%|" not in html
    assert "at 0\nat 1\nat 2</pre>" in html


def test_a_box_of_a_job_for_which_nothing_happens_seldom_changes(manager):
    go = threading.Event()
    job = manager.submit(go.wait, 20)
    while job.state == "queued":
        pass
    # Two seconds have at most three numbers of whole seconds.
    begin, boxes = job.elapsed, set()
    while job.elapsed < begin + 0.5:
        boxes.add(job_html(job, steady=True))
    assert len(boxes) <= 2
    go.set()


def test_everything_in_a_box_is_escaped(manager):
    def work():
        print("<img src=x onerror=alert(1)>")
        for _ in rjobs.track([1], desc="<i>d</i>", unit="<b>"):
            pass
        return "<script>r</script>"

    html = job_html(ended(manager.options(name='"><script>n</script>').submit(work)))
    for bad in ("<img", "<script", "<i>d", "<b>/"):
        assert bad not in html
    assert "&lt;img src=x" in html


def test_the_line_of_a_job_tells_its_progress(manager):
    go, ready = threading.Event(), threading.Event()

    def work():
        rjobs.current_job().progress(1, 4)
        ready.set()
        go.wait(20)

    job = manager.options(name="works").submit(work)
    assert ready.wait(10)
    assert re.fullmatch(r"<Job 0 running: works, \d+ ms, 25% of 4, .* left, .*it/s>", job_text(job))
    go.set()
