"""``cache=``: calls that were answered, and calls that are being answered."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rjobs._forks import in_child, renewed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from rjobs._rjobs import Job

__rjobs_internal__ = True

# Between the arguments by position and those by name, so that f(1, ('a', 2)) and f(1, a=2) differ, as in functools.
_MARK = object()
# The jobs at work, by mapping and call. A job's callback keeps its mapping alive, so no address is used twice.
_at_work: dict[tuple[int, Hashable], Job[Any]] = {}
# Those of a parent end there.
in_child(_at_work.clear)
# Around every use of a mapping: those of cachetools are not made for several threads.
_lock = renewed(threading.RLock())


def claim(job: Job[Any], cache: MutableMapping[Any, Any], fn: Callable[..., Any]) -> Job[Any] | tuple[Any] | None:
    """Say what to do about a new job under ``cache=``.

    The job that runs the same call already; the answer, as a tuple of one; or None: the job is to run, and its result
    goes into the mapping. Raises TypeError for what is no mapping, for code, and for arguments that cannot be a key.
    """
    # Whoever wrote the option may have given anything.
    given: object = cache
    if not isinstance(given, MutableMapping):
        msg = f"cache must be a mutable mapping, such as a dict or one of cachetools, not {type(given).__qualname__}"
        raise TypeError(msg)
    if job.expression is not None:
        msg = "cache= goes with a function, and this job is code"
        raise TypeError(msg)
    key = (fn, *job.args, _MARK, *sorted(job.kwargs.items())) if job.kwargs else (fn, *job.args)
    try:
        hash(key)
    except TypeError as error:
        msg = f"cache= needs a function and arguments that can be keys of a dict: {error}"
        raise TypeError(msg) from None
    with _lock:
        try:
            # Asked first, since looking into a defaultdict makes an answer.
            if key in cache:
                return (cache[key],)
        except KeyError:
            # Its time was over just now.
            pass
        call = (id(cache), key)
        twin = _at_work.get(call)
        # One that has just failed is not the answer.
        if twin is not None and (not twin.done() or twin.state == "done"):
            return twin
        _at_work[call] = job

    def ended(job: Job[Any]) -> None:
        with _lock:
            if _at_work.get(call) is job:
                del _at_work[call]
            if job.state == "done":
                # What those of cachetools say of a value that is too large for them. Then it is not kept.
                with suppress(ValueError):
                    cache[key] = job.result

    job.add_done_callback(ended)
    return None
