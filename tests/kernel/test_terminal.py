"""Terminal IPython, at a real pseudo-terminal."""

from __future__ import annotations

import os
import sys

import pytest

pexpect = pytest.importorskip("pexpect")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")


class Terminal:
    def __init__(self, tmp_path):
        environment = os.environ | {
            "IPYTHONDIR": str(tmp_path),
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "TERM": "xterm",
            "COLUMNS": "100",
        }
        options = ["--no-banner", "--no-confirm-exit", "--HistoryManager.enabled=False"]
        options.append("--TerminalInteractiveShell.autosuggestions_provider=None")
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", *options],
            env=environment,
            cwd=tmp_path,
            encoding="utf-8",
            timeout=40,
            dimensions=(40, 100),
        )
        self.count = 1
        self.prompt()

    def prompt(self):
        """Wait for the next prompt; gives what was written before it."""
        colour = r"(?:\x1b\[[0-9;]*m)*"
        self.child.expect(rf"In \[{colour}{self.count}{colour}\]: ")
        return self.child.before

    def __call__(self, line):
        self.child.send(line + "\r")
        self.count += 1
        return self.prompt()

    def close(self):
        self.child.close(force=True)


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def test_jobs_at_the_prompt(terminal, tmp_path):
    os.mkfifo(tmp_path / "go")
    terminal("%load_ext rjobs")
    # The words are put together so that the echo of the line does not have them.
    shown = terminal("%job open('go').read(); print('pri' + 'nted'); open('went', 'w').write('x')")
    assert "<Job 0 " in shown
    # The shell waits at its prompt now, under prompt_toolkit's own stdout.
    (tmp_path / "go").write_text("go")
    shown = terminal("jobs[0].get(20)")
    assert "printed" not in shown
    assert "printed" in terminal("print(jobs[0].output)")


def test_commands_go_to_the_job(terminal):
    terminal("%load_ext rjobs")
    terminal("job = %job !printf 'sh'; echo own")
    shown = terminal("job.join(20)")
    assert "shown" not in shown
    assert "shown" in terminal("print(job.output)")
    assert "shown" in terminal("!printf 'sh'; echo own")


def test_the_table_is_text(terminal):
    terminal("%load_ext rjobs")
    terminal("job = %job -n named 6 * 7")
    terminal("job.join(20)")
    shown = terminal("%jobs")
    assert "named" in shown
    assert "<table" not in shown


def test_exit_is_prompt_with_running_jobs(terminal):
    import time

    terminal("%load_ext rjobs")
    terminal("import time; job = jobs.new(time.sleep, 1000)")
    terminal("job = %job -q [0 for _ in iter(int, 1)]")
    begin = time.monotonic()
    terminal.child.send("exit()\r")
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    assert time.monotonic() - begin < 10
    assert terminal.child.exitstatus == 0
