"""MariaDB: the query of a killed job is gone on the server, and the connection can be used again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

import rjobs

pymysql = pytest.importorskip("pymysql")
SLEEP = "SELECT SLEEP(1000)"
# A minute of computing.
HEAVY = "SELECT SUM(SHA2(CONCAT(seq, 'x'), 512) LIKE '%abc') FROM seq_1_to_200000000"
DRIVERS = ["pymysql", "MySQLdb"]
INTERRUPTED = 1317
LOST = 2013


@pytest.fixture
def connect(mariadb):
    """`connect(driver)`: a connection, closed at the end of the test."""
    opened = []

    def connect(driver="pymysql", server=mariadb, **options):
        to = {} if "unix_socket" in options else {"host": "127.0.0.1", "port": server.port}
        given = {"user": "rjobs", "database": "rjobs", **to, **options}
        opened.append(pytest.importorskip(driver).connect(**given))
        return opened[-1]

    yield connect
    for connection in opened:
        try:
            connection.close()
        except Exception:
            assert not connection.open


@pytest.fixture
def running(connect, until):
    """`running(expected)`: how many statements the tests run on the server, waited for until it is so many."""
    watchers = {}

    def look(server):
        if server not in watchers:
            watchers[server] = connect(autocommit=True, **({"server": server} if server else {}))
        cursor = watchers[server].cursor()
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Query' AND id <> CONNECTION_ID()"
        )
        return cursor.fetchone()[0]

    def running(expected, server=None):
        until(lambda: look(server) == expected)
        return look(server)

    return running


@pytest.fixture
def end(manager, running):
    """Run a query as a job, end it, and look at the job and at the server."""

    def end(work, how="kill", others=0, server=None):
        job = manager.options(timeout=0.7 if how == "timeout" else None).submit(work)
        assert running(1 + others, server) == 1 + others
        time.sleep(0.02)
        begin = time.monotonic()
        if how == "kill":
            assert job.kill(10)
        elif how == "stop":
            assert job.stop(grace=0.1)
        assert job.wait(10)
        assert how == "timeout" or time.monotonic() - begin < 1
        assert job.state == ("timed_out" if how == "timeout" else "killed")
        assert running(others, server) == others
        return job

    return end


def query(connection, text):
    cursor = connection.cursor()
    cursor.execute(text)
    return [tuple(row) for row in cursor.fetchall()]


def is_usable(connection):
    connection.rollback()
    return query(connection, "SELECT 42") == [(42,)]


@pytest.mark.parametrize("how", ["kill", "stop", "timeout"])
@pytest.mark.parametrize("text", [SLEEP, HEAVY], ids=["sleep", "heavy"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_query_is_gone_on_the_server(connect, end, driver, text, how):
    connection = connect(driver)
    error = end(lambda: query(connection, text), how).exception(0).__context__
    assert isinstance(error, sys.modules[driver].OperationalError)
    assert error.args[0] == INTERRUPTED
    assert is_usable(connection)


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_was_done_before_is_rolled_back_by_who_asks_for_it(connect, end, driver):
    connection, other = connect(driver), connect(autocommit=True)
    query(other, "CREATE OR REPLACE TABLE kept (a INT)")

    def work():
        query(connection, "INSERT INTO kept VALUES (1)")
        query(connection, SLEEP)

    end(work)
    assert query(connection, "SELECT COUNT(*) FROM kept") == [(1,)]
    connection.rollback()
    assert query(connection, "SELECT COUNT(*) FROM kept") == [(0,)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_wait_for_a_lock_of_another_transaction(connect, end, driver):
    holder, connection = connect(), connect(driver)
    query(holder, "CREATE OR REPLACE TABLE held (a INT PRIMARY KEY)")
    query(holder, "INSERT INTO held VALUES (1)")
    end(lambda: query(connection, "UPDATE held SET a = 2"))
    holder.rollback()
    assert is_usable(connection)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_procedure_whose_statement_is_another_one(connect, end, driver):
    connection = connect(driver)
    query(connection, "CREATE OR REPLACE PROCEDURE nap() SELECT SLEEP(500)")
    end(lambda: query(connection, "CALL nap()"))
    assert is_usable(connection)


@pytest.mark.parametrize("driver", DRIVERS)
def test_over_a_unix_socket(mariadb, connect, end, driver):
    connection = connect(driver, unix_socket=mariadb.socket)
    other = connect(driver, unix_socket=mariadb.socket)
    assert end(lambda: query(connection, SLEEP)).exception(0).__context__.args[0] == INTERRUPTED
    assert is_usable(connection)
    assert is_usable(other)


def test_pymysql_with_a_password_and_statements_of_its_own_at_the_start(connect, end):
    """The second connection runs none of them."""
    options = {"user": "secret", "password": "s3cret", "init_command": "DO SLEEP(0.3)", "sql_mode": "ANSI"}
    connection = connect(**options)
    end(lambda: query(connection, SLEEP))
    assert is_usable(connection)


@pytest.mark.parametrize("options", [{}, {"ssl_disabled": True}, {"ssl": {"verify_mode": "none"}}], ids=repr)
def test_pymysql_over_tls(mariadb_tls, connect, end, options):
    connection = connect(server=mariadb_tls, user="secret", password="s3cret", **options)
    if "ssl" in options:
        assert query(connection, "SHOW STATUS LIKE 'Ssl_cipher'")[0][1]
    end(lambda: query(connection, SLEEP), server=mariadb_tls)
    assert is_usable(connection)


def test_pymysql_waits_for_the_next_of_rows_that_are_read_one_by_one(connect, end):
    """The rest of the answer is not taken for that of the next query."""
    connection = connect()
    seen = []

    def work():
        cursor = connection.cursor(pymysql.cursors.SSCursor)
        cursor.execute("SELECT REPEAT('x', 1000), IF(seq > 2000, SLEEP(1000), 0) FROM seq_1_to_3000")
        seen.extend(None for _row in cursor)

    end(work)
    assert 1900 < len(seen) < 2010
    assert is_usable(connection)


def test_mysqlclient_with_a_password_is_cut_off(connect, manager, running):
    """It keeps no password: the job ends, and the connection says that it is lost."""
    pytest.importorskip("MySQLdb")
    connection = connect("MySQLdb", user="secret", password="s3cret")
    number = connection.thread_id()
    job = manager.submit(lambda: query(connection, SLEEP))
    assert running(1) == 1
    assert job.kill(10)
    assert (job.state, job.exception(0).__context__.args[0]) == ("killed", LOST)
    with pytest.raises(sys.modules["MySQLdb"].OperationalError):
        query(connection, "SELECT 42")
    query(connect(), f"KILL {number}")
    assert running(0) == 0


def test_mysqlclient_with_a_password_and_on_kill(connect, end):
    """What the page tells to do."""
    pytest.importorskip("MySQLdb")
    given = {"user": "secret", "password": "s3cret"}
    connection = connect("MySQLdb", **given)
    number = connection.thread_id()

    def work():
        with rjobs.current_job().on_kill(lambda: connect("MySQLdb", **given).query(f"KILL QUERY {number}")):
            query(connection, SLEEP)

    assert end(work).exception(0).__context__.args[0] == INTERRUPTED
    assert is_usable(connection)


@pytest.mark.parametrize("how", ["kill", "timeout"])
@pytest.mark.parametrize("driver", ["pymysql", "mysqldb"])
def test_sqlalchemy_has_its_pools_slot_back(mariadb, end, driver, how):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("MySQLdb" if driver == "mysqldb" else driver)
    url = f"mysql+{driver}://secret:s3cret@127.0.0.1:{mariadb.port}/rjobs"
    engine = sqlalchemy.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)

    def ask(text):
        with engine.connect() as connection:
            return connection.execute(sqlalchemy.text(text)).fetchall()

    (number,) = ask("SELECT CONNECTION_ID()")[0]
    error = end(lambda: ask(SLEEP), how).exception(0).__context__
    assert isinstance(error, sqlalchemy.exc.OperationalError)
    assert error.orig.args[0] == INTERRUPTED
    # And it is the same connection.
    assert ask("SELECT CONNECTION_ID()") == [(number,)]
    engine.dispose()


def test_django(mariadb, manager, running):
    pytest.importorskip("MySQLdb")
    backends = pytest.importorskip("django.db.backends.mysql.base")
    given = {"NAME": "rjobs", "USER": "secret", "PASSWORD": "s3cret", "HOST": "127.0.0.1", "PORT": mariadb.port}
    others = {"OPTIONS": {}, "TIME_ZONE": None, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True}
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(LOGGING_CONFIG=None)
        django.setup()

    def work():
        database = backends.DatabaseWrapper({**given, **others})
        try:
            with database.cursor() as cursor:
                cursor.execute(SLEEP)
        finally:
            with database.cursor() as cursor:
                cursor.execute("SELECT 42")
                after.extend(cursor.fetchall())
            database.close()

    after = []
    job = manager.submit(work)
    assert running(1) == 1
    assert job.kill(10)
    assert job.exception(0).__context__.args[0] == INTERRUPTED
    assert after == [(42,)]
    assert running(0) == 0


@pytest.mark.parametrize("driver", DRIVERS)
def test_only_the_killed_jobs_query_is_cancelled(manager, connect, end, driver):
    """Of two with the same text, too."""
    mine, others = connect(driver), connect(driver)
    text = "SELECT SLEEP(2)"
    other = manager.submit(lambda: query(others, text))
    end(lambda: query(mine, text), others=1)
    assert other.get(20) == [(0,)]
    assert is_usable(mine)


def test_a_job_that_waits_for_its_turn_on_a_shared_connection(manager, connect, running):
    connection, turn = connect(), threading.Lock()

    def work():
        with turn:
            return query(connection, "SELECT SLEEP(1.5), 7")[0][1]

    first = manager.submit(work)
    assert running(1) == 1
    second = manager.submit(work)
    while not second.running():
        time.sleep(0.001)
    assert second.kill(10)
    assert first.get(20) == 7


def test_a_late_cancel_does_not_hit_the_next_query(manager, connect):
    """Kills that come as the query ends: the connection's next user is not cancelled."""
    connection = connect(autocommit=True)
    for number in range(25):
        job = manager.submit(lambda: query(connection, "SELECT SLEEP(0.03)"))
        while not job.running():
            time.sleep(0.0005)
        time.sleep(0.025 + 0.0005 * number)
        assert job.kill(10) or job.state == "done"
        if not connection.open:
            connection.connect()
        assert query(connection, "SELECT SLEEP(0.02), 7") == [(0, 7)]


def test_sqlalchemy_and_a_server_that_does_not_answer_any_more(mariadb, manager, running, connect):
    """The second connection waits for ever; the job does not."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("MySQLdb")
    engine = sqlalchemy.create_engine(f"mysql+mysqldb://secret:s3cret@127.0.0.1:{mariadb.port}/rjobs")
    numbers = []

    def work():
        with engine.connect() as connection:
            numbers.extend(connection.execute(sqlalchemy.text("SELECT CONNECTION_ID()")).one())
            connection.execute(sqlalchemy.text(SLEEP))

    job = manager.submit(work)
    assert running(1) == 1
    mariadb.server.send_signal(signal.SIGSTOP)
    try:
        assert job.kill(8)
        assert job.state == "killed"
    finally:
        mariadb.server.send_signal(signal.SIGCONT)
    query(connect(), f"KILL {numbers[0]}")
    assert running(0) == 0
    engine.dispose()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_does_not_answer_any_more(mariadb, connect, manager, running, driver):
    """The job ends without it, and the connection says that it is lost."""
    connection = connect(driver)
    number = connection.thread_id()
    job = manager.submit(lambda: query(connection, SLEEP))
    assert running(1) == 1
    mariadb.server.send_signal(signal.SIGSTOP)
    try:
        assert job.kill(8)
        assert job.state == "killed"
    finally:
        mariadb.server.send_signal(signal.SIGCONT)
    with pytest.raises(sys.modules[driver].Error):
        query(connection, "SELECT 42")
    query(connect(), f"KILL {number}")
    assert running(0) == 0


EXIT = """
import sys, time
import {driver} as driver, rjobs
connection = driver.connect(host="127.0.0.1", port={port}, user="rjobs", database="rjobs")
def work():
    cursor = connection.cursor()
    cursor.execute("SELECT SLEEP(1000)")
jobs = rjobs.JobManager(daemon=True)
job = jobs.submit(work)
input()
sys.exit(3)
"""


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_end_of_the_program_ends_the_query(mariadb, running, driver):
    pytest.importorskip(driver)
    code = EXIT.format(driver=driver, port=mariadb.port)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            assert running(1) == 1
            begin = time.monotonic()
            _, said = program.communicate(b"\n", 20)
        finally:
            program.kill()
    assert (program.returncode, said) == (3, b"")
    assert time.monotonic() - begin < 2
    assert running(0) == 0
