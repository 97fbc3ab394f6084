"""On which descriptor a thread waits, for libraries in C whose calls do not tell; on Linux."""

from __future__ import annotations

import sys

__rjobs_internal__ = True

# By number on x86-64 and on aarch64, which have none of these in common.
_POLL = {7, 73}  # poll, ppoll: an array of descriptors
_READ = {0, 45, 63, 207}  # read, recvfrom: the descriptor


def descriptor(native_id: int) -> int | None:
    """That of a socket that the thread waits for; None where it waits for nothing of the kind, or nothing tells."""
    try:
        with open(f"/proc/self/task/{native_id}/syscall") as file:  # noqa: PTH123
            words = file.read().split()
        if len(words) < 3 or not words[0].isdecimal():  # noqa: PLR2004 - "running"
            return None
        number, first = int(words[0]), int(words[1], 16)
        if number in _READ:
            return first
        if number not in _POLL:
            return None
        # And not by ctypes, which takes 20 ms to import.
        with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            memory.seek(first)
            return int.from_bytes(memory.read(4), sys.byteorder, signed=True)
    except (OSError, ValueError):
        return None
