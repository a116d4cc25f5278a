"""What the student is to say of a passage, as columns of one size, from the answers of the teachers.

Every column has mean 0 and deviation 1 over the passages, so that no teacher speaks louder than another. Teachers that
hear windows set the columns of each window, the others, and the merged tags, those of the whole passage.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from soundkin.lab.distill.targets import Targets
from soundkin.lab.distill.teachers import WINDOWS
from soundkin.lab.distill.vocabulary import MERGED, MergedTag, merge, told_by, vocabulary_of

FloatArray = npt.NDArray[np.float32]


WHAT = ("embedding", "logits", "hints")


@dataclass(frozen=True)
class Lessons:
    """`window` (n, k, w) and `passage` (n, p) float32, standardised; `blocks_*` are the columns of one question each.

    `joint`: embeddings and logits of each teacher, (n, d) float32, standardised and of length 1: the product of two
    rows is how alike the teacher finds two passages. `tags` are the columns of `passage` that hold the merged tags'
    logits; `tag_mean`, `tag_deviation` (labels,) undo their scaling.
    """

    window: FloatArray
    passage: FloatArray
    blocks_window: Sequence[slice]
    blocks_passage: Sequence[slice]
    joint: Sequence[FloatArray]
    tags: slice
    labels: Sequence[MergedTag]
    """The merged tags that a teacher knows."""
    tag_mean: FloatArray
    tag_deviation: FloatArray

    def keep(self, kept: npt.NDArray[np.bool_]) -> Lessons:
        """Those of the passages `kept` (n,), scaled as before."""
        return replace(
            self, window=self.window[kept], passage=self.passage[kept], joint=[one[kept] for one in self.joint]
        )

    @property
    def outputs(self) -> int:
        return int(self.window.shape[-1] + self.passage.shape[-1])


def make_lessons(targets: Targets, names: Sequence[str]) -> Lessons:
    """The lessons of the teachers called `names`."""
    window: list[FloatArray] = []
    passage: list[FloatArray] = []
    joint: list[FloatArray] = []
    for name in names:
        for what in WHAT:
            if f"{name} {what}" not in targets.answers:
                continue
            answer = targets.answers[f"{name} {what}"].astype(np.float32)
            (window if answer.ndim == 3 else passage).append(_standardised(answer)[0])
            if what == "hints":
                continue
            scaled = _standardised(answer.mean(axis=1) if answer.ndim == 3 else answer)[0]
            length = np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-6)
            joint.append(np.asarray(scaled / length, np.float32))
    tags, tag_mean, tag_deviation = _standardised(merged_logits(targets, names))
    passage.append(tags)
    return Lessons(
        np.concatenate(window, axis=2) if window else np.empty((len(targets), WINDOWS, 0), np.float32),
        np.concatenate(passage, axis=1),
        _slices(window),
        _slices(passage),
        joint,
        _slices(passage)[-1],
        told_by({vocabulary_of(name) for name in names}),
        tag_mean,
        tag_deviation,
    )


def merged_logits(targets: Targets, names: Sequence[str]) -> FloatArray:
    """Logits of the merged tags of each passage, (n, labels): what the teachers say of it together.

    Tags that none of them knows are left out.
    """
    told: dict[str, list[FloatArray]] = {}
    for name in names:
        logits = targets.answers[f"{name} logits"].astype(np.float32)
        p = np.asarray(expit(logits), np.float32)
        told.setdefault(vocabulary_of(name), []).append(p.mean(axis=1) if p.ndim == 3 else p)
    probabilities = {vocabulary: np.mean(parts, axis=0) for vocabulary, parts in told.items()}
    known = [MERGED.index(tag) for tag in told_by(probabilities)]
    p = np.clip(merge(probabilities, logits=True)[:, known], 1e-5, 1 - 1e-5)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def _standardised(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    axes = tuple(range(x.ndim - 1))
    mean, deviation = x.mean(axis=axes), x.std(axis=axes) + np.float32(1e-4)
    return ((x - mean) / deviation).astype(np.float32), mean, deviation


def _slices(parts: Sequence[FloatArray]) -> list[slice]:
    ends = np.cumsum([0, *(part.shape[-1] for part in parts)])
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
