"""An IPython shell inside the test's own process."""

from __future__ import annotations

import atexit
import builtins
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import IPython
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notebook:
    """Runs cells, and gives their values or raises what they raise."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def __call__(self, cell: str) -> Any:
        result = self.shell.run_cell(cell, store_history=True)
        result.raise_error()
        return result.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.shell.user_ns


@pytest.fixture
def bare() -> Iterator[Notebook]:
    """A notebook without the extension."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor" if IPython.version_info >= (9,) else "NoColor"
    main, displayhook, builtin_names = sys.modules["__main__"], sys.displayhook, set(vars(builtins))
    shell = InteractiveShell.instance(config=config)
    try:
        yield Notebook(shell)
    finally:
        shell.extension_manager.unload_extension("rjobs")
        InteractiveShell.clear_instance()
        # Or each of these shells collects all garbage once more when pytest exits, minutes in all.
        atexit.unregister(shell.atexit_operations)
        sys.modules["__main__"], sys.displayhook = main, displayhook
        for name in set(vars(builtins)) - builtin_names:
            delattr(builtins, name)


@pytest.fixture
def telling(bare: Notebook) -> Notebook:
    """A notebook with the extension loaded."""
    bare("%load_ext rjobs")
    return bare


@pytest.fixture
def notebook(telling: Notebook) -> Notebook:
    """The same, where nobody is told when jobs end: a cell shows what is its own."""
    telling["jobs"].notify = False
    return telling


class Stdout:
    """A stream that tells when something was written to it."""

    def __init__(self) -> None:
        self.text = ""
        self.written = threading.Event()

    def write(self, text: str) -> None:
        self.text += text
        self.written.set()

    def flush(self) -> None:
        pass


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Stdout:
    """What a follower writes to."""
    stdout = Stdout()
    monkeypatch.setattr("rjobs.notebook.following.sys", SimpleNamespace(stdout=stdout))
    return stdout
