"""Jobs that return a coroutine. A module of its own, since asyncio takes long to import."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__rjobs_internal__ = True


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that a job returned to its end, in an event loop of its own."""
    return asyncio.run(_passed_on(coroutine))


async def _passed_on(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine
