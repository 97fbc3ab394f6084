"""Notebook code as the work of a job: compiled as a cell is, run without the shell's own `run_cell`.

`run_cell` is for one thread: it shares the displayhook, the execution count and the history. So the
code goes through the shell's transformations, its compiler and its AST transformers here, at once and
on the caller's thread (what does not compile never becomes a job), and only `exec` is left for the job.
"""

from __future__ import annotations
import __future__

import ast
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rjobs._binding import Bound, bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from rjobs.notebook.place import Place

# Frames of modules that say so are ours: tracebacks begin below them.
__rjobs_internal__ = True


@dataclass(frozen=True, slots=True)
class Cell:
    """Compiled notebook code: the statements, and the last expression, which gives the value.

    A line that sees the values which its names have now is there as what runs it, too.
    """

    statements: CodeType | None
    last: CodeType | None
    line: Bound | None


def compile_cell(place: Place, code: str, written: str, *, is_line: bool = False, first_line: int = 1) -> Cell | None:
    """Compile notebook code (magics, `!commands` and top-level `await` included); None if it has no statement.

    `place` is where the code stands, and with `is_line` its names are bound there.

    `written` is the magic as the user wrote it and tells this code from a cell of the same text.
    `first_line` is where the code begins in the user's cell, so that tracebacks point to the right line.
    Raises `SyntaxError`, or what an input transformer raises.
    """
    shell = place.shell
    lines = code.splitlines()
    blank = next((i for i, line in enumerate(lines) if line.strip()), 0)  # the shell drops these
    source = "\n" * (first_line - 1 + blank) + shell.transform_cell(code)
    # The number of the cell that is running now, in IPython 8 as well as in 9.
    filename = shell.compile.cache(source, shell.displayhook.prompt_count, raw_code=written)
    module = shell.transform_ast(shell.compile.ast_parse(source, filename=filename))
    body = list(module.body)
    if not body:
        return None
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    statements = _compile(shell, ast.Module(body, module.type_ignores), filename, "exec") if body else None
    value = _compile(shell, ast.Expression(last.value), filename, "eval") if isinstance(last, ast.Expr) else None
    line = None
    if is_line:
        is_async = any(code is not None and _is_coroutine(code) for code in (statements, value))
        flags = shell.compile.flags
        namespaces = (place.glob, place.loc, place.target)
        line = bind(module.body, filename, flags, place.find, namespaces, is_async=is_async, is_shared=True)
    return Cell(statements, value, line)


def _compile(shell: Any, tree: ast.Module | ast.Expression, filename: str, mode: str) -> CodeType:
    # As the shell's compiler does it, but without changing its flags for a while: a job may be starting
    # a job of its own just when the shell compiles a cell.
    flags = shell.compile.flags | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if shell.autoawait else 0)
    code: CodeType = compile(tree, filename, mode, flags, dont_inherit=True)
    for name in __future__.all_feature_names:
        feature = getattr(__future__, name)
        if code.co_flags & feature.compiler_flag:
            shell.compile.flags |= feature.compiler_flag  # holds for later cells too
    return code


def runner(place: Place, cell: Cell, out: str | None) -> Callable[[], Any]:
    """Make what the job calls: it runs the cell in its namespaces, and gives the last value.

    For code with a top-level `await`, and where the value is itself a coroutine, the runner gives a
    coroutine for the worker to run. `out` names a variable that gets the value; it is assigned before
    the job counts as done, so that whoever waited for the job finds it.
    """
    namespaces = place.glob, place.loc

    def finish(value: Any) -> Any:
        if out is not None:
            place.target[out] = value
        return value

    async def run_coroutine() -> Any:
        __tracebackhide__ = "__ipython_bottom__"  # IPython shows the frames from here on
        for code in (cell.statements, cell.last):
            value = None if code is None else eval(code, *namespaces)  # noqa: S307 - that is the job
            if inspect.iscoroutine(value):
                value = await value
        return finish(value)

    async def await_value(value: Any) -> Any:
        __tracebackhide__ = "__ipython_bottom__"
        return finish(await value)

    def run() -> Any:
        __tracebackhide__ = "__ipython_bottom__"
        if cell.statements is not None:
            exec(cell.statements, *namespaces)  # noqa: S102 - that is the job
        value = None if cell.last is None else eval(cell.last, *namespaces)  # noqa: S307
        return await_value(value) if inspect.iscoroutine(value) else finish(value)

    if cell.line is not None:
        return _line_runner(cell.line, cell.last, finish)
    codes = [code for code in (cell.statements, cell.last) if code is not None]
    return run_coroutine if any(map(_is_coroutine, codes)) else run


def _line_runner(line: Bound, last: CodeType | None, finish: Callable[[Any], Any]) -> Callable[[], Any]:
    # As in a cell: the value of the code is awaited, but not what an `await` gave.
    is_awaited = line.is_async and (last is None or _is_coroutine(last))

    async def run_coroutine(value: Any) -> Any:
        __tracebackhide__ = "__ipython_bottom__"
        value = await value
        return finish(await value if line.is_async and inspect.iscoroutine(value) and not is_awaited else value)

    def run() -> Any:
        __tracebackhide__ = "__ipython_bottom__"
        value = line()
        return run_coroutine(value) if inspect.iscoroutine(value) else finish(value)

    return run


def _is_coroutine(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_COROUTINE)
