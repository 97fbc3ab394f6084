"""Real servers in a temporary folder, on loopback; skipped where they are not installed."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rjobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def manager() -> Iterator[rjobs.JobManager]:
    with rjobs.JobManager(daemon=True) as manager:
        yield manager
        manager.kill_all()


def load_servers():
    """The file beside this one: test folders are no packages."""
    spec = importlib.util.spec_from_file_location("rjobs_test_servers", Path(__file__).with_name("servers.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[int]:
    """The port of a PostgreSQL server that trusts the user `rjobs`."""
    with load_servers().postgres(tmp_path_factory.mktemp("postgres")) as port:
        yield port


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory) -> Iterator:
    """A MariaDB server: its `port` and `socket`; the users `rjobs`, without a password, and `secret`, with "s3cret"."""
    with load_servers().mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_tls(tmp_path_factory) -> Iterator:
    """Another one, which offers TLS."""
    with load_servers().mariadb(tmp_path_factory.mktemp("mariadb"), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory) -> Iterator[int]:
    """The port of a Redis server that keeps nothing."""
    with load_servers().redis(tmp_path_factory.mktemp("redis")) as port:
        yield port


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
