"""PostgreSQL: the query of a killed job is gone on the server, and the connection can be used again."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

import rjobs

psycopg = pytest.importorskip("psycopg")
SLEEP = "select pg_sleep(60)"


@pytest.fixture
def connect(postgres):
    """`connect(library)`: a connection, closed at the end of the test."""
    opened = []

    def connect(library=psycopg, **options):
        text = f"host=127.0.0.1 port={postgres} user=rjobs dbname=postgres"
        opened.append(library.connect(text, **options))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def sleeping(connect):
    """How many of the tests' queries run on the server, waited for until it is `expected`."""
    watcher = connect(autocommit=True)
    query = "select count(*) from pg_stat_activity where query like '%%pg_sleep%%' and state = 'active' and pid <> %s"

    def sleeping(expected):
        deadline = time.monotonic() + 10
        while (found := watcher.execute(query, [watcher.info.backend_pid]).fetchone()[0]) != expected:
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        return found

    return sleeping


@pytest.fixture
def end(manager, sleeping):
    """Run a query as a job, end it, and look at the job and at the server."""

    def end(work, how="kill", others=0):
        job = manager.options(timeout=0.5 if how == "timeout" else None).submit(work)
        assert sleeping(1 + others) == 1 + others
        time.sleep(0.02)
        assert job.kill(10) if how == "kill" else job.wait(10)
        assert job.state == ("killed" if how == "kill" else "timed_out")
        assert sleeping(others) == others
        return job

    return end


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_psycopg(connect, end, how):
    connection = connect()
    job = end(lambda: connection.execute(SLEEP), how)
    assert isinstance(job.exception(0).__context__, psycopg.errors.QueryCanceled)
    connection.rollback()
    assert connection.execute("select 42").fetchone() == (42,)


def test_a_pool_has_its_connection_back(postgres, end):
    psycopg_pool = pytest.importorskip("psycopg_pool")
    text = f"host=127.0.0.1 port={postgres} user=rjobs dbname=postgres"
    with psycopg_pool.ConnectionPool(text, min_size=1, max_size=1) as pool:

        def work():
            with pool.connection() as connection:
                connection.execute(SLEEP)

        end(work)
        with pool.connection(timeout=30) as connection:
            assert connection.execute("select 42").fetchone() == (42,)


def test_a_job_that_swallows_the_error_and_asks_again_is_ended_nevertheless(connect, end):
    connection = connect(autocommit=True)

    def work():
        while True:
            with contextlib.suppress(psycopg.Error):
                connection.execute(SLEEP)

    end(work)
    assert connection.execute("select 42").fetchone() == (42,)


def test_only_the_killed_jobs_query_is_cancelled(manager, connect, end):
    mine, others = connect(), connect()
    other = manager.submit(lambda: others.execute("select pg_sleep(3), 7").fetchone()[1])
    end(lambda: mine.execute(SLEEP), others=1)
    assert other.get(20) == 7


def test_psycopg2(connect, end):
    psycopg2 = pytest.importorskip("psycopg2")
    connection = connect(psycopg2)

    def query(text):
        cursor = connection.cursor()
        cursor.execute(text)
        return cursor.fetchall()

    end(lambda: query(SLEEP))
    connection.rollback()
    assert query("select 42") == [(42,)]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy(postgres, end, driver):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip(driver)
    url = f"postgresql+{driver}://rjobs@127.0.0.1:{postgres}/postgres"
    engine = sqlalchemy.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=10)

    def query(text):
        with engine.connect() as connection:
            return connection.execute(sqlalchemy.text(text)).fetchall()

    end(lambda: query(SLEEP))
    assert query("select 42") == [(42,)]
    engine.dispose()


def test_a_function_of_ones_own_is_registered(manager):
    """Any library with a way to cancel: found among the frames of the job."""
    go = threading.Event()
    calls = []

    def cancel(first):
        calls.append(first)
        go.set()

    rjobs.register_canceller(wait_in_a_library, calls.clear)
    rjobs.register_canceller(wait_in_a_library, cancel)
    job = manager.submit(wait_in_a_library, "its first argument", go)
    while not job.running():
        time.sleep(0.001)
    time.sleep(0.05)
    assert job.kill(10)
    assert (job.state, calls) == ("killed", ["its first argument"])
    assert isinstance(job.exception(0).__context__, RuntimeError)


def wait_in_a_library(_first, go):
    """Until it is cancelled."""
    go.wait(60)
    raise RuntimeError("cancelled")


@pytest.mark.parametrize("wrong", [3, len, "no colon", "a:b c"])
def test_what_is_no_place_for_a_canceller_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="where must be"):
        rjobs.register_canceller(wrong, print)
    with pytest.raises(TypeError, match="cancel must be"):
        rjobs.register_canceller("module:function", 3)
