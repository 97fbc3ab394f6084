"""The options in front of the code of `%job`: read by hand, so that the code is never touched."""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass, field

from IPython.core.error import UsageError

from rjobs._hints import did_you_mean

# What looks like an option: `--` alone, a long word, a run of letters, a letter with a number.
# Everything else that begins with a dash is code: `-1 + 2`, `-f(x)`, `-x.real`.
_OPTION = re.compile(
    r"--(?P<long>[A-Za-z][A-Za-z-]*)?(?:(?<=[A-Za-z])=(?P<value>\"[^\"]*\"|'[^']*'|\S*))?(?=\s|$)"
    r"|-(?P<letters>[A-Za-z]+)(?P<number>[0-9.][0-9.eE+-]*)?(?=\s|$)"
)
_VALUE = re.compile(r"\s+(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s'\"]\S*))(?=\s|$)")

_LETTERS = {
    "n": "name",
    "t": "timeout",
    "o": "out",
    "q": "quiet",
    "f": "follow",
    "r": "retries",
    "a": "after",
    "p": "process",
    "e": "every",
    "l": "limit",
}
_WITH_VALUE = {"name", "timeout", "out", "retries", "after", "every", "limit"}
_FLAGS = {"quiet", "follow"}
_NOT_YET = {"process", "on", "profile"}
_SHORT = {option: letter for letter, option in _LETTERS.items() if option not in _NOT_YET}
_THERE_ARE = "There are " + ", ".join(f"-{letter}/--{option}" for option, letter in _SHORT.items())
KNOWN = tuple(word for option, letter in _SHORT.items() for word in (f"-{letter}", f"--{option}"))


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of one `%job` say, and the code that follows them, as it was written."""

    code: str
    name: str | None = None
    timeout: float | None = None
    out: str | None = None
    retries: int | None = None
    after: tuple[str, ...] = ()
    every: float | None = None
    limit: tuple[str, ...] = ()
    quiet: bool = False
    follow: bool = False
    # The last option with a value, and that: what was meant as code may have become it.
    last: tuple[str, str] | None = field(default=None, compare=False)


def parse(line: str) -> Options:
    """Split a `%job` line into options and code.

    Raises `UsageError` for an unknown option, one that is not there yet, a missing or a wrong value.
    """
    values: dict[str, str] = {}
    flags: set[str] = set()
    last: tuple[str, str] | None = None
    rest = line.lstrip()
    while match := _OPTION.match(rest):
        rest = rest[match.end() :]
        if match["letters"] is None and match["long"] is None:  # `--`: what follows is code
            break
        for option, glued in _named(match):
            if option in _FLAGS:
                flags.add(option)
            elif glued is not None:
                values[option] = glued
            else:
                values[option], rest = _value(option, rest)
            if option in values:
                last = option, values[option]
        rest = rest.lstrip()
    return Options(
        code=rest.lstrip(),
        name=values.get("name"),
        timeout=_seconds("timeout", values["timeout"]) if "timeout" in values else None,
        out=_variable(values["out"]) if "out" in values else None,
        retries=_count(values["retries"]) if "retries" in values else None,
        after=_several("after", values.get("after", "")),
        every=_seconds("every", values["every"]) if "every" in values else None,
        limit=_several("limit", values.get("limit", "")),
        quiet="quiet" in flags,
        follow="follow" in flags,
        last=last,
    )


def _named(match: re.Match[str]) -> list[tuple[str, str | None]]:
    """Give the options of one word by their long names, each with the value written in the same word."""
    if match["long"] is not None:
        option, value = _known(match["long"], f"--{match['long']}"), match["value"]
        if value is not None and option in _FLAGS:
            message = f"%job --{option} takes no value."
            raise UsageError(message)
        if value is not None and value[:1] in ("'", '"'):
            if len(value) < len("''") or value[-1] != value[0]:
                raise UsageError(_unclosed(option, value))
            value = value[1:-1]
        return [(option, value)]
    letters, number = match["letters"], match["number"] or ""
    options: list[tuple[str, str | None]] = []
    for i, letter in enumerate(letters):
        option = _known(_LETTERS.get(letter, ""), f"-{letter}")
        if option in _WITH_VALUE:  # the rest of the word, or the next word
            return [*options, (option, letters[i + 1 :] + number or None)]
        options.append((option, None))
    if number:
        message = f"%job -{letters}{number}: -{letters[-1]} takes no value."
        raise UsageError(message)
    return options


def _known(option: str, written: str) -> str:
    if option in _NOT_YET:
        message = f"%job {written}: not yet. {_THERE_ARE}."
        raise UsageError(message)
    if option not in _WITH_VALUE and option not in _FLAGS:
        likely = did_you_mean(written.lstrip("-"), _SHORT) if written.startswith("--") else ""
        message = (
            f"%job has no option {written}{likely or '.'} {_THERE_ARE}; write `--` before code that begins with a dash."
        )
        raise UsageError(message)
    return option


def _value(option: str, rest: str) -> tuple[str, str]:
    match = _VALUE.match(rest)
    if match is None:
        begin = rest.strip()
        message = _unclosed(option, begin) if begin[:1] in ("'", '"') else f"%job --{option} needs a value."
        raise UsageError(message)
    value = next(group for group in match.groups() if group is not None)
    return value, rest[match.end() :]


def _unclosed(option: str, text: str) -> str:
    if text[:1] in text[1:]:
        return f"%job --{option} needs a value, and a space behind its closing quote: {text!r}."
    return f"%job --{option} needs a value: a quote is not closed in {text!r}."


def _seconds(option: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (0 < seconds < math.inf):
        message = f"%job --{option} needs a number of seconds above 0, not {text!r}."
        raise UsageError(message)
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        message = f"%job --retries needs a whole number, how often to try again, not {text!r}."
        raise UsageError(message)
    return int(text)


def _several(option: str, text: str) -> tuple[str, ...]:
    words = tuple(filter(None, (word.strip() for word in text.split(","))))
    if text and not words:
        message = f"%job --{option} needs a value, or several with commas, not {text!r}."
        raise UsageError(message)
    return words


def _variable(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        message = f"%job --out needs the name of a variable, not {name!r}."
        raise UsageError(message)
    return name
