"""Terminal IPython, at a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import sys

import pytest

pexpect = pytest.importorskip("pexpect")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")


def plain(text):
    """What a terminal shows of a text, without colours and movements."""
    return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[ -/]*[0-~])", "", text)


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


def test_following_at_the_prompt(terminal, tmp_path):
    os.mkfifo(tmp_path / "go")
    terminal("%load_ext rjobs")
    terminal("jobs.notify = False")
    terminal("from IPython.display import HTML, display")
    terminal("%job -q print('fir' + 'st'); display('sec' + 'ond'); open('go').read(); print('thi' + 'rd')")
    terminal.child.send("%jobs fg\r")
    terminal.child.expect("first\r?\n'second'")
    terminal.child.sendintr()
    terminal.child.expect("Detached: job 0 goes on")
    terminal.count += 1
    terminal.prompt()
    (tmp_path / "go").write_text("go")
    shown = terminal("jobs[0].follow()")
    assert "Out[" not in plain(shown)
    assert plain(shown).replace("\r", "").split("\n")[1:4] == ["first", "'second'", "third"]


def test_news_before_the_next_prompt(terminal, tmp_path):
    os.mkfifo(tmp_path / "go")
    terminal("%load_ext rjobs")
    terminal("job = jobs.new(lambda: open('go').read() / 0, name='na' + 'med')")
    (tmp_path / "go").write_text("go")
    shown = plain(terminal("job.join(20)"))
    assert "rjobs: job 0 (named) failed: TypeError" in shown
    assert "jobs[0].traceback()" in shown
    assert "named" not in plain(terminal("1"))


def test_live_news_while_the_shell_waits_at_its_prompt(terminal, tmp_path):
    os.mkfifo(tmp_path / "go")
    terminal("%load_ext rjobs")
    terminal("jobs.notify = 'live'")
    terminal("job = jobs.new(lambda: open('go').read(), name='na' + 'med')")
    (tmp_path / "go").write_text("go")
    terminal.child.expect(r"rjobs: job 0 \(named\) done in ")
    # The prompt is there again, below.
    terminal.prompt()
    assert "named" not in plain(terminal("1 + 1"))


def test_the_debugger_at_the_prompt(terminal):
    terminal("%load_ext rjobs")
    terminal("job = jobs.new(lambda zero: 41 / zero, 0); job.join(20)")
    terminal.child.send("job.debug()\r")
    terminal.child.expect("ipdb>")
    terminal.child.send("p zero + 42\r")
    terminal.child.expect(r"\D42\D")
    terminal.child.expect("ipdb>")
    terminal.child.send("q\r")
    terminal.count += 1
    terminal.prompt()
    assert "49" in terminal("7 * 7")


def test_the_tab_key(terminal):
    terminal("%load_ext rjobs")
    terminal("import time; job = jobs.new(time.sleep, 1000, name='sleeper')")
    terminal.child.send("%jobs fg sl")
    terminal.child.expect("sl")
    terminal.child.send("\t")
    terminal.child.expect("eeper")


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


def test_the_configuration_file(tmp_path):
    profile = tmp_path / "profile_default"
    profile.mkdir()
    (profile / "ipython_config.py").write_text(
        "c.InteractiveShellApp.extensions = ['rjobs']\nc.RJobs.max_workers = 3\nc.RJobs.notify = 'live'\n"
    )
    terminal = Terminal(tmp_path)
    try:
        assert "(3, 'live')" in plain(terminal("jobs.max_workers, jobs.notify"))
    finally:
        terminal.close()
