"""Which native call a running job is in, by name: told from its frames, its instruction and its source alone.

Nothing of the job's is called for that, no property and no ``__getattr__``: names are looked up in its variables, in
modules and in the dictionaries of objects. What cannot be named so has no name.
"""

from __future__ import annotations

import ast
import linecache
import os
import sysconfig
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from rjobs._rjobs import _current_frames

if TYPE_CHECKING:
    from rjobs._rjobs import Job

__rjobs_internal__ = True

_OPERATORS = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.MatMult: "matmul",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.Pow: "power",
    ast.LShift: "left_shift",
    ast.RShift: "right_shift",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
}
_LIBRARIES = {os.path.normcase(path) + os.sep for path in sysconfig.get_paths().values() if "python" in path.lower()}
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
# Types of functions of extensions, which have the names of functions and run no code for that.
_LIKE_FUNCTIONS = ("_ArrayFunctionDispatcher", "cython_function_or_method")
_UNKNOWN: Any = object()


def native_call(job: Job[Any]) -> str | None:
    """Name the call that a running job's thread is in: ``numpy matmul``, ``json.loads``, ``native code at file.py:12``.

    None for a job that runs nowhere, and where even the line cannot be told.
    """
    ident = job.ident
    frame = _current_frames().get(ident) if ident is not None and job.running() else None
    if frame is None:
        return None
    try:
        name = _named(frame, job)
    except Exception:  # noqa: BLE001 - names are a comfort, and the objects are anybody's
        name = None
    if name is None:
        name = f"native code at {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119
    # Looked at again: the thread may be another job's by now.
    return name if job.running() and job.ident == ident else None


def _named(frame: FrameType, job: Job[Any]) -> str | None:
    if _is_ours(frame):
        # The call is all that the job does.
        return _of_callable(getattr(job, "func", None))
    if not _is_library(frame):
        return _of_instruction(frame)
    outer: FrameType | None = frame
    while outer is not None and _is_library(outer) and not _is_ours(outer):
        frame, outer = outer, outer.f_back
    return _qualified(str(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname)


def _is_ours(frame: FrameType) -> bool:
    return bool(frame.f_globals.get("__rjobs_internal__"))


def _is_library(frame: FrameType) -> bool:
    name = os.path.normcase(frame.f_code.co_filename)
    return (
        any(part in name for part in _INSTALLED)
        or any(name.startswith(path) for path in _LIBRARIES)
        or name.startswith("<frozen ")
    )


def _qualified(module: str, name: str) -> str:
    """``json.loads`` for a function, ``pandas DataFrame.merge`` for a method."""
    parts = [part for part in module.split(".") if not part.startswith("_")] or [module.strip("_")]
    if parts[0] in ("builtins", "main", ""):
        return name
    return f"{parts[0]} {name}" if "." in name else f"{'.'.join(parts)}.{name}"


def _of_callable(value: Any) -> str | None:
    kind = type(value)
    if kind is MethodType:
        value = value.__func__
    if kind is BuiltinFunctionType and not isinstance(value.__self__, ModuleType | None):
        return _of_method(value.__self__, value.__name__)
    if kind in (BuiltinFunctionType, MethodType, FunctionType) or isinstance(value, type):
        return _qualified(str(value.__module__ or "builtins"), value.__qualname__)
    if kind.__name__ == "ufunc" and kind.__module__ == "numpy":
        return f"numpy.{value.__name__}"
    if kind.__name__ in _LIKE_FUNCTIONS:
        return _qualified(str(value.__module__), str(value.__qualname__))
    return None if value is None or value is _UNKNOWN else _qualified(kind.__module__, kind.__qualname__)


def _of_method(own: Any, name: str) -> str:
    kind = own if isinstance(own, type) else type(own)
    return _qualified(kind.__module__, f"{kind.__qualname__}.{name}")


def _of_instruction(frame: FrameType) -> str | None:
    """Name what the instruction that a frame is at calls."""
    node = _node(frame)
    if isinstance(node, ast.Call):
        return _of_function(node.func, frame)
    if isinstance(node, ast.BinOp):
        return _of_operator(_OPERATORS[type(node.op)], [node.left, node.right], frame)
    if isinstance(node, ast.AugAssign):
        return _of_operator(_OPERATORS[type(node.op)], [node.target, node.value], frame)
    if isinstance(node, ast.Subscript):
        return _of_operator("indexing", [node.value], frame)
    if isinstance(node, ast.Compare):
        return _of_operator("comparison", [node.left, *node.comparators], frame)
    return None


def _node(frame: FrameType) -> ast.AST | None:
    code = frame.f_code
    places = list(code.co_positions())
    first, last, begin, end = places[frame.f_lasti // 2]
    lines = linecache.getlines(code.co_filename, frame.f_globals)
    if None in (first, last, begin, end) or not 0 < first <= last <= len(lines):  # type: ignore[operator]
        return None
    part = [line.encode() for line in lines[first - 1 : last]]  # type: ignore[operator]
    # The end first: it may be on the same line.
    part[-1] = part[-1][:end]
    before = b"".join([*(line.encode() for line in lines[max(first - 4, 0) : first - 1]), part[0][:begin]])  # type: ignore[operator]
    part[0] = part[0][begin:]
    if before.rstrip().endswith(b"."):
        # The rest of a method's call on several lines: whose method is not in it.
        return None
    text = b"".join(part).decode()
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError:
        return ast.parse(text).body[0]


def _of_function(node: ast.expr, frame: FrameType) -> str | None:
    if isinstance(node, ast.Attribute):
        own = _value(node.value, frame)
        if own is _UNKNOWN:
            return None
        if not isinstance(own, ModuleType):
            return _of_method(own, node.attr)
    value = _value(node, frame)
    return None if value is _UNKNOWN else _of_callable(value)


def _of_operator(name: str, operands: list[ast.expr], frame: FrameType) -> str | None:
    kinds = [type(value) for value in (_value(node, frame) for node in operands) if value is not _UNKNOWN]
    if not kinds:
        return None
    # A library's objects take part in arithmetic with plain numbers.
    foreign = next((kind for kind in kinds if kind.__module__ != "builtins"), None)
    return f"{kinds[0].__name__} {name}" if foreign is None else f"{foreign.__module__.partition('.')[0]} {name}"


def _value(node: ast.expr, frame: FrameType) -> Any:
    """Look up what an expression stands for, running no code of anybody's."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals, frame.f_builtins):
            if node.id in names:
                return names[node.id]
    if isinstance(node, ast.Attribute):
        own = _value(node.value, frame)
        if own is _UNKNOWN:
            return own
        try:
            names = object.__getattribute__(own, "__dict__")
        except AttributeError:
            return _UNKNOWN
        return names.get(node.attr, _UNKNOWN) if isinstance(names, dict) else _UNKNOWN
    return _UNKNOWN
