"""In a notebook a manager that was pickled is the notebook's own when it is loaded."""

from __future__ import annotations

import pickle
import sys

import pytest

import rjobs


def test_a_loaded_manager_is_that_of_the_notebook(notebook):
    other = rjobs.JobManager()
    assert pickle.loads(pickle.dumps(notebook["jobs"])) is notebook["jobs"]
    assert pickle.loads(pickle.dumps(other)) is notebook["jobs"]
    notebook.shell.user_ns["jobs"] = other
    assert pickle.loads(pickle.dumps(other)) is other
    other.shutdown()


def test_after_the_extension_is_unloaded_it_is_that_of_the_process(notebook):
    data = pickle.dumps(notebook["jobs"])
    notebook("%unload_ext rjobs")
    loaded = pickle.loads(data)
    assert loaded is pickle.loads(data)
    assert loaded.submit(pow, 2, 3).get() == 8
    loaded.shutdown()


SHELL = """
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
def run(cell):
    shell.run_cell(cell).raise_error()
run("%load_ext rjobs")
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="dill cannot pickle a function there (code.co_lnotab is gone)")
def test_dill_keeps_the_session_of_a_notebook_and_takes_it_up_again(python, tmp_path):
    pytest.importorskip("dill")
    file = str(tmp_path / "session.pkl")
    python(
        f"""{SHELL}
run("import dill")
run("value = 42")
run("def work(x): return jobs.submit(pow, x, 2).get()")
run("assert work(2) == 4")
run("dill.dump_session({file!r})")
"""
    )
    said = python(
        f"""{SHELL}
run("import dill")
run("own = jobs")
run("dill.load_session({file!r})")
run("print(value, jobs is own, work(3), len(jobs.all))")
"""
    ).stdout
    assert said.splitlines()[-1] == "42 True 9 1"
