"""Emoji of several parts are shown as they are, in two cells; a lone surrogate is one replacement character."""

from __future__ import annotations

import pytest

import rjobs
from rjobs import _safe_text, _table

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
SIGNS = {
    "a family": FAMILY,
    "a doctor": "\U0001f469\U0001f3fd\u200d\u2695\ufe0f",
    "a rainbow": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a heart": "\u2764\ufe0f",
    "a thumb": "\U0001f44d\U0001f3fd",
    "England": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "Germany": "\U0001f1e9\U0001f1ea",
}
WORDS = {"Persian": "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "Hindi": "\u0915\u094d\u200d\u0937"}
HIDDEN = [
    "a\u200db",
    "\u200d",
    "\U0001f468\u200d",
    "\u200d\U0001f468",
    "a\u200cb",
    "\U0001f3f4\U000e0061",
    "x\U000e0061\U000e0062",
]


@pytest.fixture
def manager():
    with rjobs.JobManager() as manager:
        yield manager


@pytest.mark.parametrize("sign", (SIGNS | WORDS).values(), ids=SIGNS | WORDS)
def test_what_belongs_together_is_shown_as_it_is(manager, sign):
    assert _safe_text.one_line(f"x {sign} y", 100) == f"x {sign} y"
    assert _safe_text.block(f"x {sign}\n{sign}", 100) == f"x {sign}\n{sign}"
    job = manager.options(name=sign).submit(print, sign)
    job.get(10)
    assert (job.name, job.output) == (sign, f"{sign}\n")
    assert sign in _table.text(manager)
    assert _table.html(manager).count(sign) >= 2
    # In messages as well.
    periodic = manager.options(name=sign).every(3600, int)
    with pytest.raises(rjobs.JobError) as raised:
        periodic.get()
    assert f"('{sign}')" in str(raised.value)
    periodic.kill()


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_a_sign_has_two_cells(sign):
    assert _safe_text.width(sign) == 2
    assert _safe_text.width(_safe_text.padded(sign, 10)) == 10
    assert _safe_text.fit(sign * 3, 5) == sign * 2 + "…"


@pytest.mark.parametrize("text", HIDDEN)
def test_what_joins_nothing_is_seen(text):
    shown = _safe_text.one_line(text, 100)
    assert shown.isprintable()
    assert shown.count("\\") == sum(not char.isprintable() for char in text)


def test_a_cut_leaves_no_joiner_behind():
    for limit in range(1, 12):
        for cut in (_safe_text.one_line(FAMILY * 3, limit), _safe_text.fit(FAMILY * 3, limit)):
            assert "\u200d…" not in cut
            assert "\\" not in cut


def test_a_lone_surrogate_is_one_replacement_character(manager):
    job = manager.options(name="a\ud800b").submit(print, "c\udfffd\udc00\ud800")
    job.get(10)
    assert (job.name, job.output) == ("a\ufffdb", "c\ufffdd\ufffd\ufffd\n")
    text = _table.text(manager)
    assert "a\ufffdb" in text
    assert "c\ufffdd" in text

    def work():
        pass

    work.__qualname__ = "e\ud800f"
    manager.submit(work).get(10)
    assert "e\ufffdf" in _table.text(manager)
    # A replacement character of its own stays what it is.
    assert manager.options(name="\ufffd\ufffd\ufffd\ud800").submit(int).name == "\ufffd" * 4
