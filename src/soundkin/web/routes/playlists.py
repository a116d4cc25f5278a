"""Routes: the playlists kept in the library."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field, StringConstraints

from soundkin.catalogue import Playlist, Track
from soundkin.catalogue.playlists import LONGEST_NAME, MOST_TRACKS
from soundkin.playlist import playlist_content
from soundkin.web.schemas import LARGEST, Text, TrackId, TrackItem
from soundkin.web.state import StateOf

router = APIRouter(prefix="/playlists", tags=["playlists"])

Format = Literal["m3u8", "xspf", "jspf"]
PlaylistId = Annotated[int, InPath(ge=1, le=LARGEST)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
TrackIds = Annotated[list[TrackId], Field(max_length=MOST_TRACKS)]

_TYPES: dict[str, str] = {
    "m3u8": "application/vnd.apple.mpegurl",
    "xspf": "application/xspf+xml",
    "jspf": "application/jspf+json",
}


class PlaylistItem(BaseModel):
    """A playlist, without its tracks."""

    id: int
    name: Text
    created: float = Field(description="Seconds since 1970.")
    updated: float = Field(description="Seconds since 1970; no two versions of a list have the same.")
    count: int = Field(description="Tracks in it.")
    duration: float = Field(description="Seconds, of all its tracks.")

    @classmethod
    def of(cls, playlist: Playlist) -> Self:
        """The item of a stored playlist."""
        return cls(
            id=playlist.id,
            name=playlist.name,
            created=playlist.created,
            updated=playlist.updated,
            count=playlist.count,
            duration=round(playlist.duration, 3),
        )


class PlaylistItems(BaseModel):
    """Every playlist, that changed last first."""

    items: list[PlaylistItem]


class WholePlaylist(PlaylistItem):
    """A playlist and its tracks, in their order."""

    tracks: list[TrackItem]


class NewPlaylist(BaseModel):
    """A playlist to make."""

    name: Name
    tracks: TrackIds = Field(default=[], description="Ids in their order; a track may be there more than once.")


class PlaylistChange(BaseModel):
    """What to change of a playlist; what is left out stays."""

    name: Name | None = None
    tracks: TrackIds | None = Field(default=None, description="All its tracks, in their order.")
    updated: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="`updated` of the version that the change was made from. If the list has changed since, the answer "
        "is 409 and nothing changes.",
    )


@router.get("")
def all_playlists(state: StateOf) -> PlaylistItems:
    """Every playlist, that changed last first."""
    return PlaylistItems(items=[PlaylistItem.of(one) for one in state.library.catalogue.playlists.all()])


@router.post("", status_code=201)
def create_playlist(state: StateOf, new: NewPlaylist) -> WholePlaylist:
    """Keep a new playlist."""
    kept = state.library.catalogue.playlists.create(new.name, new.tracks)
    return _whole(*state.library.catalogue.playlists.whole(kept.id))


@router.get("/{playlist_id}")
def one_playlist(state: StateOf, playlist_id: PlaylistId) -> WholePlaylist:
    """A playlist and its tracks; those whose files are missing have `has_file` false."""
    return _whole(*state.library.catalogue.playlists.whole(playlist_id))


@router.put("/{playlist_id}")
def change_playlist(state: StateOf, playlist_id: PlaylistId, change: PlaylistChange) -> WholePlaylist:
    """Give a playlist another name, other tracks, or both."""
    playlists = state.library.catalogue.playlists
    playlists.change(playlist_id, name=change.name, track_ids=change.tracks, updated=change.updated)
    return _whole(*playlists.whole(playlist_id))


@router.delete("/{playlist_id}", status_code=204, response_class=Response)
def delete_playlist(state: StateOf, playlist_id: PlaylistId) -> None:
    """Delete a playlist; its tracks stay in the library."""
    state.library.catalogue.playlists.delete(playlist_id)


@router.get(
    "/{playlist_id}/export",
    response_class=Response,
    responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _TYPES.values()}}},
)
def export_playlist(state: StateOf, playlist_id: PlaylistId, format: Format = "m3u8") -> Response:
    """The playlist as a file for other players; it names the tracks' files by their absolute paths."""
    playlist, tracks = state.library.catalogue.playlists.whole(playlist_id)
    there = [track for track in tracks if not track.missing]
    content = playlist_content(there, format=format, title=playlist.name)
    return Response(content, media_type=_TYPES[format], headers={"Content-Disposition": _attachment(playlist, format)})


def _whole(playlist: Playlist, tracks: list[Track]) -> WholePlaylist:
    return WholePlaylist(**PlaylistItem.of(playlist).model_dump(), tracks=[TrackItem.of(track) for track in tracks])


def _attachment(playlist: Playlist, format: str) -> str:
    """The name that a browser saves the file by, plain for old ones and in UTF-8 for the others (RFC 6266)."""
    name = re.sub(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\:*?"<>|]+', "_", playlist.name).strip(". ") or "playlist"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}.{format}\"; filename*=UTF-8''{quote(name, safe='')}.{format}"
