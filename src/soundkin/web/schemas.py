"""What the API says, as pydantic models. Text is exactly that of the tags: whoever shows it escapes it."""

from __future__ import annotations

from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from soundkin.catalogue import Track
from soundkin.modeltags import TagCount as KnownTagCount
from soundkin.recommend import Recommendation

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
    folder: Text | None = Field(description="Name of its file's folder; null for a file that is not in the library.")
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
            folder=track.path.parent.name if track.id else None,
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

    @classmethod
    def of(cls, count: KnownTagCount) -> Self:
        """As the library counted it."""
        return cls(label=count.label, category=count.category, tracks=count.tracks)


class TagCounts(BaseModel):
    """Every tag of the model that answers, most tracks first."""

    items: list[TagCount]


class GenreCount(BaseModel):
    """A genre as the files' own tags have it, and how many tracks name it."""

    genre: Text
    tracks: int


class GenreCounts(BaseModel):
    """The genres that the files' own tags name, most tracks first."""

    items: list[GenreCount]


class SearchPage(Page[TrackItem]):
    """A part of what a search found."""

    tags: list[TagCount] = Field(description="Tags of like names; of each, how many tracks have it.")


class TrackDetail(TrackItem):
    """A track, and all that is known of it."""

    path: Text = Field(description="Where its file lies; what is not UTF-8 in it is shown as U+FFFD.")
    codec: Text
    container: Text
    sr: int = Field(description="Hz.")
    channels: int
    bit_rate: int | None = Field(description="Bits a second.")
    album_artist: Text | None
    track_number: int | None
    disc_number: int | None
    partial: Text | None = Field(description="Why only a part of it could be heard, or null.")
    tags: list[TagValue] = Field(description="Those worth telling, most probable first.")


# --- recommendations ---------------------------------------------------------------------------------------------

SeedName = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=LARGEST)] | Annotated[str, Field(pattern=r"^ask:[A-Za-z0-9_-]{1,64}$")],
    Field(union_mode="smart"),
]
"""A track's id, or the token of a file that was asked about."""
FilterText = Annotated[str, Field(min_length=1, max_length=300)]


class Filters(BaseModel):
    """Which tracks may answer, as on the command line: `genre:rock`, `year:1970-1979`, `tag:piano>0.3`."""

    model_config = ConfigDict(extra="forbid")

    only: list[FilterText] = Field(default=[], max_length=50, description="One field twice is either, two are both.")
    exclude: list[FilterText] = Field(default=[], max_length=50)


class SimilarQuestion(Filters):
    """Which songs are like some, and unlike others."""

    seeds: list[SeedName] = Field(min_length=1, max_length=100)
    unlike: list[SeedName] = Field(default=[], max_length=100)
    n: int = Field(default=20, ge=1, le=500)
    max_per_artist: int | None = Field(default=None, ge=1, le=LARGEST)
    max_per_album: int | None = Field(default=None, ge=1, le=LARGEST)


class PathQuestion(Filters):
    """Which songs lead from one to another."""

    start: SeedName
    end: SeedName
    n: int = Field(default=12, ge=2, le=200)


class RadioQuestion(Filters):
    """Which programme begins near a song."""

    seed: SeedName
    n: int = Field(default=25, ge=1, le=200)
    random_seed: int | None = Field(default=None, ge=0, le=LARGEST, description="The same one gives the same answer.")


class RecommendationItem(BaseModel):
    """A song, how alike it is and why."""

    rank: int = Field(description="From 1.")
    track: TrackItem
    similarity: float = Field(description="0 to 1.")
    reason: Text
    passages: tuple[float, float] | None = Field(
        description="Where the two passages begin that the reason names, in seconds: of the seed, of this track."
    )

    @classmethod
    def of(cls, one: Recommendation) -> Self:
        """As the library recommends it."""
        return cls(
            rank=one.rank,
            track=TrackItem.of(one.track),
            similarity=round(one.similarity, 4),
            reason=one.reason,
            passages=one.passages,
        )


class Recommendations(BaseModel):
    """Songs, best first, or in the order of play."""

    items: list[RecommendationItem]


# --- the whole ---------------------------------------------------------------------------------------------------


class ModelName(BaseModel):
    """A model."""

    id: Text
    name: Text


class Status(BaseModel):
    """What the page needs to know first."""

    version: str
    tracks: int
    model: ModelName | None
    note: Text | None = Field(description="What a listener should know about the answers, or null.")
    generation: int = Field(description="Another number: what was read before may be out of date.")
    scanning: bool
    password: bool = Field(description="Is there a password, so that there is something to log out of?")


# --- media --------------------------------------------------------------------------------------------------------


class WaveformAnswer(BaseModel):
    """How loud a track is from its beginning to its end, in equal parts, and as a whole."""

    duration: float = Field(description="Seconds.")
    peaks: list[float] = Field(description="The largest magnitude in each part, from 0 to 1.")
    rms: list[float] = Field(description="The root mean square of each part, from 0 to 1.")
    loudness: float | None = Field(description="Integrated loudness of EBU R 128 in LUFS; null where it is not known.")
    tempo: float | None = Field(description="Beats a minute as the file's own tags tell them, or null.")


class TimelineTag(BaseModel):
    """A tag of the model over time."""

    label: Text
    category: Text
    probabilities: list[float] = Field(description="One for each window; 0 where it is silent.")


class TimelineAnswer(BaseModel):
    """The most prominent tags of a track over time; empty for a model that tells none."""

    window: float = Field(description="Seconds that each window lasts.")
    starts: list[float] = Field(description="Where each window begins, in seconds.")
    tags: list[TimelineTag]


class AskAnswer(BaseModel):
    """What was heard in a file that is not in the library."""

    token: str = Field(description="The seed `ask:TOKEN` stands for the file for half an hour after its last use.")
    track: TrackItem
    tags: list[TagValue] = Field(description="Those worth telling, most probable first; none from some models.")
