"""For the reference: the types of the extension module stand in its stub, the docstrings in itself. Joins the two."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import griffe

MODULE = "rjobs._rjobs"


class NativeDocstrings(griffe.Extension):
    """Gives what griffe has read in the stub the docstrings of the built module."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that griffe has read."""
        if obj.docstring or not obj.path.startswith(MODULE + "."):
            return
        native: Any = importlib.import_module(MODULE)
        for name in obj.path.removeprefix(MODULE + ".").split("."):
            native = inspect.getattr_static(native, name, None)
        # What is inherited (from object, type) says nothing about this one.
        text = inspect.cleandoc(getattr(native, "__doc__", None) or "")
        if text:
            obj.docstring = griffe.Docstring(text, parent=obj)
