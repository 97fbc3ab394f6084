"""When a failed run is tried again: exponential back-off for a count, or what a tenacity policy says."""

from __future__ import annotations

import random
import sys
import traceback
import weakref
from typing import TYPE_CHECKING, Any

from rjobs.errors import JobTimeout

if TYPE_CHECKING:
    from rjobs._rjobs import Job

__rjobs_internal__ = True

# Seconds. Half of each wait is random, so that many jobs that failed together do not come back together: "equal jitter"
# of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. The numbers are arbitrary.
FIRST_WAIT = 0.2
LONGEST_WAIT = 60.0


def backoff(failures: int, exception: BaseException | None) -> float | None:
    """Seconds until the next try after ``failures`` + 1 of them failed; None for what no retry is meant for."""
    # A time-out is a failure of the run; SystemExit and KeyboardInterrupt are meant to end it.
    if not isinstance(exception, Exception | JobTimeout):
        return None
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 32))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  no secret


def is_policy(value: object) -> bool:
    """Whether it is a tenacity policy, one that is not for coroutines."""
    # Who has an object of tenacity's has imported it.
    tenacity: Any = sys.modules.get("tenacity")
    if tenacity is None or not isinstance(value, tenacity.BaseRetrying):
        return False
    if isinstance(value, tenacity.AsyncRetrying):
        msg = "retry must be a tenacity.Retrying, which serves coroutines as well: rjobs does the waiting"
        raise TypeError(msg)
    return True


class Tries:
    """One job under a tenacity policy, which is asked as tenacity's own loop asks it, but without its sleep."""

    def __init__(self, job: Job[Any], policy: Any) -> None:
        import tenacity  # noqa: PLC0415

        # Weakly: the job holds this.
        self.job = weakref.ref(job)
        self.given = policy
        self._sleep = tenacity.DoSleep
        # Of one run with its tries: a copy of the policy, which keeps its counts in itself and may serve many jobs;
        # and what the hooks are told.
        self._policy: Any = None
        self._state: Any = None
        # What the policy has in the place of a failure: a tuple of one, or an exception.
        self._instead: tuple[Any] | BaseException | None = None

    def _begin(self) -> None:
        import tenacity  # noqa: PLC0415

        job = self.job()
        assert job is not None, "who asks has it"  # noqa: S101
        self._policy, self._instead = self.given.copy(), None
        if self._policy.retry_error_callback is not None:
            self._policy.retry_error_callback = self._call_instead
        self._state = tenacity.RetryCallState(retry_object=self._policy, fn=job.func, args=job.args, kwargs=job.kwargs)
        # It is made after the first try, which counts for `stop_after_delay` as well.
        self._state.start_time -= job.elapsed
        self._ask()

    def _call_instead(self, state: Any) -> None:
        try:
            self._instead = (self.given.retry_error_callback(state),)
        except BaseException as error:  # noqa: BLE001  what it raises is the outcome
            self._instead = error

    def _ask(self) -> Any:
        # What it counts belongs to a thread, and each try may be on another.
        if "idle_for" not in self._policy.statistics:
            self._policy.begin()
        return self._policy.iter(retry_state=self._state)

    def next(self, exception: BaseException | None, value: object) -> float | tuple[Any] | BaseException | None:
        """Seconds until the next try; None when the run stands; else what is in its place: a tuple of one, an error."""
        if not self.given.enabled:
            return None
        if self._state is None:
            self._begin()
        decided = self._decide(exception, value)
        if not isinstance(decided, float):
            # The next run, of a periodic job, has all its tries again.
            self._policy = self._state = None
        return decided

    def _decide(self, exception: BaseException | None, value: object) -> float | tuple[Any] | BaseException | None:
        if exception is None:
            self._state.set_result(value)
        else:
            self._state.set_exception((type(exception), exception, exception.__traceback__))
        try:
            answer = self._ask()
        # Of this class, and of no other, says `iter` that there is no further try.
        except self._policy.retry_error_cls as over:
            # Of an exception the job's own is shown, as everywhere; a result that is not good enough has none.
            return None if exception is not None else over
        except BaseException as error:  # noqa: BLE001  the user's code, whatever it raises
            if exception is None:
                return error
            if error is not exception:  # as it is with reraise=True
                exception.add_note(f"rjobs: the retry policy itself raised {type(error).__qualname__}: {error}")
            return None
        if not isinstance(answer, self._sleep):
            return self._instead
        if answer != answer:  # noqa: PLR0124  NaN, as `time.sleep` would say
            if exception is not None:
                exception.add_note("rjobs: the retry policy asks for a wait of nan seconds")
            return None
        self._state.prepare_for_next_attempt()
        # What comes before each try (its `before` hook).
        self._ask()
        return float(answer)


def tries(job: Job[Any], policy: Any) -> Tries:
    """What keeps count for a job: made from its policy the first time, the same from then on."""
    if not isinstance(policy, Tries):
        return Tries(job, policy)
    # That of a job which this one runs again keeps count of that one's.
    return policy if policy.job() is job else Tries(job, policy.given)


def failed_run(exception: BaseException) -> str:
    """What a periodic job's output says of a run that failed."""
    return "".join(traceback.format_exception(exception))
