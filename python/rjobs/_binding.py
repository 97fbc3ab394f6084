"""A line of code that sees the values which its names had when it was submitted.

The line becomes the body of a function: what it reads are that function's variables, so comprehensions and lambdas of
the line see them as well, and all other names are looked up in the live namespace when it runs. Functions that the line
calls know nothing of this.
"""

from __future__ import annotations

import ast
import re
import sys
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any, cast

from rjobs._rewriting import (
    COMPREHENSIONS,
    OWN,
    TARGET,
    VALUE,
    NotBindable,
    Place,
    Rewriter,
    assigned,
    at,
    has_async_comprehension,
)
from rjobs._scope import LOOKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Frames of modules that say so are ours: tracebacks begin below them.
__rjobs_internal__ = True

# Flags of a function's code: its variables are its own, and `locals()` gives a copy of them.
_OF_FUNCTIONS = 0x0001 | 0x0002
_NESTED = 0x0010
_COROUTINE = 0x0080
# No variables.
_NO_NAMES = frozenset({"__debug__", "__class__"})
# pandas looks for `df.query("a > @limit")` in the frame that it is called in.
_QUERIED = re.compile(r"@([^\W\d]\w*)")
# What IPython fills into a command: `$name` and `{expression}`.
_FILLED = re.compile(r"\$([^\W\d]\w*)|\{([^{}]*)\}")
_WORD = re.compile(r"[^\W\d]\w*")
# The code of comprehensions is a part of the code around them. A frame that is looked at writes their variables into
# its namespace.
_INLINES = sys.version_info >= (3, 12)
_WRITES_BACK = (3, 12) <= sys.version_info < (3, 13)


class Bound:
    """Runs a line with the values that its names had; every run begins with the same ones."""

    __slots__ = ("_after", "_before", "_cells", "_code", "_glob", "_has_frame", "_loc", "_own", "_target")

    # Its value may be a generator that is to be run.
    __rjobs_code__ = True

    def __init__(
        self,
        codes: tuple[CodeType | None, CodeType, CodeType | None],
        values: dict[str, Any],
        own: dict[str, Any],
        namespaces: tuple[dict[str, Any], Mapping[str, Any], Mapping[str, Any]],
        *,
        has_frame: bool,
    ) -> None:
        self._before, self._code, self._after = codes
        self._cells, self._own = values, own
        self._glob, self._loc, self._target = namespaces
        # Whether it runs as a function does, and not as a module in the locals.
        self._has_frame = has_frame

    @property
    def is_async(self) -> bool:
        """Whether a run gives a coroutine."""
        return bool(self._code.co_flags & _COROUTINE)

    def __call__(self) -> Any:
        """Run it, and give its value; a coroutine that does it, where the line awaits."""
        __tracebackhide__ = "__ipython_bottom__"  # IPython shows the frames from here on
        if self._before is not None:
            exec(self._before, self._glob, self._loc)  # noqa: S102 - that is the job
        own = dict(self._own)
        given = {OWN: own, TARGET: self._target}
        closure = tuple(
            CellType(given[name] if name in given else self._cells[name]) for name in self._code.co_freevars
        )
        if self._has_frame:
            function = FunctionType(self._code, self._glob, "<module>", None, closure)
            value = function()
            if self.is_async and self._after is not None:
                return self._await(value)
        else:
            exec(self._code, self._glob, self._loc, closure=closure)  # noqa: S102
            value = own.pop(VALUE, None)
        if self._after is not None:
            exec(self._after, self._glob, self._loc)  # noqa: S102
        return value

    async def _await(self, coroutine: Any) -> Any:
        value = await coroutine
        exec(cast("CodeType", self._after), self._glob, self._loc)  # noqa: S102
        return value


def bind(  # noqa: PLR0913 - what it takes to compile and to run code
    statements: Iterable[ast.stmt],
    filename: str,
    flags: int,
    find: Callable[[str], Any],
    namespaces: tuple[dict[str, Any], Mapping[str, Any], Mapping[str, Any]],
    *,
    is_async: bool,
    is_shared: bool,
) -> Bound | None:
    """Bind a line that is known to compile; None where there is nothing to bind, and for statements that are left live.

    `find` gives the value of a name, or raises KeyError. The namespaces are the globals, what the frame of the line
    has as its locals, and what gets the line's assignments; with `is_shared` that is no copy, and names that are not in
    the globals may come into it. The statements are used up.
    """
    glob, loc, target = namespaces
    before, line = _without_imports(list(statements))
    if any(alias.name == "*" for each in before for alias in each.names):
        return None
    nodes = [node for statement in line for node in ast.walk(statement)]
    try:
        own_names = assigned(line, nodes)
    except NotBindable:
        return None
    read = _read_names(nodes) - _NO_NAMES
    commands = _commands(nodes)
    queried = (_queried(nodes) | (commands or set())) - read
    imported = {alias.asname or alias.name.partition(".")[0] for each in before for alias in each.names}
    found = {}
    for name in (read | queried) - imported:
        try:
            found[name] = find(name)
        except KeyError:
            continue
    own = {name: found[name] for name in own_names if name in found}
    values = {name: value for name, value in found.items() if name not in own}
    if not found and not own_names:
        return None
    # What looks at the variables of the frame that it is called in has to find the live namespace there.
    is_looked_at = not LOOKERS.isdisjoint(read - ({"get_ipython"} if commands is not None else set()))
    # Where the locals are not the globals, the frame has to have them; a coroutine cannot be given them.
    has_frame = loc is glob or is_async
    if has_frame and loc is not glob and is_looked_at:
        return None
    # With variables of its own in its frame, a debugger shows the values that the line sees.
    is_function = has_frame and not (is_looked_at and loc is glob)
    if is_async and _WRITES_BACK and has_async_comprehension(nodes):
        is_function = True
    late = read - found.keys() if is_shared and target is not glob else set()
    wraps = _INLINES and not is_function and any(isinstance(node, COMPREHENSIONS) for node in nodes)
    rewriter = Rewriter(own_names, own, late, is_apart=target is not glob, wraps=wraps)
    body, annotations = _with_value(line, has_frame=has_frame)
    if own_names or late or rewriter.wraps:
        body = rewriter.rewrite(body)
    if is_function:
        # The frame has to have these, too.
        body = [*(_mention(name) for name in sorted(queried & values.keys())), *body]
    code = _compile(body, values, filename, flags, is_async=is_async)
    values = {name: value for name, value in values.items() if name in code.co_freevars}
    code = _as_module(code, rewriter.wrapped, is_function=is_function)
    codes = _module(before, filename, flags), code, _module(annotations, filename, flags)
    return Bound(codes, values, own, namespaces, has_frame=has_frame)


def _without_imports(statements: list[ast.stmt]) -> tuple[list[ast.Import | ast.ImportFrom], list[ast.stmt]]:
    """Split off the imports that a line begins with: they run as they are."""
    imports: list[ast.Import | ast.ImportFrom] = []
    for number, each in enumerate(statements):
        if not isinstance(each, ast.Import | ast.ImportFrom):
            return imports, statements[number:]
        imports.append(each)
    return imports, []


def _read_names(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _commands(nodes: list[ast.AST]) -> set[str] | None:
    """Give the names that `!commands` of the line fill in, where it does nothing else with the shell; else None."""
    names: set[str] = set()
    shells = sum(isinstance(node, ast.Name) and node.id == "get_ipython" for node in nodes)
    for node in nodes if shells else ():
        match node:
            case ast.Call(
                func=ast.Attribute(attr="getoutput" | "system", value=ast.Call(func=ast.Name(id="get_ipython"))),
                args=[ast.Constant(value=str(command))],
            ):
                shells -= 1
                names.update(word for filled in _FILLED.findall(command) for word in _WORD.findall(" ".join(filled)))
    return None if shells else names


def _queried(nodes: list[ast.AST]) -> set[str]:
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {name for text in texts if "@" in text for name in _QUERIED.findall(text)}


def _mention(name: str) -> ast.stmt:
    return ast.fix_missing_locations(ast.If(ast.Constant(False), [ast.Expr(ast.Name(name, ast.Load()))], []))


def _with_value(line: list[ast.stmt], *, has_frame: bool) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Let the last expression be the value. The annotations of the line are apart: they are the namespace's."""
    annotations: list[ast.stmt] = [
        ast.copy_location(ast.AnnAssign(each.target, each.annotation, None, each.simple), each)
        for each in line
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    last = line[-1] if line else None
    if isinstance(last, ast.Expr):
        value: ast.stmt
        if has_frame:
            value = ast.Return(last.value)
        else:
            own = ast.Subscript(ast.Name(OWN, ast.Load()), ast.Constant(VALUE), ast.Store())
            value = ast.Assign([own], last.value)
        line = [*line[:-1], at(last, value)]
    return line, annotations


def _module(statements: list[Any], filename: str, flags: int) -> CodeType | None:
    if not statements:
        return None
    module = ast.Module(statements, type_ignores=[])
    return cast("CodeType", compile(module, filename, "exec", flags=flags, dont_inherit=True))


def _compile(body: list[ast.stmt], names: Iterable[str], filename: str, flags: int, *, is_async: bool) -> CodeType:
    """Compile the line as a function that has these names around it."""
    place: Any = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    more: Any = {"type_params": []} if _INLINES else {}
    variables = [ast.arg(name, **place) for name in (OWN, TARGET, *names)]
    around = ast.arguments([], variables, None, [], [], None, [])
    nothing = ast.arguments([], [], None, [], [], None, [])
    # The code begins where that of a module does.
    kind = ast.AsyncFunctionDef if is_async else ast.FunctionDef
    inner = kind("<module>", nothing, body or [ast.Pass(**place)], [], **place, **more)
    outer = ast.FunctionDef("<module>", around, [inner], [], **place, **more)
    code = compile(ast.Module([outer], type_ignores=[]), filename, "exec", flags=flags, dont_inherit=True)
    for _ in range(2):
        code = next(each for each in code.co_consts if isinstance(each, CodeType))
    return cast("CodeType", code)


def _as_module(code: CodeType, wrapped: dict[Place, str], *, is_function: bool) -> CodeType:
    """Let the code look as that of a module does; its functions are named as those of a module are."""
    flags = code.co_flags & ~_NESTED
    if not is_function:
        flags &= ~_OF_FUNCTIONS
    prefix = f"{code.co_qualname}.<locals>."
    consts = tuple(_renamed(each, prefix, wrapped) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_flags=flags, co_consts=consts, co_name="<module>", co_qualname="<module>")


def _renamed(code: CodeType, prefix: str, wrapped: dict[Place, str]) -> CodeType:
    consts = tuple(_renamed(each, prefix, wrapped) if isinstance(each, CodeType) else each for each in code.co_consts)
    name = code.co_name
    if wrapped and name == "<lambda>":
        name = wrapped.get(_place(code), name)
    qualname = code.co_qualname.removeprefix(prefix)
    return code.replace(co_consts=consts, co_name=name, co_qualname=name if name != code.co_name else qualname)


def _place(code: CodeType) -> Place:
    """Give where the code begins and where it ends."""
    places = [
        (line, column, end, end_column)
        for line, end, column, end_column in code.co_positions()
        if line is not None and column is not None and end is not None and end_column is not None and end_column
    ]
    if not places:
        return (0, 0, 0, 0)
    begin = min((line, column) for line, column, _, _ in places)
    return *begin, *max((end, column) for _, _, end, column in places)
