"""How tables and boxes look in a notebook.

Colours and fonts are Jupyter's own, else VS Code's, else ones that can be read on black and on white. Each output
brings its style along: another one, whose cell was cleared, cannot be relied on.
"""

from __future__ import annotations

from rjobs._rows import COLOURS

__rjobs_internal__ = True

_MONO = "var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace))"
# Three times the class, so that it wins over what the page says of tables and code. `--rj-c` is the colour of a state.
_COMMON = f"""\
.rjobs{{--rj-d:{COLOURS["idle"]};--rj-l:var(--jp-border-color2,var(--vscode-panel-border,rgba(128,128,128,.3)));\
color:var(--jp-ui-font-color1,var(--vscode-foreground,inherit));font-size:13px;line-height:1.45;\
font-variant-numeric:tabular-nums}}
.rjobs.rjobs.rjobs code{{font:12px {_MONO};white-space:inherit;background:none;padding:0;color:inherit;border:0}}
.rjobs .rj-s{{white-space:nowrap;color:var(--rj-c)}}
.rjobs .rj-s::before{{content:"";display:inline-block;width:7px;height:7px;margin-right:6px;border-radius:50%;\
background:var(--rj-c);vertical-align:.08em}}
.rjobs .rj-b{{display:inline-block;width:72px;height:6px;border-radius:3px;background:var(--rj-l);overflow:hidden;\
vertical-align:.08em;margin-right:8px}}
.rjobs .rj-b i{{display:block;height:100%;background:var(--rj-c)}}
.rjobs .rj-d{{color:var(--rj-d)}}
.rjobs.rjobs.rjobs .rj-x code{{color:{COLOURS["bad"]}}}
"""
_KINDS = "".join(f".rjobs .rj-{kind}{{--rj-c:{colour}}}" for kind, colour in COLOURS.items())
TABLE = f"""\
<style>{_COMMON}{_KINDS}
.rjobs.rj-t{{overflow-x:auto;container-type:inline-size}}
.rjobs.rjobs.rjobs table{{border-collapse:collapse;border:0;margin:0;width:100%;table-layout:auto;\
font-size:inherit;color:inherit}}
.rjobs.rjobs.rjobs tr{{background:none;border:0}}
.rjobs.rjobs.rjobs tbody tr:hover{{background:rgba(128,128,128,.1)}}
.rjobs.rjobs.rjobs :is(th,td){{text-align:left;vertical-align:baseline;padding:3px 16px 3px 0;border:0;\
border-bottom:1px solid var(--rj-l);white-space:nowrap;font-weight:400;max-width:none;color:inherit}}
.rjobs.rjobs.rjobs th{{color:var(--rj-d);font-size:11px}}
.rjobs.rjobs.rjobs .rj-n{{text-align:right}}
.rjobs.rjobs.rjobs :is(.rj-m,.rj-g){{max-width:16em;max-width:min(16em,22cqw);overflow:hidden;text-overflow:ellipsis}}
.rjobs.rjobs.rjobs .rj-g{{max-width:38em;max-width:min(38em,32cqw)}}
.rjobs.rjobs.rjobs .rj-o{{width:100%;max-width:0;overflow:hidden;text-overflow:ellipsis;padding-right:0}}
@container (max-width:900px){{.rjobs.rjobs.rjobs :is(th,td){{padding-right:10px}}.rjobs.rj-t .rj-b{{width:44px}}}}
.rjobs .rj-f{{padding:5px 0 2px;font-size:12px;color:var(--rj-d)}}
</style>"""
# Sent with every update of a box, so it has no more than boxes need; the colour comes with the box.
BOX = f"""\
<style>{_COMMON}.rjobs.rj-j{{padding:2px 0}}
.rjobs .rj-h{{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:12px}}
.rjobs .rj-h code{{max-width:40em;overflow:hidden;text-overflow:ellipsis}}
.rjobs .rj-p{{margin-top:3px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}}
.rjobs .rj-p .rj-b{{width:min(240px,35%)}}
.rjobs .rj-q{{font-size:12px;color:var(--rj-d)}}
.rjobs .rj-q .rj-b{{height:4px}}
.rjobs .rj-w{{white-space:pre-wrap;overflow-wrap:anywhere}}
.rjobs.rjobs.rjobs pre{{font:12px/1.4 {_MONO};margin:5px 0 2px;padding:0 0 0 10px;max-height:15em;overflow:auto;\
background:none;color:var(--rj-d);border:0;border-left:2px solid var(--rj-l);white-space:pre-wrap;\
overflow-wrap:anywhere}}
</style>"""
