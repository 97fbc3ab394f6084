"""`map` over what only the thread can read that made it: rows of sqlite3, and other libraries' iterators."""

import itertools
import sqlite3
import threading
import traceback

import pytest

import rjobs


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table rows (a, b)")
    connection.executemany("insert into rows values (?, ?)", [(n, 10 * n) for n in range(2000)])
    yield connection
    connection.close()


def rows(connection, columns="a, b"):
    return connection.execute(f"select {columns} from rows order by a")


WANTED = [(n, 10 * n) for n in range(2000)]


@pytest.mark.parametrize(
    "reader",
    [
        lambda cursor: cursor,
        lambda cursor: (row for row in cursor),
        lambda cursor: ((a, b) for a, b in (row for row in cursor if row)),
        lambda cursor: map(tuple, cursor),
        lambda cursor: filter(None, cursor),
        lambda cursor: itertools.islice(cursor, 5000),
        lambda cursor: (row for _, row in enumerate(cursor)),
    ],
    ids=["cursor", "generator", "two generators", "map", "filter", "islice", "enumerate"],
)
def test_rows_of_a_connection_of_this_thread(manager, connection, reader):
    assert manager.map(tuple, reader(rows(connection))).results(timeout=20) == WANTED
    assert manager.starmap(lambda a, b: (a, b), reader(rows(connection))).results(timeout=20) == WANTED
    assert list(manager.map(tuple, reader(rows(connection)), buffersize=10)) == WANTED


def test_rows_beside_other_items(manager, connection):
    group = manager.map(lambda row, n: (*row, n), rows(connection), itertools.count())
    assert group.results(timeout=20) == [(n, 10 * n, n) for n in range(2000)]
    assert group.progress.total == 2000


def test_the_connection_can_be_closed_and_used_at_once(manager, connection):
    group = manager.map(tuple, rows(connection))
    connection.execute("delete from rows")
    connection.close()
    assert group.results(timeout=20) == WANTED


def test_rows_of_a_connection_for_all_threads_are_read_as_they_are_needed(manager):
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    endless = connection.execute("with recursive n(i) as (select 0 union all select i + 1 from n) select i from n")
    group = manager.map(lambda row: row[0], endless, buffersize=10)
    assert [value for value, _ in zip(group, range(100), strict=False)] == list(range(100))
    group.kill()
    group.join(10)
    connection.close()


def test_what_the_query_raises_is_raised_at_once(manager, connection):
    connection.create_function("fail", 1, lambda _: 1 / 0)
    with pytest.raises(sqlite3.OperationalError):
        manager.map(tuple, rows(connection, "fail(a)"))
    cursor = rows(connection)
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        manager.map(tuple, cursor)


def test_the_error_of_what_cannot_be_known_before_says_what_to_do(manager, connection):
    def generate():
        yield from rows(connection)

    error = manager.map(tuple, generate()).exception(10)
    assert type(error) is sqlite3.ProgrammingError
    text = "".join(traceback.format_exception(error))
    assert "jobs.map(fn, list(items))" in text
    assert "check_same_thread=False" in text

    class Own:
        def __init__(self):
            self.thread = threading.current_thread()

        def __iter__(self):
            return self

        def __next__(self):
            if threading.current_thread() is not self.thread:
                raise RuntimeError("Own is unsendable, but sent to another thread")
            return 1

    assert "list(items)" in "".join(manager.map(tuple, Own()).exception(10).__notes__)


def test_other_errors_of_an_iterator_are_left_as_they_are(manager):
    def generate():
        yield 1
        raise RuntimeError("can't start new thread")

    error = manager.map(str, generate()).exception(10)
    assert not hasattr(error, "__notes__")


def test_pool_imap_reads_rows_too(connection):
    with rjobs.Pool(2) as pool:
        assert list(pool.imap(tuple, rows(connection))) == WANTED
        assert sorted(pool.imap_unordered(tuple, rows(connection), 7)) == WANTED
