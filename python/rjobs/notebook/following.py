"""`%job -f`: a job's output, streamed under the cell until the job ends or the user lets go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rjobs import Job


def follow(job: Job[Any]) -> bool:
    """Write the job's output to `sys.stdout` as it comes; blocks until the job ends.

    Ctrl-C (or the notebook's interrupt) detaches: the job goes on. A job that did not end well has its
    traceback printed. Gives True when the job ended, False when the user detached.
    """
    try:
        for text in job.follow():
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\nDetached: job {job.num} goes on.")  # noqa: T201 - the answer to the user's Ctrl-C
        return False
    if job.state != "done":
        job.traceback()
    return True
