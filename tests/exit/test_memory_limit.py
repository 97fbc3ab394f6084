"""Under a memory limit what is too large is a `MemoryError` in the job that asked for it, and ends no process."""

from __future__ import annotations

import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS takes no notice of RLIMIT_AS")

START = """
    import resource, sys, threading
    import rjobs

    jobs = rjobs.JobManager(2, output_limit=1 << 30)
    jobs.submit(pow, 2, 2).get()
    me = rjobs.current_job

    def limit(spare):
        pages = int(open("/proc/self/statm").read().split()[0])
        soft = pages * resource.getpagesize() + spare
        resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))

    def lift():
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

    def outcome(act):
        try:
            return act()
        except BaseException as error:
            return type(error).__name__

    def end(job):
        job.join(60)
        return job.state, type(job.exception(0)).__name__

    def use_up(keep):
        # Down to the last few bytes.
        size = 1 << 22
        while size > 8:
            try:
                while True:
                    keep.append(bytearray(size))
            except MemoryError:
                size //= 2
"""

PROGRAMS = {
    "one large text": (
        """
        text = "x" * (120 << 20)
        limit(50 << 20)
        job = jobs.submit(print, text)
        print(end(job))
        print(len(job.output), job.output_dropped)
        """,
        "('failed', 'MemoryError')\n0 0",
    ),
    "bytes": (
        """
        data = b"x" * (120 << 20)
        limit(70 << 20)
        job = jobs.submit(lambda: sys.stdout.buffer.write(data))
        print(end(job))
        """,
        "('failed', 'MemoryError')",
    ),
    "lone surrogates": (
        """
        text = "\\udc80" * (40 << 20)
        limit(50 << 20)
        print(end(jobs.submit(print, text)))
        lift()
        few = jobs.submit(print, "a\\udc80b\\ud800\\udfff!\\u20ac")
        few.get()
        print(ascii(few.output))
        """,
        "('failed', 'MemoryError')\n'a\\ufffdb\\ufffd\\ufffd!\\u20ac\\n'",
    ),
    "many lines": (
        """
        def work():
            while True:
                print("x" * 1000)

        limit(60 << 20)
        job = jobs.submit(work)
        print(end(job))
        lift()
        print(len(job.output) > 1 << 20, job.output.endswith("x\\n"), job.tail(1) == "x" * 1000 + "\\n")
        """,
        "('failed', 'MemoryError')\nTrue True True",
    ),
    "a job that catches it": (
        """
        text = "x" * (120 << 20)

        def work():
            try:
                print(text)
            except MemoryError:
                print("short")
            return 1

        limit(50 << 20)
        job = jobs.submit(work)
        print(end(job), repr(job.output))
        """,
        "('done', 'NoneType') 'short\\n'",
    ),
    "output is read": (
        """
        job = jobs.submit(print, "x" * (120 << 20))
        job.get()
        limit(50 << 20)
        reads = [lambda: job.output, lambda: job.tail(1), lambda: next(job.follow()), lambda: job.follow()._read()]
        print([outcome(read) for read in reads])
        lift()
        print(len(job.output) == len(next(job.follow())) == (120 << 20) + 1)
        """,
        "['MemoryError', 'MemoryError', 'MemoryError', 'MemoryError']\nTrue",
    ),
    "values": (
        """
        def work():
            value = object()
            while True:
                me().send(value)

        limit(60 << 20)
        job = jobs.options(buffersize=10**9).submit(work)
        print(end(job))
        print(outcome(lambda: next(iter(job)) is not None))
        """,
        "('failed', 'MemoryError')\nTrue",
    ),
    "yielded values": (
        """
        def work():
            while True:
                yield None

        limit(60 << 20)
        print(end(jobs.options(buffersize=10**9).submit(work)))
        """,
        "('failed', 'MemoryError')",
    ),
    "the output of a command": (
        """
        command = [sys.executable, "-c", "import sys; sys.stdout.write('x' * (60 << 20) + 'end')"]
        limit(120 << 20)
        job = jobs.shell(command)
        print(end(job))
        lift()
        print(job.output_dropped > 0, job.tail(1).endswith("end"))
        """,
        None,
    ),
    "many jobs": (
        """
        gate = threading.Event()
        for _ in range(2):
            jobs.submit(gate.wait)

        # The program itself needs a little to go on, too.
        spare = [bytearray(1 << 20)]

        def submit():
            try:
                while True:
                    jobs.submit(pow, 2, 2)
            except MemoryError:
                spare.clear()
                lift()
                raise

        limit(30 << 20)
        failed = outcome(submit)
        print(failed)
        gate.set()
        jobs.wait()
        """,
        "MemoryError",
    ),
    "results of a map": (
        """
        spare = [bytearray(1 << 20)]
        limit(40 << 20)
        group = jobs.map(lambda _: bytearray(1 << 16), range(10**6))
        group.wait()
        spare.clear()
        failed = outcome(group.get)
        lift()
        print(group.state, failed)
        """,
        "failed MemoryError",
    ),
    "errors of a map": (
        """
        def fail(i):
            raise ValueError("x" * 1000 + str(i))

        spare = [bytearray(1 << 20)]
        limit(40 << 20)
        group = jobs.map(fail, range(10**6))
        group.wait()
        spare.clear()
        print(group.state)
        lift()
        """,
        "failed",
    ),
    "nothing is left at all": (
        """
        def work():
            keep = []
            try:
                use_up(keep)
                for i in range(200):
                    print("x" * 40)
                    me().progress(i, 200)
                    me().send(i)
            finally:
                keep.clear()
            return "went on"

        limit(80 << 20)
        jobs_ = [jobs.submit(work) for _ in range(20)]
        states = {end(job) for job in jobs_}
        print(states <= {("done", "NoneType"), ("failed", "MemoryError")})
        lift()
        """,
        "True",
    ),
}


# 3.11 ends the process where it finds no memory to make an exception with ("Cannot recover from MemoryErrors while
# normalizing exceptions"), also where a plain program keeps exceptions in a list until the memory is full.
ENDS_3_11 = pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.11 ends the process itself")


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=ENDS_3_11 if what == "errors of a map" else ()) for what in PROGRAMS]
)
def test_what_is_too_large_is_that_jobs_error(run, what):
    code, out = PROGRAMS[what]
    more = 'print(jobs.submit(pow, 2, 3).get(), jobs.new("2 ** 4").get())\nsys.exit(7)\n'
    ending = run(textwrap.dedent(START) + textwrap.dedent(code) + more)
    assert ending.code == 7, ending
    assert "memory allocation of" not in ending.err, ending
    assert ending.out.splitlines()[-1] == "8 16", ending
    if out is not None:
        assert "\n".join(ending.out.splitlines()[:-1]) == out, ending
    else:
        assert ending.out.splitlines()[1] == "True True", ending
