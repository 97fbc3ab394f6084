"""Jobs made of code: compiling it, running it, and keeping our own frames out of its tracebacks."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from rjobs._binding import bind
from rjobs._scope import Scope, is_live, mentioned, variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

# Frames of modules that say so are ours: `trim` cuts them off.
__rjobs_internal__ = True

# Sources of code jobs that tracebacks can show; the oldest are forgotten. The number is arbitrary.
SOURCES_KEPT = 512
_sources: dict[str, None] = {}


class CodeRunner:
    """Runs compiled statements, then a last expression whose value it returns."""

    # Its value may be a generator that is to be run.
    __rjobs_code__ = True
    __slots__ = ("body", "glob", "last", "loc")

    def __init__(
        self,
        body: CodeType | None,
        last: CodeType | None,
        glob: dict[str, Any],
        loc: Mapping[str, Any],
    ) -> None:
        self.body, self.last, self.glob, self.loc = body, last, glob, loc

    def __call__(self) -> Any:
        """Run it; with a top-level ``await`` in it, return a coroutine that does."""
        if _is_async(self.body) or _is_async(self.last):
            return self._run_async()
        if self.body is not None:
            eval(self.body, self.glob, self.loc)  # noqa: S307
        return eval(self.last, self.glob, self.loc) if self.last is not None else None  # noqa: S307

    async def _run_async(self) -> Any:
        value: Any = None
        for code in (self.body, self.last):
            value = eval(code, self.glob, self.loc) if code is not None else None  # noqa: S307
            if _is_async(code):
                value = await value
        return value


def _is_async(code: CodeType | None) -> bool:
    return code is not None and bool(code.co_flags & inspect.CO_COROUTINE)


def split(tree: ast.Module, filename: str, flags: int = 0) -> tuple[CodeType | None, CodeType | None]:
    """Compile a module in two: its statements, and its last expression if it ends with one."""
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body = tree.body
    statements: CodeType | None = None
    expression: CodeType | None = None
    if body and isinstance(body[-1], ast.Expr):
        last = ast.Expression(body[-1].value)
        body = body[:-1]
        expression = compile(last, filename, "eval", flags=flags, dont_inherit=True)
    if body:
        module = ast.Module(body, type_ignores=tree.type_ignores)
        statements = compile(module, filename, "exec", flags=flags, dont_inherit=True)
    return statements, expression


def compile_source(source: str) -> tuple[ast.Module, str, CodeType | None, CodeType | None]:
    """Give the tree of code, its file, statements and last expression, so that tracebacks show it; or SyntaxError."""
    digest = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    filename = f"<rjobs-{digest}>"
    tree = compile(
        source,
        filename,
        "exec",
        flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    statements, expression = split(tree, filename)
    # No time stamp: linecache.checkcache() leaves such entries alone.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    # Taken out and put in again: the order of a dict is that of insertion. No lock, which a kill could leave locked.
    _sources.pop(filename, None)
    _sources[filename] = None
    while len(_sources) > SOURCES_KEPT:
        try:
            oldest = next(iter(_sources))
        except (RuntimeError, StopIteration):
            # Another thread is at it.
            break
        _sources.pop(oldest, None)
        linecache.cache.pop(oldest, None)
    return tree, filename, statements, expression


def prepare(
    source: str, namespaces: tuple[Any, ...]
) -> tuple[Callable[[], Any], CodeType | None, dict[str, Any], Mapping[str, Any]]:
    """Make a runner for ``JobManager.new(source, *namespaces)``, whose caller is one frame up."""
    if len(namespaces) > 2:  # noqa: PLR2004
        msg = f"a job of code takes at most two more arguments, its globals and its locals, not {len(namespaces)}"
        raise ValueError(msg)
    tree, filename, body, last = compile_source(source)
    is_expression = body is None and last is not None
    around: dict[str, Any] = {}
    glob: Any
    loc: Any
    if not namespaces:
        frame = sys._getframe(1)  # noqa: SLF001
        glob, loc, around = _of_frame(frame, source if is_expression else None)
        is_shared = loc is frame.f_locals and is_live(frame)
    else:
        glob, loc, is_shared = namespaces[0], namespaces[-1], True
        if not isinstance(glob, dict):
            msg = f"the globals of a job of code must be a dict, not {type(glob).__qualname__}"
            raise TypeError(msg)
        if not isinstance(loc, Mapping):
            msg = f"the locals of a job of code must be a mapping, not {type(loc).__qualname__}"
            raise TypeError(msg)

    def find(name: str) -> Any:
        for names in (loc, around):
            try:
                return names[name]
            except KeyError:
                continue
        return glob[name]

    runner: Callable[[], Any] | None = None
    if is_expression:
        spaces = (glob, loc, loc)
        runner = bind(tree.body, filename, 0, find, spaces, is_async=_is_async(last), is_shared=is_shared)
    return runner or CodeRunner(body, last, glob, loc), last or body, glob, loc


def _of_frame(frame: FrameType, expression: str | None) -> tuple[dict[str, Any], Mapping[str, Any], dict[str, Any]]:
    """Give the globals and the locals of code that is made here, and what else it sees."""
    glob = frame.f_globals
    around, outermost = variables(frame)
    if is_live(frame):
        # A module, what `exec` runs, or the body of a class, which sees what is around it.
        return glob, frame.f_locals, around
    # Those of a function come and go: the job gets a copy of them as they are now.
    if expression is not None:
        around = mentioned(around, expression)
    is_in_function = outermost.f_code.co_flags & inspect.CO_OPTIMIZED
    return glob, around if is_in_function else Scope(around, glob), {}
