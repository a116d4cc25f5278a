"""Playlists kept in the library: a name, and tracks in an order; a track that is pruned leaves them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from soundkin.catalogue import reading
from soundkin.catalogue.database import Transaction
from soundkin.catalogue.records import Track
from soundkin.catalogue.schema import playlist_rows, playlists, tracks
from soundkin.errors import InputError, PlaylistChangedError, SeedError, UnknownPlaylistError

MOST_TRACKS = 10_000
"""Rows that one playlist may have: some four weeks of music."""
LONGEST_NAME = 200
"""Characters."""


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist of the library, without its rows."""

    id: int
    name: str
    created: float
    """Seconds since 1970, as `updated`."""
    updated: float
    """When it was changed last; no two versions of it have the same."""
    count: int
    """Rows; those of missing tracks count."""
    duration: float
    """Seconds, of all rows."""


class Playlists:
    """The playlists of an open library; each method is one transaction. `Catalogue.playlists` has it."""

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read, self._write = read, write

    def all(self) -> list[Playlist]:
        """Every playlist, that changed last first."""
        with self._read() as connection:
            return _find(connection)

    def get(self, playlist_id: int) -> Playlist:
        """The playlist with that id. Raises UnknownPlaylistError."""
        with self._read() as connection:
            return _one(connection, playlist_id)

    def tracks(self, playlist_id: int) -> list[Track]:
        """Its tracks in their order, the missing ones too. Raises UnknownPlaylistError."""
        with self._read() as connection:
            return self._tracks(connection, playlist_id)

    def whole(self, playlist_id: int) -> tuple[Playlist, list[Track]]:
        """The playlist and its tracks, of one moment. Raises UnknownPlaylistError."""
        with self._read() as connection:
            return _one(connection, playlist_id), self._tracks(connection, playlist_id)

    def create(self, name: str, track_ids: Sequence[int] = ()) -> Playlist:
        """A new playlist; other lists may have the same name, and a track may be in it more than once.

        Raises InputError for a name or a length that cannot be, SeedError for a track that the library does not have.
        """
        row = {"name": _checked_name(name), "created": time.time(), "updated": time.time()}
        with self._write() as connection:
            playlist_id = connection.execute(playlists.insert().returning(playlists.c.id), row).scalar_one()
            _put(connection, playlist_id, track_ids)
            return _one(connection, playlist_id)

    def change(
        self,
        playlist_id: int,
        *,
        name: str | None = None,
        track_ids: Sequence[int] | None = None,
        updated: float | None = None,
    ) -> Playlist:
        """Give a playlist another name, other tracks, or both; None leaves what is there.

        `updated` is that of the version the change was made from: where the list has changed since,
        PlaylistChangedError is raised. Without it the change is made whatever came between. Raises
        UnknownPlaylistError, and what `create` does.
        """
        with self._write() as connection:
            old = _one(connection, playlist_id)
            if updated is not None and updated != old.updated:
                raise PlaylistChangedError(
                    f"the playlist {old.name!r} was changed elsewhere since this version of it was read; read it "
                    "again, and then change it"
                )
            row: dict[str, Any] = {"updated": max(time.time(), math.nextafter(old.updated, math.inf))}
            if name is not None:
                row["name"] = _checked_name(name)
            connection.execute(playlists.update().where(playlists.c.id == playlist_id).values(row))
            if track_ids is not None:
                _put(connection, playlist_id, track_ids)
            return _one(connection, playlist_id)

    def delete(self, playlist_id: int) -> None:
        """Delete a playlist; its tracks stay in the library. Raises UnknownPlaylistError."""
        with self._write() as connection:
            if not connection.execute(playlists.delete().where(playlists.c.id == playlist_id)).rowcount:
                raise _unknown(playlist_id)

    def _tracks(self, connection: Connection, playlist_id: int) -> list[Track]:
        r = playlist_rows.c
        ids = connection.scalars(select(r.track_id).where(r.playlist_id == playlist_id).order_by(r.position)).all()
        if not ids:
            _one(connection, playlist_id)
        found = {track.id: track for track in reading.tracks_by_id(connection, list(dict.fromkeys(ids)))}
        return [found[i] for i in ids]


def _find(connection: Connection, *where: sa.ColumnElement[bool]) -> list[Playlist]:
    p, r = playlists.c, playlist_rows.c
    found = (
        select(*p, func.count(r.track_id).label("rows"), func.sum(tracks.c.duration).label("duration"))
        .select_from(playlists.outerjoin(playlist_rows).outerjoin(tracks))
        .where(*where)
        .group_by(*p)
        .order_by(p.updated.desc(), p.id.desc())
    )
    rows = connection.execute(found)
    return [Playlist(row.id, row.name, row.created, row.updated, row.rows, row.duration or 0.0) for row in rows]


def _one(connection: Connection, playlist_id: int) -> Playlist:
    found = _find(connection, playlists.c.id == playlist_id)
    if not found:
        raise _unknown(playlist_id)
    return found[0]


def _unknown(playlist_id: int) -> UnknownPlaylistError:
    return UnknownPlaylistError(f"the library has no playlist with the id {playlist_id}; it may have been deleted")


def _put(connection: Connection, playlist_id: int, track_ids: Sequence[int]) -> None:
    """Make `track_ids` the rows of a playlist, in place of those there are."""
    if len(track_ids) > MOST_TRACKS:
        raise InputError(f"a playlist has {MOST_TRACKS:,} tracks at most, not {len(track_ids):,}")
    _refuse_unknown(connection, sorted(set(track_ids)))
    connection.execute(playlist_rows.delete().where(playlist_rows.c.playlist_id == playlist_id))
    rows = [
        {"playlist_id": playlist_id, "position": position, "track_id": track_id}
        for position, track_id in enumerate(track_ids)
    ]
    if rows:
        connection.execute(playlist_rows.insert(), rows)


def _refuse_unknown(connection: Connection, ids: Sequence[int]) -> None:
    known: set[int] = set()
    for chunk in reading.in_chunks(ids):
        known.update(connection.scalars(select(tracks.c.id).where(tracks.c.id.in_(chunk))))
    if unknown := [i for i in ids if i not in known]:
        more = f", nor {len(unknown) - 1:,} others" if len(unknown) > 1 else ""
        raise SeedError(f"no track has the id {unknown[0]}{more}; a playlist holds tracks of the library")


def _checked_name(name: str) -> str:
    kept = " ".join(name.split())
    if not kept or len(kept) > LONGEST_NAME or "\0" in kept:
        raise InputError(f"the name of a playlist has 1 to {LONGEST_NAME} characters, none of them NUL; not {name!r}")
    return kept
