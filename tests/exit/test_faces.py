"""The end of a program with an `Executor` or a `Pool`: calls that were submitted are waited for, or are not."""

FRAME = """
import atexit, os, sys, threading, time
import rjobs
def say(*words):
    # Not print: in a job that is the job's output.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def work(name, seconds=0.2):
    time.sleep(seconds)
    say(name)
started = threading.Event()
def endless():
    started.set()
    while True:
        sum(range(100))
"""


def program(source: str) -> str:
    import textwrap

    return FRAME + textwrap.dedent(source)


def test_what_an_executor_was_given_is_finished(run, check):
    source = """
        executor = rjobs.Executor(1)
        for name in "abc":
            executor.submit(work, name)
        say("main is over")
        sys.exit(3)
    """
    check(run(program(source)), 3, "main is over\na\nb\nc\n")


def test_also_that_of_one_that_is_gone_and_of_one_that_was_shut_down(run, check):
    source = """
        rjobs.Executor(1).submit(work, "gone")
        with rjobs.Executor(1) as executor:
            executor.submit(work, "waited for")
        executor = rjobs.Executor(1)
        executor.submit(work, "shut down", 0.5)
        executor.shutdown(wait=False)
    """
    ending = run(program(source))
    assert sorted(ending.out.splitlines()) == ["gone", "shut down", "waited for"]
    check(ending, 0)


def test_what_was_cancelled_is_not(run, check):
    source = """
        executor = rjobs.Executor(1)
        executor.submit(work, "runs").add_done_callback(lambda _: say("told"))
        while not executor.manager.running[0].running():
            time.sleep(0.001)
        executor.submit(work, "never")
        executor.shutdown(wait=False, cancel_futures=True)
    """
    check(run(program(source)), 0, "runs\ntold\n")


def test_the_done_callbacks_are_waited_for(run, check):
    source = """
        executor = rjobs.Executor(1)
        executor.submit(work, "runs").add_done_callback(lambda _: work("told", 1.0))
    """
    check(run(program(source)), 0, "runs\ntold\n")


def test_in_a_given_manager_its_other_jobs_are_ended(run, check):
    source = """
        manager = rjobs.JobManager(1, daemon=True)
        manager.submit(endless)
        executor = rjobs.Executor(1, manager=manager)
        for name in "abc":
            executor.submit(work, name)
        assert started.wait(10)
        sys.exit(3)
    """
    check(run(program(source)), 3, "a\nb\nc\n")


def test_nothing_is_taken_any_more(run, check):
    source = """
        def late(where):
            for refused in (executor.submit, lambda f: executor.map(f, [1])):
                try:
                    refused(int)
                except RuntimeError as error:
                    say(where, error)
            try:
                pool.apply(int)
            except ValueError as error:
                say(where, "Pool not running" in str(error))
        def call():
            while not rjobs._face.is_ending():
                time.sleep(0.001)
            late("in a call:")
        executor, pool = rjobs.Executor(2), rjobs.Pool(1)
        executor.submit(call)
        atexit.register(late, "at exit:")
        # Its __del__ is not what this is about.
        pool.apply(int)
        atexit.register(pool.terminate)
    """
    ending = run(program(source))
    refused = "cannot schedule new futures after interpreter shutdown"
    assert ending.out.splitlines() == [
        f"in a call: {refused}",
        f"in a call: {refused}",
        "in a call: True",
        f"at exit: {refused}",
        f"at exit: {refused}",
        "at exit: True",
    ]
    check(ending, 0)


def test_a_pools_work_is_ended(run, check):
    source = """
        pool = rjobs.Pool(2)
        results = pool.map_async(lambda _: endless(), range(10), 1)
        stream = pool.imap(work, iter(range(100_000)))
        assert started.wait(10)
        sys.exit(3)
    """
    check(run(program(source)), 3, "")


def test_a_pool_that_reads_an_iterable_ends_with_the_program(run, check):
    source = """
        pool, go = rjobs.Pool(2), threading.Event()
        def items():
            yield 1
            go.wait()
        next(pool.imap(abs, items()))
        endless_one = pool.imap(abs, iter(int, 1))
        sys.exit(3)
    """
    check(run(program(source)), 3, "")
