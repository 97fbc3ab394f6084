"""`!command` inside a job: its output goes to the job, and it ends with the job.

Terminal IPython gives `!command` the terminal itself, and the piped version that kernels have leaves
the process alone when the code that waits for it is killed. A job has its own.
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

from rjobs import current_job

if TYPE_CHECKING:
    from rjobs.notebook.patches import Patches

# Seconds between two looks at whether the command has ended while something else keeps its terminal
# open; also the longest a kill waits. IPython looks as often.
_SLICE = 0.05
# Seconds that a command has to end by itself after SIGTERM.
_GRACE = 0.2
_ROWS_AND_COLUMNS = (24, 80)


class _System:
    """`shell.system`: in a job the job's way to run a command, elsewhere what was there before.

    A descriptor that decides when the attribute is read, because a wrapper would add a frame to every
    call, and the shell expands `$x` and `{x}` with the variables of the frame that calls it.
    """

    def __init__(self, before: Any) -> None:
        self._before = before

    def __get__(self, shell: Any, owner: type | None = None) -> Any:
        if shell is None or current_job() is None:
            return self._before.__get__(shell, owner)
        # Without pseudo-terminals the shell's own piped version has to do.
        return MethodType(run, shell) if os.name == "posix" else shell.system_piped


def install(shell: Any, patches: Patches) -> None:
    """Make `!command` and `%system` know about jobs."""
    # A `shell.system` that the user has set on the instance wins over this, and is theirs.
    patches.set(type(shell), "system", _System(inspect.getattr_static(type(shell), "system")))


def run(shell: Any, cmd: str) -> None:
    """Run a shell command, its output being the job's; leaves the status in `_exit_code`, as IPython does.

    The command has no input. When the job is killed, the command and all its children get SIGTERM, and
    a moment later SIGKILL.
    """
    if cmd.rstrip().endswith("&"):
        message = "Background processes not supported."  # IPython's own words
        raise OSError(message)
    status = _run(shell.var_expand(cmd, depth=1))
    shell.user_ns["_exit_code"] = status
    if status and getattr(shell, "system_raise_on_error", False):
        raise subprocess.CalledProcessError(status, cmd)


def _run(command: str) -> int:
    import termios  # noqa: PLC0415 - POSIX only

    # A terminal and not a pipe, so that programs write their lines when they have them. Not
    # `os.forkpty`, which is unsafe in a process with threads.
    ours, theirs = os.openpty()
    try:
        modes = termios.tcgetattr(theirs)
        modes[1] &= ~termios.ONLCR  # line ends stay as the command writes them
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        termios.tcsetwinsize(theirs, _ROWS_AND_COLUMNS)
        process = subprocess.Popen(  # noqa: S602 - a shell command is what the user wrote
            command,
            shell=True,
            executable=os.environ.get("SHELL"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        _copy(ours, process)
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        os.close(ours)
    # As IPython reports it: what the shell says of a signal becomes a negative number.
    return 128 - status if status > 128 else status  # noqa: PLR2004


def _copy(terminal: int, process: subprocess.Popen[bytes]) -> None:
    """Copy what the command writes to the job's output until it ends."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with DefaultSelector() as selector:
        selector.register(terminal, EVENT_READ)
        while True:
            if not selector.select(_SLICE):
                if process.poll() is not None:
                    break  # ended, while a child of its own still holds the terminal
                continue
            try:
                chunk = os.read(terminal, 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux tells that the other side is closed
                    raise
                break
            if not chunk:
                break
            sys.stdout.write(decoder.decode(chunk))
    sys.stdout.write(decoder.decode(b"", final=True))


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue
        except OSError:
            return  # the group is gone
