"""Loading and unloading: nothing doubled, nothing left."""

from __future__ import annotations

import builtins
import getpass
import subprocess
import sys
import threading

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

import rjobs


def footprint(shell):
    """All places that the extension touches, as they are now."""
    from prompt_toolkit.patch_stdout import StdoutProxy

    dispatcher = shell.strdispatchers.get("complete_command")
    return {
        "shell": {name: value for name, value in vars(shell).items() if callable(value)},
        "class": dict(vars(type(shell))),
        "display_pub": {name: value for name, value in vars(shell.display_pub).items() if callable(value)},
        "capturing": dict(vars(CapturingDisplayPublisher)),
        "proxy": dict(vars(StdoutProxy)),
        "trap": shell.display_trap.hook,
        "displayhook": sys.displayhook,
        "pager": list(shell.hooks.show_in_pager.chain),
        "completers": {key: list(chain) for key, chain in dispatcher.strs.items()} if dispatcher else {},
        # By name: IPython 9 puts a magic in the place of its placeholder when it is first used.
        "line": set(shell.magics_manager.magics["line"]),
        "cell": set(shell.magics_manager.magics["cell"]),
        "user_magics": dict(vars(shell.magics_manager.user_magics)),
        "events": {name: list(callbacks) for name, callbacks in shell.events.callbacks.items()},
        "names": {name for name in shell.user_ns if not name.startswith("_")},
        "hidden": {name for name in shell.user_ns_hidden if not name.startswith("_")},
        "getpass": getpass.getpass,
        "builtins": set(vars(builtins)),
    }


def test_unloading_leaves_no_trace(bare):
    before = footprint(bare.shell)
    bare("%load_ext rjobs")
    bare("%load_ext rjobs")
    rjobs.load_ipython_extension(bare.shell)
    assert footprint(bare.shell) != before
    bare("job = %job -q 1\njob.get(20)\ndel job")
    bare("%unload_ext rjobs")
    rjobs.unload_ipython_extension(bare.shell)
    after = footprint(bare.shell)
    for place, found in before.items():
        assert after[place] == found, place


def test_it_can_be_loaded_again(bare):
    for _ in range(3):
        bare("%load_ext rjobs")
        assert bare("%job 6 * 7").get(timeout=20) == 42
        bare("%reload_ext rjobs")
        assert bare("%job 6 * 7").get(timeout=20) == 42
        bare("%unload_ext rjobs")
        assert "jobs" not in bare


def test_loading_twice_keeps_the_jobs(notebook):
    job = notebook("%job 1")
    rjobs.load_ipython_extension(notebook.shell)
    assert notebook["jobs"][0] is job


def test_a_variable_of_the_users_comes_back(bare, capsys):
    bare("jobs = [1, 2]")
    bare("%load_ext rjobs")
    assert "your list of that name" in capsys.readouterr().out
    assert isinstance(bare["jobs"], rjobs.JobManager)
    bare("%unload_ext rjobs")
    assert bare["jobs"] == [1, 2]


def test_a_variable_that_the_user_has_bound_again_stays(notebook):
    notebook("jobs = 'mine'")
    notebook("%unload_ext rjobs")
    assert notebook["jobs"] == "mine"


def test_a_manager_of_the_users_is_used_and_stays(bare):
    bare("import rjobs\njobs = rjobs.JobManager()")
    mine = bare["jobs"]
    bare("%load_ext rjobs")
    assert bare("%job 1") in mine
    bare("%unload_ext rjobs")
    assert bare["jobs"] is mine
    assert mine.submit(int).get(timeout=20) == 0
    mine.shutdown()


def test_a_magic_of_the_users_comes_back(bare):
    def job(line):
        return f"old {line}"

    bare.shell.register_magic_function(job, "line", "job")
    bare("%load_ext rjobs")
    assert bare("%job 1").get(timeout=20) == 1
    bare("%unload_ext rjobs")
    assert bare("%job x") == "old x"


def test_after_reset_the_magics_work_and_the_variable_comes_back(notebook):
    notebook("%reset -f")
    assert notebook("%job 1").get(timeout=20) == 1
    assert isinstance(notebook["jobs"], rjobs.JobManager)


def test_jobs_go_on_when_the_extension_goes(notebook):
    notebook.shell.user_ns["go"] = go = threading.Event()
    job = notebook("%job go.wait(20)")
    notebook("%unload_ext rjobs")
    go.set()
    assert job.get(timeout=20) is True


def test_the_variable_is_hidden_from_who(notebook, capsys):
    notebook("%who")
    assert "jobs" not in capsys.readouterr().out


def test_the_package_does_not_import_ipython():
    code = "import sys, rjobs, rjobs._display; assert not [m for m in sys.modules if m.startswith('IPython')]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_loading_that_fails_leaves_no_trace(bare, monkeypatch):
    before = footprint(bare.shell)
    monkeypatch.setattr("rjobs.notebook.completion.install", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rjobs.load_ipython_extension(bare.shell)
    after = footprint(bare.shell)
    assert {place for place in before if before[place] != after[place]} == set()


def test_the_magics_can_be_declared_lazily(bare):
    bare.shell.magics_manager.register_lazy("job", "rjobs")
    assert bare("%job 6 * 7").get(timeout=20) == 42
    assert isinstance(bare["jobs"], rjobs.JobManager)
