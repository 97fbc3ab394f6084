"""Makes the virtual environments in .venv/ (one per CPython version) and builds rjobs into them.

    python3 scripts/envs.py              the environment of this interpreter: everything, with the release build
    python3 scripts/envs.py run FILE...  the same, then runs a script in it

What is there and up to date already is left as it is, so a second call takes a second or two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import interpreters

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv"
TARGET = ROOT / "target"

# The release build optimises across crates, which takes a minute. Test builds do without: same code, same checks.
QUICK_BUILD = {
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
}


def requirements(*extras: str) -> set[str]:
    """What building and the named extras of pyproject.toml ask for."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        tables = tomllib.load(file)
    optional = tables["project"]["optional-dependencies"]
    return {*tables["build-system"]["requires"], *(each for extra in extras for each in optional[extra])}


@dataclass(frozen=True)
class Env:
    """One virtual environment: of one interpreter, with its own build folder."""

    tag: str
    base: Path

    @property
    def path(self) -> Path:
        """Its folder."""
        return VENVS / self.tag

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / ("python.exe" if os.name == "nt" else "python")

    def variables(self, *, quick: bool = False) -> dict[str, str]:
        """The process environment for commands that run in it, cargo included."""
        variables = dict(os.environ)
        for foreign in ("CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH"):
            variables.pop(foreign, None)
        variables["VIRTUAL_ENV"] = str(self.path)
        variables["PATH"] = os.pathsep.join([str(self.bin), variables.get("PATH", "")])
        variables["PYO3_PYTHON"] = str(self.python)
        # PyO3 is built anew for another interpreter or profile; with folders apart, each is built once.
        variables["CARGO_TARGET_DIR"] = str(TARGET / (f"{self.tag}-quick" if quick else self.tag))
        if quick:
            variables |= QUICK_BUILD
        return variables

    def run(self, *command: object, timeout: float | None = None, output: IO[str] | None = None) -> None:
        """Run a command of this environment in the project's folder; what it prints goes to `output`, if there is one.

        Raises:
            subprocess.CalledProcessError: it failed.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
        """
        parts = [str(part) for part in command]
        error = subprocess.STDOUT if output else None
        subprocess.run(parts, cwd=ROOT, env=self.variables(), check=True, timeout=timeout, stdout=output, stderr=error)

    def ensure(self, *extras: str) -> None:
        """Make it where it is missing or broken, and install what building and the extras ask for and it lacks."""
        wanted = requirements(*extras)
        stamp = self.path / ".installed"
        installed: set[str] = set()
        if stamp.is_file() and self.starts():
            installed = set(stamp.read_text().splitlines())
        else:
            print(f"making {self.path.relative_to(ROOT)}", flush=True)
            shutil.rmtree(self.path, ignore_errors=True)
            self.run(self.base, "-m", "venv", self.path)
        if missing := sorted(wanted - installed):
            # Most of what is installed is never imported: compiling it all is left to the imports.
            pip = (self.python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
            self.run(*pip, *missing)
            stamp.write_text("\n".join(sorted(wanted | installed)))

    def starts(self) -> bool:
        """Whether its interpreter is still there: one that was removed leaves a dead link."""
        try:
            return subprocess.run([self.python, "-c", ""], check=False, capture_output=True).returncode == 0
        except OSError:
            return False

    def build(self, *, quick: bool = False) -> None:
        """Build rjobs and link this checkout into the environment: changes of python/ are live, of src/ need this."""
        print(f"building rjobs for {self.tag}{' (quick build)' if quick else ''}", flush=True)
        run = subprocess.run(
            [self.bin / "maturin", "develop", "--release"],
            cwd=ROOT,
            env=self.variables(quick=quick),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if run.returncode:  # its many lines matter only then
            print(run.stdout, flush=True)
            run.check_returncode()


def this_env() -> Env:
    """The environment of the interpreter that runs this script."""
    return Env(*interpreters.this())


def libpython_variables(env: Env) -> dict[str, str]:
    """Process environment in which a Rust test program finds a shared libpython that is in no usual place."""
    query = "import sysconfig; print(sysconfig.get_config_var('LIBDIR') or '')"
    folder = subprocess.run([env.python, "-c", query], capture_output=True, text=True, check=True).stdout.strip()
    name = {"win32": "PATH", "darwin": "DYLD_LIBRARY_PATH"}.get(sys.platform, "LD_LIBRARY_PATH")
    folder = folder or str(Path(sysconfig.get_config_var("installed_base")))
    variables = env.variables()
    variables[name] = os.pathsep.join(filter(None, [folder, variables.get(name)]))
    return variables


def main(arguments: list[str]) -> int:
    """Prepare this interpreter's environment; with "run", run a script in it."""
    env = this_env()
    try:
        env.ensure("notebook", "test", "dev")
        env.build()
    except subprocess.CalledProcessError as failed:
        return failed.returncode or 1
    if arguments[:1] == ["run"]:
        return subprocess.run([env.python, *arguments[1:]], cwd=ROOT, env=env.variables(), check=False).returncode
    activate = env.bin.relative_to(ROOT) / "activate"
    print(f"ready: source {activate}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
