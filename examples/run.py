"""Runs a notebook in a real Jupyter kernel and prints it as it goes: the text, each cell, and what the cell gave.

    python run.py [NOTEBOOK]        default: titles.ipynb beside this file; exit code 1 when a cell fails

Nothing is written back into the notebook.
"""

from __future__ import annotations

import re
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
MOST_LINES = 16  # of one output; the middle of a longer one is left out
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def brief(text: str) -> str:
    """The text without its middle, where it is long."""
    lines = text.rstrip("\n").splitlines()
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES + 1
        head = MOST_LINES // 2
        lines[head : head + left_out] = [f"... ({left_out} more lines)"]
    return "\n".join(lines)


def text_of(output: dict[str, Any]) -> str:
    """What a terminal can show of one output."""
    kind = output["output_type"]
    if kind == "stream":
        return str(output["text"])
    if kind == "error":
        return "\n".join(output["traceback"])
    return str(output["data"].get("text/plain", ""))


class Printer:
    """Prints the cells of one run, in order."""

    def __init__(self) -> None:
        self.colour = sys.stdout.isatty()
        self.began = 0.0

    def say(self, text: str, indent: str = "", style: str = "") -> None:
        """Print the text, indented, in a terminal in the style of an ANSI code."""
        text = text if self.colour else ANSI.sub("", text)
        if style and self.colour:
            text = f"\x1b[{style}m{text}\x1b[0m"
        print(textwrap.indent(text, indent), flush=True)

    def before(self, cell: dict[str, Any], cell_index: int) -> None:
        """Print a text cell, or the code that runs next."""
        del cell_index
        if cell["cell_type"] == "markdown":
            self.say("\n" + cell["source"], style="1" if cell["source"].startswith("#") else "")
        else:
            code = textwrap.indent(brief(cell["source"]), "    > ", lambda _: True)
            self.say("\n" + code, style="36")
            self.began = time.perf_counter()

    def after(self, cell: dict[str, Any], **_: object) -> None:
        """Print what the cell gave, and its time where a person would notice it."""
        seconds = time.perf_counter() - self.began
        for output in cell["outputs"]:
            self.say(brief(text_of(output)), indent="    ")
        self.say(f"({seconds:.2f} s)", indent="    ", style="2")


def run(path: Path, *, printer: Printer | None = None, more_cells: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """Run the notebook in a new kernel, in its own folder; returns it with its outputs.

    Args:
        path: the notebook.
        printer: prints the cells as they run; None runs in silence.
        more_cells: code to run after the notebook's own cells, in the same kernel.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in more_cells]
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        extra_arguments=["--log-level=40"],  # errors only: the kernel warns about its own loopback connection
        resources={"metadata": {"path": path.parent}},
    )
    if printer:
        client.on_cell_start = printer.before
        client.on_cell_executed = printer.after
    return client.execute()


def main(arguments: list[str]) -> int:
    """Run the notebook named, or titles.ipynb, and print it."""
    path = Path(arguments[0]) if arguments else HERE / "titles.ipynb"
    try:
        run(path, printer=Printer())
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
