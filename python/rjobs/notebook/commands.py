"""`!command` and `x = !command` inside a job: their output goes to the job, and they end with the job.

Terminal IPython gives `!command` the terminal itself, and the versions that kernels have leave the
process alone when the code that waits for it is killed. They also share the process group of the
kernel, so an interrupt that is meant for another cell would end them. A job has its own.
"""

from __future__ import annotations

import codecs
import errno
import inspect
import os
import signal
import subprocess
import sys
from selectors import EVENT_READ, DefaultSelector
from types import MethodType
from typing import TYPE_CHECKING, Any

from IPython.utils.text import LSString, SList

from rjobs import current_job
from rjobs._rjobs import call_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs.notebook.patches import Patches

# Seconds between two looks at whether the command has ended while something else keeps its terminal
# open; also the longest a kill waits. IPython looks as often.
_SLICE = 0.05
# Seconds that a command has to end by itself after SIGTERM.
_GRACE = 0.2
_ROWS_AND_COLUMNS = (24, 80)


class _InJob:
    """A method of the shell: in a job the job's version, elsewhere what was there before.

    A descriptor that decides when the attribute is read, because a wrapper would add a frame to every
    call, and the shell expands `$x` and `{x}` with the variables of the frame that calls it.
    """

    def __init__(self, before: Any, in_job: Callable[..., Any]) -> None:
        self._before = before
        self._in_job = in_job

    def __get__(self, shell: Any, owner: type | None = None) -> Any:
        if shell is None or current_job() is None:
            return self._before.__get__(shell, owner)
        return MethodType(self._in_job, shell)


def install(shell: Any, patches: Patches) -> None:
    """Make `!command`, `x = !command` and the magics over them know about jobs."""
    cls = type(shell)
    if os.name == "posix":
        in_job = {"system": run, "getoutput": get_output}
    else:
        # Without pseudo-terminals and process groups the shell's own piped version has to do.
        in_job = {"system": inspect.getattr_static(cls, "system_piped")}
    for name, function in in_job.items():
        # One that the user has set on the instance (`ip.system = ip.system_raw`) wins, and is theirs.
        patches.set(cls, name, _InJob(inspect.getattr_static(cls, name), function))


def run(shell: Any, cmd: str) -> None:
    """Run a shell command, its output being the job's; leaves the status in `_exit_code`, as IPython does.

    The command has no input. When the job is killed, the command and all its children get SIGTERM, and
    a moment later SIGKILL.
    """
    _refuse_background(cmd)
    status = _run(shell.var_expand(cmd, depth=1), sys.stdout.write, *_open_terminal())
    shell.user_ns["_exit_code"] = status
    if status and getattr(shell, "system_raise_on_error", False):
        raise subprocess.CalledProcessError(status, cmd)


def get_output(shell: Any, cmd: str, split: bool = True, depth: int = 0) -> Any:
    """Run a shell command and give its output (stdout and stderr), as IPython's `getoutput` does.

    It ends with the job as in `run`.
    """
    _refuse_background(cmd)
    written: list[str] = []
    status = _run(shell.var_expand(cmd, depth=depth + 1), written.append, *os.pipe())
    if getattr(shell, "system_raise_on_error", False):
        shell.user_ns["_exit_code"] = status
        if status:
            raise subprocess.CalledProcessError(status, cmd)
    output = "".join(written)
    return SList(output.splitlines()) if split else LSString(output)


def _refuse_background(cmd: str) -> None:
    if cmd.rstrip().endswith("&"):
        message = "Background processes not supported."  # IPython's own words
        raise OSError(message)


def _open_terminal() -> tuple[int, int]:
    """Open a terminal, so that programs write their lines when they have them; gives its two sides."""
    import termios  # noqa: PLC0415 - POSIX only

    # Not `os.forkpty`, which is unsafe in a process with threads.
    ours, theirs = os.openpty()
    modes = termios.tcgetattr(theirs)
    modes[1] &= ~termios.ONLCR  # line ends stay as the command writes them
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    termios.tcsetwinsize(theirs, _ROWS_AND_COLUMNS)
    return ours, theirs


def _run(command: str, write: Callable[[str], object], ours: int, theirs: int) -> int:
    """Run a command that writes into `theirs`, pass on what comes out of `ours`; closes both."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        try:
            process = subprocess.Popen(  # noqa: S602 - a shell command is what the user wrote
                command,
                shell=True,
                executable=os.environ.get("SHELL"),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
            started.append(process)
        finally:
            os.close(theirs)

    try:
        # Kills held off meanwhile, or one could leave a process behind that nobody knows of.
        call_held(start)
        (process,) = started
        _copy(ours, write, process)
        status = process.wait()
    except BaseException:
        for process in started:
            _end(process)
        raise
    finally:
        os.close(ours)
    # As IPython reports it: what the shell says of a signal becomes a negative number.
    return 128 - status if status > 128 else status  # noqa: PLR2004


def _copy(source: int, write: Callable[[str], object], process: subprocess.Popen[bytes]) -> None:
    """Pass on what the command writes until it ends."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with DefaultSelector() as selector:
        selector.register(source, EVENT_READ)
        while True:
            if not selector.select(_SLICE):
                if process.poll() is not None:
                    break  # ended, while a child of its own still holds the other side
                continue
            try:
                chunk = os.read(source, 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux tells that the other side of a terminal is closed
                    raise
                break
            if not chunk:
                break
            write(decoder.decode(chunk))
    write(decoder.decode(b"", final=True))


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue
        except OSError:
            return  # the group is gone
