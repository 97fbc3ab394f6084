"""Reading an iterable for a map of `rjobs.Pool`, and starting a job for each part of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from rjobs._face import is_ending
from rjobs._rjobs import kill_thread
from rjobs._threads import join
from rjobs.errors import JobKilled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rjobs._pool import Pool
    from rjobs._rjobs import Job

__rjobs_internal__ = True

# Jobs started by the caller itself; for more, or for who knows how many, there is a thread. Numbers of no meaning:
# starting one takes some microseconds.
AT_ONCE = 1000
# Jobs that wait or run, at which a feed pauses, and at which it goes on: an endless iterable is not to fill the memory.
MANY = 10_000
FEWER = 5_000
# Jobs started between two looks at that.
LOOK = 256


class Failed:
    """In the place of a job that could not be started: has ended, and raises why."""

    def __init__(self, exception: BaseException) -> None:
        self._exception = exception

    def exception(self) -> BaseException:
        """Why."""
        return self._exception

    def cancelled(self) -> bool:
        """It was not."""
        return False

    def done(self) -> bool:
        """It has ended."""
        return True

    def get(self) -> Any:
        """Raise it."""
        raise self._exception

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call `fn(self)`."""
        fn(self)


class Feed:
    """Starts the jobs of one map: each is handed to `place(job)`, in their order, and then `finish(count)` is told."""

    def __init__(
        self,
        pool: Pool,
        start: Callable[[Any], Job[Any]],
        batches: Iterator[Any],
        place: Callable[[Any], object],
        finish: Callable[[int], object] = lambda _count: None,
    ) -> None:
        # Not the pool: who drops that in the middle is to be warned.
        self._feeds = pool._feeds  # noqa: SLF001
        self._jobs = pool._jobs  # noqa: SLF001
        self._start = start
        self._batches = batches
        self._place = place
        self._finish = finish
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._count = 0
        # Under the lock: a kill is sent while the thread reads, once, and it goes on when that has arrived.
        self._lock = threading.Lock()
        self._reads = True
        self._sent = False

    def begin(self, count: int | None) -> None:
        """Feed: at once when it is little work, else in the background. `count`: of the parts, if that is known."""
        if count is not None and count <= AT_ONCE:
            self._run()
            return
        # A daemon, as the pools of the standard library have: it may be blocked in the iterable when the program ends.
        self._thread = threading.Thread(target=self._run, name="rjobs-feed", daemon=True)
        self._feeds.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Read no further; what it waits in is ended."""
        self._stopped = True
        if self._thread is None or self._thread is threading.current_thread():
            return
        with self._lock:
            if self._reads and not self._sent:
                self._sent = True
                kill_thread(self._thread, JobKilled)

    def join(self) -> None:
        """Wait until all is started; when it was stopped, for a second at most: native code cannot be ended."""
        if self._thread is not None and self._thread is not threading.current_thread():
            join(self._thread, 1.0 if self._stopped else None)

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            try:
                self._read()
            except BaseException as exception:  # noqa: BLE001 (the iterable is anybody's code)
                failure = exception
            self._let_it_arrive(failure)
        except JobKilled as late:
            failure = failure or late
        # From here on no kill comes.
        if failure is not None:
            self._place(Failed(failure))
            self._count += 1
        self._feeds.discard(self)
        self._finish(self._count)

    def _read(self) -> None:
        for batch in self._batches:
            self._place(self._start(batch))
            self._count += 1
            if not self._count % LOOK:
                self._look()
            if self._stopped:
                break
        if self._stopped:
            raise JobKilled("the pool was terminated")

    def _let_it_arrive(self, failure: BaseException | None) -> None:
        with self._lock:
            self._reads = False
            sent = self._sent
        if sent and not (isinstance(failure, JobKilled) and not failure.args):
            # It is on its way. The time is for a system on which nothing is woken.
            time.sleep(0.2)

    def _look(self) -> None:
        """Make a pause where there is no hurry."""
        self._stopped = self._stopped or is_ending()
        if self._thread is not None and len(self._jobs) > MANY and not self._stopped:
            self._jobs.wait_until_fewer(FEWER)
