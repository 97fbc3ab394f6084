"""The jobs that the words after `%jobs` mean: by number, or by the name they were given."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from rjobs._hints import did_you_mean
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


def job(manager: JobManager, word: str, magic: str = "%jobs") -> Job[Any]:
    """Give the job that a word means. `magic` is what was called, for messages.

    Of several with one name it is the one that has not ended, and of ended ones the last. Raises `UsageError`
    for a job that is not known, and for a name that several jobs have which have not ended.
    """
    if is_number(word):
        try:
            return manager[int(word)]
        except (UnknownJob, OverflowError) as error:
            raise UsageError(f"{magic}: {error}") from None
    named = [job for job in manager if job._is_named and job.name == word]  # noqa: SLF001
    alive = [job for job in named if not job.done()]
    if len(alive) > 1:
        numbers = ", ".join(str(job.num) for job in alive)
        raise UsageError(f"{magic}: several jobs have the name {word!r}: say which by its number, of {numbers}.")
    if not named:
        likely = did_you_mean(word, names(manager)) or "."
        raise UsageError(f"{magic}: {word!r} is not the number of a job, and not the name of one{likely}")
    return (alive or named)[-1]


def several(manager: JobManager, words: list[str]) -> list[Job[Any]]:
    """Give the jobs that words mean, each once: all of them, or `UsageError`."""
    return list(dict.fromkeys(job(manager, word) for word in words))


def is_known(manager: JobManager, word: str) -> bool:
    """Whether a word is a number, or the name that a job was given."""
    return is_number(word) or word in names(manager)


def names(manager: JobManager) -> list[str]:
    """Give the names that jobs were given, each once."""
    return list(dict.fromkeys(job.name for job in manager if job._is_named))  # noqa: SLF001


def alive(manager: JobManager) -> list[Job[Any]]:
    """Give the jobs that have not ended, by number."""
    return [job for job in manager if not job.done()]
