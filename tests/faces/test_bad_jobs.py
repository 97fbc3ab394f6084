"""Jobs that are bad in themselves, by name, output, result or exception: a plain outcome, and the manager works on."""

import sys
import threading
import traceback

import pytest

pytestmark = pytest.mark.usefixtures("works_after")

NAMES = [
    "\x1b[31mred\x1b[0m",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "two\nlines\r\nthree",
    "bell\a\b\x7f\x9b31m",
    "\x1b]0;title\x07",
    "right\u202eleft",
    "nul\0",
    "tab\there",
    "'quotes\" & <b>",
    "lone \ud800",
    "",
    " ",
    "x" * 100_000,
    "👩‍👩‍👧 ü 中文",
    "%s %d {0} $HOME",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
def test_a_name_with_control_characters_or_html_in_it(manager, capsys, shown, name):
    job = manager.new(divmod, 1, 0, name=name)
    job.join(5)
    assert job.name == name or "\ud800" in name
    manager.status()
    seen = [capsys.readouterr().out, shown(job), shown(manager)]
    for text in seen:
        assert not set(text) & set("\x1b\a\b\x7f\x9b\0\r\u202e\x9d")
        assert len(text) < 10_000
    assert "\n" not in shown(job)
    for html in (job._repr_html_(), manager._repr_html_()):
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html.replace(f"<b>Job {job.num}</b>", "")
        assert not set(html) & set("\x1b\a\b\x7f\x9b\0")
    message = str(manager.options(name=name, timeout=0.001).new("while True: pass", {}).exception(10))
    assert not set(message) & set("\x1b\a\b\x7f\x9b\0\r\n\u202e")


@pytest.mark.parametrize("name", [name for name in NAMES if "\0" not in name], ids=lambda name: repr(name[:20]))
def test_the_thread_of_a_job_takes_any_name(manager, name):
    assert isinstance(manager.new(lambda: threading.current_thread().name, name=name).get(5), str)


def test_code_with_control_characters_or_html_in_it(manager, shown):
    job = manager.new("'<script>alert(1)</script>\x1b[31m'", {})
    job.join(5)
    assert "\x1b" not in shown(job)
    assert "<script" not in job._repr_html_() + manager._repr_html_()


def test_a_hundred_megabytes_of_output(manager):
    def work():
        block = "x" * 999_999 + "\n"
        for _ in range(100):
            sys.stdout.write(block)

    job = manager.submit(work)
    job.get(30)
    assert job.output_dropped > 90_000_000
    assert len(job.output) < 1_100_000


def test_one_line_of_a_hundred_megabytes(manager, capsys):
    job = manager.submit(lambda: sys.stdout.write("x" * 100_000_000))
    assert job.get(30) == 100_000_000
    assert len(job.tail(1)) <= 1_048_576
    manager.status()
    assert len(capsys.readouterr().out) < 10_000
    assert len(job._repr_html_()) < 100_000


def test_output_with_control_characters_or_html_in_it(manager, capsys, shown):
    job = manager.submit(print, "\x1b[2J<script>alert(1)</script>\a")
    job.join(5)
    manager.status()
    assert not set(capsys.readouterr().out + shown(job)) & set("\x1b\a")
    assert "<script" not in job._repr_html_() + manager._repr_html_()
    assert job.output == "\x1b[2J<script>alert(1)</script>\a\n"


def test_bytes_written_to_the_buffer_of_stdout(manager):
    job = manager.submit(lambda: sys.stdout.buffer.write(b"caf\xc3\xa9 \xff\n"))
    assert job.get(5) == 8
    assert job.output == "café \ufffd\n"


class BadRepr:
    def __init__(self, error):
        self.error = error

    def __repr__(self):
        raise self.error

    __str__ = _repr_html_ = __repr__


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), KeyboardInterrupt(), RecursionError()], ids=repr)
def test_a_result_whose_repr_raises(manager, ends_nobody, error):
    result = BadRepr(error)
    job = manager.submit(lambda: result)
    assert job.get(5) is result
    assert job.state == "done"
    with ends_nobody():
        assert "BadRepr" in job.to_dict()["result"]


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_callable_whose_repr_raises(manager, ends_nobody, error):
    class Callable(BadRepr):
        def __call__(self):
            return 5

    with ends_nobody():
        job = manager.new(Callable(error))
    assert job.get(5) == 5
    assert "Callable" in job.strform


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_exceptions_that_are_no_exceptions(manager, error):
    def die():
        raise error

    job = manager.submit(die)
    with pytest.raises(type(error)) as raised:
        job.get(5)
    assert raised.value is error
    assert job.state == "failed"
    assert job.to_dict()["exception"]["type"] == type(error).__name__


def bad_exception(error, base=Exception):
    class BadError(base):
        def __str__(self):
            raise error

        __repr__ = __str__

    return BadError


@pytest.mark.parametrize("error", [ValueError(), SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("base", [Exception, BaseException])
def test_an_exception_whose_str_raises(manager, capsys, ends_nobody, error, base):
    exception = bad_exception(error, base)()

    def die():
        raise exception

    job = manager.submit(die)
    assert job.exception(5) is exception
    assert job.state == "failed"
    with ends_nobody():
        job.traceback()
        manager.status()
    assert "BadError" in capsys.readouterr().out


def test_an_exception_that_cannot_be_made(manager):
    class NeedsMore(Exception):  # noqa: N818
        def __init__(self, more):
            super().__init__(more)

    started = threading.Event()

    def spin():
        started.set()
        while True:
            pass

    job = manager.submit(spin)
    assert started.wait(5)
    with pytest.raises(TypeError, match=r"NeedsMore\(\) does not work .*'more'"):
        job.kill(exc=NeedsMore)
    assert job.running()
    assert job.kill() is True


def test_an_exception_with_notes_that_are_none(manager):
    def die():
        error = ValueError("mine")
        error.__notes__ = 3
        raise error

    assert str(manager.submit(die).exception(5)) == "mine"


def test_an_exception_that_is_its_own_context(manager):
    def die():
        first, second = ValueError("first"), ValueError("second")
        first.__context__, second.__context__ = second, first
        raise first

    assert str(manager.submit(die).exception(5)) == "first"


def test_a_group_of_exceptions(manager, capsys):
    def die():
        raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])

    job = manager.submit(die)
    job.join(5)
    job.traceback()
    text = capsys.readouterr().out
    assert "ValueError: one" in text
    assert "TypeError: two" in text


def test_recursion_without_end(manager):
    def recurse():
        recurse()

    for job in (manager.submit(recurse), manager.new("def f(): f()\nf()", {})):
        with pytest.raises(RecursionError):
            job.get(10)
        assert len(traceback.extract_tb(job.exception().__traceback__)) > 100


def test_a_result_that_contains_itself(manager):
    def make():
        loop = []
        loop.append(loop)
        return loop

    assert isinstance(manager.submit(make).get(5), list)
