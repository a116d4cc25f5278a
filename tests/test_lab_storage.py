"""Saved estimators predict as before; damaged, foreign and unsafe files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from soundkin.errors import WeightsError
from soundkin.lab.classical import CLASSICAL, PREPROCESS
from soundkin.lab.ensemble import RULES, Ensemble
from soundkin.lab.storage import load_estimator, read_card, save_estimator
from soundkin.lab.training import NeuralClassifier

SMALL: dict[str, dict[str, Any]] = {
    name: {"n_estimators": 5} for name in ("random-forest", "extra-trees", "gradient-boosting")
}
STEP_SETTINGS = {"pca": 4, "truncated_svd": 3, "k_best": 4, "quantiles": 20, "kernel_components": 30}


def clouds() -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(3), 20)
    return np.exp(y[:, np.newaxis] + np.random.default_rng(0).normal(size=(60, 6))), y


def network() -> NeuralClassifier:
    return NeuralClassifier("ann", epochs=1, validation=0.0, device="cpu")


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_classical_method_predicts_the_same_once_loaded(name: str, tmp_path: Path) -> None:
    X, y = clouds()
    chain = CLASSICAL[name](**SMALL.get(name, {})).fit(X, y)
    save_estimator(chain, tmp_path / "model", card={"labels": ["a", "b", "c"]})
    loaded = load_estimator(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), chain.predict_proba(X))
    np.testing.assert_array_equal(loaded.embed(X), chain.embed(X))
    assert read_card(tmp_path / "model") == {"labels": ["a", "b", "c"]}


@pytest.mark.parametrize("name", PREPROCESS)
def test_every_step_is_kept(name: str, tmp_path: Path) -> None:
    X, y = clouds()
    settings = {key: STEP_SETTINGS[key] for key in PREPROCESS[name].settings if key in STEP_SETTINGS}
    chain = CLASSICAL["lda"](preprocess=[name], **settings).fit(X, y)
    save_estimator(chain, tmp_path, card={})
    np.testing.assert_array_equal(load_estimator(tmp_path).embed(X), chain.embed(X))


@pytest.mark.parametrize("rule", [*RULES, "stacking"])
def test_ensembles_predict_the_same_once_loaded(rule: str, tmp_path: Path) -> None:
    X, y = clouds()
    members = [("lda", CLASSICAL["lda"]()), ("k-nn", CLASSICAL["k-nn"]())]
    ensemble = Ensemble(members, rule=rule).fit(X, y)
    save_estimator(ensemble, tmp_path, card={})
    loaded = load_estimator(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), ensemble.predict_proba(X))
    assert [name for name, _ in loaded.members] == ["lda", "k-nn"]


def test_a_network_beside_a_chain(tmp_path: Path) -> None:
    X, y = clouds()
    X = X.astype(np.float32)
    ensemble = Ensemble([("ann", network()), ("lda", CLASSICAL["lda"]())]).fit(X, y)
    save_estimator(ensemble, tmp_path, card={})
    np.testing.assert_allclose(load_estimator(tmp_path).predict_proba(X), ensemble.predict_proba(X), atol=1e-6)


def test_types_that_soundkin_does_not_write_are_named_and_refused(tmp_path: Path) -> None:
    X, y = clouds()
    chain = CLASSICAL["lda"]().fit(X, y)
    save_estimator(chain, tmp_path, card={})
    steps = [("unsafe", FunctionTransformer(json.loads)), *chain.steps]
    (tmp_path / "estimator.skops").write_bytes(skops.io.dumps(Pipeline(steps)))
    with pytest.raises(WeightsError, match=r"types that soundkin does not write .*json\.loads"):
        load_estimator(tmp_path)
    with pytest.raises(WeightsError, match=r"Pipeline cannot be saved: it holds .*json\.loads"):
        save_estimator(Pipeline(steps), tmp_path / "other", card={})


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _change_kind(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "kind": "oracle"}), encoding="utf-8")


def _drop_rule(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))
    del content["rule"]
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "harm", "message"),
    [
        ("member-0/estimator.skops", _cut, "damaged, or no file of skops"),
        ("member-0/estimator.skops", lambda path: path.write_bytes(b"RIFF"), "damaged, or no file of skops"),
        ("member-0/estimator.skops", lambda path: path.write_bytes(skops.io.dumps([1, 2])), "holds a list"),
        ("member-0/estimator.skops", Path.unlink, "estimator.skops: cannot be read"),
        ("member-1/classifier.json", lambda path: path.write_text("{"), "the network in it cannot be read"),
        ("member-1/weights.safetensors", _cut, "weights.safetensors"),
        ("estimator.json", lambda path: path.write_text("{"), "estimator.json: cannot be read"),
        ("estimator.json", lambda path: path.write_text("[]"), "not of format 1"),
        ("estimator.json", _change_kind, "is of kind 'oracle'"),
        ("estimator.json", _drop_rule, "the ensemble in it cannot be read"),
        ("estimator.json", Path.unlink, "no saved estimator"),
    ],
)
def test_damaged_folders(file: str, harm: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    X, y = clouds()
    ensemble = Ensemble([("lda", CLASSICAL["lda"]()), ("ann", network())]).fit(X.astype(np.float32), y)
    save_estimator(ensemble, tmp_path, card={})
    harm(tmp_path / file)
    with pytest.raises(WeightsError, match=message):
        load_estimator(tmp_path)
