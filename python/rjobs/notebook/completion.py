"""What the Tab key offers after `%job` and `%jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rjobs.notebook.options import KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import JobManager

COMMANDS = ("status", "kill", "tail", "flush", "panel")
# Job numbers offered at most; more than that help nobody.
_NUMBERS = 50
_KEYS = ("%job", "%%job", "%jobs")


def install(shell: Any, manager: Callable[[], JobManager]) -> list[Any]:
    """Register the completers; gives what `uninstall` needs."""

    def complete(_shell: Any, event: Any) -> list[str]:
        words = event.text_until_cursor.split()
        if event.symbol and words:
            words.pop()  # the word that is being written
        if event.command.lstrip("%") == "job":
            return list(KNOWN) if event.symbol.startswith("-") else []
        return _after_jobs(words[1:], manager())

    for key in _KEYS:
        shell.set_hook("complete_command", complete, str_key=key)
    return [complete]


def uninstall(shell: Any, completers: list[Any]) -> None:
    """Take the completers out again."""
    dispatcher = shell.strdispatchers.get("complete_command")
    for key in _KEYS:
        commands = None if dispatcher is None else dispatcher.strs.get(key)
        if commands is None:
            continue
        commands.chain = [entry for entry in commands if getattr(entry[1], "__func__", None) not in completers]
        if not commands.chain:
            del dispatcher.strs[key]


def _after_jobs(words: list[str], manager: JobManager) -> list[str]:
    if not words:
        return list(COMMANDS)
    private: Any = manager  # the stub tells of the public names only
    jobs, _counts = private._snapshot(_NUMBERS)  # noqa: SLF001
    if words[0] == "kill":
        alive = [str(job.num) for job in jobs if not job.done()]
        return [number for number in alive if number not in words] + (["all"] if len(words) == 1 else [])
    if words[0] == "tail" and len(words) == 1:
        return [str(job.num) for job in jobs]
    return []
