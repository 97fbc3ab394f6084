"""The panel as a widget: its state for the page, its messages, and the table that stands in for it elsewhere."""

from __future__ import annotations

import contextvars
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from rjobs._display import manager_html, manager_text
from rjobs._rjobs import _current
from rjobs.notebook.panel import control
from rjobs.notebook.panel.feed import Feed
from rjobs.notebook.panel.updater import Updater

if TYPE_CHECKING:
    from rjobs import JobManager

_HERE = Path(__file__).parent
_VIEW = "application/vnd.jupyter.widget-view+json"


def _read(*names: str) -> str:
    # No build step: the files are joined as they are.
    return "\n".join((_HERE / name).read_text("utf-8") for name in names)


def _whole(_value: object, panel: JobsPanel) -> dict[str, Any]:
    # Read when the page asks for the state, as it does after a reload: what is sent in between are changes of this.
    return panel.feed.whole()


class JobsPanel(anywidget.AnyWidget):  # type: ignore[misc]
    """The live panel of a manager's jobs; see `JobManager.panel`.

    As a cell's value, or with `display(panel)`, it shows itself. It goes on until `close()`, or until its page is gone.
    """

    _esm = _read("link.js", "row.js", "view.js")
    _css = _read("panel.css", "table.css")
    key = traitlets.Unicode().tag(sync=True)
    direct = traitlets.Bool().tag(sync=True)
    state = traitlets.Dict().tag(sync=True, to_json=_whole)

    def __init__(self, manager: JobManager, rows: int, shell: Any) -> None:
        """Made by `jobs.panel()`."""
        self.feed = Feed(manager, rows)
        self._shell = shell
        self._static_id = f"rjobs-{uuid.uuid4().hex}"
        self._shown = ""
        # The messages of other threads, too, belong to the cell that opened the panel, and to no job.
        self._context = contextvars.copy_context()
        self._context.run(_current.set, None)
        self._updater = Updater(self.feed, self._tell, self._settle)
        direct = control.enter(getattr(shell, "kernel", None), self._static_id, self)
        super().__init__(key=self._static_id, direct=direct)
        self.on_msg(self._heard)

    def take(self, request: dict[str, Any]) -> None:
        """Take what a page asks for; from any thread, and without waiting."""
        self._updater.post(request)

    def close(self) -> None:
        """End the panel: its page shows the table as it is now. Closing it twice is harmless. Does not block."""
        updater = vars(self).get("_updater")
        if updater is None or self.comm is None:
            return
        updater.close()
        control.leave(getattr(self._shell, "kernel", None), self._static_id)
        self._settle()
        super().close()

    def __repr__(self) -> str:
        count = len(self.feed.manager)
        return f"<JobsPanel of {count} job{'' if count == 1 else 's'}{'' if self.comm else ', closed'}>"

    def _ipython_display_(self, **_kwargs: Any) -> None:
        # Two displays: the widget, and the table, which the panel hides while it is live. So the table is there where
        # there are no widgets, no kernel, or none yet; a front end for widgets takes no other data in place of one.
        publish = self._shell.display_pub.publish
        if self.comm is not None:
            view = {"version_major": 2, "version_minor": 1, "model_id": self.model_id}
            publish(data={"text/plain": repr(self), _VIEW: view})
        self._shown = self._html()
        publish(data=self._static(), transient={"display_id": self._static_id})
        self._updater.start()

    def _heard(self, _panel: object, request: Any, _buffers: object) -> None:
        if isinstance(request, dict):
            self.take(request)

    def _tell(self, message: dict[str, Any]) -> None:
        if self.comm is not None:
            self._context.copy().run(self.send, message)

    def _settle(self) -> None:
        """Bring the table up to date, in the saved notebook too, where it is shown."""
        html = self._html()
        if not self._shown or html == self._shown:
            return
        self._shown = html
        publish = self._shell.display_pub.publish
        self._context.copy().run(publish, data=self._static(), transient={"display_id": self._static_id}, update=True)

    def _html(self) -> str:
        return manager_html(self.feed.manager)

    def _static(self) -> dict[str, str]:
        html = f'<div id="{self._static_id}" class="rjobs-static">{self._shown}</div>'
        return {"text/plain": manager_text(self.feed.manager), "text/html": html}
