"""`%job !command`: an external command as a job, with IPython's own expansion of names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.utils.text import DollarFormatter

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from rjobs import Job, JobManager
    from rjobs.notebook.place import Place

__rjobs_internal__ = True

# Deeper than any stack: then `var_expand` looks at no frame's variables, but at the notebook's alone.
_NO_FRAME = 10**6


def command_of(code: str) -> str | None:
    """Give the command of code that is one `!command` and nothing else; None for other code.

    `!!command` is other code: it gives the output as a list. So is what goes on in a next line.
    """
    lines = [line for line in code.splitlines() if line.strip()]
    if len(lines) != 1:
        return None
    line = lines[0].strip()
    if not line.startswith("!") or line.startswith("!!") or line.endswith("\\"):
        return None
    return line[1:].strip() or None


def start(place: Place, manager: JobManager, command: str, out: str | None, options: dict[str, Any]) -> Job[Any]:
    """Start the command as a job of its own; `out` names a variable that gets the result before the job is done.

    As with `!`, the exit code is left in `_exit_code`, and is an error where the shell says so.
    """
    shell = place.shell
    line: str = shell.var_expand(command, depth=_NO_FRAME, formatter=_Formatter(place.variables))
    if line.rstrip().endswith("&"):  # IPython refuses it, too
        message = "%job runs the command in the background already: leave out the & at its end."
        raise UsageError(message)
    check = bool(getattr(shell, "system_raise_on_error", False))

    def finish(result: CompletedProcess[str]) -> None:
        shell.user_ns["_exit_code"] = result.returncode
        if out is not None and not (check and result.returncode):
            shell.user_ns[out] = result

    return manager._shell_line(line, finish, check, options)  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class _Formatter:
    """Fills in names as the shell does, and first those of the function that the line is in."""

    variables: dict[str, Any]

    def vformat(self, line: str, args: list[Any], kwargs: dict[str, Any]) -> str:
        formatter: Any = DollarFormatter()
        return str(formatter.vformat(line, args, kwargs | self.variables))
