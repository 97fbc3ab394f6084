"""For PyInstaller: where its hook for this package is. It finds this by the entry point `pyinstaller40`."""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Give the directories with hooks."""
    return [str(Path(__file__).parent)]
