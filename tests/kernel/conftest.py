"""Real kernels, one per module of tests."""

from __future__ import annotations

import os
import queue
import re
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.blocking import BlockingKernelClient
    from jupyter_client.manager import KernelManager

# Seconds that a cell, or anything else of a kernel, may take on a slow machine.
PATIENCE = 40

_TAG = f"3.{sys.version_info[1]}{'t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''}"
# Made by scripts/oldest.py.
OLDEST = Path(__file__).parents[2] / ".venv" / f"oldest-{_TAG}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Modules that say `KERNELS = ("installed", "oldest")` run with both, on the interpreter that has both."""
    kernels = [each for each in getattr(metafunc.module, "KERNELS", ()) if each != "oldest" or OLDEST.is_dir()]
    if kernels and "loaded" in metafunc.fixturenames:
        metafunc.parametrize("loaded", kernels, indirect=True, scope="module")


@dataclass
class Cell:
    """What one executed cell left under itself."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def text(self) -> str:
        """All that was printed under the cell."""
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def result(self) -> str | None:
        """The plain text of the cell's value."""
        results = self.of("execute_result")
        return results[0]["data"]["text/plain"] if results else None

    @property
    def error(self) -> str | None:
        """The type of the exception that the cell ended with."""
        errors = self.of("error")
        return errors[0]["ename"] if errors else None

    @property
    def shown(self) -> list[str]:
        """The kinds of all messages that put something under the cell."""
        return [m["msg_type"] for m in self.messages if m["msg_type"] not in ("status", "execute_input")]


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        # Every message that was published, whichever cell it belongs to.
        self.published: list[dict[str, Any]] = []

    def __call__(self, code: str, *, ok: bool = True) -> Cell:
        """Run a cell to its end."""
        cell = self.wait(self.start(code))
        if ok:
            assert cell.reply["status"] == "ok", "\n".join(cell.reply.get("traceback", ()))
        return cell

    def start(self, code: str) -> str:
        """Begin to run a cell, and give its id."""
        return self.client.execute(code, stop_on_error=False)

    def wait(self, cell_id: str, until: Callable[[Cell], bool] | None = None) -> Cell:
        """Collect what a cell leaves, until it is done (with its reply) or `until` holds."""
        cell = Cell()
        end = time.monotonic() + PATIENCE
        while True:
            message = self.client.get_iopub_msg(timeout=max(end - time.monotonic(), 0))
            self.published.append(message)
            if message["parent_header"].get("msg_id") != cell_id:
                continue
            cell.messages.append(message)
            if until is not None and until(cell):
                return cell
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=max(end - time.monotonic(), 0))
            if reply["parent_header"].get("msg_id") == cell_id:
                cell.reply = reply["content"]
                return cell

    def no_more_messages(self) -> None:
        """Fail when something arrived after the last cell was done."""
        with pytest.raises(queue.Empty):
            message = self.client.get_iopub_msg(timeout=0.3)
            pytest.fail(f"after the cell: {message['msg_type']} {message['content']}")


def start_kernel(**options: Any) -> Kernel:
    return Kernel(*start_new_kernel(startup_timeout=PATIENCE, **options))


def stop_kernel(kernel: Kernel) -> None:
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


@pytest.fixture
def start() -> Iterator[Callable[..., Kernel]]:
    """Starts kernels of the test's own."""
    kernels = []

    def start_one(**options: Any) -> Kernel:
        kernels.append(start_kernel(**options))
        return kernels[-1]

    yield start_one
    for kernel in kernels:
        stop_kernel(kernel)


def oldest_environment() -> dict[str, str]:
    """The process environment of a kernel with the oldest ipykernel and IPython."""
    paths = [str(OLDEST), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the extension loaded in a cell."""
    is_oldest = getattr(request, "param", "installed") == "oldest"
    options = {"env": oldest_environment()} if is_oldest else {}
    kernel = start_kernel(cwd=tmp_path_factory.mktemp("kernel"), **options)
    kernel("%load_ext rjobs\njobs.notify = False  # a cell shows what is its own")
    yield kernel
    stop_kernel(kernel)


@pytest.fixture
def kernel(loaded: Kernel) -> Iterator[Kernel]:
    """A kernel with the extension, and `go`, an event that jobs may wait for; what is left running is killed."""
    loaded("import threading; go = threading.Event()")
    yield loaded
    loaded("go.set()\nif not jobs.kill_all():\n    raise RuntimeError(repr(jobs.running))\njobs.flush()")


@pytest.fixture
def strip_colours() -> Callable[[str], str]:
    return lambda text: re.sub(r"\x1b\[[0-9;]*m", "", text)
