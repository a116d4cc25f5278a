"""`soundkin lab run` on a small folder of genres and on small tables: run folders, going on, messages."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import av

from sound import music, noise, sine
from soundkin.cli.main import run as soundkin
from soundkin.lab.datasets import gtzan_features
from soundkin.lab.runs import read_fits, read_json, read_predictions, read_run
from soundkin.lab.storage import load_estimator

SR = 22050


def write_wav(path: Path, y: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SR, layout="mono")
        frame = av.AudioFrame.from_ndarray((y * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = SR
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def genres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three genres of ten short clips: songs, noise, tones."""
    folder = tmp_path_factory.mktemp("genres")
    for i in range(10):
        write_wav(folder / "songs" / f"{i}.wav", music(2.5, seed=i))
        write_wav(folder / "noise" / f"{i}.wav", noise(2.5, seed=i, level=0.05 + 0.01 * i))
        write_wav(folder / "tones" / f"{i}.wav", sine(2.5, hz=200.0 + 90 * i) + noise(2.5, seed=50 + i, level=0.003))
    return folder


EXPERIMENT = """
title = "Three genres"
dataset = "folder"
representation = "mel-statistics"
protocol = "k-fold"
folds = 2
seeds = [0]
search_folds = 2

[[methods]]
name = "knn"
estimator = "k-nn"
settings = { preprocess = ["standardise"] }
grid = { n_neighbors = [1, 3] }

[[methods]]
name = "cnn"
estimator = "short-chunk-cnn"
representation = "log-mel"
settings = { segment_frames = 64, epochs = 4, batch_size = 8, lr = 0.003, validation = 0.2 }
reported = { accuracy = 0.9 }
"""
BLEND = """
[[methods]]
name = "both"
estimator = "ensemble"
settings = { rule = "mean", of = ["one", "three"] }
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "three-genres.toml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(genres: Path, experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run") / "three-genres"
    cache = tmp_path_factory.mktemp("cache")
    done = soundkin(
        ["lab", "run", str(experiment), "--data", str(genres), "--out", str(out), "--cache", str(cache), "-j", "0"]
    )
    assert done == 0
    return out


def test_a_run_folder_holds_all_that_came_of_it(run: Path) -> None:
    record = read_run(run)
    assert record.labels == ("noise", "songs", "tones")
    assert record.clips == 30
    assert record.versions["torch"]
    assert len(read_json(run / "clips.json")) == 30
    fits = read_fits(run)
    assert [(fit.method, fit.fold) for fit, _ in fits] == [("knn", 0), ("knn", 1), ("cnn", 0), ("cnn", 1)]
    for fit, folder in fits:
        predictions = read_predictions(folder / "predictions.csv")
        assert fit.accuracy == pytest.approx((predictions.y_pred == predictions.y_true).mean())
        assert fit.accuracy > 0.6
        np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-4)
        split = read_json(folder / "split.json")
        assert not set(split["train"]) & set(split["test"])
        assert set(predictions.ids) == set(split["test"])
        assert not (folder / "training.safetensors").exists()
    tested = [id for fit, folder in fits[:2] for id in read_predictions(folder / "predictions.csv").ids]
    assert len(tested) == len(set(tested)) == 30
    assert fits[0][0].chosen["n_neighbors"] in (1, 3)
    assert len(read_json(fits[0][1] / "search.json")) == 2
    assert fits[2][0].parameters == load_estimator(fits[2][1] / "model").n_parameters_
    assert len(read_json(fits[2][1] / "history.json")) == fits[2][0].epochs


def test_the_report_shows_them(run: Path) -> None:
    text = (run / "report.md").read_text(encoding="utf-8")
    for words in ("Three genres", "knn", "cnn", "0.900", "folder", "Confus"):
        assert words in text
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")


def test_what_is_finished_is_not_done_again(run: Path, genres: Path, experiment: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("fit.json")}
    assert soundkin(["lab", "run", str(experiment), "--data", str(genres), "--out", str(run), "-j", "0"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("fit.json")} == before


def test_another_run_is_not_mixed_in(
    run: Path, genres: Path, experiment: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["lab", "run", str(experiment), "--data", str(genres), "-j", "0"]
    assert soundkin([*arguments, "--out", str(run), "--set", "lr=0.5"]) == 2
    assert "other settings or other data" in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("keep me")
    assert soundkin([*arguments, "--out", str(tmp_path)]) == 2
    assert "neither empty nor a run folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_runs_are_compared(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert soundkin(["lab", "compare", str(run), "--source", "s1", "--html", str(tmp_path / "table.html")]) == 0
    out = capsys.readouterr().out
    assert "knn" in out and "cnn" in out
    assert "<table" in (tmp_path / "table.html").read_text(encoding="utf-8")
    assert soundkin(["lab", "report", "--table", str(run)]) == 0
    assert "0.900" in capsys.readouterr().out
    assert soundkin(["lab", "compare", str(tmp_path)]) == 2
    assert "no run folder" in capsys.readouterr().err


def test_a_killed_run_goes_on(genres: Path, experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "soundkin.cli.main", "lab", "run", str(experiment), "--data", str(genres)]
    command += ["--out", str(out), "--cache", str(tmp_path / "cache"), "-j", "0", "--only", "cnn", "--set", "epochs=25"]
    command += ["--set", "patience=1000", "--protocol", "s4"]
    checkpoint = out / "cnn" / "seed-0-fold-0" / "training.safetensors"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL or os.name == "nt"
    assert checkpoint.exists() and not (checkpoint.parent / "fit.json").exists()
    overrides = ["--only", "cnn", "--set", "epochs=25", "--set", "patience=1000", "--protocol", "s4"]
    arguments = ["lab", "run", str(experiment), "--data", str(genres), "-j", "0", *overrides]
    assert soundkin([*arguments, "--out", str(out), "--cache", str(tmp_path / "cache")]) == 0
    undisturbed = tmp_path / "undisturbed"
    assert soundkin([*arguments, "--out", str(undisturbed), "--cache", str(tmp_path / "cache")]) == 0
    for (resumed, folder), (whole, other) in zip(read_fits(out), read_fits(undisturbed), strict=True):
        assert resumed.epochs == whole.epochs == 25
        a, b = (read_predictions(path / "predictions.csv") for path in (folder, other))
        np.testing.assert_array_equal(a.y_pred, b.y_pred)
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)


def test_fitted_methods_are_blended(genres: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, first, _ = EXPERIMENT.split("[[methods]]")
    one, three = (
        f"[[methods]]{first}".replace("knn", name).replace("grid = { n_neighbors = [1, 3] }", "")
        for name in ("one", "three")
    )
    file = tmp_path / "blend.toml"
    file.write_text(head + one + three.replace('"standardise"]', '"standardise"], n_neighbors = 3') + BLEND, "utf-8")
    out = tmp_path / "run"
    arguments = ["lab", "run", str(file), "--data", str(genres), "-j", "0", "--cache", str(tmp_path / "cache")]
    assert soundkin([*arguments, "--out", str(out), "--only", "both"]) == 2
    assert "not fitted yet" in capsys.readouterr().err
    assert soundkin([*arguments, "--out", str(out)]) == 0
    fits = {(fit.method, fit.fold): folder for fit, folder in read_fits(out)}
    for fold in (0, 1):
        a, b, both = (read_predictions(fits[name, fold] / "predictions.csv") for name in ("one", "three", "both"))
        np.testing.assert_allclose(both.probabilities, (a.probabilities + b.probabilities) / 2, atol=1e-5)


def test_quick_says_that_it_is(genres: Path, experiment: Path, tmp_path: Path) -> None:
    arguments = [
        "lab",
        "run",
        str(experiment),
        "--data",
        str(genres),
        "-j",
        "0",
        "--quick",
        "--out",
        str(tmp_path / "q"),
    ]
    assert soundkin([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    assert read_run(tmp_path / "q").quick
    assert len(read_fits(tmp_path / "q")) == 2
    assert "quick" in (tmp_path / "q" / "report.md").read_text(encoding="utf-8").lower()


# --- what goes wrong ------------------------------------------------------------------------------------------------


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert soundkin(["lab", *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def table(path: Path, *, per_genre: int = 12, change: dict[tuple[int, str], object] | None = None) -> Path:
    """A feature table of two genres in the form of GTZAN's; returns its folder."""
    rng = np.random.default_rng(0)
    names = ["filename", "length", *gtzan_features.FEATURES, "label"]
    rows = []
    for genre in ("blues", "jazz"):
        for i in range(per_genre):
            row = dict(zip(gtzan_features.FEATURES, rng.normal(genre == "jazz", 1, len(names) - 3), strict=True))
            rows.append({"filename": f"{genre}.{i:05}.wav", "length": 661794, **row, "label": genre})
    for (row, column), value in (change or {}).items():
        rows[row][column] = value
    with (path / "features_30_sec.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("s1-table-2", "s2-table-2", "s3-layers"):
        error = fails(["run", name, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")], capsys)
        assert str(tmp_path / "none") in error
    assert not (tmp_path / "run").exists()


def test_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str], experiment: Path) -> None:
    for i in range(6):
        write_wav(tmp_path / "data" / "only" / f"{i}.wav", music(2, seed=i))
    error = fails(["run", str(experiment), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")], capsys)
    assert "only" in error and "class" in error


def test_a_genre_with_fewer_clips_than_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path, per_genre=4)
    arguments = ["run", "s2-plans", "--data", str(data), "--out", str(tmp_path / "run"), "--protocol", "k-fold"]
    error = fails([*arguments, "--folds", "6"], capsys)
    assert "4 clips" in error and "--folds 4" in error


def test_nan_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path, change={(3, "tempo"): "nan", (5, "rms_mean"): "inf"})
    error = fails(["run", "s2-plans", "--data", str(data), "--out", str(tmp_path / "run")], capsys)
    assert "tempo" in error and "rms_mean" in error and "finite" in error


def test_wrong_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path) / "features_30_sec.csv"
    file.write_text(file.read_text().replace("tempo", "beats"), encoding="utf-8")
    error = fails(["run", "s2-plans", "--data", str(tmp_path), "--out", str(tmp_path / "run")], capsys)
    assert "tempo" in error


def test_wrong_names_show_before_anything_slow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(table(tmp_path))
    out = ["--data", data, "--out", str(tmp_path / "run")]
    assert "unknown experiment" in fails(["run", "s9-table-1", *out], capsys)
    assert "unknown protocol" in fails(["run", "s2-plans", "--protocol", "s7", *out], capsys)
    assert "unknown dataset" in fails(["run", "s2-plans", "--dataset", "gtzam", *out], capsys)
    assert "unknown method" in fails(["run", "s2-plans", "--only", "svn", *out], capsys)
    assert "key=value" in fails(["run", "s2-plans", "--set", "epochs", *out], capsys)
    assert not (tmp_path / "run").exists()


def test_a_damaged_fit_is_named(run: Path, genres: Path, experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next(run.rglob("fit.json"))
    kept = file.read_bytes()
    file.write_bytes(kept[:20])
    try:
        error = fails(["run", str(experiment), "--data", str(genres), "--out", str(run), "-j", "0"], capsys)
        assert str(file) in error and "delete it" in error
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize(
    "what", ["experiments", "datasets", "protocols", "representations", "estimators", "augmentations"]
)
def test_lists(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert soundkin(["lab", "list", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 4
    assert all(all(row.values()) for row in rows)
