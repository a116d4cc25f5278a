"""Networks as scikit-learn estimators: what a fit promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from soundkin.errors import ExperimentError, UnknownNameError, WeightsError
from soundkin.lab.inputs import Examples, Scaler, hold_out, long_enough, segment_starts
from soundkin.lab.loop import Keeper
from soundkin.lab.networks import NETWORKS, build_network
from soundkin.lab.networks.network import Network
from soundkin.lab.training import NeuralClassifier, find_device

TINY: dict[str, Any] = {"network": "mlp", "epochs": 12, "batch_size": 8, "lr": 0.02, "device": "cpu"}


def blobs(n: int = 60, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 4 * np.eye(classes, 5)
    return (centres[y] + rng.normal(size=(n, 5))).astype(np.float32), y


def mels(n: int = 24, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Spectrograms of different lengths; the class is which half of the bands is loud."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = np.empty(n, dtype=object)
    for i in range(n):
        X[i] = rng.normal(size=(32, int(rng.integers(40, 180)))).astype(np.float32)
        X[i][16 * y[i] : 16 * y[i] + 16] += 3
    return X, y


def test_it_learns_and_its_probabilities_are_probabilities() -> None:
    X, y = blobs()
    Xt, yt = blobs(seed=1)
    classifier = NeuralClassifier(**TINY).fit(X, y)
    probabilities = classifier.predict_proba(Xt)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (classifier.predict(Xt) == yt).mean() > 0.9
    assert classifier.embed(Xt).shape == (60, classifier.network_.embedding_size)
    assert classifier.embed(Xt).dtype == np.float32


def test_labels_may_be_anything() -> None:
    X, y = blobs()
    names = np.array(["blues", "jazz", "rock"])[y]
    classifier = NeuralClassifier(**TINY).fit(X, names)
    assert list(classifier.classes_) == ["blues", "jazz", "rock"]
    assert set(classifier.predict(X)) <= {"blues", "jazz", "rock"}


def test_it_is_a_scikit_learn_estimator() -> None:
    X, y = blobs()
    copy = clone(NeuralClassifier(**TINY))
    assert copy.get_params() == NeuralClassifier(**TINY).get_params()
    assert cross_val_score(copy, X, y, cv=3).mean() > 0.8


def test_equal_seeds_give_equal_networks_and_others_do_not() -> None:
    X, y = blobs()
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, second = (NeuralClassifier(**TINY).fit(X, y).predict_proba(X) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random numbers are the caller's
    np.testing.assert_array_equal(first, second)
    third = NeuralClassifier(**TINY, seed=1).fit(X, y).predict_proba(X)
    assert np.abs(first - third).max() > 1e-3


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_killed_fit_goes_on_to_the_same_end(tmp_path: Path, optimizer: str) -> None:
    X, y = blobs()
    settings = {**TINY, "epochs": 6, "optimizer": optimizer, "lr": 0.01, "schedule": "cosine"}
    settings["augment"] = [{"name": "noise"}]
    whole = NeuralClassifier(**settings).fit(X, y)

    def kill(row: dict[str, Any]) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    file = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):  # skorch would have taken it for the end
        NeuralClassifier(**settings, checkpoint=str(file), on_epoch=kill).fit(X, y)
    seen: list[int] = []
    resumed = NeuralClassifier(**settings, checkpoint=str(file), on_epoch=lambda row: seen.append(row["epoch"])).fit(
        X, y
    )
    assert seen == [4, 5, 6]
    assert [row["train_loss"] for row in resumed.history_] == [row["train_loss"] for row in whole.history_]
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize("damage", ["other settings", "truncated", "garbage", "empty"])
def test_a_checkpoint_of_no_use_is_not_used(tmp_path: Path, damage: str) -> None:
    X, y = blobs()
    file = tmp_path / "training.safetensors"
    NeuralClassifier(**{**TINY, "epochs": 2}, checkpoint=str(file)).fit(X, y)
    settings = {**TINY, "epochs": 2}
    if damage == "other settings":
        settings["lr"] = 0.5
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.write_bytes(b"" if damage == "empty" else b"garbage" * 100)
    resumed = NeuralClassifier(**settings, checkpoint=str(file)).fit(X, y)
    fresh = NeuralClassifier(**settings).fit(X, y)
    np.testing.assert_array_equal(resumed.predict_proba(X), fresh.predict_proba(X))


def test_patience_stops_and_the_best_weights_are_kept() -> None:
    X, y = blobs()
    rng = np.random.default_rng(0)
    noise = (rng.normal(size=(30, 5)).astype(np.float32), rng.integers(0, 3, 30))  # nothing to learn here
    classifier = NeuralClassifier(**{**TINY, "epochs": 60}, patience=3).fit(X, y, valid=noise)
    losses = [row["valid_loss"] for row in classifier.history_]
    assert len(losses) < 60
    assert classifier.best_epoch_ == int(np.argmin(losses)) + 1
    assert len(losses) == classifier.best_epoch_ + 3
    probabilities = classifier.predict_proba(noise[0])
    loss = -np.log(probabilities[np.arange(30), noise[1]]).mean()
    assert loss == pytest.approx(min(losses), abs=1e-6)
    last = NeuralClassifier(**{**TINY, "epochs": 60}, patience=3, keep="last").fit(X, y, valid=noise)
    loss = -np.log(last.predict_proba(noise[0])[np.arange(30), noise[1]]).mean()
    assert loss == pytest.approx(losses[-1], abs=1e-6)


def test_the_monitor_decides_what_is_best() -> None:
    X, y = blobs(seed=3)
    valid = blobs(30, seed=4)
    classifier = NeuralClassifier(**TINY, monitor="valid_accuracy", patience=None).fit(X, y, valid=valid)
    accuracies = [row["valid_accuracy"] for row in classifier.history_]
    assert accuracies[classifier.best_epoch_ - 1] == max(accuracies)
    assert len(accuracies) == TINY["epochs"]


def test_saved_and_loaded_it_answers_alike(tmp_path: Path) -> None:
    X, y = blobs()
    classifier = NeuralClassifier(**TINY).fit(X, np.array(["a", "b", "c"])[y])
    classifier.save(tmp_path / "model")
    loaded = NeuralClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(loaded.embed(X), classifier.embed(X))
    assert list(loaded.predict(X)) == list(classifier.predict(X))
    assert loaded.history_ == classifier.history_
    assert (tmp_path / "model" / "last.safetensors").is_file()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    X, y = blobs()
    NeuralClassifier(**TINY).fit(X, y).save(tmp_path / "mlp")
    M, ym = mels()
    short = {"network": "short-chunk-cnn", "segment_frames": 64, "epochs": 1, "batch_size": 8, "device": "cpu"}
    NeuralClassifier(**short).fit(M, ym).save(tmp_path / "cnn")
    (tmp_path / "mlp" / "weights.safetensors").write_bytes((tmp_path / "cnn" / "weights.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="short-chunk-cnn"):
        NeuralClassifier.load(tmp_path / "mlp")


def test_spectrograms_of_any_length_are_heard_in_segments() -> None:
    X, y = mels()
    Xt, yt = mels(seed=1)
    settings = {"network": "short-chunk-cnn", "segment_frames": 64, "epochs": 15, "batch_size": 8, "lr": 0.003}
    classifier = NeuralClassifier(**settings, device="cpu", mixup=0.2).fit(X, y, valid=(Xt, yt))
    assert (classifier.predict(Xt) == yt).mean() > 0.9
    one = classifier.predict_proba(Xt[:1])
    starts = segment_starts(max(64, Xt[0].shape[1]), 64)
    pieces = np.empty(len(starts), dtype=object)
    for i, start in enumerate(starts):
        pieces[i] = long_enough(Xt[0], 64)[:, start : start + 64]
    np.testing.assert_allclose(classifier.predict_proba(pieces).mean(axis=0), one[0], atol=1e-6)


def test_segments_lie_as_a_model_file_hears_them() -> None:
    assert list(segment_starts(100, 32)) == [2, 34, 66]
    assert list(segment_starts(32, 32)) == [0]
    short = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(long_enough(short, 5), np.concatenate([short, short], axis=1))


def test_scaling() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(3, 5, size=(50, 4)).astype(np.float32)
    scaled = Scaler.fit(table, kind="auto")(torch.from_numpy(table)).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)
    pictures = torch.from_numpy(rng.uniform(size=(3, 1, 8, 9)).astype(np.float32))
    scaled = Scaler.fit(np.zeros((3, 8, 9), np.uint8), kind="per-picture")(pictures).numpy()
    np.testing.assert_allclose(scaled.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=(1, 2, 3)), 1, atol=1e-4)
    X, _ = mels(5)
    scaler = Scaler.fit(X, kind="standard")
    every = np.concatenate([scaler(torch.from_numpy(mel)[None])[0].numpy() for mel in X], axis=1)
    np.testing.assert_allclose(every.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(every.std(axis=1), 1, atol=1e-4)


def test_whole_artists_are_held_out() -> None:
    _, y = blobs(60)
    groups = np.arange(60) // 4
    rows = np.arange(60)[:, None]
    train, _, (held, _) = hold_out(rows, y, share=0.2, groups=groups, seed=0)
    assert set(groups[train[:, 0]]) & set(groups[held[:, 0]]) == set()
    assert len(train) + len(held) == 60
    assert 6 <= len(held) <= 18


def test_the_held_out_share_is_of_clips_and_of_every_class() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    y = groups % 4
    rows = np.arange(len(y))[:, None]
    for seed in range(5):
        _, _, (held, classes) = hold_out(rows, y, share=0.2, groups=groups, seed=seed)
        assert 0.12 < len(held) / len(y) < 0.28
        assert set(classes) == {0, 1, 2, 3}


def test_a_checkpoint_of_other_clips_is_not_used(tmp_path: Path) -> None:
    X, y = blobs()
    file = tmp_path / "training.safetensors"
    NeuralClassifier(**{**TINY, "epochs": 2}, validation=0, checkpoint=str(file)).fit(X[:40], y[:40])
    seen: list[int] = []
    other = NeuralClassifier(
        **{**TINY, "epochs": 2}, validation=0, checkpoint=str(file), on_epoch=lambda row: seen.append(row["epoch"])
    ).fit(X[20:], y[20:])
    assert seen == [1, 2]
    fresh = NeuralClassifier(**{**TINY, "epochs": 2}, validation=0).fit(X[20:], y[20:])
    np.testing.assert_array_equal(other.predict_proba(X), fresh.predict_proba(X))


def test_time_shift_moves_time_in_segments_shorter_than_their_bands() -> None:
    X, y = mels()
    settings = {"network": "short-chunk-cnn", "segment_frames": 32, "epochs": 1, "batch_size": 8, "device": "cpu"}
    classifier = NeuralClassifier(**settings, sizes={"channels": [8, 8, 8]}, augment=["time-shift"], validation=0)
    keeper = Keeper(classifier.fit(X, y), Examples(X, y, segment_frames=32), None)
    x = torch.arange(32.0)[None, :, None].expand(2, 32, 32).clone()  # every band has a value of its own
    torch.testing.assert_close(keeper.augmentations[0](x, generator=keeper.generator), x)


def test_a_batch_of_one_is_left_out_rather_than_a_crash() -> None:
    X, y = blobs(17)
    NeuralClassifier(**{**TINY, "epochs": 1}, validation=0).fit(X, y)


def test_class_weights_help_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(200) % 10 == 0).astype(int)
    X = (rng.normal(size=(200, 5)) + 0.8 * y[:, None]).astype(np.float32)
    plain = NeuralClassifier(**TINY, validation=0).fit(X, y).predict(X).sum()
    weighted = NeuralClassifier(**TINY, validation=0, class_weight="balanced").fit(X, y).predict(X).sum()
    assert weighted > plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'"),
        ({"monitor": "loss"}, "unknown monitor"),
        ({"precision": "int8"}, "unknown precision"),
        ({"scaling": "log"}, "unknown scaling"),
        ({"network": "transformer"}, "unknown network"),
        ({"keep": "first"}, "unknown keep 'first'; there are: best, last"),
        ({"epochs": 0}, "epochs is from 1 to"),
        ({"epochs": 2.5}, "epochs is a whole number"),
        ({"mixup": -1}, "mixup is from 0"),
        ({"validation": -2}, "validation is from 0"),
        ({"label_smoothing": 3}, "label_smoothing is from 0 to 1"),
        ({"patience": "None"}, "patience is a whole number"),
        ({"class_weight": "none"}, "class_weight"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"segment_frames": 8}, "segment_frames is for spectrograms"),
        ({"sizes": {"width": 3}}, "no setting 'width'"),
    ],
)
def test_settings_that_cannot_be_used_say_so(change: dict[str, Any], message: str) -> None:
    X, y = blobs()
    with pytest.raises((ExperimentError, UnknownNameError), match=message):
        NeuralClassifier(**{**TINY, **change}).fit(X, y)


def test_data_that_cannot_be_used_say_so() -> None:
    X, y = blobs()
    with pytest.raises(ExperimentError, match="two classes"):
        NeuralClassifier(**TINY, validation=0).fit(X, np.zeros(60))
    X[3, 2] = np.nan
    with pytest.raises(ExperimentError, match="number 2 among them"):
        NeuralClassifier(**TINY, validation=0).fit(X, y)
    M, ym = mels()
    with pytest.raises(ExperimentError, match="segment_frames"):
        NeuralClassifier(**TINY).fit(M, ym)
    fitted = NeuralClassifier(**{**TINY, "epochs": 1}).fit(*blobs())
    with pytest.raises(ExperimentError, match="trained on inputs of shape"):
        fitted.predict(np.zeros((4, 7), np.float32))
    with pytest.raises(ExperimentError, match="NaN or infinite"):
        fitted.predict(np.full((4, 5), np.nan, np.float32))


def test_a_loss_that_runs_away_is_reported() -> None:
    X, y = blobs()
    with pytest.raises(ExperimentError, match="smaller lr"):
        NeuralClassifier(**{**TINY, "lr": 1e30, "optimizer": "sgd", "epochs": 30}).fit(X, y)


class Frozen(Network):
    """A body that counts how often it is asked, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(5, 4).requires_grad_(False)
        self.top = build_network("mlp", input_shape=(4,), classes=3)
        self.embedding_size = self.top.embedding_size
        self.asked = 0

    def features(self, x: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        return self.body(x)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.top.embed(self.features(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.top(self.features(x))


def test_a_frozen_body_is_asked_once_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "frozen", lambda input_shape, classes: Frozen())
    X, y = blobs()
    settings = {**TINY, "network": "frozen", "epochs": 5}
    once = NeuralClassifier(**settings).fit(X, y)
    assert once.network_.asked == 60
    assert once.input_shape_ == (5,)
    assert once.embed(X).shape == (60, once.network_.embedding_size)
    every = NeuralClassifier(**settings, augment=[{"name": "noise", "level": 0.0}]).fit(X, y)  # changes nothing
    assert every.network_.asked > 5 * 54
    np.testing.assert_allclose(once.predict_proba(X), every.predict_proba(X), atol=1e-4)


def test_devices() -> None:
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type in ("cpu", "cuda")
