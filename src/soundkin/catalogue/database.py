"""Open the library file, and say in plain words what the database says. All that only SQLite has is here."""

from __future__ import annotations

import contextlib
import errno
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from soundkin.catalogue import schema
from soundkin.errors import (
    EmptyLibraryError,
    LibraryBusyError,
    LibraryCorruptError,
    LibraryError,
    LibraryFullError,
    LibraryReadOnlyError,
)

Transaction = Callable[[], contextlib.AbstractContextManager[Connection]]
"""Begins one, as the parts of an open library are given it: `with write() as connection`."""

_log = logging.getLogger(__name__)

_SMALLEST = 512
"""Bytes: SQLite takes a shorter file for an empty database, and would write over it.

The size is all that is looked at: were the file opened and closed here, a Unix system would drop the locks that
SQLite holds on it for the rest of this process.
"""


def open_engine(path: Path, *, create: bool, busy_timeout: float) -> tuple[Engine, bool]:
    """Open the SQLite library at `path` and bring it up to date; (engine, may it be written?).

    A library on read-only media is opened for reading. Raises EmptyLibraryError when there is none and `create` is
    false, and a LibraryError that says why an existing one cannot be used.
    """
    existed = _is_there(path)
    if not existed:
        if not create:
            raise _nothing_here(path)
        _make_folder(path.parent)
    engine = _engine(path, "", busy_timeout)
    try:
        with translated(path):
            _prepare(engine, path)
        return engine, True
    except LibraryReadOnlyError:
        engine.dispose()
        if not existed:
            raise
        return _open_read_only(path, busy_timeout), False
    except BaseException:
        engine.dispose()
        raise


def journal_mode(connection: Connection) -> str:
    """Name of the journal mode: 'wal' where a write-ahead log is possible."""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def damage(connection: Connection) -> list[str]:
    """What SQLite finds wrong in its own pages and in the references between rows, a sentence each."""
    pages = [line for (line,) in connection.exec_driver_sql("PRAGMA quick_check(10)") if line != "ok"]
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(10)
    return [
        *(f"the file is damaged: {line}" for line in pages),
        *(f"a row of {row[0]} refers to a row of {row[2]} that is not there" for row in rows),
    ]


def _is_there(path: Path) -> bool:
    """Is there a file that may be a library? An empty one is as good as none. Raises LibraryError."""
    try:
        if path.is_dir():
            raise LibraryError(f"{path} is a folder; a library is a file")
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LibraryError(f"{path} cannot be opened: {error.strerror or error}") from error
    if 0 < size < _SMALLEST:
        raise _not_a_library(path, f"it has {size} bytes")
    return size > 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        kind = LibraryReadOnlyError if refused else LibraryError
        raise kind(
            f"the folder {folder} cannot be made: {error.strerror or error}; name another place with --library"
        ) from error


def _prepare(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        version = schema.version_of(connection, path)
    if version is not None:
        schema.refuse_newer(version, path, target=schema.SCHEMA_VERSION)
    # The write-ahead log lets answers be read during a scan. Only now: the file is known to be ours or new.
    if _switch_to_write_ahead(engine) != "wal":
        _log.warning(
            "%s lies where SQLite cannot keep a write-ahead log (a network share?): answers wait while a scan "
            "writes. Keep the library on a local disk with --library or SOUNDKIN_LIBRARY",
            path,
        )
    if version != schema.SCHEMA_VERSION:
        schema.bring_up_to_date(engine, path, target=schema.SCHEMA_VERSION, migrations=schema.MIGRATIONS)


def _switch_to_write_ahead(engine: Engine) -> str:
    """Switch to the write-ahead log if that is possible; the journal mode there is now."""
    attempts = 100
    for attempt in range(attempts):
        try:
            with contextlib.closing(engine.raw_connection()) as connection:
                return str(connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # the switch needs the file for itself, and does not wait for it as other statements do
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or attempt == attempts - 1:
                raise
            time.sleep(0.02)
    raise AssertionError("the last attempt returns or raises")


def _open_read_only(path: Path, busy_timeout: float) -> Engine:
    log = path.with_name(path.name + "-wal")
    ways = ["mode=ro"]
    if not (log.exists() and log.stat().st_size):
        ways.append("immutable=1")  # needs no file beside it, but would not see what only the log holds
    for way in ways:
        engine = _engine(path, way, busy_timeout)
        try:
            with translated(path), engine.connect() as connection:
                version = schema.version_of(connection, path)
            if version is None:
                raise _nothing_here(path)
            schema.refuse_newer(version, path, target=schema.SCHEMA_VERSION)
            if version < schema.SCHEMA_VERSION:
                raise LibraryError(
                    f"{path} has schema {version}, must be brought to {schema.SCHEMA_VERSION}, and may not be written; "
                    "copy it to a place that may, and name that with --library"
                )
            return engine
        except BaseException as error:
            engine.dispose()
            if not isinstance(error, LibraryReadOnlyError) or way == ways[-1]:
                raise
    raise AssertionError("the last way returns or raises")


def _nothing_here(path: Path) -> EmptyLibraryError:
    return EmptyLibraryError(f"there is no library at {path}; make one with: soundkin scan FOLDER")


def _engine(path: Path, query: str, busy_timeout: float) -> Engine:
    target = f"{path.as_uri()}?{query}" if query else path

    def connect() -> sqlite3.Connection:
        # isolation_level None: the driver begins no transaction by itself, the "begin" event below does
        connection = sqlite3.connect(
            target, uri=bool(query), timeout=busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the system may cost the last tracks, no more
        except BaseException:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later can be refused in between; one that takes the lock at once
        # waits for its turn, as long as busy_timeout.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the database says into a LibraryError that names the file, the rule and the way out."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _library_error(path, error.orig or error) from error
    except sqlite3.Error as error:
        raise _library_error(path, error) from error


def _code(error: BaseException) -> int | None:
    """Primary result code of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _not_a_library(path: Path, why: str) -> LibraryCorruptError:
    return LibraryCorruptError(
        f"{path} is damaged, or is no soundkin library ({why}); restore it from a backup, or move it away and scan "
        "again"
    )


def _library_error(path: Path, error: BaseException) -> LibraryError:
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return LibraryFullError(
                f"the disk that holds {path} is full; everything stored before is safe. Free some space and run the "
                "command again: it goes on from there"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return LibraryReadOnlyError(
                f"{path} may not be written ({error}); make the file and its folder writable, or name another place "
                "with --library"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _not_a_library(path, str(error))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LibraryBusyError(
                f"{path} was held by another program for too long; wait until the other scan has ended, and run the "
                "command again"
            )
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_PROTOCOL:
            return LibraryError(
                f"{path} cannot be read or written where it lies ({error}); check the disk, and keep the library on a "
                "local one, not on a network share, with --library"
            )
    return LibraryError(f"{path} cannot be used: {error}")
