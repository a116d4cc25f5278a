"""Ensembles: the rules as arithmetic, what members are given, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.classical import CLASSICAL
from soundkin.lab.ensemble import RULES, Ensemble, build_ensemble, combine

STACK = np.array([[[0.6, 0.4, 0.0]], [[0.6, 0.3, 0.1]], [[0.0, 0.9, 0.1]]])
"""Three members, one clip, three classes: two expect the first class, one is sure of the second."""


def clouds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(3), 20)
    centres = np.random.default_rng(99).normal(size=(3, 5)) * 2
    return centres[y] + np.random.default_rng(seed).normal(size=(60, 5)), y


class Constant(ClassifierMixin, BaseEstimator):
    """Expects one class; remembers what it was given."""

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected

    def fit(self, X: Any, y: Any, *, valid: Any = None, groups: Any = None) -> Constant:
        self.classes_, self.valid_, self.groups_ = np.unique(y), valid, groups
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.eye(len(self.classes_))[np.full(len(X), self.expected)]

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.classes_[self.expected])


@pytest.mark.parametrize(
    ("rule", "weights", "expected"),
    [
        ("mean", None, [1.2 / 3, 1.6 / 3, 0.2 / 3]),
        ("maximum", None, [0.6 / 1.6, 0.9 / 1.6, 0.1 / 1.6]),
        ("weighted", [1, 3, 0], [0.6, 0.325, 0.075]),
    ],
)
def test_rules_are_this_arithmetic(rule: str, weights: list[float] | None, expected: list[float]) -> None:
    np.testing.assert_allclose(combine(STACK, rule=rule, weights=weights), [expected], atol=1e-12)


def test_the_vote_follows_the_majority_and_the_mean_between_equals() -> None:
    assert combine(STACK, rule="vote").argmax() == 0  # by mean it would be 1
    assert combine(STACK[1:], rule="vote").argmax() == 1  # one vote each; .6 against .3 in the mean
    many = np.tile([[[0.51, 0.49]]], (51, 1, 1))
    many[:25] = [[[0.0, 1.0]]]
    assert combine(many, rule="vote").argmax() == 0  # 26 votes to 25, however sure the 25


@pytest.mark.parametrize("rule", [*RULES, "stacking"])
def test_every_rule_learns_and_gives_probabilities(rule: str) -> None:
    members = [(name, CLASSICAL[name]()) for name in ("lda", "k-nn", "decision-tree")]
    ensemble = Ensemble(members, rule=rule).fit(*clouds(0))
    X, y = clouds(1)
    np.testing.assert_allclose(ensemble.predict_proba(X).sum(axis=1), 1, atol=1e-9)
    assert (ensemble.predict(X) == y).mean() > 0.8
    assert len(ensemble.members_) == 3
    assert ensemble.member_probabilities(X).shape == (3, 60, 3)


def test_stacking_of_two_classes_with_names_for_classes() -> None:
    X, y = clouds(0)
    X, labels = X[y < 2], np.array(["jazz", "rock"])[y[y < 2]]
    stack = Ensemble([("a", CLASSICAL["lda"]()), ("b", CLASSICAL["k-nn"]())], rule="stacking").fit(X, labels)
    assert (stack.predict(X) == labels).mean() > 0.9


def test_weights_are_the_accuracies_on_the_validation_part() -> None:
    X, y = clouds(0)
    valid = (X[:10], np.array([0] * 7 + [1] * 3))
    ensemble = Ensemble([("zero", Constant(0)), ("one", Constant(1))], rule="weighted").fit(X, y, valid=valid)
    np.testing.assert_allclose(ensemble.weights_, [0.7, 0.3])
    np.testing.assert_allclose(ensemble.predict_proba(X[:1]), [[0.7, 0.3, 0]])


def test_weights_without_a_validation_part_are_of_clips_not_learnt() -> None:
    X, y = clouds(0)
    y = np.random.default_rng(0).permutation(y)  # nothing to learn; a single neighbour knows its own clips by heart
    ensemble = Ensemble([("k-nn", CLASSICAL["k-nn"](n_neighbors=1))], rule="weighted").fit(X, y)
    assert ensemble.weights_[0] < 0.7


def test_members_are_given_what_their_fit_takes() -> None:
    X, y = clouds(0)
    groups = np.arange(60) // 2
    ensemble = Ensemble([("constant", Constant()), ("lda", CLASSICAL["lda"]())])
    ensemble.fit(X, y, valid=(X, y), groups=groups)
    assert ensemble.members_[0].valid_[0] is X
    assert ensemble.members_[0].groups_ is groups
    assert not hasattr(ensemble.members[0][1], "classes_")  # members are fitted as copies


@pytest.mark.parametrize("rule", ["weighted", "stacking"])
def test_groups_stay_whole_in_inner_folds(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = clouds(0)
    X[:, 0] = groups = np.arange(60) // 4  # so that a fit sees of which groups its rows are
    seen: list[set[float]] = []
    fit, predict = Constant.fit, Constant.predict_proba

    def watched_fit(self: Constant, X: Any, y: Any, **more: Any) -> Constant:
        self.rows_ = set(X[:, 0])
        return fit(self, X, y, **more)

    def watched_predict(self: Constant, X: Any) -> np.ndarray:
        seen.append(self.rows_ & set(X[:, 0]))
        return predict(self, X)

    watched_predict.__name__ = "predict_proba"  # scikit-learn asks for it
    monkeypatch.setattr(Constant, "fit", watched_fit)
    monkeypatch.setattr(Constant, "predict_proba", watched_predict)
    monkeypatch.setattr(Constant, "predict", lambda self, X: watched_predict(self, X).argmax(axis=1))
    Ensemble([("constant", Constant())], rule=rule).fit(X, y, groups=groups)
    assert len(seen) == 5 and not any(seen)


def make(name: str, **settings: Any) -> Any:
    return CLASSICAL[name](**settings)


def test_built_from_plain_settings() -> None:
    ensemble = build_ensemble(
        make,
        rule="weighted",
        weights=[1, 2, 3],
        seed=5,
        members=[
            {"estimator": "k-nn", "n_neighbors": 3},
            {"estimator": "k-nn", "n_neighbors": 9},
            {"estimator": "svm", "name": "machines", "seed": 8},
        ],
    )
    assert [name for name, _ in ensemble.members] == ["k-nn", "k-nn-2", "machines"]
    assert ensemble.members[1][1].named_steps["estimator"].n_neighbors == 9
    assert ensemble.members[2][1].named_steps["estimator"].random_state == 8


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rule": "median"}, UnknownNameError, "rule of an ensemble 'median'; there are: mean, maximum"),
        ({"members": []}, ExperimentError, "needs members"),
        ({"members": [{"name": "a"}]}, ExperimentError, r"a member is a table such as .* not \{'name': 'a'\}"),
        ({"weights": [1.0]}, ExperimentError, "weights are for the rule 'weighted', not for 'mean'"),
        ({"rule": "weighted", "weights": [1.0, -1.0]}, ExperimentError, "1 numbers of 0 or more"),
        ({"voting": "soft"}, ExperimentError, "ensemble has no setting voting"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_ensemble(make, **{"members": [{"estimator": "lda"}], **settings})


def test_too_few_clips_for_inner_folds() -> None:
    X, y = clouds(0)
    rows = [0, 1, 2, 3, 20, 21, 22, 23]
    with pytest.raises(ExperimentError, match="five inner folds need five clips of each class; one class has 4"):
        Ensemble([("lda", CLASSICAL["lda"]())], rule="stacking").fit(X[rows], y[rows])
