"""Run an experiment: every method, seed and fold, each fit kept as soon as it is done.

A run that was stopped goes on from its folder: finished fits are skipped, a network goes on after its last epoch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from soundkin import __version__
from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets import load_dataset
from soundkin.lab.ensemble import Ensemble
from soundkin.lab.estimators import is_neural, make_estimator
from soundkin.lab.experiment import Experiment, to_toml
from soundkin.lab.leaks import find_duplicates, find_leaks
from soundkin.lab.report import write_report
from soundkin.lab.representations import represent
from soundkin.lab.runs import (
    Fit,
    Method,
    Predictions,
    RunRecord,
    fit_folder,
    read_json,
    read_run,
    write_json,
    write_predictions,
    write_text,
)
from soundkin.lab.search import inner_folds, search
from soundkin.lab.splits import PROTOCOLS, Split, default_protocol, inseparable, make_splits
from soundkin.lab.storage import load_estimator, save_estimator

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "librosa", "keras")


class Listener(Protocol):
    """Who is told how far a run is."""

    def stage(self, text: str, *, total: int) -> None:
        """A new stage of `total` steps."""

    def step(self, text: str) -> None:
        """One step is done."""

    def detail(self, text: str) -> None:
        """What goes on within a step."""


class Silence:
    """Tells nobody."""

    def stage(self, text: str, *, total: int) -> None: ...
    def step(self, text: str) -> None: ...
    def detail(self, text: str) -> None: ...


@dataclass(frozen=True)
class _Job:
    """What one fit needs."""

    run: Path
    experiment: Experiment
    dataset: Dataset
    X: npt.NDArray[Any]
    method: Method
    seed: int
    fold: int
    split: Split
    groups: npt.NDArray[np.int64] | None
    """Clips that belong on one side when the fitting part is split further; None where no artist is known."""
    duplicates: tuple[tuple[str, ...], ...]
    device: str
    listener: Listener

    @property
    def folder(self) -> Path:
        return fit_folder(self.run, self.method.name, seed=self.seed, fold=self.fold)


def run_experiment(
    experiment: Experiment,
    *,
    data: Path | None,
    out: Path,
    device: str = "auto",
    only: Sequence[str] = (),
    quick: bool = False,
    cache: Path | None = None,
    workers: int | None = None,
    listener: Listener | None = None,
) -> Path:
    """Fill the run folder `out` and write its report; returns `out`.

    `only` names the methods to run now; the others can be run into the same folder later.
    `quick` runs one seed, one fold, one epoch and two points of a grid: whether it runs, not how well.
    Raises DatasetError, ExperimentError, UnknownNameError, WeightsError.
    """
    listener = listener or Silence()
    experiment = _quick(experiment) if quick else experiment
    dataset = load_dataset(experiment.dataset, data)
    protocol = experiment.protocol or default_protocol(dataset)
    experiment = dataclasses.replace(experiment, protocol=protocol)
    splits = {seed: make_splits(dataset, protocol, seed=seed, folds=experiment.folds) for seed in experiment.seeds}
    dataset = next(iter(splits.values()))[0]  # before anything slow: with the classes of the protocol only
    _check_methods(experiment, only)
    dataset, arrays = _represent(dataset, experiment, only, cache=cache, workers=workers, listener=listener)
    splits = {seed: make_splits(dataset, protocol, seed=seed, folds=experiment.folds) for seed in experiment.seeds}
    if PROTOCOLS[protocol].folds:
        experiment = dataclasses.replace(experiment, folds=len(next(iter(splits.values()))[1]))
    _begin(out, experiment, dataset, quick=quick)
    groups, duplicates = inseparable(dataset), find_duplicates(dataset)
    jobs = [
        _Job(
            run=out,
            experiment=experiment,
            dataset=dataset,
            X=arrays[_heard(experiment, method)],
            method=method,
            seed=seed,
            fold=fold,
            split=split,
            groups=groups,
            duplicates=duplicates,
            device=device,
            listener=listener,
        )
        for seed in experiment.seeds
        for method in experiment.methods
        if not only or method.name in only
        for fold, split in enumerate(splits[seed][1][:1] if quick else splits[seed][1])
    ]
    listener.stage(experiment.title, total=len(jobs))
    for job in jobs:
        if not (job.folder / "fit.json").is_file():
            _fit(job)
        fit = read_json(job.folder / "fit.json")
        listener.step(f"{job.method.name}, seed {job.seed}, fold {job.fold}: accuracy {fit['accuracy']:.3f}")
    write_report(out)
    return out


def _quick(experiment: Experiment) -> Experiment:
    def shorten(method: Method) -> Method:
        grid = {name: list(values)[:2] if isinstance(values, list) else values for name, values in method.grid.items()}
        settings = {**method.settings, "epochs": 1} if is_neural(method.estimator) else method.settings
        return dataclasses.replace(method, settings=settings, grid=grid)

    return dataclasses.replace(
        experiment,
        seeds=experiment.seeds[:1],
        search_folds=2,
        search_settings={},
        methods=tuple(shorten(method) for method in experiment.methods),
    )


_Heard = tuple[str, str]
"""A representation and its settings as JSON."""


def _heard(experiment: Experiment, method: Method) -> _Heard:
    if method.representation:
        return method.representation, json.dumps(method.representation_settings, sort_keys=True)
    return experiment.representation, json.dumps(experiment.representation_settings, sort_keys=True)


def _represent(
    dataset: Dataset,
    experiment: Experiment,
    only: Sequence[str],
    *,
    cache: Path | None,
    workers: int | None,
    listener: Listener,
) -> tuple[Dataset, dict[_Heard, npt.NDArray[Any]]]:
    """Every representation that a method asks for, of the clips that have all of them."""
    wanted = dict.fromkeys(
        _heard(experiment, method) for method in experiment.methods if not only or method.name in only
    )
    made = {}
    for name, settings in wanted:
        listener.stage(f"{name} of {len(dataset)} clips", total=len(dataset))
        dataset, X = represent(
            dataset,
            name,
            settings=json.loads(settings),
            cache=cache,
            workers=workers,
            progress=lambda done, total: listener.detail(f"{done} of {total}"),
        )
        made[name, settings] = dict(zip(dataset.ids, range(len(dataset)), strict=True)), X
    return dataset, {heard: X[[row[id] for id in dataset.ids]] for heard, (row, X) in made.items()}


def _check_methods(experiment: Experiment, only: Sequence[str]) -> None:
    """A wrong name or setting in the last line of the table shows now, not after hours."""
    names = [method.name for method in experiment.methods]
    for name in only:
        if name not in names:
            raise UnknownNameError("method of this experiment", name, names)
    for i, method in enumerate(experiment.methods):
        settings = experiment.settings_of(method)
        if "of" in settings:
            for name in settings["of"]:
                if name not in names[:i]:
                    raise UnknownNameError(f"method before {method.name}", name, names[:i])
            continue
        estimator = make_estimator(method.estimator, **settings)
        known = set(estimator.get_params())
        for name in method.grid:
            if is_neural(method.estimator) and name.split(".")[0] not in known:
                raise ExperimentError(f"{method.name}: its grid names {name!r}, which {method.estimator} has not")


def _begin(out: Path, experiment: Experiment, dataset: Dataset, *, quick: bool) -> None:
    """Write what describes the run, or see that the folder holds the same one."""
    contents = {clip.id: _content(dataset, i) for i, clip in enumerate(dataset.clips)}
    plain = {key: value for key, value in dataclasses.asdict(experiment).items() if key not in ("title", "notes")}
    what = json.dumps([plain, quick, contents, [clip.label for clip in dataset.clips]], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(what.encode()).hexdigest()[:16]
    if (out / "run.json").is_file():
        if read_run(out).fingerprint != fingerprint:
            raise ExperimentError(
                f"{out} holds a run of other settings or other data; give --out another folder, or delete that one"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ExperimentError(f"{out} is neither empty nor a run folder; give --out another folder")
    write_text(out / "experiment.toml", to_toml(experiment))
    write_json(out / "clips.json", contents)
    record = RunRecord(
        name=experiment.name,
        title=experiment.title,
        source=experiment.source,
        dataset=experiment.dataset,
        representation=experiment.representation,  # of methods that name none of their own
        protocol=experiment.protocol,
        protocol_text=PROTOCOLS[experiment.protocol].text,
        labels=dataset.labels,
        clips=len(dataset),
        methods=tuple(
            dataclasses.replace(method, settings=experiment.settings_of(method)) for method in experiment.methods
        ),
        seeds=experiment.seeds,
        versions={"soundkin": __version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        started=time.strftime("%Y-%m-%d %H:%M:%S%z"),
        findings=dataset.findings,
        quick=quick,
        fingerprint=fingerprint,
    )
    write_json(out / "run.json", record)


def _content(dataset: Dataset, i: int) -> str:
    """SHA-256 of a clip's audio file, or of what the dataset has of it."""
    digest = hashlib.sha256()
    path = dataset.clips[i].path
    if path is not None:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    for name in sorted(dataset.arrays):
        digest.update(np.ascontiguousarray(dataset.arrays[name][i]).data)
    return digest.hexdigest()


def _fit(job: _Job) -> None:
    """Choose, fit, test, keep."""
    experiment, split, y = job.experiment, job.split, job.dataset.y
    neural = is_neural(job.method.estimator)
    groups = job.groups
    together = experiment.fit_on_valid and not neural
    fitted = np.concatenate([split.train, split.valid]) if together else split.train
    chosen = _choose(job, fitted, groups) if job.method.grid else {}
    checkpoint = job.folder / "training.safetensors"
    valid = None if together or not len(split.valid) else split.valid
    began = time.perf_counter()
    if "of" in experiment.settings_of(job.method):
        estimator = _blend(job, valid)
    else:
        estimator = _make(job, chosen, checkpoint=checkpoint)
        _fit_estimator(estimator, job, fitted, valid=valid, groups=groups)
    seconds = time.perf_counter() - began
    history = getattr(estimator, "history_", None)
    if history:
        seconds = sum(row["seconds"] for row in history)  # the epochs before a stop included
        write_json(job.folder / "history.json", history)
    began = time.perf_counter()
    probabilities = estimator.predict_proba(_rows(job.X, split.test))
    per_clip = (time.perf_counter() - began) * 1000 / len(split.test)
    predictions = Predictions(
        ids=tuple(job.dataset.clips[i].id for i in split.test),
        y_true=y[split.test],
        probabilities=_all_classes(probabilities, estimator.classes_, len(job.dataset.labels)),
        labels=job.dataset.labels,
    )
    write_predictions(job.folder / "predictions.csv", predictions)
    ids = job.dataset.ids
    write_json(
        job.folder / "split.json",
        {name: [ids[i] for i in getattr(split, name)] for name in ("train", "valid", "test")},
    )
    save_estimator(estimator, job.folder / "model", card={"labels": list(job.dataset.labels)})
    fit = Fit(
        method=job.method.name,
        seed=job.seed,
        fold=job.fold,
        clips={"train": len(split.train), "valid": len(split.valid), "test": len(split.test)},
        accuracy=float((predictions.y_pred == predictions.y_true).mean()),
        valid_accuracy=_valid_accuracy(estimator, job, valid),
        parameters=getattr(estimator, "n_parameters_", None),
        train_seconds=seconds,
        test_ms=per_clip,
        leak=find_leaks(job.dataset, split, duplicates=job.duplicates),
        epochs=len(history) if history else None,
        best_epoch=getattr(estimator, "best_epoch_", None),
        chosen=chosen,
        notes=("trained in bfloat16, tested in float32",) if getattr(estimator, "mixed_", False) else (),
        device=str(getattr(estimator, "device_", "cpu")),
    )
    write_json(job.folder / "fit.json", fit)  # last: a fit is finished once this is there
    checkpoint.unlink(missing_ok=True)


def _rows(X: npt.NDArray[Any], indices: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return X[indices]


def _all_classes(
    probabilities: npt.NDArray[np.float64], classes: npt.NDArray[Any], count: int
) -> npt.NDArray[np.float64]:
    """Columns for every class of the dataset: one that the training part has not is never expected."""
    full = np.zeros((len(probabilities), count))
    full[:, np.asarray(classes, np.int64)] = probabilities
    return full


def _valid_accuracy(estimator: Any, job: _Job, valid: npt.NDArray[np.int64] | None) -> float | None:
    if valid is None:
        return None
    return float((estimator.predict(_rows(job.X, valid)) == job.dataset.y[valid]).mean())


def _make(job: _Job, chosen: dict[str, Any], *, checkpoint: Path | None = None, **different: Any) -> Any:
    """The method's estimator; a dotted name of `chosen` or `different` reaches into a table (`sizes.hidden`)."""
    settings: dict[str, Any] = json.loads(json.dumps(job.experiment.settings_of(job.method)))
    for name, value in {**different, **chosen}.items():
        table = settings
        *path, last = name.split(".")
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    if is_neural(job.method.estimator):
        settings |= {"device": job.device, "on_epoch": lambda row: job.listener.detail(_epoch(job, row))}
        settings["checkpoint"] = None if checkpoint is None else str(checkpoint)
    settings.setdefault("seed", job.seed)
    return make_estimator(job.method.estimator, **settings)


def _blend(job: _Job, valid: npt.NDArray[np.int64] | None) -> Ensemble:
    """An ensemble of methods that this run has fitted already: settings = { rule = "mean", of = ["a", "b"] }."""
    settings = job.experiment.settings_of(job.method)
    members = []
    for name in settings["of"]:
        folder = fit_folder(job.run, name, seed=job.seed, fold=job.fold)
        if not (folder / "fit.json").is_file():
            raise ExperimentError(f"{job.method.name} is made of {name}, which is not fitted yet; run that one first")
        members.append((name, load_estimator(folder / "model", device=job.device)))
    part = None if valid is None else (_rows(job.X, valid), job.dataset.y[valid])
    return Ensemble.from_fitted(members, rule=settings["rule"], weights=settings.get("weights"), valid=part)


def _epoch(job: _Job, row: dict[str, Any]) -> str:
    parts = [f"{job.method.name}, seed {job.seed}, fold {job.fold}: epoch {row['epoch']}"]
    parts += [f"{name.replace('_', ' ')} {row[name]:.3f}" for name in ("train_loss", "valid_accuracy") if name in row]
    return ", ".join([*parts, f"{row['seconds']:.1f} s"])


def _fit_estimator(estimator: Any, job: _Job, train: Any, *, valid: Any, groups: npt.NDArray[np.int64] | None) -> None:
    """Fit on the rows `train`, handing over what the estimator's own `fit` can take."""
    accepted = inspect.signature(estimator.fit).parameters
    extra: dict[str, Any] = {}
    if "valid" in accepted and valid is not None:
        extra["valid"] = (_rows(job.X, valid), job.dataset.y[valid])
    if "groups" in accepted and groups is not None:
        extra["groups"] = groups[train]
    estimator.fit(_rows(job.X, train), job.dataset.y[train], **extra)


def _choose(job: _Job, fitted: npt.NDArray[np.int64], groups: npt.NDArray[np.int64] | None) -> dict[str, Any]:
    """Search the method's grid within the fitting part, by artist where artists are known."""
    y = job.dataset.y[fitted]
    inner = None if groups is None else groups[fitted]
    folds = inner_folds(y, folds=job.experiment.search_folds, groups=inner, seed=job.seed)
    path = job.folder / "search.json"

    def fit_and_score(settings: dict[str, Any], train: Any, test: Any) -> float:
        estimator = _make(job, settings, **job.experiment.search_settings)
        _fit_estimator(estimator, job, fitted[train], valid=None, groups=groups)
        return float((estimator.predict(_rows(job.X, fitted[test])) == y[test]).mean())

    def keep(results: list[dict[str, Any]]) -> None:
        write_json(path, results)
        last = results[-1]
        job.listener.detail(f"{job.method.name}: {last['settings']} {last['score']:.3f}")

    known = read_json(path) if path.is_file() else []
    chosen, _ = search(fit_and_score, job.method.grid, folds=folds, known=known, on_result=keep)
    return chosen


def say(function: Callable[[str], None]) -> Listener:
    """A listener that passes every finished step on as a line."""

    class Lines(Silence):
        def step(self, text: str) -> None:
            function(text)

    return Lines()
