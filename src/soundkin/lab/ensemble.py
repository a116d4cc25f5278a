"""Several classifiers as one: S3's four ways to combine their probabilities, and stacking.

A member is any scikit-learn classifier, a network among them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from soundkin.errors import ExperimentError, UnknownNameError

FloatArray = npt.NDArray[np.float64]
Data = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def _mean(stack: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(stack.mean(axis=0))


def _maximum(stack: FloatArray, weights: FloatArray) -> FloatArray:
    highest = stack.max(axis=0)
    return np.asarray(highest / highest.sum(axis=1, keepdims=True))


def _weighted(stack: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(np.tensordot(weights / weights.sum(), stack, axes=1))


def _vote(stack: FloatArray, weights: FloatArray) -> FloatArray:
    """The share of votes, moved so little by the mean probability that it decides between equal shares only."""
    members, _, classes = stack.shape
    votes = np.eye(classes)[stack.argmax(axis=2)].mean(axis=0)
    little = 0.5 / members
    return np.asarray((votes + little * stack.mean(axis=0)) / (1 + little))


RULES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "mean": _mean,
    "maximum": _maximum,
    "weighted": _weighted,
    "vote": _vote,
}
"""How members' probabilities (members, n, classes) and weights (members,) become those of the ensemble."""

STACKING = "stacking"


def combine(stack: npt.ArrayLike, *, rule: str, weights: npt.ArrayLike | None = None) -> FloatArray:
    """Probabilities (n, classes) from those of members (members, n, classes); rows sum to 1.

    'maximum' is the highest of the members', renormalised; 'vote' the share of members that expect a class, equal
    shares told apart by the mean. `weights` (members,) are for 'weighted'; equal unless given.
    Raises UnknownNameError, ExperimentError.
    """
    if rule not in RULES:
        raise UnknownNameError("rule of an ensemble", rule, RULES)
    stack = np.asarray(stack, np.float64)
    given = np.ones(len(stack)) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (len(stack),) or not np.isfinite(given).all() or given.min() < 0 or given.sum() == 0:
        raise ExperimentError(
            f"weights are {len(stack)} numbers of 0 or more, one a member and not all 0, not {given.tolist()}"
        )
    return RULES[rule](stack, given)


class Ensemble(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """`members`, (name, classifier) pairs, fitted to the same clips and combined by `rule`: see `combine`.

    'stacking' instead fits a logistic regression to probabilities that the members give for clips they were not fitted
    to (Wolpert 1992), by scikit-learn's `StackingClassifier` with five folds.

    Once fitted, `members_` are the fitted classifiers in the same order and `weights_` their weights.
    """

    def __init__(
        self,
        members: Sequence[tuple[str, BaseEstimator]],
        *,
        rule: str = "mean",
        weights: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        """`weights` are for the rule 'weighted'; where absent, each member's accuracy on clips it has not learnt."""
        self.members = members
        self.rule = rule
        self.weights = weights
        self.seed = seed

    def fit(
        self,
        X: npt.NDArray[Any],
        y: npt.NDArray[Any],
        *,
        valid: Data | None = None,
        groups: npt.NDArray[Any] | None = None,
    ) -> Ensemble:
        """Fit every member. `valid` goes to the members that take it, and gives the weights; without it they come from
        a cross-validation, as stacking does. `groups` (n,) stay whole in every inner fold. Raises ExperimentError.
        """
        self._check()
        y = np.asarray(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ExperimentError(f"a classifier needs clips of two classes or more, not only of {self.classes_}")
        if self.rule == STACKING:
            return self._stack(X, y, groups)
        self.members_ = [_fit(clone(member), X, y, valid=valid, groups=groups) for _, member in self.members]
        self.weights_ = self._weigh(X, y, valid, groups)
        return self

    @classmethod
    def from_fitted(
        cls,
        members: Sequence[tuple[str, Any]],
        *,
        rule: str = "mean",
        weights: Sequence[float] | None = None,
        valid: Data | None = None,
    ) -> Ensemble:
        """Of members that are fitted already, to the same classes. `valid` gives the weights where none are given.

        Raises ExperimentError, as it does for stacking, which must fit its members itself.
        """
        ensemble = cls(members, rule=rule, weights=weights)
        ensemble._check()
        classes = [list(member.classes_) for _, member in members]
        if any(one != classes[0] for one in classes):
            raise ExperimentError("the members of an ensemble were fitted to different classes")
        if rule == STACKING or (rule == "weighted" and weights is None and valid is None):
            raise ExperimentError(f"{rule!r} of fitted members needs weights, or clips that they were not fitted to")
        ensemble.classes_ = np.asarray(members[0][1].classes_)
        ensemble.members_ = [member for _, member in members]
        ensemble.weights_ = ensemble._weigh(np.empty(0), np.empty(0), valid, None)
        return ensemble

    def _check(self) -> None:
        if self.rule not in (*RULES, STACKING):
            raise UnknownNameError("rule of an ensemble", self.rule, (*RULES, STACKING))
        names = [name for name, _ in self.members]
        if not names or len(set(names)) < len(names):
            raise ExperimentError(f"an ensemble needs members, each with a name of its own, not {names}")
        if self.weights is not None and self.rule != "weighted":
            raise ExperimentError(f"weights are for the rule 'weighted', not for {self.rule!r}")
        if self.weights is not None:
            combine(np.ones((len(names), 1, 1)), rule=self.rule, weights=self.weights)

    def _stack(self, X: Any, y: npt.NDArray[Any], groups: npt.NDArray[Any] | None) -> Ensemble:
        stacking = StackingClassifier(
            [(name, clone(member)) for name, member in self.members],
            final_estimator=LogisticRegression(C=0.1, max_iter=2000),
            stack_method="predict_proba",
            cv=_folds(y, groups=groups, seed=self.seed),
        ).fit(X, y)
        self.members_, self.final_ = list(stacking.estimators_), stacking.final_estimator_
        self.weights_ = np.ones(len(self.members_))
        return self

    def _weigh(self, X: Any, y: npt.NDArray[Any], valid: Data | None, groups: npt.NDArray[Any] | None) -> FloatArray:
        if self.rule != "weighted":
            return np.ones(len(self.members_))
        if self.weights is not None:
            return np.asarray(self.weights, np.float64)
        if valid is not None:
            scores = [float((member.predict(valid[0]) == valid[1]).mean()) for member in self.members_]
        else:
            scores = [self._cross_validate(member, X, y, groups) for _, member in self.members]
        return np.asarray(scores) if any(scores) else np.ones(len(scores))

    def _cross_validate(self, member: Any, X: Any, y: npt.NDArray[Any], groups: npt.NDArray[Any] | None) -> float:
        right = 0
        for train, test in _folds(y, groups=groups, seed=self.seed):
            inner = None if groups is None else groups[train]
            fitted = _fit(clone(member), X[train], y[train], valid=None, groups=inner)
            right += int((fitted.predict(X[test]) == y[test]).sum())
        return right / len(y)

    def member_probabilities(self, X: Any) -> FloatArray:
        """What each member expects: (members, n, classes)."""
        check_is_fitted(self, "members_")
        return np.stack([np.asarray(member.predict_proba(X), np.float64) for member in self.members_])

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, classes), rows sum to 1."""
        stack = self.member_probabilities(X)
        if self.rule != STACKING:
            return combine(stack, rule=self.rule, weights=self.weights_)
        if len(self.classes_) == 2:  # as StackingClassifier does: the second says it all
            stack = stack[:, :, 1:]
        return np.asarray(self.final_.predict_proba(np.concatenate(list(stack), axis=1)))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _fit(member: Any, X: Any, y: Any, *, valid: Data | None, groups: npt.NDArray[Any] | None) -> Any:
    """Hand over what the member's own `fit` takes."""
    accepted = inspect.signature(member.fit).parameters
    offered = {"valid": valid, "groups": groups}
    return member.fit(X, y, **{name: v for name, v in offered.items() if name in accepted and v is not None})


def _folds(
    y: npt.NDArray[Any], *, groups: npt.NDArray[Any] | None, seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Five stratified folds, whole groups on one side. Raises ExperimentError for too few clips of a class."""
    counts = np.unique(y, return_counts=True)[1]
    if counts.min() < 5:
        raise ExperimentError(f"five inner folds need five clips of each class; one class has {counts.min()}")
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return list(kind(5, shuffle=True, random_state=seed).split(np.zeros(len(y)), y, groups))


def build_ensemble(
    make: Callable[..., BaseEstimator],
    *,
    members: Sequence[Mapping[str, Any]] = (),
    rule: str = "mean",
    weights: Sequence[float] | None = None,
    seed: int = 0,
    **unknown: Any,
) -> Ensemble:
    """An unfitted ensemble from plain settings; a member is {estimator = …, name = …, and its settings}.

    `make(name, **settings)` builds a member. `seed` is each one's that has none of its own; a name left out is the
    estimator's, numbered where it occurs again. Raises ExperimentError, UnknownNameError.
    """
    if unknown:
        raise ExperimentError(
            f"ensemble has no setting {', '.join(sorted(unknown))}; there are: members, rule, seed, weights"
        )
    pairs: list[tuple[str, BaseEstimator]] = []
    for member in members:
        if not isinstance(member, Mapping) or not isinstance(member.get("estimator"), str):
            raise ExperimentError(f"a member is a table such as {{estimator = 'svm', C = 3.0}}, not {member!r}")
        settings = {"seed": seed, **member}
        estimator = settings.pop("estimator")
        name = settings.pop("name", None) or estimator
        taken = {other for other, _ in pairs}
        if "name" not in member and name in taken:
            name = next(f"{name}-{i}" for i in range(2, len(pairs) + 3) if f"{name}-{i}" not in taken)
        pairs.append((name, make(estimator, **settings)))
    ensemble = Ensemble(pairs, rule=rule, weights=weights, seed=seed)
    ensemble._check()
    return ensemble
