"""Real servers in a temporary folder, on loopback; skipped where they are not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if os.name == "posix" else []


@pytest.fixture
def manager() -> Iterator[rjobs.JobManager]:
    with rjobs.JobManager(daemon=True) as manager:
        yield manager
        manager.kill_all()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[int]:
    """The port of a PostgreSQL server that trusts the user `rjobs`."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: list[str] = []
    if os.getuid() == 0:
        # The server refuses to run as root.
        if shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root, and there is no setpriv")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents[:3]:
            if parent != Path("/tmp"):
                parent.chmod(0o755)

    def run(program: str, *arguments: object) -> None:
        command = [*as_user, str(BINARIES[-1] / program), "-D", str(folder / "data"), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=60)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run("initdb", "-U", "rjobs", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses=127.0.0.1"
    log = folder / "log"
    # Its output goes to the log: it would keep a pipe open.
    run("pg_ctl", "-o", options, "-w", "-l", log, "start")
    yield port
    run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def until() -> Callable[..., bool]:
    """`until(condition, seconds=10)`: wait until something is so; False when it does not come about."""

    def until(condition: Callable[[], object], seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    return until


@pytest.fixture
def quiet(capfd) -> Iterator[None]:
    """Nothing is written to the standard error stream."""
    yield
    assert capfd.readouterr().err == ""
