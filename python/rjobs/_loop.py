"""The event loop of a manager, on which all its coroutine jobs run. A module of its own: asyncio takes long to import.

Each job is one task. The tasks, callbacks and calls in threads that it starts work for it, by their context. What runs
is wrapped in `Steps` and `Callback` of the extension, which open the thread to kills of that job and of no other.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import sys
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import call_held, current_job, for_job, generators_of_job, steps_of_task
from rjobs._threads import join

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from rjobs._rjobs import Keeper, Steps

__rjobs_internal__ = True

# Threads for `asyncio.to_thread` and the like. asyncio has a handful, for thousands of jobs. The number is arbitrary.
THREADS = 128
# Seconds that the loop, when it goes, gives what belongs to no job.
PATIENCE = 1.0

_Base: type[asyncio.BaseEventLoop] = getattr(asyncio, "ProactorEventLoop", None) or asyncio.SelectorEventLoop


class _Threads(ThreadPoolExecutor):
    """Whose threads belong to no job, whichever starts them: what they run brings its own context."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        # Held: a kill is not to land in the midst of starting a thread.
        call = functools.partial(super().submit, fn, *args, **kwargs)
        future: Future[Any] = call_held(contextvars.Context().run, call)
        return future


class JobLoop(_Base):  # type: ignore[misc, valid-type]
    """An event loop that knows whom its tasks and callbacks work for."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper
        self._resting: asyncio.TimerHandle | None = None
        self.has_gone = False
        self._threads = _Threads(THREADS, "rjobs-asyncio")
        self.set_default_executor(self._threads)

    # What the manager asks of it.

    def wake(self) -> None:
        """Look into the inbox soon. From any thread."""
        # In a context of nobody's, and not in that of who brings something.
        super().call_soon_threadsafe(self.look, context=contextvars.Context())

    def hush(self) -> None:
        """Tell nobody of calls that take long, as in asyncio's debug mode: at the end of the interpreter they do."""
        self.slow_callback_duration = math.inf

    def look(self) -> None:
        """Take in what came."""
        if self._keeper.take_in(self):
            self.call_soon(self.look, context=contextvars.Context())
        self.rest()

    def start(self, steps: Steps, name: str, context: contextvars.Context) -> asyncio.Task[None]:
        """Make the task of a job."""
        task: asyncio.Task[None] = asyncio.Task(steps, loop=self, name=name, context=context)
        # The job tells what came of it; one that the end of the interpreter cuts off is not to be warned about.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
        return task

    def rest(self) -> None:
        """Without any job go, at once when the manager is closed, else when the idle time is over."""
        left = self._keeper.time_left
        if left is None:
            return
        if left <= 0 and self._keeper.may_go():
            self.has_gone = True
            self.stop()
        elif self._resting is None:
            self._resting = self.call_later(left, self._rest_is_over, context=contextvars.Context())

    def _rest_is_over(self) -> None:
        self._resting = None
        self.rest()

    def end_threads(self) -> None:
        """Have those of `asyncio.to_thread` end. Calls that their jobs have left behind get a second for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + PATIENCE
        for thread in list(self._threads._threads):  # noqa: SLF001
            join(thread, max(0.0, end - time.monotonic()))

    # What its jobs ask of it.

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        steps = steps_of_task(coro) if asyncio.iscoroutine(coro) else None
        task: asyncio.Task[Any]
        if steps is None:
            task = super().create_task(coro, **kwargs)
        else:
            task = super().create_task(steps, **kwargs)
            steps.is_run_by(task)
        return task

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        handle: asyncio.Handle = super().call_soon(for_job(callback, context), *args, context=context)
        return handle

    def call_soon_threadsafe(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle: asyncio.Handle = super().call_soon_threadsafe(for_job(callback, context), *args, context=context)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle: asyncio.TimerHandle = super().call_at(when, for_job(callback, context), *args, context=context)
        return handle

    def _timer_handle_cancelled(self, handle: Any) -> None:
        super()._timer_handle_cancelled(handle)
        # It may stay in the line until its time comes, and its context would hold the job, with all that this holds.
        handle._context = None  # noqa: SLF001

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        if executor is None and current_job() is not None:
            # `to_thread` brings a context of its own; plain calls are to work for the job as well.
            func = functools.partial(contextvars.copy_context().run, func)
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        return future

    def keep_generators(self) -> None:
        """Note which job begins which asynchronous generator. When the loop has begun to run."""
        hooks = sys.get_asyncgen_hooks()

        def begun(generator: AsyncGenerator[Any, Any]) -> None:
            if hooks.firstiter is not None:
                hooks.firstiter(generator)
            of_job: weakref.WeakSet[Any] | None = generators_of_job(weakref.WeakSet)
            if of_job is not None:
                of_job.add(generator)

        sys.set_asyncgen_hooks(firstiter=begun)


def run(keeper: Keeper) -> None:
    """Run the loop of a manager until it is let go. On a thread of its own."""
    loop = JobLoop(keeper)
    keeper.host_is_up(loop)
    loop.call_soon(loop.look)
    while not loop.has_gone:
        loop.call_soon(loop.keep_generators)
        try:
            loop.run_forever()
        except BaseException as error:  # noqa: BLE001
            # What asyncio lets through of what no job raised. All the others go on.
            loop.call_exception_handler({"message": "an event loop of rjobs goes on after", "exception": error})
    _close(loop, is_at_the_end=keeper.is_ending)


def _close(loop: JobLoop, *, is_at_the_end: bool) -> None:
    try:
        tasks = asyncio.all_tasks(loop)
        if is_at_the_end:
            # They belong to no job, and nobody waits for them.
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
            return
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=PATIENCE))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        # It waits for none of its threads.
        loop.close()
        loop.end_threads()


async def tidy(steps: Steps) -> None:
    """End what a job has left behind, as ``asyncio.run`` does: its tasks, then its asynchronous generators."""
    await _end_tasks(steps)
    for generator in list(steps.generators() or ()):
        # As tasks of the job, so that it can be killed in there.
        asyncio.get_running_loop().create_task(generator.aclose())
    await _end_tasks(steps, is_wanted=True)


async def _end_tasks(steps: Steps, *, is_wanted: bool = False) -> None:
    while tasks := steps.tasks():
        for task in tasks:
            if not is_wanted:
                task.cancel()
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            # Somebody wants an end of this.
            is_wanted = False


def awaited(result: Any) -> tuple[bool, Any]:
    """What a call gave, as a coroutine if it can be awaited; and whether it can."""
    if asyncio.iscoroutine(result):
        return True, result
    if hasattr(type(result), "__await__"):
        return True, _awaiting(result)
    return False, result


async def _awaiting(result: Any) -> Any:
    return await result


def thrown(kind: Any, value: Any = None, traceback: Any = None) -> BaseException:
    """Give the exception that the arguments of ``throw`` mean."""
    exception = kind if isinstance(kind, BaseException) else value
    if not isinstance(exception, BaseException):
        exception = kind() if value is None else kind(value)
    return exception if traceback is None else exception.with_traceback(traceback)


def in_place_of(kind: type[BaseException], cancelled: BaseException) -> BaseException:
    """Give what a kill asked for, raised where the cancellation was that it came as."""
    exception = kind().with_traceback(cancelled.__traceback__)
    exception.__suppress_context__ = True
    return exception
