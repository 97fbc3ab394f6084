"""Runs the project's checks, stage by stage, each with its time.

    python3 scripts/check.py                 everything: what `make test` runs
    python3 scripts/check.py lint types rust only these kinds of stages (of lint, types, rust, docs, browser, pytest)
    python3 scripts/check.py pytest --this   the tests on this interpreter alone; what follows `--` goes to pytest

A stage that fails does not keep the others from running; the exit code is 1 when any failed.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

import envs
import interpreters
import oldest
from browser import ensure_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("lint", "types", "rust", "docs", "browser", "pytest")
# Each test has its own time-out; this one is for a process that hangs when it exits.
PYTEST_SECONDS = 1800
# What can differ by version, with code of CPython beneath it. The rest runs on the oldest and the newest interpreter.
DIFFERS = (
    *(f"tests/{folder}" for folder in ("core", "kill", "exit", "cpython_suite", "ipython_suite")),
    "tests/composition/test_coroutines.py",
    *(f"--ignore=tests/{file}.py" for file in ("core/test_figures", "core/test_house", "core/test_release")),
    *(f"--ignore=tests/exit/test_{name}.py" for name in ("coroutines", "frozen", "greenlets")),
    *(f"--ignore=tests/kill/test_{name}.py" for name in ("hog", "unseen")),
)
# The kills of most kinds once more, where the interpreter has a compiler of its own: seconds, and not the whole.
WITH_JIT = tuple(f"tests/kill/test_{name}.py" for name in ("matrix", "matrix_bytecode", "guards"))
PYTHON_FOLDERS = ("python", "tests", "benches", "examples", "scripts", "docs")

Stage = tuple[str, "Callable[[], None]"]


def lint(env: envs.Env) -> Iterator[Stage]:
    """Formatting and lints of both languages."""
    yield "cargo fmt", lambda: env.run("cargo", "fmt", "--check")
    yield "clippy", lambda: env.run("cargo", "clippy", "--all-targets", "--quiet", "--", "-D", "warnings")
    yield "ruff check", lambda: env.run(env.bin / "ruff", "check", *PYTHON_FOLDERS)
    yield "ruff format", lambda: env.run(env.bin / "ruff", "format", "--check", *PYTHON_FOLDERS)


def types(env: envs.Env) -> Iterator[Stage]:
    """Static types of the shim, and the stub against the built extension."""
    yield "mypy --strict", lambda: env.run(env.python, "-m", "mypy")
    allowed = "scripts/stubtest-allowlist.txt"
    yield (
        "stubtest",
        lambda: env.run(env.python, "-m", "mypy.stubtest", "rjobs._rjobs", "--allowlist", allowed),
    )


def rust(env: envs.Env) -> Iterator[Stage]:
    """The core's own tests; they start no Python."""

    def cargo_test() -> None:
        variables = envs.libpython_variables(env)
        commands = [["cargo", "test", "--quiet"]]
        if shutil.which("cargo-nextest"):
            commands = [["cargo", "nextest", "run"], ["cargo", "test", "--quiet", "--doc"]]
        for command in commands:
            subprocess.run(command, cwd=envs.ROOT, env=variables, check=True)

    yield "cargo test", cargo_test


def docs(env: envs.Env) -> Iterator[Stage]:
    """The site. Its reference is read off the built extension."""

    def mkdocs() -> None:
        env.ensure("docs")
        # Says at length that MkDocs 2 is coming.
        with_variables = ["env", "NO_MKDOCS_2_WARNING=1"] if os.name == "posix" else []
        env.run(*with_variables, env.python, "-m", "mkdocs", "build", "--quiet")

    yield "mkdocs build --strict", mkdocs


def run_pytest(env: envs.Env, name: str, *arguments: str, output: IO[str] | None = None) -> None:
    """Run pytest; what fails must fail alone as well. `name` is that of the folder in which it notes what failed."""
    command = (env.python, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}", *arguments)
    try:
        env.run(*command, timeout=PYTEST_SECONDS, output=output)
    except subprocess.CalledProcessError:
        # The races are run for real, and so is the machine.
        print(f"{name}: some tests failed (see there): once more, those alone", file=output, flush=True)
        again = ("--last-failed", "--last-failed-no-failures", "none")
        env.run(*command, *again, timeout=PYTEST_SECONDS, output=output)


def has_jit(env: envs.Env) -> bool:
    """Whether the interpreter was built with a JIT that can be turned on."""
    code = (
        "import sys; sys.exit(not (hasattr(sys, '_jit') and sys._jit.is_available() and sys.version_info >= (3, 15)))"
    )
    return subprocess.run([str(env.python), "-c", code], check=False).returncode == 0


def browser(env: envs.Env) -> Iterator[Stage]:
    """The tests in a real JupyterLab in Chromium, on one interpreter."""

    def setup() -> None:
        env.ensure("test", "browser")
        path, reason = ensure_chromium()
        print(f"the browser tests are skipped: {reason}" if path is None else f"Chromium is {path}", flush=True)

    def test() -> None:
        run_pytest(env, "browser", "-q", "-m", "browser", "tests/browser")

    yield "JupyterLab and Chromium", setup
    yield f"tests in JupyterLab on {env.tag}", test


def pytest(primary: envs.Env, extra: list[str], *, this_only: bool) -> Iterator[Stage]:
    """The Python tests: all on the oldest and the newest interpreter found, what can differ on the others.

    Or all on this one alone. `RJOBS_NEWEST=3.15` says that the newest is that, and that its tests run elsewhere.
    """
    ends: set[str] = set()

    def test(env: envs.Env, output: IO[str] | None) -> None:
        if env != primary:
            env.ensure("test")
            env.build(quick=True)
        elif not this_only:
            # On one interpreter the tests of kernels run with the oldest ipykernel, too.
            oldest.ensure(env.python, env.tag)
        run_pytest(env, env.tag, *(extra or ["-q", *([] if this_only or env.tag in ends else DIFFERS)]), output=output)
        if has_jit(env) and not extra:
            print(f"{env.tag}, with its JIT:", file=output, flush=True)
            # The program is that of the environment's Python; what stands before it is set for it alone.
            env.run("env", "PYTHON_JIT=1", env.python, "-m", "pytest", "-q", *WITH_JIT, timeout=300, output=output)

    if this_only:
        yield f"pytest on {primary.tag}", lambda: test(primary, None)
        return
    found = interpreters.find()
    ends.update({next(iter(found)), primary.tag, os.environ.get("RJOBS_NEWEST") or next(reversed(found))})
    for tag in interpreters.WANTED:
        if tag not in found:
            print(f"CPython {tag} is not on this machine: its tests are skipped", flush=True)
    environments = [primary if tag == primary.tag else envs.Env(tag, base) for tag, base in found.items()]
    yield from side_by_side(environments, test)


def side_by_side(environments: list[envs.Env], test: Callable[[envs.Env, IO[str]], None]) -> Iterator[Stage]:
    """One more at a time than the machine has processors, since they wait half of their time; or `RJOBS_SIDE_BY_SIDE`.

    What each prints is shown in one piece, in their order.
    """

    def show(running: Future[None], output: IO[str]) -> None:
        try:
            running.result()
        finally:
            output.seek(0)
            print(output.read(), flush=True)

    at_once = int(os.environ.get("RJOBS_SIDE_BY_SIDE") or (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(at_once) as pool, ExitStack() as files:
        stages = []
        for env in environments:
            file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            output = files.enter_context(file)
            running = pool.submit(test, env, output)
            stages.append((f"pytest on {env.tag}", functools.partial(show, running, output)))
        yield from stages


def run(stages: Iterator[Stage]) -> list[str]:
    """Run the stages; the names of those that failed."""
    failed = []
    for name, stage in stages:
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        try:
            stage()
        except (subprocess.SubprocessError, OSError) as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        verdict = "FAILED" if name in failed else "ok"
        print(f"-- {name}: {verdict} in {time.monotonic() - started:.0f} s", flush=True)
    return failed


def main() -> int:
    """Prepare this interpreter's environment, then run the stages asked for."""
    own, extra = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, extra = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description="Run the project's checks.")
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{', '.join(KINDS)}; default: all")
    parser.add_argument("--this", action="store_true", help="tests on this interpreter only")
    parser.add_argument("--differs", action="store_true", help="of the tests, those that can differ by version")
    parser.add_argument("--quick", action="store_true", help="build without link-time optimisation")
    options = parser.parse_args(own)
    extra = extra or (["-q", *DIFFERS] if options.differs else [])
    kinds = options.kinds or KINDS
    if unknown := set(kinds).difference(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")

    started = time.monotonic()
    env = envs.this_env()

    def setup() -> None:
        env.ensure("test", *(() if kinds == ["pytest"] else ("notebook", "dev")))
        if {"types", "docs", "browser", "pytest"}.intersection(kinds):
            env.build(quick=options.quick)

    def stages() -> Iterator[Stage]:
        for kind, stages_of in (("lint", lint), ("types", types), ("rust", rust), ("docs", docs), ("browser", browser)):
            if kind in kinds:
                yield from stages_of(env)
        if "pytest" in kinds:
            yield from pytest(env, extra, this_only=options.this)

    failed = run(iter([(f"setup of {env.tag}", setup)])) or run(stages())
    minutes = (time.monotonic() - started) / 60
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all stages ok"
    print(f"\n{verdict} ({minutes:.1f} minutes)", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
