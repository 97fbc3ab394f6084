"""External commands: what was asked for, and the result of how it ended. Imported with the first of them."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__rjobs_internal__ = True

Command = str | list[Any] | tuple[Any, ...]
# The words, whether they are a line for the shell, the directory, the environment, the text to show, what makes the result.
Prepared = tuple[list[str], bool, str | None, list[tuple[str, str]] | None, str, "Callable[[int, bytes], Any]"]


def prepare(
    command: Command,
    cwd: Any,
    env: Mapping[Any, Any] | None,
    check: bool,
    encoding: str | None,
    finish: Callable[[Any], object] | None,
) -> Prepared:
    """Check what `shell` was given, and put it into the form that the core starts commands from."""
    if encoding is not None:
        b"".decode(encoding, "replace")  # an unknown one is an error now, and not when the command has ended
    is_line = isinstance(command, str)
    words = [command] if isinstance(command, str) else _words(command)
    if not words or not words[0].strip():
        raise ValueError("the command is empty")
    if isinstance(command, str):
        shown: Command = command
        text = command
    else:
        shown = list(command)
        text = subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
    make = functools.partial(result_of, shown, check, encoding, finish)
    for word in words:
        _whole(word, "the command")
    return words, is_line, _directory(cwd), None if env is None else _environment(env), text, make


def result_of(
    command: Command,
    check: bool,
    encoding: str | None,
    finish: Callable[[Any], object] | None,
    returncode: int,
    output: bytes,
) -> subprocess.CompletedProcess[Any] | subprocess.CalledProcessError:
    """Make the job's result; where the exit code is to be checked, it may be an exception, for `get` to raise."""
    stdout = output if encoding is None else output.decode(encoding, "replace")
    if check and returncode != 0:
        return subprocess.CalledProcessError(returncode, command, stdout)
    result = subprocess.CompletedProcess(command, returncode, stdout)
    if finish is not None:
        finish(result)
    return result


def _words(command: Sequence[Any]) -> list[str]:
    if not isinstance(command, (list, tuple)):
        message = f"a command is a str for the shell, or a list of a program and its arguments, not {_kind(command)}"
        raise TypeError(message)
    return [_path(word, "each part of a command") for word in command]


def _path(value: Any, what: str) -> str:
    try:
        return os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{what} must be a str or a path, not {_kind(value)}") from None


def _directory(cwd: Any) -> str | None:
    # The whole path: it may start later, when this process is elsewhere.
    try:
        here = os.getcwd()  # noqa: PTH109 - a str is what is wanted
    except FileNotFoundError:  # it was removed; what needs it will say so
        return None if cwd is None else _path(cwd, "cwd")
    if cwd is None:
        return here
    return os.path.join(here, _whole(_path(cwd, "cwd"), "cwd"))  # noqa: PTH118


def _environment(env: Mapping[Any, Any]) -> list[tuple[str, str]]:
    try:
        pairs = list(env.items())
    except AttributeError:
        raise TypeError(f"env must be a mapping or None, not {_kind(env)}") from None
    variables = []
    for key, value in pairs:
        name = _whole(_path(key, "a name in env"), "env")
        if not name or "=" in name[os.name == "nt" :]:
            raise ValueError(f"env has a name that no variable can have: {name!r}")
        variables.append((name, _whole(_path(value, f"the value of {name} in env"), "env")))
    return variables


def _whole(text: str, what: str) -> str:
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character in it, which the system takes for its end")
    return text


def _kind(value: object) -> str:
    return type(value).__qualname__
