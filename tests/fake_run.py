"""Run folders as an experiment leaves them, with invented predictions, for the tests of reports and comparisons."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from soundkin.lab.runs import (
    Fit,
    Leak,
    Method,
    Predictions,
    RunRecord,
    fit_folder,
    write_json,
    write_predictions,
    write_text,
)

LABELS = ("blues", "jazz", "metal")
METHODS = (
    Method(
        "cnn", "custom-cnn", {"epochs": 4}, reported={"accuracy": 0.72, "valid_accuracy": 0.69, "parameters": 131818}
    ),
    Method("knn", "knn", title="k-nearest neighbours", reported={"accuracy": 0.99, "f1": 0.66}),
)
LEAK = Leak(artists=9, clips_by_artist=17, duplicates=1, examples=("Miles Davis: jazz.00001 and jazz.00002",))


def predictions(
    rate: float, *, ids: list[str] | None = None, labels: tuple[str, ...] = LABELS, seed: int = 0
) -> Predictions:
    """About a share `rate` of right answers over 30 clips, or those given."""
    rng = np.random.default_rng(seed)
    ids = ids or [f"clip.{i:05d}" for i in range(30)]
    true = np.arange(len(ids)) % len(labels)
    named = np.where(rng.random(len(ids)) < rate, true, (true + 1) % len(labels))
    probabilities = rng.random((len(ids), len(labels))) * 0.2
    probabilities[np.arange(len(ids)), named] += 1
    return Predictions(tuple(ids), true, probabilities / probabilities.sum(axis=1, keepdims=True), labels)


def record(**changes: Any) -> RunRecord:
    """Of a run of two methods with two seeds."""
    plain = RunRecord(
        name="s1-table-12",
        title="S1, table 12",
        source="S1, table 12",
        dataset="gtzan-spectrograms",
        representation="picture",
        protocol="s1",
        protocol_text="80/10/10, stratified, drawn at random",
        labels=LABELS,
        clips=300,
        methods=METHODS,
        seeds=(0, 1),
        versions={"soundkin": "0.1", "torch": "2.13"},
        machine="2 cores",
        started="2026-01-02 03:04",
        findings=("jazz.00054 cannot be read",),
    )
    return dataclasses.replace(plain, **changes)


def history(epochs: int = 4) -> list[dict[str, Any]]:
    """Learning curves, with a value that is missing and one that is null."""
    rows = [
        {"epoch": i, "train_loss": 2 / i, "valid_loss": 2.2 / i, "train_accuracy": 1 - 0.5 / i, "valid_accuracy": 0.6}
        for i in range(1, epochs + 1)
    ]
    rows[1]["valid_accuracy"] = None
    del rows[2]["valid_loss"]
    return rows


def write_fit(run: Path, method: str, *, rate: float = 0.6, seed: int = 0, fold: int = 0, **changes: Any) -> Path:
    """One finished fit; `changes` are of `Fit`, or `ids` and `labels` of its predictions."""
    made = {name: changes.pop(name) for name in ("ids", "labels") if name in changes}
    answers = predictions(rate, seed=100 * seed + fold, **made)
    fit = Fit(
        method=method,
        seed=seed,
        fold=fold,
        clips={"train": 240, "valid": 30, "test": len(answers.ids)},
        accuracy=float(np.mean(answers.y_true == answers.y_pred)),
        valid_accuracy=0.65,
        parameters=131818 if method == "cnn" else None,
        train_seconds=75.0,
        test_ms=2.5,
        leak=LEAK,
        epochs=4 if method == "cnn" else None,
        best_epoch=3 if method == "cnn" else None,
    )
    folder = fit_folder(run, method, seed=seed, fold=fold)
    write_json(folder / "fit.json", dataclasses.replace(fit, **changes))
    write_predictions(folder / "predictions.csv", answers)
    if method == "cnn":
        write_json(folder / "history.json", history())
    return folder


def write_run(
    folder: Path,
    *,
    experiment: str = "",
    rates: dict[str, float] | None = None,
    groups: dict[str, int] | None = None,
    **changes: Any,
) -> Path:
    """A finished run; `groups` tell which clips are of one artist, `changes` are of `RunRecord`."""
    made = record(**changes)
    write_json(folder / "groups.json", groups)
    write_json(folder / "run.json", made)
    write_text(folder / "experiment.toml", experiment)
    for method in made.methods:
        for seed in made.seeds:
            write_fit(folder, method.name, rate=(rates or {}).get(method.name, 0.6), seed=seed, labels=made.labels)
    return folder
