"""How a query on MariaDB or MySQL ends: by ``KILL QUERY`` over a second connection, for pymysql and mysqlclient."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from functools import partial

from rjobs import _syscalls

# mypy reads it as True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Prepare = Callable[[FrameType, int, Callable[[], bool]], Callable[[], object] | None]
    Rows = tuple[tuple[Any, ...], ...]
    Query = Callable[[str], Rows]
    # The server's number of the thread, where it is known; the statement; our port, where there is one.
    Wanted = tuple[int | None, Any, int | None]

__rjobs_internal__ = True

# Seconds that the second connection may take.
_TIMEOUT = 2
# How many callers are asked for SQLAlchemy's engine.
_DEEPEST = 30
# How much of a statement is compared: servers keep only its beginning, and some not the blanks before it.
_COMPARED = 200
_QUERIES = (
    "SELECT id, host, info, query_id FROM information_schema.processlist"
    " WHERE command = 'Query' AND user = SUBSTRING_INDEX(USER(), '@', 1)"
)


class OtherServerError(RuntimeError):
    """The second connection does not show which query of the server is ours."""


def cancel_pymysql(connection: Any, sql: Any, is_in: Callable[[], bool]) -> None:
    """End what a connection of pymysql waits for, as long as ``is_in()`` says that it does."""
    import socket  # noqa: PLC0415

    # To where this one is connected: a name may stand for several servers, whose threads have the same numbers.
    family, name, own = _ends(connection._sock)  # noqa: SLF001
    # A connection of the same class and with all that it has been given, TLS, plugins and the password's form included.
    other = connection.__class__.__new__(connection.__class__)
    other.__dict__.update(
        connection.__dict__,
        _sock=None,
        _rfile=None,
        _result=None,
        _closed=False,
        _read_timeout=_TIMEOUT,
        _write_timeout=_TIMEOUT,
        connect_timeout=_TIMEOUT,
        init_command=None,
        sql_mode=None,
        autocommit_mode=None,
    )
    stream = socket.socket(family)
    try:
        stream.settimeout(_TIMEOUT)
        stream.connect(name)
        other.connect(stream)

        def query(text: str) -> Rows:
            other.query(text)
            return other._result.rows or ()  # noqa: SLF001

        _kill(query, connection.server_version, (connection.thread_id(), sql, own), is_in)
    finally:
        other._force_close()  # noqa: SLF001
        stream.close()


def cancel_mysqlclient(connection: Any, sql: Any, is_in: Callable[[], bool], ident: int, create: Any) -> None:
    """End what a connection of mysqlclient waits for; ``create()`` gives another one, where somebody knows how.

    mysqlclient keeps no password, so without SQLAlchemy or Django a second connection is had only where none is needed.
    Where there is none, or where it is of no use, the first is cut off, since its call cannot be ended otherwise: it
    says that it is lost, and the server goes on until it sees so.
    """
    import socket  # noqa: PLC0415

    module: Any = sys.modules["MySQLdb"]
    try:
        descriptor, thread = connection.fileno(), connection.thread_id()
    except module.ProgrammingError:
        # Since 2.3 it tells other threads nothing during a call.
        descriptor, thread = _find_descriptor(ident, is_in), None
        if descriptor is None:
            return
    with socket.socket(fileno=os.dup(descriptor)) as stream:
        # Where it has moved on, the descriptor may be that of something else by now.
        if not is_in():
            return

        def cut_off() -> None:
            if is_in():
                stream.shutdown(socket.SHUT_RDWR)

        _, name, own = _ends(stream)
        timer = threading.Timer(_TIMEOUT, cut_off)
        timer.daemon = True
        with suppress(RuntimeError):  # there is no thread for it
            timer.start()
        try:
            other = create() if create else _second_mysqlclient(connection, name)
            try:

                def query(text: str) -> Rows:
                    other.query(text)
                    result = other.store_result()
                    return result.fetch_row(0) if result else ()

                _kill(query, other.get_server_info(), (thread, sql, own), is_in)
            finally:
                other.close()
        except Exception:  # noqa: BLE001 - whatever hinders it
            cut_off()
        finally:
            timer.cancel()


def _find_descriptor(ident: int, is_in: Callable[[], bool]) -> int | None:
    """That of the connection that a thread waits for. Looked for some times: between two packets it computes."""
    native_id = getattr(threading._active.get(ident), "native_id", None)  # type: ignore[attr-defined]  # noqa: SLF001
    for _ in range(50):
        if native_id is None or not is_in():
            break
        if (found := _syscalls.descriptor(native_id)) is not None:
            return found
        time.sleep(0.005)
    return None


def _second_mysqlclient(connection: Any, name: Any) -> Any:
    """By what the connection keeps."""
    to: dict[str, Any] = {"unix_socket": name} if isinstance(name, str) else {"host": name[0], "port": name[1]}
    module: Any = sys.modules["MySQLdb.connections"]
    # Before 2.3 it did not keep the user either.
    if (user := getattr(connection, "user", None)) is not None:
        to["user"] = user
    return module.Connection(connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, write_timeout=_TIMEOUT, **to)


def _ends(stream: Any) -> tuple[Any, Any, int | None]:
    """The family of a socket, the address of its server, and its own port where it has one."""
    own = stream.getsockname()
    return stream.family, stream.getpeername(), own[1] if isinstance(own, tuple) else None


def _kill(query: Query, version: Any, wanted: Wanted, is_in: Callable[[], bool]) -> None:
    """Kill what a thread of the server runs, when it is the call that waits: no other one, and not the next one."""
    is_mariadb = "MariaDB" in str(version)
    rows = query(_QUERIES if is_mariadb else "SHOW FULL PROCESSLIST")
    if not is_mariadb:
        # Its columns: id, user, host, database, command, time, state, statement.
        rows = tuple((row[0], row[2], row[7]) for row in rows if _text(row[4]) == "Query")
    ours = _find_ours(rows, *wanted)
    if not is_in():
        return
    if len(ours) != 1:
        raise OtherServerError(
            f"the second connection, which was to cancel the query, has found it {len(ours)} times on the server"
        )
    # By the number of the query where there is one: were it over by now, the next one would be hit.
    query(f"KILL QUERY ID {int(ours[0][3])}" if is_mariadb else f"KILL QUERY {int(ours[0][0])}")


def _find_ours(rows: Rows, thread: int | None, sql: Any, port: int | None) -> list[tuple[Any, ...]]:
    """By our port, or where that is not seen (a UNIX socket, a proxy, a container's network) by the text."""
    known = [row for row in rows if thread is None or int(row[0]) == thread]
    at_port = [row for row in known if port is not None and _text(row[1]).endswith(f":{port}")]
    if len(at_port) == 1:
        return at_port
    same_text = [row for row in at_port or known if _is_in_text(_text(row[2]), _text(sql))]
    # A statement of a procedure is another one, but a UNIX socket leads to no other server.
    return same_text or (known if port is None else [])


def _is_in_text(statement: str, sql: str) -> bool:
    return bool(statement) and statement.strip()[:_COMPARED] in sql


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, (bytes, bytearray)) else str(value or "")


def _connect_django(database: Any) -> Any:
    return database.get_new_connection(database.get_connection_params())


def _find_create(frame: FrameType | None) -> Any:
    """How SQLAlchemy or Django make a connection to the database that the calls from ``frame`` on use; None without."""
    for _ in range(_DEEPEST):
        if frame is None:
            break
        module = frame.f_globals.get("__name__")
        me: Any = frame.f_locals.get("self")
        if module == "sqlalchemy.engine.base":
            create = getattr(getattr(getattr(me, "engine", None), "pool", None), "_creator", None)
            if create is not None:
                return create
        elif module == "django.db.backends.utils" and hasattr(me, "db"):
            return partial(_connect_django, me.db)
        frame = frame.f_back
    return None


def _pymysql(frame: FrameType, _ident: int, is_in: Callable[[], bool]) -> Callable[[], object] | None:
    names = frame.f_locals
    connection = names["self"]
    if frame.f_code.co_name == "_read_rowdata_packet_unbuffered":
        connection = connection.connection
    if getattr(connection, "_sock", None) is None:
        return None
    return partial(cancel_pymysql, connection, names.get("sql"), is_in)


def _mysqlclient(frame: FrameType, ident: int, is_in: Callable[[], bool]) -> Callable[[], object] | None:
    names = frame.f_locals
    me = names["self"]
    connection = me if isinstance(me, sys.modules["MySQLdb.connections"].Connection) else me.connection
    if connection is None:
        return None
    sql = names.get("query") or names.get("q")
    return partial(cancel_mysqlclient, connection, sql, is_in, ident, _find_create(frame))


# By module and qualified name of a function that waits: what cancels it, given its frame, its thread, and whether it
# still waits.
# The whole query, and not each read: a strike between two of them would leave the rest of an answer to the next query.
KNOWN: dict[tuple[str, str], Prepare] = {
    ("pymysql.connections", "Connection.query"): _pymysql,
    ("pymysql.connections", "Connection.next_result"): _pymysql,
    ("pymysql.connections", "Connection._read_ok_packet"): _pymysql,
    ("pymysql.connections", "MySQLResult._read_rowdata_packet_unbuffered"): _pymysql,
    ("MySQLdb.connections", "Connection.query"): _mysqlclient,
    ("MySQLdb.cursors", "BaseCursor._query"): _mysqlclient,
    ("MySQLdb.cursors", "BaseCursor._discard"): _mysqlclient,
    ("MySQLdb.cursors", "BaseCursor._fetch_row"): _mysqlclient,
}
