"""External commands: what was asked for, and the result of how it ended. Imported with the first of them."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__rjobs_internal__ = True

Command = str | list[Any] | tuple[Any, ...]


class Prepared(NamedTuple):
    """What the core starts a command from."""

    words: list[str]
    is_line: bool  # one for the shell, and not a program and its arguments
    cwd: str | None
    env: list[tuple[str, str]] | None
    shown: str
    make: Callable[[int, bytes], Any]  # the job's result


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes a job's result of an exit code and of what the command wrote."""

    command: Command
    check: bool
    encoding: str | None
    finish: Callable[[Any], object] | None  # is given the result before anybody else

    def __call__(self, returncode: int, output: bytes) -> Any:
        """Give the result; where the exit code is to be checked, it may be an exception, for `get` to raise."""
        stdout = output if self.encoding is None else output.decode(self.encoding, "replace")
        result = subprocess.CompletedProcess(self.command, returncode, stdout)
        if self.finish is not None:
            self.finish(result)
        if self.check and returncode != 0:
            return subprocess.CalledProcessError(returncode, self.command, stdout)
        return result


def prepare(
    command: Command,
    where: tuple[Any, Mapping[Any, Any] | None],
    how: tuple[bool, str | None, Callable[[Any], object] | None],
) -> Prepared:
    """Check what `shell` was given: directory and environment, check, encoding, and who is given the result first."""
    check, encoding, finish = how
    if encoding is not None:
        b"x".decode(encoding, "replace")  # an unknown one is an error now, and not when the command has ended
    if isinstance(command, str):
        words, text = [command], command
    else:
        words = _words(command)
        text = subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
        command = list(command)
    if not words or not words[0].strip():
        raise ValueError("the command is empty")
    for word in words:
        _whole(word, "the command")
    cwd, env = where
    variables = None if env is None else _environment(env)
    make = Maker(command, check, encoding, finish)
    return Prepared(words, isinstance(command, str), _directory(cwd), variables, text, make)


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
