"""One works interactively: at the end of that what runs is ended. And what only looks so is a script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest


class TestSession:
    """One works interactively: what runs is ended."""

    JOBS = "m.submit(time.sleep, 1000); m.submit(endless); say(m[0].daemon)"

    def test_python_i(self, program, run, check):
        ending = run(program(self.JOBS), "-i")
        assert ending.out == "True\n"
        assert ending.code == 0
        check(ending, 0, "True\n", err=ending.err)

    def test_a_variable_that_is_set_late_matters_where_there_is_a_terminal(self, program, run, check):
        check(run(program("os.environ['PYTHONINSPECT'] = 'x'; m.submit(save, 'saved')")), 0, "saved\n")

    @pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
    @pytest.mark.parametrize(
        "arguments",
        [
            ("-q",),
            ("-q", "-m", "asyncio"),
            ("-c", "import os; os.environ['PYTHONINSPECT'] = 'x'"),
            ("-m", "IPython", "--simple-prompt", "--no-confirm-exit"),
        ],
        ids=["prompt", "asyncio", "late", "IPython"],
    )
    def test_a_prompt(self, arguments, slowness):
        if "IPython" in arguments:
            pytest.importorskip("IPython")
        command = [sys.executable, *arguments]
        # The plain prompt, whose text is the same everywhere.
        environment = {**os.environ, "TERM": "dumb", "PYTHON_BASIC_REPL": "1", "PYTHON_COLORS": "0"}
        ours, theirs = os.openpty()
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
            os.close(theirs)
            try:
                os.write(ours, b"import rjobs, time; m = rjobs.JobManager(); j = m.submit(time.sleep, 1000)\n")
                os.write(ours, b"print('dae' + 'mon:', j.daemon)\n")
                seen = b""
                while not re.search(rb"daemon: (True|False)", seen):
                    seen += os.read(ours, 1000)
                assert b"daemon: True" in seen
                began = time.monotonic()
                os.write(ours, b"exit()\n")
                while True:
                    try:
                        if not os.read(ours, 1000):
                            break
                    except OSError:
                        break
                running.wait(30)
            finally:
                running.kill()
                os.close(ours)
        assert running.returncode == 0
        assert time.monotonic() - began < 3 * slowness

    def test_a_file_that_ipython_runs_is_a_script(self, program, run_command, tmp_path):
        pytest.importorskip("IPython")
        (tmp_path / "script.py").write_text(program("[m.submit(save, name) for name in 'abc']"))
        ending = run_command("-m", "IPython", str(tmp_path / "script.py"))
        assert sorted(ending.out.split()) == list("abc"), ending
        assert ending.code == 0
