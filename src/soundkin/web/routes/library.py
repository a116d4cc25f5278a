"""Routes: folders, scans, failures, models, and what happens."""

from __future__ import annotations

import os
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from soundkin.catalogue import Failure, Statistics
from soundkin.web.events import MOST_LISTENERS
from soundkin.web.failures import Refusal
from soundkin.web.jobs import jobs_of
from soundkin.web.schemas import LARGEST, Page, Text
from soundkin.web.state import State, StateOf
from soundkin.web.threads import Threads, run_in

router = APIRouter(tags=["library"])

Offset = Annotated[int, Query(ge=0, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=200)]


class FolderItem(BaseModel):
    """A folder that is scanned, with all that is in it."""

    path: Text
    last_scan: float = Field(description="Seconds since 1970.")
    there: bool = Field(description="Is it there now?")


class Numbers(BaseModel):
    """Counts of the library."""

    tracks: int
    missing: int = Field(description="Tracks whose files were gone at the last scan.")
    partial: int = Field(description="Tracks of which only a part could be heard.")
    recordings: int
    duration: float = Field(description="Seconds, of all tracks.")
    file_size: int = Field(description="Bytes, of the library itself.")

    @classmethod
    def of(cls, statistics: Statistics) -> Self:
        """As the library counts."""
        return cls(
            tracks=statistics.tracks,
            missing=statistics.missing,
            partial=statistics.partial,
            recordings=statistics.recordings,
            duration=round(statistics.duration, 1),
            file_size=statistics.file_size,
        )


class ModelItem(BaseModel):
    """A model that the library knows."""

    id: Text
    name: Text
    version: Text
    tracks: int = Field(description="How many it has heard.")
    answering: bool = Field(description="Is it the one that answers?")


class ScanProgressItem(BaseModel):
    """How far a scan is; the event `scan` is this."""

    phase: str = Field(description="looking, listening, listening again (with a new model), or tidying.")
    done: int = Field(description="Files found while looking, then tracks dealt with.")
    total: int = Field(description="Tracks to listen to.")
    failures: int
    current: Text | None = Field(description="The folder or file that was last looked at.")
    rate: float | None = Field(description="Tracks a minute.")
    eta: float | None = Field(description="Seconds left.")


class ScanEnd(BaseModel):
    """What a scan did; the event `scan-ended` is this. With an error the counts are 0."""

    error: Text | None = Field(default=None, description="Why it ended before its time, or null.")
    stopped: bool = Field(default=False, description="Was it told to stop?")
    found: int = 0
    analysed: int = 0
    unchanged: int = 0
    retagged: int = 0
    moved: int = 0
    copied: int = 0
    returned: int = 0
    reheard: int = 0
    missing: int = 0
    partial: int = 0
    failed: int = 0
    unreadable_folders: list[Text] = []
    empty_folders: list[Text] = []
    seconds: float = 0.0


class LibraryStatus(BaseModel):
    """What is in the library, and what happens to it."""

    folders: list[FolderItem]
    statistics: Numbers
    models: list[ModelItem]
    failures: int = Field(description="Files that could not be analysed.")
    scan: ScanProgressItem | None = Field(description="How far a scan is; null while none runs.")
    last_scan: ScanEnd | None = Field(description="What the last scan of this service did.")


class FailureItem(BaseModel):
    """A file that could not be analysed."""

    path: Text
    kind: str = Field(description="A stable word: not-audio, too-short, …")
    reason: Text

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """As the library remembers it."""
        return cls(path=str(failure.path), kind=failure.kind, reason=failure.reason)


class ScanRequest(BaseModel):
    """What to scan."""

    folders: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        default=[],
        max_length=100,
        description="Whole paths; none: every folder that the library knows. A service that other computers can reach "
        "scans only folders that the library knows, and what is in them.",
    )


class ScanStarted(BaseModel):
    """A scan has begun."""

    folders: list[Text]


@router.get("/library")
async def library_status(state: StateOf) -> LibraryStatus:
    """Folders, numbers, models, and what a scan is doing."""
    return await run_in(Threads.FILES, _library_status, state)


def _library_status(state: State) -> LibraryStatus:
    catalogue, jobs = state.library.catalogue, jobs_of(state)
    statistics, heard, answering = catalogue.statistics(), catalogue.tracks_heard(), state.library.model.id
    return LibraryStatus(
        folders=[
            FolderItem(path=str(path), last_scan=last_scan, there=os.path.isdir(path))  # noqa: PTH112 - never raises
            for path, last_scan in catalogue.last_scans().items()
        ],
        statistics=Numbers.of(statistics),
        models=[
            ModelItem(
                id=one.id,
                name=one.name,
                version=one.version,
                tracks=heard.get(one.id, 0),
                answering=one.id == answering,
            )
            for one in catalogue.models(counted=False)
        ],
        failures=statistics.failed,
        scan=None if jobs.scanning is None else ScanProgressItem(**jobs.scanning),
        last_scan=None if jobs.last_report is None else ScanEnd(**jobs.last_report),
    )


@router.get("/library/failures")
def library_failures(state: StateOf, offset: Offset = 0, limit: Limit = 50) -> Page[FailureItem]:
    """The files that could not be analysed, by path."""
    catalogue = state.library.catalogue
    found = [FailureItem.of(one) for one in catalogue.failures(limit=limit, offset=offset)]
    return Page(items=found, total=catalogue.count_failures(), offset=offset, limit=limit)


@router.post("/library/scan", status_code=202)
async def start_scan(state: StateOf, wanted: ScanRequest) -> ScanStarted:
    """Bring the library up to date with some folders, in the background; the events `scan` tell how far it is."""
    folders = await run_in(Threads.FILES, jobs_of(state).start_scan, wanted.folders)
    return ScanStarted(folders=[str(path) for path in folders])


@router.delete("/library/scan", status_code=204, response_class=Response)
def stop_scan(state: StateOf) -> None:
    """Let the scan end with what it has; the next one goes on from there."""
    if not jobs_of(state).stop_scan():
        raise Refusal(404, "not-found", "no scan runs")


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(state: StateOf) -> StreamingResponse:
    """What happens, as Server-Sent Events, until the client has enough.

    `scan` tells how far a scan is and `scan-ended` what it did, `map` the state of the map, `changed` the generation
    when what was read before may be out of date. Each begins with the present state.
    """
    jobs = jobs_of(state)
    if len(jobs.events) >= MOST_LISTENERS:
        raise Refusal(503, "crowded", f"{MOST_LISTENERS} pages listen already; close some of them")
    stream = jobs.events.listen(first=jobs.current, stop=state.stopping.is_set)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
