"""Waiting for what worker processes make, without a thread, and only while the client waits too."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from fastapi import Request

from soundkin.errors import SoundkinError
from soundkin.media import Media, Wish
from soundkin.standby import CrowdedError, LostError
from soundkin.web.failures import Refusal
from soundkin.web.state import State
from soundkin.web.threads import Threads, run_in

Result = TypeVar("Result")

GONE = 499  # what nginx calls it; nobody reads it
_LOOK = 0.5  # s between two looks whether the client is still there


def media_of(state: State) -> Media:
    """What makes pictures, waves and tags over time for this application."""
    return state.part(_media)


def _media(state: State) -> Media:
    return Media(state.library.catalogue.path, time_limit=state.settings.upload_time_limit)


async def granted(request: Request, media: Media, wish: Wish[Result]) -> Result:
    """What a wish comes to, kept or made. Raises SoundkinError, or Refusal when it cannot be made in time."""
    kept = await run_in(Threads.FILES, wish.kept, media.cache)
    if kept is not None:
        return kept
    try:
        made = asyncio.wrap_future(media.make(wish))
        try:
            while not (await asyncio.wait({made}, timeout=_LOOK))[0]:
                if await request.is_disconnected():
                    raise Refusal(GONE, "gone", "nobody waits for this answer any more")
        finally:
            made.cancel()  # one that waits for its turn is not made for nobody
        result = made.result()
    except CrowdedError as error:
        raise Refusal(503, "busy", str(error), headers={"Retry-After": "5"}) from error
    except LostError as error:
        if error.why == "raised":
            raise
        raise Refusal(422, "timeout" if error.why == "timeout" else "crash", f"it cannot be read: {error}") from error
    if isinstance(result, SoundkinError):
        raise result
    return result
