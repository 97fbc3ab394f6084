"""The streams themselves: as transparent as if nothing stood before them; and `input`."""

import io
import sys
import threading

import pytest


def test_outside_of_jobs_the_streams_are_as_ever(manager, capsys):
    manager.submit(print, "the job's").get(5)
    print("out")
    print("err", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.flush()
    assert capsys.readouterr() == ("out\nbytes\n", "err\n")


def test_nobody_can_tell_the_streams_from_before(python):
    python(
        """
import io, sys
before = sys.stdout, sys.stderr, type(sys.stdout), sys.stdout.buffer
facts = lambda s: (s.isatty(), s.fileno(), s.encoding, s.errors, s.name, s.mode, s.line_buffering, repr(s))
told = facts(sys.stdout), facts(sys.stderr)
import rjobs
manager = rjobs.JobManager(daemon=True)
manager.submit(print, "x").get(5)
assert before == (sys.stdout, sys.stderr, type(sys.stdout), sys.stdout.buffer)
assert told == (facts(sys.stdout), facts(sys.stderr))
assert isinstance(sys.stdout, io.TextIOWrapper)
assert sys.stdout.write("") == 0
def inside():
    return facts(sys.stdout), facts(sys.stderr), sys.stdout.write("xyz"), sys.stdout.flush()
assert manager.submit(inside).get(5) == (*told, 3, None)
sys.stdout.reconfigure(line_buffering=True)
for wrong in (b"bytes", 3, None):
    for write in (sys.stdout.write, lambda wrong: manager.submit(sys.stdout.write, wrong).get(5)):
        try:
            write(wrong)
        except TypeError:
            pass
        else:
            raise AssertionError(wrong)
for wrong in ("text", 3, None):
    for write in (sys.stdout.buffer.write, lambda wrong: manager.submit(sys.stdout.buffer.write, wrong).get(5)):
        try:
            write(wrong)
        except TypeError:
            pass
        else:
            raise AssertionError(wrong)
"""
    )


def test_a_program_without_streams_runs_its_jobs(python):
    python(
        """
import sys
sys.stdout = sys.stderr = None
import rjobs
manager = rjobs.JobManager(daemon=True)
job = manager.submit(print, "to nowhere")
job.join(5)
assert job.state == "done", job.exception()
"""
    )


def test_a_stream_that_takes_no_attributes_is_left_alone(manager, monkeypatch):
    class Slotted:
        __slots__ = ("texts",)

        def __init__(self):
            self.texts = []

        def write(self, text):
            self.texts.append(text)

        def flush(self):
            pass

    stream = Slotted()
    monkeypatch.setattr(sys, "stdout", stream)
    job = manager.submit(print, "through")
    job.get(5)
    assert "".join(stream.texts) + job.output == "through\n"


@pytest.mark.parametrize("where", ["job", "thread", "code"])
def test_input_in_a_job_raises_at_once(manager, where):
    def ask():
        input("name? ")

    def ask_in_thread():
        caught = []

        def run():
            try:
                ask()
            except RuntimeError as error:
                caught.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(5)
        raise caught[0]

    work = {"job": ask, "thread": ask_in_thread, "code": "input('name? ')"}[where]
    job = manager.new(work)
    with pytest.raises(RuntimeError, match="job 0 asked for input, but a background job has no keyboard"):
        job.get(5)


def test_input_elsewhere_is_the_builtin(manager, monkeypatch):
    manager.submit(int).join(5)
    monkeypatch.setattr(sys, "stdin", io.StringIO("answer\n"))
    assert input() == "answer"
    assert input.__name__ == "input"


def test_all_hooks_can_be_taken_back(python):
    python(
        """
import builtins, contextlib, sys, threading
def hooks():
    return (
        vars(sys.stdout).get("write"), vars(sys.stdout).get("flush"), vars(sys.stderr).get("write"),
        vars(sys.stdout.buffer).get("write"), threading.Thread.start, builtins.input,
        contextlib.redirect_stdout.__enter__, contextlib.redirect_stderr.__exit__,
    )
before = hooks()
import rjobs
from rjobs import _capture
assert hooks() == before
for _ in range(2):
    rjobs.JobManager().submit(print, "x").get(5)
    assert hooks() != before
    _capture.uninstall()
    assert hooks() == before
_capture.uninstall()
assert hooks() == before
job = rjobs.JobManager().submit(print, "again")
job.join(5)
assert job.output == "again\\n"
"""
    )
