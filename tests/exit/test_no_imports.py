"""What works for jobs imports nothing once they were accepted: an import may be killed, find no file descriptor, or no
`sys.meta_path` at the end of the interpreter. And what goes wrong there is somebody's exception: no process is aborted.
"""

from __future__ import annotations

import textwrap

import pytest

WAITS_FOR_CANCELLED = """
    import os, resource, sys, threading
    import rjobs

    jobs = rjobs.JobManager(1, daemon=True)
    inner, started = [], threading.Event()

    def outer():
        inner.append(jobs.submit(pow, 2, 2))
        started.set()
        inner[0].get()

    def outcome(job):
        try:
            return job.get(10)
        except BaseException as error:
            return type(error).__name__

    job = jobs.submit(outer)
    started.wait()
"""

ENDS = {
    # Whichever comes first: its own kill, or what it waits for is cancelled.
    "shutdown": (
        "jobs.shutdown(kill=True); print(job.state in ('killed', 'failed'), inner[0].state)",
        "True cancelled",
        0,
    ),
    "with": ("with jobs: jobs.kill_all(0)", "", 0),
    "the end of the script": ("", "", 0),
    "sys.exit": ("sys.exit(3)", "", 3),
    "cancel, then kill": ("inner[0].cancel(); job.kill(); print(job.state)", None, 0),
    "Ctrl-C": ("os.kill(os.getpid(), 2)", "", -2),
    "no file descriptor": (
        """
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        inner[0].cancel()
        print(outcome(job))
        for fd in held:
            os.close(fd)
        """,
        "CancelledError",
        0,
    ),
    "no finders": ("sys.meta_path = None; inner[0].cancel(); print(outcome(job))", "CancelledError", 0),
    "no modules": (
        """
        kept = dict(sys.modules)
        sys.modules.pop("concurrent.futures"), sys.modules.pop("concurrent.futures._base")
        sys.meta_path, finders = [], sys.meta_path
        inner[0].cancel()
        print(outcome(job))
        sys.meta_path = finders
        sys.modules.update(kept)
        """,
        "CancelledError",
        0,
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_job_that_waits_for_a_cancelled_one_ends_and_the_process_goes_on(run, how):
    code, out, exit_code = ENDS[how]
    ending = run(textwrap.dedent(WAITS_FOR_CANCELLED) + textwrap.dedent(code), "-X", "faulthandler")
    assert ending.code == exit_code, ending
    assert "panicked" not in ending.err, ending
    if out is not None:
        assert ending.out.strip() == out, ending


# Everything is accepted first, held back by one job; then nothing can be imported any more; then it runs.
EVERYTHING = """
    import logging, os, sys, threading, time
    import rjobs

    logging.disable(logging.CRITICAL)
    m = rjobs.JobManager(8)
    gate = threading.Event()
    first = m.submit(gate.wait)
    held = m.options(after=first)

    def fails():
        raise ValueError

    def count(n):
        for i in range(n):
            yield i
        return n

    async def count_async(n):
        for i in range(n):
            yield i

    async def add(a, b):
        import asyncio
        await asyncio.sleep(0)
        return a + b

    def reads_others():
        cancelled = m.options(after=never).submit(pow, 1, 1)
        cancelled.cancel()
        try:
            cancelled.get()
        except BaseException as error:
            assert type(error).__name__ == "CancelledError"
        done, not_done = m.wait([first, cancelled])
        assert list(m.as_completed([first])) == [first] and not not_done
        assert first.result is True and first.created_at < first.ended_at
        return list(values)

    def speaks():
        me = rjobs.current_job()
        print("text")
        me.progress(1, 2)
        for i in rjobs.track(range(2)):
            me.send(i)
        with me.shield():
            me.sleep(0.001)
        me.check()

    def blocks(how):
        def ends():
            with me_started:
                running.append(how)
            try:
                how()
            finally:
                time.sleep(0)
        return ends

    me_started, running = threading.Lock(), []
    def spin():
        while True:
            pass
    never = m.submit(threading.Event().wait)
    values = held.submit(count, 3)
    expired = m.options(ttl=0.001, after=never).submit(pow, 2, 2)
    waiting = m.options(after=never).submit(pow, 2, 2)
    every = m.every(0.001, fails)
    calls = {
        "call": held.submit(pow, 2, 3),
        "error": held.submit(fails),
        "retry": held.options(retry=1).submit(fails),
        "generator": held.submit(count, 2),
        "reader": held.submit(reads_others),
        "speaks": held.submit(speaks),
        "async generator": held.submit(count_async, 2),
        "coroutine": held.submit(add, 1, 2),
        "code": held.new("sum(range(4))"),
        "await": held.new("await add(2, 3)"),
        "skipped": m.options(after=held.submit(fails)).submit(pow, 2, 2),
        "then": held.submit(pow, 2, 2).then(str),
        "timeout": held.options(timeout=0.01).submit(time.sleep, 100),
        "forgotten": held.options(result_ttl=0).submit(pow, 2, 2),
    }
    callbacks = []
    calls["call"].add_done_callback(lambda job: callbacks.append(job.num))
    calls["call"].add_done_callback(lambda job: 1 / 0)
    group = held.map(str, range(100))
    broken = held.map(lambda x: 1 // x, range(3))
    group_async = held.map(add, range(3), range(3))
    blocked = [held.submit(blocks(how)) for how in (spin, lambda: time.sleep(100), threading.Event().wait)]
    asks = held.submit(lambda: m.submit(threading.Event().wait).get())

    refused = []

    class Refuses:
        def find_spec(self, name, path=None, target=None):
            refused.append((name, threading.current_thread().name))
            raise ImportError(f"{name} at this time")

    def outcome(job):
        try:
            return job.get(20)
        except BaseException as error:
            return type(error).__name__

    OUT_OF_WAY
    gate.set()
    found = {name: outcome(job) for name, job in calls.items()}
    assert group.results() == [str(i) for i in range(100)]
    broken.wait(20), group_async.wait(20)
    while len(running) < 3:
        time.sleep(0.001)
    BEFORE_KILLS
    kills = [job.kill() for job in blocked]
    states = [job.state for job in blocked]
    waiting.kill()
    stopped = every.stop()
    outcome(expired)
    asks.kill()
    never.kill()
    m.shutdown(kill=True)
    BACK
    print(found)
    is_ended = every.state in ("killed", "cancelled")
    print(len(broken.errors), group_async.state, kills, states, waiting.state, is_ended, expired.state, len(callbacks))
    print("refused", refused)
    sys.exit(7)
"""

FOUND = {
    "call": 8,
    "error": "ValueError",
    "retry": "ValueError",
    "generator": 2,
    "reader": [0, 1, 2],
    "speaks": None,
    "async generator": None,
    "coroutine": 3,
    "code": 6,
    "await": 5,
    "skipped": "JobSkipped",
    "then": "4",
    "timeout": "JobTimeout",
    "forgotten": 4,
}


def everything(out_of_way: str, back: str, before_kills: str = "") -> str:
    """The program, with what makes imports impossible."""
    program = textwrap.dedent(EVERYTHING).replace("BEFORE_KILLS", before_kills)
    return program.replace("OUT_OF_WAY", out_of_way).replace("BACK", back)


def test_nothing_is_imported_for_jobs_that_were_accepted(run):
    program = everything("sys.meta_path.insert(0, Refuses())", "del sys.meta_path[0]")
    ending = run(program)
    assert ending.code == 7, ending
    found, rest, refused = ending.out.splitlines()
    assert refused == "refused []", ending
    assert eval(found) == FOUND, found
    assert rest == "1 done [True, True, True] ['killed', 'killed', 'killed'] killed True expired 1", rest


def test_without_finders_all_goes_the_same_way(run):
    ending = run(everything("finders, sys.meta_path = sys.meta_path, None", "sys.meta_path = finders"))
    assert ending.code == 7, ending
    assert eval(ending.out.splitlines()[0]) == FOUND, ending


FILL = (
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); fds = []\n"
    "try:\n    while True: fds.append(os.open(os.devnull, os.O_RDONLY))\n"
    "except OSError: pass"
)


def test_without_a_descriptor_only_event_loops_fail(run):
    ending = run(everything(FILL, "", "for fd in fds: os.close(fd)"))
    assert ending.code == 7, ending
    found = eval(ending.out.splitlines()[0])
    loops = {"coroutine", "await", "async generator"}
    assert {name: found[name] for name in found.keys() - loops} == {
        name: FOUND[name] for name in FOUND.keys() - loops
    }, found
    assert {found[name] for name in loops} <= {"OSError", 3, 5, None}, found


# The doors of the extension by when they are opened, each time with what was done before.
DOORS = """
    import rjobs
    from rjobs._rjobs import _doors

    def shut():
        return sorted({when for _, _, when, is_open in _doors() if not is_open})

    print(shut())
    m = rjobs.JobManager()
    print(shut())
    m.options(retry=1)
    print(shut())
    m.map(str, [1]).wait()
    print(shut())
    async def wait(): pass
    async def give(): yield
    m.submit(wait).get()
    print(shut())
    m.submit(give).get()
    print(shut())
"""


def test_doors_are_open_before_anything_needs_them(run):
    ending = run(DOORS)
    assert ending.code == 0, ending
    after = [set(eval(line)) for line in ending.out.splitlines()]
    late = {"asked", "coroutine", "ownloop", "again", "map"}
    assert after[0] == late | {"manager"}
    assert after[1:4] == [late, late - {"again"}, late - {"again", "map"}]
    assert after[4] in ({"asked", "ownloop"}, {"asked"})
    assert after[5] == {"asked"}
