"""Routes: what is in the library, and finding it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from soundkin import __version__
from soundkin.modeltags import tags_like, telling
from soundkin.shelf import Found
from soundkin.web.schemas import (
    LARGEST,
    FilterText,
    GenreCount,
    GenreCounts,
    ModelName,
    Page,
    SearchPage,
    Status,
    TagCount,
    TagCounts,
    TagValue,
    TrackDetail,
    TrackItem,
    TrackList,
)
from soundkin.web.state import StateOf

router = APIRouter(tags=["find"])

Offset = Annotated[int, Query(ge=0, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=200)]
Id = Annotated[int, Path(ge=1, le=LARGEST)]
_TAGS = 8  # that a search shows at most


@router.get("/status")
def status(state: StateOf) -> Status:
    """What the page needs to know first."""
    library = state.library
    answering = library.answering
    return Status(
        version=__version__,
        tracks=len(library.shelf()),
        model=ModelName(id=answering.model.id, name=answering.model.name),
        note=answering.note,
        generation=library.catalogue.generation(),
        scanning=state.scanning,
        password=state.settings.password_hash is not None,
    )


@router.get("/search")
def search(
    state: StateOf, q: Annotated[str, Query(max_length=500)], offset: Offset = 0, limit: Limit = 20
) -> SearchPage:
    """Tracks that have every word of `q` in title, artist, album or file name, the closest first.

    A part of a word is enough; case and accents do not matter.
    """
    found = state.library.search(q, limit=limit, offset=offset)
    tags = tags_like(state.library.tag_counts(), q, limit=_TAGS)
    return SearchPage(
        items=_items(found), total=found.total, offset=offset, limit=limit, tags=[TagCount.of(one) for one in tags]
    )


@router.get("/tracks")
def tracks(
    state: StateOf,
    order: Literal["added", "title", "artist", "duration", "path"] = "title",
    only: Annotated[list[FilterText], Query(max_length=50)] = [],  # noqa: B006 - FastAPI copies it
    exclude: Annotated[list[FilterText], Query(max_length=50)] = [],  # noqa: B006
    offset: Offset = 0,
    limit: Limit = 50,
) -> Page[TrackItem]:
    """The tracks of the library in some order, the newest first for `added`; filters as for `/similar`."""
    found = state.library.browse(order=order, only=only, exclude=exclude, limit=limit, offset=offset)
    return Page(items=_items(found), total=found.total, offset=offset, limit=limit)


@router.get("/tracks/batch")
def batch(
    state: StateOf,
    ids: Annotated[str, Query(pattern=r"^[0-9]{1,15}(,[0-9]{1,15}){0,199}$", description="Up to 200, with commas.")],
) -> TrackList:
    """The tracks with these ids, in their order; ids that are not in the library are left out."""
    found = state.library.catalogue.tracks(map(int, ids.split(",")))
    return TrackList(items=[TrackItem.of(track) for track in found])


@router.get("/tags")
def tags(state: StateOf) -> TagCounts:
    """Every tag of the model that answers, and how many tracks have it."""
    return TagCounts(items=[TagCount.of(one) for one in state.library.tag_counts()])


@router.get("/genres")
def genres(state: StateOf) -> GenreCounts:
    """The genres that the files' own tags name."""
    return GenreCounts(items=[GenreCount(genre=one.genre, tracks=one.tracks) for one in state.library.shelf().genres])


@router.get("/tracks/{track_id}")
def track(state: StateOf, track_id: Id) -> TrackDetail:
    """All that is known of one track."""
    library = state.library
    found, recording = library.catalogue.track(track_id), library.catalogue.recording(track_id)
    return TrackDetail(
        **TrackItem.of(found).model_dump(),
        path=str(found.path),
        codec=recording.codec,
        container=recording.container,
        sr=recording.sr,
        channels=recording.channels,
        bit_rate=recording.bit_rate,
        album_artist=found.tags.album_artist,
        track_number=found.tags.track_number,
        disc_number=found.tags.disc_number,
        partial=found.partial,
        tags=[
            TagValue(label=tag.label, category=tag.category, probability=round(tag.probability, 4))
            for tag in telling(library.known_tags(found))
        ],
    )


def _items(found: Found) -> list[TrackItem]:
    return [TrackItem.of(track) for track in found.tracks]
