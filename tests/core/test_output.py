"""What a job writes to the standard streams goes to the job and nowhere else."""

import contextlib
import io
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture
def nothing_leaks(capsys):
    """At the end of the test nothing was written to the streams themselves."""
    yield
    assert capsys.readouterr() == ("", "")


def output_of(manager, function, *args):
    job = manager.submit(function, *args)
    job.get(10)
    return job.output


@pytest.mark.usefixtures("nothing_leaks")
class TestWhatIsCaught:
    def test_print(self, manager):
        assert output_of(manager, print, "hello", 1) == "hello 1\n"

    def test_both_streams_in_the_order_of_writing(self, manager):
        def work():
            print("one")
            print("two", file=sys.stderr)
            sys.stdout.write("three\n")
            sys.stderr.writelines(["four\n", "five\n"])
            print("six", end="", flush=True)

        assert output_of(manager, work) == "one\ntwo\nthree\nfour\nfive\nsix"

    def test_bytes_written_to_the_buffer_beneath(self, manager):
        def work():
            print("text")
            assert sys.stdout.buffer.write(b"bytes \xe2\x82\xac\n") == 10
            assert sys.stdout.buffer.write(memoryview(b"view\n")) == 5
            assert sys.stdout.buffer.write(bytearray(b"array\n")) == 6
            print("more text")

        assert output_of(manager, work) == "text\nbytes €\nview\narray\nmore text\n"

    def test_bytes_that_are_no_text(self, manager):
        def work():
            sys.stdout.buffer.write(b"\xff\x00ok\n")

        assert output_of(manager, work) == "\ufffd\x00ok\n"

    def test_text_that_has_no_bytes(self, manager):
        words = output_of(manager, print, "lone \ud800 surrogate").split()
        assert (words[0], set(words[1]), words[2]) == ("lone", {"\ufffd"}, "surrogate")

    def test_a_character_written_in_pieces(self, manager):
        def work():
            for byte in "€".encode():
                sys.stdout.buffer.write(bytes([byte]))

        assert output_of(manager, work) == "€"

    def test_what_code_prints(self, manager):
        job = manager.new("print('from code')\nimport sys\nprint('err', file=sys.stderr)")
        job.join(5)
        assert job.output == "from code\nerr\n"

    def test_what_a_coroutine_prints(self, manager):
        async def work():
            print("from a coroutine")

        assert output_of(manager, work) == "from a coroutine\n"

    def test_what_a_logging_handler_writes_that_was_there_before(self, manager):
        handler = logging.StreamHandler(sys.stderr)
        logger = logging.getLogger("tests.of.output")
        logger.propagate = False
        logger.addHandler(handler)
        try:
            assert output_of(manager, logger.warning, "logged") == "logged\n"
        finally:
            logger.removeHandler(handler)

    def test_a_stream_that_was_kept_by_its_write(self, manager):
        manager.submit(int).get(5)  # the streams are hooked now
        write = sys.stdout.write
        assert output_of(manager, write, "kept\n") == "kept\n"

    def test_threads_that_a_job_starts(self, manager):
        def work():
            threads = [threading.Thread(target=print, args=(n,)) for n in range(5)]
            for thread in threads:
                thread.start()
                thread.join(5)
            with ThreadPoolExecutor(1) as executor:
                executor.submit(print, "from an executor").result(5)

        assert output_of(manager, work) == "0\n1\n2\n3\n4\nfrom an executor\n"

    def test_a_thread_that_outlives_the_job(self, manager):
        go, threads = threading.Event(), []

        def late():
            go.wait(10)
            print("late")

        def work():
            threads.append(threading.Thread(target=late))
            threads[0].start()

        job = manager.submit(work)
        job.join(5)
        assert job.output == ""
        go.set()
        threads[0].join(5)
        assert job.output == "late\n"

    def test_the_traceback_of_a_thread_that_fails(self, manager, monkeypatch):
        # pytest collects such exceptions itself; this is what there is without it.
        monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)

        def work():
            thread = threading.Thread(target=int, args=("x",))
            thread.start()
            thread.join(5)

        assert "ValueError: invalid literal" in output_of(manager, work)

    def test_many_jobs_at_once_each_their_own(self, manager):
        together = threading.Barrier(10)

        def work(n):
            for line in range(50):
                print(n, line)
                if line % 10 == 0:
                    together.wait(10)

        jobs = [manager.submit(work, n) for n in range(10)]
        for n, job in enumerate(jobs):
            job.get(10)
            assert job.output == "".join(f"{n} {line}\n" for line in range(50))

    def test_what_is_printed_before_a_job_fails(self, manager):
        def work():
            print("before")
            raise ValueError

        job = manager.submit(work)
        job.join(5)
        assert job.output == "before\n"

    def test_a_progress_bar(self, manager):
        tqdm = pytest.importorskip("tqdm")

        def work():
            for _ in tqdm.tqdm(range(3), desc="bar"):
                pass

        assert "bar: 100%" in output_of(manager, work)

    def test_a_job_that_runs_while_somebody_else_captures(self, manager):
        started, go = threading.Event(), threading.Event()

        def work():
            started.set()
            go.wait(10)
            print("the job's")

        job = manager.submit(work)
        assert started.wait(5)
        with contextlib.redirect_stdout(io.StringIO()) as captured:
            print("the other's")
            go.set()
            job.join(5)
        assert captured.getvalue() == "the other's\n"
        assert job.output == "the job's\n"

    def test_a_job_that_starts_while_somebody_else_captures(self, manager):
        with contextlib.redirect_stderr(io.StringIO()) as captured:
            assert output_of(manager, lambda: print("x", file=sys.stderr)) == "x\n"
            print("the other's", file=sys.stderr)
        assert captured.getvalue() == "the other's\n"

    def test_what_a_job_captures_itself_is_its_to_keep(self, manager):
        def work():
            with contextlib.redirect_stdout(io.StringIO()) as captured:
                print("captured")
            print("printed")
            return captured.getvalue()

        job = manager.submit(work)
        assert job.get(5) == "captured\n"
        assert job.output == "printed\n"

    def test_what_a_job_captures_while_others_start(self, manager):
        capturing, go = threading.Event(), threading.Event()

        def work():
            with contextlib.redirect_stdout(io.StringIO()) as captured:
                capturing.set()
                go.wait(10)
                print("captured")
            return captured.getvalue()

        job = manager.submit(work)
        assert capturing.wait(5)
        assert output_of(manager, print, "the other's") == "the other's\n"
        go.set()
        assert job.get(5) == "captured\n"
        assert job.output == ""

    def test_nothing_of_an_empty_write(self, manager):
        assert output_of(manager, sys.stdout.write, "") == ""

    def test_printing_from_a_jobs_own_copy_of_the_context(self, manager):
        import contextvars

        def work():
            contextvars.copy_context().run(print, "in a copy")

        assert output_of(manager, work) == "in a copy\n"


def test_warnings_and_the_last_resort_of_logging(python):
    run = python(
        """
import logging, rjobs, warnings
warnings.simplefilter("always")
def work():
    warnings.warn("from a job")
    logging.getLogger("somewhere").error("last resort")
with rjobs.JobManager() as manager:
    job = manager.submit(work)
lines = job.output.splitlines()
assert "UserWarning: from a job" in lines[0], lines
assert lines[-1] == "last resort", lines
"""
    )
    assert (run.stdout, run.stderr) == ("", "")
