"""The reckoning behind neural_model.py: from what models heard to figures. Nothing here opens a sound or prints."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.index import Index
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets.categories import plain_labels
from soundkin.lab.distill.vocabulary import MERGED, VOCABULARIES, merge
from soundkin.lab.metrics import Outcomes, collect
from soundkin.lab.runs import Predictions
from soundkin.lab.splits import inseparable, make_splits
from soundkin.model import Space

FloatArray = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

LABELS = tuple(merged.label for merged in MERGED)
RESAMPLES = 500


# --- where songs lie ------------------------------------------------------------------------------------------------


class _Stored:
    """As much of a catalogue as an index is made from, without a database."""

    def __init__(self, vectors: Vectors, folder: Path) -> None:
        self.path = folder / "library.db"
        self._vectors = vectors

    def generation(self) -> int:
        return 0

    def models(self) -> list[Any]:
        return [SimpleNamespace(id="model", tags=())]

    def vectors(self, model_id: str) -> tuple[npt.NDArray[np.int64], Vectors]:
        return np.arange(len(self._vectors)), np.array(self._vectors, np.float32)


def index_of(vectors: Vectors, space: Space) -> Index:
    """The library's own index of `vectors` (n, d); row i is track i."""
    with tempfile.TemporaryDirectory() as folder:
        return Index.load(_Stored(vectors, Path(folder)), space, model_id="model")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Found:
    """How songs find themselves in another form: (n,) each."""

    cosine: FloatArray
    """Between a song and its other form."""
    first: npt.NDArray[np.bool_]
    """Whether, of all songs in the other form, its own is the nearest."""


def find_themselves(songs: Vectors, others: Vectors, space: Space) -> Found:
    """Each row of `songs` (n, d) looks for its own row of `others` (n, d), which are the library."""
    index = index_of(others, space)
    asked = np.stack([index.project(vector, model_id="model") for vector in songs])
    cosine = np.einsum("ij,ij->i", asked, index.vectors)
    nearest = index.similarities(asked).argmax(axis=1)
    return Found(cosine.astype(np.float64), nearest == np.arange(len(songs)))


# --- genres ---------------------------------------------------------------------------------------------------------


def parts_of(dataset: Dataset, *parts: str) -> Dataset:
    """The clips of these parts of GTZAN's filtered split."""
    wanted = {id for part in parts for id in dataset.parts["filtered"][part]}
    return dataset.take(i for i, id in enumerate(dataset.ids) if id in wanted)


def genre_outcomes(vectors: Vectors, dataset: Dataset, *, protocol: str = "filtered-valid") -> Outcomes:
    """Which clips of the validation part linear discriminant analysis names rightly, fitted on the training part.

    `vectors` (n, d) belong to the clips of `dataset`. Shrinkage is Ledoit and Wolf's. The clips of an artist are drawn
    together in intervals.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    used, (split,) = make_splits(dataset, protocol)
    row = {id: i for i, id in enumerate(dataset.ids)}
    x = np.asarray(vectors, np.float64)[[row[id] for id in used.ids]]
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    chain = make_pipeline(StandardScaler(), lda).fit(x[split.train], used.y[split.train])
    told = Predictions(
        ids=tuple(np.array(used.ids)[split.test]),
        y_true=used.y[split.test],
        probabilities=chain.predict_proba(x[split.test]),
        labels=used.labels,
    )
    groups = inseparable(used)
    return collect({0: [told]}, groups=None if groups is None else dict(zip(used.ids, groups.tolist(), strict=True)))


# --- tags -----------------------------------------------------------------------------------------------------------


def vocabulary_of(name: str, labels: Sequence[str]) -> str | None:
    """Whose tags a teacher tells: 'msd' of the model 'msd-fcn'; None for a model of another kind."""
    prefix = name.partition("-")[0]
    known = VOCABULARIES.get(prefix)
    return prefix if known is not None and tuple(labels) in (known, plain_labels(known)) else None


def merged_tags(name: str, labels: Sequence[str], told: npt.NDArray[Any]) -> Vectors:
    """What a model told, (n, labels), in the order of the merged list: (n, merged) float32; NaN for tags it has not.

    A teacher's own tags are merged first.
    """
    vocabulary = vocabulary_of(name, labels)
    if vocabulary is not None:
        return merge({vocabulary: told})
    place = {label: i for i, label in enumerate(labels)}
    found = np.full((len(told), len(LABELS)), np.nan, np.float32)
    for column, label in enumerate(LABELS):
        if label in place:
            found[:, column] = told[:, place[label]]
    return found


def mean_of_teachers(told: Mapping[str, Sequence[npt.NDArray[Any]]], *, logits: bool = False) -> Vectors:
    """Vocabulary -> what each of its teachers told (n, 50), to the merged tags (n, merged).

    With `logits` vocabularies are averaged as logits, so that one which is sure of nothing speaks as loudly as another.
    """
    means = {name: np.mean(np.stack(several), axis=0) for name, several in told.items()}
    return merge(means, logits=logits)


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation over tracks, tag by tag."""

    labels: tuple[str, ...]
    """Tags that both tell."""
    per_tag: FloatArray
    """(labels,)"""
    low: float
    high: float
    """95 % bootstrap interval, over tracks, of the mean over tags."""

    @property
    def mean(self) -> float:
        return float(self.per_tag.mean())

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def agreement(ours: Vectors, teachers: Vectors, *, resamples: int = RESAMPLES) -> Agreement | None:
    """How alike two tell the tags of the same tracks, (n, merged) each; None where they share no tag."""
    both = np.flatnonzero(np.isfinite(ours).all(axis=0) & np.isfinite(teachers).all(axis=0))
    if not len(both):
        return None
    a, b = ours[:, both], teachers[:, both]
    rng = np.random.default_rng(0)
    means = np.empty(resamples)
    for i in range(resamples):
        rows = rng.integers(0, len(a), len(a))
        means[i] = spearman(a[rows], b[rows]).mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return Agreement(tuple(LABELS[i] for i in both), spearman(a, b), float(low), float(high))


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> FloatArray:
    """Column by column of `a` and `b` (n, tags): (tags,); 0 for a column that does not vary, which tells nothing."""
    from scipy.stats import rankdata

    x, y = rankdata(a, axis=0), rankdata(b, axis=0)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    size = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.asarray(np.divide((x * y).sum(axis=0), size, out=np.zeros(x.shape[1]), where=size > 0))


def top_tags(row: npt.NDArray[Any], labels: Sequence[str], *, n: int = 5) -> str:
    """'rock .71, guitar .64, …' of one row of probabilities (labels,)."""
    order = np.argsort(-row, kind="stable")[:n]
    return ", ".join(f"{labels[i]} {row[i]:.2f}".replace(" 0.", " .") for i in order)
