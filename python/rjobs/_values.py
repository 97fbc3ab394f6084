"""The values of a job in event loops: ``async for x in job``, and jobs that are asynchronous generators.

A module of its own, since asyncio takes long to import.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from rjobs._rjobs import JobValues

__rjobs_internal__ = True


class AsyncValues:
    """Iterates over the values of a job on the running event loop: what ``aiter(job)`` returns."""

    def __init__(self, values: JobValues) -> None:
        self._values = values

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Wait for the next value. Cancelled, it has taken none."""
        values = self._values
        while (taken := values._take()) is None:  # noqa: SLF001
            await _rung(values, values._await_value)  # noqa: SLF001
        return taken[0]


async def run_async_generator(values: JobValues, generator: AsyncGenerator[Any, None]) -> None:
    """Give each value that the generator of a job yields. What keeps it from that is raised in the generator, there."""
    step = generator.__anext__()
    while True:
        try:
            value = await step
        except StopAsyncIteration:
            return
        try:
            await _give(values, value)
        except BaseException as error:  # noqa: BLE001 - a kill, the request to stop, a cancelled task: the generator's business
            step = generator.athrow(error.with_traceback(None))
        else:
            step = generator.__anext__()
        # Its values are the readers', and not kept here until the next one.
        del value


async def _give(values: JobValues, value: Any) -> None:
    while (pokes := values._give(value)) is not None:  # noqa: SLF001
        await _rung(values, values._await_room, pokes)  # noqa: SLF001


async def _rung(values: JobValues, leave: Callable[..., int | None], *args: int) -> None:
    """Leave a bell and wait until it is rung; return at once where it is not needed."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def wake() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def bell() -> bool:
        # In the thread that gives or takes, and in no context of its.
        try:
            loop.call_soon_threadsafe(wake, context=contextvars.Context())
        except RuntimeError:
            # The loop was closed meanwhile: another is to hear it.
            return False
        return True

    number = leave(bell, *args)
    if number is None:
        return
    try:
        await waiting
    except BaseException:
        values._give_up(number)  # noqa: SLF001
        raise
