"""`Catalogue`, the open library: each method is one transaction."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, select

from soundkin.catalogue import database, heard, passages, reading, schema, writing
from soundkin.catalogue.heard import Unheard
from soundkin.catalogue.playlists import Playlists
from soundkin.catalogue.records import (
    Columns,
    Failure,
    KnownFile,
    Outcome,
    Recording,
    ShelfRow,
    Statistics,
    StoredModel,
    Track,
)
from soundkin.catalogue.schema import absolute
from soundkin.catalogue.songmaps import SongMaps
from soundkin.contentset import ContentSet
from soundkin.errors import SeedError
from soundkin.excerpts import Passages

if TYPE_CHECKING:  # both load FFmpeg or the model runtime
    from soundkin.analysis import Analysis
    from soundkin.errors import AudioError
    from soundkin.model import Model

FloatArray = npt.NDArray[np.float32]


def default_path() -> Path:
    """Where the library lies when none is named: SOUNDKIN_LIBRARY, or the user's data folder."""
    if named := os.environ.get("SOUNDKIN_LIBRARY"):
        return Path(named)
    import platformdirs

    return platformdirs.user_data_path("soundkin", appauthor=False) / "library.db"


class Catalogue:
    """The open library, a context manager; threads may share it.

    Every method may raise a LibraryError that names the file, the rule and the way out.
    """

    def __init__(self, path: Path, engine: sa.Engine, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        """False when it lies on read-only media."""
        self._engine = engine
        self._writer = engine.execution_options(immediate=True)
        self._open = threading.local()  # the connection that this thread reads with, while `reading`
        self.playlists = Playlists(self._read, self._write)
        self.song_maps = SongMaps(self._read, self._write)

    @classmethod
    def open(cls, path: Path | str | None = None, *, create: bool = True, busy_timeout: float = 30.0) -> Catalogue:
        """Open the library at `path` (default: `default_path()`), and bring an older one up to date.

        `busy_timeout` is for how many seconds a write waits for another program's. Raises EmptyLibraryError when
        there is none and `create` is false.
        """
        place = absolute(Path(path if path is not None else default_path()).expanduser())
        engine, writable = database.open_engine(place, create=create, busy_timeout=busy_timeout)
        return cls(place, engine, writable=writable)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """What this thread reads within is one state of the library. Nothing may be written within.

        Many short questions cost half: each would take a connection and begin a transaction.
        """
        with self._read() as connection:
            before, self._open.connection = getattr(self._open, "connection", None), connection
            try:
                yield
            finally:
                self._open.connection = before

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        connection: Connection | None = getattr(self._open, "connection", None)
        with database.translated(self.path):
            if connection is not None:
                yield connection
                return
            with self._engine.begin() as connection:
                yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with database.translated(self.path), self._writer.begin() as connection:
            yield connection

    # --- scanning ---

    def known_files(self, folder: Path) -> dict[str, KnownFile]:
        """What the library knows of the files directly in `folder`, by file name."""
        with self._read() as connection:
            return reading.known_files(connection, absolute(folder))

    def known_folders(self, root: Path) -> set[Path]:
        """Every folder at or below `root` that directly holds a file the library knows, as track or as failure."""
        with self._read() as connection:
            return reading.known_folders(connection, absolute(root))

    def register_model(self, model: Model) -> None:
        """Make `model` known; must come before its first `record`."""
        with self._read() as connection:
            if heard.is_registered(connection, model):
                return
        with self._write() as connection:
            heard.register(connection, model)

    def contents_with_vector(self, model_id: str) -> ContentSet:
        """Identities of every content that the model has heard; compact, for worker processes."""
        contents = select(schema.vectors.c.content_id).where(schema.vectors.c.model_id == model_id)
        with self._read() as connection:
            return ContentSet(connection.scalars(contents))

    def count_unheard(self, model_id: str) -> int:
        """How many recordings that model has still to hear; those of missing and of failed files are left out."""
        with self._read() as connection:
            return heard.count_unheard(connection, model_id)

    def iterate_unheard(self, model_id: str, *, page: int = 200) -> Iterator[Unheard]:
        """The tracks that model has still to hear, by id, as the library is when each `page` of them is read."""
        after = -1
        while True:
            with self._read() as connection:
                found = heard.unheard(connection, model_id, after=after, limit=page)
            if not found:
                return
            yield from found
            after = found[-1].track_id

    def record(self, analysis: Analysis, *, size: int, mtime_ns: int) -> Outcome:
        """Store one analysed file, all of it or nothing; `size` (bytes) and `mtime_ns` are what the file had then.

        Raises InputError for a vector that is not finite, and ModelMismatchError for one that does not fit its model.
        """
        path = absolute(analysis.info.path)
        with self._write() as connection:
            return writing.store_analysis(connection, analysis, path=path, size=size, mtime_ns=mtime_ns)

    def record_failure(self, error: AudioError, *, size: int, mtime_ns: int) -> None:
        """Remember that a file could not be analysed.

        A track of that path leaves the answers if the file has changed since it was analysed. If it has not (a time
        limit on a busy machine), what is known of it still holds.
        """
        path = absolute(error.path)
        with self._write() as connection:
            writing.store_failure(connection, error, path=path, size=size, mtime_ns=mtime_ns)

    def clear_failures(self, paths: Iterable[Path]) -> None:
        """Forget the failures of `paths`, whose files are gone."""
        rows = [{"p": str(absolute(path))} for path in paths]
        if rows:
            with self._write() as connection:
                f = schema.failures
                connection.execute(f.delete().where(f.c.path == bindparam("p")), rows)

    def mark_missing(self, ids: Iterable[int]) -> int:
        """Take tracks whose files are gone out of the answers; how many were not out before."""
        return self._mark(ids, missing_since=time.time())

    def mark_present(self, ids: Iterable[int]) -> int:
        """Put tracks whose files are back into the answers; how many were not in before."""
        return self._mark(ids, missing_since=None)

    def _mark(self, ids: Iterable[int], *, missing_since: float | None) -> int:
        rows = [{"track": int(i)} for i in ids]
        if not rows:
            return 0
        t = schema.tracks
        other = t.c.missing_since.is_not(None) if missing_since is None else t.c.missing_since.is_(None)
        update = t.update().where(t.c.id == bindparam("track"), other).values(missing_since=missing_since)
        with self._write() as connection:
            changed = connection.execute(update, rows).rowcount
            if changed:
                writing.raise_generation(connection)
        return changed

    def add_folder(self, folder: Path) -> None:
        """Remember that `folder` has been scanned, now."""
        place, now, f = str(absolute(folder)), time.time(), schema.folders
        with self._write() as connection:
            if not connection.execute(f.update().where(f.c.path == place).values(last_scan=now)).rowcount:
                connection.execute(f.insert().values(path=place, last_scan=now))

    def folders(self) -> list[Path]:
        """The folders that were scanned, not those below them."""
        column = schema.folders.c.path
        with self._read() as connection:
            return [Path(path) for path in connection.scalars(select(column).order_by(column))]

    def last_scans(self) -> dict[Path, float]:
        """When each of `folders` was scanned last, in seconds since 1970."""
        f = schema.folders.c
        with self._read() as connection:
            rows = connection.execute(select(f.path, f.last_scan).order_by(f.path))
            return {Path(path): last_scan for path, last_scan in rows}

    def prune(self) -> int:
        """Delete the missing tracks, and what was computed for content that no file holds; how many tracks.

        Folders that are no longer there are no longer scanned either.
        """
        folders_gone = [folder for folder in self.folders() if not folder.exists()]
        t, r = schema.tracks, schema.recordings
        held = select(t.c.id).where(t.c.content_id == r.c.content_id).exists()
        with self._write() as connection:
            deleted = connection.execute(t.delete().where(t.c.missing_since.is_not(None))).rowcount
            connection.execute(r.delete().where(~held))  # their vectors go with them
            for folder in folders_gone:
                connection.execute(schema.folders.delete().where(schema.folders.c.path == str(folder)))
            if deleted:
                writing.raise_generation(connection)
        return deleted

    # --- tracks ---

    def track(self, track_id: int) -> Track:
        """The track with that id. Raises SeedError."""
        found = self.tracks([track_id])
        if not found:
            raise _no_track(track_id)
        return found[0]

    def tracks(self, ids: Iterable[int]) -> list[Track]:
        """The tracks with these ids, in the order asked for; ids that are not in the library are left out."""
        wanted = [int(i) for i in ids]
        with self._read() as connection:
            return reading.tracks_by_id(connection, wanted)

    def track_by_path(self, path: Path | str) -> Track | None:
        """The track of that file, or None."""
        with self._read() as connection:
            return reading.track_by_path(connection, absolute(Path(path)))

    def search(self, words: str, *, limit: int = 20) -> list[Track]:
        """Tracks that have every word in title, artist, album, album artist or file name; the missing ones not.

        Upper and lower case are one, so are letters with and without accents; a part of a word is enough, and no
        character is special. Titles that are, then titles that begin with, all of `words` come first.
        """
        with self._read() as connection:
            return reading.search(connection, words, limit=limit)

    def list_tracks(self, *, limit: int | None = None, offset: int = 0, order: str = "id") -> list[Track]:
        """Tracks that are not missing, by 'id', 'title', 'artist', 'path', 'duration' or 'added' (newest first)."""
        with self._read() as connection:
            return list(reading.list_tracks(connection, order=order, limit=limit, offset=offset))

    def iterate(self, *, order: str = "id") -> Iterator[Track]:
        """Every track that is not missing, without holding them all in memory."""
        with self._read() as connection:
            yield from reading.list_tracks(connection, order=order)

    def missing_tracks(self) -> list[Track]:
        """Tracks whose files were gone at the last scan."""
        with self._read() as connection:
            return reading.missing_tracks(connection)

    def failures(self, *, limit: int | None = None, offset: int = 0) -> list[Failure]:
        """Files that could not be analysed, by path."""
        with self._read() as connection:
            return reading.list_failures(connection, limit=limit, offset=offset)

    def count_failures(self) -> int:
        """How many files could not be analysed."""
        with self._read() as connection:
            return reading.count_failures(connection)

    def columns(self) -> Columns:
        """What filters ask for, of every track that is not missing, in one pass."""
        with self._read() as connection:
            return reading.columns(connection)

    def shelf_rows(self) -> list[ShelfRow]:
        """What searching and browsing ask of every track that is not missing, in one pass, about by its text."""
        with self._read() as connection:
            return reading.shelf_rows(connection)

    def ids_by_path(self) -> npt.NDArray[np.int64]:
        """(n,) int64: every track that is not missing, by its path."""
        with self._read() as connection:
            return reading.ids_by_path(connection)

    def recording(self, track_id: int) -> Recording:
        """How a track is encoded. Raises SeedError for one that is not in the library."""
        with self._read() as connection:
            found = reading.recording_of(connection, int(track_id))
        if found is None:
            raise _no_track(track_id)
        return found

    # --- what was heard ---

    def models(self, *, counted: bool = True) -> list[StoredModel]:
        """The models that were registered, and, if `counted`, how many recordings each has heard."""
        with self._read() as connection:
            return heard.list_models(connection, counted=counted)

    def knows_model(self, model_id: str) -> bool:
        """Was the model of that id registered?"""
        with self._read() as connection:
            return heard.is_known(connection, model_id)

    def tracks_heard(self) -> dict[str, int]:
        """Model id: number of tracks that are not missing and that it has heard."""
        with self._read() as connection:
            return heard.tracks_heard(connection)

    def is_behind(self, model_id: str) -> bool:
        """Has another model heard a track that this one has not? Missing tracks and those that failed do not count."""
        with self._read() as connection:
            return heard.is_behind(connection, model_id)

    def forget_model(self, model_id: str) -> int:
        """Delete a model and all that it heard; how many recordings that was. Raises UnknownNameError."""
        with self._write() as connection:
            count = heard.forget(connection, model_id)
            writing.raise_generation(connection)
        return count

    def vectors(self, model_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """ids (n,) int64 ascending and raw embeddings (n, d) float32 of the tracks that are not missing.

        Raises UnknownNameError for a model that was never registered.
        """
        with self._read() as connection:
            return reading.all_vectors(connection, model_id)

    def vector(self, track_id: int, model_id: str) -> FloatArray | None:
        """Raw embedding (d,) float32 of one track; None when that model has not heard it."""
        with self._read() as connection:
            return reading.one_vector(connection, int(track_id), model_id)

    def tag_probabilities(self, model_id: str, ids: Iterable[int]) -> FloatArray:
        """(number of ids, tags of the model) float32 in [0, 1]; a row of NaN where that model has heard nothing."""
        wanted = [int(i) for i in ids]
        with self._read() as connection:
            return reading.tag_probabilities(connection, model_id, wanted)

    def all_tags(self, model_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """ids (n,) int64 ascending and tag probabilities (n, labels) float32 of the tracks that have any.

        Missing tracks are left out. In one pass, for a whole library.
        """
        with self._read() as connection:
            return reading.all_tags(connection, model_id)

    def passages(self, model_id: str, ids: Iterable[int]) -> dict[int, Passages]:
        """What that model heard, excerpt by excerpt, by track id; tracks of which it is not known are left out.

        The vectors are as the model gave them, but for their rounding: at most 1/254 of the largest number of each.
        """
        wanted = [int(i) for i in ids]
        with self._read() as connection:
            return passages.read_passages(connection, model_id, wanted)

    def fingerprints(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Acoustic fingerprints by track id; tracks without one are left out."""
        wanted = [int(i) for i in ids]
        with self._read() as connection:
            return reading.fingerprints(connection, wanted)

    # --- the whole ---

    def generation(self) -> int:
        """A number that every change which can alter an answer raises; caches remember it."""
        with self._read() as connection:
            return reading.generation(connection)

    def statistics(self) -> Statistics:
        """Counts, all of one moment."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        with self._read() as connection:
            return reading.statistics(connection, file_size=size)

    def check(self) -> list[str]:
        """What is wrong with the library, a sentence each; empty when it is healthy."""
        with self._read() as connection:
            found = [*database.damage(connection), *reading.misfits(connection)]
            if self.writable and database.journal_mode(connection) != "wal":
                found.append("no write-ahead log is possible where it lies: answers wait while a scan writes")
        return found


def _no_track(track_id: int) -> SeedError:
    return SeedError(f"no track has the id {track_id}; `soundkin list` shows those there are")
