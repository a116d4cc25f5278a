"""Routes: what is in the library, and finding it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from soundkin import __version__
from soundkin.web.schemas import LARGEST, Page, TrackItem
from soundkin.web.state import StateOf

router = APIRouter(tags=["find"])

Offset = Annotated[int, Query(ge=0, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/status")
def status(state: StateOf) -> dict[str, object]:
    """What the page needs to know first."""
    answering = state.library.answering
    return {
        "version": __version__,
        "tracks": state.library.catalogue.statistics().tracks,
        "model": {"id": answering.model.id, "name": answering.model.name},
        "note": answering.note,
        "generation": state.library.catalogue.generation(),
        "scanning": state.scanning,
        "password": state.settings.password_hash is not None,
    }


@router.get("/tracks")
def tracks(state: StateOf, offset: Offset = 0, limit: Limit = 50) -> Page[TrackItem]:
    """Tracks of the library."""
    found = state.library.catalogue.list_tracks(limit=limit, offset=offset)
    return Page(items=[TrackItem.of(track) for track in found], total=None, offset=offset, limit=limit)
