"""How well a space recommends: whether what lies near a song is of its genre, by other artists too, and fairly spread.

Every song asks for its nearest; the answers are scored as a search engine's are. S1's way (§6, figure 19) asks with all
clips among all clips, those that the model was trained on included. The honest way asks with held-out clips only, and
lets no answer count that the asking clip's own artist, or a copy of it, gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.dataset import Dataset
from soundkin.lab.leaks import find_duplicates
from soundkin.lab.metrics import Interval
from soundkin.lab.splits import inseparable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Nearness = Callable[[IntArray], FloatArray]
"""Rows (q,) of the asking songs -> how near every song is to each, (q, n), more is nearer."""

METRICS = ("cosine", "euclidean")
KS = (5, 10)
_BLOCK = 256  # songs that ask at a time
_RESAMPLES = 4000


def nearness(
    vectors: npt.NDArray[np.floating],
    *,
    metric: str = "cosine",
    standardise: bool = False,
    weights: npt.NDArray[np.floating] | None = None,
    like: IntArray | None = None,
) -> Nearness:
    """The cosine, or the negative Euclidean distance, between rows of `vectors` (n, d).

    With `standardise` each column is z-scored first, with mean and deviation of the rows `like` (default: all);
    columns that do not vary there are left out. `weights` (d,) are multiplied after that. A row of zeros has a cosine
    of 0 with everything. Raises UnknownNameError for the metric, ExperimentError for values that are not finite.
    """
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    x = np.array(vectors, np.float64)
    w = np.ones(x.shape[-1]) if weights is None else np.asarray(weights, np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        bad = (
            "" if x.ndim != 2 else f", {int((~np.isfinite(x).all(axis=1)).sum())} of them with NaN or infinite numbers"
        )
        raise ExperimentError(f"embeddings are finite and of shape (clips, numbers), not {x.shape}{bad}")
    if standardise:
        some = x if like is None else x[like]
        deviation = some.std(axis=0)
        varies = deviation > 1e-9 * np.maximum(1.0, np.abs(some.mean(axis=0)))
        x, w = (x - some.mean(axis=0))[:, varies] / deviation[varies], w[varies]
    x *= w
    if metric == "cosine":
        lengths = np.linalg.norm(x, axis=1, keepdims=True)
        x = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
        return lambda rows: np.asarray(x[rows] @ x.T)
    squares = np.square(x).sum(axis=1)

    def minus_distance(rows: IntArray) -> FloatArray:
        distance = np.sqrt(np.maximum(squares[rows][:, np.newaxis] + squares - 2 * x[rows] @ x.T, 0))
        return np.asarray(-distance)

    return minus_distance


@dataclass(frozen=True, eq=False)
class Answers:
    """What a set of songs were answered, each (asked,) unless said otherwise."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    precision: Mapping[int, FloatArray]
    """k -> share of the nearest k that have the label; of all there are, where fewer than k may answer."""
    average_precision: FloatArray
    """Mean of the precision at every right answer, over all candidates ranked; 0 where none is right."""
    chance: FloatArray
    """Share of the candidates that are right: the precision of answers drawn at random."""
    candidates: IntArray
    """How many songs might answer."""
    occurrences: Mapping[int, IntArray]
    """k -> (n,) how often each song that may answer was among the nearest k."""


def ask(
    near: Nearness,
    labels: Sequence[str],
    *,
    ids: Sequence[str] | None = None,
    queries: npt.ArrayLike | None = None,
    candidates: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    ks: Sequence[int] = KS,
) -> Answers:
    """Let `queries` (rows, default: all) ask, and `candidates` (rows, default: all) answer.

    No song answers itself, and with `groups` (n,) none answers that is of the asking song's group. Songs that are
    equally near are put in a random, fixed order, so that no label gains by its place in the dataset.
    """
    names, n = np.asarray(labels), len(labels)
    asking = np.arange(n) if queries is None else np.asarray(queries, np.int64)
    pool = np.arange(n) if candidates is None else np.asarray(candidates, np.int64)
    if not len(asking) or len(pool) < 2:
        raise ExperimentError(f"{len(asking)} songs ask and {len(pool)} may answer: too few to evaluate")
    pool = np.random.default_rng(0).permutation(pool)
    apart = np.arange(n) if groups is None else np.asarray(groups)
    found: dict[int, list[FloatArray]] = {k: [] for k in ks}
    counts = {k: np.zeros(n, np.int64) for k in ks}
    rest: list[tuple[FloatArray, FloatArray, IntArray]] = []
    for begin in range(0, len(asking), _BLOCK):
        rows = asking[begin : begin + _BLOCK]
        may = (apart[rows][:, np.newaxis] != apart[pool]) & (rows[:, np.newaxis] != pool)
        order = np.argsort(np.where(may, -near(rows)[:, pool], np.inf), axis=1, kind="stable")
        there = np.take_along_axis(may, order, axis=1)  # those that may not answer stand last
        right = (names[rows][:, np.newaxis] == names[pool][order]) & there
        total = there.sum(axis=1)
        for k in ks:
            found[k].append(right[:, :k].sum(axis=1) / np.clip(total, 1, k))
            np.add.at(counts[k], pool[order[:, :k]][there[:, :k]], 1)
        hits = right.cumsum(axis=1)
        precisions = np.where(right, hits / np.arange(1, len(pool) + 1), 0).sum(axis=1)
        rest.append((precisions / np.maximum(hits[:, -1], 1), hits[:, -1] / np.maximum(total, 1), total))
    average, chance, total = (np.concatenate(parts) for parts in zip(*rest, strict=True))
    return Answers(
        ids=tuple(str(asking_id) for asking_id in (asking if ids is None else np.asarray(ids)[asking])),
        labels=tuple(names[asking].tolist()),
        precision={k: np.concatenate(parts) for k, parts in found.items()},
        average_precision=average,
        chance=chance,
        candidates=total,
        occurrences={k: count[np.sort(pool)] for k, count in counts.items()},
    )


@dataclass(frozen=True)
class Hubness:
    """How evenly songs are recommended (Radovanović, Nanopoulos & Ivanović, JMLR 2010)."""

    skewness: float
    """Of the k-occurrence: how often each song is among the nearest k of another. 0 is even, more means hubs."""
    never: float
    """Share of the songs that are nobody's answer."""
    largest: float
    """Share of all lists that hold the song which occurs most often."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of one space, with 95 % bootstrap intervals over the songs that asked."""

    asked: int
    candidates: int
    """Songs that might answer; the mean over all that asked."""
    precision: Mapping[int, Interval]
    per_label: Mapping[str, Mapping[int, Interval]]
    """Label -> k -> share of the nearest k that have it (S1 figure 19)."""
    mean_average_precision: Interval
    chance: float
    hubness: Mapping[int, Hubness]


def evaluate(
    embeddings: npt.NDArray[np.floating],
    labels: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    queries: npt.ArrayLike | None = None,
    candidates: npt.ArrayLike | None = None,
    ks: Sequence[int] = KS,
    metric: str = "cosine",
    standardise: bool = False,
) -> Evaluation:
    """The figures of one space, `embeddings` (n, d) of songs with `labels` (n,); see `nearness` and `ask`.

    With no more than these two arguments it is S1's way. `standardise` looks at the candidates only.
    """
    like = None if candidates is None else np.asarray(candidates, np.int64)
    near = nearness(embeddings, metric=metric, standardise=standardise, like=like)
    return summarise([ask(near, labels, queries=queries, candidates=candidates, groups=groups, ks=ks)])


def summarise(answers: Sequence[Answers]) -> Evaluation:
    """The figures of answers from one or several spaces, such as the folds of a run.

    A song that asked several times counts once, with the mean.
    """
    if not answers:
        raise ExperimentError("there are no answers to evaluate")
    ks = tuple(answers[0].precision)
    ids = np.concatenate([np.asarray(one.ids, np.str_) for one in answers])
    labels = np.concatenate([np.asarray(one.labels, np.str_) for one in answers])
    _, first, song = np.unique(ids, return_index=True, return_inverse=True)
    of_song = labels[first]

    def per_song(name: Callable[[Answers], npt.NDArray[np.generic]]) -> FloatArray:
        values = np.concatenate([np.asarray(name(one), np.float64) for one in answers])
        return np.bincount(song, weights=values) / np.bincount(song)

    precision = {k: per_song(lambda one, k=k: one.precision[k]) for k in ks}  # type: ignore[misc]
    return Evaluation(
        asked=len(first),
        candidates=round(float(per_song(lambda one: one.candidates).mean())),
        precision={k: interval(values) for k, values in precision.items()},
        per_label={
            str(label): {k: interval(values[of_song == label]) for k, values in precision.items()}
            for label in np.unique(of_song)
        },
        mean_average_precision=interval(per_song(lambda one: one.average_precision)),
        chance=float(per_song(lambda one: one.chance).mean()),
        hubness={k: _hubness(answers, k) for k in ks},
    )


def interval(values: FloatArray) -> Interval:
    """Mean of `values` (n,), with its percentile bootstrap interval."""
    chosen = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(values))


def _hubness(answers: Sequence[Answers], k: int) -> Hubness:
    """Over the songs of every space together; how often a song can occur at most differs little between folds."""
    counts = np.concatenate([one.occurrences[k] for one in answers])
    deviation = float(counts.std())
    skewness = float(np.mean((counts - counts.mean()) ** 3)) / deviation**3 if deviation > 0 else 0.0
    largest = max(float(one.occurrences[k].max()) / len(one.ids) for one in answers)
    return Hubness(skewness, float(np.mean(counts == 0)), largest)


def apart(dataset: Dataset) -> IntArray:
    """Numbers (n,) that are equal for clips which say nothing about one another: of one artist, or one recording."""
    dataset = dataclasses.replace(dataset, duplicates=find_duplicates(dataset))
    groups = inseparable(dataset)
    if groups is not None:
        return groups
    groups = np.arange(len(dataset))
    row = {id: i for i, id in enumerate(dataset.ids)}
    for copies in dataset.duplicates:
        groups[[row[id] for id in copies]] = row[copies[0]]
    return groups


@dataclass(frozen=True)
class Row:
    """One line of the table: a model, how it was asked, and its figures."""

    model: str
    how: str
    evaluation: Evaluation
