"""Jobs that return a coroutine. A module of its own, since asyncio takes long to import."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import current_job, set_striker, strike_now

if TYPE_CHECKING:
    from collections.abc import Coroutine

__rjobs_internal__ = True

# Seconds that the loop has to come to a cancellation before the thread is struck.
_PATIENCE = 0.02


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that a job returned to its end, in an event loop of its own."""
    return _Run(coroutine).run()


class _Run:
    """One coroutine in its loop, and how it is killed.

    An exception that is sent to the thread while the loop itself is at work would be swallowed there, and the loop
    would wait for ever. So the main task is cancelled, as asyncio does it: that ends a wait at once. Only code between
    two waits that goes on for longer than `_PATIENCE` is struck directly. A kill that comes while the loop is still
    being made waits for the main task.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._exc: type[BaseException] | None = None
        self._cancelled = False
        self._timer: threading.Timer | None = None
        self._job = current_job()
        # What was sent to the thread.
        self._sent: set[type[BaseException]] = set()

    def run(self) -> Any:
        set_striker(self._strike)
        try:
            return asyncio.run(self._main())
        except asyncio.CancelledError as cancelled:
            if self._exc is None:
                raise
            raise self._exc().with_traceback(cancelled.__traceback__) from None
        finally:
            set_striker(None)
            # Asked to run and never begun (a kill came first): it is not to be warned about.
            self._coroutine.close()

    async def _main(self) -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._lost)
        self._task = asyncio.current_task()
        self._loop = loop
        if self._exc is not None:
            raise self._exc
        return await self._coroutine

    def _strike(self, exc: type[BaseException]) -> bool:
        """End the run for a kill; False where the thread must be struck directly. Called by the killer."""
        # First this and then the loop, since the main task does it the other way round.
        self._exc = exc
        self._cancelled = False
        loop = self._loop
        if loop is not None:
            # Raises when the loop was closed a moment ago.
            loop.call_soon_threadsafe(self._cancel)
            waits = self._timer is not None and self._timer.is_alive()
            if asyncio.current_task(loop) is not None and not waits:
                self._timer = threading.Timer(_PATIENCE, self._insist, [exc])
                self._timer.daemon = True
                self._timer.start()
        # Else the loop is being made: the main task looks first.
        return True

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            return
        # What the main task left behind is being ended, and does not want to.
        for task in asyncio.all_tasks():
            task.cancel()

    def _insist(self, exc: type[BaseException]) -> None:
        # The loop has not come to it: code between two waits does not end.
        if not self._cancelled and self._job is not None:
            self._sent.add(exc)
            strike_now(self._job, exc)

    def _lost(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exception = context.get("exception")
        if exception is not None and type(exception) in self._sent and self._task is not None:
            # A direct strike that came a moment too late, when the loop had gone on.
            self._exc = type(exception)
            self._task.cancel()
            return
        loop.default_exception_handler(context)
