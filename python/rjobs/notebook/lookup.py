"""The jobs that the words after `%jobs` mean: by number, or by the name they were given."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from rjobs.errors import UnknownJob

if TYPE_CHECKING:
    from rjobs import Job, JobManager

__rjobs_internal__ = True


def words_of(line: str) -> list[str]:
    """Split what stands after `%jobs`: at spaces and commas, quotes keep a name together."""
    splitter = shlex.shlex(line, posix=True)
    splitter.whitespace += ","
    splitter.whitespace_split = True
    splitter.commenters = splitter.escape = ""
    try:
        return list(splitter)
    except ValueError:
        raise UsageError(f"%jobs: a quote is not closed in {line!r}.") from None


def number(word: str, what: str) -> int:
    """Read a number. Raises `UsageError`."""
    if not is_number(word):
        raise UsageError(f"%jobs: {word!r} is not {what}.")
    return int(word)


def is_number(word: str) -> bool:
    """Whether a word is the number of a job, if there is one."""
    return word.isascii() and word.isdigit()


def job(manager: JobManager, word: str) -> Job[Any]:
    """Give the job that a word means.

    Of several with one name it is the one that has not ended, and of ended ones the last. Raises `UsageError`
    for a job that is not known, and for a name that several jobs have which have not ended.
    """
    if is_number(word):
        try:
            return manager[int(word)]
        except (UnknownJob, OverflowError) as error:
            raise UsageError(f"%jobs: {error}") from None
    named = [job for job in manager if job._is_named and job.name == word]  # noqa: SLF001
    alive = [job for job in named if not job.done()]
    if len(alive) > 1:
        numbers = ", ".join(str(job.num) for job in alive)
        raise UsageError(f"%jobs: several jobs have the name {word!r}: say which by its number, of {numbers}.")
    if not named:
        raise UsageError(f"%jobs: {word!r} is not the number of a job, and not the name of one.")
    return (alive or named)[-1]


def alive(manager: JobManager) -> list[Job[Any]]:
    """Give the jobs that have not ended, by number."""
    return [job for job in manager if not job.done()]
