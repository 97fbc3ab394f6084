"""The live panel of jobs. Imported where it is opened, since it needs anywidget."""

from __future__ import annotations

from rjobs.notebook.panel.widget import JobsPanel

__all__ = ["JobsPanel"]
