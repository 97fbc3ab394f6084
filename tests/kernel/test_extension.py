"""Loading the extension in a kernel: in a cell, from the configuration, twice, and unloading it."""

from __future__ import annotations

import pytest


@pytest.fixture
def configured(start, tmp_path):
    """A kernel whose configuration names the extension."""
    return start(extra_arguments=["--InteractiveShellApp.extensions=rjobs"], cwd=tmp_path)


def test_the_configuration_loads_it(configured):
    assert configured("job = %job print('hello') or 6 * 7\njob.get(20)").text == ""
    assert configured("job.result, job.output").result == r"(42, 'hello\n')"
    for code in ("input('?')", "import getpass; getpass.getpass('?')"):
        configured(f"job = %job {code}")
        assert configured("job.join(20); job.state").result == "'failed'"
    configured("%unload_ext rjobs")
    assert configured("'jobs' in globals()").result == "False"


def test_loading_twice_and_unloading(start):
    kernel = start()
    kernel("%load_ext rjobs")
    kernel("job = %job 1")
    assert "already loaded" in kernel("%load_ext rjobs").text
    assert kernel("job is jobs[0]").result == "True"
    kernel("%unload_ext rjobs")
    assert kernel("%job 1", ok=False).text.startswith("UsageError: Line magic function `%job` not found.")
    assert kernel("jobs", ok=False).error == "NameError"
    names = "sorted(name for name in vars(get_ipython().kernel) if name in ('raw_input', 'getpass'))"
    assert kernel(names).result == "[]"
    code = "import getpass, builtins\n[hasattr(f, 'rjobs_guards') for f in (getpass.getpass, builtins.input)]"
    assert kernel(code).result == "[False, False]"
    for cell in ("display('shown')", "!echo shown", "print('shown')", "'shown'"):
        assert len(kernel(cell).shown) >= 1
    kernel("%load_ext rjobs")
    assert kernel("job = %job 2\njob.get(20)").result == "2"
    assert kernel("%reload_ext rjobs\njob = %job 3\njob.get(20)").result == "3"


def test_input_still_works_in_cells(start):
    kernel = start()
    kernel("%load_ext rjobs")
    for code in ("input('?')", "import getpass; getpass.getpass('?')"):
        cell_id = kernel.client.execute(code, allow_stdin=True)
        kernel.client.get_stdin_msg(timeout=40)
        kernel.client.input("typed")
        assert kernel.wait(cell_id).result == "'typed'"
