"""Why a track is recommended, in a few honest words.

With a model whose vector has aspects (rhythm, harmony, …), those in which the pair is more alike than nine in ten
random pairs of this library are named, the closest first; where there is none, the closest, if half of the pairs are
less alike in it. With a model that gives tags instead, those that both songs have more than is usual here, and the
passages of the two that are nearest to each other, if they are far nearer than the others. Otherwise there is nothing
to say beyond the overall sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundkin.excerpts import Passages
from soundkin.index import FloatArray, Index, IntArray
from soundkin.modeltags import HEARD, LIFT
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

UNUSUAL = 0.9
"""Share of random pairs that must be less alike in an aspect before it is named as close."""
USUAL = 0.5
"""An aspect in which half of all pairs are closer is no reason, even if it is the closest of this pair."""
MOST_TAGS = 3
NEARER = 3.0
"""How many times as near as two passages of the two songs usually are, the nearest two must be to be named."""
NOTHING_TO_SAY = "overall sound"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a song was chosen."""

    text: str
    passages: tuple[float, float] | None = None
    """Where the two passages begin that are named, in seconds: of the source, of the target."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What an index knows of one song: `unit` (d,) float32, and what reasons need, where they need it."""

    unit: FloatArray
    tags: FloatArray | None = None
    """(labels,) float32 probabilities."""
    passages: Passages | None = None
    """Their vectors are of unit length, in the space of the index."""


def heard_in_seed(index: Index, seed: Seed) -> Heard:
    """Raises ModelMismatchError when another model has heard the seed."""
    unit = index.project(seed.vector, model_id=seed.model_id)
    return Heard(unit, seed.tags, _projected(index, [seed.passages])[0])


def heard_in_rows(catalogue: Catalogue, index: Index, rows: IntArray) -> list[Heard]:
    """What the index knows of some of its rows (k,)."""
    if index.aspects or not len(rows):
        return [Heard(unit) for unit in index.vectors[rows]]
    ids = index.track_ids[rows].tolist()
    known = catalogue.passages(index.model_id, ids)
    passages = _projected(index, [known.get(track_id) for track_id in ids])
    tags = catalogue.tag_probabilities(index.model_id, ids) if index.tag_labels else [None] * len(ids)
    return [Heard(index.vectors[row], heard, parts) for row, heard, parts in zip(rows, tags, passages, strict=True)]


def _projected(index: Index, passages: Sequence[Passages | None]) -> list[Passages | None]:
    """The passages of some songs in the space of the index, where they are known and reasons need them."""
    known = [] if index.aspects else [one for one in passages if one is not None]
    if not known:
        return [None] * len(passages)
    units = index.project(np.concatenate([one.vectors for one in known]), model_id=index.model_id)  # all at once
    parts = iter(np.split(units, np.cumsum([len(one) for one in known])[:-1]))
    return [None if one is None else Passages(one.start, next(parts)) for one in passages]


def reasons(index: Index, sources: Sequence[Heard], targets: Sequence[Heard]) -> list[Reason]:
    """One reason for each of the targets, true for every one of the sources."""
    if not sources or not targets:
        return [Reason(NOTHING_TO_SAY)] * len(targets)
    if index.aspects:
        if not index.usual.shape[1]:
            return [Reason(NOTHING_TO_SAY)] * len(targets)
        units = np.stack([target.unit for target in targets])
        cosines = np.min([index.aspect_similarities(one.unit[np.newaxis], units) for one in sources], axis=0)
        percentiles = index.percentiles(cosines)
        return [Reason(_aspects(list(index.aspects), *pair)) for pair in zip(percentiles.T, cosines.T, strict=True)]
    return [_heard_in_both(index, sources, target) for target in targets]


def _heard_in_both(index: Index, sources: Sequence[Heard], target: Heard) -> Reason:
    """The tags that all of them have, and the passages that the target shares with its only source."""
    said = []
    if tags := _tags(index, [*sources, target]):
        said.append(f"{'both' if len(sources) == 1 else 'all'}: {', '.join(tags)}")
    closest = _closest(sources[0].passages, target.passages) if len(sources) == 1 else None
    if closest:
        said.append(f"{_clock(closest[0])} is like {_clock(closest[1])} here")
    return Reason("; ".join(said) or NOTHING_TO_SAY, closest)


def _clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def _closest(a: Passages | None, b: Passages | None) -> tuple[float, float] | None:
    """Where the nearest two passages begin, in seconds; None unless they are NEARER than the median pair."""
    if a is None or b is None or min(len(a), len(b)) < 2:
        return None
    distance = 1 - a.vectors @ b.vectors.T
    ranked = np.sort(distance, axis=None)
    median = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
    if NEARER * max(0.0, float(ranked[0])) >= float(median):
        return None
    i, j = divmod(int(distance.argmin()), len(b))
    return float(a.start[i]), float(b.start[j])


def _aspects(names: Sequence[str], percentile: FloatArray, cosine: FloatArray) -> str:
    """The aspects in which the pair is unusually close: at most half of them, since naming all would say nothing."""
    order = np.lexsort((-cosine, -percentile))  # of those closer than every random pair, the closest
    most = min(3, (len(names) + 1) // 2)
    close = [names[i] for i in order[:most] if percentile[i] >= UNUSUAL]
    if not close:
        usual = percentile[order[0]] < USUAL
        return NOTHING_TO_SAY if usual else f"closest in {names[order[0]]}"
    return f"close in {_joined(close)}"


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _tags(index: Index, songs: Sequence[Heard]) -> list[str]:
    """Labels that every one of the songs has, those first that are more probable here than they usually are."""
    tags = [song.tags for song in songs if song.tags is not None]
    if len(tags) < len(songs) or not index.tag_labels:
        return []
    shared = np.nan_to_num(np.min(tags, axis=0))
    lift = shared / np.maximum(index.tag_means, 1e-6)
    both = np.flatnonzero((shared >= HEARD) & (lift >= LIFT))
    return [index.tag_labels[i] for i in both[np.argsort(-lift[both], kind="stable")][:MOST_TAGS]]
