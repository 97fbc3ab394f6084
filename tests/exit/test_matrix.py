"""Every way a program can end, beside everything its jobs can be doing: the exit code is the program's own, nothing is
aborted, nothing hangs, and stderr has what the program wrote and not a word more.
"""

from __future__ import annotations

import importlib.util
import sys
import textwrap

import pytest

# What the jobs do when the program ends. `m` is a manager; `on(f, *args)` starts a job and waits until it is `ready()`.
JOBS = {
    "no job": "",
    "idle workers": """
        barrier = threading.Barrier(8)
        m.wait([m.submit(barrier.wait) for _ in range(8)])
    """,
    "queued jobs": """
        m = rjobs.JobManager(max_workers=1, daemon=True)
        on(time.sleep, 1000)
        queued = [m.submit(print, "never") for _ in range(50)]
    """,
    "busy in bytecode": """
        def busy():
            ready()
            while True:
                sum(range(100))
        for _ in range(3):
            on(busy)
    """,
    "code that is busy": """
        m.new("while True: sum(range(100))")
    """,
    "sleeping": "on(time.sleep, 1000)",
    "holding a lock": """
        lock = threading.Lock()
        def hold():
            with lock:
                ready()
                while True:
                    time.sleep(0.01)
        on(hold)
        m.submit(lock.acquire)
    """,
    "in a block that a kill ends by a function": """
        def blocked():
            cancelled = threading.Event()
            with rjobs.current_job().on_kill(cancelled.set):
                ready()
                cancelled.wait()
        on(blocked)
    """,
    "in a block whose function hangs": """
        def blocked():
            never = threading.Event()
            with rjobs.current_job().on_kill(never.wait):
                ready()
                time.sleep(1000)
        on(blocked)
    """,
    "in a finally": """
        def stay():
            try:
                ready()
            finally:
                while True:
                    sum(range(100))
        on(stay)
    """,
    "swallowing exceptions": """
        def stubborn():
            while True:
                try:
                    while True:
                        ready()
                except BaseException:
                    pass
        for _ in range(2):
            on(stubborn)
    """,
    "printing": """
        def chat():
            while True:
                print("x" * 100, flush=True)
                ready()
        for _ in range(2):
            on(chat)
    """,
    "getting another job": """
        other = m.submit(time.sleep, 1000)
        def get():
            ready()
            other.get()
        for _ in range(5):
            on(get)
    """,
    "in queue.get": """
        import queue
        on(queue.Queue().get)
    """,
    "a thread of its own": """
        def chat():
            while True:
                print("y" * 100, flush=True)
                ready()
        def parent():
            threading.Thread(target=chat).start()
            while True:
                time.sleep(0.01)
        on(parent)
    """,
    "a timeout that fires": """
        def stubborn():
            while True:
                try:
                    while True:
                        ready()
                except BaseException:
                    pass
        for index in range(10):
            m.options(timeout=0.005 * (index + 1)).submit(stubborn if index == 5 else time.sleep, 1000)
        time.sleep(0.02)
    """,
    "asyncio.run": """
        import asyncio
        async def wait():
            ready()
            while True:
                await asyncio.sleep(0.001)
        on(wait)
        def outer():
            asyncio.run(wait())
        on(outer)
    """,
    "calls of C": """
        import hashlib
        def digest():
            ready()
            while True:
                hashlib.sha256(bytes(100_000)).digest()
        for _ in range(2):
            on(digest)
    """,
    "a subprocess": """
        def child():
            ready()
            subprocess.run(["sleep", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        on(child)
    """,
    "submitting": """
        def feed():
            other = rjobs.JobManager(idle_timeout=0.001, daemon=True)
            ready()
            while True:
                other.submit(int)
        for _ in range(2):
            on(feed)
    """,
    "starting threads": """
        def start():
            ready()
            while True:
                threading.Thread(target=int).start()
        on(start)
    """,
    "watching the manager": """
        def watch():
            while True:
                m.status(), repr(m), [job.to_dict() for job in m]
                ready()
        for _ in range(2):
            on(watch)
    """,
    "done-callbacks": """
        def busy():
            ready()
            while True:
                sum(range(100))
        def callback(job):
            for _ in range(1000):
                sum(range(1000))
        for _ in range(3):
            on(busy).add_done_callback(callback)
    """,
    "killed a moment ago": """
        def busy():
            ready()
            while True:
                sum(range(100))
        for _ in range(3):
            on(busy).kill(0)
    """,
    "a logger": """
        import logging
        logging.basicConfig(stream=sys.stdout)
        def log():
            while True:
                logging.warning("x" * 100)
                ready()
        on(log)
    """,
    "threads that are no jobs": """
        # Without a buffer: CPython itself aborts for a daemon thread that is in the lock of one as it ends.
        import io
        out = io.TextIOWrapper(open(1, "wb", buffering=0, closefd=False), write_through=True)
        def chat():
            while True:
                print("z" * 100, file=out)
                repr(m), m.running
                ready()
        threading.Thread(target=chat, daemon=True).start()
        started.wait(10)
    """,
    "a call of C": """
        # Nothing ends it, and the program does not wait for it.
        on(stay_in_c)
    """,
    "a call of C that the process waits for": """
        mutex = ctypes.create_string_buffer(64)
        def hold():
            libc.pthread_mutex_lock(mutex)
            stay_in_c()
        on(hold)
        # As the threads of a BLAS are joined by what the library does as the process exits.
        libc.__cxa_atexit(libc.pthread_mutex_lock, mutex, None)
    """,
    "a call of C with a lock": """
        lock = threading.Lock()
        def hold():
            with lock:
                stay_in_c()
        on(hold)
        class Wants:
            def __del__(self, lock=lock):
                lock.acquire()
        # Finalized with the interpreter: the thread keeps the program's own variables.
        sys.wants = Wants()
    """,
    "numpy in BLAS": """
        import numpy as np
        def multiply():
            ones = np.ones((4500, 4500))
            ready()
            ones @ ones
        on(multiply)
        time.sleep(0.3)
    """,
    "h5py writing": """
        import h5py, numpy as np
        file = h5py.File("x", "w", driver="core", backing_store=False)
        data = file.create_dataset("x", (4000, 4000), "f8", chunks=(100, 100), compression="gzip", compression_opts=9)
        values = np.random.rand(4000, 4000)
        def write():
            ready()
            data[:] = values
        on(write)
        time.sleep(0.3)
    """,
    "workers that just start": """
        m = rjobs.JobManager(max_workers=64, idle_timeout=0.001, daemon=True)
        for _ in range(100):
            m.submit(time.sleep, 0.0005)
    """,
}

# In seconds, times how slow the machine is; a program that hangs has no exit code.
LIMIT, HANG = 5.0, 20.0

# How the program ends: what it does, its exit code, and what is on stderr.
ENDINGS = {
    "sys.exit(3)": ("sys.exit(3)", 3, ""),
    "end of script": ("", 0, ""),
    "an exception": ("raise ValueError", 1, "uncaught ValueError\n"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)", -15, ""),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(20)", -2, "uncaught KeyboardInterrupt\n"),
    "os._exit(4)": ("os._exit(4)", 4, ""),
    "shutdown first": ("m.shutdown(wait=False, kill=True); sys.exit(3)", 3, ""),
}

FRAME = """
import ctypes, os, signal, subprocess, sys, threading, time
import rjobs
sys.excepthook = lambda kind, *rest: os.write(2, f"uncaught {{kind.__name__}}\\n".encode())
m = rjobs.JobManager(daemon=True)
started = threading.Event()
ready = started.set
def on(f, *args):
    started.clear()
    job = m.submit(f, *args)
    if f.__module__ == "__main__":
        assert started.wait(10), job
    return job
libc = ctypes.CDLL(None)
locked = ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(locked)
def stay_in_c():
    # Not woken by a signal either.
    ready()
    libc.pthread_mutex_lock(locked)
{jobs}
{end}
"""


# What the exit needs of the system to end these: else only the code of C does.
LINUX_ONLY = ("a call of C that the process waits for", "a call of C with a lock", "numpy in BLAS", "h5py writing")
LIBRARIES = {"numpy in BLAS": ["numpy"], "h5py writing": ["numpy", "h5py"]}


def marks(jobs: str) -> list[pytest.MarkDecorator]:
    """When this kind cannot be tried."""
    missing = [name for name in LIBRARIES.get(jobs, ()) if importlib.util.find_spec(name) is None]
    return [
        pytest.mark.skipif(jobs in LINUX_ONLY and sys.platform != "linux", reason="on Linux only"),
        pytest.mark.skipif(bool(missing), reason=f"no {' and '.join(missing)}"),
    ]


def program(jobs: str, ending: str) -> str:
    return FRAME.format(jobs=textwrap.dedent(JOBS[jobs]), end=ENDINGS[ending][0])


# Every kind of job under the ending that people use, and every ending beside a few kinds; the rest with `-m stress`.
FEW = ("busy in bytecode", "sleeping", "swallowing exceptions", "printing", "queued jobs", "a call of C with a lock")
CELLS = [(jobs, "sys.exit(3)") for jobs in JOBS] + [
    (jobs, ending) for ending in ENDINGS if ending != "sys.exit(3)" for jobs in FEW
]
REST = [(jobs, ending) for jobs in JOBS for ending in ENDINGS if (jobs, ending) not in CELLS]


@pytest.fixture(scope="module")
def endings(request, launch):
    """The programs of the tests that were chosen, all under way."""
    chosen = {
        item.callspec.params["cell"]
        for item in request.session.items
        if "cell" in getattr(getattr(item, "callspec", None), "params", ())
        and not any(mark.args[0] for mark in item.iter_markers("skipif"))
    }
    return {cell: launch(program(*cell)) for cell in [*CELLS, *REST] if cell in chosen}


def named(cells):
    cells = [pytest.param(cell, id=" - ".join(cell), marks=marks(cell[0])) for cell in cells]
    return pytest.mark.parametrize("cell", cells)


@named(CELLS)
def test_exit_is_prompt_and_silent_and_keeps_its_code(endings, check, cell):
    # Those keep all processors busy until the very end, and take their time to begin.
    limit = HANG if cell[0] in LIBRARIES else LIMIT
    check(endings[cell].result(), ENDINGS[cell[1]][1], err=ENDINGS[cell[1]][2], limit=limit)


@pytest.mark.stress
@named(REST)
def test_exit_in_every_other_combination(endings, check, cell):
    limit = HANG if cell[0] in LIBRARIES else LIMIT
    check(endings[cell].result(), ENDINGS[cell[1]][1], err=ENDINGS[cell[1]][2], limit=limit)


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("jobs", [pytest.param(jobs, marks=marks(jobs)) for jobs in JOBS])
def test_exit_again_and_again(launch, check, jobs):
    # The moments in which a process can be aborted are short.
    for ending in [launch(program(jobs, "sys.exit(3)")) for _ in range(25)]:
        check(ending.result(), 3, limit=HANG if jobs in LIBRARIES else LIMIT)
