"""What the page knows of the jobs, and what it has to be told next."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rjobs.notebook.panel.rows import Row, is_news, make_row, make_tail

if TYPE_CHECKING:
    from rjobs import Job, JobManager

# Rows that may be open at a time: each sends the end of its output.
_OPEN = 10
_TEXT = 100


@dataclass
class View:
    """What the page looks at: jobs in these states (none: in all) that `text` means, from where on, and open rows."""

    states: list[str] = field(default_factory=list)
    text: str = ""
    offset: int = 0
    open: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Give it as the page has it."""
        return {"states": self.states, "text": self.text, "offset": self.offset, "open": self.open}

    @classmethod
    def from_dict(cls, given: Any) -> View:
        """Read what a page sent; what is no view is the plain one."""
        given = given if isinstance(given, dict) else {}
        states, text, offset, opened = (given.get(name) for name in ("states", "text", "offset", "open"))
        return cls(
            [state for state in states if isinstance(state, str)] if isinstance(states, list) else [],
            text[:_TEXT] if isinstance(text, str) else "",
            offset if isinstance(offset, int) and offset > 0 else 0,
            [num for num in opened if isinstance(num, int)][:_OPEN] if isinstance(opened, list) else [],
        )


class Feed:
    """A window of a manager's jobs, and what has changed in it since it was last told. Safe to use from any thread."""

    def __init__(self, manager: JobManager, rows: int) -> None:
        self.manager = manager
        self.limit = rows
        self._lock = threading.Lock()
        self._view = View()
        self._told: dict[str, Any] = {}
        self._rows: dict[int, Row] = {}
        self._number = 0

    def look(self, view: View) -> None:
        """Look at something else from now on."""
        with self._lock:
            self._view = view

    def whole(self) -> dict[str, Any]:
        """Give all that the page is to know now; the changes that come next are changes of that."""
        with self._lock:
            self._told, self._rows = self._read()
            self._number += 1
            return {**self._told, "rows": list(self._rows.values()), "number": self._number, "limit": self.limit}

    def changes(self) -> dict[str, Any] | None:
        """Give what has changed since the last call, or None: rows, and whatever else of the whole is not the same.

        A row that has left the window is given once more, as it is now: the page may still show it.
        """
        with self._lock:
            told, rows = self._read()
            changes = {key: value for key, value in told.items() if value != self._told.get(key)}
            changed = [row for num, row in rows.items() if is_news(row, self._rows.get(num))]
            changed += [make_row(job) for num in self._rows if num not in rows and (job := self._find(num)) is not None]
            if changed:
                changes["rows"] = changed
            if not changes:
                return None
            self._told, self._rows = told, rows
            self._number += 1
            return {**changes, "number": self._number}

    def has_work(self) -> bool:
        """Say whether what was last told has jobs that have not ended: more will change."""
        counts = self._told.get("counts", {})
        return bool(counts.get("running") or counts.get("queued"))

    def _read(self) -> tuple[dict[str, Any], dict[int, Row]]:
        view, manager = self._view, self.manager
        states = view.states or None
        jobs, counts, matched = manager._window(states, view.text, view.offset, self.limit)  # noqa: SLF001
        if not jobs and view.offset:
            # The last page is gone: the one that is the last now.
            view.offset = max((matched - 1) // self.limit * self.limit, 0)
            jobs, counts, matched = manager._window(states, view.text, view.offset, self.limit)  # noqa: SLF001
        rows = {row["num"]: row for row in map(make_row, jobs)}
        tails = {str(job.num): make_tail(job) for job in jobs if job.num in view.open}
        told = {"order": list(rows), "counts": counts, "matched": matched, "view": view.to_dict(), "tails": tails}
        return told, rows

    def _find(self, num: int) -> Job[Any] | None:
        try:
            return self.manager[num]
        except Exception:  # noqa: BLE001 - forgotten meanwhile
            return None
