"""Pages that are a section of the README, so that each fact stands in one place: `{{ README: A tour }}` is that one."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the sections in; their links into `docs/` are links between pages here."""
    return re.sub(r"^\{\{ README: (.+) \}\}$", lambda found: _section(found[1]), markdown, flags=re.MULTILINE)


def _section(heading: str) -> str:
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise ValueError(f"README.md has no section '{heading}'")
    return found[1].replace("](docs/", "](")
