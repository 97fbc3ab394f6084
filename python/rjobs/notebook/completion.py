"""What the Tab key offers after `%job` and `%jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rjobs import Job
from rjobs.notebook.options import KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import JobManager

COMMANDS = ("status", "kill", "tail", "fg", "stack", "flush", "panel", "retry", "stop", "traceback")
# Jobs offered at most; more than that help nobody.
_MOST = 50
_KEYS = ("%job", "%%job", "%jobs")
_OF_ONE_JOB: Final = ("tail", "fg", "stack")
_ON: Final = ("thread", "process")
# The options of `%job` whose values can be told, by all their spellings.
_VALUES: Final = {"-a": "after", "--after": "after", "-l": "limit", "--limit": "limit", "--on": "on"}


def install(shell: Any, manager: Callable[[], JobManager]) -> list[Any]:
    """Register the completers; gives what `uninstall` needs."""

    def complete(_shell: Any, event: Any) -> list[str]:
        text = event.text_until_cursor
        words = text.split()
        writing = words.pop() if words and not text[-1:].isspace() else ""
        if event.command.lstrip("%") == "job":
            return _after_job(words, writing, shell, manager())
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


def _after_job(words: list[str], writing: str, shell: Any, manager: JobManager) -> list[str]:
    """Give the options, and the values of those that have known ones."""
    option, equals, _value = writing.partition("=") if writing.startswith("--") else ("", "", "")
    if writing.startswith("-") and not equals:
        return list(KNOWN)
    option = option or words[-1]
    kind = _VALUES.get(option) if option in KNOWN else None
    if kind == "after":
        held = [name for name, value in shell.user_ns.items() if isinstance(value, Job) and not name.startswith("_")]
        return [*_numbers(manager), *held[-_MOST:]]
    if kind == "limit":
        return sorted(manager.limits)
    return list(_ON) if kind == "on" else []


def _after_jobs(words: list[str], manager: JobManager) -> list[str]:
    if not words:
        return list(COMMANDS)
    if words[0] in ("kill", "stop"):
        alive = [*_numbers(manager, alive=True), *_names(manager, alive=True)]
        return [word for word in alive if word not in words] + (["all"] if len(words) == 1 else [])
    if words[0] == "retry":
        failed = [str(job.num) for job in _jobs(manager, alive=False) if job.done() and job.state != "done"]
        return [word for word in failed if word not in words]
    if words[0] == "traceback":
        return [word for word in [*_numbers(manager), *_names(manager)] if word not in words]
    if words[0] in _OF_ONE_JOB and len(words) == 1:
        return [*_numbers(manager), *_names(manager)]
    return []


def _jobs(manager: JobManager, *, alive: bool) -> list[Job[Any]]:
    jobs, _counts = manager._snapshot(_MOST)  # noqa: SLF001
    return [job for job in jobs if not (alive and job.done())]


def _numbers(manager: JobManager, *, alive: bool = False) -> list[str]:
    return [str(job.num) for job in _jobs(manager, alive=alive)]


def _names(manager: JobManager, *, alive: bool = False) -> list[str]:
    """Give the names that jobs were given and that are one word: others would need quotes."""
    names = dict.fromkeys(job.name for job in _jobs(manager, alive=alive) if job._is_named)  # noqa: SLF001
    return [name for name in names if name.isprintable() and not set(name) & set(" ,'\"") and not name.isdigit()]
