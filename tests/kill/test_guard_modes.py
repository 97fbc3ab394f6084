"""`RJOBS_GUARDS`, what `python -m rjobs` says of the guards, and functions that cannot be guarded."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import pytest

import rjobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have a part of the guards")

WITH_GIL = not sysconfig.get_config_var("Py_GIL_DISABLED")


@pytest.fixture
def run():
    """Run a program, or a module, with a value of the variable: what it wrote, and to where."""

    def run(code, guards=None, *options):
        variables = {name: value for name, value in os.environ.items() if name != "RJOBS_GUARDS"}
        if guards is not None:
            variables["RJOBS_GUARDS"] = guards
        command = [sys.executable, *options, *(["-m", "rjobs"] if code is None else ["-c", code])]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=50, env=variables, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout, ran.stderr

    return run


LOOK = """
import threading, time
import rjobs
from rjobs import _rjobs
print(len(_rjobs._guards()))
jobs = rjobs.JobManager()
jobs.submit(int).get(10)
print(len(_rjobs._guards()))
"""


@pytest.mark.parametrize("value", [None, "", "import"])
def test_by_default_the_import_guards(value, run):
    said, errors = run(LOOK, value)
    before, after = map(int, said.split())
    assert before > 40
    assert after >= before
    assert errors == ""


def test_guards_come_with_the_first_job(run):
    kill = """
job = jobs.submit(threading.Event().wait)
time.sleep(0.1)
print(job.kill(20), job.state)
"""
    said, errors = run(LOOK + kill, "jobs")
    before, after, *killed = said.split()
    assert int(before) == 0
    assert int(after) > 40
    assert killed == ["True", "killed"]
    assert errors == ""


def test_guards_come_with_the_first_thread_that_is_killed(run):
    code = """
import threading, rjobs
from rjobs import _rjobs
go = threading.Event()
thread = threading.Thread(target=go.wait)
thread.start()
print(len(_rjobs._guards()))
rjobs.kill_thread(thread, SystemExit)
go.set()
thread.join()
print(len(_rjobs._guards()) > 40)
"""
    assert run(code, "jobs") == ("0\nTrue\n", "")


def test_without_guards_a_kill_lands_when_the_call_returns(run):
    kill = """
job = jobs.submit(lambda: [time.sleep(0.02) for _ in iter(int, 1)])
time.sleep(0.1)
print(job.kill(20), job.state)
job = jobs.submit(lambda: [None for _ in iter(int, 1)])
time.sleep(0.1)
print(job.kill(20), job.state)
def sleep():
    time.sleep(1.5)
    for _ in range(100): pass
job = jobs.submit(sleep)
time.sleep(0.1)
print(job.kill(0.5), job.state, job.kill_obstacle)
job.join(20)
print(job.state)
lock = threading.Lock()
lock.acquire()
job = jobs.submit(lock.acquire)
time.sleep(0.1)
print(job.kill(0.1))
lock.release()
job.join(20)
"""
    said, errors = run(LOOK + kill, "off")
    assert said.splitlines() == [
        "0",
        "0",
        "True killed",
        "True killed",
        "False running in a call that cannot be ended",
        "killed",
        "False",
    ]
    assert errors == ""


@pytest.mark.parametrize("value", ["on", "Jobs", "0"])
def test_another_value_is_said_to_be_none(value, run):
    said, errors = run(LOOK, value)
    assert int(said.split()[0]) > 40
    assert f"RuntimeWarning: RJOBS_GUARDS={value!r} ".replace("'", '"') in errors
    assert "'import'" in errors
    assert "'jobs'" in errors
    assert "'off'" in errors


def test_the_report_names_what_is_guarded_and_what_is_not(run):
    said, errors = run(None)
    assert errors == ""
    assert f"rjobs {rjobs.__version__} (" in said
    assert sys.executable in said
    assert "RJOBS_GUARDS: import" in said
    guarded, _, aside = said.partition("not guarded: ")
    assert "  _thread.RLock: __enter__ __exit__ acquire release\n" in guarded
    assert " sendall\n" in guarded
    assert "_ssl._SSLSocket: do_handshake read shutdown write" in guarded
    # Not on this version, or not on this system; nothing else may be wrong.
    assert {line.split(": ")[1] for line in aside.splitlines()[1:]} <= {"this Python does not have it"}


def test_the_report_of_a_process_without_guards(run):
    said, _ = run(None, "off")
    assert "RJOBS_GUARDS: off (never put in force" in said
    assert "guards in force: 0" in said
    assert "cannot be ended here" in said


REPORT = """
from rjobs.__main__ import report
print(report())
"""


def test_a_function_that_somebody_has_replaced_is_left_alone(run):
    code = """
import select
select.select = lambda *arguments: "mine"
"""
    said, errors = run(code + REPORT + "print(select.select())")
    assert "  select.select: it is no built-in function here" in said
    assert said.endswith("mine\n")
    assert errors == ""


@pytest.mark.skipif(not WITH_GIL, reason="guards are tried with the GIL only")
def test_a_function_whose_calls_do_not_come_to_its_guard_steps_aside(run):
    # As an interpreter would have it that keeps a copy: what `flock` calls is not what its definition says.
    code = """
import ctypes, fcntl
class Object(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ssize_t), ("type", ctypes.c_void_p), ("definition", ctypes.c_void_p)]
    _fields_ += [(name, ctypes.c_void_p) for name in ("own", "module", "weak", "vectorcall")]
kind = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 4)
kept = kind(lambda *_: "kept")
Object.from_address(id(fcntl.flock)).vectorcall = ctypes.cast(kept, ctypes.c_void_p).value
assert fcntl.flock() == "kept"
"""
    said, errors = run(code + REPORT)
    assert "  fcntl.flock: calls of it do not come to the guard\n" in said
    assert "fcntl: fcntl ioctl lockf" in said
    assert errors == ""
