"""How jobs look: safe whatever they hold, as text and as HTML."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace

import pytest

import rjobs
from rjobs import _display, _safe_text, _table

NASTY = "<script>alert(1)</script>\n\x1b[31mred\x1b[0m\x07\x9b2J \u202egnp.exe \ud800 $x^2$ & 'q' \"q\""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("tab\there", "tab here"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x1b(B", ""),
        ("\x1b", r"\x1b"),
        ("bell\x07", r"bell\x07"),
        ("nul\0", r"nul\x00"),
        ("\u202eright to left\u2066", r"\u202eright to left\u2066"),
        ("\ud800", "\ufffd"),
        ("a\udcffb\ud83d\ude00", "a\ufffdb\ufffd\ufffd"),
        ("größe 文字", "größe 文字"),
        ("x" * 100, "x" * 39 + "…"),
    ],
)
def test_a_line_is_safe(text, line):
    assert _safe_text.one_line(text, 40) == line


def test_huge_text_costs_little():
    assert len(_safe_text.one_line("\x1b]" * 10_000_000, 40)) <= 40


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (0.0996, "0.1 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185.4, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (200_000, "2 d 07 h"),
    ],
)
def test_durations(seconds, text):
    assert _safe_text.duration(seconds) == text


def test_an_empty_table(manager, capsys):
    manager.status()
    assert capsys.readouterr().out == "No jobs.\n"
    assert "No jobs." in _display.manager_html(manager)


def test_one_row_is_one_line_and_html_is_escaped(manager):
    def noisy():
        print(NASTY)
        raise ValueError(NASTY)

    manager.options(name=NASTY).submit(noisy).join(20)
    job = manager[0]
    table = _display.manager_text(manager)
    assert len(table.splitlines()) == 4
    for text in (table, _display.job_text(job)):
        assert all(char.isprintable() for char in text.replace("\n", ""))
    for html in (_display.manager_html(manager), _display.job_html(job)):
        assert "<script" not in html
        assert "\x1b" not in html
        assert "&lt;script&gt;" in html
        assert "mathjax_ignore" in html


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class UnshowableError(Exception):
    def __str__(self):
        raise RuntimeError("no str")


def test_what_cannot_be_shown_breaks_nothing(manager):
    def fail():
        raise UnshowableError

    manager.submit(Unshowable).join(20)
    manager.submit(fail).join(20)
    manager.submit(lambda *_: None, Unshowable()).join(20)
    assert sum(line[:3] in ("0 :", "1 :", "2 :") for line in _display.manager_text(manager).splitlines()) == 3
    assert "UnshowableError" in _display.job_text(manager[1])
    assert "UnshowableError" in _display.job_html(manager[1])
    assert "UnshowableError" in _display.format_exception(manager[1].exception(0))


def test_a_job_whose_attributes_raise_is_a_row_all_the_same():
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError(name)

    assert _table.row(Broken()).state == "?"
    assert _display.job_text(Broken()) == "<Job ? ?: ?, >"
    assert "Job ?" in _display.job_html(Broken())


def test_the_text_of_a_job(manager):
    go = threading.Event()
    running = manager.options(name="waits").submit(go.wait, 20)
    while running.state == "queued":
        pass
    assert _display.job_text(running).startswith("<Job 0 running: waits, ")
    go.set()
    running.join(20)
    assert _display.job_text(running).startswith("<Job 0 done: waits, ")
    failed = manager.options(name="fails").submit(lambda: 1 / 0)
    failed.join(20)
    assert _display.job_text(failed).endswith(", ZeroDivisionError: division by zero>")


def test_running_jobs_come_first_and_the_rest_is_counted(manager):
    go = threading.Event()
    first = manager.options(name="the first").submit(go.wait, 20)
    jobs = [manager.submit(int) for _ in range(70)]
    for job in jobs:
        job.join(20)
    lines = _display.manager_text(manager).splitlines()
    assert lines[0] == "Running jobs:"
    assert lines[1].startswith(" 0 : the first  ")
    assert lines[3:5] == ["Completed jobs:", lines[4]]
    assert lines[4].startswith("70 : ")
    assert sum(" : " in line for line in lines) == 50
    assert lines[-1] == "… 21 more; 1 running, 70 done"
    assert _display.manager_html(manager).count("<tr>") == 51
    go.set()
    first.join(20)


def test_the_table_fits_the_terminal(manager, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    manager.options(name="文字").submit(print, "文字" * 100).join(20)
    (line,) = (line for line in _display.manager_text(manager).splitlines() if "文字" in line)
    assert 60 <= _safe_text.width(line) < 70
    assert line.endswith(("文…", "字…"))


def test_a_long_name_is_cut(manager):
    manager.options(name="文字" * 30_000).submit(int).join(20)
    assert all(_safe_text.width(line) < 100 for line in _display.manager_text(manager).splitlines())


def test_a_line_written_over_shows_its_last_text(manager):
    manager.submit(print, "10%\r20%\r30%", end="\r\n").join(20)
    assert _display.manager_text(manager).splitlines()[1].endswith("30%")
    manager.submit(print, "a\n10%\r20%").join(20)
    assert ">a\n20%</pre>" in _display.job_html(manager[1])


def test_a_hundred_thousand_jobs_are_shown_at_once(manager):
    import time

    jobs = [manager.submit(int) for _ in range(100_000)]
    manager.wait(jobs)
    begin = time.perf_counter()
    text = _display.manager_text(manager)
    took = time.perf_counter() - begin
    assert "… 99,950 more; 100,000 done" in text
    assert took < 0.5  # the goal is 10 ms (benches/); this only catches a cost per hidden job


def test_the_table_goes_to_a_stream_that_lacks_characters(manager, monkeypatch):
    raw = io.BytesIO()
    manager.options(name="größe").submit(int).join(20)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    _display.status(manager)
    sys.stdout.flush()
    assert rb"gr\xf6\xdfe" in raw.getvalue()


def test_a_notebook_gets_html_and_text(notebook, monkeypatch):
    published = []
    monkeypatch.setattr(notebook.shell, "kernel", object(), raising=False)
    publisher = SimpleNamespace(publish=lambda **bundle: published.append(bundle))
    monkeypatch.setattr(notebook.shell, "display_pub", publisher)
    _display.status(notebook["jobs"])
    (bundle,) = published
    assert bundle["data"]["text/plain"] == "No jobs."
    assert "<div" in bundle["data"]["text/html"]


def failing(depth):
    if depth:
        failing(depth - 1)
    raise ValueError("at the bottom")


def exception_of(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError


def test_exceptions_without_a_shell():
    text = _display.format_exception(exception_of(failing, 2))
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: at the bottom\n")


def test_exceptions_in_a_shell(notebook):
    notebook("def failing():\n    secret = 1\n    raise ValueError('at the bottom')")
    job = notebook("%job failing()")
    job.join(20)
    text = _display.format_exception(job.exception(0))
    assert text.startswith("-----")
    assert text.endswith("ValueError: at the bottom\n")
    assert "rjobs" not in text
    assert "----> 3     raise ValueError('at the bottom')" in text
    notebook("%colors linux")
    assert "\x1b[" in _display.format_exception(job.exception(0))
    notebook("%xmode Minimal")
    assert _display.format_exception(job.exception(0)).count("\n") == 1
    notebook("%xmode Verbose")
    assert "secret" in _display.format_exception(job.exception(0))


def test_formatting_leaves_the_shells_own_last_traceback_alone(notebook):
    before = getattr(notebook.shell.InteractiveTB, "tb", None)
    _display.format_exception(exception_of(failing, 1))
    assert getattr(notebook.shell.InteractiveTB, "tb", None) is before


def cause():
    try:
        failing(0)
    except ValueError as error:
        raise KeyError("the effect") from error


def group():
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


def bad_syntax():
    compile("x = = 1", "<made up>", "exec")


def recursion():
    return recursion()


def bad_cause():
    class ChainedError(Exception):
        @property
        def __cause__(self):
            raise RuntimeError("no cause")

    raise ChainedError("with a bad cause")


def rendered():
    class RenderedError(Exception):
        def _render_traceback_(self):
            return ["rendered by itself"]

    raise RenderedError


def badly_rendered():
    class BadlyRenderedError(Exception):
        def _render_traceback_(self):
            raise RuntimeError

    raise BadlyRenderedError


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (cause, ["ValueError: at the bottom", "the effect", "direct cause"]),
        (group, ["several", "ValueError: one", "KeyError: 'two'"]),
        (bad_syntax, ["x = = 1", "SyntaxError"]),
        (recursion, ["RecursionError"]),
        (bad_cause, ["ChainedError"]),
        (badly_rendered, ["BadlyRenderedError"]),
        (lambda: (_ for _ in ()).throw(UnshowableError), ["UnshowableError"]),
        (lambda: sys.exit(3), ["SystemExit", "3"]),
    ],
)
@pytest.mark.parametrize("place", ["shell", "plain"])
def test_every_exception_has_a_text(function, expected, place, request):
    if place == "shell":
        request.getfixturevalue("notebook")
    text = _display.format_exception(exception_of(function))
    for part in expected:
        assert part in text
    assert text.endswith("\n")


def test_exceptions_that_render_themselves(notebook):
    assert _display.format_exception(exception_of(rendered)) == "rendered by itself\n"
    job = notebook("%%job\n%nonsense_magic")
    job.join(20)
    assert _display.format_exception(job.exception(0)).startswith("UsageError: ")


def test_broken_machinery_of_ipython_falls_back(notebook, monkeypatch):
    monkeypatch.setattr(notebook.shell, "InteractiveTB", None)
    assert "ValueError: at the bottom" in _display.format_exception(exception_of(failing, 0))


def test_the_traceback_of_a_job_in_a_notebook(notebook, capsys):
    job = notebook("%job -q 1 / 0\njobs[0]")
    job.join(20)
    capsys.readouterr()
    job.traceback()
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert isinstance(job, rjobs.Job)
