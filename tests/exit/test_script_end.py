"""The end of a script waits for its jobs, whatever they are and whatever they wait for; that of a session ends them."""

from __future__ import annotations

import os
import textwrap

import pytest

# What the jobs are, and what is printed, in any order.
FINISHED = {
    "plain": ("[m.submit(save, name) for name in 'abcde']", "a b c d e"),
    "more than workers": (
        "m = rjobs.JobManager(1); [m.submit(save, name, 0.01) for name in 'abcde']; del m",
        "a b c d e",
    ),
    "of managers that nobody holds": ("[rjobs.JobManager().submit(save, name) for name in 'abc']", "a b c"),
    "of a manager that was shut down": ("m.submit(save, 'a'); m.shutdown(wait=False)", "a"),
    "code": ("m.new('time.sleep(0.05); say(7)')", "7"),
    "coroutines": (
        """
        async def work():
            await asyncio.sleep(0.05)
            await asyncio.to_thread(save, "in a thread")
            say("co")
        m.submit(work)
        """,
        "co in a thread",
    ),
    "a command": ("m.shell('sleep 0.1'); atexit.register(lambda: say(m[0].state))", "done"),
    "a map": ("m.map(save, 'abc')", "a b c"),
    "a map of an iterator": ("m.map(save, iter('abc'), buffersize=1)", "a b c"),
    "a generator": (
        """
        def values():
            yield from range(3000)
            say("all given")
        m.submit(values)
        """,
        "all given",
    ),
    "after others": (
        """
        first = m.submit(save, "first")
        first.then(lambda _: save("then"))
        m.options(after=first).submit(save, "after")
        """,
        "after first then",
    ),
    "tries": (
        """
        tries = []
        def flaky():
            tries.append(1)
            assert len(tries) == 3
            say("third try")
        m.new(flaky, retry=5)
        """,
        "third try",
    ),
    "a limit": (
        """
        m.limit("one", concurrency=1)
        [m.options(limit="one").submit(save, name) for name in "abc"]
        """,
        "a b c",
    ),
    "callbacks": ("m.submit(int).add_done_callback(lambda _: save('told', 0.3))", "told"),
    "jobs of jobs": (
        """
        def nest(left):
            save(left)
            if left:
                m.submit(nest, left - 1)
        m.submit(nest, 3)
        """,
        "0 1 2 3",
    ),
    "a manager that a job makes": (
        "m.submit(lambda: (time.sleep(0.1), rjobs.JobManager().submit(save, 'inner', 0.1)))",
        "inner",
    ),
    "pools that a job makes late": (
        """
        def work():
            time.sleep(0.2)
            from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
            for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
                with kind(2) as pool:
                    say(list(pool.map(abs, [-1]))[0])
        m.submit(work)
        """,
        "1 1",
    ),
    "pools whose module came after the manager": (
        """
        from concurrent.futures import ThreadPoolExecutor
        def work():
            time.sleep(0.2)
            with ThreadPoolExecutor(2) as pool:
                pool.submit(save, "pooled").result()
        m.submit(work)
        """,
        "pooled",
    ),
    "behind a daemon": (
        """
        m = rjobs.JobManager(1, daemon=True)
        m.submit(endless)
        m.options(daemon=False).submit(save, "kept")
        m.submit(save, "never")
        """,
        "kept",
    ),
    "after a daemon": (
        "m.options(after=m.options(daemon=True).submit(save, 'before', 0.3)).submit(save, 'after')",
        "after before",
    ),
}


@pytest.mark.parametrize("jobs", FINISHED)
def test_a_script_finishes_its_jobs_and_keeps_its_code(program, run, check, jobs):
    source, printed = FINISHED[jobs]
    ending = run(program(textwrap.dedent(source) + "\nsys.exit(3)"))
    assert sorted(" ".join(ending.out.splitlines()).split()) == sorted(printed.split()), ending
    check(ending, 3)


@pytest.mark.parametrize(
    "end",
    [("", 0, ""), ("sys.exit(3)", 3, ""), ("raise ValueError('mine')", 1, "ValueError: mine")],
    ids=["falls off its end", "sys.exit", "an exception"],
)
def test_however_it_is_run_and_ends(program, run_command, tmp_path, monkeypatch, end):
    end, code, err = end
    source = program(f"[m.submit(save, name) for name in 'abcde']\n{end}")
    (tmp_path / "the_program.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    for arguments in (["-c", source], [str(tmp_path / "the_program.py")], ["-m", "the_program"]):
        ending = run_command(*arguments)
        assert sorted(ending.out.split()) == list("abcde"), ending
        assert ending.code == code
        assert err in ending.err
        assert err or not ending.err


def test_a_test_run_finishes_them_too(program, run_command, tmp_path):
    (tmp_path / "test_it.py").write_text(program("def test_it(): [m.submit(save, name) for name in 'abcde']"))
    ending = run_command("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(tmp_path))
    assert ending.code == 0, ending
    assert {*"abcde"} <= {*ending.out.split()}


CHILD = """
import multiprocessing, os, sys, time
import rjobs
def work():
    time.sleep(0.1)
    os.write(1, b"done\\n")
def target():
    rjobs.JobManager().submit(work)
if __name__ == "__main__":
    # As a session has it: the child is none.
    sys.ps1 = ">>> "
    process = multiprocessing.get_context(sys.argv[1]).Process(target=target)
    process.start()
    process.join(20)
    assert process.exitcode == 0
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_child_of_a_process_finishes_its_jobs(run_file, check, method):
    check(run_file(CHILD, method), 0, "done\n")


def test_what_said_daemon_is_ended_in_silence(program, run, check):
    source = """
        def work(name):
            try:
                time.sleep(1000)
            finally:
                say(name)
        daemons = rjobs.JobManager(daemon=True)
        first = daemons.submit(work, "manager's")
        m.options(daemon=True).submit(work, "option's")
        kept = daemons.options(daemon=False).submit(save, "kept", 0.3)
        say(first.daemon, kept.daemon, m.submit(int).daemon)
    """
    ending = run(program(source))
    assert sorted(ending.out.splitlines()) == sorted(["True False False", "manager's", "option's", "kept"])
    check(ending, 0)


def test_a_periodic_job_goes_on_while_others_are_waited_for_and_its_last_run_is_finished(program, run, check):
    source = """
        runs = []
        def tick():
            runs.append(1)
            time.sleep(0.02)
            runs.append(2)
        job = m.every(0.05, tick)
        m.submit(time.sleep, 0.5)
        atexit.register(lambda: say(len(runs) >= 8, runs.count(1) == runs.count(2), job.done()))
    """
    check(run(program(source)), 0, "True True True\n")


def test_the_last_run_is_the_first_where_that_has_not_begun(program, run, check):
    check(run(program("m.every(1000, save, 'once'); m.every(0.01, save, 'long', 0.3)")), 0, "once\nlong\n")


def test_a_periodic_job_that_asks_for_it_is_waited_for_until_it_ends(program, run, check):
    source = """
        runs = itertools.count()
        def tick():
            if next(runs) == 3:
                rjobs.current_job().kill(0)
        job = m.options(daemon=False).every(0.02, tick)
        atexit.register(lambda: say(job.state, job.runs))
    """
    check(run(program(source)), 0, "killed 4\n")


def test_values_that_nobody_reads_any_more_do_not_keep_it(program, run, check):
    source = """
        def values():
            try:
                yield from itertools.count()
            finally:
                say("closed")
        for value in m.submit(values):
            if value > 10: break
        for value in m.map(abs, itertools.count()):
            if value > 10: break
        m.submit(save, "saved", 0.5)
    """
    check(run(program(source)), 0, "saved\nclosed\n")


def test_values_that_another_job_reads_are_all_given(program, run, check):
    source = """
        source = m.options(buffersize=2).submit(lambda: (yield from range(100)))
        m.submit(lambda: say(sum(1 for value in source if not time.sleep(0.002))))
        rest = m.options(buffersize=2).submit(lambda: (yield from range(100)))
        threading.Thread(target=lambda: say(sum(1 for value in rest if not time.sleep(0.02)))).start()
    """
    check(run(program(source)), 0, "100\n100\n")
