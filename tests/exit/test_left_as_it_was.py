"""The end of a program is as without rjobs: finalizers run in their order, files are flushed, temporary ones go."""

from __future__ import annotations

import subprocess
import sys

import pytest

REFERRERS = """
import gc, sys
gc.disable()
{imported}
def function(): pass
print(sorted(type(each).__name__ for each in gc.get_referrers(sys.modules["__main__"].__dict__)))
print(sys.getrefcount(sys.modules["__main__"].__dict__))
"""


def test_importing_refers_to_nothing_of_the_program(run):
    plain, with_rjobs = (run(REFERRERS.format(imported=imported)) for imported in ("import json", "import rjobs"))
    assert (plain.code, plain.err) == (0, "")
    assert (with_rjobs.code, with_rjobs.err) == (0, "")
    assert with_rjobs.out == plain.out


# What a program has that is to be finalized. The order is that of the collector's generations: so there is but one.
PROGRAM = """
import gc, os, sys, tempfile, threading, time
gc.disable()

class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        os.write(1, f"{{self.name}} is gone\\n".encode())

first = Noisy("first")
out = open(sys.argv[1], "w")
out.write("data")
temporary = tempfile.NamedTemporaryFile(dir=os.path.dirname(sys.argv[1]), prefix="temporary")

def helper(*ignored):
    return first

cyclic = Noisy("cyclic")
cyclic.me = cyclic
{body}
last = Noisy("last")
gc.collect()
"""

MANAGER = """
import rjobs
jobs = rjobs.JobManager()
ended = jobs.options(daemon=True)

def started(job):
    while job.state == "queued":
        time.sleep(0.001)
    time.sleep(0.05)
"""

WITHOUT_A_MANAGER = {
    "import": "import rjobs",
    "a manager that nobody holds": "import rjobs\nrjobs.JobManager().submit(helper).get()",
    "with": "import rjobs\nwith rjobs.JobManager() as jobs: jobs.submit(helper).get()",
    "an executor": "import rjobs\npool = rjobs.Executor(2)\nresults = list(pool.map(helper, range(5)))",
    "a pool": "import rjobs\npool = rjobs.Pool(2)\nresults = pool.map(helper, range(5))",
    "on a thread": """
import rjobs
thread = threading.Thread(target=lambda: rjobs.JobManager().submit(helper).get())
thread.start()
thread.join()
""",
    "waits for its next try, and nobody holds the manager": """
import rjobs
def fails():
    tried.set()
    1 / 0
tried = threading.Event()
def submit():
    rjobs.JobManager().options(daemon=True, retry=20).submit(fails)
submit()
tried.wait()
time.sleep(0.05)
""",
    "waits for a limit, and nobody holds the manager": """
import rjobs
def submit():
    jobs = rjobs.JobManager()
    jobs.limit("seldom", rate=0.01)
    return [jobs.options(daemon=True, limit="seldom").submit(helper) for _ in range(2)][0].get()
submit()
""",
    "the hook of threads": """
import rjobs
def hook(error): pass
threading.excepthook = hook
jobs = rjobs.JobManager()
jobs.submit(helper).get()
threading.excepthook = threading.__excepthook__
""",
    "the trace function of threads": """
import rjobs
def trace(frame, event, argument): return trace
threading.settrace(trace)
jobs = rjobs.JobManager()
jobs.submit(helper).get()
threading.settrace(None)
""",
}

WITH_A_MANAGER = {
    "no job": "",
    "done": "jobs.submit(helper).get()",
    "its value is kept": "job = jobs.submit(helper)\njob.get()",
    "code": "job = jobs.new('x = helper()')\njob.get()",
    "an expression": "job = jobs.new('[helper() for _ in range(2)]')\njob.get()",
    "code that fails": "job = jobs.new('1 / 0')\njob.exception()",
    "fails": "def fails(): 1 / 0\njob = jobs.submit(fails)\njob.exception()",
    "its error is kept": """
def fails(): 1 / 0
try:
    jobs.submit(fails).get()
except ZeroDivisionError as error:
    kept = error
""",
    "killed": """
def blocks():
    local = first
    threading.Event().wait()
job = jobs.submit(blocks)
started(job)
job.kill()
""",
    "blocks at the end": """
def blocks():
    local = first
    threading.Event().wait()
job = ended.submit(blocks)
started(job)
""",
    "computes at the end": """
def computes():
    local = first
    while True: pass
job = ended.submit(computes)
started(job)
""",
    "catches what ends it": """
def catches():
    local = first
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
job = ended.submit(catches)
started(job)
""",
    "waits for another at the end": """
other = ended.submit(time.sleep, 60)
def waits():
    local = first
    other.get()
job = ended.submit(waits)
started(job)
""",
    "has a thread of its own": """
def begins():
    local = first
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    1 / 0
jobs.submit(begins).exception()
""",
    "queued": """
jobs = rjobs.JobManager(1)
ended = jobs.options(daemon=True)
started(ended.submit(time.sleep, 60))
queued = [ended.submit(helper) for _ in range(3)]
""",
    "shut down": "jobs.submit(helper).get()\njobs.shutdown()",
    "a coroutine": "async def helps(): return helper()\njobs.submit(helps).get()",
    "a coroutine that waits at the end": """
import asyncio
async def waits():
    local = first
    await asyncio.sleep(60)
waiting = [ended.submit(waits) for _ in range(3)]
for job in waiting: started(job)
""",
    "a coroutine that computes at the end": """
async def computes():
    local = first
    while True: pass
job = ended.submit(computes)
started(job)
""",
    "code with an await": "job = ended.new('import asyncio; await asyncio.sleep(60)')\nstarted(job)",
    "a generator": "def gives():\n    yield first\njob = jobs.submit(gives)\njob.get()",
    "a map": "group = jobs.map(lambda item: helper(), range(9))\ngroup.results()",
    "a map that fails": "group = jobs.map(lambda item: 1 / item, range(9))\ngroup.wait()",
    "a map at the end": "group = ended.map(lambda item: time.sleep(1), range(999))\ntime.sleep(0.1)",
    "periodic": "job = ended.every(0.01, helper)\ntime.sleep(0.05)",
    "waits for its next try": "def fails(): 1 / 0\njob = ended.options(retry=20).submit(fails)\ntime.sleep(0.05)",
    "after another": "job = ended.submit(time.sleep, 60)\nnext_one = ended.options(after=[job]).submit(helper)",
    "a callback": "job = jobs.submit(helper)\njob.add_done_callback(helper)\njob.get()",
    "a future": "future = jobs.submit(helper).future\nfuture.result()",
    "a command": "job = jobs.shell('true')\njob.add_done_callback(helper)\njob.get()",
    "a command at the end": "job = ended.shell('sleep 60')\njob.add_done_callback(helper)",
}

PROGRAMS = WITHOUT_A_MANAGER | {name: MANAGER + body for name, body in WITH_A_MANAGER.items()}


@pytest.fixture
def finish(tmp_path):
    """Run the program with this in its midst: what it printed, its file, and how many temporary ones are left."""

    def finish(body: str) -> tuple[list[str], str, int]:
        program, file = tmp_path / "program.py", tmp_path / "file.txt"
        program.write_text(PROGRAM.format(body=body))
        command = [sys.executable, "-W", "ignore", str(program), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines(), file.read_text(), len(list(tmp_path.glob("temporary*")))

    return finish


@pytest.fixture(scope="module")
def plain():
    """What the program prints without any job."""
    return ["first is gone", "cyclic is gone", "last is gone"]


def test_a_program_without_rjobs(finish, plain):
    assert finish("") == (plain, "data", 0)


@pytest.mark.parametrize("name", PROGRAMS)
def test_finalizers_run_in_their_order_files_are_flushed_and_temporary_ones_go(finish, plain, name):
    assert finish(PROGRAMS[name]) == (plain, "data", 0)


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError", "jobs.submit(divmod, 1, 0).get()"])
def test_also_where_the_program_ends_otherwise(tmp_path, plain, end):
    program, file = tmp_path / "program.py", tmp_path / "file.txt"
    body = f"{MANAGER}\njobs.submit(helper).get()\nlast = Noisy('last')\ngc.collect()\n{end}"
    program.write_text(PROGRAM.format(body=body))
    command = [sys.executable, "-W", "ignore", str(program), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == (3 if "exit" in end else 1)
    assert (done.stdout.splitlines(), file.read_text()) == (plain, "data")
    assert list(tmp_path.glob("temporary*")) == []


def test_the_threads_of_a_manager_have_ended_before_the_interpreter_does(run, check):
    ending = run(
        """
        import atexit, threading
        def look():
            print(sorted(thread.name for thread in threading.enumerate()))
        atexit.register(look)
        import rjobs
        async def coroutine(): return 1
        jobs = rjobs.JobManager()
        together = threading.Barrier(20)
        for each in [jobs.submit(together.wait) for _ in range(20)] + [jobs.submit(coroutine)]:
            each.get()
        assert threading.active_count() > 20
        """
    )
    check(ending, 0, "['MainThread']\n")
