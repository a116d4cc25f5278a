"""Queries of the catalogue. Each function reads inside the transaction of the connection it is given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from soundkin.catalogue.heard import vector_counts
from soundkin.catalogue.records import Columns, Failure, KnownFile, Recording, ShelfRow, Statistics, Track
from soundkin.catalogue.schema import (
    SCHEMA_VERSION,
    TAG_COLUMNS,
    failures,
    fold,
    folders,
    meta,
    models,
    passages,
    read_text,
    recordings,
    tracks,
    vectors,
)
from soundkin.errors import LibraryCorruptError, UnknownNameError
from soundkin.tags import Tags

FloatArray = npt.NDArray[np.float32]

_CHUNK = 500  # ids a statement: every database bounds the number of its parameters
_ROWS = 4096  # rows fetched at a time, so that memory stays bounded
_LONGEST_SEARCH = 500  # characters: longer words are a mistake, and databases bound the length of a pattern

_present = tracks.c.missing_since.is_(None)

# What every answer asks is said once, here: to put such a statement together takes longer than to carry it out.
_IDS = sa.bindparam("ids", type_=sa.BigInteger, expanding=True)
_MODEL = sa.bindparam("model", type_=sa.String)


# --- files -----------------------------------------------------------------------------------------------------------


def known_files(connection: Connection, folder: Path) -> dict[str, KnownFile]:
    """What is known of the files directly in `folder`, by file name; a failure is what came last."""
    t, f = tracks.c, failures.c
    files = select(t.id, t.path, t.size, t.mtime_ns, t.content_id, t.missing_since).where(t.folder == str(folder))
    failed = select(f.path, f.kind, f.size, f.mtime_ns, f.program_version).where(f.folder == str(folder))
    known = {
        Path(path).name: KnownFile(track_id, size, mtime_ns, content_id, missing_since is not None, None, None)
        for track_id, path, size, mtime_ns, content_id, missing_since in connection.execute(files)
    }
    for path, kind, size, mtime_ns, program_version in connection.execute(failed):
        name = Path(path).name
        track = known.get(name)
        known[name] = KnownFile(
            track_id=track.track_id if track else None,
            size=size,
            mtime_ns=mtime_ns,
            content_id=track.content_id if track else None,
            missing=track.missing if track else False,
            failure=kind,
            program_version=program_version,
        )
    return known


def known_folders(connection: Connection, root: Path) -> set[Path]:
    """Every folder at or below `root` that holds a known file."""
    inside = str(root / "_")[:-1]  # with the separator at its end, which a root like '/' has already
    names: set[str] = set()
    for column in (tracks.c.folder, failures.c.folder):
        names.update(connection.scalars(select(column).distinct()))
    return {Path(name) for name in names if name.startswith(inside) or name == str(root)}


def list_failures(connection: Connection, *, limit: int | None = None, offset: int = 0) -> list[Failure]:
    """Files that could not be analysed, by path."""
    f = failures.c
    listing = select(f.path, f.kind, f.reason, f.program_version, f.failed_at).order_by(f.path)
    rows = connection.execute(listing.limit(limit).offset(offset))
    return [Failure(Path(r.path), r.kind, r.reason, r.program_version, r.failed_at) for r in rows]


def count_failures(connection: Connection) -> int:
    """How many files could not be analysed."""
    return connection.scalar(select(func.count()).select_from(failures)) or 0


# --- tracks ----------------------------------------------------------------------------------------------------------

_TRACKS = select(
    tracks.c.id,
    tracks.c.path,
    tracks.c.content_id,
    tracks.c.duration,
    tracks.c.partial,
    tracks.c.missing_since,
    *(tracks.c[name] for name in TAG_COLUMNS),
)

_TRACKS_BY_ID = _TRACKS.where(tracks.c.id.in_(_IDS))

_ORDERS: dict[str, tuple[sa.ColumnElement[Any], ...]] = {
    "id": (),
    "title": (func.lower(tracks.c.title).nulls_last(),),
    "artist": (
        func.lower(tracks.c.artist).nulls_last(),
        func.lower(tracks.c.album).nulls_last(),
        tracks.c.disc_number,
        tracks.c.track_number,
    ),
    "path": (tracks.c.path,),
    "duration": (tracks.c.duration,),
    "added": (tracks.c.id.desc(),),
}


def tracks_by_id(connection: Connection, ids: Sequence[int]) -> list[Track]:
    """In the order of `ids`; those that are not in the library are left out."""
    found: dict[int, Track] = {}
    for chunk in in_chunks(ids):
        found.update((t.id, t) for t in _tracks(connection.execute(_TRACKS_BY_ID, {"ids": chunk})))
    return [found[i] for i in ids if i in found]


def track_by_path(connection: Connection, path: Path) -> Track | None:
    """The track of that file, or None."""
    return next(_tracks(connection.execute(_TRACKS.where(tracks.c.path == str(path)))), None)


def list_tracks(connection: Connection, *, order: str, limit: int | None = None, offset: int = 0) -> Iterator[Track]:
    """Tracks that are not missing, a bounded number of rows at a time. Raises UnknownNameError for the order."""
    if order not in _ORDERS:
        raise UnknownNameError("order", order, _ORDERS)
    listing = _TRACKS.where(_present).order_by(*_ORDERS[order], tracks.c.id).limit(limit).offset(offset)
    yield from _tracks(connection.execution_options(yield_per=_ROWS).execute(listing))


def missing_tracks(connection: Connection) -> list[Track]:
    """Tracks whose files were gone at the last scan, by id."""
    return list(_tracks(connection.execute(_TRACKS.where(~_present).order_by(tracks.c.id))))


def search(connection: Connection, words: str, *, limit: int) -> list[Track]:
    """Tracks that have every word; titles that are, then titles that begin with, all of `words` come first."""
    phrase = fold(words)[:_LONGEST_SEARCH]
    if not phrase:
        return []
    text = tracks.c.search
    closeness = sa.case(
        (text.startswith(phrase + "\n", autoescape=True), 0),
        (text.startswith(phrase, autoescape=True), 1),
        else_=2,
    )
    matches = [text.contains(word, autoescape=True) for word in phrase.split()]
    ids = select(tracks.c.id).where(_present, *matches).order_by(closeness, tracks.c.id).limit(limit)
    return tracks_by_id(connection, connection.scalars(ids).all())


def _tracks(rows: Iterable[Any]) -> Iterator[Track]:
    for track_id, path, content_id, duration, partial, missing_since, *tags in rows:
        missing = missing_since is not None
        yield Track(track_id, Path(path), content_id, duration, Tags(*tags), partial, missing)


def in_chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """`ids` a statement at a time."""
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def columns(connection: Connection) -> Columns:
    """What filters ask for, of every track that is not missing."""
    t = tracks.c
    numbers = (t.id, t.duration, t.year)
    texts = (t.path, t.content_id, t.title, t.artist, t.album, t.album_artist, t.genre)
    # text is read as it is stored, and decoded a column at a time: half the time for 100,000 tracks
    plain = [sa.type_coerce(column, sa.Text) for column in texts]
    rows = connection.execute(select(*numbers, *plain).where(_present).order_by(t.id)).all()
    ids, durations, years, *found = zip(*rows, strict=True) if rows else [()] * (len(numbers) + len(texts))
    decoded: list[Any] = [[x if x is None or x.isascii() else read_text(x) for x in one] for one in found]
    return Columns(np.array(ids, np.int64), np.array(durations, np.float64), list(years), *decoded)


def shelf_rows(connection: Connection) -> list[ShelfRow]:
    """What searching and browsing ask of every track that is not missing, about in the order of its text."""
    t = tracks.c
    # text is decoded here: a Python call for every row of a large library takes longer than all the rest
    plain = [sa.type_coerce(column, sa.Text) for column in (t.search, t.genre)]
    found = select(t.id, t.duration, t.disc_number, t.track_number, *plain).where(_present)
    rows = connection.execute(found.order_by(t.search, t.id))  # the database lets other threads work meanwhile
    return [
        ShelfRow(track_id, duration, disc, number, read_text(text), None if genre is None else read_text(genre))
        for track_id, duration, disc, number, text, genre in rows
    ]


def ids_by_path(connection: Connection) -> npt.NDArray[np.int64]:
    """(n,) int64: every track that is not missing, by its path."""
    return np.array(connection.scalars(select(tracks.c.id).where(_present).order_by(tracks.c.path)).all(), np.int64)


def recording_of(connection: Connection, track_id: int) -> Recording | None:
    """How a track is encoded; None for a track that is not in the library."""
    r = recordings.c
    row = connection.execute(
        select(r.sr, r.channels, r.codec, r.container, r.bit_rate)
        .join(tracks, tracks.c.content_id == r.content_id)
        .where(tracks.c.id == track_id)
    ).first()
    return None if row is None else Recording(*row)


# --- what was heard --------------------------------------------------------------------------------------------------

_VECTOR = (
    select(vectors.c.embedding)
    .join(tracks, tracks.c.content_id == vectors.c.content_id)
    .where(tracks.c.id == sa.bindparam("track"), vectors.c.model_id == _MODEL)
)
_TAGS_BY_ID = (
    select(tracks.c.id, vectors.c.tags)
    .join(vectors, tracks.c.content_id == vectors.c.content_id)
    .where(tracks.c.id.in_(_IDS), vectors.c.model_id == _MODEL, vectors.c.tags.is_not(None))
)
_FINGERPRINTS_BY_ID = (
    select(tracks.c.id, recordings.c.fingerprint)
    .join(recordings, tracks.c.content_id == recordings.c.content_id)
    .where(tracks.c.id.in_(_IDS), recordings.c.fingerprint.is_not(None))
)
_DIMENSION = select(models.c.dimension).where(models.c.id == _MODEL)
_LABELS = select(models.c.tags).where(models.c.id == _MODEL)


def all_vectors(connection: Connection, model_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """ids (n,) int64 ascending and embeddings (n, d) float32 of the tracks that are not missing."""
    return _all_values(connection, vectors.c.embedding, model_id, width=_dimension(connection, model_id))


def all_tags(connection: Connection, model_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """ids (n,) int64 ascending and tag probabilities (n, labels) float32 of the tracks that have any, missing ones not.

    All at once: many times as fast as `tag_probabilities` of so many ids.
    """
    return _all_values(connection, vectors.c.tags, model_id, width=_tag_count(connection, model_id))


def _all_values(
    connection: Connection, column: sa.Column[Any], model_id: str, *, width: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    t, v = tracks.c, vectors.c
    n = connection.scalar(select(func.count()).select_from(tracks).where(_present)) or 0
    ids, matrix = np.empty(n, np.int64), np.empty((n, width), np.float32)
    heard = sa.and_(v.content_id == t.content_id, v.model_id == model_id, column.is_not(None))
    rows = connection.execution_options(yield_per=_ROWS).execute(
        select(t.id, _as_stored(column)).join_from(tracks, vectors, heard).where(_present).order_by(t.id)
    )
    n = 0
    for part in rows.partitions():
        end = n + len(part)
        ids[n:end], blobs = zip(*part, strict=True)
        matrix[n:end] = _floats(blobs, width, model_id)
        n = end
    return ids[:n], matrix[:n]


def one_vector(connection: Connection, track_id: int, model_id: str) -> FloatArray | None:
    """Raw embedding (d,) float32 of one track; None when that model has not heard it."""
    dimension = _dimension(connection, model_id)
    blob = connection.scalar(_VECTOR, {"track": track_id, "model": model_id})
    return None if blob is None else _floats([blob], dimension, model_id)[0].copy()


def tag_probabilities(connection: Connection, model_id: str, ids: Sequence[int]) -> FloatArray:
    """(len(ids), tags of the model) float32; a row of NaN where there are none."""
    width = _tag_count(connection, model_id)
    found: dict[int, bytes] = {}
    for chunk in in_chunks(ids):
        rows = connection.execute(_TAGS_BY_ID, {"ids": chunk, "model": model_id}).all()
        found |= {track_id: heard for track_id, heard in rows}
    nothing = np.full(width, np.nan, "<f4").tobytes()
    return _floats([found.get(i, nothing) for i in ids], width, model_id).copy()


def fingerprints(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """By track id; tracks without one are left out."""
    found: dict[int, bytes] = {}
    for chunk in in_chunks(ids):
        rows = connection.execute(_FINGERPRINTS_BY_ID, {"ids": chunk}).all()
        found |= {track_id: heard for track_id, heard in rows}
    return found


def _dimension(connection: Connection, model_id: str) -> int:
    dimension = connection.scalar(_DIMENSION, {"model": model_id})
    if dimension is None:
        known = connection.scalars(select(models.c.id).order_by(models.c.id)).all()
        raise UnknownNameError("model of this library", model_id, known)
    return int(dimension)


def _tag_count(connection: Connection, model_id: str) -> int:
    labels = connection.scalar(_LABELS, {"model": model_id})
    return len(json.loads(labels)) if labels else 0


def _as_stored(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column as the driver gives it, without a Python call for every row."""
    return sa.type_coerce(column, sa.types.NullType())


def _floats(blobs: Sequence[bytes], dimension: int, model_id: str) -> FloatArray:
    """(len(blobs), dimension) float32, read-only. Raises LibraryCorruptError."""
    if any(len(blob) != 4 * dimension for blob in blobs):
        raise LibraryCorruptError(
            f"the library holds values of another length than {model_id} makes ({dimension} numbers each); "
            "move it away and scan again"
        )
    values = np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), dimension)
    return values.astype(np.float32, copy=False)


# --- the whole -------------------------------------------------------------------------------------------------------


_GENERATION = select(meta.c.value).where(meta.c.key == "generation")


def generation(connection: Connection) -> int:
    """The number that every change which can alter an answer raises."""
    return int(connection.scalar(_GENERATION) or 0)


def statistics(connection: Connection, *, file_size: int) -> Statistics:
    """Counts, all of one moment."""

    def rows(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
        return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

    duration = connection.scalar(select(func.sum(tracks.c.duration)).where(_present))
    return Statistics(
        tracks=rows(tracks, _present),
        missing=rows(tracks, ~_present),
        partial=rows(tracks, _present, tracks.c.partial.is_not(None)),
        failed=rows(failures),
        recordings=rows(recordings),
        duration=float(duration or 0.0),
        folders=rows(folders),
        vectors=vector_counts(connection),
        schema_version=SCHEMA_VERSION,
        file_size=file_size,
    )


def misfits(connection: Connection) -> list[str]:
    """Rows that do not fit together, a sentence each."""
    found = []
    width = models.c.dimension
    lengths = (
        ("vectors have another length than their model makes", vectors, func.length(vectors.c.embedding) != 4 * width),
        ("sets of tag probabilities are cut off", vectors, func.length(vectors.c.tags) % 4 != 0),
        ("sets of passages are cut off", passages, func.length(passages.c.excerpts) % (8 + width) != 0),
    )
    for what, table, wrong in lengths:
        joined = select(func.count()).select_from(table.join(models)).where(wrong)
        if count := connection.scalar(joined):
            found.append(f"{count} {what}")
    return found
