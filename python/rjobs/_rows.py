"""What tables and boxes tell of a job: its state, times, progress and output in safe text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rjobs._bars import bars_of, is_drawn
from rjobs._exits import exit_text
from rjobs._safe_text import coarse, duration, fit, one_line, overwritten
from rjobs._traceback import summary

if TYPE_CHECKING:
    from rjobs import Job, JobManager
    from rjobs._bars import Bar

__rjobs_internal__ = True

_NAME_CELLS = 32
_LINE_CELLS = 200
# What a pointer that rests on a cut name or line shows.
_FULL = 1000
# Characters of a job's text that a terminal shows.
_FORM = 72
# Lines of output among which the last one that is no drawn bar is looked for.
_LINES = 4
# The order in which the counts are told: what is going on first.
_STATES = ("running", "queued", "failed", "killed", "timed_out", "lost", "cancelled", "skipped", "expired", "done")
# Of a state: what it means for the user.
KINDS = {
    "running": "run",
    "queued": "idle",
    "done": "good",
    "failed": "bad",
    "lost": "bad",
    "killed": "warn",
    "timed_out": "warn",
    "cancelled": "idle",
    "skipped": "idle",
    "expired": "idle",
}
# Jupyter's colours, else VS Code's, else ones that can be read on black and on white.
COLOURS = {
    "run": "var(--jp-brand-color1,var(--vscode-charts-blue,#3b82f6))",
    "idle": "var(--jp-ui-font-color2,var(--vscode-descriptionForeground,#80868b))",
    "good": "var(--jp-success-color1,var(--vscode-charts-green,#2e9e5b))",
    "bad": "var(--jp-error-color1,var(--vscode-charts-red,#e5484d))",
    "warn": "var(--jp-warn-color1,var(--vscode-charts-orange,#d9822b))",
}


class Row(NamedTuple):
    """What a table shows of one job; safe text, one line each."""

    num: str
    state: str
    name: str
    elapsed: str
    progress: str
    line: str
    # What the state means: a key of `KINDS` and of `COLOURS`.
    raw_state: str = "?"
    kind: str = "bad"
    # The name and the line in full, or nearly so.
    full_name: str = ""
    full_line: str = ""
    # The progress, and behind it the bars inside of it.
    bars: tuple[Bar, ...] = ()
    # It stands for state and line of one that waits for its next try.
    trial: str = ""


def read(job: Job[Any], attribute: str, default: object) -> Any:
    """Read an attribute of a job for display; what cannot be read never breaks the display."""
    try:
        return getattr(job, attribute)
    except Exception:  # noqa: BLE001 - a name or a result may come from user code
        return default


def state_text(job: Job[Any], *, steady: bool = False) -> str:
    """Give the state, or what holds it up. `steady` rounds times, so that they do not change with every look."""
    state = str(read(job, "state", "?"))
    if state == "running" and read(job, "kill_pending", default=False):
        return pending_text(job)
    if state == "queued":
        return _waiting_text(job, steady=steady)
    waiting_for = read(job, "waiting_for", None) if state == "running" else None
    if waiting_for is not None:
        return f"waiting for a {waiting_for}"
    if state == "running":
        which = _which_run(job)
        return f"running ({which})" if which else "running"
    return exit_text(job) or state.replace("_", " ")


def told_state(job: Job[Any], *, steady: bool = False) -> str:
    """Give the state, and how often one that waits for its next run was run."""
    state = state_text(job, steady=steady)
    runs = runs_text(job) if state.startswith("next run") else ""
    return f"{state} ({runs})" if runs else state


def trial_text(job: Job[Any], *, steady: bool = False) -> str:
    """Say of a job that waits for its next try how the last one ended: `try 3 of 9, retry in 2 s: ValueError: no`."""
    tries = read(job, "_tries", None)
    if tries is None or read(job, "state", "?") != "queued" or read(job, "waiting_for", None) != "retry":
        return ""
    told = tries_text(*tries)
    due = _due_text(job, steady=steady)
    told = f"{told}, retry in {due}" if due else told
    error = failure_text(job)
    return f"{told}: {error}" if error else told


def tries_text(tried: int, total: int | None) -> str:
    """Count a job's tries: `try 3 of 9`."""
    return f"try {tried}" if total is None else f"try {tried} of {total}"


def failure_text(job: Job[Any]) -> str:
    """Give what the last try of a job has raised in one line; empty where there is no such thing."""
    error = read(job, "_last_failure", None)
    return "" if error is None else summary(error)


def _which_run(job: Job[Any]) -> str:
    tries = read(job, "_tries", None)
    if tries is not None and tries[0] > 0:
        return tries_text(tries[0] + 1, tries[1])
    runs = read(job, "runs", 0)
    return f"run {runs:,}" if runs > 1 and read(job, "_is_periodic", default=False) else ""


def runs_text(job: Job[Any]) -> str:
    """Count the runs of a periodic job; empty for all other jobs, and before its first run."""
    runs = read(job, "runs", 0)
    if runs == 0 or not read(job, "_is_periodic", default=False):
        return ""
    return "1 run" if runs == 1 else f"{runs:,} runs"


def pending_text(job: Job[Any]) -> str:
    """Say that a kill has not ended the job yet, and what hinders it."""
    obstacle = read(job, "kill_obstacle", None)
    if obstacle == "in native code":
        call = read(job, "native_call", None)
        seconds = read(job, "_stuck_for", None)
        obstacle = (f"in {call}" if call else obstacle) + (f" since {coarse(seconds)}" if seconds else "")
    return f"kill pending ({obstacle})" if obstacle else "kill pending"


def _waiting_text(job: Job[Any], *, steady: bool) -> str:
    """Say what a queued job waits for, where that is more than a worker."""
    what = str(read(job, "waiting_for", "worker"))
    due = _due_text(job, steady=steady) if what == "schedule" else ""
    if due:
        return f"next run in {due}"
    return f"queued ({what})" if what in ("jobs", "limit", "retry") else "queued"


def _due_text(job: Job[Any], *, steady: bool) -> str:
    """Say how long it is until a job's next try or run; empty where none is planned."""
    when = read(job, "next_run_at", None)
    if when is None:
        return ""
    seconds = max((when - datetime.now(UTC)).total_seconds(), 0.0)
    return coarse(seconds + 0.99) if steady else duration(seconds)


def kind(job: Job[Any]) -> str:
    """Give what the job's state means: 'run', 'idle', 'good', 'warn' or 'bad'."""
    state = str(read(job, "state", "?"))
    if state == "running" and read(job, "kill_pending", default=False):
        return "warn"
    if state == "queued" and read(job, "waiting_for", None) == "retry":
        return "warn"
    return "bad" if exit_text(job) else KINDS.get(state, "bad")


def colour(job: Job[Any]) -> str:
    """Give the CSS colour of the job's state."""
    return COLOURS[kind(job)]


def elapsed_text(job: Job[Any], *, steady: bool = False) -> str:
    """Give the time the job has taken, for people. `steady` rounds that of a running one."""
    elapsed = read(job, "elapsed", None)
    if not isinstance(elapsed, float | int):
        return ""
    return (coarse if steady and read(job, "state", "?") in ("running", "queued") else duration)(elapsed)


def error_text(job: Job[Any]) -> str:
    """Give the exception of a failed job in one line; empty for all other jobs."""
    if read(job, "state", "?") != "failed":
        return ""
    try:
        exc = job.exception(0)
    except Exception:  # noqa: BLE001 - the display goes on without it
        return ""
    return "" if exc is None else summary(exc)


def row(job: Job[Any]) -> Row:
    """Make the row of one job."""
    state = str(read(job, "state", "?"))
    name = one_line(str(read(job, "name", "?")), _FULL)
    bars = tuple(bars_of(job))
    trial = one_line(trial_text(job, steady=True), _FULL)
    line = one_line((error_text(job) if state == "failed" else trial) or last_line(job, drawn=not bars), _FULL)
    return Row(
        num=str(read(job, "num", "?")),
        state=told_state(job, steady=True),
        name=fit(name, _NAME_CELLS),
        elapsed=elapsed_text(job),
        progress=bars[0].text if bars else "",
        line=fit(line, _LINE_CELLS),
        raw_state=state,
        kind=kind(job),
        full_name=name,
        full_line=line,
        bars=bars,
        trial=trial,
    )


def last_line(job: Job[Any], *, drawn: bool = True) -> str:
    """Give the last line of the job's output; with `drawn=False` the last one that is no bar of tqdm's."""
    try:
        tail = job.tail(1 if drawn else _LINES)
    except Exception:  # noqa: BLE001 - the table goes on without it
        return ""
    lines = map(overwritten, reversed(tail.rstrip("\r\n").split("\n")))
    return next((line for line in lines if drawn or not is_drawn(line)), "")


def plain_line(job: Job[Any], limit: int = _FORM) -> str:
    """Give a job as IPython's manager lists it: number and text, or its name where it has one or that is long."""
    form = str(job)
    is_short = len(form) <= limit and form.isprintable()
    name = form if is_short and not read(job, "_is_named", default=False) else str(read(job, "name", "?"))
    return f"{read(job, 'num', '?')} : {fit(one_line(name, limit), limit)}"


class View(NamedTuple):
    """What a table shows of a manager."""

    jobs: list[Job[Any]]
    rows: list[Row]
    counts: dict[str, int]

    @property
    def footer(self) -> str:
        """Say how many jobs there are in each state, and how many of them are not shown."""
        known = [state for state in _STATES if state in self.counts]
        states = [*known, *(set(self.counts) - set(known))]
        hidden = sum(self.counts.values()) - len(self.jobs)
        more = f"… {hidden:,} more; " if hidden > 0 else ""
        return more + ", ".join(f"{self.counts[state]:,} {state.replace('_', ' ')}" for state in states)


def view(manager: JobManager, limit: int, *, tell: bool = False) -> View:
    """Look at the jobs of a manager, at most `limit` of them, and count how many there are in each state.

    Those that are left out are done ones first, then queued ones, then dead ones. Of the others running ones come
    first, then queued ones, then what has ended, the newest first. With `tell` no job that has ended is news any more.
    """
    jobs, counts = manager._snapshot(limit, tell)  # noqa: SLF001
    jobs.sort(key=_place)
    return View(jobs, [row(job) for job in jobs], counts)


def _place(job: Job[Any]) -> tuple[int, int]:
    state, num = job.state, job.num
    return (0, num) if state == "running" else (1, num) if state == "queued" else (2, -num)
