"""The extension in one shell: what loading changes, and how unloading takes all of it back."""

from __future__ import annotations

import asyncio  # noqa: F401 - the manager's hooks look for it: `%%bash` in a job writes from an event loop
import sys
from typing import TYPE_CHECKING, Any, Final

from IPython.utils.capture import capture_output

from rjobs import JobManager, _capture, _streams, _table
from rjobs.notebook import commands, completion, displays, inputs, routing
from rjobs.notebook.config import RJobs, is_of_manager
from rjobs.notebook.hiding import Hiding
from rjobs.notebook.magics import JobMagics
from rjobs.notebook.news import News
from rjobs.notebook.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

# The variable in the notebook's namespace.
_VARIABLE: Final = "jobs"
_MAGICS: Final = {"job": ("line", "cell"), "jobs": ("line",)}


class Session:
    """The extension, loaded into a shell. Made by `load`, ended by `unload`; not to be used after that."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._patches = Patches()
        self._hiding = Hiding(shell)
        self._config = RJobs(self._configured, parent=shell)
        self._magics = JobMagics(shell, self.manager, self._hiding, self._config.job_options)
        self._news = News(shell, self._present, self._config)
        self._functions = {"job": self._magics.job, "jobs": self._magics.jobs}
        self._magics_before: dict[tuple[str, str], Any] = {}
        self._completers: list[Any] = []
        self._variable_before: list[Any] = []
        self._own: JobManager | None = None
        self._hooks_before = _streams.is_hooked(sys.stdout)
        self._unwrap: list[Callable[[], None]] = []
        self._rows_before = _table.ROWS

    def manager(self) -> JobManager:
        """Give the manager that the magics use: the one in the user's `jobs`, else the extension's own."""
        user_ns = self._shell.user_ns
        held = user_ns.get(_VARIABLE)
        if isinstance(held, JobManager):
            return held
        if self._own is None:
            self._own = self._config.manager()
        if _VARIABLE not in user_ns:  # cleared by `%reset`
            self._put(self._own)
        return self._own

    def _present(self) -> JobManager | None:
        """Give the manager as it is, for what looks at it in every cell: it puts no variable back."""
        held = self._shell.user_ns.get(_VARIABLE)
        return held if isinstance(held, JobManager) else self._own

    def load(self) -> None:
        """Put `jobs` into the namespace, register the magics, and set the hooks; all of it or nothing."""
        try:
            self._load()
        except BaseException:
            self.unload()
            raise

    def _load(self) -> None:
        held = self._shell.user_ns.get(_VARIABLE)
        # One that was shut down is no use, and `%reload_ext rjobs` is how to get another.
        if not isinstance(held, JobManager) or held.closed:
            if _VARIABLE in self._shell.user_ns and not isinstance(held, JobManager):
                print(  # noqa: T201 - a variable of the user's changes its meaning
                    f"rjobs: `{_VARIABLE}` is the job manager now; your {type(held).__name__} of that name "
                    "comes back with %unload_ext rjobs."
                )
                self._variable_before = [held]
            self._own = self._config.manager()
            self._put(self._own)
        self._rows_before, _table.ROWS = _table.ROWS, self._config.table_rows
        self._shell.configurables.append(self._config)
        # `%%capture` in a cell gets the cell's text and not the jobs'.
        self._unwrap.append(_streams.wrap_redirect(capture_output))
        displays.install(self._shell, self._patches)
        commands.install(self._shell, self._patches)
        routing.install(self._shell, self._patches)
        inputs.install(self._shell)
        self._hiding.install()
        self._news.install()
        self._completers = completion.install(self._shell, self.manager)
        self._register_magics()

    def unload(self) -> None:
        """Take everything back; jobs that run go on, and can be reached through what the user holds."""
        self._restore_magics()
        completion.uninstall(self._shell, self._completers)
        self._news.uninstall()
        self._hiding.uninstall()
        inputs.uninstall(self._shell)
        routing.uninstall(self._shell)
        if self._config in self._shell.configurables:
            self._shell.configurables.remove(self._config)
            _table.ROWS = self._rows_before
        self._patches.undo()
        while self._unwrap:
            self._unwrap.pop()()
        if self._own is not None:
            if self._shell.user_ns.get(_VARIABLE) is self._own:
                self._shell.drop_by_id({_VARIABLE: self._own})
                if self._variable_before:
                    self._shell.user_ns[_VARIABLE] = self._variable_before[0]
            self._own.shutdown(wait=False)
            # Jobs that go on keep printing to themselves, and managers that were there before keep their hooks.
            if not self._hooks_before and not self._own.running:
                _capture.uninstall()

    def _configured(self, name: str, value: Any) -> None:
        """A setting is changed: have it hold from here on."""
        if name == "notify":
            self.manager().notify = value
        elif name == "keep_frames":
            self.manager().keep_frames = value
        elif name == "table_rows":
            _table.ROWS = value
        elif is_of_manager(name) and self._own is not None:
            own, held = self._own, self._shell.user_ns.get(_VARIABLE)
            if own._next_number:  # noqa: SLF001
                # For the next session, which reads the configuration again.
                self._shell.config.RJobs[name] = value
                print(  # noqa: T201 - else the user waits for it to do something
                    f"rjobs: {name} holds for a manager from its beginning, and this one has had jobs: "
                    "%reload_ext rjobs makes a new one."
                )
                return
            self._own = self._config.manager()
            if held is own:
                self._put(self._own)

    def _put(self, manager: JobManager) -> None:
        # Not interactive: like `In` and `Out` it is not among what `%who` lists.
        self._shell.push({_VARIABLE: manager}, interactive=False)

    def _register_magics(self) -> None:
        tables = self._shell.magics_manager.magics
        for name, kinds in _MAGICS.items():
            self._magics_before |= {(kind, name): tables[kind].get(name) for kind in kinds}
            kind = "line_cell" if len(kinds) > 1 else kinds[0]
            self._shell.register_magic_function(self._functions[name], kind, name)

    def _restore_magics(self) -> None:
        tables = self._shell.magics_manager.magics
        for (kind, name), before in self._magics_before.items():
            if tables[kind].get(name) != self._functions[name]:
                continue  # the user has put another one in its place
            if before is None:
                del tables[kind][name]
            else:
                tables[kind][name] = before
        user_magics = self._shell.magics_manager.user_magics
        for name, function in self._functions.items():
            if vars(user_magics).get(name) == function:
                delattr(user_magics, name)
