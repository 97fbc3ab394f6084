"""The table of jobs for a notebook; everything that comes from jobs is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rjobs._style import TABLE

if TYPE_CHECKING:
    from rjobs._bars import Bar
    from rjobs._rows import Row, View

__rjobs_internal__ = True

_SHORT = 20
# The classes keep MathJax from reading `$` in a name as mathematics.
OUTER = "rjobs tex2jax_ignore mathjax_ignore"


def html_of(view: View) -> str:
    """Give a table as HTML."""
    if not view.counts:
        return "<div>No jobs.</div>"
    # The column of progress is there when some job has something to put there.
    progress = any(row.bars for row in view.rows)
    names = ("state", "name", "elapsed", "progress", "output") if progress else ("state", "name", "elapsed", "output")
    head = '<th class="rj-n">#</th>' + "".join(
        f'<th class="rj-n">{name}</th>' if name == "elapsed" else f"<th>{name}</th>" for name in names
    )
    body = "".join(_row(row, progress=progress) for row in view.rows)
    return (
        f'<div class="{OUTER} rj-t">{TABLE}'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f'<div class="rj-f">{escape(view.footer)}</div></div>'
    )


def _row(row: Row, *, progress: bool) -> str:
    wrong = " rj-x" if row.raw_state == "failed" else ""
    # Without a progress the output has the room of both.
    wide = ' colspan="2"' if progress and not row.bars else ""
    line = f"<code>{escape(row.line)}</code>" if row.line else ""
    cells = [
        f'<td class="rj-n rj-d">{escape(row.num)}</td>',
        f"<td>{state(row.state, row.kind)}</td>",
        f'<td class="rj-m"{title(row.full_name)}><code>{escape(row.name)}</code></td>',
        f'<td class="rj-n">{escape(row.elapsed)}</td>',
        _progress(row) if row.bars else "",
        f'<td class="rj-o{wrong}"{wide}{title(row.full_line)}>{line}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _progress(row: Row) -> str:
    first, *inner = row.bars
    inside = "".join(f' <span class="rj-d">&rsaquo; {escape(bar.far)}</span>' for bar in inner)
    full = " › ".join(f"{bar.desc}: {bar.text}" if bar.desc else bar.text for bar in row.bars)  # noqa: RUF001 - an arrow
    return f'<td class="rj-g"{title(full)}>{drawn(first, row.kind)}{escape(first.text)}{inside}</td>'


def state(text: str, kind: str) -> str:
    """Give a state with its dot."""
    return f'<span class="rj-s rj-{kind}">{escape(text)}</span>'


def drawn(bar: Bar, kind: str) -> str:
    """Give the bar itself; nothing where the total is not known."""
    if bar.fraction is None:
        return ""
    percent = f"{bar.fraction * 100:.3g}"
    return (
        f'<span class="rj-b rj-{kind}" role="progressbar" aria-label="progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></span>'
    )


def title(text: str) -> str:
    """Give the attribute that shows the whole of what may be cut; what is short never is."""
    return f' title="{escape(text)}"' if len(text) > _SHORT else ""
