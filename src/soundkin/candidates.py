"""What every recommendation needs first: which rows of the index may answer, and those rows as tracks, best first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from soundkin import filters
from soundkin.catalogue import Track, fold
from soundkin.errors import EmptyLibraryError, InputError, NothingFitsError
from soundkin.index import BoolArray, Index, best
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

_CHUNK = 32  # tracks fetched at first; each time that is not enough, twice as many


def check_at_least(least: int, **values: int | None) -> None:
    """Raise InputError for a number below `least`; None stands for no limit."""
    for name, value in values.items():
        if value is not None and value < least:
            raise InputError(f"{name} must be at least {least}, not {value}")


def may_answer(
    catalogue: Catalogue, index: Index, seeds: Sequence[Seed], *, only: Sequence[str], exclude: Sequence[str]
) -> BoolArray:
    """Rows that pass the filters and are no seed: (n,) bool. Raises EmptyLibraryError when no track passes."""
    mask = filters.mask(catalogue, index, only=only, exclude=exclude)
    if not len(index):
        raise EmptyLibraryError(f"no track has been heard by the model {index.model_id} yet; run `soundkin scan` first")
    allowed = np.ones(len(index), np.bool_) if mask is None else mask
    if not allowed.any():
        given = [f"--only {one}" for one in only] + [f"--exclude {one}" for one in exclude]
        raise NothingFitsError(f"no track of the library passes the filters {' '.join(given)}")
    rows = index.rows([seed.track.id for seed in seeds])
    allowed[rows[rows >= 0]] = False
    return allowed


def best_first(catalogue: Catalogue, index: Index, score: npt.NDArray[Any]) -> Iterator[list[tuple[int, Track]]]:
    """(row, track) of every row with a finite `score` (n,), best first, a chunk at a time; missing tracks left out."""
    start, size = 0, _CHUNK
    while True:
        rows = best(score, k=start + size)[start:].tolist()
        if not rows:
            return
        tracks = {track.id: track for track in catalogue.tracks(index.track_ids[rows].tolist())}
        chunk = [(row, tracks.get(int(index.track_ids[row]))) for row in rows]
        yield [(row, track) for row, track in chunk if track is not None and not track.missing]
        start, size = start + size, 2 * size


def artist_of(track: Track) -> str | None:
    """The artist as caps and spacing count: who plays this track, not whose album it is on; None when unknown."""
    return fold(track.tags.artist) if track.tags.artist else None


def album_of(track: Track) -> Hashable:
    """The album as caps count; None when unknown. Two artists' “Greatest Hits” are two albums, two discs are one."""
    if not track.tags.album:
        return None
    return fold(track.tags.album), fold(track.tags.album_artist) if track.tags.album_artist else track.path.parent


class Caps:
    """How many tracks of one artist, and of one album, a list may still take."""

    def __init__(self, *, max_per_artist: int | None, max_per_album: int | None) -> None:
        limits = {artist_of: max_per_artist, album_of: max_per_album}
        self._most = {key: most for key, most in limits.items() if most is not None}
        self._taken: Counter[Hashable] = Counter()

    def allow(self, track: Track) -> bool:
        return all(
            self._taken[key, name] < most for key, most in self._most.items() if (name := key(track)) is not None
        )

    def add(self, track: Track) -> None:
        self._taken.update((key, key(track)) for key in self._most)
