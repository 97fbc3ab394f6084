"""Kinds for benches/kill.py: waits that are no calls of the standard library's, and long work in the kernel."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack


def kinds(stack: ExitStack, seconds: int) -> dict[str, Callable[[], object]]:
    """Name what can be tried here; each waits for so many seconds at least, or copies for as long as it takes."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    source, target = folder / "source", folder / "target"
    with source.open("wb") as file:
        file.truncate(2 << 30)  # takes no room

    def copy() -> None:
        target.unlink(missing_ok=True)  # ext4 begins to write at the close of a file that was truncated
        shutil.copyfile(source, target)

    libc = ctypes.CDLL(None)
    found: dict[str, Callable[[], object]] = {
        "ctypes sleep": partial(libc.sleep, seconds),
        "ctypes poll": partial(libc.poll, None, 0, seconds * 1000),
        "shutil.copyfile": copy,
    }
    if importlib.util.find_spec("zmq") is None:
        print("zmq: not installed, skipped")
        return found
    import zmq

    waiting = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.PULL))
    waiting.bind("inproc://nobody")

    def poll() -> None:
        poller = zmq.Poller()
        poller.register(waiting, zmq.POLLIN)
        poller.poll()

    return {**found, "zmq recv": waiting.recv, "zmq Poller": poll}
