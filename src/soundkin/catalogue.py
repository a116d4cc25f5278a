"""The catalogue: which files there are, what they contain, and what each model heard in them, in one SQL database.

A *track* is one file, a *recording* one content; exact copies are several tracks of one recording. Whatever was
computed belongs to the content, so a file that moves or gets new tags costs no analysis, and vectors of several
models lie side by side.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, func, select

from soundkin import __version__, schema
from soundkin.contentset import ContentSet
from soundkin.errors import InputError, LibraryCorruptError, ModelMismatchError, SeedError, UnknownNameError
from soundkin.schema import failures, folders, meta, models, recordings, tracks, vectors

if TYPE_CHECKING:  # neither may be imported here at run time: they load FFmpeg and the model runtime
    from soundkin.analysis import Analysis
    from soundkin.audio import Tags
    from soundkin.errors import AudioError
    from soundkin.model import Model

FloatArray = npt.NDArray[np.float32]

_TAG_COLUMNS = (
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
_CHUNK = 500  # ids a statement: every database bounds the number of its parameters
_ROWS = 4096  # rows fetched at a time, so that memory stays bounded


# --- what it hands out -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Track:
    """One file of the library."""

    id: int
    path: Path
    content_id: str
    duration: float
    """Seconds."""
    tags: Tags
    partial: str | None
    """Why only a part of it could be used, or None."""
    missing: bool
    """The file was gone when its folder was last scanned."""

    @property
    def title(self) -> str:
        """Title tag, or the file's name without suffix."""
        return self.tags.title or self.path.stem

    @property
    def artist(self) -> str | None:
        return self.tags.artist or self.tags.album_artist

    @property
    def album(self) -> str | None:
        return self.tags.album


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the library knows of one path; a failure, where there is one, is what came last."""

    track_id: int | None
    size: int
    mtime_ns: int
    content_id: str | None
    missing: bool
    failure: str | None
    """Kind of the failure ('not-audio', 'timeout', …), or None."""
    program_version: str | None
    """The soundkin that failed on it; None without a failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be analysed."""

    path: Path
    kind: str
    reason: str
    program_version: str
    failed_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that vectors of the library belong to; `tags` are (label, category) pairs."""

    id: str
    name: str
    version: str
    dimension: int
    tags: tuple[tuple[str, str], ...]
    vectors: int


@dataclass(frozen=True, slots=True)
class Columns:
    """What filters ask for, of every track that is not missing, in ascending order of id.

    `ids` (n,) int64, `durations` (n,) float64 seconds; the others are lists of n.
    """

    ids: npt.NDArray[np.int64]
    durations: npt.NDArray[np.float64]
    paths: list[str]
    content_ids: list[str]
    titles: list[str | None]
    artists: list[str | None]
    albums: list[str | None]
    album_artists: list[str | None]
    genres: list[str | None]
    years: list[int | None]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a library."""

    tracks: int
    """Files that answers are made of: the missing ones are not counted."""
    missing: int
    partial: int
    failed: int
    recordings: int
    """Contents, those of missing files included."""
    duration: float
    """Seconds, of all tracks that are not missing."""
    folders: int
    vectors: dict[str, int]
    """Model id: number of recordings it has heard."""
    schema_version: int
    file_size: int
    """Bytes, the write-ahead log included."""


class Outcome(StrEnum):
    """What `Catalogue.record` did with an analysis."""

    ANALYSED = "analysed"
    """New content, or known content that this model had not heard yet."""
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    """Same content, other tags."""
    MOVED = "moved"
    """The content of a file that is gone: its row, and its id, now stand for this one."""
    COPY = "copy"
    """The content of another file that is still there."""
    NEEDS_ANALYSIS = "needs-analysis"
    """The analysis left the vector out, and the library does not have it: analyse again. Nothing was stored."""


# --- the store -------------------------------------------------------------------------------------------------------


def default_path() -> Path:
    """Where the library lies when none is named: SOUNDKIN_LIBRARY, or the user's data folder."""
    if named := os.environ.get("SOUNDKIN_LIBRARY"):
        return Path(named)
    import platformdirs

    return platformdirs.user_data_path("soundkin", appauthor=False) / "library.db"


class Catalogue:
    """The open library. Make one with `Catalogue.open`; use it as a context manager, from any thread."""

    def __init__(self, path: Path, engine: sa.Engine, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        """False when it was opened on read-only media."""
        self._engine = engine
        self._writer = engine.execution_options(immediate=True)

    @classmethod
    def open(cls, path: Path | str | None = None, *, create: bool = True, busy_timeout: float = 30.0) -> Catalogue:
        """Open the library at `path` (default: `default_path()`), bringing an older one up to date.

        `busy_timeout` is how many seconds a write waits for another program's. Raises EmptyLibraryError when there
        is none and `create` is false, and a LibraryError that says why an existing one cannot be used.
        """
        place = absolute(Path(path).expanduser() if path else default_path().expanduser())
        engine, writable = schema.open_engine(place, create=create, busy_timeout=busy_timeout)
        return cls(place, engine, writable=writable)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with schema.translated(self.path), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        """One transaction that writes: all of it is stored, or nothing."""
        with schema.translated(self.path), self._writer.begin() as connection:
            yield connection

    # --- scanning ---

    def known_files(self, folder: Path) -> dict[str, KnownFile]:
        """What the library knows of the files directly in `folder`, by file name."""
        place = str(absolute(folder))
        t, f = tracks.c, failures.c
        with self._read() as connection:
            known = {
                Path(r.path).name: KnownFile(
                    r.id, r.size, r.mtime_ns, r.content_id, r.missing_since is not None, None, None
                )
                for r in connection.execute(
                    select(t.id, t.path, t.size, t.mtime_ns, t.content_id, t.missing_since).where(t.folder == place)
                )
            }
            for r in connection.execute(
                select(f.path, f.kind, f.size, f.mtime_ns, f.program_version).where(f.folder == place)
            ):
                name = Path(r.path).name
                track = known.get(name)
                known[name] = KnownFile(
                    track_id=track.track_id if track else None,
                    size=r.size,
                    mtime_ns=r.mtime_ns,
                    content_id=track.content_id if track else None,
                    missing=track.missing if track else False,
                    failure=r.kind,
                    program_version=r.program_version,
                )
        return known

    def known_folders(self, root: Path) -> set[Path]:
        """Every folder at or below `root` that holds a file the library knows, as track or as failure."""
        top = absolute(root)
        with self._read() as connection:
            names = {
                name
                for column in (tracks.c.folder, failures.c.folder)
                for name in connection.scalars(select(column).distinct())
            }
        return {folder for folder in map(Path, names) if folder.is_relative_to(top)}

    def register_model(self, model: Model) -> None:
        """Make `model` known, once, before its first vector is recorded."""
        row = {
            "name": model.name,
            "version": model.version,
            "dimension": model.space.dimension,
            "tags": json.dumps([[tag.label, tag.category] for tag in model.tags], ensure_ascii=False),
        }
        with self._read() as connection:
            if connection.execute(select(models.c.id).where(models.c.id == model.id)).first():
                return
        with self._write() as connection:
            if not connection.execute(select(models.c.id).where(models.c.id == model.id)).first():
                connection.execute(models.insert().values(id=model.id, **row))

    def contents_with_vector(self, model_id: str) -> ContentSet:
        """Identities of every content that the model has heard; compact, for worker processes."""
        with self._read() as connection:
            return ContentSet(connection.scalars(select(vectors.c.content_id).where(vectors.c.model_id == model_id)))

    def record(self, analysis: Analysis, *, size: int, mtime_ns: int) -> Outcome:
        """Store one analysed file, in one transaction; `size` (bytes) and `mtime_ns` are those of the file then.

        Raises InputError for a vector that is not finite, ModelMismatchError for one that does not fit its model.
        """
        path = absolute(analysis.info.path)
        with self._write() as connection:
            news = _store_content(connection, analysis)
            if news is None:
                return Outcome.NEEDS_ANALYSIS
            outcome, changed = _store_track(connection, analysis, path, size=size, mtime_ns=mtime_ns)
            connection.execute(failures.delete().where(failures.c.path == str(path)))
            if news or changed:
                _raise_generation(connection)
        return Outcome.ANALYSED if news and outcome in (Outcome.UNCHANGED, Outcome.UPDATED) else outcome

    def record_failure(self, error: AudioError, *, size: int, mtime_ns: int) -> None:
        """Remember that a file could not be analysed.

        A track of that path leaves the answers if the file has changed since; if it has not (a time limit on a busy
        machine), what is known of it still holds.
        """
        path = str(absolute(error.path))
        row = {
            "folder": str(Path(path).parent),
            "kind": error.kind,
            "reason": error.reason,
            "size": size,
            "mtime_ns": mtime_ns,
            "program_version": __version__,
            "failed_at": time.time(),
        }
        t = tracks.c
        with self._write() as connection:
            if not connection.execute(failures.update().where(failures.c.path == path).values(row)).rowcount:
                connection.execute(failures.insert().values(path=path, **row))
            replaced = sa.or_(t.size != size, t.mtime_ns != mtime_ns)
            gone = tracks.update().where(t.path == path, t.missing_since.is_(None), replaced)
            if connection.execute(gone.values(missing_since=time.time())).rowcount:
                _raise_generation(connection)

    def clear_failures(self, paths: Iterable[Path]) -> None:
        """Forget the failures of `paths`: the files are gone."""
        rows = [{"p": str(absolute(path))} for path in paths]
        if rows:
            with self._write() as connection:
                connection.execute(failures.delete().where(failures.c.path == bindparam("p")), rows)

    def mark_missing(self, ids: Iterable[int]) -> int:
        """Take tracks whose files are gone out of the answers; how many that changed."""
        return self._mark(ids, missing_since=time.time())

    def mark_present(self, ids: Iterable[int]) -> int:
        """Put tracks whose files are back into the answers; how many that changed."""
        return self._mark(ids, missing_since=None)

    def _mark(self, ids: Iterable[int], *, missing_since: float | None) -> int:
        column = tracks.c.missing_since
        before = column.is_not(None) if missing_since is None else column.is_(None)
        rows = [{"track": int(i)} for i in ids]
        if not rows:
            return 0
        with self._write() as connection:
            statement = tracks.update().where(tracks.c.id == bindparam("track"), before)
            changed = connection.execute(statement.values(missing_since=missing_since), rows).rowcount
            if changed:
                _raise_generation(connection)
        return changed

    def add_folder(self, folder: Path) -> None:
        """Remember that `folder` has been scanned, now."""
        place, now = str(absolute(folder)), time.time()
        with self._write() as connection:
            if not connection.execute(folders.update().where(folders.c.path == place).values(last_scan=now)).rowcount:
                connection.execute(folders.insert().values(path=place, last_scan=now))

    def folders(self) -> list[Path]:
        """The folders that were scanned, not those below them."""
        with self._read() as connection:
            return [Path(p) for p in connection.scalars(select(folders.c.path).order_by(folders.c.path))]

    def prune(self) -> int:
        """Delete the missing tracks, and what was computed for content that no file holds; how many tracks."""
        with self._write() as connection:
            deleted = connection.execute(tracks.delete().where(tracks.c.missing_since.is_not(None))).rowcount
            held = select(tracks.c.id).where(tracks.c.content_id == recordings.c.content_id).exists()
            orphans = connection.execute(recordings.delete().where(~held)).rowcount  # vectors go with them
            if deleted or orphans:
                _raise_generation(connection)
        return deleted

    # --- tracks ---

    def track(self, track_id: int) -> Track:
        """The track with that id. Raises SeedError."""
        found = self.tracks([track_id])
        if not found:
            raise SeedError(f"no track has the id {track_id}; `soundkin list` shows those there are")
        return found[0]

    def tracks(self, ids: Iterable[int]) -> list[Track]:
        """The tracks with these ids, in the order asked for; ids that are not in the library are left out."""
        wanted = [int(i) for i in ids]
        found: dict[int, Track] = {}
        with self._read() as connection:
            for chunk in _chunks(wanted):
                for row in connection.execute(_TRACKS.where(tracks.c.id.in_(chunk))):
                    found[row.id] = _track(row)
        return [found[i] for i in wanted if i in found]

    def track_by_path(self, path: Path | str) -> Track | None:
        """The track of that file, or None."""
        with self._read() as connection:
            row = connection.execute(_TRACKS.where(tracks.c.path == str(absolute(Path(path))))).first()
        return _track(row) if row else None

    def search(self, words: str, *, limit: int = 20) -> list[Track]:
        """Tracks that have every word in title, artist, album, album artist or file name; the missing ones not.

        Upper and lower case and accents are one, a part of a word is enough, and no character is special. Titles
        that are, then titles that begin with, all of `words` come first.
        """
        wanted = fold(words).split()
        if not wanted:
            return []
        column = tracks.c.search
        phrase = " ".join(wanted)
        found = _TRACKS.where(tracks.c.missing_since.is_(None))
        for word in wanted:
            found = found.where(column.contains(word, autoescape=True))
        closeness = sa.case(
            (column.startswith(phrase + "\n", autoescape=True), 0),
            (column.startswith(phrase, autoescape=True), 1),
            else_=2,
        )
        with self._read() as connection:
            return [_track(r) for r in connection.execute(found.order_by(closeness, tracks.c.id).limit(limit))]

    def list_tracks(self, *, limit: int | None = None, offset: int = 0, order: str = "id") -> list[Track]:
        """Tracks that are not missing, by 'id', 'title', 'artist', 'path', 'duration' or 'added' (newest first)."""
        with self._read() as connection:
            rows = connection.execute(_listing(order).limit(limit).offset(offset))
            return [_track(row) for row in rows]

    def iterate(self, *, order: str = "id") -> Iterator[Track]:
        """Every track that is not missing, without holding them all in memory."""
        with self._read() as connection:
            for row in connection.execution_options(yield_per=_ROWS).execute(_listing(order)):
                yield _track(row)

    def missing_tracks(self) -> list[Track]:
        """Tracks whose files were gone at the last scan."""
        with self._read() as connection:
            rows = connection.execute(_TRACKS.where(tracks.c.missing_since.is_not(None)).order_by(tracks.c.id))
            return [_track(row) for row in rows]

    def failures(self) -> list[Failure]:
        """Files that could not be analysed, by path."""
        f = failures.c
        with self._read() as connection:
            rows = connection.execute(select(f.path, f.kind, f.reason, f.program_version, f.failed_at).order_by(f.path))
            return [Failure(Path(r.path), r.kind, r.reason, r.program_version, r.failed_at) for r in rows]

    # --- what was heard ---

    def models(self) -> list[StoredModel]:
        """The models that have been registered, and how many contents each has heard."""
        with self._read() as connection:
            counts = _vector_counts(connection)
            return [
                StoredModel(
                    r.id,
                    r.name,
                    r.version,
                    r.dimension,
                    tuple((label, category) for label, category in json.loads(r.tags)),
                    counts.get(r.id, 0),
                )
                for r in connection.execute(select(models).order_by(models.c.id))
            ]

    def vectors(self, model_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """ids (n,) int64 ascending and raw embeddings (n, d) float32 of the tracks that are not missing."""
        t, v = tracks.c, vectors.c
        present = sa.and_(v.content_id == t.content_id, v.model_id == model_id, t.missing_since.is_(None))
        with self._read() as connection:
            dimension = _dimension(connection, model_id)
            count = connection.scalar(select(func.count()).select_from(tracks).where(t.missing_since.is_(None)))
            ids = np.empty(count or 0, np.int64)
            matrix = np.empty((len(ids), dimension), np.float32)
            rows = connection.execution_options(yield_per=_ROWS).execute(
                select(t.id, v.embedding).join_from(tracks, vectors, present).order_by(t.id)
            )
            n = 0
            for part in rows.partitions():
                end = n + len(part)
                ids[n:end], blobs = zip(*part, strict=True)
                matrix[n:end] = self._decode(blobs, dimension, model_id)
                n = end
        return ids[:n], matrix[:n]

    def vector(self, track_id: int, model_id: str) -> FloatArray | None:
        """Raw embedding (d,) float32 of one track; None when this model has not heard it."""
        with self._read() as connection:
            dimension = _dimension(connection, model_id)
            blob = connection.scalar(
                select(vectors.c.embedding)
                .join(tracks, tracks.c.content_id == vectors.c.content_id)
                .where(tracks.c.id == track_id, vectors.c.model_id == model_id)
            )
        return None if blob is None else self._decode([blob], dimension, model_id)[0]

    def tag_probabilities(self, model_id: str, ids: Sequence[int]) -> FloatArray:
        """(len(ids), tags of the model) float32 in [0, 1]; a row of NaN where the model has heard nothing."""
        with self._read() as connection:
            labels = connection.scalar(select(models.c.tags).where(models.c.id == model_id))
            width = len(json.loads(labels)) if labels else 0
            found: dict[int, bytes] = {}
            for chunk in _chunks([int(i) for i in ids]):
                rows = connection.execute(
                    select(tracks.c.id, vectors.c.tags)
                    .join(vectors, tracks.c.content_id == vectors.c.content_id)
                    .where(tracks.c.id.in_(chunk), vectors.c.model_id == model_id, vectors.c.tags.is_not(None))
                )
                found.update((r.id, r.tags) for r in rows)
        nothing = np.full(width, np.nan, "<f4").tobytes()
        return self._decode([found.get(int(i), nothing) for i in ids], width, model_id)

    def fingerprints(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Acoustic fingerprints by track id; tracks without one are left out."""
        found: dict[int, bytes] = {}
        with self._read() as connection:
            for chunk in _chunks([int(i) for i in ids]):
                rows = connection.execute(
                    select(tracks.c.id, recordings.c.fingerprint)
                    .join(recordings, tracks.c.content_id == recordings.c.content_id)
                    .where(tracks.c.id.in_(chunk), recordings.c.fingerprint.is_not(None))
                )
                found.update((r.id, r.fingerprint) for r in rows)
        return found

    def columns(self) -> Columns:
        """What filters ask for, of every track that is not missing, in one pass."""
        t = tracks.c
        wanted = select(
            t.id,
            recordings.c.duration,
            t.path,
            t.content_id,
            t.title,
            t.artist,
            t.album,
            t.album_artist,
            t.genre,
            t.year,
        ).join_from(tracks, recordings)
        with self._read() as connection:
            rows = connection.execute(wanted.where(t.missing_since.is_(None)).order_by(t.id)).all()
        columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(10)]
        return Columns(np.array(columns[0], np.int64), np.array(columns[1], np.float64), *columns[2:])

    def _decode(self, blobs: Sequence[bytes], dimension: int, model_id: str) -> FloatArray:
        """(len(blobs), dimension) float32. Raises LibraryCorruptError."""
        if any(len(blob) != 4 * dimension for blob in blobs):
            raise LibraryCorruptError(
                f"{self.path} holds vectors of another length than {model_id} makes ({dimension} numbers each); "
                "move it away and scan again"
            )
        return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), dimension).astype(np.float32)

    # --- the whole ---

    def generation(self) -> int:
        """A number that every change which can alter an answer raises; caches remember it."""
        with self._read() as connection:
            return int(connection.scalar(select(meta.c.value).where(meta.c.key == "generation")) or 0)

    def statistics(self) -> Statistics:
        """Counts, in a consistent view."""
        present = tracks.c.missing_since.is_(None)
        with self._read() as connection:
            count, partial, duration = connection.execute(
                select(func.count(), func.count(recordings.c.partial), func.sum(recordings.c.duration))
                .select_from(tracks.join(recordings))
                .where(present)
            ).one()

            def rows(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
                return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

            return Statistics(
                tracks=count,
                missing=rows(tracks, ~present),
                partial=partial,
                failed=rows(failures),
                recordings=rows(recordings),
                duration=float(duration or 0.0),
                folders=rows(folders),
                vectors=_vector_counts(connection),
                schema_version=schema.SCHEMA_VERSION,
                file_size=sum(p.stat().st_size for p in self._files()),
            )

    def _files(self) -> list[Path]:
        beside = (self.path, self.path.with_name(self.path.name + "-wal"))
        return [path for path in beside if path.exists()]

    def check(self) -> list[str]:
        """What is wrong with the library, a sentence each; empty when it is healthy."""
        found: list[str] = []
        v = vectors.c
        with self._read() as connection:
            # SQLite: PostgreSQL checks its own pages and keys.
            found += [
                f"damaged: {line}" for (line,) in connection.exec_driver_sql("PRAGMA quick_check") if line != "ok"
            ]
            found += [
                f"a row of {row[0]} refers to a row of {row[2]} that is not there"
                for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(10)
            ]
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if self.writable and mode != "wal":
                found.append("no write-ahead log is possible where it lies: answers wait while a scan writes")
            wrong = select(func.count()).select_from(vectors.join(models))
            for what, column, length in (
                ("vectors", v.embedding, models.c.dimension),
                ("tag probabilities", v.tags, None),
            ):
                unit = func.length(column) % 4 != 0 if length is None else func.length(column) != 4 * length
                if count := connection.scalar(wrong.where(unit)):
                    found.append(f"{count} {what} have another length than their model makes")
        return found


# --- pieces of a transaction -----------------------------------------------------------------------------------------


def _raise_generation(connection: Connection) -> None:
    connection.execute(meta.update().where(meta.c.key == "generation").values(value=meta.c.value + 1))


def _dimension(connection: Connection, model_id: str) -> int:
    dimension = connection.scalar(select(models.c.dimension).where(models.c.id == model_id))
    if dimension is None:
        known = connection.scalars(select(models.c.id).order_by(models.c.id)).all()
        raise UnknownNameError("model of this library", model_id, known)
    return int(dimension)


def _vector_counts(connection: Connection) -> dict[str, int]:
    rows = connection.execute(select(vectors.c.model_id, func.count()).group_by(vectors.c.model_id))
    return {model_id: count for model_id, count in rows}


def _store_content(connection: Connection, analysis: Analysis) -> bool | None:
    """Store the recording and its vector; is either news? None when the vector is needed and not there."""
    info, v = analysis.info, vectors.c
    here = sa.and_(v.content_id == info.content_id, v.model_id == analysis.model_id)
    stored = connection.execute(select(v.embedding, v.tags).where(here)).first()
    if analysis.vector is None:
        return None if stored is None else False
    row = _vector_row(connection, analysis)
    sound = {
        "duration": info.duration,
        "sr": info.sr,
        "channels": info.channels,
        "codec": info.codec,
        "container": info.container,
        "bit_rate": info.bit_rate,
        "partial": info.partial,
        "fingerprint": analysis.fingerprint,
        "analysed_at": time.time(),
    }
    same = recordings.update().where(recordings.c.content_id == info.content_id)
    if not connection.execute(same.values(sound)).rowcount:
        connection.execute(recordings.insert().values(content_id=info.content_id, **sound))
    if stored is None:
        connection.execute(vectors.insert().values(content_id=info.content_id, model_id=analysis.model_id, **row))
    elif stored._asdict() == row:
        return False
    else:
        connection.execute(vectors.update().where(here).values(row))
    return True


def _vector_row(connection: Connection, analysis: Analysis) -> dict[str, bytes | None]:
    """The vector and the tag probabilities as stored, after checking that they fit their model."""
    model = connection.execute(
        select(models.c.dimension, models.c.tags).where(models.c.id == analysis.model_id)
    ).first()
    if model is None:
        raise ModelMismatchError(f"{analysis.model_id} is not registered in this library: register_model comes first")
    row: dict[str, bytes | None] = {}
    for name, values, length in (
        ("embedding", analysis.vector, model.dimension),
        ("tags", analysis.tags, len(json.loads(model.tags))),
    ):
        if values is None:
            row[name] = None
            continue
        if values.shape != (length,):
            raise ModelMismatchError(
                f"{name} of {analysis.model_id} have the shape ({length},), not {values.shape}: {analysis.info.path}"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite numbers; those of {analysis.info.path} are not")
        row[name] = values.astype("<f4").tobytes()
    return row


def _store_track(
    connection: Connection, analysis: Analysis, path: Path, *, size: int, mtime_ns: int
) -> tuple[Outcome, bool]:
    """Store the file; what that was, and could an answer change by it?"""
    info, t = analysis.info, tracks.c
    tags = {name: getattr(info.tags, name) for name in _TAG_COLUMNS}
    row = {
        **tags,
        "path": str(path),
        "folder": str(path.parent),
        "content_id": info.content_id,
        "search": "\n".join(
            fold(part or "")
            for part in (tags["title"] or path.stem, tags["artist"], tags["album"], tags["album_artist"], path.stem)
        ),
        "size": size,
        "mtime_ns": mtime_ns,
        "scanned_at": time.time(),
        "missing_since": None,
    }
    old = connection.execute(select(tracks).where(t.path == str(path))).first()
    if old is not None:
        connection.execute(tracks.update().where(t.id == old.id).values(row))
        if old.content_id != info.content_id:
            return Outcome.ANALYSED, True
        if any(getattr(old, name) != value for name, value in tags.items()):
            return Outcome.UPDATED, True
        return Outcome.UNCHANGED, old.missing_since is not None
    others = connection.execute(
        select(t.id, t.path, t.missing_since).where(t.content_id == info.content_id).order_by(t.id)
    ).all()
    gone = [r for r in others if r.missing_since is not None or not _still_there(Path(r.path), path)]
    if gone:
        moved = min(gone, key=lambda r: Path(r.path).name != path.name)
        connection.execute(tracks.update().where(t.id == moved.id).values(row))
        return Outcome.MOVED, True
    connection.execute(tracks.insert().values(row))
    return (Outcome.COPY if others else Outcome.ANALYSED), True


def _still_there(old: Path, new: Path) -> bool:
    """Is `old` a file beside `new`, rather than its former name?"""
    try:
        if old.parent == new.parent and fold(old.name) == fold(new.name):
            # Where upper and lower case are one (Windows, macOS), a file renamed from 'a' to 'A' still answers to
            # both; the folder's listing knows only one of them.
            return old in old.parent.iterdir()
        return old.exists()
    except OSError:  # not to be seen does not mean gone
        return True


# --- rows ------------------------------------------------------------------------------------------------------------

_TRACKS = select(
    tracks.c.id,
    tracks.c.path,
    tracks.c.content_id,
    tracks.c.missing_since,
    *(tracks.c[name] for name in _TAG_COLUMNS),
    recordings.c.duration,
    recordings.c.partial,
).join_from(tracks, recordings)

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
    "duration": (recordings.c.duration,),
    "added": (tracks.c.id.desc(),),
}


def _listing(order: str) -> sa.Select[Any]:
    if order not in _ORDERS:
        raise UnknownNameError("order", order, _ORDERS)
    return _TRACKS.where(tracks.c.missing_since.is_(None)).order_by(*_ORDERS[order], tracks.c.id)


def _track(row: Any) -> Track:
    from soundkin.audio import Tags

    return Track(
        id=row.id,
        path=Path(row.path),
        content_id=row.content_id,
        duration=row.duration,
        tags=Tags(**{name: getattr(row, name) for name in _TAG_COLUMNS}),
        partial=row.partial,
        missing=row.missing_since is not None,
    )


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def absolute(path: Path) -> Path:
    """`path` made absolute, without resolving links: one file, one spelling. Raises InputError."""
    if "\0" in str(path):
        raise InputError(f"a path holds no NUL character: {str(path)!r}")
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links)


_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})


def fold(text: str) -> str:
    """`text` as it is searched: lower case, without accents, and one kind of space."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(kept.translate(_PLAIN).split())
