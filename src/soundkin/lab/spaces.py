"""The spaces that models make: of a dataset's clips, to be evaluated or to recommend in, and of a library's tracks.

A model is named as on the command line: a run or one fit of it, a model file, a built-in model, a representation.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from soundkin.analysis import analyse
from soundkin.catalogue import Catalogue
from soundkin.errors import DatasetError, EmptyLibraryError, ExperimentError, UnknownNameError
from soundkin.index import Index
from soundkin.lab.cache import for_each_clip
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets import load_dataset
from soundkin.lab.embeddings import KS, Answers, Nearness, Row, apart, ask, nearness, summarise
from soundkin.lab.experiment import load_experiment
from soundkin.lab.export import embed, heard_by
from soundkin.lab.representations import REPRESENTATIONS, represent
from soundkin.lab.runs import Fit, read_fits, read_json
from soundkin.lab.storage import load_estimator
from soundkin.model import METADATA_KEY, MODELS, Model, OnnxModel, load_model

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

S1_WAY = "all clips ask all clips, those the model was trained on included (S1's way)"
HELD_OUT = "held-out clips ask held-out clips, artists and copies apart"
AMONG_ALL = "held-out clips ask all clips, artists and copies apart"


@dataclass(frozen=True, eq=False)
class Space:
    """What a model makes of a dataset's clips; one fit of a run is a space of its own."""

    model: str
    dataset: Dataset
    """The clips that the model could hear."""
    vectors: FloatArray
    """(n, d)"""
    held_out: tuple[str, ...] | None
    """Ids of the clips that this fit was tested on; None for what was not trained on the dataset."""
    key: tuple[int, int] = (0, 0)
    """Seed and fold."""
    standardise: bool = False
    weights: FloatArray | None = None
    """How the model wants its vectors compared."""

    def near(self, *, metric: str, standardise: bool, like: IntArray | None = None) -> Nearness:
        """Nearness of its clips; see `soundkin.lab.embeddings.nearness`."""
        return nearness(
            self.vectors,
            metric=metric,
            standardise=standardise or self.standardise,
            weights=self.weights,
            like=like,
        )


@dataclass(frozen=True)
class Place:
    """Where data lies, and how it is heard."""

    data: Path | None = None
    dataset: str | None = None
    """Name of the dataset; needed where no run says it."""
    cache: Path | None = None
    workers: int | None = None
    progress: Callable[[str, int, int], None] | None = None


def is_run(model: str) -> bool:
    """Whether `model` names a run folder or the folder of a fit."""
    return (Path(model) / "run.json").is_file() or (Path(model) / "fit.json").is_file()


def spaces_of(model: str, place: Place, *, method: str | None = None) -> Iterator[Space]:
    """The spaces of one model over the dataset of `place`; a run gives one for each of its fits.

    Raises UnknownNameError for a name that is no model, and what loading data and model raises.
    """
    if is_run(model):
        yield from _of_run(Path(model), place, method=method)
        return
    dataset = _dataset(place)
    if model in MODELS or Path(model).suffix.lower() == ".onnx" or Path(model).is_file():
        yield _of_model(model, dataset, place)
    elif model in REPRESENTATIONS:
        yield _of_representation(model, dataset, place)
    else:
        raise UnknownNameError(
            "model (no run folder, no model file)", model, [*MODELS, *(n for n in REPRESENTATIONS if n not in MODELS)]
        )


def _dataset(place: Place) -> Dataset:
    if place.dataset is None:
        raise ExperimentError("which clips? Name a dataset: --dataset NAME --data DIR, or a run, which knows its own")
    return load_dataset(place.dataset, place.data)


def run_of(folder: Path) -> Path:
    """The run folder of a run or a fit."""
    return folder if (folder / "run.json").is_file() else folder.resolve().parent.parent


def _of_run(folder: Path, place: Place, *, method: str | None) -> Iterator[Space]:
    run = run_of(folder)
    experiment = load_experiment(str(run / "experiment.toml"))
    if place.dataset not in (None, experiment.dataset):
        raise ExperimentError(
            f"{run} is a run on {experiment.dataset}, and only there it is known what was held out; leave out "
            f"--dataset {place.dataset}, or export the model and name the file"
        )
    fits = [(fit, path) for fit, path in _fits(folder) if method in (None, fit.method)]
    if not fits:
        raise ExperimentError(f"{folder}: no finished fit{f' of {method}' if method else ''}; finish the run first")
    several = len({fit.method for fit, _ in fits}) > 1 or run != folder
    made: dict[str, tuple[Dataset, npt.NDArray[Any]]] = {}
    for fit, path in fits:
        heard = heard_by(experiment, fit.method)
        if str(heard) not in made:
            made = {str(heard): _clips_of_run(run, experiment.dataset, *heard, place)}  # one at a time: they are large
        dataset, X = made[str(heard)]
        yield Space(
            model=f"{experiment.name}, {fit.method}" if several else experiment.name,
            dataset=dataset,
            vectors=embed(load_estimator(path / "model"), X),
            held_out=_held_out(path),
            key=(fit.seed, fit.fold),
        )


def _fits(folder: Path) -> list[tuple[Fit, Path]]:
    """Of a run all, of the folder of a fit that one."""
    run = run_of(folder)
    return [(fit, path) for fit, path in read_fits(run) if run == folder or path.resolve() == folder.resolve()]


def _held_out(fit: Path) -> tuple[str, ...]:
    return tuple(read_json(fit / "split.json")["test"])


def _clips_of_run(
    run: Path, name: str, representation: str, settings: Mapping[str, Any], place: Place
) -> tuple[Dataset, npt.NDArray[Any]]:
    """The clips that the run worked on, and what a method of it was given of them."""
    dataset = load_dataset(name, place.data)
    used = set(read_json(run / "clips.json"))
    rows = [i for i, id in enumerate(dataset.ids) if id in used]
    if len(rows) < len(used):
        missing = sorted(used - set(dataset.ids))
        raise DatasetError(
            f"{dataset.name} lacks {len(missing)} of the {len(used)} clips of {run}, {missing[0]!r} among them: is "
            "--data the place that the run was made from?"
        )
    return represent(
        dataset.take(rows),
        representation,
        settings=settings,
        cache=place.cache,
        workers=place.workers,
        progress=_told(place, f"{representation} of {name}"),
    )


def _told(place: Place, what: str) -> Callable[[int, int], None] | None:
    return None if place.progress is None else functools.partial(place.progress, what)


def _of_representation(name: str, dataset: Dataset, place: Place) -> Space:
    dataset, X = represent(
        dataset, name, cache=place.cache, workers=place.workers, progress=_told(place, f"{name} of {dataset.name}")
    )
    if X.dtype == object:
        raise ExperimentError(f"{name} is of another length for each clip; its statistics are mel-statistics")
    table = X.ndim == 2 and np.issubdtype(X.dtype, np.floating)  # of quantities that differ in unit
    return Space(name, dataset, X.reshape(len(X), -1).astype(np.float32), None, standardise=table)


def _of_model(name: str, dataset: Dataset, place: Place) -> Space:
    model = load_model(name)
    if any(clip.path is None for clip in dataset.clips):
        raise DatasetError(
            f"{dataset.name} comes without audio, which {model.name} hears; name a run or a representation instead, "
            "or a dataset with audio"
        )
    paths = {clip.id: clip.path for clip in dataset.clips if clip.path is not None}
    found = for_each_clip(
        paths.values(),
        functools.partial(hear_clip, model=name),
        folder=place.cache,
        key=f"vector {model.id}",
        workers=place.workers,
        progress=_told(place, f"{model.name} hears {dataset.name}"),
    )
    heard = {id: x for id, path in paths.items() if not isinstance(x := found[path], Exception)}
    if not heard:
        raise DatasetError(f"{model.name} could hear no clip of {dataset.name}: {next(iter(found.values()))}")
    rows = [i for i, id in enumerate(dataset.ids) if id in heard]
    seen = _trained_on(model, name) == dataset.name
    return Space(
        model=f"{model.name} (trained on clips of {dataset.name})" if seen else model.name,
        dataset=dataset.take(rows),
        vectors=np.stack([heard[dataset.ids[i]] for i in rows]),
        held_out=None,
        standardise=model.space.standardise,
        weights=model.space.weights,
    )


def _trained_on(model: Model, path: str) -> str | None:
    """The dataset that the card of a model file names; then none of its clips is held out for certain."""
    if not isinstance(model, OnnxModel):
        return None
    metadata = {one.key: one.value for one in onnx.load(path, load_external_data=False).metadata_props}
    training = json.loads(metadata[METADATA_KEY]).get("training")
    return training.get("dataset") if isinstance(training, dict) else None


def hear_clip(path: Path, *, model: str) -> FloatArray:
    """What the model named `model` hears in all of one file: (d,) float32. Raises an AudioError."""
    vector = analyse(path, model=_loaded(model)).vector
    assert vector is not None  # nothing was said to be known
    return vector


@functools.lru_cache(maxsize=2)
def _loaded(model: str) -> Model:
    return load_model(model)


# --- evaluation ------------------------------------------------------------------------------------------------------


def evaluate_models(
    models: Sequence[str],
    place: Place,
    *,
    metric: str = "cosine",
    standardise: bool = False,
    ks: Sequence[int] = KS,
    on_space: Callable[[Space], None] | None = None,
) -> list[Row]:
    """Each model evaluated in three ways: S1's, and with held-out clips that ask held-out clips, or all clips.

    The runs among the models say which clips are held out, fold by fold; a model that was not trained on them is asked
    the same. Without a run all clips are held out. Only clips that every model could hear take part. `on_space` is
    shown every space, for a picture. Raises ExperimentError for runs that held out different clips.
    """
    runs = [Path(model) for model in models if is_run(model)]
    if runs and place.dataset is None:
        place = dataclasses.replace(place, dataset=load_experiment(str(run_of(runs[0]) / "experiment.toml")).dataset)
    parts = _parts(runs)
    others = {model: list(spaces_of(model, place)) for model in models if not is_run(model)}
    heard = [set(space.dataset.ids) for spaces in others.values() for space in spaces]
    common = set.intersection(*heard, *(set(read_json(run_of(run) / "clips.json")) for run in runs))
    if not common:
        raise ExperimentError("there is no clip that all of these models could hear")
    clips: _Clips | None = None
    answers: dict[str, dict[str, list[Answers]]] = {}
    for model in models:
        for space in others[model] if model in others else spaces_of(model, place):  # a run's one after another
            space = _only(space, common)
            clips = clips or _Clips(space.dataset)
            if on_space is not None:
                on_space(space)
            found = answers.setdefault(space.model, {S1_WAY: [], HELD_OUT: [], AMONG_ALL: []})
            for how, one in _ask(space, clips, parts, metric=metric, standardise=standardise, ks=ks):
                found[how].append(one)
    return [Row(model, how, summarise(some)) for model, found in answers.items() for how, some in found.items()]


def _parts(runs: Sequence[Path]) -> dict[tuple[int, int], tuple[str, ...]]:
    """(seed, fold) -> ids of the clips that all of these runs held out."""
    parts: dict[tuple[int, int], tuple[str, ...]] = {}
    for folder in runs:
        for fit, path in _fits(folder):
            held = _held_out(path)
            if set(parts.setdefault((fit.seed, fit.fold), held)) != set(held):
                raise ExperimentError(
                    f"{path} held out other clips than {runs[0]} in seed {fit.seed}, fold {fit.fold}; evaluate them "
                    "one at a time, or run both with one protocol and one number of folds"
                )
    return parts


class _Clips:
    """What is the same for every space of one evaluation."""

    def __init__(self, dataset: Dataset) -> None:
        self.ids = dataset.ids
        self.labels = [clip.label for clip in dataset.clips]
        self.groups = apart(dataset)
        self.row = {id: i for i, id in enumerate(dataset.ids)}


def _only(space: Space, ids: set[str]) -> Space:
    rows = np.array([i for i, id in enumerate(space.dataset.ids) if id in ids], np.int64)
    return dataclasses.replace(space, dataset=space.dataset.take(rows), vectors=space.vectors[rows])


def _ask(
    space: Space,
    clips: _Clips,
    parts: Mapping[tuple[int, int], tuple[str, ...]],
    *,
    metric: str,
    standardise: bool,
    ks: Sequence[int],
) -> Iterator[tuple[str, Answers]]:
    near = space.near(metric=metric, standardise=standardise)
    yield S1_WAY, ask(near, clips.labels, ids=clips.ids, ks=ks)
    tested = [space.held_out] if space.held_out is not None else list(parts.values()) or [clips.ids]
    for ids in tested:
        held = np.array([clips.row[id] for id in ids if id in clips.row], np.int64)
        asked: dict[str, Any] = {"ids": clips.ids, "queries": held, "groups": clips.groups, "ks": ks}
        inside = space.near(metric=metric, standardise=standardise, like=held)
        yield HELD_OUT, ask(inside, clips.labels, candidates=held, **asked)
        yield AMONG_ALL, ask(near, clips.labels, **asked)


# --- libraries -------------------------------------------------------------------------------------------------------

ALBUMS = "same album, tracks of a library"
SHORTEST = 30.0
"""Seconds; shorter tracks are jingles, and say little of their album."""


def evaluate_albums(catalogue: Catalogue, model: str, *, ks: Sequence[int] = KS, shortest: float = SHORTEST) -> Row:
    """How many of a track's nearest are from its album, compared as the library compares them.

    The album is that of the tags, else the folder. Exact copies count once; tracks below `shortest` seconds are left
    out; one without another of its album is answered wrongly by all. Raises EmptyLibraryError for a model that has not
    heard the library.
    """
    loaded = load_model(model)
    if loaded.id not in {stored.id for stored in catalogue.models()}:
        raise EmptyLibraryError(
            f"the model {loaded.id} has heard nothing in {catalogue.path} yet: "
            f"soundkin --library {catalogue.path} --model {model} scan FOLDER"
        )
    index = Index.load(catalogue, loaded.space, model_id=loaded.id)
    columns = catalogue.columns()
    place = {int(id): i for i, id in enumerate(columns.ids)}
    kept: dict[str, int] = {}  # content -> row of the index
    for row, id in enumerate(index.track_ids):
        i = place.get(int(id))
        if i is not None and columns.durations[i] >= shortest:
            kept.setdefault(columns.content_ids[i], row)
    rows = np.array(sorted(kept.values()), np.int64)
    if len(rows) < 3:
        raise EmptyLibraryError(
            f"{catalogue.path} has {len(rows)} tracks of at least {shortest:g} s: too few to compare"
        )
    albums = [_album(columns, place[int(index.track_ids[row])]) for row in rows]
    ids = [str(index.track_ids[row]) for row in rows]
    near: Nearness = lambda some: index.similarities(index.vectors[rows[some]])[:, rows].astype(np.float64)  # noqa: E731
    return Row(loaded.name, ALBUMS, summarise([ask(near, albums, ids=ids, ks=ks)]))


def _album(columns: Any, i: int) -> str:
    album, artist = columns.albums[i], columns.album_artists[i]
    return f"{artist or ''}\0{album}".casefold() if album else str(Path(columns.paths[i]).parent)
