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
# Joins what stands on both sides of it into one sign.
_JOINER, _NON_JOINER = "\u200d", "\u200c"
# Asks for the coloured form of the sign before it.
_AS_EMOJI = "\ufe0f"
# The flags of England, Scotland and Wales: a black one, and their names in tags that are not shown.
_TAGS = ["".join(chr(0xE0000 + ord(letter)) for letter in name) for name in ("gbeng", "gbsct", "gbwls")]
_FLAG = re.compile(f"\U0001f3f4(?:{'|'.join(_TAGS)})\U000e007f")
# Cells of an emoji.
_WIDE = 2
# Of a mark that joins the letters of an Indian script to the next.
_VIRAMA = 9


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\t":
        return " "
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return char.encode("unicode_escape").decode("ascii")


def _shown(text: str) -> str:
    """Show what is not printable as escapes, but for what belongs to the sign or the word that it stands in."""
    kept = {place for flag in _FLAG.finditer(text) for place in range(*flag.span())}
    return "".join(
        char if place in kept or _belongs(text, place) else _visible(char) for place, char in enumerate(text)
    )


def _belongs(text: str, place: int) -> bool:
    """Whether a joiner stands between two parts of one emoji, or in a word whose script has need of it."""
    if text[place] not in (_JOINER, _NON_JOINER) or not 0 < place < len(text) - 1:
        return False
    before, after = text[place - 1], text[place + 1]
    if text[place] == _JOINER and _is_sign(after) and (_is_sign(before) or before == _AS_EMOJI):
        return True
    if unicodedata.combining(before) == _VIRAMA:
        return True
    return unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"


def _is_sign(char: str) -> bool:
    # A skin colour is a modifying symbol.
    return unicodedata.category(char) in ("So", "Sk")


def one_line(text: str, limit: int) -> str:
    """Give `text` as one line of at most `limit` characters.

    Terminal sequences (colours, cursor movements) are dropped; other control characters, line
    ends and invisible characters such as right-to-left marks are shown as Python escapes, but for those that
    join the parts of an emoji. A lone surrogate is shown as a replacement character.
    """
    # Cut first, so that a name or a line of many megabytes costs nothing.
    text = _ESCAPE.sub("", text[: limit * 8])
    if not text.isprintable():
        text = _shown(text)
    return cut(text, limit)


def block(text: str, limit: int) -> str:
    """Give `text` with its line ends kept, made safe like `one_line`, the last `limit` characters."""
    text = _ESCAPE.sub("", text[-limit:])
    return "\n".join(line if line.isprintable() else _shown(line) for line in map(overwritten, text.split("\n")))


def overwritten(line: str) -> str:
    """Give what a terminal would show of a line that was written over with carriage returns."""
    line = line.rstrip("\r")
    return line[line.rfind("\r") + 1 :]


def cut(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters, with an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip(_JOINER) + _ELLIPSIS


def width(text: str) -> int:
    """Give the number of terminal cells that `text` takes: an emoji of several parts has two, as each of them."""
    if text.isascii():
        return len(text)
    cells, last, before = 0, 0, ""
    for char in text:
        if char == _AS_EMOJI:
            # It makes a narrow sign a wide one.
            if last == 1 and _is_sign(before):
                cells, last = cells + 1, 2
        elif (before == _JOINER and _is_sign(char)) or ("\U0001f3fb" <= char <= "\U0001f3ff" and last == _WIDE):
            pass
        elif not _is_mark(char):
            last = 2 if unicodedata.east_asian_width(char) in "WF" else 1
            cells += last
        before = char
    return cells


def _is_mark(char: str) -> bool:
    """Whether it takes no cell of its own; what is invisible and joins nothing is shown as an escape."""
    return unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff"


def fit(text: str, cells: int) -> str:
    """Cut `text` to `cells` terminal cells, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    while text and width(text) > cells - len(_ELLIPSIS):
        text = text[:-1]
    return text.rstrip(_JOINER) + _ELLIPSIS


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
