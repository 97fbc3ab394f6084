"""The end of a program while a job is stuck in native code, and holds what the end waits for: the code is the program's
own, what was written is there, and what takes its time at the end is given it.
"""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="how long the main thread waits is seen on Linux only")

STUCK = """
import ctypes
m = rjobs.JobManager(daemon=True)
libc = ctypes.CDLL(None)
locked, held = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(locked)
lock, begun = threading.Lock(), threading.Event()
def say(*words, write=os.write, text=str):
    # Also when `os` has been taken apart.
    write(1, (text(words[0]) + "\\n").encode())
def stay_in_c():
    with lock:
        libc.pthread_mutex_lock(held)
        begun.set()
        libc.pthread_mutex_lock(locked)
m.submit(stay_in_c)
begun.wait()
class Last:
    # Finalized when the interpreter is: with `sys`, since a thread that is stuck keeps the program's variables.
    def __init__(self, act):
        self.act = act
    def __del__(self):
        self.act()
"""

# What the end waits for, and never gets: in the interpreter, and in the process.
WAITS = {
    "in a finalizer": "sys.last = Last(lock.acquire)",
    "as the process exits": "libc.__cxa_atexit(libc.pthread_mutex_lock, held, None)",
    "nowhere": "",
}
CODES = {
    "": 0,
    "sys.exit()": 0,
    "sys.exit(7)": 7,
    "raise SystemExit(259)": 3,
    "try: sys.exit(8)\nfinally: atexit.register(int)": 8,
    "raise SystemExit": 0,
    "sys.exit(True)": 1,
    "sys.excepthook = print\n1 / 0": 1,
    "try: sys.exit(5)\nexcept SystemExit as end: code = end.code": 0,
    "atexit.register(os.getpid); os.kill(os.getpid(), signal.SIGTERM); endless()": -15,
    "sys.excepthook = print\nos.kill(os.getpid(), signal.SIGINT); endless()": -2,
}


@pytest.mark.parametrize("end", CODES)
@pytest.mark.parametrize("where", WAITS)
def test_the_exit_code_is_the_programs_own(run, check, program, where, end):
    ending = run(program(f"{STUCK}\n{WAITS[where]}\n{end}"))
    check(ending, CODES[end])


@pytest.mark.parametrize("where", WAITS)
def test_a_message_is_printed(run, check, program, where):
    check(run(program(f"{STUCK}\n{WAITS[where]}\nsys.exit('no such file')")), 1, err="no such file\n")


@pytest.mark.parametrize("where", WAITS)
def test_what_was_written_is_there(run, check, program, tmp_path, where):
    path = tmp_path / "text"
    source = f"""
    sys.file = open({str(path)!r}, "w")
    sys.file.write("in a file, never closed")
    print("by Python")
    sys.stdout.flush()
    libc.printf(b"by C, in its buffer\\n")
    sys.exit(3)
    """
    check(
        run(program(f"{STUCK}\n{WAITS[where]}" + source.replace("\n    ", "\n"))), 3, "by Python\nby C, in its buffer\n"
    )
    if where != "in a finalizer":
        assert path.read_text() == "in a file, never closed"


SLOW = {
    "a callback at exit": "atexit.register(slow)",
    "a callback at exit that waits for a thread": "atexit.register(wait_for_a_thread)",
    "a finalizer": "sys.last = Last(slow)",
    "a finalizer that waits for a while": "sys.last = Last(wait)",
    "a finalizer that computes": "sys.last = Last(compute)",
}


# 3.15 does not run on with a finalizer that waits for a lock, without rjobs neither.
NOT_ON_3_15 = pytest.mark.skipif(sys.version_info >= (3, 15), reason="CPython 3.15 cuts it short itself")


# Nor does 3.12 let a callback at exit start a thread.
NOT_ON_3_12 = pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="CPython 3.12 starts no thread at the end")
MARKS = {"a finalizer that waits for a while": NOT_ON_3_15, "a callback at exit that waits for a thread": NOT_ON_3_12}


@pytest.mark.parametrize("what", [pytest.param(what, marks=MARKS.get(what, ())) for what in SLOW])
def test_what_takes_its_time_at_the_end_is_given_it(run, check, program, what):
    source = f"""
    def slow(say=say, sleep=time.sleep):
        sleep(1.2)
        say("done")
    def wait_for_a_thread():
        thread = threading.Thread(target=slow, daemon=True)
        thread.start()
        thread.join()
    def wait(say=say, lock=lock, acquire=lock.acquire):
        acquire(timeout=1.2)
        say("done")
    def compute(say=say, now=time.monotonic):
        until = now() + 1.2
        while now() < until:
            pass
        say("done")
    {SLOW[what]}
    sys.exit(3)
    """
    check(run(program(STUCK + source.replace("\n    ", "\n"))), 3, "done\n")


@pytest.mark.parametrize("where", WAITS)
@pytest.mark.parametrize("kind", ["a coroutine", "an item", "code"])
def test_also_where_no_worker_runs_one_call(run, check, program, where, kind):
    starts = {
        "a coroutine": "async def stay():\n    stay_in_c()\nm.submit(stay)",
        "an item": "m.map(lambda item: stay_in_c(), [1])",
        "code": "m.new('stay_in_c()')",
    }
    source = STUCK.replace("m.submit(stay_in_c)", starts[kind])
    check(run(program(f"{source}\n{WAITS[where]}\nsys.exit(7)")), 7, "")


def test_a_job_that_comes_out_of_it_meanwhile_leaves_the_end_as_it_is(run, check, program):
    source = """
    def let_go():
        # Callbacks at exit run one after the other, and the job ends meanwhile.
        libc.pthread_mutex_unlock(locked)
        time.sleep(0.3)
    atexit.register(let_go)
    libc.strdup.restype = ctypes.c_void_p
    text = ctypes.c_void_p(libc.strdup(b"as the process exits"))
    libc.__cxa_atexit(libc.puts, text, None)
    """.replace("\n    ", "\n")
    # The one that was registered last is called first: this one before ours, and one before `import rjobs` after it.
    later = program(STUCK + source)
    check(run(later), 0, "as the process exits\n")
    before = later.replace("import rjobs", "atexit.register(lambda: let_go())\nimport rjobs").replace(
        "atexit.register(let_go)", ""
    )
    check(run(before), 0, "as the process exits\n")
