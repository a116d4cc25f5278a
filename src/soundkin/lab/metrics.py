"""How right a classifier is, and how sure one may be of that.

A figure is the mean over seeds; the folds of one seed are pooled, for together they test every clip once. Its interval
is the percentile bootstrap (Efron 1979) over clusters and seeds: clips of one artist, or copies of one recording, are
drawn together or not at all, and so are the tests of a clip under several seeds, since their answers are not
independent; and where there are several seeds, they are drawn too. So the interval says how far the figure would move
with other artists of the same kind and other starts of the training; of two or three seeds it learns little of the
latter. It knows nothing of what train and test share, which is the leak check's matter, and it has no width where
every answer is right or every answer is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from soundkin.errors import ExperimentError
from soundkin.lab.runs import Predictions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RESAMPLES = 10_000
_DRAWN_AT_ONCE = 4_000_000
"""Clips drawn in one step: 32 MB."""


class Interval(NamedTuple):
    """A figure and the interval that holds it in 95 % of resamples."""

    value: float
    low: float
    high: float
    clips: int
    """Number of different clips behind it."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Average(NamedTuple):
    """Precision, recall and F1 over all classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures per class, each (classes,) float64, and over all of them.

    A class that was never predicted has precision 0, as in S1's reports. One that neither was tested nor predicted is
    NaN and left out of the averages, as scikit-learn leaves it out.
    """

    labels: tuple[str, ...]
    accuracy: float
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: FloatArray
    """Tested clips of each class (a mean, where these are the scores of several seeds)."""
    macro: Average
    weighted: Average


def classification_report(predictions: Predictions | Sequence[Predictions]) -> Scores:
    """The scores of all these test parts together, S1's and S2's classification report.

    Raises ExperimentError where nothing was tested, or not always the same classes.
    """
    labels, true, predicted = _pooled(predictions)
    numbers = np.arange(len(labels))
    found = precision_recall_fscore_support(true, predicted, labels=numbers, zero_division=0)
    precision, recall, f1, support = (np.asarray(values, np.float64) for values in found)
    present = (support > 0) | np.isin(numbers, predicted)
    per_class = [np.where(present, values, np.nan) for values in (precision, recall, f1)]
    return Scores(
        labels=labels,
        accuracy=float(np.mean(true == predicted)),
        precision=per_class[0],
        recall=per_class[1],
        f1=per_class[2],
        support=support,
        macro=Average(*(float(np.nanmean(values)) for values in per_class)),
        weighted=Average(*(float(np.average(values, weights=support)) for values in (precision, recall, f1))),
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """The mean over several seeds, figure by figure."""
    fields: dict[str, FloatArray] = {}
    for name in ("precision", "recall", "f1"):
        values = np.stack([getattr(one, name) for one in scores])
        there = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            fields[name] = np.where(there, values, 0).sum(axis=0) / there.sum(axis=0)
    return Scores(
        labels=scores[0].labels,
        accuracy=float(np.mean([one.accuracy for one in scores])),
        support=np.mean([one.support for one in scores], axis=0),
        macro=Average(*np.mean([one.macro for one in scores], axis=0).tolist()),
        weighted=Average(*np.mean([one.weighted for one in scores], axis=0).tolist()),
        **fields,
    )


def confusion_matrix(predictions: Predictions | Sequence[Predictions]) -> IntArray:
    """Tested clips by true class (row) and predicted class (column), (classes, classes) int64."""
    labels, true, predicted = _pooled(predictions)
    counts = np.bincount(true * len(labels) + predicted, minlength=len(labels) ** 2)
    return counts.reshape(len(labels), len(labels)).astype(np.int64)


def _pooled(predictions: Predictions | Sequence[Predictions]) -> tuple[tuple[str, ...], IntArray, IntArray]:
    parts = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    if not any(part.ids for part in parts):
        raise ExperimentError("there is no tested clip to score")
    labels = parts[0].labels
    for part in parts:
        if part.labels != labels:
            raise ExperimentError(f"predictions of different classes cannot be pooled: {labels} and {part.labels}")
    return labels, np.concatenate([part.y_true for part in parts]), np.concatenate([part.y_pred for part in parts])


@dataclass(frozen=True, eq=False)
class Outcomes:
    """How often each clip was tested under each seed, and how often it was named rightly: (clips, seeds) float32."""

    ids: tuple[str, ...]
    seeds: tuple[int, ...]
    tested: npt.NDArray[np.float32]
    right: npt.NDArray[np.float32]
    groups: IntArray | None = None
    """Group of each clip, (clips,): clips of one artist or one recording err together, and are drawn together."""

    @property
    def by_seed(self) -> FloatArray:
        """The share of right answers under each seed, (seeds,)."""
        return np.asarray(self.right.sum(axis=0) / np.maximum(self.tested.sum(axis=0), 1), np.float64)

    @property
    def accuracy(self) -> float:
        """Mean over seeds of the share of right answers."""
        return float(_mean_over_seeds(self.right.sum(axis=0), self.tested.sum(axis=0)))


def collect(by_seed: Mapping[int, Sequence[Predictions]], *, groups: Mapping[str, int] | None = None) -> Outcomes:
    """Seed -> the predictions of its folds, told by clip. `groups` gives each clip's group, where artists are known."""
    seeds = tuple(seed for seed, folds in by_seed.items() if any(part.ids for part in folds))
    if not seeds:
        raise ExperimentError("there is no tested clip to score")
    ids = tuple(dict.fromkeys(id for seed in seeds for part in by_seed[seed] for id in part.ids))
    row = {id: i for i, id in enumerate(ids)}
    tested, right = (np.zeros((len(ids), len(seeds)), np.float32) for _ in range(2))
    for column, seed in enumerate(seeds):
        for part in by_seed[seed]:
            rows = np.array([row[id] for id in part.ids], np.int64)
            np.add.at(tested[:, column], rows, 1)
            np.add.at(right[:, column], rows, part.y_true == part.y_pred)
    numbers = None if groups is None else np.array([groups.get(id, -1 - i) for i, id in enumerate(ids)], np.int64)
    return Outcomes(ids, seeds, tested, right, numbers)


def bootstrap_interval(
    outcomes: Outcomes, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Accuracy, the mean over seeds, with its percentile bootstrap interval.

    Drawn with replacement are the groups of clips (artists, copies), or single clips where no group is known, and,
    where there are several, the seeds: a figure may move with other artists and with another start.
    """
    values = _resampled_accuracy([outcomes], resamples=resamples, seed=seed)[0]
    return Interval(outcomes.accuracy, *_percentiles(values, level=level), len(outcomes.ids))


def paired_difference(
    a: Outcomes, b: Outcomes, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Accuracy of `a` less that of `b` on the clips that both were tested on, drawn together; None without any.

    Where both know the same seeds, only tests under the same seed count, for those shared their training clips too.
    """
    common = in_common(a, b)
    if common is None:
        return None
    of_a, of_b = _resampled_accuracy(common, resamples=resamples, seed=seed)
    value = common[0].accuracy - common[1].accuracy
    return Interval(value, *_percentiles(of_a - of_b, level=level), len(common[0].ids))


def in_common(a: Outcomes, b: Outcomes) -> tuple[Outcomes, Outcomes] | None:
    """Both, cut down to what can be compared: rows are the same clips in the same order."""
    ids = tuple(sorted(set(a.ids) & set(b.ids)))
    if not ids:
        return None
    a, b = _of_clips(a, ids), _of_clips(b, ids)
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if seeds:
        a, b = _of_seeds(a, seeds), _of_seeds(b, seeds)
        both = (a.tested > 0) & (b.tested > 0)
        a, b = (dataclasses.replace(one, tested=one.tested * both, right=one.right * both) for one in (a, b))
    kept = ((a.tested.sum(axis=1) > 0) & (b.tested.sum(axis=1) > 0)).nonzero()[0]
    if not len(kept):
        return None
    left = tuple(ids[i] for i in kept)
    return _of_clips(a, left), _of_clips(b, left)


def _of_clips(outcomes: Outcomes, ids: tuple[str, ...]) -> Outcomes:
    row = {id: i for i, id in enumerate(outcomes.ids)}
    rows = np.array([row[id] for id in ids], np.int64)
    return dataclasses.replace(
        outcomes,
        ids=ids,
        tested=outcomes.tested[rows],
        right=outcomes.right[rows],
        groups=None if outcomes.groups is None else outcomes.groups[rows],
    )


def _of_seeds(outcomes: Outcomes, seeds: tuple[int, ...]) -> Outcomes:
    columns = [outcomes.seeds.index(seed) for seed in seeds]
    tested, right = outcomes.tested[:, columns], outcomes.right[:, columns]
    return dataclasses.replace(outcomes, seeds=seeds, tested=tested, right=right)


def _resampled_accuracy(several: Sequence[Outcomes], *, resamples: int, seed: int) -> list[FloatArray]:
    """The accuracy of each in every resample, (resamples,); all have the same clips, and each draw is for all."""
    columns = np.concatenate([array for one in several for array in (one.right, one.tested)], axis=1)
    groups = next((one.groups for one in several if one.groups is not None), None)
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        sums = np.zeros((int(group.max()) + 1, columns.shape[1]), np.float32)
        np.add.at(sums, group, columns)
        columns = sums
    clips = len(columns)  # or groups of them
    generator = np.random.default_rng(seed)
    sums = np.empty((resamples, columns.shape[1]), np.float32)
    step = max(1, _DRAWN_AT_ONCE // clips)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = generator.integers(0, clips, (count, clips), dtype=np.int32)
        drawn += np.arange(count, dtype=np.int32)[:, None] * np.int32(clips)
        times = np.bincount(drawn.ravel(), minlength=count * clips).reshape(count, clips)
        sums[start : start + count] = times.astype(np.float32) @ columns
    parts = np.split(sums, np.cumsum([array.shape[1] for one in several for array in (one.right, one.tested)])[:-1], 1)
    counts = {len(one.seeds) for one in several}
    drawn_seeds = {count: generator.integers(0, count, (resamples, count)) for count in sorted(counts)}
    accuracies = []
    for right, tested in zip(parts[::2], parts[1::2], strict=True):
        seeds = drawn_seeds[right.shape[1]]
        accuracies.append(
            _mean_over_seeds(np.take_along_axis(right, seeds, axis=1), np.take_along_axis(tested, seeds, axis=1))
        )
    return accuracies


def _mean_over_seeds(right: npt.NDArray[np.float32], tested: npt.NDArray[np.float32]) -> FloatArray:
    """Right answers and tests, (…, seeds), to accuracy (…,); a seed that tested none of them does not count."""
    there = tested > 0
    shares = np.divide(right, tested, out=np.zeros(tested.shape), where=there)
    return np.asarray(shares.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1), np.float64)


def _percentiles(values: FloatArray, *, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class Confused(NamedTuple):
    """Clips of one class that were taken for another."""

    true: str
    predicted: str
    tests: int
    share: float
    """Of all tests of the true class."""


def most_confused(matrix: IntArray, labels: Sequence[str], *, n: int = 10) -> list[Confused]:
    """The pairs of classes that are confused most often, the most frequent first; `matrix` is a `confusion_matrix`."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:n]
    pairs = [divmod(int(i), len(labels)) for i in order]
    return [
        Confused(labels[row], labels[column], int(wrong[row, column]), float(wrong[row, column] / matrix[row].sum()))
        for row, column in pairs
        if wrong[row, column]
    ]


class Wrong(NamedTuple):
    """A clip that is named wrongly on the mean of its tests."""

    clip: str
    true: str
    predicted: str
    probability: float
    """Of the wrong class."""
    wrong: int
    tested: int


def confidently_wrong(predictions: Iterable[Predictions], *, n: int = 10) -> list[Wrong]:
    """The wrong answers with the highest probability: the first place to look for wrong labels."""
    sums: dict[str, FloatArray] = {}
    tests: dict[str, list[int]] = {}
    truth: dict[str, tuple[int, tuple[str, ...]]] = {}
    for part in predictions:
        for id, true, predicted, row in zip(part.ids, part.y_true, part.y_pred, part.probabilities, strict=True):
            sums[id] = sums.get(id, 0) + row
            tests.setdefault(id, []).append(int(true != predicted))
            truth[id] = int(true), part.labels
    found = []
    for id, total in sums.items():
        true, labels = truth[id]
        predicted = int(total.argmax())
        if predicted != true:
            probability = float(total[predicted]) / len(tests[id])
            found.append(Wrong(id, labels[true], labels[predicted], probability, sum(tests[id]), len(tests[id])))
    return sorted(found, key=lambda wrong: (-wrong.probability, wrong.clip))[:n]
