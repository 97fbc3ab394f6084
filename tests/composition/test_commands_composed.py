"""External commands under the options that hold jobs back and run them again."""

import sys

import pytest

import rjobs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are of a POSIX shell")


def test_a_command_comes_after_jobs_and_before_them(manager, held):
    first = held(manager)
    command = manager.shell("echo out", after=first)
    assert command.waiting_for == "jobs"
    last = command.then(lambda done: done.stdout.strip())
    held.go()
    assert last.get(10) == "out"


def test_a_command_waits_for_its_limit(manager):
    manager.limit("one", concurrency=1)
    commands = [manager.shell("mkdir inside && sleep 0.01 && rmdir inside", limit="one", check=True) for _ in range(8)]
    manager.wait(commands, 20)
    assert {command.state for command in commands} == {"done"}
    assert manager.limits == {"one": (0, 0)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_command_is_tried_again(manager, monkeypatch):
    monkeypatch.setattr("rjobs._retry.FIRST_WAIT", 0.001)
    command = manager.shell("echo x >> tries; test $(wc -l < tries) -gt 2", check=True, retry=5)
    assert command.get(20).returncode == 0
    assert command.runs == 3
    failed = manager.shell("exit 3", check=True, retry=1)
    assert failed.exception(10).returncode == 3
    assert failed.runs == 2
    again = failed.retry()
    assert again.exception(10).returncode == 3
    manager.shutdown()


def test_a_periodic_command(manager):
    command = manager.shell("echo tick", _every=0.005)
    while command.runs < 3:
        command.join(0.002)
    assert command.kill()
    assert command.output.startswith("tick\ntick\n")


def test_a_command_expires_and_is_skipped(manager, held):
    first = held(manager)
    late = manager.shell("true", after=first, ttl=0.01)
    assert isinstance(late.exception(10), rjobs.JobExpired)
    after = manager.shell("false", check=True).then(print)
    assert isinstance(after.exception(10), rjobs.JobSkipped)


def test_cache_and_lock_are_for_functions(manager, tmp_path):
    for options in ({"cache": {}}, {"lock": tmp_path / "lock"}):
        with pytest.raises(TypeError, match="cache= and lock= go with functions"):
            manager.shell("true", **options)
    assert len(manager) == 0
