"""IPython's own tests of its BackgroundJobManager, run with rjobs.JobManager in its place.

The tests belong to IPython and are not kept here: they are taken from the installed package (IPython 8 has them) or
from the source distribution of the installed version, which pip downloads once into pytest's cache.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree as ET

import IPython
import pytest

# IPython 9 pins a fault of its own there: outside an IPython shell, new() raises TypeError. The test's docstring says
# that it documents the fault and is to change with it. rjobs works outside a shell (tests/ has that case).
PINS_A_FAULT = "test_traceback_without_ipython"

SWAP = """
import pytest
import rjobs
from IPython.lib import backgroundjobs

@pytest.fixture(autouse=True, scope="session")
def swapped():
    if {shell}:
        from IPython.core.interactiveshell import InteractiveShell
        InteractiveShell.instance()
    backgroundjobs.BackgroundJobManager = rjobs.JobManager
    assert isinstance(backgroundjobs.BackgroundJobManager().new(int), rjobs.Job)
    yield
"""


def from_sources(folder: Path) -> str:
    """The test file in the source distribution of the installed IPython; downloaded once."""
    kept = folder / f"test_backgroundjobs-{IPython.__version__}.py"
    if not kept.is_file():
        wanted = f"ipython=={IPython.__version__}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "ipython"]
        subprocess.run([*pip, "--dest", folder, wanted], check=True)
        with tarfile.open(next(folder.glob(f"ipython-{IPython.__version__}.tar.*"))) as archive:
            member = next(name for name in archive.getnames() if name.endswith("/test_backgroundjobs.py"))
            kept.write_bytes(archive.extractfile(member).read())
    return kept.read_text()


@pytest.fixture(scope="module")
def suite(pytestconfig) -> str:
    installed = Path(IPython.__file__).parent / "lib" / "tests" / "test_backgroundjobs.py"
    if installed.is_file():
        return installed.read_text()
    return from_sources(pytestconfig.cache.mkdir("ipython-suite"))


@pytest.mark.timeout(300)  # the download
@pytest.mark.parametrize("shell", [True, False], ids=["in a shell", "outside a shell"])
def test_ipythons_own_tests_pass(suite, shell, tmp_path):
    (tmp_path / "test_backgroundjobs.py").write_text(suite)
    (tmp_path / "conftest.py").write_text(SWAP.format(shell=shell))
    report = tmp_path / "report.xml"
    left_out = f"test_backgroundjobs.py::{PINS_A_FAULT}"
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "--junitxml", report, "--deselect", left_out]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path],
        cwd=tmp_path,
        env=os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    cases = ET.parse(report).getroot().findall(".//testcase")
    passed = [case.get("name") for case in cases if len(case) == 0]
    written = suite.count("\ndef test_") - (PINS_A_FAULT in suite)
    assert len(passed) == written >= 4, run.stdout
