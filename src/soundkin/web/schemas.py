"""What the API says, as pydantic models. Text is exactly that of the tags: whoever shows it escapes it."""

from __future__ import annotations

from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, Field

from soundkin.catalogue import Track

Item = TypeVar("Item")

LARGEST = 2**53 - 1  # the largest integer that JavaScript holds


def printable(text: object) -> object:
    """`text` as UTF-8 can carry it: the bytes of names that are not UTF-8 become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(printable)]
TrackId = Annotated[int, Field(ge=1, le=LARGEST)]


# --- failures -----------------------------------------------------------------------------------------------------


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="A stable word, such as not-found.")
    message: Text = Field(description="A sentence for people.")
    candidates: list[int] = Field(default=[], description="Ids of the tracks that an ambiguous seed may have meant.")


class ErrorBody(BaseModel):
    """The one shape of every answer that is no answer."""

    error: ErrorDetail


# --- tracks -------------------------------------------------------------------------------------------------------


class Page(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    total: int | None = Field(description="How many there are in all; null where that is not known.")
    offset: int
    limit: int


class TrackItem(BaseModel):
    """A track, as lists show it."""

    id: int = Field(description="0 for a file that is not in the library.")
    title: Text
    artist: Text | None
    album: Text | None
    year: int | None
    genre: Text | None
    duration: float = Field(description="Seconds.")
    has_file: bool = Field(description="Was its file there at the last scan, so that it can be played?")

    @classmethod
    def of(cls, track: Track) -> Self:
        """The item of a track of the library."""
        return cls(
            id=track.id,
            title=track.title,
            artist=track.artist,
            album=track.album,
            year=track.tags.year,
            genre=track.tags.genre,
            duration=round(track.duration, 3),
            has_file=not track.missing,
        )


class TrackList(BaseModel):
    """Tracks, all that were asked for."""

    items: list[TrackItem]


class TagValue(BaseModel):
    """A tag of the model, and how probable it is for a song."""

    label: Text
    category: Text
    probability: float


class TagCount(BaseModel):
    """A tag of the model, and how many tracks have it."""

    label: Text
    category: Text
    tracks: int
