"""What the catalogue hands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from soundkin.tags import Tags


@dataclass(frozen=True, slots=True)
class Track:
    """One file of the library."""

    id: int
    path: Path
    content_id: str
    duration: float
    """Seconds."""
    tags: Tags
    partial: str | None
    """Why only a part of it could be used, or None."""
    missing: bool
    """The file was gone when its folder was last scanned."""

    @property
    def title(self) -> str:
        """Title tag, or the file's name without suffix."""
        return self.tags.title or self.path.stem

    @property
    def artist(self) -> str | None:
        return self.tags.artist or self.tags.album_artist

    @property
    def album(self) -> str | None:
        return self.tags.album


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the library knows of one path; where it failed, `size` and `mtime_ns` are those of the failure."""

    track_id: int | None
    size: int
    mtime_ns: int
    content_id: str | None
    missing: bool
    failure: str | None
    """Kind of the failure ('not-audio', 'timeout', …), or None."""
    program_version: str | None
    """The soundkin that failed on it; None without a failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be analysed."""

    path: Path
    kind: str
    reason: str
    program_version: str
    failed_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that vectors of the library belong to."""

    id: str
    name: str
    version: str
    dimension: int
    tags: tuple[tuple[str, str], ...]
    """(label, category) of each."""
    source: str | None
    """Name of the built-in model, or absolute path of the file, that it came from; None where that is not known."""
    space: str | None
    """As `model.Space.as_json` writes it; None where that is not known."""
    card: Mapping[str, Any]
    """What it says of itself; may be empty."""
    vectors: int | None
    """Number of recordings it has heard; None where they were not counted."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What filters ask for, of every track that is not missing, in ascending order of id; lists of n."""

    ids: npt.NDArray[np.int64]
    """(n,)"""
    durations: npt.NDArray[np.float64]
    """(n,) seconds."""
    years: list[int | None]
    paths: list[str]
    content_ids: list[str]
    titles: list[str | None]
    artists: list[str | None]
    albums: list[str | None]
    album_artists: list[str | None]
    genres: list[str | None]


class ShelfRow(NamedTuple):
    """What searching and browsing ask of a track; a tuple, for there is one of every track."""

    id: int
    duration: float
    """Seconds."""
    disc: int | None
    number: int | None
    text: str
    """Folded, a line each: title, artist, album, album artist, file name."""
    genre: str | None


@dataclass(frozen=True, slots=True)
class Recording:
    """How the content of a track is encoded."""

    sr: int
    """Hz."""
    channels: int
    codec: str
    container: str
    bit_rate: int | None
    """Bits a second."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a library."""

    tracks: int
    """Files that answers are made of: the missing ones are not counted."""
    missing: int
    partial: int
    failed: int
    recordings: int
    """Contents, those of missing files included."""
    duration: float
    """Seconds, of all tracks that are not missing."""
    folders: int
    vectors: dict[str, int]
    """Model id: number of recordings it has heard."""
    schema_version: int
    file_size: int
    """Bytes, the write-ahead log included."""


class Outcome(StrEnum):
    """What `Catalogue.record` did with an analysis."""

    ANALYSED = "analysed"
    """New content, or known content that this model had not heard yet."""
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    """Same content, other tags."""
    MOVED = "moved"
    """The content of a file that is gone: its row, and its id, now stand for this one."""
    COPY = "copy"
    """The content of another file that is still there."""
    NEEDS_ANALYSIS = "needs-analysis"
    """The analysis left the vector out, and the library does not have it: analyse again. Nothing was stored."""
