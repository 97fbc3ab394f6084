"""What `job.result` is while there is no result: IPython's text, which says so whatever is done with it."""

from __future__ import annotations

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, Self

# What a result may be used for, by special methods. That a str can be shown, compared for equality and hashed stays.
_USES = {
    "called": "call",
    "tested": "bool",
    "iterated": "iter next reversed aiter anext",
    "indexed": "getitem setitem delitem",
    "asked for its length": "len",
    "ordered": "lt le gt ge",
    "awaited": "await",
    "entered": "enter exit aenter aexit",
    "converted to a number": "index int float complex round trunc floor ceil",
    "converted to bytes": "bytes",
    "computed with": "abs neg pos invert add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod divmod "
    "rdivmod pow rpow matmul rmatmul lshift rlshift rshift rrshift and rand or ror xor rxor",
}


class NoResult(str):
    """The text of a job that has no result: it can be shown and compared, and raises when it is used as a result."""

    __slots__ = ("_way_out", "_why")

    # numpy leaves what is to be done to us.
    __array_ufunc__ = None

    def __new__(cls, text: str, why: str, way_out: str) -> Self:
        """`why` says why there is no result, and `way_out` what to do."""
        self = super().__new__(cls, text)
        object.__setattr__(self, "_why", why)
        object.__setattr__(self, "_way_out", way_out)
        return self

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            return object.__getattribute__(self, name)
        raise AttributeError(_message(self, f"has no {name!r}"))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(_message(self, f"cannot get a {name!r}"))

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(_message(self, f"has no {name!r}"))

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError(_message(self, f"cannot be formatted by {spec!r}"))
        return str(self)

    def __contains__(self, item: object) -> bool:
        # That the text has a word in it is what code for IPython asks.
        if not isinstance(item, str):
            raise TypeError(_message(self, "cannot be searched"))
        return item in str(self)

    def __rmod__(self, left: object) -> str:
        # "... %s" shows it.
        if isinstance(left, str):
            try:
                return left % str(self)
            except TypeError:
                pass
        raise TypeError(_message(self, "cannot be formatted"))

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (str(self), _kept(self, "_why"), _kept(self, "_way_out"))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def _kept(text: NoResult, name: str) -> str:
    return str(object.__getattribute__(text, name))


def _message(text: NoResult, what: str) -> str:
    return f"{_kept(text, '_why')}, so its result {what}. {_kept(text, '_way_out')}"


def _refusal(use: str) -> Callable[..., NoReturn]:
    def refuse(self: NoResult, *_arguments: object) -> NoReturn:
        raise TypeError(_message(self, f"cannot be {use}"))

    return refuse


for _use, _names in _USES.items():
    for _name in _names.split():
        setattr(NoResult, f"__{_name}__", _refusal(_use))
