"""Experiment files and the search for settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.datasets import DATASETS
from soundkin.lab.estimators import is_neural, make_estimator
from soundkin.lab.experiment import Experiment, list_experiments, load_experiment, to_toml
from soundkin.lab.representations import REPRESENTATIONS
from soundkin.lab.search import coarse_to_fine, combinations, inner_folds, search
from soundkin.lab.splits import PROTOCOLS

TEXT = """
title = "Two lines"
dataset = "folder"
representation = "table"
seeds = [0, 1]

[settings]
seed = 3

[[methods]]
name = "knn"
estimator = "k-nn"
settings = { n_neighbors = 3 }
grid = { n_neighbors = [1, 3] }
reported = { accuracy = 0.5 }

[[methods]]
estimator = "lda"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "two-lines.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", list_experiments())
def test_the_experiments_that_come_along_name_what_exists(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment.name == name
    assert experiment.dataset in DATASETS
    assert experiment.representation in REPRESENTATIONS
    assert experiment.protocol in ("", *PROTOCOLS)
    for method in experiment.methods:
        assert method.representation in ("", *REPRESENTATIONS)
        settings = experiment.settings_of(method)
        if "of" in settings:
            assert set(settings["of"]) < {other.name for other in experiment.methods}
            continue
        make_estimator(method.estimator, **settings)
        for setting in method.grid:
            if is_neural(method.estimator):
                make_estimator(method.estimator, **{setting.split(".")[0]: None})


def test_there_is_one_for_every_table_of_the_sources() -> None:
    names = set(list_experiments())
    assert {f"s1-table-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 11, 12)} <= names
    assert {"s2-table-2", "s2-table-2-cnn", "s4-transfer"} <= names
    assert {"s3-layers", "s3-learning-rate", "s3-epochs", "s3-ensembles"} <= names


def test_a_file_is_read_and_written_back(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, TEXT))
    assert [method.name for method in experiment.methods] == ["knn", "lda"]
    assert experiment.settings_of(experiment.methods[0]) == {"seed": 3, "n_neighbors": 3}
    (tmp_path / "again").mkdir()
    again = load_experiment(write(tmp_path / "again", to_toml(experiment)))
    assert again == experiment
    for name in list_experiments():
        (tmp_path / "again" / f"{name}.toml").write_text(to_toml(load_experiment(name)), encoding="utf-8")
        assert load_experiment(str(tmp_path / "again" / f"{name}.toml")) == load_experiment(name)


def test_overrides(tmp_path: Path) -> None:
    file = write(tmp_path, TEXT)
    changed = load_experiment(
        file, overrides=["seeds=[7]", "protocol=k-fold", "search_settings.epochs=2", "seed=8", "n_neighbors=9"]
    )
    assert changed.seeds == (7,)
    assert (changed.asked_protocol, changed.asked_dataset) == ("", "")  # it named none
    moved = load_experiment("s1-table-2", overrides=["protocol=filtered", "seeds=3"])
    assert (moved.protocol, moved.asked_protocol, moved.asked_dataset, moved.seeds) == ("filtered", "s1", "", (3,))
    assert changed.protocol == "k-fold"
    assert changed.search_settings == {"epochs": 2}
    knn, lda = changed.methods
    assert changed.settings_of(knn) == {"seed": 8, "n_neighbors": 9}
    assert changed.settings_of(lda) == {"seed": 8}  # which has no neighbours
    with pytest.raises(ExperimentError, match="nor one of its methods has sizes"):
        load_experiment(file, overrides=["sizes.hidden=8"])
    network = load_experiment("s1-table-3", overrides=["sizes.hidden=8", "epochs=2"])
    for method in network.methods:
        assert network.settings_of(method)["sizes"]["hidden"] == 8
        assert network.settings_of(method)["epochs"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title =", "tittle ="), "unknown tittle; there are: .*title"),
        (('estimator = "lda"', 'estimater = "lda"'), "unknown estimater"),
        (('estimator = "lda"', 'name = "x"'), "without estimator"),
        (("seeds = [0, 1]", "seeds = []"), "seeds is a list"),
        (("seeds = [0, 1]", 'seeds = ["a"]'), "seeds is a list"),
        (('name = "knn"', 'name = "../knn"'), "name of a method"),
        (('name = "knn"', 'name = "lda"'), "none occurs twice"),
        (('title = "Two lines"', ""), "needs title"),
        (("[settings]", "[settings"), "no TOML"),
        (("seeds = [0, 1]", 'fit_on_valid = "False"'), "fit_on_valid is true or false"),
        (("seeds = [0, 1]", "folds = 2.5"), "folds is a whole number"),
        (("seeds = [0, 1]", "protocol = 3"), "protocol is a text"),
        (("seeds = [0, 1]", "search_settings = 3"), "search_settings is a table"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(ExperimentError, match=message):
        load_experiment(write(tmp_path, TEXT.replace(*change)))


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown experiment.*s1-table-2"):
        load_experiment("s1-table-99")
    with pytest.raises(UnknownNameError, match="unknown estimator"):
        make_estimator("perceptron")
    with pytest.raises(ExperimentError, match="has no setting depth"):
        make_estimator("gru", depth=3)
    with pytest.raises(ExperimentError, match="key=value"):
        load_experiment(write(tmp_path, TEXT), overrides=["epochs"])
    with pytest.raises(ExperimentError, match="at least one"):
        Experiment(name="x", title="", dataset="", representation="", methods=())


def test_a_grid_is_searched_and_the_first_best_wins() -> None:
    tried: list[dict[str, Any]] = []

    def score(settings: dict[str, Any], train: Any, test: Any) -> float:
        tried.append(settings)
        return -abs(settings["a"] - 2) - (settings["b"] == "y")

    told: list[int] = []
    best, results = search(
        score, {"a": [1, 2, 3], "b": ["x", "y"]}, folds=[(0, 0), (0, 0)], on_result=lambda now: told.append(len(now))
    )
    assert best == {"a": 2, "b": "x"}
    assert len(results) == 6 and len(tried) == 12 and told == [1, 2, 3, 4, 5, 6]
    assert results[0] == {"settings": {"a": 1, "b": "x"}, "score": -1.0, "std": 0.0, "folds": [-1.0, -1.0]}
    tried.clear()
    again, _ = search(score, {"a": [1, 2, 3], "b": ["x", "y"]}, folds=[(0, 0)], known=results[:4])
    assert again == best and len(tried) == 2  # what is known is not tried again
    assert list(combinations({"a": [1], "b": [2, 3]})) == [{"a": 1, "b": 2}, {"a": 1, "b": 3}]


def test_coarse_to_fine_comes_near_the_peak() -> None:
    tried: list[float] = []

    def score(rate: float) -> float:
        tried.append(rate)
        return -abs(np.log10(rate) - np.log10(0.0065))

    best = coarse_to_fine(score, low=1e-5, high=0.1, rounds=4)
    assert tried[:5] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert abs(best - 0.0065) < 0.0005
    assert len(tried) == len(set(tried)) <= 5 + 3 * 4
    chosen, _ = search(
        lambda settings, train, test: score(settings["lr"]),
        {"lr": {"from": 1e-5, "to": 0.1, "rounds": 4}},
        folds=[(0, 0)],
    )
    assert chosen == {"lr": best}


@pytest.mark.parametrize(
    "grid", [{"lr": {"from": 1, "to": 0.1}}, {"lr": {"begin": 1}}, {"lr": {"from": 1, "to": 2}, "b": [1]}, {"lr": 3}]
)
def test_grids_that_cannot_be_searched(grid: dict[str, Any]) -> None:
    with pytest.raises(ExperimentError):
        search(lambda settings, train, test: 0.0, grid, folds=[(0, 0)])


def test_inner_folds_keep_artists_together_and_want_enough_clips() -> None:
    y = np.arange(40) % 2
    groups = np.arange(40) // 4
    for train, test in inner_folds(y, folds=5, groups=groups, seed=0):
        assert not set(groups[train]) & set(groups[test])
    with pytest.raises(ExperimentError, match="class 1 has 3"):
        inner_folds(np.array([0] * 20 + [1] * 3), folds=5, groups=None, seed=0)
