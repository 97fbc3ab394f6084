"""The end of the program while a job is stuck in native code."""

from __future__ import annotations

import gc
import sys

from rjobs._rjobs import _current_frames, _keep_for_good

__rjobs_internal__ = True

# What has no native code of its own that a job could be stuck in, or is not to be kept.
_OTHERS = frozenset({"__main__", "rjobs"})


def spare(stuck: list[int]) -> None:
    """Keep the objects of those libraries from being finalized that these threads are in.

    Their finalizers wait for locks that such a thread holds and will never give back (h5py's), or touch what its native
    code is at. All other objects are finalized as ever.
    """
    libraries = _libraries(stuck)
    if not libraries:
        return
    kept = [thing for thing in gc.get_objects() if _library(getattr(type(thing), "__module__", "")) in libraries]
    _keep_for_good(kept)


def _libraries(stuck: list[int]) -> frozenset[str]:
    """Whose code those threads are in: top-level modules."""
    frames = _current_frames()
    found = set()
    for ident in stuck:
        frame = frames.get(ident)
        while frame is not None:
            found.add(_library(frame.f_globals.get("__name__")))
            frame = frame.f_back
    return frozenset(found) - sys.stdlib_module_names - _OTHERS - {""}


def _library(module: object) -> str:
    return module.partition(".")[0] if isinstance(module, str) else ""
