"""Classical chains: what they learn, what they refuse, and that a seed is all their chance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.svm import SVC

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.classical import CLASSICAL, PREPROCESS, LogSkewed, PairwiseSVM, WithinClassWhitening, embed

SMALL: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 20},
    "extra-trees": {"n_estimators": 20},
    "gradient-boosting": {"n_estimators": 20},
}
STEP_SETTINGS = {"pca": 4, "truncated_svd": 3, "k_best": 5, "quantiles": 20, "kernel_components": 30}


def clouds(seed: int, *, classes: int = 3, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Positive, skewed columns whose logarithms are clouds of normal distribution, one a class, well apart."""
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    centres = np.random.default_rng(99).normal(size=(classes, 8)) * 2
    return np.exp(0.5 * (centres[y] + generator.normal(size=(len(y), 8)))), y


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_method_learns_and_gives_probabilities(name: str) -> None:
    chain = CLASSICAL[name](**SMALL.get(name, {})).fit(*clouds(0))
    X, y = clouds(1)
    probabilities = chain.predict_proba(X)
    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(chain.classes_[probabilities.argmax(axis=1)], chain.predict(X))
    assert (chain.predict(X) == y).mean() > 0.75  # a third would be chance


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_seed_is_all_the_chance_there_is(name: str) -> None:
    X, y = clouds(0)
    first, second = (CLASSICAL[name](seed=7, **SMALL.get(name, {})).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_clone_has_the_same_settings() -> None:
    chain = CLASSICAL["svm"](preprocess=["standardise", "pca"], pca=3, C=7.0)
    copy = clone(chain)
    assert type(copy) is type(chain)
    assert copy.named_steps["pca"].n_components == 3
    assert copy.named_steps["estimator"].C == 7.0


@pytest.mark.parametrize("name", PREPROCESS)
def test_every_step_works_in_a_chain_and_takes_its_settings(name: str) -> None:
    settings = {key: STEP_SETTINGS[key] for key in PREPROCESS[name].settings if key in STEP_SETTINGS}
    chain = CLASSICAL["lda"](preprocess=[name], **settings).fit(*clouds(0))
    for ours, (own, _) in PREPROCESS[name].settings.items():
        if ours in settings:
            assert getattr(chain.named_steps[name], own) == settings[ours]
    X, y = clouds(1)
    assert (chain.predict(X) == y).mean() > 0.6


def test_steps_run_in_the_order_given() -> None:
    chain = CLASSICAL["k-nn"](preprocess=["standardise", "pca", "standardise"], pca=2)
    assert [name for name, _ in chain.steps] == ["standardise-0", "pca", "standardise-2", "estimator"]


def test_embedding_is_what_the_classifier_sees_and_of_lda_its_projection() -> None:
    X, y = clouds(0)
    chain = CLASSICAL["k-nn"](preprocess=["standardise", "pca"], pca=4).fit(X, y)
    features = embed(chain, X)
    assert features.shape == (90, 4) and features.dtype == np.float32
    np.testing.assert_allclose(features, chain[:-1].transform(X), rtol=1e-5, atol=1e-5)
    assert CLASSICAL["lda"]().fit(X, y).embed(X).shape == (90, 2)  # classes less one
    assert CLASSICAL["lda"](solver="lsqr").fit(X, y).embed(X).shape == (90, 8)


def test_pictures_are_flattened_row_by_row() -> None:
    X, y = clouds(0)
    flat, picture = (CLASSICAL["lda"]().fit(table, y).predict_proba(table) for table in (X, X.reshape(-1, 2, 4)))
    np.testing.assert_array_equal(flat, picture)


def test_logarithm_of_skewed_positive_columns_only() -> None:
    generator = np.random.default_rng(0)
    X = np.stack([np.exp(generator.normal(size=200)), generator.normal(size=200), np.ones(200)], axis=1)
    step = LogSkewed().fit(X)
    assert step.chosen_.tolist() == [True, False, False]
    later = step.transform(np.array([[-5.0, -5.0, 1.0]]))
    np.testing.assert_allclose(later, [[np.log(X[:, 0].min()), -5, 1]])


def test_whitening_leaves_unit_covariance_within_classes() -> None:
    X, y = clouds(0, each=200)
    Z = WithinClassWhitening(shrinkage=0.0).fit(X, y).transform(X)
    within = np.concatenate([Z[y == i] - Z[y == i].mean(axis=0) for i in range(3)])
    np.testing.assert_allclose(within.T @ within / len(Z), np.eye(8), atol=1e-8)


def test_pairwise_machines_are_those_of_scikit_learn_until_it_removes_them() -> None:
    X, y = (np.log(part) if part.dtype == float else part for part in clouds(0))
    ours = PairwiseSVM(gamma=0.1, random_state=0).fit(X, y).predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = SVC(gamma=0.1, probability=True, random_state=0).fit(X, y).predict_proba(X)
        except TypeError:
            pytest.skip("this scikit-learn has no SVC(probability=True)")
    # other folds of the inner cross-validation, else the same
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    assert np.abs(ours - theirs).mean() < 0.02


def test_pairwise_machines_of_two_classes() -> None:
    X, y = clouds(0, classes=2)
    labels = np.array(["jazz", "rock"])[y]
    svm = PairwiseSVM(random_state=0).fit(X, labels)
    assert svm.predict_proba(X).shape == (60, 2)
    assert (svm.predict(X) == labels).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": 3}, r"k-nn has no setting neighbours; there are: .*n_neighbors, .*preprocess"),
        ({"pca": 3}, r"no setting pca; .*steps of preprocess bring their own"),
        ({"preprocess": "pca"}, r"list of names such as .* not 'pca'"),
    ],
)
def test_settings_there_are_not(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        CLASSICAL["k-nn"](**settings)


def test_a_step_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match=r"preprocessing step 'umap'; there are: normalise, standardise"):
        CLASSICAL["k-nn"](preprocess=["umap"])


def test_values_that_scikit_learn_refuses_name_the_chain() -> None:
    with pytest.raises(ExperimentError, match=r"PairwiseSVM after standardise cannot be fitted on \(90, 8\): .*'C'"):
        CLASSICAL["svm"](C=-1.0).fit(*clouds(0))
    with pytest.raises(ExperimentError, match=r"after pca cannot be fitted on \(90, 8\): n_components=20"):
        CLASSICAL["lda"](preprocess=["pca"]).fit(*clouds(0))


def test_bad_tables_are_refused_with_a_reason() -> None:
    X, y = clouds(0)
    chain = CLASSICAL["lda"]().fit(X, y)
    broken = X.copy()
    broken[4, 2] = broken[5, 2] = np.nan
    broken[5, 6] = np.inf
    for use in (chain.predict, chain.predict_proba, chain.embed, lambda X: clone(chain).fit(X, y)):
        with pytest.raises(ExperimentError, match=r"2 of 8 columns hold NaN .* in 2 of 90 rows; .*: 2, 6\."):
            use(broken)
    with pytest.raises(ExperimentError, match="fitted on 8 columns, not on 7"):
        chain.predict(X[:, :7])
    with pytest.raises(ExperimentError, match="rows of equally many numbers, not object"):
        chain.predict(np.array([np.zeros(3), np.zeros(4)], dtype=object))
    with pytest.raises(ExperimentError, match=r"not an array of shape \(8,\)"):
        chain.predict(X[0])
    with pytest.raises(ExperimentError, match=r"two classes or more, not only of \[1\]"):
        clone(chain).fit(X, np.ones(90, int))
