"""What is near one song by its tags, and by its embedding, with the tags that both songs have as the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import Track
from soundkin.errors import SeedError
from soundkin.lab.tagspace import Tagged, strongest_tags, tag_nearness
from soundkin.library import Library
from soundkin.reasons import Heard, heard_in_seed, reasons
from soundkin.seeds import name as name_of

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """One song near another: `value` is the distance in a Euclidean space, else the similarity."""

    track: Track
    value: float
    tags: tuple[tuple[str, float], ...]
    """Its strongest tags and their probabilities."""
    reason: str
    """The tags that both have, clearly above the mean of the library."""


@dataclass(frozen=True)
class Neighbours:
    """What is near one song by its tags, and by its embedding; nearest first."""

    track: Track
    tags: tuple[tuple[str, float], ...]
    space: str
    by_tags: tuple[Neighbour, ...]
    by_embedding: tuple[Neighbour, ...]


def neighbours(
    library: Library, tagged: Tagged, song: str | int, *, n: int = 5, space: str = "euclidean"
) -> Neighbours:
    """The n tracks nearest to `song`: an id, a file in or outside the library, or words of its title.

    `library` must have been opened with the model of `tagged`. Raises SeedError for a song that cannot be found or was
    not heard, UnknownNameError for the space.
    """
    seed = library.seed(song)
    if seed.tags is None or not np.isfinite(seed.tags).all():
        raise SeedError(f"{name_of(seed.track)} was heard without tags by {tagged.model_id}; scan its folder again")
    there = np.flatnonzero(tagged.track_ids == seed.track.id)
    own = np.asarray(seed.tags, np.float64)[np.newaxis]
    everything = tagged.probabilities if len(there) else np.concatenate([tagged.probabilities, own])
    row = int(there[0]) if len(there) else len(tagged)
    by_tags = tag_nearness(space, everything)(np.array([row]))[0, : len(tagged)]
    unit = heard_in_seed(tagged.index, seed).unit
    by_embedding = tagged.index.similarities(unit)[tagged.rows].astype(np.float64)
    strongest = _named(tagged, everything)
    source = Heard(unit, seed.tags)

    def listed(near: FloatArray, *, sign: int = 1) -> tuple[Neighbour, ...]:
        near = near.copy()
        near[there] = -np.inf
        order = [int(i) for i in np.argsort(-near, kind="stable")[: n + 1] if near[i] > -np.inf]
        tracks = library.catalogue.tracks(tagged.track_ids[order].tolist())
        other = [(i, one) for i, one in zip(order, tracks, strict=True) if one.content_id != seed.track.content_id][:n]
        targets = [Heard(tagged.index.vectors[tagged.rows[i]], tagged.probabilities[i]) for i, _ in other]
        why = [reason.text for reason in reasons(tagged.index, [source], targets)]
        return tuple(
            Neighbour(one, sign * float(near[i]), strongest(i), reason)
            for (i, one), reason in zip(other, why, strict=True)
        )

    sign = -1 if space == "euclidean" else 1
    return Neighbours(seed.track, strongest(row), space, listed(by_tags, sign=sign), listed(by_embedding))


def _named(tagged: Tagged, probabilities: FloatArray, *, n: int = 3) -> Callable[[int], tuple[tuple[str, float], ...]]:
    strongest = strongest_tags(probabilities, n=n)
    return lambda row: tuple((tagged.labels[i], float(probabilities[row, i])) for i in strongest[row])


def example_songs(tagged: Tagged, *, n: int = 4) -> list[int]:
    """Ids of songs whose neighbours are worth a look: the middle one of each of the n largest albums."""
    largest = [album for album, _ in Counter(tagged.albums).most_common(n)]
    rows = [np.flatnonzero([one == album for one in tagged.albums]) for album in largest]
    return [int(tagged.track_ids[some[len(some) // 2]]) for some in rows]
