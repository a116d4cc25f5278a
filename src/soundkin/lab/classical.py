"""Classical methods on tables of numbers: each a chain of preprocessing steps and one classifier, built from settings.

`CLASSICAL["svm"](preprocess=["standardise", "pca"], pca=20, C=3.0, seed=0)` is an unfitted scikit-learn `Pipeline`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
import scipy.stats
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.covariance import LedoitWolf, ShrunkCovariance
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, PowerTransformer, QuantileTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from soundkin.errors import ExperimentError, UnknownNameError

FloatArray = npt.NDArray[np.float64]


class LogSkewed(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The logarithm of the columns that are positive throughout and become less skewed by it, such as variances.

    Later values below the smallest one seen in `fit` count as that one.
    """

    def fit(self, X: FloatArray, y: Any = None) -> LogSkewed:
        self.lowest_ = X.min(axis=0)
        self.chosen_ = np.zeros(X.shape[1], bool)
        for column in np.flatnonzero((self.lowest_ > 0) & (np.ptp(X, axis=0) > 0)):
            skewness = scipy.stats.skew(np.stack([X[:, column], np.log(X[:, column])]), axis=1)
            self.chosen_[column] = abs(skewness[1]) < abs(skewness[0])
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        X = np.array(X, np.float64)
        X[:, self.chosen_] = np.log(np.maximum(X[:, self.chosen_], self.lowest_[self.chosen_]))
        return X


class WithinClassWhitening(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A linear map after which the columns vary alike, and independently of each other, within a class.

    What varies among songs of one genre then counts little in a distance (Hatch et al. 2006, WCCN). `shrinkage` of the
    pooled covariance towards a multiple of the identity: 0 to 1, or 'auto' (Ledoit and Wolf 2004).
    """

    def __init__(self, shrinkage: float | str = "auto") -> None:
        self.shrinkage = shrinkage

    def fit(self, X: FloatArray, y: npt.NDArray[Any]) -> WithinClassWhitening:
        _, number = np.unique(y, return_inverse=True)
        means = np.stack([X[number == i].mean(axis=0) for i in range(number.max() + 1)])
        auto = self.shrinkage == "auto"
        estimate = LedoitWolf() if auto else ShrunkCovariance(shrinkage=self.shrinkage)
        variances, directions = np.linalg.eigh(estimate.fit(X - means[number]).covariance_)
        # a direction without any variance within classes is left out, not blown up
        kept = variances > variances.max() * 1e-10
        self.mean_ = X.mean(axis=0)
        self.components_ = (directions[:, kept] / np.sqrt(variances[kept])).T
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        return np.asarray((X - self.mean_) @ self.components_.T)


class PairwiseSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Support vector machines, one for each pair of classes, with probabilities.

    Each machine's decision becomes a probability by a sigmoid fitted to decisions of a five-fold cross-validation
    (Platt 1999); the pairs are coupled by the second method of Wu, Lin and Weng (2004). `predict` is the most probable
    class. scikit-learn's own `SVC(probability=True)` works so, and goes with its version 1.11.
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        kernel: str = "rbf",
        gamma: float | str = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: FloatArray, y: npt.NDArray[Any]) -> PairwiseSVM:
        self.classes_, number, counts = np.unique(y, return_inverse=True, return_counts=True)
        if len(counts) < 2 or counts.min() < 2:
            raise ExperimentError(
                f"svm needs two classes or more with two clips of each; class {self.classes_[counts.argmin()]} has "
                f"{counts.min()}, and there are {len(counts)} classes"
            )
        decisions = np.zeros((len(X), len(counts) * (len(counts) - 1) // 2))
        folds = StratifiedKFold(min(5, counts.min()), shuffle=True, random_state=self.random_state)
        for train, test in folds.split(X, number):
            decisions[test] = _decisions(self._machines().fit(X[train], number[train]), X[test])
        self.machines_ = self._machines().fit(X, number)
        self.sigmoids_ = np.zeros((decisions.shape[1], 2))
        for pair, (i, j) in enumerate(zip(*np.triu_indices(len(counts), 1), strict=True)):
            rows = (number == i) | (number == j)
            self.sigmoids_[pair] = _platt(decisions[rows, pair], number[rows] == i)
        return self

    def _machines(self) -> SVC:
        settings = self.get_params(deep=False)
        settings.pop("random_state")  # of no use without probability
        return SVC(**settings, decision_function_shape="ovo", cache_size=50)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        slope, offset = self.sigmoids_.T
        first = scipy.special.expit(slope * _decisions(self.machines_, X) + offset)
        count = len(self.classes_)
        i, j = np.triu_indices(count, 1)
        pairwise = np.zeros((len(X), count, count))  # [n, i, j]: probability of i if it is i or j
        pairwise[:, i, j] = first = np.clip(first, 1e-7, 1 - 1e-7)
        pairwise[:, j, i] = 1 - first
        system = np.ones((len(X), count + 1, count + 1))
        system[:, :count, :count] = -pairwise * pairwise.transpose(0, 2, 1)
        system[:, range(count), range(count)] = (pairwise**2).sum(axis=1)
        system[:, count, count] = 0
        target = np.zeros((len(X), count + 1, 1))
        target[:, count] = 1
        solved = np.clip(np.linalg.solve(system, target)[:, :count, 0], 0, None)
        return np.asarray(solved / solved.sum(axis=1, keepdims=True))

    def predict(self, X: FloatArray) -> npt.NDArray[Any]:
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _decisions(machines: SVC, X: FloatArray) -> FloatArray:
    """(n, pairs), above 0 for the first class of the pair."""
    values = machines.decision_function(X)
    return (
        -values[:, np.newaxis] if values.ndim == 1 else np.asarray(values)
    )  # of two classes, it speaks for the second


def _platt(decisions: FloatArray, first: npt.NDArray[np.bool_]) -> FloatArray:
    """Slope and offset of the sigmoid that makes probabilities of `first` from `decisions`."""
    count = first.sum()
    target = np.where(first, (count + 1) / (count + 2), 1 / (len(first) - count + 2))

    def loss(sigmoid: FloatArray) -> tuple[float, FloatArray]:
        z = sigmoid[0] * decisions + sigmoid[1]
        error = scipy.special.expit(z) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([error @ decisions, error.sum()])

    return np.asarray(scipy.optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x)


class Chain(Pipeline):  # type: ignore[misc]
    """A `Pipeline` that looks at its table first.

    X is (n, columns) of finite numbers; with more axes, such as pictures (n, height, width), the rest is flattened row
    by row. Raises ExperimentError naming the columns or the shape that cannot be used.
    """

    def fit(self, X: Any, y: Any = None, **parameters: Any) -> Chain:
        X = as_table(X)
        y = np.asarray(y)
        if len(np.unique(y)) < 2:
            raise ExperimentError(f"a classifier needs clips of two classes or more, not only of {np.unique(y)}")
        try:
            super().fit(X, y, **parameters)
        except ExperimentError:
            raise
        except ValueError as error:
            names = " - ".join(name for name, _ in self.steps[:-1]) or "no preprocessing"
            kind = type(self.steps[-1][1]).__name__
            raise ExperimentError(f"{kind} after {names} cannot be fitted on {X.shape}: {error}") from error
        self.columns_ = X.shape[1]
        return self

    def _look(self, X: Any) -> FloatArray:
        table = as_table(X)
        fitted = getattr(self, "columns_", table.shape[1])
        if table.shape[1] != fitted:
            raise ExperimentError(f"this chain was fitted on {fitted} columns, not on {table.shape[1]}")
        return table

    def predict(self, X: Any, **parameters: Any) -> npt.NDArray[Any]:
        return np.asarray(super().predict(self._look(X), **parameters))

    def predict_proba(self, X: Any, **parameters: Any) -> FloatArray:
        return np.asarray(super().predict_proba(self._look(X), **parameters))

    def embed(self, X: Any) -> npt.NDArray[np.float32]:
        """See `embed`."""
        return embed(self, X)


def as_table(X: Any) -> FloatArray:
    """Finite float64 numbers (n, columns). Raises ExperimentError."""
    array = np.asarray(X)
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise ExperimentError(
            f"a classical method needs rows of equally many numbers, not {array.dtype} of shape {array.shape}; "
            "take the representation table, timbre or mel-statistics"
        )
    if array.ndim < 2 or not array.size:
        raise ExperimentError(f"a classical method needs (clips, columns), not an array of shape {array.shape}")
    table: FloatArray = array.reshape(len(array), -1).astype(np.float64, copy=False)
    bad = np.flatnonzero((~np.isfinite(table)).any(axis=0))
    if len(bad):
        some = ", ".join(str(column) for column in bad[:10]) + (", …" if len(bad) > 10 else "")
        rows = int((~np.isfinite(table)).any(axis=1).sum())
        raise ExperimentError(
            f"{len(bad)} of {table.shape[1]} columns hold NaN or infinite numbers, in {rows} of {len(table)} rows; "
            f"columns counted from 0: {some}. Leave out those clips, or columns"
        )
    return table


def embed(pipeline: Pipeline, X: Any) -> npt.NDArray[np.float32]:
    """What a fitted chain hands to its classifier, or what linear discriminant analysis projects it to: (n, d)."""
    features: Any = pipeline._look(X) if isinstance(pipeline, Chain) else as_table(X)
    for _, step in pipeline.steps[:-1]:
        features = step.transform(features)
    last = pipeline.steps[-1][1]
    if isinstance(last, LinearDiscriminantAnalysis) and last.solver != "lsqr":  # which has no projection
        features = last.transform(features)
    return np.asarray(features, np.float32)


@dataclass(frozen=True)
class Step:
    """A preprocessing step. `settings`: name in an experiment -> (name in scikit-learn, value unless given)."""

    build: Callable[..., BaseEstimator]
    settings: Mapping[str, tuple[str, Any]] = field(default_factory=dict)


PREPROCESS: dict[str, Step] = {
    "normalise": Step(Normalizer, {"norm": ("norm", "l2")}),
    "standardise": Step(StandardScaler),
    "min-max": Step(MinMaxScaler),
    "log": Step(LogSkewed),
    "power": Step(PowerTransformer),
    "quantile": Step(
        functools.partial(QuantileTransformer, output_distribution="normal"), {"quantiles": ("n_quantiles", 100)}
    ),
    "pca": Step(PCA, {"pca": ("n_components", 20), "pca_whiten": ("whiten", False)}),
    "truncated-svd": Step(TruncatedSVD, {"truncated_svd": ("n_components", 20)}),
    "select-k-best": Step(functools.partial(SelectKBest, f_classif), {"k_best": ("k", 30)}),
    "whiten-classes": Step(WithinClassWhitening, {"class_shrinkage": ("shrinkage", "auto")}),
    "kernel": Step(
        Nystroem, {"kernel_components": ("n_components", 300), "kernel_gamma": ("gamma", 0.01)}
    ),  # Williams and Seeger 2001
}
"""What may stand before a classifier, by name."""


@dataclass(frozen=True)
class Classifier:
    """Builds chains of one kind of classifier, with its defaults; all else is scikit-learn's."""

    name: str
    kind: type[BaseEstimator]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    preprocess: tuple[str, ...] = ()

    def __call__(self, *, preprocess: Sequence[str] | None = None, seed: int = 0, **settings: Any) -> Chain:
        """An unfitted chain. Raises UnknownNameError for a step, ExperimentError for a setting there is not."""
        names = self.preprocess if preprocess is None else preprocess
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ExperimentError(f"preprocess is a list of names such as ['standardise', 'pca'], not {preprocess!r}")
        steps: list[tuple[str, BaseEstimator]] = []
        for name in names:
            if name not in PREPROCESS:
                raise UnknownNameError("preprocessing step", name, PREPROCESS)
            step = PREPROCESS[name]
            given = {own: settings.pop(ours, value) for ours, (own, value) in step.settings.items()}
            label = name if names.count(name) == 1 else f"{name}-{len(steps)}"
            steps.append((label, _seeded(step.build(**given), seed)))
        known = set(inspect.signature(self.kind).parameters) - {"random_state", "verbose", "n_jobs"}
        unknown = sorted(set(settings) - known)
        if unknown:
            ours = {own for name in names for own in PREPROCESS[name].settings}
            raise ExperimentError(
                f"{self.name} has no setting {', '.join(unknown)}; there are: "
                f"{', '.join(sorted({'preprocess', 'seed'} | known | ours))} (steps of preprocess bring their own)"
            )
        return Chain([*steps, ("estimator", _seeded(self.kind(**{**self.defaults, **settings}), seed))])


def _seeded(estimator: BaseEstimator, seed: int) -> BaseEstimator:
    return estimator.set_params(random_state=seed) if "random_state" in estimator.get_params() else estimator


_SCALED = ("standardise",)
CLASSICAL: dict[str, Callable[..., Pipeline]] = {
    made.name: made
    for made in (
        # brute force: exact, quick for thousands of clips, and nothing to save but the table
        Classifier("k-nn", KNeighborsClassifier, {"algorithm": "brute"}, _SCALED),
        Classifier("logistic-regression", LogisticRegression, {"max_iter": 2000}, _SCALED),
        Classifier("svm", PairwiseSVM, {}, _SCALED),
        Classifier("lda", LinearDiscriminantAnalysis, {"solver": "eigen", "shrinkage": "auto"}, _SCALED),
        Classifier("qda", QuadraticDiscriminantAnalysis, {"solver": "eigen", "shrinkage": 0.9}, _SCALED),
        Classifier("decision-tree", DecisionTreeClassifier),
        Classifier("random-forest", RandomForestClassifier, {"n_estimators": 300}),
        Classifier("extra-trees", ExtraTreesClassifier, {"n_estimators": 300}),
        # not by histograms: OpenMP's threads wait for each other for minutes where other programs use the processor
        Classifier("gradient-boosting", GradientBoostingClassifier, {"subsample": 0.7, "max_features": 0.2}),
    )
}
"""Name -> build(**settings): `preprocess`, its steps' settings, `seed`, and scikit-learn's own parameters."""
