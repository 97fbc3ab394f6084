"""The code of the README and of the pages runs: blocks in order, in one real kernel, with the output that they show."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted(page for page in (ROOT / "docs").rglob("*.md") if "```ipython" in page.read_text()))
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# What differs from run to run: times, addresses, and how far a job that counts has come.
VARIES = re.compile(r"\d+(\.\d+)?( ?(ms|us|s)\b)|\bat \d+|0x[0-9a-f]+|line \d+|\b\d\d:\d\d:\d\d\b")


def blocks(page):
    """Pairs of code and the output shown under it (None where none is)."""
    found = re.findall(r"^```(ipython|text)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    pairs = []
    for kind, body in found:
        if kind == "ipython":
            pairs.append([body, None])
        elif pairs and pairs[-1][1] is None:
            pairs[-1][1] = body
    return pairs


def is_news(output):
    """Whether it tells of jobs that ended: which those are, when a cell begins, differs from run to run."""
    return output.output_type == "display_data" and output.data.get("text/plain", "").startswith("rjobs: ")


def shown(cell):
    """What the cell gave, as text."""
    parts = []
    for output in cell.outputs:
        if is_news(output):
            continue
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts.append(output.data.get("text/plain", "") + "\n")
    return ANSI.sub("", "".join(parts))


def settled(text):
    """The text without what varies, line by line."""
    return [VARIES.sub("#", " ".join(line.split())) for line in text.strip().splitlines() if line.strip()]


NUMBERED = [
    pytest.param((page, number), id=f"{page.stem}-{number}") for page in PAGES for number in range(len(blocks(page)))
]


@functools.cache
def cells_of(page, folder):
    """The cells of a page, as they were run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        cells = [nbformat.v4.new_code_cell(code) for code, _ in blocks(page)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        client = NotebookClient(
            notebook,
            timeout=60,
            kernel_name="python3",
            extra_arguments=["--log-level=40"],
            allow_errors=True,
            resources={"metadata": {"path": folder}},
        )
        return client.execute().cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.mark.parametrize("name", ["README", "composition", "run", "backgroundjobs", "concurrent-futures"])
def test_the_pages_are_there(name):
    (page,) = [page for page in PAGES if page.stem == name]
    assert len(blocks(page)) >= 2


@pytest.mark.parametrize("block", NUMBERED)
def test_a_block_gives_what_the_page_shows(folder, block):
    page, number = block
    code, expected = blocks(page)[number]
    got = shown(cells_of(page, folder)[number])
    if expected is None:
        assert "Traceback" not in got, got
    elif "..." in expected:  # lines left out in the page: those kept come in this order
        lines = iter(settled(got))
        missing = [line for line in settled(expected) if line != "..." and line not in lines]
        assert not missing, f"{code}\n{got}"
    else:
        assert settled(got) == settled(expected), code


def test_the_script_works_without_ipython():
    (script,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    block = "import sys\nsys.modules['IPython'] = None\n"
    run = subprocess.run([sys.executable, "-c", block + script], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout == f"{2**100}\n"
    assert run.stderr == ""
