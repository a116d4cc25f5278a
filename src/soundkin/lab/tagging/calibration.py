"""Probabilities that mean what they say, and a threshold for each tag, both from a validation part.

Of the clips that a calibrated tagger gives a probability of .3, about three in ten have the tag. Nothing here may see
the test part: `Calibration.fit` takes the validation part's answers, `apply` and `predict` are for any others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
from sklearn.isotonic import IsotonicRegression

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.tagwise import as_tag_matrix

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FORMAT = 1
EDGE = 1e-7
"""Probabilities nearer than this to 0 or 1 count as that far from them: a logit is finite."""
LEAST = 10
"""With fewer validation clips that have a tag, or that lack it, its curve is not fitted by itself."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the raw answers of one tagger become probabilities and decisions; every array has one entry a tag.

    A tag with fewer than `LEAST` validation clips on either side gets no slope of its own but that of all tags together
    (one slope, an offset for each tag), and no isotonic curve: `apply` answers by Platt's for both kinds.
    """

    labels: tuple[str, ...]
    thresholds: FloatArray
    """On the raw answers, (tags,): a tag is said where the answer is this or more."""
    chosen: BoolArray
    """Whether validation had clips with the tag and clips without it; where not, the threshold is .5."""
    slope: FloatArray
    """Platt's, on the logit of the raw answer, 0 or more; 0 where high answers did not go with the tag."""
    intercept: FloatArray
    knots: tuple[tuple[FloatArray, FloatArray], ...]
    """Isotonic curve of each tag: raw answers, rising, and their probabilities; both empty where there is none."""
    n: int
    """Clips of the validation part."""

    @classmethod
    def fit(cls, y: Any, p: Any, labels: Sequence[str] | None = None) -> Calibration:
        """Fit to y (n, tags) of 0 and 1 and to raw answers p (n, tags) from 0 to 1, both of a validation part.

        Raises ExperimentError for what is not that, or for labels that are not one a tag.
        """
        y, p = _pair(y, p)
        names = tuple(map(str, range(y.shape[1]))) if labels is None else tuple(labels)
        if len(names) != y.shape[1]:
            raise ExperimentError(f"{len(names)} labels for {y.shape[1]} tags; each tag needs one")
        thresholds, chosen = best_thresholds(y, p)
        slope, intercept = _platt(y, p)
        knots = tuple(_isotonic(y[:, tag], p[:, tag]) for tag in range(y.shape[1]))
        return cls(names, thresholds, chosen, slope, intercept, knots, len(y))

    def apply(self, p: Any, kind: str = "platt") -> FloatArray:
        """Raw answers (n, tags) -> probabilities (n, tags) float64. `kind`: a name of `KINDS`.

        Platt's keep the order of a tag's clips, but tie those nearer than `EDGE` to 0 or 1, and all where the slope is
        0; isotonic ones may tie any.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind of calibration", kind, KINDS)
        return KINDS[kind](self, self._look(p))

    def predict(self, p: Any) -> BoolArray:
        """Which tags are said, (n, tags) bool, from raw answers (n, tags)."""
        said: BoolArray = self._look(p) >= self.thresholds
        return said

    def _look(self, p: Any) -> FloatArray:
        answers = as_probabilities(p)
        if answers.shape[1] != len(self.labels):
            raise ExperimentError(f"answers for {answers.shape[1]} tags, but this calibration is of {len(self.labels)}")
        return answers

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; `from_dict` reads it back to the last bit."""
        return {
            "format": FORMAT,
            "labels": list(self.labels),
            "n": self.n,
            "thresholds": self.thresholds.tolist(),
            "chosen": self.chosen.tolist(),
            "slope": self.slope.tolist(),
            "intercept": self.intercept.tolist(),
            "isotonic": [{"x": x.tolist(), "y": y.tolist()} for x, y in self.knots],
        }

    @classmethod
    def from_dict(cls, content: Any) -> Calibration:
        """What `to_dict` gave. Raises ExperimentError saying what does not fit."""
        if not isinstance(content, Mapping):
            raise ExperimentError(f"a calibration is a table, not {type(content).__name__}")
        missing = [name for name in _NAMES if name not in content]
        if missing or content["format"] != FORMAT:
            wrong = f"it lacks {', '.join(missing)}" if missing else f"format {content['format']!r}"
            raise ExperimentError(f"not a calibration of format {FORMAT}: {wrong}; calibrate again")
        labels, n, curves = content["labels"], content["n"], content["isotonic"]
        if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
            raise ExperimentError(f"a calibration's labels are a list of names, not {labels!r:.80}")
        if type(n) is not int or n < 1:
            raise ExperimentError(f"a calibration's n is a number of clips, not {n!r:.80}")
        if not isinstance(curves, list) or len(curves) != len(labels):
            raise ExperimentError(f"a calibration has an isotonic curve for each of its {len(labels)} tags")
        chosen = content["chosen"]
        if not isinstance(chosen, list) or len(chosen) != len(labels) or not all(type(one) is bool for one in chosen):
            raise ExperimentError(f"a calibration's chosen is a list of true and false for {len(labels)} tags")
        slope = _numbers(content, "slope", len(labels))
        if (slope < 0).any():
            raise ExperimentError(f"a calibration's slopes are 0 or more, not {slope.min()}")
        return cls(
            tuple(labels),
            _numbers(content, "thresholds", len(labels), unit=True),
            np.array(chosen),
            slope,
            _numbers(content, "intercept", len(labels)),
            tuple(_curve(curve, label) for curve, label in zip(curves, labels, strict=True)),
            n,
        )


_NAMES = ("format", "labels", "n", "thresholds", "chosen", "slope", "intercept", "isotonic")


def _by_platt(calibration: Calibration, p: FloatArray) -> FloatArray:
    return np.asarray(scipy.special.expit(calibration.slope * _logit(p) + calibration.intercept))


def _by_isotonic(calibration: Calibration, p: FloatArray) -> FloatArray:
    answer = _by_platt(calibration, p)
    for tag, (x, y) in enumerate(calibration.knots):
        if len(x):
            answer[:, tag] = np.interp(p[:, tag], x, y)
    return np.asarray(np.clip(answer, EDGE, 1 - EDGE))


KINDS: dict[str, Callable[[Calibration, FloatArray], FloatArray]] = {"platt": _by_platt, "isotonic": _by_isotonic}
"""Name -> answers(calibration, p)."""


def best_thresholds(y: npt.NDArray[np.int64], p: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The threshold of each tag with the largest F1, and whether there was one to choose; both (tags,).

    Thresholds lie halfway between two neighbouring answers, so that one not seen before falls to the nearer side. Of
    equally good ones the largest is taken: in doubt a tag is not said. A tag that no clip has, or that all have, keeps
    .5. F1 = 2 TP / (2 TP + FP + FN).
    """
    thresholds = np.full(y.shape[1], 0.5)
    present = y.sum(axis=0)
    chosen = (present > 0) & (present < len(y))
    for tag in np.flatnonzero(chosen):
        order = np.argsort(-p[:, tag], kind="stable")
        scores = p[order, tag]
        hits = np.cumsum(y[order, tag])
        f1 = 2 * hits / (np.arange(1, len(y) + 1) + present[tag])
        last = np.append(scores[1:] < scores[:-1], True)  # of equal scores, all are said or none
        best = int(np.where(last, f1, -1.0).argmax())  # the first, and so the largest threshold
        low = scores[best + 1] if best + 1 < len(scores) else 0.0
        middle = (scores[best] + low) / 2
        thresholds[tag] = middle if middle > low else scores[best]
    return thresholds, chosen


def _platt(y: npt.NDArray[np.int64], p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope and intercept of each tag's sigmoid on the logit, to the regularised targets of Platt (1999)."""
    z = _logit(p)
    present = y.sum(axis=0)
    target = np.where(y == 1, (present + 1) / (present + 2), 1 / (len(y) - present + 2))
    rare = np.minimum(present, len(y) - present) < LEAST
    slope, intercept = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    if rare.any():
        together, intercept = fit_sigmoids(z, target)
        slope[:] = together
    for tag in np.flatnonzero(~rare):
        slope[tag], (intercept[tag],) = fit_sigmoids(z[:, [tag]], target[:, [tag]])
    return slope, intercept


def fit_sigmoids(z: FloatArray, target: FloatArray) -> tuple[float, FloatArray]:
    """One slope, 0 or more, and an intercept for each column (tags,), by the largest likelihood; the loss is convex.

    Of logits `z` (n, tags) and what they should say, probabilities `target` (n, tags).
    """
    centre = z.mean(axis=0)  # with it taken away, slope and intercepts are nearly independent: few iterations
    z = z - centre

    def loss(sigmoid: FloatArray) -> tuple[float, FloatArray]:
        x = sigmoid[0] * z + sigmoid[1:]
        error = scipy.special.expit(x) - target
        gradient = np.concatenate([[(error * z).sum()], error.sum(axis=0)])
        return float((np.logaddexp(0, x) - target * x).sum()), gradient

    # a slope below 0 would turn the tag's order round, which is a tagger to mend, not to calibrate
    bounds = [(0.0, None), *[(None, None)] * z.shape[1]]
    start = np.concatenate([[1.0], scipy.special.logit(target.mean(axis=0))])
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 1000}
    ).x
    return float(found[0]), np.asarray(found[1:] - found[0] * centre)


def _isotonic(y: npt.NDArray[np.int64], p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Knots of the rising curve with the least squared error (Zadrozny and Elkan 2002); empty for a rare tag."""
    if min(y.sum(), len(y) - y.sum()) < LEAST:
        return np.zeros(0), np.zeros(0)
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y)
    return np.asarray(curve.X_thresholds_, np.float64), np.asarray(curve.y_thresholds_, np.float64)


def _logit(p: FloatArray) -> FloatArray:
    return np.asarray(scipy.special.logit(np.clip(p, EDGE, 1 - EDGE)))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often what was given a probability came true, in bins of equal width; each array is (bins,).

    `predicted` mean probability and `observed` share of 1 are NaN in a bin without any; `count` is int64.
    """

    edges: FloatArray
    """(bins + 1,); a bin holds its lower edge, the last one 1 too."""
    predicted: FloatArray
    observed: FloatArray
    count: npt.NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |predicted - observed| over all answers (Naeini et al. 2015)."""
        full = self.count > 0
        gap = np.abs(self.predicted[full] - self.observed[full])
        return float(gap @ self.count[full] / self.count.sum())


def reliability(y: Any, p: Any, bins: int = 10) -> Reliability:
    """The reliability of probabilities p (n, tags) of y (n, tags), all pairs of clip and tag together.

    Raises ExperimentError for y that is not of 0 and 1, for p that is not from 0 to 1, and for fewer than one bin.
    """
    y, p = _pair(y, p)
    if bins < 1:
        raise ExperimentError(f"reliability needs one bin or more, not {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    number = np.digitize(p.ravel(), edges[1:-1])
    count = np.bincount(number, minlength=bins)
    sums = (np.bincount(number, weights=values.ravel(), minlength=bins) for values in (p, y))
    predicted, observed = (
        np.divide(total, count, out=np.full(bins, math.nan), where=count > 0, dtype=np.float64) for total in sums
    )
    return Reliability(edges, predicted, observed, count.astype(np.int64))


def expected_calibration_error(y: Any, p: Any, bins: int = 10) -> float:
    """See `Reliability.expected_calibration_error`: micro, over all pairs of clip and tag."""
    return reliability(y, p, bins).expected_calibration_error


def brier_score(y: Any, p: Any) -> float:
    """Mean of (p - y)² over all pairs of clip and tag (Brier 1950): 0 is best, .25 what .5 for everything gets."""
    y, p = _pair(y, p)
    return float(((p - y) ** 2).mean())


def as_probabilities(p: Any) -> FloatArray:
    """(n, tags) float64 from 0 to 1. Raises ExperimentError naming the value that is not."""
    try:
        array = np.asarray(p, np.float64)
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"a tagger's answers are numbers (clips, tags): {error}") from error
    if array.ndim != 2 or not array.size:
        raise ExperimentError(f"a tagger's answers are (clips, tags), not an array of shape {array.shape}")
    bad = np.argwhere(~((array >= 0) & (array <= 1)))
    if len(bad):
        row, column = bad[0]
        raise ExperimentError(
            f"a tagger's answers are from 0 to 1, not {array[row, column]}, as in row {row}, column {column} "
            f"(counted from 0; {len(bad)} such); logits go through a sigmoid first"
        )
    return array


def _pair(y: Any, p: Any) -> tuple[npt.NDArray[np.int64], FloatArray]:
    y, p = as_tag_matrix(y), as_probabilities(p)
    if y.shape != p.shape:
        raise ExperimentError(f"{p.shape} answers for {y.shape} tags; both are (clips, tags) of the same clips")
    return y, p


def _numbers(content: Mapping[str, Any], name: str, count: int | None, *, unit: bool = False) -> FloatArray:
    """A list of `count` finite numbers, with `unit` from 0 to 1."""
    given = content.get(name)
    values: list[Any] = given if isinstance(given, list) else [None]
    plain = all(type(one) in (int, float) and math.isfinite(one) for one in values)
    if not plain or (count is not None and len(values) != count):
        how_many = "" if count is None else f"{count} "
        raise ExperimentError(f"a calibration's {name} is a list of {how_many}finite numbers, not {given!r:.80}")
    numbers = np.array(values, np.float64)
    if unit and ((numbers < 0) | (numbers > 1)).any():
        raise ExperimentError(f"a calibration's {name} lie from 0 to 1, not from {numbers.min()} to {numbers.max()}")
    return numbers


def _curve(curve: Any, label: str) -> tuple[FloatArray, FloatArray]:
    if not isinstance(curve, Mapping):
        raise ExperimentError(f"the isotonic curve of {label} is a table of x and y, not {curve!r:.80}")
    x = _numbers(curve, "x", None, unit=True)
    y = _numbers(curve, "y", len(x), unit=True)
    if (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
        raise ExperimentError(f"the isotonic curve of {label} does not rise; calibrate again")
    return x, y
