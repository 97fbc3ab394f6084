"""The door to the panel: what `jobs.panel()` calls."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from rjobs._display import is_notebook, manager_html, manager_text, show
from rjobs._traceback import shell

if TYPE_CHECKING:
    from rjobs import JobManager
    from rjobs.notebook.panel import JobsPanel

_MOST_ROWS = 200
_INSTALL = 'For the live panel, with its buttons: pip install "rjobs[panel]", then restart the kernel.'


def open_panel(manager: JobManager, rows: int) -> JobsPanel | None:
    """Open the panel of a manager's jobs; see `JobManager.panel`."""
    if not 1 <= rows <= _MOST_ROWS:
        raise ValueError(f"rows must be from 1 to {_MOST_ROWS}, not {rows}")
    here = shell()
    if here is None or not is_notebook(here):
        show(manager_text(manager))
        return None
    if find_spec("anywidget") is None:
        html = f'{manager_html(manager)}<div style="opacity:0.7">{_INSTALL}</div>'
        here.display_pub.publish(data={"text/plain": f"{manager_text(manager)}\n{_INSTALL}", "text/html": html})
        return None
    from rjobs.notebook.panel import JobsPanel  # noqa: PLC0415

    return JobsPanel(manager, rows, here)
