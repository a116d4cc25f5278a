"""Routes: the library in two dimensions."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from soundkin.mappoints import MapPoints
from soundkin.web.failures import Refusal
from soundkin.web.jobs import jobs_of
from soundkin.web.schemas import Text
from soundkin.web.state import State, StateOf

router = APIRouter(prefix="/map", tags=["map"])

_TYPE = "application/octet-stream"


class MapStatus(BaseModel):
    """Whether there is a map."""

    state: Literal["none", "computing", "ready"] = Field(description="While it is computed, an older one may be there.")
    generation: int | None = Field(description="State of the library that the map shows; null where there is none.")
    progress: float = Field(description="Of the computing, 0 to 1.")
    points: int = Field(description="Tracks on the map that is there now.")
    error: Text | None = Field(description="Why the last computing failed, or null.")


class Legend(BaseModel):
    """What the numbers of the points stand for; 65535 stands for nothing."""

    tags: list[Text] = Field(description="Genres by the sound, the commonest first.")
    genres: list[Text] = Field(description="Genres by the files' own tags, the commonest first.")


@router.get("")
def map_status(state: StateOf) -> MapStatus:
    """Whether there is a map, and how far one is that is being computed."""
    return _status(state)


@router.post("", status_code=202)
def make_map(state: StateOf) -> MapStatus:
    """Compute the map of the library as it is now, in the background; the event `map` tells how far it is."""
    missing = [name for name in ("openTSNE", "plotly") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(
            409,
            "not-installed",
            f"the map needs {' and '.join(missing)}, which are not installed here: pip install 'soundkin[map]'",
        )
    jobs_of(state).map.start()
    return _status(state)


@router.get(
    "/points",
    response_class=Response,
    responses={200: {"content": {_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)
def map_points(state: StateOf, if_none_match: Annotated[str | None, Header(max_length=300)] = None) -> Response:
    """Every point of the map, little-endian, column by column.

    uint32 n; then n int32 ids, n float32 x, n float32 y, n uint16 places in the legend's `tags`, n uint16 places in its
    `genres`.
    """
    found = _points(state)
    headers = {"ETag": f'"{found.version}"', "Cache-Control": "no-cache"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.packed(), media_type=_TYPE, headers=headers)


@router.get("/legend")
def map_legend(state: StateOf) -> Legend:
    """What the numbers of the points stand for."""
    found = _points(state)
    return Legend(tags=list(found.tag_labels), genres=list(found.genre_labels))


def _points(state: State) -> MapPoints:
    found = state.library.map_points()
    if found is None:
        raise Refusal(404, "not-found", "there is no map of this library yet; POST /api/v1/map computes it")
    return found


def _status(state: State) -> MapStatus:
    told = jobs_of(state).map.told()
    kept = state.library.map_outline()
    return MapStatus(
        state=told["state"],
        generation=None if kept is None else kept.generation,
        progress=told["progress"],
        points=0 if kept is None else kept.tracks,
        error=told["error"],
    )
