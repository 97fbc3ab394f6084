"""What is kept of a job's output, and how it is read: `output`, `tail`, `follow`."""

import sys
import threading

import pytest

import rjobs


def test_output_grows_while_the_job_runs(manager):
    printed, go = threading.Event(), threading.Event()

    def work():
        print("first")
        printed.set()
        go.wait(10)
        print("second")

    job = manager.submit(work)
    assert printed.wait(5)
    assert job.output == "first\n"
    go.set()
    job.join(5)
    assert job.output == "first\nsecond\n"


def test_a_job_that_prints_nothing(manager):
    job = manager.submit(int)
    job.join(5)
    assert (job.output, job.tail(), job.output_dropped, job.outputs, list(job.follow())) == ("", "", 0, [], [])


@pytest.mark.parametrize(
    ("n", "tail"),
    [
        (0, ""),
        (1, "three"),
        (2, "two\nthree"),
        (3, "one\ntwo\nthree"),
        (10, "one\ntwo\nthree"),
        (10**30, "one\ntwo\nthree"),
    ],
)
def test_the_tail_is_the_last_lines(manager, n, tail):
    job = manager.submit(print, "one\ntwo\nthree", end="")
    job.join(5)
    assert job.tail(n) == tail


def test_the_tail_has_ten_lines_unless_told_otherwise(manager):
    job = manager.submit(print, *range(50), sep="\n")
    job.join(5)
    assert job.tail() == "".join(f"{n}\n" for n in range(40, 50))


def test_a_tail_cannot_be_negative(manager):
    job = manager.submit(int)
    job.join(5)
    with pytest.raises(ValueError, match="0 or more"):
        job.tail(-1)


@pytest.mark.parametrize("n", ["3", 1.5])
def test_a_tail_is_counted(manager, n):
    with pytest.raises(TypeError):
        manager.submit(int).tail(n)


def test_the_newest_output_is_kept_and_the_rest_counted():
    with rjobs.JobManager(output_limit=20) as manager:
        job = manager.submit(print, *range(100), sep="\n")
        job.join(5)
    written = "".join(f"{n}\n" for n in range(100))
    assert job.output_dropped == len(written) - 20
    assert job.output == f"[{job.output_dropped} bytes of older output were dropped]\n{written[-20:]}"
    assert job.tail(2) == "98\n99\n"


def test_a_character_is_not_cut_in_two():
    with rjobs.JobManager(output_limit=5) as manager:
        job = manager.submit(print, "€" * 10, end="")
        job.join(5)
    assert job.output.splitlines()[-1] == "€"


def test_no_output_need_be_kept():
    with rjobs.JobManager(output_limit=0) as manager:
        job = manager.submit(print, "gone")
        job.join(5)
    assert job.output_dropped == 5
    assert "gone" not in job.output


def test_a_mebibyte_is_kept_of_a_hundred(manager):
    line = "x" * 99_999 + "\n"

    def work():
        for _ in range(1000):
            sys.stdout.write(line)

    job = manager.submit(work)
    job.get(20)
    assert job.output_dropped == 100_000_000 - 1_048_576
    assert len(job.output) < 1_048_576 + 100
    assert job.output.endswith(line)


def test_follow_gives_the_text_as_it_comes(manager):
    steps = [threading.Event() for _ in range(3)]
    read = threading.Semaphore(0)

    def work():
        for number, step in enumerate(steps):
            step.wait(10)
            sys.stdout.write(f"{number}\n")
            assert read.acquire(timeout=10)

    job = manager.submit(work)
    following = job.follow()
    pieces = []
    for step in steps:
        step.set()
        pieces.append(next(following))
        read.release()
    assert pieces == ["0\n", "1\n", "2\n"]
    assert list(following) == []


def test_follow_begins_at_the_beginning_and_ends_with_the_job(manager):
    job = manager.submit(print, "all of it")
    job.join(5)
    assert "".join(job.follow()) == "all of it\n"
    assert "".join(job.follow()) == "all of it\n"


def test_follow_ends_with_a_job_that_prints_nothing(hold):
    job = hold()
    threading.Timer(0.01, hold.go.set).start()
    assert list(job.follow()) == []


@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_follow_ends_with_a_job_that_never_runs(single, hold, end):
    hold(on=single)
    job = single.submit(int)
    following = job.follow()
    threading.Timer(0.01, getattr(job, end)).start()
    assert list(following) == []


def test_several_may_follow_one_job(manager):
    go = threading.Event()

    def work():
        go.wait(10)
        for n in range(200):
            print(n)

    job = manager.submit(work)
    got = {}
    threads = [threading.Thread(target=lambda n=n: got.update({n: "".join(job.follow())})) for n in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert set(got.values()) == {"".join(f"{n}\n" for n in range(200))}


def test_who_follows_slowly_misses_what_was_dropped():
    go = threading.Event()
    with rjobs.JobManager(output_limit=10) as manager:

        def work():
            sys.stdout.write("first\n")
            go.wait(10)
            sys.stdout.write("x" * 100 + "\n")

        job = manager.submit(work)
        following = job.follow()
        assert next(following) == "first\n"
        go.set()
        job.join(5)
        assert "".join(following) == "x" * 9 + "\n"
