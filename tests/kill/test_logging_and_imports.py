"""Kills leave `logging` and the machinery of imports whole, wherever they land."""

from __future__ import annotations

import subprocess
import sys

import pytest

FEW, MANY = 100, 500  # rounds; two jobs are killed in each

# In a process of its own: a lock that is left locked holds its threads for good.
LOGGING = """
import io, logging, os, random, sys, threading, time
import rjobs
sys.setswitchinterval(float(sys.argv[2]))
logger = logging.getLogger("stress")
logger.addHandler(logging.StreamHandler(io.StringIO()))
logger.propagate = False
def log():
    while True:
        logger.warning("message")
def ask():
    while True:
        logging.getLogger(f"stress.{random.random()}").isEnabledFor(10)
manager = rjobs.JobManager(2, daemon=True)
for _ in range(int(sys.argv[1])):
    jobs = [manager.submit(log), manager.submit(random.choice([log, ask]))]
    time.sleep(random.random() * 0.003)
    for job in jobs:
        job.kill(0)
    thread = threading.Thread(target=logging.getLogger("stress.new").warning, args=("from a thread",), daemon=True)
    thread.start()
    thread.join(2)
    if thread.is_alive():
        print("left locked")
        os._exit(3)
    if manager.wait(jobs, 2).not_done:
        print("not ended", [job.stack() for job in jobs])
        os._exit(4)
os._exit(0)
"""

IMPORTS = """
import importlib, os, random, sys, threading, time
import rjobs
sys.setswitchinterval(1e-5)
folder, rounds = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, folder)
for number in range(rounds * 4):
    with open(f"{folder}/fresh{number}.py", "w") as file:
        file.write("import time\\nfrom threading import Lock\\n" + "x = [y for y in range(100)]\\n" * 20 + "END = 1\\n")
importlib.invalidate_caches()
def load(numbers):
    for number in numbers:
        importlib.import_module(f"fresh{number}")
    while True:
        pass
manager = rjobs.JobManager(2, daemon=True)
half = []
def look(number):
    # Whoever imports it now gets all of it.
    module = importlib.import_module(f"fresh{number}")
    if not hasattr(module, "END"):
        half.append(number)
for turn in range(rounds):
    numbers = range(turn * 4, turn * 4 + 4)
    jobs = [manager.submit(load, numbers), manager.submit(load, numbers[::-1])]
    time.sleep(random.random() * 0.003)
    for job in jobs:
        job.kill(0)
    if manager.wait(jobs, 20).not_done:
        print("not ended", [job.stack() for job in jobs])
        os._exit(4)
    if {job.state for job in jobs} - {"killed", "cancelled"}:
        print("states", [(job.state, job.exception(0)) for job in jobs])
        os._exit(5)
    for number in numbers:
        thread = threading.Thread(target=look, args=(number,), daemon=True)
        thread.start()
        thread.join(5)
        if thread.is_alive():
            print("left locked")
            os._exit(3)
print("half", half, flush=True)
os._exit(6 if half else 0)
"""


def run(code, *arguments):
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        timeout=300,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stdout


@pytest.mark.parametrize("switches", [5e-3, 1e-5], ids=["usual switches", "switching all the time"])
def test_logging_is_not_left_locked(switches):
    run(LOGGING, 150, switches)


def test_imports_are_not_left_locked_nor_modules_half(tmp_path):
    run(IMPORTS, tmp_path, FEW)


@pytest.mark.stress
@pytest.mark.timeout(300)
def test_logging_and_imports_are_not_left_locked_by_a_thousand_kills(tmp_path):
    run(LOGGING, MANY, 1e-5)
    run(IMPORTS, tmp_path, MANY)
