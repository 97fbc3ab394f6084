"""Time limits of waits, for the faces that wait on the standard library's own locks and queues."""

from __future__ import annotations

import threading
import time
from typing import TypeVar

from rjobs._rjobs import wait_limit

__rjobs_internal__ = True

_T = TypeVar("_T")


def deadline(timeout: float | None) -> float | None:
    """When a wait of ``timeout`` seconds is over, by ``time.monotonic()``; None: never.

    Raises `TypeError` and `ValueError` for what is no number of seconds.
    """
    limit = wait_limit("timeout", timeout)
    return None if limit is None else time.monotonic() + limit


def left(end: float | None, endless: _T) -> float | _T:
    """Seconds until a deadline, as the waits of ``threading`` take them; ``endless`` where there is none."""
    return endless if end is None else min(max(end - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
