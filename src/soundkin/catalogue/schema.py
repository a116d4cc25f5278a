"""The tables, how text and paths are stored in them, and how an older library is brought up to date.

Described once, in SQLAlchemy Core, for SQLite and PostgreSQL alike.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

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

from soundkin.errors import InputError, LibraryCorruptError, NewerSchemaError

SCHEMA_VERSION = 4

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


def absolute(path: Path) -> Path:
    """`path` made absolute, without following links: one file, one spelling. Raises InputError."""
    if "\0" in str(path):
        raise InputError(f"a path holds no NUL character: {str(path)!r}")
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links)


_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})


def fold(text: str) -> str:
    """`text` as it is searched: lower case, without accents, and with one kind of space."""
    if text.isascii():  # most of a library; the same, many times as fast
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(kept.translate(_PLAIN).split())


def spellings(texts: Iterable[str | None]) -> list[tuple[str, int]]:
    """The different texts and how often each is there, the commonest first; what folds to one is one, in its most
    usual spelling."""
    spelt = Counter(text.strip() for text in texts if text is not None and text.strip())
    totals: Counter[str] = Counter()
    usual: dict[str, str] = {}
    for text, count in spelt.most_common():
        totals[fold(text)] += count
        usual.setdefault(fold(text), text)
    return [(usual[key], count) for key, count in totals.most_common()]


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

TAG_COLUMNS = (  # the fields of tags.Tags, in their order
    "title",
    "artist",
    "album",
    "album_artist",
    "track_number",
    "disc_number",
    "genre",
    "year",
    "mb_recording_id",
    "mb_album_id",
    "mb_artist_id",
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
    # copied from the recording, so that lists and filters read one table (fingerprints make the other one large)
    Column("duration", Float(53), nullable=False),
    Column("partial", AnyText),
    *(Column(name, BigInteger if name in ("track_number", "disc_number", "year") else AnyText) for name in TAG_COLUMNS),
    Column("search", AnyText, nullable=False),  # folded, a line each: title, artist, album, album artist, file name
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
    # what is needed when its file is no more at hand; empty for models that were registered before version 3
    Column("source", AnyText),  # a built-in model's name, or the path of its file
    Column("space", Text),  # JSON: how its vectors are compared
    Column("card", AnyText),  # JSON: what it says of itself
)

vectors = Table(
    "vectors",
    metadata,
    Column("content_id", ForeignKey("recordings.content_id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("embedding", LargeBinary, nullable=False),  # little-endian float32
    Column("tags", LargeBinary),  # little-endian float32
)

passages = Table(  # apart from the vectors, which are all read to make an index
    "passages",
    metadata,
    Column("content_id", ForeignKey("recordings.content_id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("excerpts", LargeBinary, nullable=False),  # as passages.py packs them
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

playlists = Table(
    "playlists",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", AnyText, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("updated", Float(53), nullable=False),  # never twice the same of one playlist: it tells versions apart
    sqlite_autoincrement=True,  # a page that is still open must not change another list that got the same id
)

playlist_rows = Table(
    "playlist_rows",
    metadata,
    Column("playlist_id", ForeignKey("playlists.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),  # says the order, with gaps where tracks were pruned
    Column("track_id", ForeignKey("tracks.id", ondelete="CASCADE"), nullable=False),
    Index("playlist_rows_by_track", "track_id"),
)

song_maps = Table(
    "song_maps",
    metadata,
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", BigInteger, nullable=False),  # of the library that it shows
    Column("digest", String(32), nullable=False),  # of the vectors that it was made from
    Column("track_ids", LargeBinary, nullable=False),  # little-endian int64
    Column("positions", LargeBinary, nullable=False),  # little-endian float32, x and y of each in turn
)

# --- versions --------------------------------------------------------------------------------------------------------


def _add_passages(connection: Connection) -> None:
    """1 to 2: what was analysed before has none."""
    passages.create(connection)


def _add_model_columns(connection: Connection) -> None:
    """2 to 3: a model registered before fills them in when it is loaded next."""
    for column in ("source", "space", "card"):
        connection.execute(sa.text(f"ALTER TABLE models ADD COLUMN {column} TEXT"))


def _add_playlists_and_maps(connection: Connection) -> None:
    """3 to 4: there are none yet."""
    for table in (playlists, playlist_rows, song_maps):
        table.create(connection)


MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: _add_passages,
    2: _add_model_columns,
    3: _add_playlists_and_maps,
}
"""From a schema version to the change that leads to the next one."""


def version_of(connection: Connection, path: Path) -> int | None:
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
    target: int,
    migrations: Mapping[int, Callable[[Connection], None]],
) -> None:
    """Create the tables, or run the migrations that lead to `target`; each step is one transaction.

    Raises NewerSchemaError when the library is already past `target`.
    """
    writer = engine.execution_options(immediate=True)
    while True:
        with writer.begin() as connection:
            # read inside the transaction: another process may be migrating too
            version = version_of(connection, path)
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


def refuse_newer(version: int, path: Path, *, target: int) -> None:
    """Raise NewerSchemaError if `version` is past `target`."""
    if version > target:
        raise NewerSchemaError(
            f"{path} has schema {version}, and this soundkin reads up to {target}: it was written by a newer soundkin. "
            "Upgrade soundkin, or name another library with --library"
        )
