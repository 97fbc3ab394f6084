"""The magics: `%job`, `%%job` and `%jobs`."""

from __future__ import annotations

import tokenize
from collections import Counter
from typing import TYPE_CHECKING, Any

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand
from IPython.display import display

from rjobs import Job, current_job
from rjobs._hints import did_you_mean
from rjobs._rows import pending_text
from rjobs.notebook import cells, lookup, on_jobs, shell_line
from rjobs.notebook.completion import COMMANDS
from rjobs.notebook.following import follow
from rjobs.notebook.late import refuse_late_options
from rjobs.notebook.options import parse
from rjobs.notebook.place import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import JobManager
    from rjobs.notebook.hiding import Hiding
    from rjobs.notebook.options import Options

# Seconds that `%jobs kill` waits for all its jobs together.
_KILL_WAIT = 5.0
_TAIL_LINES = 10
# So many jobs get a line each by `%jobs kill`, and of more so many that have not ended.
_FEW = 5
_MOST_LINES = 20


class JobMagics:
    """The magics over one shell; which manager they use is asked for every time."""

    def __init__(
        self, shell: Any, manager: Callable[[], JobManager], hiding: Hiding, defaults: Callable[[], dict[str, Any]]
    ) -> None:
        self._shell = shell
        self._manager = manager
        self._hiding = hiding
        # The options that jobs of `%job` have by configuration.
        self._defaults = defaults

    @no_var_expand
    def job(self, line: str, cell: str | None = None) -> Job[Any]:
        """Run code in the background: `%job [options] code`, or `%%job [options]` over a cell.

        Gives the job at once. The code runs in the notebook's namespace as a cell does: statements,
        assignments, `print`, magics, `!commands` and top-level `await`; the value of a last expression
        is the job's result. What it prints or displays is kept by the job.

        A line of expressions and assignments sees the values that its names have now, also in a loop and
        in a function; what it assigns goes into the notebook. Other statements, and `%%job`, share the
        notebook's variables while they run.

        -n, --name NAME     what the job is called in the table
        -t, --timeout S     end the job after S seconds of running
        -r, --retries N     try a run that failed again, up to N times, after growing waits
        -a, --after JOBS    start when these jobs are done: numbers, names or variables, with commas
        -e, --every S       run it again every S seconds, until it is killed
        -l, --limit NAMES   wait for these limits, made by `jobs.limit`, with commas
        -o, --out VAR       assign the result to this variable when the job is done
        -q, --quiet         show nothing (so does a `;` at the end of the code)
        -f, --follow        show what it prints and displays here until it ends; Ctrl-C (the notebook's stop
                            button) detaches, and the job goes on
        --                  end of the options, for code that begins with a dash

        Options stand before the code; the code is taken as it is written. A syntax error is raised at
        once, and then there is no job.

        Code that is one line with a `!command` runs it as `jobs.shell` does, without a thread. `$name` and
        `{expression}` are filled in at once, as `!` does it. The result has `returncode` and `stdout`.
        """
        options = parse(line)
        if cell is None:
            code, written = options.code, f"%job {line}"
        else:
            code, written = cell, f"%%job {line}".rstrip() + f"\n{cell}"
            if options.code and not options.code.startswith("#"):
                message = f"%%job takes only options on its first line; put the code below it: {options.code!r}"
                raise UsageError(message)
        given = {
            "name": options.name,
            "timeout": options.timeout,
            "retry": options.retries,
            "after": self._after(options.after) or None,
            "limit": options.limit or None,
            "_every": options.every,
        }
        given = self._defaults() | {key: value for key, value in given.items() if value is not None}
        place = where(self._shell, code)
        command = shell_line.command_of(code)
        if command is not None:
            started = shell_line.start(place, self._manager(), command, options.out, given)
            return self._show(started, code, options)
        # In `%%job` the code begins on the second line of the user's cell.
        is_line = cell is None
        try:
            compiled = cells.compile_cell(place, code, written, is_line=is_line, first_line=1 if is_line else 2)
        except SyntaxError:
            if is_line:
                refuse_late_options(place, code, is_broken=True)
            raise
        if compiled is None:
            raise UsageError(_no_code(options, is_cell=not is_line))
        if is_line:
            refuse_late_options(place, code, is_broken=False)
        private: Any = self._manager()  # the stub tells of the public names only
        job: Job[Any] = private._new_code(  # noqa: SLF001
            cells.runner(place, compiled, options.out),
            code,
            code=compiled.statements or compiled.last,
            glob=place.glob,
            loc=place.loc,
            options=given,
        )
        return self._show(job, code, options)

    def _show(self, job: Job[Any], code: str, options: Options) -> Job[Any]:
        # What a job's own `%job` gives is no value of a cell.
        if current_job() is None and (options.quiet or _silenced(code)):
            self._hiding.hide(job)
        if options.follow:
            follow(job)
        return job

    def _after(self, words: tuple[str, ...]) -> list[Job[Any]]:
        """Give the jobs that `--after` means: by number, by name, or by a variable that holds one."""
        jobs = []
        for word in words:
            held = self._shell.user_ns.get(word)
            if isinstance(held, Job):
                jobs.append(held)
            elif lookup.is_known(self._manager(), word):
                jobs.append(lookup.job(self._manager(), word, "%job --after"))
            else:
                message = f"%job --after needs the number or name of a job, or a variable that holds one, not {word!r}."
                raise UsageError(message)
        return jobs

    def jobs(self, line: str) -> None:
        """Look after the jobs. A job is meant by its number, or by the name it was given.

        %jobs, %jobs status     the table
        %jobs 3                 job 3 as the value of a cell is shown
        %jobs kill 1 2 | all    end these jobs; waits up to 5 seconds for them. Says of each how it ended; of more than
                                five how many ended how, and which have not ended
        %jobs tail 3 [n]        the last n lines (10) of the output of job 3
        %jobs fg [3]            show what job 3 (the newest that runs) prints and displays here, from its beginning
                                and as it comes, until it ends; Ctrl-C (the notebook's stop button) detaches, and
                                the job goes on
        %jobs stack [3]         where job 3 (each that runs) is just now
        %jobs flush             forget the jobs that have ended
        %jobs panel             the live panel: rows that follow the jobs, with buttons
        %jobs retry 3           run job 3 again, which failed or was ended (of a group what failed); shows the new job
        %jobs stop 1 2 | all    ask these jobs to end, and kill those that have not after 5 seconds
        %jobs traceback [3]     the traceback of job 3 (of all dead jobs)
        """
        command, *words = lookup.words_of(line) or ["status"]
        manager = self._manager()
        alone: dict[str, Callable[[], object]] = {
            "status": manager.status,
            "flush": manager.flush,
            "panel": lambda: _show_panel(manager),
        }
        if command in alone and not words:
            alone[command]()
        elif command == "kill" and words:
            _kill(manager, words)
        elif command == "tail" and len(words) in (1, 2):
            lines = lookup.number(words[1], "a number of lines") if len(words) > 1 else _TAIL_LINES
            _print_text(lookup.job(manager, words[0]).tail(lines))
        elif command == "fg" and len(words) <= 1:
            follow(lookup.job(manager, words[0]) if words else _newest(manager))
        elif command == "stack" and len(words) <= 1:
            _print_stacks([lookup.job(manager, word) for word in words] or lookup.alive(manager))
        elif command in on_jobs.COMMANDS and (words or command == "traceback"):
            on_jobs.COMMANDS[command](manager, words)
        elif command in COMMANDS:
            message = (
                "Usage: %jobs [status], %jobs JOB..., %jobs kill JOB... | all, %jobs tail JOB [LINES], %jobs fg [JOB], "
                "%jobs stack [JOB], %jobs flush, %jobs panel, %jobs retry JOB..., %jobs stop JOB... | all, "
                "%jobs traceback [JOB]..."
            )
            raise UsageError(message)
        elif lookup.is_known(manager, command):
            on_jobs.show(manager, [command, *words])
        else:
            there_are = f"There are: {', '.join(COMMANDS)}; or the number or name of a job."
            likely = did_you_mean(command, [*COMMANDS, *lookup.names(manager)]) or "."
            raise UsageError(f"%jobs has no sub-command {command!r}{likely} {there_are}")


def _no_code(options: Options, *, is_cell: bool) -> str:
    if options.last is None or is_cell:
        return "%job needs code to run: %job [options] code, or %%job [options] with the code below it."
    option, value = options.last
    return (
        f"%job needs code to run: {value!r} was taken for the value of --{option}, which stands before the code: "
        f"%job --{option} {option.upper()} {value}"
    )


def _silenced(code: str) -> bool:
    """Say whether the code ends in a `;`, which in IPython silences the value."""
    try:
        hook: Any = DisplayHook  # untyped
        return bool(hook.semicolon_at_end_of_expression(code))
    except (tokenize.TokenError, SyntaxError):
        return False  # magics and commands need not be made of Python's tokens


def _show_panel(manager: JobManager) -> None:
    panel = manager.panel()
    if panel is not None:
        display(panel)  # type: ignore[no-untyped-call]


def _newest(manager: JobManager) -> Job[Any]:
    # A job that follows is not the one that is meant.
    others = [job for job in lookup.alive(manager) if job is not current_job()]
    if not others:
        raise UsageError("%jobs fg: no jobs are running. %jobs fg NUMBER shows one that has ended.")
    return others[-1]


def _kill(manager: JobManager, words: list[str]) -> None:
    if words == ["all"]:
        jobs = lookup.alive(manager)
        if not jobs:
            print("No jobs are running.")  # noqa: T201 - the answer to the command
    else:
        # All of them are looked up before the first is killed.
        jobs = list(dict.fromkeys(lookup.job(manager, word) for word in words))
    ended = {job.num for job in jobs if job.done()}
    alive = [job for job in jobs if job.num not in ended]
    # Those that wait go first, or they would start on the workers that the others leave.
    for job in sorted(alive, key=lambda job: job.running()):
        job.kill(timeout=0)
    manager.wait(alive, timeout=_KILL_WAIT)
    _tell_of_kills(jobs, ended)


def _tell_of_kills(jobs: list[Job[Any]], ended: set[int]) -> None:
    """Print how the jobs ended: a line for each of a few, one line for many, and who has not ended."""
    counts: Counter[str] = Counter()
    lines, pending = [], []
    for job in jobs:
        state = job.state.replace("_", " ")
        job._tell()  # noqa: SLF001 - no news any more
        if job.num in ended:
            lines.append(f"Job {job.num} had already ended: {state}.")
            counts["had already ended"] += 1
        elif job.done():
            lines.append(f"Job {job.num}: {state}.")
            counts[state] += 1
        else:
            pending.append(f"Job {job.num} has not ended yet: {pending_text(job)}.")
            lines.append(pending[-1])
            counts["not ended yet"] += 1
    if len(jobs) > _FEW:
        summary = ", ".join(f"{count} {what}" for what, count in counts.most_common())
        lines = [f"{len(jobs)} jobs: {summary}.", *pending[:_MOST_LINES]]
        if len(pending) > _MOST_LINES:
            lines.append(f"... and {len(pending) - _MOST_LINES} more: see %jobs.")
    if lines:
        print("\n".join(lines))  # noqa: T201 - the answer to the command


def _print_stacks(jobs: list[Job[Any]]) -> None:
    if not jobs:
        print("No jobs are running.")  # noqa: T201 - the answer to the command
    for job in jobs:
        stack = job.stack()
        where = ":" if stack else ", in no Python code." if job.running() else "."
        name = f" ({job.name})" if job._is_named else ""  # noqa: SLF001
        print(f"Job {job.num}{name} is {job.state.replace('_', ' ')}{where}")  # noqa: T201
        _print_text(stack)


def _print_text(text: str) -> None:
    print(text, end="" if text.endswith("\n") or not text else "\n")  # noqa: T201 - the answer to the command
