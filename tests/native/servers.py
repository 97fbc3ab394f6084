"""Real servers of the tests, each in a folder of its own, on loopback and ended by whoever started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if os.name == "posix" else []


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def find(program: str, what: str) -> str:
    """Where a server's program is; the test is skipped where it is not installed."""
    # Debian has them where only root's PATH looks.
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{what} is not installed")
    return found


@contextlib.contextmanager
def running(command: list[str], log: Path, is_ready: Callable[[], object]) -> Iterator[subprocess.Popen]:
    """A server that answers; ended at the end, whatever it does."""
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")
    try:
        deadline = time.monotonic() + 30
        while not is_ready():
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)
        yield server
    finally:
        server.kill()
        server.wait(30)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """The port of a PostgreSQL server that trusts the user `rjobs`."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed")
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
        command = [*as_user, str(POSTGRES[-1] / program), "-D", str(folder / "data"), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=60)

    port = free_port()
    run("initdb", "-U", "rjobs", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses=127.0.0.1"
    # Its output goes to the log: it would keep a pipe open.
    run("pg_ctl", "-o", options, "-w", "-l", folder / "log", "start")
    yield port
    run("pg_ctl", "-m", "immediate", "stop")


class MariaDB(NamedTuple):
    """Where the server is, and its two users: `rjobs` has no password, `secret` has "s3cret"."""

    port: int
    socket: str
    server: subprocess.Popen


@contextlib.contextmanager
def mariadb(folder: Path, *, tls: bool = False) -> Iterator[MariaDB]:
    program, install = find("mariadbd", "MariaDB"), find("mariadb-install-db", "MariaDB")
    as_root = ["--user=root"] if os.getuid() == 0 else []
    data, init = folder / "data", folder / "init.sql"
    # A path of a socket may have 107 characters.
    place, port = f"/tmp/rjobs-{os.getpid()}-{free_port()}.sock", free_port()
    command = [
        install,
        "--no-defaults",
        *as_root,
        f"--datadir={data}",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=100)
    users = [("rjobs", ""), ("secret", "s3cret")]
    made = [f"CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY '{word}';" for user, word in users]
    granted = [f"GRANT ALL ON *.* TO {user}@'%';" for user, _ in users]
    init.write_text("\n".join(["DROP USER IF EXISTS ''@localhost;", "CREATE DATABASE rjobs;", *made, *granted, ""]))
    options = [
        f"--datadir={data}",
        f"--port={port}",
        f"--socket={place}",
        f"--init-file={init}",
        f"--pid-file={folder / 'pid'}",
    ]
    if tls:
        certificate = [
            "-subj",
            "/CN=localhost",
            "-keyout",
            str(folder / "key"),
            "-out",
            str(folder / "cert"),
            "-days",
            "2",
        ]
        make = [find("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate]
        subprocess.run(make, check=True, capture_output=True, timeout=60)
        options += [f"--ssl-cert={folder / 'cert'}", f"--ssl-key={folder / 'key'}"]
    small = ["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
    try:
        with running(
            [program, "--no-defaults", *as_root, *options, *small], folder / "log", lambda: answers(port)
        ) as server:
            yield MariaDB(port, place, server)
    finally:
        Path(place).unlink(missing_ok=True)


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[int]:
    """The port of a Redis server that keeps nothing."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with running([find("redis-server", "Redis"), *options], folder / "log", lambda: answers(port)):
        yield port
