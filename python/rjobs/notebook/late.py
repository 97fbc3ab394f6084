"""Options of `%job` that stand behind the code, where they are no options: found, and said."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from rjobs.notebook.options import parse

if TYPE_CHECKING:
    from rjobs.notebook.place import Place

# Where options may begin. With a space behind the dash it is an operator.
_BEGINS = re.compile(r"(?<=\s)--?(?=[A-Za-z])")
_NAME = re.compile(r"[^\W\d]\w*")


def refuse_late_options(place: Place, code: str, *, is_broken: bool) -> None:
    """Raise `UsageError` when one line of code ends in what was meant as options.

    `is_broken` says that the code does not compile. Code that does is left alone where the names are known,
    since `x -q` is a difference.
    """
    for begin in _BEGINS.finditer(code):
        head, tail = code[: begin.start()].rstrip(), code[begin.start() :].rstrip()
        if not head or head[0] in "%!" or not _is_options(tail):
            continue
        is_meant = is_broken or ("#" not in head and not any(_is_bound(place, name) for name in _NAME.findall(tail)))
        if is_meant and _compiles(place.shell, head):
            message = f"%job: options stand before the code: %job {tail} {head}"
            raise UsageError(message)


def _is_options(text: str) -> bool:
    try:
        return not parse(text).code
    except UsageError:
        return False


def _compiles(shell: Any, code: str) -> bool:
    try:
        compile(shell.transform_cell(code), "<options>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_bound(place: Place, name: str) -> bool:
    try:
        place.find(name)
    except KeyError:
        return hasattr(builtins, name)
    return True
