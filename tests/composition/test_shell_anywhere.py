"""External commands on every system: none of these needs a Unix shell."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import rjobs


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_program_runs_and_its_output_and_exit_code_are_there(manager):
    code = "import sys; sys.stdout.write('out '); sys.stdout.flush(); sys.stderr.write('err'); sys.exit(3)"
    job = manager.shell(program(code))
    done = job.get(30)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, job.output, job.state) == (3, "out err", "out err", "done")
    assert job.pid not in (None, os.getpid())


def test_a_line_goes_to_the_system_s_shell(manager):
    assert manager.shell("echo one&& echo two").get(30).stdout.split() == ["one", "two"]


def test_where_and_with_what_environment(manager, tmp_path):
    code = "import os; print(os.getcwd()); print(os.environ['RJOBS_TEST'])"
    environment = os.environ | {"RJOBS_TEST": "given"}
    cwd, given = manager.shell(program(code), cwd=tmp_path, env=environment).get(30).stdout.splitlines()
    assert tmp_path.samefile(cwd)
    assert given == "given"


def test_its_standard_input_is_empty(manager):
    assert manager.shell(program("import sys; print(repr(sys.stdin.read()))")).get(30).stdout.strip() == "''"


def test_a_running_one_is_killed_and_a_late_one_is_ended(manager):
    forever = program("import time; print('up', flush=True); time.sleep(1000)")
    job = manager.shell(forever)
    assert "up" in next(job.follow())
    assert job.kill(30)
    assert job.state == "killed"
    job = manager.shell(forever, timeout=0.5)
    job.join(30)
    assert job.state == "timed_out"
    job = manager.shell(forever)
    assert job.stop(grace=0.1)
    assert job.state == "killed"


def test_what_is_not_there_cannot_be_started(manager):
    with pytest.raises(FileNotFoundError):
        manager.shell(["rjobs-nonesuch"])
    assert len(manager) == 0


def test_many_at_once(manager):
    jobs = [manager.shell(program(f"print({number})")) for number in range(20)]
    assert [int(job.get(60).stdout) for job in jobs] == list(range(20))
    assert manager.workers == 0


def test_a_checked_exit_code(manager):
    job = manager.shell(program("raise SystemExit(7)"), check=True)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        job.get(30)
    assert (job.state, caught.value.returncode) == ("failed", 7)


def test_the_end_of_the_program_ends_them(python):
    program = "import time; time.sleep(1000)"
    source = f"import rjobs, sys; j = rjobs.JobManager(daemon=True).shell([sys.executable, '-c', {program!r}])"
    run = python(source)
    assert (run.stdout, run.stderr) == ("", "")


def test_none_is_needed_to_import_the_package(python):
    source = "import sys; before = set(sys.modules); import rjobs; print(sorted(set(sys.modules) - before))"
    assert "subprocess" not in python(source).stdout
    assert rjobs.JobManager.shell.__doc__
