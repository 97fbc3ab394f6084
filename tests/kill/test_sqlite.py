"""`sqlite3`: statements, waits for locks and functions in statements are ended, and the connection stays usable."""

from __future__ import annotations

import math
import queue
import sqlite3
import time

import pytest

import rjobs

COUNT = "with recursive c(x) as (select 1 union all select x + 1 from c where x < 1000000000)"
HEAVY = f"{COUNT} select sum(x) from c"
# A busy machine takes its turns; a statement that is not ended takes minutes.
SOON = 3


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table t (x)")
    connection.create_function("in_python", 1, lambda x: x)
    connection.create_function("in_c", 1, math.sqrt)
    yield connection
    connection.close()


def iterate(connection):
    for _ in connection.execute(f"select 1 where ({HEAVY}) > 0"):
        pass


def with_progress(connection):
    connection.set_progress_handler(lambda: 0, 1000)
    connection.execute(HEAVY)


KINDS = {
    "Connection.execute": lambda connection: connection.execute(HEAVY),
    "Cursor.execute": lambda connection: connection.cursor().execute(HEAVY),
    "fetchall": lambda connection: connection.execute(f"{COUNT} select x from c where x % 1000000 = 0").fetchall(),
    "fetchone": lambda connection: connection.execute(f"{COUNT} select x from c where x = -1").fetchone(),
    "iteration": iterate,
    "executemany": lambda connection: connection.executemany("insert into t values (?)", iter(lambda: (1,), 0)),
    "executescript": lambda connection: connection.executescript(f"begin; insert into t values (1); {HEAVY};"),
    "insert": lambda connection: connection.execute(f"insert into t {COUNT} select x from c"),
    "a function of Python's": lambda connection: connection.execute(f"{COUNT} select sum(in_python(x)) from c"),
    "a function of C's": lambda connection: connection.execute(f"{COUNT} select sum(in_c(x)) from c"),
    "a progress handler": with_progress,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_statement_is_killed_and_the_connection_usable(manager, connection, kind):
    job = manager.submit(KINDS[kind], connection)
    while not job.running():
        time.sleep(0.001)
    time.sleep(0.1)
    begun = time.monotonic()
    assert job.kill(20), job.stack()
    assert time.monotonic() - begun < SOON
    assert job.state == "killed"
    assert type(job.exception(0)) is rjobs.JobKilled
    connection.set_progress_handler(None, 0)
    connection.rollback()
    # Nothing is left of what had not been committed.
    assert connection.execute("select count(*) from t").fetchone() == (0,)
    connection.execute("insert into t values (1)")
    connection.commit()


def test_the_job_sees_the_kill_and_not_an_error_of_sqlite(manager, connection):
    seen = []

    def work():
        try:
            connection.execute(HEAVY)
        except BaseException as error:
            seen.append(error)
            raise

    job = manager.submit(work)
    time.sleep(0.1)
    assert job.kill(20)
    assert [type(error) for error in seen] == [rjobs.JobKilled]


def test_a_time_out_ends_it_too(manager, connection):
    job = manager.options(timeout=0.1).submit(connection.execute, HEAVY)
    assert job.wait(20)
    assert job.state == "timed_out"


@pytest.fixture
def locked(tmp_path):
    """A database that another connection has locked, with that connection."""
    owner = sqlite3.connect(tmp_path / "data.db", isolation_level=None, check_same_thread=False)
    owner.execute("create table t (x)")
    owner.execute("begin exclusive")
    yield owner, tmp_path / "data.db"
    owner.close()


@pytest.mark.parametrize("is_in_block", [True, False])
def test_a_wait_for_a_lock_is_ended(manager, locked, is_in_block):
    if not any(name.startswith("_socket") for name in rjobs._rjobs._guards()):
        pytest.skip("nothing can end a sleep here")
    owner, path = locked
    waits = sqlite3.connect(path, timeout=30, check_same_thread=False)

    def insert():
        if is_in_block:
            with waits:
                waits.execute("insert into t values (1)")
        else:
            waits.execute("insert into t values (1)")

    job = manager.submit(insert)
    time.sleep(0.2)
    begun = time.monotonic()
    assert job.kill(20), job.stack()
    assert time.monotonic() - begun < SOON
    assert job.state == "killed"
    owner.execute("rollback")
    assert waits.execute("select count(*) from t").fetchone() == (0,)
    with waits:
        waits.execute("insert into t values (2)")
    waits.close()


def test_a_commit_that_waits_for_a_reader_is_ended_and_not_made(manager, tmp_path):
    reader, writer = (sqlite3.connect(tmp_path / "data.db", timeout=30, check_same_thread=False) for _ in range(2))
    writer.execute("create table t (x)")
    reader.execute("begin")
    reader.execute("select * from t").fetchall()
    writer.execute("insert into t values (1)")
    job = manager.submit(writer.commit)
    time.sleep(0.2)
    assert job.kill(20), job.stack()
    assert job.state == "killed"
    assert writer.in_transaction
    writer.rollback()
    reader.rollback()
    assert reader.execute("select count(*) from t").fetchone() == (0,)
    reader.close()
    writer.close()


def test_without_a_kill_errors_are_those_of_sqlite(manager, connection):
    job = manager.submit(connection.execute, "select nonsense")
    assert isinstance(job.exception(10), sqlite3.OperationalError)
    assert job.state == "failed"


def test_what_runs_within_a_statement_is_struck_as_anywhere(manager, connection):
    """A function of the statement that holds a lock of the standard library's is not hit there."""
    values = queue.Queue()
    connection.create_function("put", 1, lambda x: values.put(x) or 1)
    for _ in range(20):
        job = manager.submit(connection.execute, f"{COUNT} select sum(put(x)) from c")
        time.sleep(0.02)
        assert job.kill(20)
        assert job.state == "killed"
        assert values.mutex.acquire(timeout=5)
        values.mutex.release()
