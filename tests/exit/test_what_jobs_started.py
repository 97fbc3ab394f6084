"""The end of the program ends threads and processes that its jobs have started, and joins none that goes on."""

from __future__ import annotations

import dataclasses
import sys
import time

import pytest

PROGRAM = """
import multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
import rjobs
begun = sys.argv[1] + ".begun"
def spin(*_):
    open(begun, "w").close()
    end = time.monotonic() + 100
    while time.monotonic() < end:
        sum(range(1000))
def sleep(*_):
    open(begun, "w").close()
    time.sleep(100)
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spin()
def executor():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sleep, range(4)))
def busy_executor():
    with ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            pool.submit(spin)
def executor_kept():
    pool = ThreadPoolExecutor(2)
    pool.submit(spin)
    time.sleep(100)
def thread():
    one = threading.Thread(target=spin)
    one.start()
    one.join()
def thread_pool():
    with ThreadPool(2) as pool:
        pool.map(spin, range(4))
def joblib_threads():
    import joblib
    joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(spin)() for _ in range(9))
def processes():
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(spin, range(4)))
def processes_kept():
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    pool.submit(spin).result()
def process():
    one = multiprocessing.Process(target=spin)
    one.start()
    one.join()
def stubborn_process():
    one = multiprocessing.Process(target=stubborn)
    one.start()
    one.join()
def process_pool():
    with multiprocessing.Pool(2) as pool:
        pool.map(spin, range(4))
def process_pool_kept():
    multiprocessing.Pool(2).map(spin, range(4))
def joblib_processes():
    import joblib
    joblib.Parallel(n_jobs=2)(joblib.delayed(spin)() for _ in range(9))
def loky_executor():
    import loky
    list(loky.get_reusable_executor(2).map(spin, range(4)))
if __name__ == "__main__":
    jobs = rjobs.JobManager(daemon=True)
    job = jobs.submit(globals()[sys.argv[2]])
    while not os.path.exists(begun):
        if job.done():
            job.get()
        time.sleep(0.005)
    print(time.monotonic(), flush=True)
    sys.exit(3)
"""

KINDS = {
    name: library
    for library, names in {
        "threading": "executor busy_executor executor_kept thread thread_pool",
        "multiprocessing": "processes processes_kept process stubborn_process process_pool process_pool_kept",
        "joblib": "joblib_threads joblib_processes",
        "loky": "loky_executor",
    }.items()
    for name in names.split()
}


# Seconds; promised are 2.
LIMIT = 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_does_not_wait_for_it(run_command, check, slowness, tmp_path, kind):
    pytest.importorskip(KINDS[kind])
    if sys.platform == "win32":
        pytest.skip("the program forks")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ending = run_command(str(program), str(program), kind)
    now = time.monotonic()
    if "resource_tracker" in ending.err and "to clean up" in ending.err:
        # loky's own word for a semaphore of a process that was ended as it started; it has removed that.
        ending = dataclasses.replace(ending, err="")
    # The processes may take long to start; what counts is the time from `sys.exit` on.
    check(ending, 3, limit=25)
    assert now - float(ending.out) < LIMIT * slowness
