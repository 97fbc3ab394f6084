"""The rules of the house that a reader of the sources relies on."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
RUST = sorted((HOUSE / "src").rglob("*.rs"))
PYTHON = sorted((HOUSE / "python").rglob("*.py")) + sorted((HOUSE / "python").rglob("*.pyi"))
OTHERS = [file for folder in ("tests", "benches", "examples", "scripts") for file in (HOUSE / folder).rglob("*.py")]
CORE = [file for file in RUST if file.is_relative_to(HOUSE / "src" / "core")]


def names(files):
    return [str(file.relative_to(HOUSE)) for file in files]


def code_of(file: Path) -> str:
    """A Rust source without its comments."""
    return re.sub(r"//[^\n]*", "", file.read_text())


def test_there_is_a_house():
    assert len(CORE) > 5
    assert len(RUST) > 20
    assert len(PYTHON) > 10


@pytest.mark.parametrize("file", CORE, ids=names(CORE))
def test_the_core_knows_no_python_and_does_not_log(file):
    code = code_of(file)
    assert not re.search(r"\bpyo3\b|\bPy<|\bPython<|\blog::|\bprintln!|\beprintln!|\bdbg!", code)
    assert not re.search(r"crate::(py|interrupt)\b", code)


@pytest.mark.parametrize("file", RUST, ids=names(RUST))
def test_unsafe_code_is_in_the_interrupt_room_only_and_says_why(file):
    code = code_of(file)
    if "interrupt" not in file.parts:
        assert not re.search(r"\bunsafe\s*(\{|fn|impl|extern)", code)
        assert "allow(unsafe_code)" not in code
        return
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.search(r"\bunsafe \{", line.partition("//")[0]):
            above = "\n".join(lines[max(0, number - 6) : number])
            assert "SAFETY:" in above, f"line {number + 1}"


@pytest.mark.parametrize("file", RUST, ids=names(RUST))
def test_nobody_waits_for_another_thread_to_make_a_value_which_a_fork_may_leave_undone(file):
    # `core::once` says why. A lock of `parking_lot` is in a table of the process, which a fork copies as it is.
    waits = r"\bintern!|\bPyOnceLock\b|\bGILOnceCell\b|\bLazyLock\b|\bLazyCell\b|\bget_or_(try_)?init\b|\bparking_lot\b"
    if file.name != "once.rs":
        assert not re.search(waits, code_of(file))
    assert "parking_lot" not in tomllib.loads((HOUSE / "Cargo.toml").read_text())["dependencies"]


@pytest.mark.parametrize("file", [file for file in RUST if "interrupt" in file.parts], ids=lambda file: file.name)
def test_the_interrupt_room_does_not_know_the_room_above(file):
    assert not re.search(r"crate::py\b|super::super::py\b", code_of(file))


@pytest.mark.parametrize("file", RUST + PYTHON + OTHERS, ids=names(RUST + PYTHON + OTHERS))
def test_no_file_is_longer_than_400_lines(file):
    if file.name == "_rjobs.pyi":
        pytest.skip("the types of one module stand in one file")
    assert len(file.read_text().splitlines()) <= 400


@pytest.mark.parametrize("file", RUST, ids=names(RUST))
def test_every_rust_file_begins_by_saying_what_it_is(file):
    first = file.read_text().lstrip()
    assert first.startswith("//!") or file.name == "test.rs"


@pytest.mark.parametrize("file", PYTHON, ids=names(PYTHON))
def test_every_python_file_says_what_it_is(file):
    if file.suffix == ".py":
        assert ast.get_docstring(ast.parse(file.read_text()))


def test_what_a_comment_points_to_is_there():
    missing = [
        f"{file.relative_to(HOUSE)}: README.md"
        for file in RUST
        if "README.md` beside this file" in " ".join(file.read_text().split())
        and not (file.parent / "README.md").is_file()
    ]
    assert missing == []


def test_a_panic_unwinds_and_never_aborts_a_kernel():
    profiles = tomllib.loads((HOUSE / "Cargo.toml").read_text()).get("profile", {})
    assert all(profile.get("panic", "unwind") == "unwind" for profile in profiles.values())


def test_the_package_needs_nothing_but_python():
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []


@pytest.mark.parametrize("file", [file for file in PYTHON if file.suffix == ".py"], ids=lambda file: file.name)
def test_what_is_optional_is_imported_where_it_is_used(file):
    if "notebook" in file.parts:
        return
    optional = {"IPython", "ipykernel", "tqdm", "traitlets", "anywidget", "dask", "tenacity", "cloudpickle"}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & optional
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in optional
