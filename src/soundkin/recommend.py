"""Recommendations as lists: tracks similar to some seeds, and blends of likes and dislikes.

Each is a plain function of the catalogue and an index. All of them, those in `journeys` too, honour the same filters
(see `filters`), leave missing tracks out, never answer with a seed, and hold every recording once unless told
otherwise (see `duplicates`). They raise InputError for an argument that cannot be used, EmptyLibraryError when there
is nothing to answer with, and ModelMismatchError for a seed that another model has heard. A small library, or one
that holds little beside copies, gives fewer rows than were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from soundkin.candidates import Caps, best_first, check_at_least, may_answer
from soundkin.catalogue import Track
from soundkin.duplicates import Distinct
from soundkin.errors import EmptyLibraryError, InputError
from soundkin.index import Index
from soundkin.reasons import Heard, heard_in_rows, heard_in_seed, reasons
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

UNLIKE = 0.5
"""What similarity to the closest dislike counts in a blend, beside 1 for agreement with the likes."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One row of an answer."""

    rank: int
    """From 1."""
    track: Track
    similarity: float
    """0 to 1; to what, is said by the function that made the row."""
    reason: str
    """In what the two are most alike: 'close in rhythm and harmony', 'both: jazz, piano; 0:45 is like 1:30 here'."""
    passages: tuple[float, float] | None = None
    """Where the two passages begin that the reason names, in seconds: of the song compared with, of this track."""


def similar(
    catalogue: Catalogue,
    index: Index,
    seeds: Sequence[Seed],
    *,
    n: int = 10,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_per_artist: int | None = None,
    max_per_album: int | None = None,
    no_duplicates: bool = True,
) -> list[Recommendation]:
    """The `n` tracks most similar to the seeds, best first.

    With one seed, `similarity` is that to the seed (0 where it is negative). With several it is the agreement of
    those to each seed (see `agreement`), so that a track must be akin to all of them: what is nearest to the average
    of their vectors may be akin to none.
    """
    return blend(
        catalogue,
        index,
        seeds,
        n=n,
        only=only,
        exclude=exclude,
        max_per_artist=max_per_artist,
        max_per_album=max_per_album,
        no_duplicates=no_duplicates,
    )


def blend(
    catalogue: Catalogue,
    index: Index,
    like: Sequence[Seed],
    *,
    unlike: Sequence[Seed] = (),
    n: int = 10,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_per_artist: int | None = None,
    max_per_album: int | None = None,
    no_duplicates: bool = True,
) -> list[Recommendation]:
    """The `n` tracks that agree most with the likes and least resemble a dislike, best first.

    `similarity` is the agreement with the likes, as in `similar`, less UNLIKE times the similarity to the closest
    dislike, and at least 0. The reasons speak of the likes.
    """
    check_at_least(1, n=n, max_per_artist=max_per_artist, max_per_album=max_per_album)
    if not like:
        raise InputError("recommendations need at least one track to start from; none was given")
    seeds = [*like, *unlike]
    allowed = may_answer(catalogue, index, seeds, only=only, exclude=exclude)
    liked = [heard_in_seed(index, seed) for seed in like]
    score = agreement(index, liked)
    if unlike:
        disliked = np.stack([heard_in_seed(index, seed).unit for seed in unlike])
        score = score - UNLIKE * np.maximum(0, index.similarities(disliked).max(axis=0))

    distinct = Distinct(catalogue, [(seed.track, seed.fingerprint) for seed in seeds]) if no_duplicates else None
    caps = Caps(max_per_artist=max_per_artist, max_per_album=max_per_album)
    chosen: list[tuple[int, Track]] = []
    for chunk in best_first(catalogue, index, np.where(allowed, score, -np.inf)):
        if distinct:
            distinct.expect(track for _, track in chunk)
        for row, track in chunk:
            if len(chosen) < n and caps.allow(track) and not (distinct and distinct.has(track)):
                chosen.append((row, track))
                caps.add(track)
                if distinct:
                    distinct.add(track)
        if len(chosen) == n:
            break
    if not chosen:
        raise EmptyLibraryError("nothing is left to answer with beside the seed and its copies")

    rows = np.array([row for row, _ in chosen], np.int64)
    why = reasons(index, liked, heard_in_rows(catalogue, index, rows))
    return [
        Recommendation(rank, track, max(0.0, min(1.0, float(score[row]))), reason.text, reason.passages)
        for rank, ((row, track), reason) in enumerate(zip(chosen, why, strict=True), start=1)
    ]


def agreement(index: Index, songs: Sequence[Heard]) -> npt.NDArray[np.float64]:
    """How much each track is akin to every one of the songs, (n,) float64, −1 to 1; for one song, its similarity.

    Half the mean of the similarities and half the least of them: “average” and “least misery”, as group recommendation
    calls them (Masthoff 2004). The mean alone lets one song be outvoted; the least alone lets one song decide.
    """
    if len(songs) == 1:
        return index.similarities(songs[0].unit).astype(np.float64)
    similarities = index.similarities(np.stack([song.unit for song in songs])).astype(np.float64)
    score: npt.NDArray[np.float64] = 0.5 * (similarities.mean(axis=0) + similarities.min(axis=0))
    return score
