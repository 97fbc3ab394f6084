"""External commands as jobs, in the order in which a user meets them: run one, read it, set it up, run many."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import rjobs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these commands are for a Unix shell")
PYTHON = shlex.quote(sys.executable)


def test_a_line_goes_to_the_shell_and_gives_what_subprocess_gives(manager):
    job = manager.shell("echo one; echo two >&2; echo $((1 + 2))")
    done = job.get(10)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.args, done.returncode, done.stderr) == (job.strform, 0, None)
    assert done.stdout == job.output == "one\ntwo\n3\n"
    assert (job.state, job.status, job.result) == ("done", "Completed", done)


def test_a_list_is_a_program_and_its_arguments_and_no_shell_sees_them(manager, tmp_path):
    words = ["echo", "$HOME; *", tmp_path / "a b"]
    job = manager.shell(words)
    assert job.get(10).stdout == f"$HOME; * {tmp_path}/a b\n"
    assert job.get().args == words
    assert job.name == shlex.join(map(str, words))[:59] + "…" or job.name == shlex.join(map(str, words))
    assert manager.shell(("echo", "tuple")).get(10).stdout == "tuple\n"


def test_a_job_that_is_a_command_looks_like_any_other(manager):
    job = manager.shell("echo hello", name="greeting", timeout=60)
    job.get(10)
    assert (job.name, job.strform, job.timeout, job.daemon) == ("greeting", "echo hello", 60.0, False)
    assert (job.func, job.expression, job.code, job.ident, job.native_id) == (None,) * 5
    assert job.pid > 0
    assert job.pid != os.getpid()
    assert manager.submit(int).pid is None
    record = job.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert (record["pid"], record["tail"]) == (job.pid, "hello\n")
    assert job in manager
    assert manager.completed[0] is job
    assert job.future.result(5) is job.get()
    view = manager.options(name="view", daemon=False)
    job = view.shell("echo there", name="own")
    assert (job.get(10).stdout, job.name, job.daemon) == ("there\n", "own", False)
    assert view.shell("true").name == "view"


def test_its_output_is_there_before_it_ends(manager, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = manager.shell(f"echo first; echo err >&2; read line < {gate}; echo $line")
    text = ""
    follower = job.follow()
    while text != "first\nerr\n":
        text += next(follower)
    assert (job.state, job.output, job.tail(1)) == ("running", "first\nerr\n", "err\n")
    gate.write_text("go on\n")
    assert "".join(follower) == "go on\n"
    assert job.get(10).stdout == "first\nerr\ngo on\n"


def test_the_exit_code_is_a_result_unless_it_is_to_be_checked(manager):
    job = manager.shell("exit 3")
    assert (job.get(10).returncode, job.state) == (3, "done")
    assert manager.shell("kill -9 $$").get(10).returncode == -9
    assert manager.shell("true", check=True).get(10).returncode == 0
    job = manager.shell("echo why; exit 3", check=True)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        job.get(10)
    error = caught.value
    assert (job.state, error.returncode, error.cmd, error.output) == ("failed", 3, "echo why; exit 3", "why\n")
    assert "_shell" not in "".join(job._tb)


def test_it_runs_where_it_is_told_to_and_by_default_where_the_program_is(manager, tmp_path, monkeypatch):
    assert manager.shell("pwd -P", cwd=tmp_path).get(10).stdout == f"{tmp_path.resolve()}\n"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    assert manager.shell("pwd -P").get(10).stdout == f"{tmp_path.resolve()}\n"
    assert manager.shell("pwd -P", cwd="sub").get(10).stdout == f"{tmp_path.resolve()}/sub\n"
    script = tmp_path / "sub" / "script"
    script.write_text("#!/bin/sh\necho from $PWD\n")
    script.chmod(0o755)
    assert manager.shell(["./script"], cwd="sub").get(10).stdout.endswith("/sub\n")


def test_its_environment_is_the_program_s_or_the_one_it_is_given(manager, monkeypatch):
    monkeypatch.setenv("RJOBS_TEST", "inherited")
    assert manager.shell("echo $RJOBS_TEST").get(10).stdout == "inherited\n"
    job = manager.shell(["/usr/bin/env"], env={"ONLY": "this", "UMLAUT": "ä"})
    assert job.get(10).stdout == "ONLY=this\nUMLAUT=ä\n"


def test_a_program_is_looked_for_in_the_path_it_gets(manager, tmp_path):
    script = tmp_path / "rjobs-script"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    assert manager.shell(["rjobs-script"], env={"PATH": f"/nowhere:{tmp_path}"}).get(10).stdout == "found\n"
    with pytest.raises(FileNotFoundError):
        manager.shell(["rjobs-script"])


def test_its_standard_input_is_empty_and_it_has_no_terminal(manager):
    assert manager.shell("cat; echo end").get(10).stdout == "end\n"
    assert manager.shell("exec 2>/dev/null; : < /dev/tty && echo has one; true").get(10).stdout == ""


def test_it_inherits_no_open_files(manager):
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, True)
        os.set_inheritable(writer, True)
        seen = manager.shell(
            [
                sys.executable,
                "-c",
                f"import os\nfor n in {reader}, {writer}:\n try: os.fstat(n); print('open')\n except OSError: pass",
            ]
        )
        assert seen.get(10).stdout == ""
    finally:
        os.close(reader)
        os.close(writer)


def test_signals_are_for_it_as_for_a_fresh_process(manager):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    handler = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        code = (
            "import signal\n"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
            "print([s for s in range(1, signal.NSIG) if s in signal.valid_signals() and"
            " signal.getsignal(s) not in (signal.SIG_DFL, signal.default_int_handler)])"
        )
        lines = manager.shell([sys.executable, "-c", code]).get(10).stdout.splitlines()
        # What a shell started in the background ignores (SIGINT) stays so, as with `subprocess`. SIGPIPE is what Python
        # itself ignores, and that it found it at its default is what the shell tells.
        fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert lines == ["set()", fresh.stdout.splitlines()[1]]
        assert manager.shell("kill -PIPE $$").get(10).returncode == -signal.SIGPIPE
        assert manager.shell("kill -USR2 $$").get(10).returncode == -signal.SIGUSR2
    finally:
        signal.signal(signal.SIGUSR2, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_what_is_no_utf_8_can_be_decoded_otherwise(manager):
    line = r"printf 'gr\374n'"
    job = manager.shell(line)
    assert job.get(10).stdout == job.output == "gr\N{REPLACEMENT CHARACTER}n"
    assert manager.shell(line, encoding="latin-1").get(10).stdout == "grün"
    assert manager.shell(line, encoding=None).get(10).stdout == b"gr\xfcn"


def test_of_much_output_the_newest_is_kept():
    manager = rjobs.JobManager(output_limit=1000)
    job = manager.shell(f"{PYTHON} -c \"print('x' * 5_000_000); print('end')\"")
    done = job.get(30)
    assert len(done.stdout) == 1000
    assert done.stdout.endswith("x\nend\n")
    assert job.output_dropped == 5_000_005 - 1000
    manager.shutdown()


BAD = [
    (([],), {}, ValueError, "empty"),
    (("  ",), {}, ValueError, "empty"),
    ((["", "x"],), {}, ValueError, "empty"),
    ((b"ls",), {}, TypeError, "not bytes"),
    ((Path("ls"),), {}, TypeError, "Path"),
    ((["ls", 1],), {}, TypeError, "not int"),
    (("a\0b",), {}, ValueError, "NUL"),
    ((["ls", "a\0b"],), {}, ValueError, "NUL"),
    (("ls",), {"cwd": 1}, TypeError, "cwd"),
    (("ls",), {"cwd": "a\0b"}, ValueError, "cwd"),
    (("ls",), {"env": 1}, TypeError, "env"),
    (("ls",), {"env": {"A": 1}}, TypeError, "value of A"),
    (("ls",), {"env": {"A=B": "1"}}, ValueError, "A=B"),
    (("ls",), {"encoding": "nonesuch"}, LookupError, "nonesuch"),
    (("ls",), {"encoding": 1}, TypeError, "encoding"),
    (("ls",), {"check": 1}, TypeError, "check"),
    (("ls",), {"tiemout": 1}, TypeError, "tiemout"),
    ((["nonesuch"],), {}, FileNotFoundError, "nonesuch"),
    ((["/"],), {}, PermissionError, "/"),
    (("ls",), {"cwd": "/nonesuch"}, FileNotFoundError, "/nonesuch"),
    (("ls",), {"cwd": "/bin/sh"}, NotADirectoryError, "/bin/sh"),
]


@pytest.mark.parametrize(("args", "kwargs", "error", "word"), BAD, ids=[f"{b[0]}{b[1]}" for b in BAD])
def test_what_cannot_be_started_says_so_at_once_and_leaves_nothing(manager, args, kwargs, error, word):
    with pytest.raises(error, match=word):
        manager.shell(*args, **kwargs)
    assert len(manager) == 0
    assert manager.shell("echo next").get(10).stdout == "next\n"


def test_a_closed_manager_takes_no_commands(manager):
    manager.shutdown()
    with pytest.raises(rjobs.ManagerClosed):
        manager.shell("true")


def test_what_it_leaves_in_the_background_goes_on_and_is_still_heard(manager, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = manager.shell(f"(read line < {gate}; echo late; echo later; echo end > {gate}) & echo now")
    assert job.get(10).stdout == "now\n"
    assert job.state == "done"
    gate.write_text("go\n")
    # It was not ended by a closed pipe on the way.
    assert gate.read_text() == "end\n"
    while job.output != "now\nlate\nlater\n":
        manager.shell("true").get(10)  # a moment for the thread that reads
    assert job.get().stdout == "now\n"


def test_a_command_holds_no_worker(single):
    jobs = [single.shell("sleep 1000") for _ in range(10)]
    assert [job.state for job in jobs] == ["running"] * 10
    assert single.submit(int).get(10) == 0
    assert single.workers == 1
    assert single.kill_all()
    assert {job.state for job in jobs} == {"killed"}


def test_a_callback_may_wait_for_another_command(manager):
    heard = []
    done = threading.Event()

    def callback(job):
        heard.append((job.get().stdout, manager.shell("echo inner").get(10).stdout))
        done.set()

    manager.shell("echo outer").add_done_callback(callback)
    assert done.wait(20)
    assert heard == [("outer\n", "inner\n")]


def test_a_job_may_run_commands(manager):
    def job():
        return [manager.shell(f"echo {i}").get(10).stdout for i in range(3)]

    assert manager.submit(job).get(20) == ["0\n", "1\n", "2\n"]


def test_awaiting_one(manager):
    import asyncio

    async def main():
        done = await asyncio.wait_for(asyncio.gather(*(manager.shell(f"echo {i}") for i in range(3))), 10)
        return [one.stdout for one in done]

    assert asyncio.run(main()) == ["0\n", "1\n", "2\n"]
