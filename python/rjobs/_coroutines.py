"""Jobs that return a coroutine. A module of its own, since asyncio takes long to import."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import set_striker, strike_done

if TYPE_CHECKING:
    from collections.abc import Coroutine

__rjobs_internal__ = True


# The coroutines that run now, by the ident of their thread.
running: dict[int, Coroutine[Any, Any, Any]] = {}


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that a job returned to its end, in an event loop of its own."""
    return _Run(coroutine).run()


class _Run:
    """One coroutine in its loop, and how it is killed.

    An exception that is sent to the thread while the loop itself is at work would be swallowed there, and the loop
    would wait for ever. So the main task is cancelled, as asyncio does it: that ends a wait at once. Where the loop
    does not come to it, since code between two waits goes on, `kill.rs` strikes the thread, in that code and never in
    the loop's. A kill that comes while the loop is still being made waits for the main task.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._exc: type[BaseException] | None = None
        # Everything that was asked for.
        self._asked: set[type[BaseException]] = set()

    def run(self) -> Any:
        main = self._main()
        ident = threading.get_ident()
        try:
            set_striker(self._strike)
            running[ident] = self._coroutine
            return asyncio.run(main)
        except asyncio.CancelledError as cancelled:
            if self._exc is None:
                raise
            raise self._exc().with_traceback(cancelled.__traceback__) from None
        finally:
            # Asked to run and never begun (a kill came first): they are not to be warned about.
            main.close()
            self._coroutine.close()
            running.pop(ident, None)

    async def _main(self) -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._lost)
        self._task = asyncio.current_task()
        self._loop = loop
        if self._exc is not None:
            strike_done()
            raise self._exc
        return await self._coroutine

    def _strike(self, exc: type[BaseException]) -> None:
        """End the run. Called by the killer, on its thread."""
        # First this and then the loop, since the main task does it the other way round.
        self._asked.add(exc)
        self._exc = exc
        if self._loop is None:
            return  # it is being made: the main task looks first
        # Raised where the loop was closed a moment ago: the job is at its end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        strike_done()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            return
        # What the main task left behind is being ended, and does not want to.
        for task in asyncio.all_tasks():
            task.cancel()

    def _lost(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A callback of the job's own was hit, or a task that nobody waits for: the main task is cancelled in a moment.
        if type(context.get("exception")) not in self._asked:
            loop.default_exception_handler(context)
