"""Why a track is recommended, in a few honest words.

With a model whose vector has aspects (rhythm, harmony, …), those in which the pair is more alike than nine in ten
random pairs of this library are named, the closest first; where there is none, the closest, if half of the pairs are
less alike in it. With a model that only gives tags, the tags that both share more than is usual here. Otherwise there
is nothing to say beyond the overall sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundkin.index import FloatArray, Index, IntArray
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

UNUSUAL = 0.9
"""Share of random pairs that must be less alike in an aspect before it is named as close."""
USUAL = 0.5
"""An aspect in which half of all pairs are closer is no reason, even if it is the closest of this pair."""
HEARD = 0.1
"""Probability that a tag needs on both sides before it is named …"""
LIFT = 1.5
"""… and how many times its mean in the library that must be."""
MOST_TAGS = 3
NOTHING_TO_SAY = "overall sound"


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What an index knows of one song: `unit` (d,) float32, and `tags` (labels,) float32 where reasons need them."""

    unit: FloatArray
    tags: FloatArray | None


def heard_in_seed(index: Index, seed: Seed) -> Heard:
    """Raises ModelMismatchError when another model has heard the seed."""
    return Heard(index.project(seed.vector, model_id=seed.model_id), seed.tags)


def heard_in_rows(catalogue: Catalogue, index: Index, rows: IntArray) -> list[Heard]:
    """What the index knows of some of its rows (k,)."""
    if index.aspects or not index.tag_labels:
        return [Heard(unit, None) for unit in index.vectors[rows]]
    tags = catalogue.tag_probabilities(index.model_id, index.track_ids[rows].tolist())
    return [Heard(unit, one) for unit, one in zip(index.vectors[rows], tags, strict=True)]


def reasons(index: Index, sources: Sequence[Heard], targets: Sequence[Heard]) -> list[str]:
    """One reason for each of the targets, true for every one of the sources."""
    if not sources or not targets:
        return [NOTHING_TO_SAY] * len(targets)
    if index.aspects and index.usual.shape[1]:
        units = np.stack([target.unit for target in targets])
        cosines = np.min([index.aspect_similarities(one.unit[np.newaxis], units) for one in sources], axis=0)
        percentiles = index.percentiles(cosines)
        return [_aspects(list(index.aspects), *pair) for pair in zip(percentiles.T, cosines.T, strict=True)]
    return [_tags(index, [*sources, target]) for target in targets]


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


def _tags(index: Index, songs: Sequence[Heard]) -> str:
    tags = [song.tags for song in songs if song.tags is not None]
    if index.aspects or len(tags) < len(songs):
        return NOTHING_TO_SAY
    shared = np.nan_to_num(np.min(tags, axis=0))
    lift = shared / np.maximum(index.tag_means, 1e-6)
    order = np.argsort(-lift, kind="stable")
    named = [index.tag_labels[i] for i in order if shared[i] >= HEARD and lift[i] >= LIFT][:MOST_TAGS]
    return f"both: {', '.join(named)}" if named else NOTHING_TO_SAY
