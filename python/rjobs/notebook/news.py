"""News of jobs in a shell: one line at the next prompt, or at once under the cell that started the job."""

from __future__ import annotations

import contextlib
import weakref
from bisect import bisect_right
from html import escape
from typing import TYPE_CHECKING, Any

from rjobs import _news
from rjobs._display import is_notebook, show
from rjobs.notebook.unseen import Farewell, Refusal, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs import Job, JobManager
    from rjobs.notebook.config import RJobs

_STYLE = "opacity:0.7;font-size:90%"


class News:
    """Tells the user of a shell what has ended.

    A terminal's prompt comes when a cell has run. A notebook's prompt has been there all the time, and the
    user comes to it by running the next cell: so the line is the first one under that cell.
    """

    def __init__(self, shell: Any, manager: Callable[[], JobManager | None], config: RJobs) -> None:
        self._shell = shell
        self._manager = manager
        self._config = config
        self._has_prompt = hasattr(shell, "prompt_for_code")
        self._cells = _Cells()
        self._refusal = Refusal(shell)
        self._farewell = Farewell(shell, manager, self._cells.last)

    def install(self) -> None:
        """Begin to tell."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)
        _news.teller.writer = self._tell_at_once
        self._refusal.install()
        if is_notebook(self._shell):
            self._farewell.install()

    def uninstall(self) -> None:
        """Tell no more."""
        for event, callback in (("pre_run_cell", self._before_cell), ("post_run_cell", self._after_cell)):
            with contextlib.suppress(ValueError):  # not registered
                self._shell.events.unregister(event, callback)
        self._refusal.uninstall()
        self._farewell.uninstall()
        if _news.teller.writer == self._tell_at_once:
            _news.teller.writer = _news.write

    def _before_cell(self, _info: Any = None) -> None:
        manager = self._manager()
        if manager is None:
            return
        self._config.agree(manager)
        if is_notebook(self._shell):
            # Kernels that are not ipykernel need not have it.
            with contextlib.suppress(Exception):
                self._cells.begin(manager, self._shell.kernel.get_parent("shell"))
        if self._config.raise_unseen:
            self._refusal.refuse(failed(manager))
        if not self._has_prompt:
            self._tell(manager)

    def _after_cell(self, result: Any = None) -> None:
        manager = self._manager()
        if manager is None:
            return
        # An error of the cell's own comes first: then it is for the next one.
        if self._config.raise_unseen and getattr(result, "success", False) and (jobs := failed(manager)):
            self._refusal.fail(result, jobs)
        if self._has_prompt:
            self._tell(manager)

    def _tell(self, manager: JobManager) -> None:
        if manager.notify != "prompt":
            return
        ended = [job for job in manager._newly_ended() if _news.is_news(job)]  # noqa: SLF001
        if not ended:
            return
        text = _news.line(ended)
        if is_notebook(self._shell):
            self._shell.display_pub.publish(data=_bundle(text))
        else:
            show(text)

    def _tell_at_once(self, jobs: list[Job[Any]]) -> None:
        """Tell of jobs that have just ended; on a thread of the teller's."""
        jobs = [job for job in jobs if _news.is_news(job)]
        if not jobs:
            return
        if not is_notebook(self._shell):
            show(_news.line(jobs))
            return
        manager = self._manager()
        cells: dict[int, tuple[dict[str, Any] | None, list[Job[Any]]]] = {}
        for job in jobs:
            parent = self._cells.of(manager, job)
            cells.setdefault(id(parent), (parent, []))[1].append(job)
        for parent, those in cells.values():
            self._send(_news.line(those), parent)

    def _send(self, text: str, parent: dict[str, Any] | None) -> None:
        if parent is None:
            self._shell.display_pub.publish(data=_bundle(text))
            return
        # Not by the shell's own publisher: which cell that reaches from a thread is another one in every version.
        kernel = self._shell.kernel
        content = {"data": _bundle(text), "metadata": {}, "transient": {}}
        kernel.session.send(
            kernel.iopub_socket, "display_data", content, parent=parent, ident=self._shell.display_pub.topic
        )


class _Cells:
    """Which cell started a job: by its number, since these are given in order."""

    def __init__(self) -> None:
        self._manager: weakref.ref[JobManager] | None = None
        # The number of the first job that each cell may have started, and the message that ran the cell.
        self._firsts: list[int] = []
        self._parents: list[dict[str, Any]] = []

    def begin(self, manager: JobManager, parent: dict[str, Any]) -> None:
        """Note that a cell runs now."""
        if self._manager is None or self._manager() is not manager:
            self._manager = weakref.ref(manager)
            self._firsts, self._parents = [], []
        first = manager._next_number  # noqa: SLF001
        if self._firsts and self._firsts[-1] == first:  # the cell before this one started none
            self._parents[-1] = parent
        else:
            self._parents.append(parent)
            self._firsts.append(first)

    def last(self) -> dict[str, Any] | None:
        """Give the message that ran the last cell."""
        return self._parents[-1] if self._parents else None

    def of(self, manager: JobManager | None, job: Job[Any]) -> dict[str, Any] | None:
        """Give the message that ran the cell that started a job; that of the last cell where this is not known."""
        if not self._parents:
            return None
        if manager is None or self._manager is None or self._manager() is not manager or job not in manager:
            return self._parents[-1]
        return self._parents[max(bisect_right(self._firsts, job.num) - 1, 0)]


def _bundle(text: str) -> dict[str, str]:
    # The classes keep MathJax from reading `$` in an error as mathematics.
    html = f'<div class="rjobs tex2jax_ignore mathjax_ignore" style="{_STYLE}">{escape(text)}</div>'
    return {"text/plain": text, "text/html": html}
