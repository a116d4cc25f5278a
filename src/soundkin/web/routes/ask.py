"""Routes: a file that is asked about and then forgotten."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool

from soundkin.media import AnalysisWish, ReadyWish
from soundkin.modeltags import telling
from soundkin.seeds import seed_outside, tags_of
from soundkin.web.granting import granted, media_of
from soundkin.web.schemas import AskAnswer, TagValue, TrackItem
from soundkin.web.state import StateOf
from soundkin.web.uploads import file_name, receive, uploads_of

router = APIRouter(tags=["recommend"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "An audio file as it is.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/ask", openapi_extra=_BODY)
async def ask(
    request: Request,
    state: StateOf,
    x_file_name: Annotated[str | None, Header(max_length=3000, description="Percent-encoded UTF-8.")] = None,
) -> AskAnswer:
    """Hear a file that is not in the library; it is not kept, but its token is a seed for half an hour."""
    media, uploads = media_of(state), uploads_of(state)
    model = await run_in_threadpool(lambda: state.library.model)
    name = file_name(x_file_name)
    with uploads.place() as folder:
        path = folder / "upload"
        media.make(ReadyWish(model.source, model.id))  # the worker starts while the file still comes in
        await receive(request.stream(), path, limit=state.settings.max_upload)
        analysis = await granted(request, media, AnalysisWish(path, model.source, model.id))
    seed = seed_outside(analysis)
    # the name that it was sent under, at a place that is no more: nothing can be read from there by mistake
    seed = dataclasses.replace(seed, track=dataclasses.replace(seed.track, path=folder / name))
    tags = telling(tags_of(seed, model)) if model.tags and seed.tags is not None else []
    return AskAnswer(
        token=state.asked.put(seed),
        track=TrackItem.of(seed.track).model_copy(update={"has_file": False}),
        tags=[TagValue(label=tag.label, category=tag.category, probability=round(tag.probability, 4)) for tag in tags],
    )
