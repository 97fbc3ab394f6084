"""The thread behind an open panel: it tells the page what has changed, and does what the buttons ask for.

It is there while somebody looks. While no job is queued or running it sleeps until there is another one, a click, or
the end of the panel; no clock wakes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from rjobs.notebook.panel.feed import View
from rjobs.notebook.panel.requests import perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjobs.notebook.panel.feed import Feed

# Seconds between two looks at the jobs, and how many times as long as the look itself takes: with very many jobs the
# panel is slower and not the notebook.
_PAUSE = 0.25
_SHARE = 20
# Seconds after which a page that can speak to the kernel and does not is gone: while there is news it says every minute
# that it is there.
_GONE = 180
# Seconds between two updates of the static table while jobs run.
_SETTLE = 10
# What a page may ask twice, on two ways, and is done once.
_REMEMBERED = 100
# Who is told before any page has said that it is there.
_SOMEBODY = ""


class Updater:
    """Sends the changes of a feed with `send`; calls `settle` now and then, and when all jobs have ended."""

    def __init__(self, feed: Feed, send: Callable[[dict[str, Any]], None], settle: Callable[[], None]) -> None:
        self._feed = feed
        self._send = send
        self._settle = settle
        self._lock = threading.Lock()
        self._mail: deque[dict[str, Any]] = deque()
        self._bell = threading.Event()
        self._pages: dict[str, float | None] = {_SOMEBODY: None}
        self._known: deque[str] = deque(maxlen=_REMEMBERED)
        self._thread: threading.Thread | None = None
        self._closed = False

    def post(self, request: dict[str, Any]) -> None:
        """Take a request of a page; does not wait for anything."""
        with self._lock:
            if self._closed or str(request.get("id")) in self._known:
                return
            self._known.append(str(request.get("id")))
            self._mail.append(request)
        self.start()

    def start(self) -> None:
        """Begin to follow the jobs, or wake the thread that does."""
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rjobs panel", daemon=True)
                self._thread.start()
        self._bell.set()
        self._feed.manager._wake()  # noqa: SLF001

    def close(self) -> None:
        """End the thread, soon."""
        with self._lock:
            self._closed = True
        self._bell.set()
        self._feed.manager._wake()  # noqa: SLF001

    def _run(self) -> None:
        try:
            self._follow()
        except Exception:
            logging.getLogger("rjobs").exception("the panel of jobs does not go on")
            with self._lock:
                self._thread = None

    def _follow(self) -> None:
        manager, seen, settled = self._feed.manager, 0, time.monotonic()
        while True:
            # What rings from here on is heard below, and so is what has changed before.
            seen = manager._await_news(seen, 0)  # noqa: SLF001
            self._bell.clear()
            if not self._goes_on():
                return
            began = time.thread_time()
            had_work = self._feed.has_work()
            self._answer()
            changes = self._feed.changes()
            if changes is not None:
                self._send({"kind": "changes", **changes})
            has_work = self._feed.has_work()
            if (had_work and not has_work) or (has_work and time.monotonic() - settled > _SETTLE):
                self._settle()
                settled = time.monotonic()
            # Never more often than that, also where jobs come and end faster.
            self._bell.wait(max(_PAUSE, _SHARE * (time.thread_time() - began)))
            if not has_work and not self._bell.is_set():
                manager._await_news(seen, None)  # noqa: SLF001

    def _goes_on(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._pages = {page: until for page, until in self._pages.items() if until is None or until > now}
            if (self._pages or self._mail) and not self._closed:
                return True
            self._thread = None
            return False

    def _answer(self) -> None:
        answered = []
        while self._mail:
            request = self._mail.popleft()
            self._answer_one(request)
            answered.append(request.get("id"))
        if answered:
            self._send({"kind": "answered", "ids": answered})

    def _answer_one(self, request: dict[str, Any]) -> None:
        kind, page = request.get("kind"), str(request.get("page"))
        with self._lock:
            self._pages.pop(_SOMEBODY, None)
            self._pages[page] = time.monotonic() + _GONE if request.get("control") else None
            if kind == "bye":
                del self._pages[page]
        if kind == "hello":
            self._send({"kind": "whole", **self._feed.whole()})
        elif kind == "look":
            self._feed.look(View.from_dict(request.get("view")))
        else:
            perform(self._feed.manager, request, self._note)

    def _note(self, text: str) -> None:
        self._send({"kind": "note", "text": text})
        self._bell.set()
