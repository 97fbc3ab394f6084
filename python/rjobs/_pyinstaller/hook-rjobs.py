"""What PyInstaller cannot see: the extension imports modules of the package and of Python by their names."""

from importlib.util import find_spec

from PyInstaller.utils.hooks import collect_submodules

# Those of the standard library: what the extension calls, and what it guards; not each is on each system.
_STANDARD = (
    "_multiprocessing",
    "_queue",
    "_socket",
    "asyncio",
    "concurrent.futures",
    "contextvars",
    "datetime",
    "fcntl",
    "functools",
    "itertools",
    "logging",
    "operator",
    "select",
    "threading",
    "traceback",
    "types",
)
# Without the half for notebooks and what that needs: a program that brings IPython names `rjobs.notebook` itself.
_LEFT_OUT = ("rjobs.notebook", "rjobs._pyinstaller")

hiddenimports = [
    *collect_submodules("rjobs", filter=lambda name: not name.startswith(_LEFT_OUT)),
    *(name for name in _STANDARD if find_spec(name) is not None),
]
excludedimports = ["rjobs.notebook", "IPython", "anywidget", "ipykernel", "ipywidgets", "matplotlib", "traitlets"]
