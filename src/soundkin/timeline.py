"""Tags over time: what a model hears in one window of a track after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from soundkin.analysis import SILENCE
from soundkin.audio import open_audio
from soundkin.excerpts import ExcerptPlan
from soundkin.model import Model, Tag

if TYPE_CHECKING:
    from soundkin.mediacache import MediaCache

FloatArray = npt.NDArray[np.float32]

MOST_WINDOWS = 60
"""Windows of a track at most: a longer one is heard in as many places, evenly spread."""
MOST_TAGS = 8
_SHORTEST = 3.0  # s of a window: less is a chord, not a passage
_PROMINENT = 0.9  # quantile over time by which tags are ranked, so that one that fills a tenth of a track counts
_FORMAT = 1  # of what is kept; raised when its meaning changes
_KEPT: dict[str, type[np.generic]] = {
    "window": np.float64,
    "starts": np.float32,
    "labels": np.str_,
    "categories": np.str_,
    "probabilities": np.float32,
}


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The most prominent tags of a track over time; empty for a model that tells none."""

    window: float
    """Seconds that each window lasts, at most."""
    starts: FloatArray
    """(n,) float32: where each begins, in seconds."""
    tags: tuple[Tag, ...]
    """At most MOST_TAGS, the most prominent first."""
    probabilities: FloatArray
    """(len(tags), n) float32; zeros where the track is silent or does not decode."""


EMPTY = Timeline(0.0, np.empty(0, np.float32), (), np.empty((0, 0), np.float32))


def timeline(path: Path, *, model: Model) -> Timeline:
    """Hear the file at `path` with `model`, window by window; memory holds one of them.

    Probabilities are calibrated as those of a whole song are, though each is of one window only. Raises AudioError for
    a file that cannot be read, ModelError.
    """
    if not model.tags:
        return EMPTY
    seconds = _window(model)
    with open_audio(path) as source:
        count = math.floor(source.info.duration / seconds)
        plan = ExcerptPlan(MOST_WINDOWS if count > MOST_WINDOWS else 0, seconds)
        windows = plan.windows(source.info.duration)
        starts = np.array([start for start, _ in windows], np.float32)
        probabilities = np.zeros((len(model.tags), len(starts)), np.float32)
        for excerpt in source.excerpts(plan, sr=model.sr):
            if math.sqrt(float(np.mean(np.square(excerpt.y, dtype=np.float64)))) < SILENCE:
                continue
            told = model.summarise(model.hear(excerpt.y)).tags
            if told is not None and np.isfinite(told).all():
                probabilities[:, int(np.abs(starts - excerpt.start).argmin())] = told
    chosen = np.argsort(-np.quantile(probabilities, _PROMINENT, axis=1), kind="stable")[:MOST_TAGS]
    return Timeline(windows[0][1], starts, tuple(model.tags[i] for i in chosen), probabilities[chosen])


def _window(model: Model) -> float:
    """Seconds in which the model hears a segment at least: its own excerpt, over the segments that it makes of one."""
    planned = model.excerpts.seconds
    segments = len(model.hear(np.zeros(round(planned * model.sr), np.float32)))
    return max(_SHORTEST, planned / segments)


def kept_timeline(cache: MediaCache, content_id: str, model_id: str) -> Timeline | None:
    """The timeline that `keep_timeline` kept of a content as that model hears it, or None."""
    kept = cache.read_arrays(content_id, "tags.npz", _KEPT, stamp=_stamp(model_id))
    if kept is None:
        return None
    tags = tuple(
        Tag(str(label), str(category)) for label, category in zip(kept["labels"], kept["categories"], strict=True)
    )
    return Timeline(float(kept["window"]), kept["starts"], tags, kept["probabilities"])


def keep_timeline(cache: MediaCache, content_id: str, model_id: str, told: Timeline) -> None:
    """Keep what that model told of a content over time."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "window": np.array(told.window, np.float64),
        "starts": told.starts,
        "labels": np.array([tag.label for tag in told.tags], np.str_),
        "categories": np.array([tag.category for tag in told.tags], np.str_),
        "probabilities": told.probabilities,
    }
    cache.write_arrays(content_id, "tags.npz", arrays, stamp=_stamp(model_id))


def _stamp(model_id: str) -> str:
    return f"timeline {_FORMAT} of {model_id}"
