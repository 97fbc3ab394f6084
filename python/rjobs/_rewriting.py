"""Rewriting a line of code, so that it sees values of its own for some of its names.

What the line only reads stays as it is written: those names become variables of a function around the line, and the
compiler finds them from every scope of the line. What the line assigns as well goes into a mapping of the job's own,
which its reads look into first, and from there into the namespace that gets the assignments.
"""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

# Variables of the function around the line. Nobody else can have such names.
OWN = "<own>"
TARGET = "<names>"
# In the mapping of what is the job's own: the value of the line, and of the right side of `x += ...`.
VALUE = "<value>"
_RIGHT = "<right>"

_Node = TypeVar("_Node", bound=ast.AST)
# Where something begins and ends: line, column, line, column.
Place = tuple[int, int, int, int]
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class NotBindable(Exception):  # noqa: N818 - no error: the line runs as any cell does
    """The line has a statement that does more than to compute and to assign."""


def assigned(statements: Iterable[ast.stmt], nodes: Iterable[ast.AST]) -> set[str]:
    """Give the names that the line itself assigns: by `=`, by `+=`, and by `:=` outside of lambdas."""
    found: set[str] = set()
    if any(isinstance(node, ast.NamedExpr) for node in nodes):
        found = set[str]().union(*map(_walrus_names, statements))
    for statement in statements:
        match statement:
            case ast.Assign():
                targets = statement.targets
            case ast.AugAssign() | ast.AnnAssign():
                targets = [statement.target]
            case ast.Delete():
                targets = statement.targets
                if any(_names(target) for target in targets):
                    raise NotBindable
            case ast.Expr() | ast.Assert() | ast.Raise() | ast.Pass() | ast.Global():
                targets = []
            case _:
                raise NotBindable
        for target in targets:
            found |= _names(target)
    return found


def _names(target: ast.AST) -> set[str]:
    """Give the names that are bound when something is assigned to this."""
    match target:
        case ast.Name():
            return {target.id}
        case ast.Starred():
            return _names(target.value)
        case ast.Tuple() | ast.List():
            return {name for each in target.elts for name in _names(each)}
    return set()


def _walrus_names(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.NamedExpr):
            found.add(node.target.id)
        if isinstance(node, ast.Lambda):
            # Only its defaults are evaluated here.
            pending += [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
        else:
            pending += ast.iter_child_nodes(node)
    return found


class Rewriter(ast.NodeTransformer):
    """Rewrites the statements of a line.

    `own` are the names that it assigns, and `known` those of them that have a value from the beginning. `late` are
    names to be looked up in the namespace of assignments before they are looked up as usual, where it `is_apart` from
    the globals. With `wraps`, comprehensions get a frame of their own; `wrapped` tells which did.
    """

    def __init__(
        self, own: Container[str], known: Container[str], late: Container[str], *, is_apart: bool, wraps: bool
    ) -> None:
        self._own, self._known, self._late, self.wraps = own, known, late, wraps
        self._is_apart = is_apart
        # Names that inner scopes have for themselves.
        self._hidden: list[set[str]] = []
        self._is_in_lambda = False
        # Whether what is visited runs in the frame of the line.
        self._is_in_frame = True
        # What the line has assigned by now.
        self._stored: set[str] = set()
        # The comprehensions that became functions, and what CPython calls such functions.
        self.wrapped: dict[Place, str] = {}

    def rewrite(self, statements: Iterable[ast.stmt]) -> list[ast.stmt]:
        """Give the statements of the function that runs the line."""
        return [new for old in statements for new in self._statement(old)]

    def _statement(self, old: ast.stmt) -> list[ast.stmt]:
        match old:
            case ast.Global():
                return []
            case ast.AnnAssign(value=None):
                # It is for who asks for annotations.
                return []
            case ast.AnnAssign(value=ast.expr() as value):
                return self._assignment(ast.copy_location(ast.Assign([old.target], value), old), _names(old.target))
            case ast.Assign():
                return self._assignment(old, {name for target in old.targets for name in _names(target)})
            case ast.AugAssign(target=ast.Name(id=name)):
                return self._update(old, name)
        return [cast("ast.stmt", self.visit(old))]

    def _assignment(self, old: ast.Assign, names: set[str]) -> list[ast.stmt]:
        new = self.visit(old)
        self._stored |= names
        return [new, *(self._publish(name, old) for name in sorted(names))]

    def _publish(self, name: str, where: ast.stmt) -> ast.stmt:
        target = _item(TARGET, name, ast.Store())
        return at(where, ast.Assign([target], _item(OWN, name)))

    def _update(self, old: ast.AugAssign, name: str) -> list[ast.stmt]:
        """`x += f()` adds to what `x` is when `f()` has returned: so the updates of other jobs are not lost."""
        right = at(old, ast.Assign([_item(OWN, _RIGHT, ast.Store())], self.visit(old.value)))
        steps: list[ast.stmt] = [right]
        if name not in self._stored:
            now = self._late_read(ast.copy_location(ast.Name(name, ast.Load()), old.target), is_late=True)
            steps.append(at(old, ast.Assign([_item(OWN, name, ast.Store())], now)))
        steps.append(at(old, ast.AugAssign(_item(OWN, name, ast.Store()), old.op, _item(OWN, _RIGHT))))
        self._stored.add(name)
        return [*steps, self._publish(name, old)]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Read or assign what is the job's own where it is."""
        if any(node.id in names for names in self._hidden):
            return node
        if node.id not in self._own:
            return self._late_read(node) if isinstance(node.ctx, ast.Load) else node
        mine = at(node, _item(OWN, node.id, node.ctx))
        if not isinstance(node.ctx, ast.Load) or node.id in self._known:
            return mine
        is_there = ast.Compare(ast.Constant(node.id), [ast.In()], [ast.Name(OWN, ast.Load())])
        return at(node, ast.IfExp(is_there, mine, self._late_read(node, is_late=True)))

    def _late_read(self, node: ast.Name, *, is_late: bool = False) -> ast.expr:
        if not self._is_apart or not (is_late or node.id in self._late):
            return node
        is_there = ast.Compare(ast.Constant(node.id), [ast.In()], [ast.Name(TARGET, ast.Load())])
        return at(node, ast.IfExp(is_there, _item(TARGET, node.id), node))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        """`(x := v)` becomes what keeps v as the job's own, assigns it, and has it as its value."""
        node.value = self.visit(node.value)
        name = node.target.id
        if self._is_in_lambda:
            return node
        keep = _call(OWN, "__setitem__", ast.Constant(name), node.value)
        assign = _call(TARGET, "__setitem__", ast.Constant(name), _item(OWN, name))
        steps = ast.Tuple([keep, assign, _item(OWN, name)], ast.Load())
        return at(node, ast.Subscript(steps, ast.Constant(2), ast.Load()))

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        """Its defaults belong to the scope around it."""
        arguments = node.args
        arguments.defaults = [self.visit(each) for each in arguments.defaults]
        arguments.kw_defaults = [each and self.visit(each) for each in arguments.kw_defaults]
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = {each.arg for each in listed if each is not None}
        before, self._is_in_lambda = self._is_in_lambda, True
        with self._inside(names | _walrus_names(node.body)):
            node.body = self.visit(node.body)
        self._is_in_lambda = before
        return node

    @contextmanager
    def _inside(self, names: set[str]) -> Iterator[None]:
        before, self._is_in_frame = self._is_in_frame, False
        self._hidden.append(names)
        yield
        self._hidden.pop()
        self._is_in_frame = before

    def _comprehension(self, node: COMPREHENSIONS) -> ast.expr:
        is_generator = isinstance(node, ast.GeneratorExp)
        # An asynchronous one must stay within the coroutine.
        is_wrapped = self.wraps and self._is_in_frame and not is_generator and not _is_async(node)
        before = self._is_in_frame
        self._is_in_frame = before and not is_wrapped
        # The first iterable belongs to the scope around it.
        first = node.generators[0]
        first.iter = self.visit(first.iter)
        with self._inside({name for each in node.generators for name in _names(each.target)}):
            # Without a frame of its own it is in that of the line.
            self._is_in_frame = before and not is_generator and not is_wrapped
            for number, each in enumerate(node.generators):
                if number:
                    each.iter = self.visit(each.iter)
                each.target = self.visit(each.target)
                each.ifs = [self.visit(test) for test in each.ifs]
            if isinstance(node, ast.DictComp):
                node.key = self.visit(node.key)
                if node.value is not None:
                    node.value = self.visit(node.value)
            else:
                node.elt = self.visit(node.elt)
        self._is_in_frame = before
        if not is_wrapped:
            return node
        place = (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        self.wrapped[place] = f"<{type(node).__name__.lower()}>"
        nothing = ast.arguments([], [], None, [], [], None, [])
        return at(node, ast.Call(ast.Lambda(nothing, node), [], []))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815 - ast's names


def has_async_comprehension(nodes: Iterable[ast.AST]) -> bool:
    """Say whether any comprehension has to run within a coroutine."""
    return any(isinstance(node, COMPREHENSIONS) and _is_async(node) for node in nodes)


def _is_async(node: COMPREHENSIONS) -> bool:
    """Say whether the comprehension has to run within a coroutine."""
    inside = [each for each in ast.walk(node) if isinstance(each, ast.Await | ast.comprehension)]
    return any(isinstance(each, ast.Await) or each.is_async for each in inside)


def _item(mapping: str, key: str, context: ast.expr_context | None = None) -> ast.Subscript:
    return ast.Subscript(ast.Name(mapping, ast.Load()), ast.Constant(key), context or ast.Load())


def _call(mapping: str, method: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(mapping, ast.Load()), method, ast.Load()), list(arguments), [])


def at(where: ast.AST, new: _Node) -> _Node:
    """Let all of a new node that is nowhere yet be where this is."""
    for node in ast.walk(new):
        if isinstance(node, ast.expr | ast.stmt) and not hasattr(node, "lineno"):
            ast.copy_location(node, where)
    return new
