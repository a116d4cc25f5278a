"""The library file: its tables, how paths are stored in it, how it is opened and brought up to date.

The tables are described once, in SQLAlchemy Core, for SQLite and PostgreSQL alike. What only SQLite has is marked
with "SQLite:".
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from soundkin.errors import (
    EmptyLibraryError,
    LibraryBusyError,
    LibraryCorruptError,
    LibraryError,
    LibraryFullError,
    LibraryReadOnlyError,
    NewerSchemaError,
)

SCHEMA_VERSION = 1

_log = logging.getLogger(__name__)

# --- text ------------------------------------------------------------------------------------------------------------

_ESCAPE = "\U0010f7ff"  # stands before a character that is meant as itself
_SHIFT = 0x10F800 - 0xD800  # lone surrogates go to the last 2,048 code points, which no script uses
_TO_STORE = re.compile("[\ud800-\udfff\U0010f7ff-\U0010ffff]")
_TO_READ = re.compile("\U0010f7ff([\U0010f7ff-\U0010ffff])|([\U0010f800-\U0010ffff])")


def store_text(text: str) -> str:
    """`text` without lone surrogates, which stand for the bytes of names that are not UTF-8; undone by `read_text`."""
    if text.isascii():
        return text
    return _TO_STORE.sub(lambda m: chr(ord(m[0]) + _SHIFT) if m[0] < "\ue000" else _ESCAPE + m[0], text)


def read_text(text: str) -> str:
    """The text that `store_text` was given."""
    if text.isascii():
        return text
    return _TO_READ.sub(lambda m: m[1] or chr(ord(m[2]) - _SHIFT), text)


class AnyText(sa.types.TypeDecorator[str]):
    """Text that may hold lone surrogates (PEP 383), as paths do: no database stores those as they are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else store_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else read_text(value)


# --- tables ----------------------------------------------------------------------------------------------------------

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

recordings = Table(  # one row a content, however many files hold it
    "recordings",
    metadata,
    Column("content_id", String(32), primary_key=True),
    Column("duration", Float(53), nullable=False),  # s
    Column("sr", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("codec", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("bit_rate", BigInteger),
    Column("partial", AnyText),
    Column("fingerprint", LargeBinary),
    Column("analysed_at", Float(53), nullable=False),  # s since 1970, as every time here
)

tracks = Table(  # one row a file
    "tracks",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("path", AnyText, nullable=False, unique=True),
    Column("folder", AnyText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("content_id", ForeignKey("recordings.content_id"), nullable=False),
    Column("title", AnyText),
    Column("artist", AnyText),
    Column("album", AnyText),
    Column("album_artist", AnyText),
    Column("track_number", BigInteger),
    Column("disc_number", BigInteger),
    Column("genre", AnyText),
    Column("year", BigInteger),
    Column("mb_recording_id", AnyText),
    Column("mb_album_id", AnyText),
    Column("mb_artist_id", AnyText),
    Column("search", AnyText, nullable=False),
    Column("scanned_at", Float(53), nullable=False),
    Column("missing_since", Float(53)),
    Index("tracks_by_folder", "folder"),
    Index("tracks_by_content", "content_id"),
    sqlite_autoincrement=True,  # ids are never used again: a playlist of ids stays true after a prune
)

models = Table(
    "models",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("tags", Text, nullable=False),  # JSON: [[label, category], …]
)

vectors = Table(
    "vectors",
    metadata,
    Column("content_id", ForeignKey("recordings.content_id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("embedding", LargeBinary, nullable=False),  # little-endian float32
    Column("tags", LargeBinary),  # little-endian float32
)

failures = Table(
    "failures",
    metadata,
    Column("path", AnyText, primary_key=True),
    Column("folder", AnyText, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("program_version", Text, nullable=False),
    Column("failed_at", Float(53), nullable=False),
    Index("failures_by_folder", "folder"),
)

folders = Table(
    "folders",
    metadata,
    Column("path", AnyText, primary_key=True),
    Column("last_scan", Float(53), nullable=False),
)

# --- versions --------------------------------------------------------------------------------------------------------

MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
"""From a schema version to the change that leads to the next one."""


def schema_version(connection: Connection, path: Path) -> int | None:
    """Version of the library at `path`; None for an empty database. Raises LibraryCorruptError."""
    names = sa.inspect(connection).get_table_names()
    if not names:
        return None
    version = None
    if {"meta", "tracks", "recordings", "vectors"} <= set(names):
        version = connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema_version"))
    if version is None:
        raise LibraryCorruptError(
            f"{path} is a database, but not a soundkin library; name another place with --library"
        )
    return int(version)


def bring_up_to_date(
    engine: Engine,
    path: Path,
    *,
    target: int = SCHEMA_VERSION,
    migrations: Mapping[int, Callable[[Connection], None]] = MIGRATIONS,
) -> None:
    """Create the tables, or run the migrations that lead to `target`; each step is one transaction.

    Raises NewerSchemaError when the library is already past `target`.
    """
    while True:
        with engine.execution_options(
            immediate=True
        ).begin() as connection:  # the version is read inside: another process may be migrating too
            version = schema_version(connection, path)
            if version is None:
                metadata.create_all(connection)
                # The generation starts at the time in µs, so that a library made anew never repeats one that a
                # cache beside it remembers.
                rows = {"schema_version": target, "generation": time.time_ns() // 1000}
                connection.execute(meta.insert(), [{"key": k, "value": v} for k, v in rows.items()])
                return
            refuse_newer(version, path, target=target)
            if version == target:
                return
            migrations[version](connection)
            connection.execute(meta.update().where(meta.c.key == "schema_version").values(value=version + 1))


def refuse_newer(version: int, path: Path, *, target: int = SCHEMA_VERSION) -> None:
    """Raise NewerSchemaError if `version` is past `target`."""
    if version > target:
        raise NewerSchemaError(
            f"{path} has schema {version}, and this soundkin reads up to {target}: it was written by a newer soundkin. "
            "Upgrade soundkin, or name another library with --library"
        )


# --- opening ---------------------------------------------------------------------------------------------------------


def open_engine(path: Path, *, create: bool, busy_timeout: float) -> tuple[Engine, bool]:
    """Open the SQLite library at `path`; (engine, may it be written?).

    A library on read-only media is opened for reading. Raises EmptyLibraryError when there is none and `create` is
    false, and LibraryError with the reason when it cannot be used.
    """
    if path.is_dir():
        raise LibraryError(f"{path} is a folder; a library is a file")
    existed = path.exists() and path.stat().st_size > 0
    if not existed and not create:
        raise EmptyLibraryError(f"there is no library at {path}; make one with: soundkin scan FOLDER")
    if not existed:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryReadOnlyError(
                f"{path.parent} cannot be made: {error.strerror}; name another place with --library"
            ) from error
    engine = _sqlite_engine(path, "", busy_timeout)
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


def _prepare(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        version = schema_version(connection, path)
    if version is not None:
        refuse_newer(version, path)
    # SQLite: the write-ahead log lets answers be read during a scan. Only now, for the file is known to be ours.
    mode = _write_ahead(engine)
    if mode != "wal":
        _log.warning(
            "%s lies where SQLite cannot keep a write-ahead log (a network share?): answers wait while a scan writes. "
            "Keep the library on a local disk with --library or SOUNDKIN_LIBRARY",
            path,
        )
    if version != SCHEMA_VERSION:
        bring_up_to_date(engine, path)


def _write_ahead(engine: Engine) -> str:
    """Switch to the write-ahead log; the journal mode there is now."""
    for attempt in range(50):
        try:
            with contextlib.closing(engine.raw_connection()) as connection:
                return str(connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # the switch needs the file for itself and does not wait for it as other statements do
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or attempt == 49:
                raise
            time.sleep(0.02)
    raise AssertionError("unreachable")


def _open_read_only(path: Path, busy_timeout: float) -> Engine:
    log = path.with_name(path.name + "-wal")
    ways = ["mode=ro"]
    if not (log.exists() and log.stat().st_size > 0):
        ways.append("immutable=1")  # SQLite: needs no file beside it, but would not see what only the log holds
    reason: LibraryError | None = None
    for way in ways:
        engine = _sqlite_engine(path, way, busy_timeout)
        try:
            with translated(path), engine.connect() as connection:
                version = schema_version(connection, path)
            if version is None:
                raise EmptyLibraryError(f"there is no library at {path}; make one with: soundkin scan FOLDER")
            refuse_newer(version, path)
            if version < SCHEMA_VERSION:
                raise LibraryReadOnlyError(
                    f"{path} has schema {version} and must be brought to {SCHEMA_VERSION}, but may not be written; "
                    "copy it to a place that may, and name that with --library"
                )
            return engine
        except (LibraryReadOnlyError, EmptyLibraryError, NewerSchemaError) as error:
            engine.dispose()
            if not isinstance(error, LibraryReadOnlyError):
                raise
            reason = error
    assert reason is not None
    raise reason


def _sqlite_engine(path: Path, query: str, busy_timeout: float) -> Engine:
    target: Any = f"{path.as_uri()}?{query}" if query else path

    def connect() -> sqlite3.Connection:
        # isolation_level None: the driver begins nothing by itself, the "begin" event below does
        connection = sqlite3.connect(
            target, uri=bool(query), timeout=busy_timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # SQLite: a transaction that reads first and writes later can be refused in between; one that takes the lock
        # at once waits for its turn.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


# --- errors ----------------------------------------------------------------------------------------------------------


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
    """SQLite: primary result code of an error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _library_error(path: Path, error: BaseException) -> LibraryError:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return LibraryFullError(
            f"the disk that holds {path} is full; everything stored before is safe. Free some space and run the "
            "command again: it goes on from there"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return LibraryReadOnlyError(
            f"{path} may not be written ({error}); make the file and its folder writable, or name another place with "
            "--library"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LibraryCorruptError(
            f"{path} is damaged, or is not a soundkin library ({error}); restore it from a backup, or move it away and "
            "scan again"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LibraryBusyError(
            f"{path} was held by another program for too long; wait until the other scan has ended, and run the "
            "command again"
        )
    return LibraryError(f"{path} cannot be used: {error}")
