"""What a map is drawn from: where each track lies, and the genre that it has by its sound and by its file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import SongMap, fold, spellings
from soundkin.index import Index
from soundkin.model import Tag
from soundkin.modeltags import tag_columns

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

Codes = npt.NDArray[np.uint16]

NONE = 65_535
"""Code of a track without a genre; also where there are more genres than codes."""
_RAREST = 1e-3  # mean probability that a tag is taken to have at least


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """n tracks of a map that are not missing."""

    model_id: str
    generation: int
    """Those of the map."""
    ids: npt.NDArray[np.int64]
    """(n,), ascending."""
    positions: npt.NDArray[np.float32]
    """(n, 2): x and y."""
    tags: Codes
    """(n,) place in `tag_labels` of the genre tag that stands out, or NONE."""
    genres: Codes
    """(n,) place in `genre_labels` of the genre that the file names, or NONE."""
    tag_labels: tuple[str, ...]
    """The commonest first."""
    genre_labels: tuple[str, ...]
    """The commonest first; each in its most usual spelling, upper and lower case are one."""

    @property
    def version(self) -> str:
        """Another text for other points."""
        return hashlib.blake2b(self.packed(), digest_size=12).hexdigest()

    def packed(self) -> bytes:
        """Little-endian: n as uint32, then n ids int32, n x float32, n y float32, n tags uint16, n genres uint16."""
        columns = (
            (self.ids, "<i4"),
            (self.positions[:, 0], "<f4"),
            (self.positions[:, 1], "<f4"),
            (self.tags, "<u2"),
            (self.genres, "<u2"),
        )
        return np.array(len(self.ids), "<u4").tobytes() + b"".join(a.astype(kind).tobytes() for a, kind in columns)


def points_of(catalogue: Catalogue, song_map: SongMap, index: Index, tags: Sequence[Tag]) -> MapPoints:
    """The points of a map; `tags` are those of the model that the map and the index are of."""
    columns = catalogue.columns()
    there = np.isin(song_map.track_ids, columns.ids)
    ids = song_map.track_ids[there]
    genres = [columns.genres[row] for row in np.searchsorted(columns.ids, ids).tolist()]
    tag_codes, tag_labels = _coded(_standing_out(catalogue, index, tags, ids))
    genre_codes, genre_labels = _coded(genres)
    return MapPoints(
        song_map.model_id,
        song_map.generation,
        ids,
        song_map.positions[there],
        tag_codes,
        genre_codes,
        tag_labels,
        genre_labels,
    )


def _standing_out(
    catalogue: Catalogue, index: Index, tags: Sequence[Tag], ids: npt.NDArray[np.int64]
) -> list[str | None]:
    """The genre tag that each track stands out by; None where none was heard.

    That is neither the most probable one, which may be on everything here, nor the one most above its mean, which may
    be rare and doubtful, but what is half way between: the highest probability over the root of the mean.
    """
    places = [place for place, tag in enumerate(tags) if tag.category == "genre"]
    if not places or not len(index):
        return [None] * len(ids)
    usual = np.sqrt(np.maximum(index.tag_means[places], _RAREST))
    heard = tag_columns(catalogue, index)[places] / usual[:, np.newaxis]
    best = np.where(np.isnan(heard).any(axis=0), -1, heard.argmax(axis=0))
    rows = index.rows(ids)
    chosen = np.where(rows >= 0, best[rows], -1).tolist()
    return [None if place < 0 else tags[places[place]].label for place in chosen]


def _coded(column: Sequence[str | None]) -> tuple[Codes, tuple[str, ...]]:
    """Each value as its place among the different ones, the commonest of which come first."""
    labels = tuple(label for label, _ in spellings(column)[:NONE])
    place = {fold(label): number for number, label in enumerate(labels)}
    codes = {value: place.get(fold(value), NONE) if value and value.strip() else NONE for value in set(column)}
    return np.array([codes[value] for value in column], np.uint16), labels
