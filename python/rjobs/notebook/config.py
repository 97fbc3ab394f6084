"""What can be configured: `%config RJobs`, and `c.RJobs...` in `ipython_config.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Float, Int, TraitError, observe, validate
from traitlets.config import Configurable

from rjobs import JobManager, _table

if TYPE_CHECKING:
    from collections.abc import Callable

# The options of a `JobManager`, which are set when it is made.
_OF_MANAGER = ("max_workers", "idle_timeout", "output_limit", "max_queued", "on_full")
_POSITIVE = ("max_workers", "max_queued", "timeout", "result_ttl", "table_rows")


class RJobs(Configurable):
    """Background jobs: the manager that `%load_ext rjobs` makes, and what `%job` takes for granted."""

    max_workers = Int(
        None, allow_none=True, help="The most threads that run jobs; None for as many as a `JobManager` takes (128)."
    ).tag(config=True)
    idle_timeout = Float(10.0, help="Seconds without work after which a thread leaves.").tag(config=True)
    output_limit = Int(1 << 20, help="Bytes of its output that each job keeps; the oldest go first.").tag(config=True)
    max_queued = Int(
        None, allow_none=True, help="The most jobs that may wait for their start; None for any number."
    ).tag(config=True)
    on_full = Enum(
        ["block", "reject"],
        "block",
        help="With `max_queued` jobs waiting, one more waits ('block') or is refused ('reject').",
    ).tag(config=True)
    keep_frames = AnyTrait(
        "failed",
        help="Which jobs keep the frames of what they raised, with all that is in their variables, for `debug()`: "
        "'failed', True (also those that were killed or timed out), or False.",
    ).tag(config=True)
    notify = AnyTrait(
        "prompt",
        help="Who is told when jobs end: 'prompt' (a line at the next prompt), 'live' (at once), False, or a function "
        "that takes the job.",
    ).tag(config=True)
    raise_unseen = Bool(
        False,
        help="A cell raises when jobs have failed and nobody has seen it: for notebooks that are run from the outside.",
    ).tag(config=True)
    timeout = Float(
        None,
        allow_none=True,
        help="Seconds that a job of `%job` may run, unless `--timeout` says otherwise; None for any.",
    ).tag(config=True)
    result_ttl = Float(
        None, allow_none=True, help="Seconds that the record of a job of `%job` is kept after its end; None for ever."
    ).tag(config=True)
    table_rows = Int(_table.ROWS, help="The most rows that the table of jobs shows.").tag(config=True)

    def __init__(self, changed: Callable[[str, Any], None], **kwargs: Any) -> None:
        # Called with the name and the value of a setting that is changed after this.
        self._changed: Callable[[str, Any], None] | None = None
        super().__init__(**kwargs)
        self._changed = changed

    def manager(self) -> JobManager:
        """Make a manager with these settings."""
        manager = JobManager(**{name: getattr(self, name) for name in _OF_MANAGER})
        manager.notify, manager.keep_frames = self.notify, self.keep_frames
        return manager

    def job_options(self) -> dict[str, Any]:
        """Give the options of jobs that `%job` makes, where they are set."""
        options = {"timeout": self.timeout, "result_ttl": self.result_ttl}
        return {name: value for name, value in options.items() if value is not None}

    def agree(self, manager: JobManager) -> None:
        """Take the setting that the user has changed at the manager itself."""
        if manager.notify != self.notify:
            changed, self._changed = self._changed, None
            self.notify = manager.notify
            self._changed = changed
        if manager.keep_frames != self.keep_frames:
            changed, self._changed = self._changed, None
            self.keep_frames = manager.keep_frames
            self._changed = changed

    @validate(*_POSITIVE)
    def _valid_positive(self, proposal: Any) -> Any:
        value, name = proposal["value"], proposal["trait"].name
        if value is not None and not (value > 0 and value < math.inf):
            raise TraitError(f"RJobs.{name} must be above 0, not {value!r}.")
        return value

    @validate("idle_timeout", "output_limit")
    def _valid_amount(self, proposal: Any) -> Any:
        value, name = proposal["value"], proposal["trait"].name
        if not value >= 0:  # nan as well
            raise TraitError(f"RJobs.{name} must be 0 or more, not {value!r}.")
        return value

    @validate("notify")
    def _valid_notify(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value is False or value in ("prompt", "live") or callable(value):
            return value
        raise TraitError(
            f"RJobs.notify must be 'prompt', 'live', False, or a function that takes the job, not {value!r}."
        )

    @validate("keep_frames")
    def _valid_keep_frames(self, proposal: Any) -> Any:
        value = proposal["value"]
        if isinstance(value, bool) or value == "failed":
            return value
        raise TraitError(f"RJobs.keep_frames must be True, False or 'failed', not {value!r}.")

    @observe("notify", "keep_frames", "table_rows", *_OF_MANAGER)
    def _has_changed(self, change: Any) -> None:
        if self._changed is not None:
            self._changed(change["name"], change["new"])


def is_of_manager(name: str) -> bool:
    """Whether a setting is one that a manager has from its beginning."""
    return name in _OF_MANAGER
