"""Routes: the sound, the picture and the wave of a track."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from soundkin.catalogue import Track
from soundkin.media import CoverWish, TimelineWish, WaveformWish, cover_size, cover_state, file_state
from soundkin.trackfiles import media_type, open_track
from soundkin.transcode import BIT_RATE, transcode
from soundkin.web.failures import Refusal
from soundkin.web.granting import granted, media_of
from soundkin.web.schemas import LARGEST, TimelineAnswer, TimelineTag, WaveformAnswer
from soundkin.web.state import State, StateOf
from soundkin.web.streaming import MADE, FileAnswer, Makers
from soundkin.web.threads import Threads, run_in

router = APIRouter(tags=["media"])

Id = Annotated[int, Path(ge=1, le=LARGEST)]
_KEEP = {"Cache-Control": "private, max-age=600"}
_CHECK = {"Cache-Control": "private, no-cache"}  # ask every time whether it is still the same
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture."},
    204: {"description": "There is none, neither in the file nor beside it."},
}
_SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/*": {}}, "description": "The sound."},
    206: {"content": {"audio/*": {}}, "description": "A part of the file."},
}


@router.get("/tracks/{track_id}/cover", response_class=Response, responses=_JPEG)
async def cover(
    request: Request, state: StateOf, track_id: Id, size: Annotated[int, Query(ge=1, le=2048)] = 384
) -> Response:
    """The cover of a track as JPEG, about `size` pixels wide; 204 where there is none."""
    wish = await run_in(Threads.FILES, _cover_wish, state, track_id, size)
    headers = {**_KEEP, "ETag": f'"{wish.content_id[:12]}-{wish.state}-{wish.size}"'}
    if headers["ETag"] in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    picture = await granted(request, media_of(state), wish)
    if not picture:  # nothing is wrong: most browsers report every 404 to whoever looks for errors
        return Response(status_code=204, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


@router.get("/tracks/{track_id}/waveform")
async def waveform(
    request: Request,
    response: Response,
    state: StateOf,
    track_id: Id,
    points: Annotated[int, Query(ge=1, le=4000)] = 800,
) -> WaveformAnswer:
    """How loud a track is, from its beginning to its end in `points` equal parts or somewhat fewer, and as a whole."""
    wish = await run_in(Threads.FILES, _waveform_wish, state, track_id)
    wave = (await granted(request, media_of(state), wish)).reduced(points)
    response.headers.update(_KEEP)
    peaks, rms = ([round(float(x), 3) for x in part] for part in (wave.peaks, wave.rms))
    return WaveformAnswer(
        duration=round(wave.duration, 3), peaks=peaks, rms=rms, loudness=wave.loudness, tempo=wave.tempo
    )


@router.get("/tracks/{track_id}/timeline")
async def timeline(request: Request, response: Response, state: StateOf, track_id: Id) -> TimelineAnswer:
    """The most prominent tags of a track over time."""
    track, model = await run_in(Threads.FILES, lambda: (_there(state, track_id), state.library.model))
    wish = TimelineWish(track.path, track.content_id, model.source, model.id)
    told = await granted(request, media_of(state), wish)
    response.headers.update(_CHECK)
    tags = [
        TimelineTag(label=tag.label, category=tag.category, probabilities=[round(float(p), 3) for p in row])
        for tag, row in zip(told.tags, told.probabilities, strict=True)
    ]
    return TimelineAnswer(window=round(told.window, 3), starts=[round(float(s), 3) for s in told.starts], tags=tags)


@router.head("/tracks/{track_id}/audio", include_in_schema=False)
@router.get("/tracks/{track_id}/audio", response_class=Response, responses=_SOUND)
async def audio(
    request: Request,
    state: StateOf,
    track_id: Id,
    form: Annotated[
        str | None, Query(alias="transcode", pattern="^mp3$", description="What a browser cannot play, as MP3.")
    ] = None,
    start: Annotated[float, Query(ge=0, le=1e7, description="Seconds; for what is transcoded.")] = 0.0,
) -> Response:
    """The file of a track, or a range of it; or its sound as MP3."""
    track, file = await run_in(Threads.FILES, _open, state, track_id)
    if form is not None:
        return await run_in(Threads.FILES, _as_mp3, state, track, file, start, request.method == "HEAD")
    status = os.fstat(file.fileno())
    etag = f'"{track.content_id[:12]}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    return FileAnswer(file, media_type=media_type(track.path, file), etag=etag, headers=_CHECK)


def _open(state: State, track_id: int) -> tuple[Track, BinaryIO]:
    catalogue = state.library.catalogue
    track = catalogue.track(track_id)
    return track, open_track(catalogue, track)


def _there(state: State, track_id: int) -> Track:
    """The track, if its file may be looked at."""
    track, file = _open(state, track_id)
    file.close()
    return track


def _cover_wish(state: State, track_id: int, size: int) -> CoverWish:
    track, file = _open(state, track_id)
    with file:
        depends = cover_state(os.fstat(file.fileno()), track.path.parent.stat())
    return CoverWish(track.path, track.content_id, cover_size(size), depends)


def _waveform_wish(state: State, track_id: int) -> WaveformWish:
    track, file = _open(state, track_id)
    with file:
        return WaveformWish(track.path, track.content_id, file_state(os.fstat(file.fileno())))


def _as_mp3(state: State, track: Track, file: BinaryIO, start: float, head: bool) -> Response:
    if start >= track.duration:
        file.close()
        raise Refusal(
            400, "bad-input", f"start must be before the end of the track, {track.duration:.1f} s, not {start}"
        )
    if head:
        file.close()
        return Response(media_type="audio/mpeg", headers=MADE)
    try:
        makers = state.part(_makers)
        return makers.answer(
            lambda: transcode(track.path, file, start=start), media_type="audio/mpeg", rate=BIT_RATE / 8
        )
    except BaseException:
        file.close()
        raise


def _makers(state: State) -> Makers:
    return Makers(state.settings.most_transcodes)
