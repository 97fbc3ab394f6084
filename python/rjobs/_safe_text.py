"""Text that is safe to show: one row stays one line, and nothing in it acts on a terminal."""

from __future__ import annotations

import re
import unicodedata

# CSI, OSC, DCS/SOS/PM/APC, and the two-character sequences, in their 7-bit and 8-bit forms. Each
# alternative is linear, since job output is not ours to trust.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[PX^_][^\x1b\x9c]*(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_ELLIPSIS = "…"


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\t":
        return " "
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str, limit: int) -> str:
    """Give `text` as one line of at most `limit` characters.

    Terminal sequences (colours, cursor movements) are dropped; other control characters, line
    ends and invisible characters such as right-to-left marks are shown as Python escapes.
    """
    # Cut first, so that a name or a line of many megabytes costs nothing.
    text = _ESCAPE.sub("", text[: limit * 8])
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return cut(text, limit)


def block(text: str, limit: int) -> str:
    """Give `text` with its line ends kept, made safe like `one_line`, the last `limit` characters."""
    text = _ESCAPE.sub("", text[-limit:])
    return "\n".join(
        line if line.isprintable() else "".join(map(_visible, line)) for line in map(overwritten, text.split("\n"))
    )


def overwritten(line: str) -> str:
    """Give what a terminal would show of a line that was written over with carriage returns."""
    line = line.rstrip("\r")
    return line[line.rfind("\r") + 1 :]


def cut(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters, with an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + _ELLIPSIS


def width(text: str) -> int:
    """Give the number of terminal cells that `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit(text: str, cells: int) -> str:
    """Cut `text` to `cells` terminal cells, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    while text and width(text) > cells - len(_ELLIPSIS):
        text = text[:-1]
    return text + _ELLIPSIS


def padded(text: str, cells: int, *, right: bool = False) -> str:
    """Pad `text` with spaces to `cells` terminal cells; `right` puts the text to the right."""
    space = " " * max(cells - width(text), 0)
    return space + text if right else text + space


def duration(seconds: float) -> str:
    """Give a number of seconds as people write it: `15 ms`, `1.2 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 0.0995:  # noqa: PLR2004 - what would be rounded to 0.1 s is shown as that
        return f"{max(seconds, 0.0) * 1000:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004 - likewise: never "60.0 s"
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s"


def coarse(seconds: float) -> str:
    """Give a number of seconds rounded down to what changes seldom: whole ones, 10 of them after a minute, minutes."""
    whole = max(int(seconds), 0)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    if whole < 600:  # noqa: PLR2004
        return duration(whole - whole % 10)
    return f"{whole // 60} min" if whole < 3600 else duration(whole - whole % 60)  # noqa: PLR2004


def short(number: float) -> str:
    """Give a count in a few characters: `7`, `0.25`, `12.5k`, `3M`."""
    if number >= 10_000:  # noqa: PLR2004 - four digits are short enough
        for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            # What would be rounded to 1000 of one is 1 of the next.
            if number >= factor * 0.9995:
                return f"{number / factor:.3g}{letter}"
    return f"{number:.4g}" if number >= 1 or number == 0 else f"{number:.2g}"


def speed(rate: float, unit: str) -> str:
    """Give units in a second as people write it: `3.2 it/s`, and `12 s/it` where that is less than one."""
    number = rate if rate >= 1 else 1 / rate
    text = short(number) if number >= 1000 else f"{number:.3g}"  # noqa: PLR2004 - three digits say enough
    return f"{text} {unit}/s" if rate >= 1 else f"{text} s/{unit}"
