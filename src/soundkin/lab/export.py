"""A fitted method as a soundkin model file: `soundkin scan` then hears with it, and needs no lab for that.

The file holds all that lies between log-mel segments and the answer: the picture or statistics that the method was
trained on, its scaling, its layers. Before it is put in its place it is loaded as a listener would load it, and its
answers are compared with those of the lab.
"""

from __future__ import annotations

import math
import re
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from soundkin import __version__
from soundkin.errors import ExperimentError
from soundkin.files import replacing
from soundkin.lab.datasets import DATASETS
from soundkin.lab.datasets.categories import plain_labels
from soundkin.lab.experiment import Experiment, load_experiment
from soundkin.lab.exportmodule import ExportModule, build_module
from soundkin.lab.metrics import bootstrap_interval, collect
from soundkin.lab.networks.to_onnx import to_onnx
from soundkin.lab.pictures import published_form
from soundkin.lab.representations import PUBLISHED, REPRESENTATIONS
from soundkin.lab.runs import Fit, RunRecord, read_fits, read_json, read_predictions, read_run
from soundkin.lab.storage import load_estimator
from soundkin.lab.tagging.calibration import Calibration
from soundkin.model import METADATA_KEY, OnnxModel, model_card
from soundkin.modelfile import CHECKSUM_KEY, NO_CHECKSUM, seal
from soundkin.spectrogram import LogMel, log_mel

FloatArray = npt.NDArray[np.float32]

TOLERANCE = 1e-4
"""Largest difference between an answer of the file and the lab's, in parts of the answer's range."""
TOLERANCE_OF_PICTURES = 1e-3
"""The same for pictures, of which a pixel in thousands is rounded the other way."""
_TRIED = 3  # sounds that are compared


def embed(estimator: Any, X: npt.NDArray[Any]) -> FloatArray:
    """What a fitted method decides by: (n, d) float32.

    A network's penultimate layer; what a classical chain hands to its classifier, or discriminant analysis itself
    makes; of an ensemble, which has no features of its own, the probabilities.
    """
    answer = estimator.embed(X) if hasattr(estimator, "embed") else estimator.predict_proba(X)
    return np.asarray(answer, np.float32)


@dataclass(frozen=True)
class Chosen:
    """A finished fit of a run."""

    run: Path
    record: RunRecord
    experiment: Experiment
    fit: Fit
    folder: Path


def choose_fit(folder: Path, *, method: str | None = None, seed: int | None = None, fold: int | None = None) -> Chosen:
    """The fit in `folder`, or of the run in `folder` the one that did best on its validation part, else the first.

    Never by the test part. Raises ExperimentError for a folder without fits, and for a run of several methods of which
    none is named.
    """
    if (folder / "fit.json").is_file():
        run = folder.resolve().parent.parent
        found = [(fit, path) for fit, path in read_fits(run) if path.resolve() == folder.resolve()]
    else:
        run = folder
        found = [
            (fit, path)
            for fit, path in read_fits(run)
            if method in (None, fit.method) and seed in (None, fit.seed) and fold in (None, fit.fold)
        ]
    record = read_run(run)
    there = list(dict.fromkeys(fit.method for fit, _ in found))
    if not found:
        raise ExperimentError(
            f"{folder}: no finished fit of this method, seed and fold; its methods are "
            f"{', '.join(one.name for one in record.methods)}, its seeds {', '.join(map(str, record.seeds))}"
        )
    if len(there) > 1:
        raise ExperimentError(f"{folder} holds several methods; name one with --method: {', '.join(there)}")
    best = max(range(len(found)), key=lambda i: (found[i][0].valid_score or 0, -i))
    experiment = load_experiment(str(run / "experiment.toml"))
    return Chosen(run, record, experiment, *found[best])


@dataclass(frozen=True)
class Exported:
    """A model file as it was written, and how far its answers are from the lab's."""

    path: Path
    model_id: str
    dimension: int
    tags: tuple[str, ...]
    """The genres it tells; empty where the method has no formula for them."""
    difference: float
    notes: tuple[str, ...] = ()


def export_fit(
    folder: Path,
    path: Path,
    *,
    name: str | None = None,
    method: str | None = None,
    seed: int | None = None,
    fold: int | None = None,
    standardise: bool = False,
    mutual_proximity: bool = False,
) -> Exported:
    """Write a fit, or the best one of a run, as a soundkin model file; see `choose_fit` and docs/model-file.md.

    `name` (default: experiment and method) is what the library calls the model. `standardise` and `mutual_proximity`
    say how a library compares its vectors; S1 and S4 do neither. Raises ExperimentError for what cannot be such a
    file, and when the file's answers are not the lab's.
    """
    chosen = choose_fit(folder, method=method, seed=seed, fold=fold)
    estimator = load_estimator(chosen.folder / "model")
    calibration = _calibration(chosen.folder)
    module = build_module(estimator, *heard_by(chosen.experiment, chosen.fit.method))
    labels = [chosen.record.labels[int(i)] for i in estimator.classes_] if module.tells else []
    other = "genre" if chosen.record.task == "classes" else "other"
    card = model_card(
        name or file_name(f"{chosen.record.name}-{chosen.fit.method}"),
        front_end=module.front_end,
        version="1",
        segment_frames=module.frames,
        dimension=module.dimension,
        standardise=standardise,
        mutual_proximity=mutual_proximity,
        tags=[
            {"label": shown, "category": chosen.record.categories.get(label, other)}
            for label, shown in zip(labels, plain_labels(labels), strict=True)
        ],
        **_calibrated(calibration),
        excerpts=_excerpts(module.front_end, module.frames),
        licence=_licence(chosen.record),
        training=_training(chosen),
    )
    outputs = ["embedding", "tags"] if module.tells else ["embedding"]
    content = to_onnx(module, (module.front_end.n_mels, module.frames), input_name="mel", output_names=outputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path) as file:
            file.write(with_card(content, card))
            file.flush()
            written = OnnxModel(Path(file.name))
            difference = _compare(written, module, estimator, calibration)
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written: {error.strerror or error}") from error
    notes = () if module.tells else (f"{chosen.fit.method} has no formula for its answers: the file tells no genres",)
    return Exported(path, written.id, module.dimension, tuple(labels), difference, notes)


def _calibration(fit: Path) -> Calibration | None:
    """That of a tagger's fit, where its split had a validation part."""
    path = fit / "calibration.json"
    return Calibration.from_dict(read_json(path)) if path.is_file() else None


def _calibrated(calibration: Calibration | None) -> dict[str, Any]:
    """Platt's sigmoids for the card: a reader applies them after the mean over a song, as they were fitted."""
    if calibration is None:
        return {"calibrated": False}
    sigmoids = {"slope": calibration.slope.tolist(), "intercept": calibration.intercept.tolist()}
    return {"calibrated": True, "calibration": sigmoids}


def heard_by(experiment: Experiment, method: str) -> tuple[str, dict[str, Any]]:
    """The representation that a method of the experiment was given, and its settings as they make it of audio."""
    name, settings = experiment.representation_of(method)
    if experiment.dataset == "gtzan-spectrograms" and name in ("picture", "rgb") and not settings:
        return name, dict(PUBLISHED)  # these pictures came with the dataset
    return name, settings


# --- the same answers ------------------------------------------------------------------------------------------------


def _compare(written: OnnxModel, module: ExportModule, estimator: Any, calibration: Calibration | None) -> float:
    """The largest difference between the file's answers for some sounds and the lab's, in parts of their range.

    Raises ExperimentError where it is more than rounding explains.
    """
    tolerance = TOLERANCE_OF_PICTURES if module.heard in ("picture", "rgb") else TOLERANCE
    difference = 0.0
    front, frames = module.front_end, module.frames
    lead = published_form().lead if module.settings.get("form") == "published" else 0  # what these pictures begin with
    for seed in range(_TRIED):
        # of log-mel also two segments: answers are averaged first, then calibrated
        count = 2 if seed % 2 and module.heard == "log-mel" else 1
        y = trial_sound((count * frames - 1) * front.hop_length + 1, sr=front.sr, seed=seed)
        y[:lead] = 0
        X = _as_lab(y[lead:], module)
        answers = [embed(estimator, X)[0]]
        if module.tells:
            told = estimator.predict_proba(X)
            answers.append((told if calibration is None else calibration.apply(told))[0])
        found = written.summarise(written.hear(y))
        for expected, got in zip(answers, (found.vector, found.tags), strict=False):
            assert got is not None
            difference = max(difference, float(np.abs(got - expected).max()) / max(1.0, float(np.abs(expected).max())))
    if not difference <= tolerance:
        raise ExperimentError(
            f"the file would answer otherwise than the lab, by up to {difference:.2g} of the range: nothing was "
            "written. Please report this as a fault, with the experiment's file"
        )
    return difference


def _as_lab(y: FloatArray, module: ExportModule) -> npt.NDArray[Any]:
    """`y`, a segment long, as the lab represents the file of it: X of one clip."""
    if module.heard == "log-mel":  # what is kept on disk is rounded, which is none of the file's business
        X = np.empty(1, object)
        X[0] = log_mel(y, module.front_end)
        return X
    representation = REPRESENTATIONS[module.heard]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, module.front_end.sr, len(y), "NONE", ""))
            file.writeframes((y * 2**15).astype("<i2").tobytes())
        return representation.compute(path, **representation.complete(module.settings))[np.newaxis]


def trial_sound(n: int, *, sr: int, seed: int) -> FloatArray:
    """(n,) float32, in steps of 16 bits: fading notes of a few harmonics, two a second, over soft noise."""
    rng = np.random.default_rng(seed)
    y = 0.01 * rng.standard_normal(n)
    t = np.arange(sr // 2) / sr
    for start in range(0, n, len(t)):
        pitch = 80 * 2 ** rng.uniform(0, 4)
        note = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 6))
        y[start : start + len(t)] += (0.1 * note * np.exp(-4 * t))[: n - start]
    return (np.round(y * 2**15) / 2**15).astype(np.float32)


# --- the card --------------------------------------------------------------------------------------------------------


def with_card(content: bytes, card: str) -> bytes:
    """The ONNX model in `content` with its model card and its checksum."""
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {METADATA_KEY: card, CHECKSUM_KEY: NO_CHECKSUM})
    return seal(model.SerializeToString())


def file_name(text: str) -> str:
    """`text` as what the library may call a model."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"


def _excerpts(front: LogMel, frames: int) -> str:
    """As much of a song as by default, in excerpts that hold a segment."""
    seconds = math.ceil(10 * frames * front.hop_length / front.sr) / 10
    return "8x10" if seconds <= 10 else f"{max(1, round(90 / seconds))}x{seconds:g}"


def _licence(record: RunRecord) -> str:
    source = DATASETS[record.dataset]
    return f"Trained on {source.title}; its terms: {source.licence}"


def _figures(chosen: Chosen) -> dict[str, Any]:
    fit = chosen.fit
    if chosen.record.task == "tags":
        return {"roc_auc": fit.roc_auc, "pr_auc": fit.pr_auc}
    accuracy = bootstrap_interval(collect({fit.seed: [read_predictions(chosen.folder / "predictions.csv")]}))
    return {
        "accuracy": round(accuracy.value, 4),
        "accuracy_interval_95": [round(accuracy.low, 4), round(accuracy.high, 4)],
    }


def _training(chosen: Chosen) -> dict[str, Any]:
    """For the model card: what it was trained on, how well it did, and how far to trust that."""
    fit, record = chosen.fit, chosen.record
    return {
        "experiment": record.name,
        "source": record.source,
        "method": fit.method,
        "dataset": record.dataset,
        "clips": dict(fit.clips),
        "protocol": record.protocol,
        "seed": fit.seed,
        "fold": fit.fold,
        **_figures(chosen),
        "test_clips_whose_artist_was_trained_on": fit.leak.clips_by_artist if fit.leak.artists_known else None,
        "test_clips_of_which_a_copy_was_trained_on": fit.leak.duplicates,
        "quick": record.quick,
        "soundkin": __version__,
        "torch": torch.__version__,
    }
