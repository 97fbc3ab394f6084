"""Tracers and profilers see a program as it is: what rjobs does to a thread in between is not told to them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

WATCHES = '''
import sys, threading

class Watch:
    """Sees whether each end of a function is that of the function that began last."""

    def __init__(self):
        self.stacks, self.odd, self.seen = {}, [], set()

    def __call__(self, frame, event, arg):
        stack = self.stacks.setdefault(threading.get_ident(), [])
        code = frame.f_code
        if event == "call":
            stack.append(code)
            self.seen.add((code.co_name, code.co_filename.rpartition("/")[2]))
        elif event == "return" and code is not Watch.monitor.__code__ and (stack or code.co_name != "<module>"):
            if stack and stack[-1] is code:
                stack.pop()
            else:
                self.odd.append((code.co_filename, code.co_name))
        return self

    def monitor(self):
        events = sys.monitoring.events
        sys.monitoring.use_tool_id(4, "watch")
        tell = {
            events.PY_START: lambda code, *_: self.told(code, "call"),
            events.PY_RESUME: lambda code, *_: self.told(code, "call"),
            events.PY_THROW: lambda code, *_: self.told(code, "call"),
            events.PY_RETURN: lambda code, *_: self.told(code, "return"),
            events.PY_YIELD: lambda code, *_: self.told(code, "return"),
            events.PY_UNWIND: lambda code, *_: self.told(code, "return"),
        }
        for event, callback in tell.items():
            sys.monitoring.register_callback(4, event, callback)
        sys.monitoring.set_events(4, sum(tell))

    def told(self, code, event):
        class frame:
            f_code = code
        self(frame, event, None)

watch = Watch()
'''

START = {
    "settrace": "sys.settrace(watch); threading.settrace(watch)",
    "setprofile": "sys.setprofile(watch); threading.setprofile(watch)",
    "monitoring": "watch.monitor()",
}
STOP = {
    "settrace": "sys.settrace(None); threading.settrace(None)",
    "setprofile": "sys.setprofile(None); threading.setprofile(None)",
    "monitoring": "sys.monitoring.free_tool_id(4) if sys.version_info < (3, 14) else sys.monitoring.set_events(4, 0)",
}

means = pytest.mark.parametrize(
    "means",
    [
        "settrace",
        "setprofile",
        pytest.param(
            "monitoring", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is of 3.12")
        ),
    ],
)


@means
def test_the_import_gives_balanced_events(python, means):
    run = python(
        f"""{WATCHES}
def imports():
    import rjobs
    return rjobs

def program():
    imports()

def body():
    {START[means]}
    program()
    {STOP[means]}

body()
odd = [each for each in watch.odd if each[1] != "body"]
assert odd == [], odd
assert ("program", "<string>") in watch.seen, watch.seen
"""
    )
    assert run.stderr == ""


# Each waits in another way until it is killed. `reached` is set before.
JOBS = {
    "sleep": "time.sleep(60)",
    "lock": "locked.acquire()",
    "own sleep": "rjobs.current_job().sleep(60)",
    "get": "other.get()",
    "values": "next(iter(other))",
    "shield": "shielded()",
    "loop": "asyncio.run(asyncio.sleep(60))",
}


@means
@pytest.mark.parametrize("waits", JOBS)
def test_a_kill_of_a_blocked_job_gives_balanced_events(python, means, waits):
    run = python(
        f"""{WATCHES}
import asyncio, time
import rjobs

locked = threading.Lock()
locked.acquire()
reached = threading.Event()

def shielded():
    with rjobs.current_job().shield():
        reached.set()
        for _ in range(200):
            time.sleep(0.002)

def waiting():
    {"pass" if waits == "shield" else "reached.set()"}
    {JOBS[waits]}

def work():
    try:
        waiting()
    finally:
        after()

def after():
    return 1

with rjobs.JobManager() as jobs:
    other = jobs.submit(time.sleep, 60)
    while other.state == "queued":
        time.sleep(0.001)
    {START[means]}
    job = jobs.submit(work)
    reached.wait()
    time.sleep(0.05)
    assert job.kill()
    assert job.state == "killed"
    other.kill()
    jobs.shutdown()
    {STOP[means]}
ours = [each for each in watch.odd if each[0] != "<string>" or each[1] not in ("<module>",)]
# What was running when the watch began ends without a beginning.
ours = [each for each in ours if not each[0].endswith(("threading.py", "_threads.py")) or each[1] not in (
    "run", "_bootstrap", "_bootstrap_inner")]
assert ours == [], ours
assert ("after", "<string>") in watch.seen, watch.seen
"""
    )
    assert run.stderr == ""


@pytest.mark.parametrize("core", ["ctrace", "sysmon", "pytrace"])
def test_coverage_of_the_importing_module_is_what_it_is_without_rjobs(tmp_path, core):
    pytest.importorskip("coverage")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is of 3.12")
    found = {}
    for name, imported in (("with", "import rjobs"), ("without", "import json")):
        program = tmp_path / f"{name}.py"
        program.write_text(
            f"{imported}\n\n\ndef used(x):\n    y = x + 1\n    if y > 5:\n        return y\n    return x\n\n\n"
            "def unused():\n    return 1\n\n\nfor number in range(10):\n    used(number)\nresult = used(3)\n"
        )
        data = tmp_path / f"{name}.data"
        command = [sys.executable, "-W", "ignore", "-m", "coverage"]
        environment = {"COVERAGE_CORE": core, "COVERAGE_FILE": str(data), "PATH": ""}
        subprocess.run([*command, "run", str(program)], check=True, env=environment, cwd=tmp_path)
        show = [*command, "json", "-o", "-", "-q"]
        shown = subprocess.check_output(show, env=environment, cwd=tmp_path, text=True)
        # Where rjobs is installed as editable, it is measured as well.
        files = json.loads(shown)["files"]
        found[name] = next(lines["missing_lines"] for file, lines in files.items() if file.endswith(program.name))
    assert 12 in found["without"]
    assert found["with"] == found["without"]


def test_a_profile_of_the_importing_function_is_whole(python):
    run = python(
        """
import cProfile, pstats

def imports():
    import rjobs

def program():
    imports()
    for _ in range(3):
        work()

def work():
    return sum(range(1000))

profile = cProfile.Profile()
profile.runcall(program)
stats = pstats.Stats(profile).stats
calls = {name: value[:2] for (_, _, name), value in stats.items()}
assert calls["program"] == (1, 1), calls["program"]
assert calls["imports"] == (1, 1), calls["imports"]
assert calls["work"] == (3, 3), calls["work"]
callers = {name: sorted(key[2] for key in value[4]) for (_, _, name), value in stats.items()}
assert callers["work"] == ["program"], callers["work"]
assert callers["imports"] == ["program"], callers["imports"]
"""
    )
    assert run.stderr == ""
