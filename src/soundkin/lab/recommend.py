"""The recommenders of the source documents: S1's top 5 by cosine, S4's top 10 by Euclidean distance, S1's appendix 4.

A song outside is heard by a model file; a clip of the dataset has its vector already. Distances are those of the
vectors as the model gives them, z-scored and weighted where the model says so. What a listener wants besides (artists
spread, copies left out, reasons) `soundkin similar` does with the same model file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import Track
from soundkin.errors import EmptyLibraryError, InputError
from soundkin.lab.embeddings import nearness
from soundkin.lab.export import export_fit
from soundkin.lab.spaces import Place, Space, is_run, spaces_of
from soundkin.library import Library

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Near:
    """One answer: `value` is the cosine, or the Euclidean distance."""

    rank: int
    name: str
    value: float
    label: str | None = None
    """Its genre, where one is known."""
    path: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What is near to a song, nearest first, and what the model takes the song for."""

    song: str
    metric: str
    nearest: tuple[Near, ...]
    genres: Mapping[str, float]
    """Genre -> probability, most probable first; empty for a model that tells none."""


def nearest_clips(
    model: str, clip: str, place: Place, *, method: str | None = None, n: int = 5, metric: str = "cosine"
) -> Answer:
    """The clips of the dataset nearest to one of them; `clip` is its id, with or without a suffix such as '.wav'.

    Of a run, the first fit answers. Raises InputError for a clip that the dataset has not.
    """
    space = next(spaces_of(model, place, method=method))
    ids = space.dataset.ids
    row = _row(clip, space)
    order, values = _nearest(space.near(metric=metric, standardise=False)(np.array([row]))[0], row, n, metric)
    nearest = (
        Near(rank, ids[i], float(value), space.dataset.clips[i].label, space.dataset.clips[i].path)
        for rank, (i, value) in enumerate(zip(order, values, strict=True), start=1)
    )
    return Answer(ids[row], metric, tuple(nearest), {})


def _row(clip: str, space: Space) -> int:
    row = {id: i for i, id in enumerate(space.dataset.ids)}
    names = (clip, Path(clip).stem, Path(clip).name)
    found = next((row[name] for name in names if name in row), None)
    if found is None:
        some = ", ".join(list(row)[:3])
        raise InputError(f"{space.dataset.name} has no clip {clip!r}; its {len(row)} clips are called {some}, …")
    return found


def _nearest(
    near: npt.NDArray[np.float64], row: int | None, n: int, metric: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    if row is not None:
        near = near.copy()
        near[row] = -np.inf
    order = np.argsort(-near, kind="stable")
    order = order[near[order] > -np.inf][:n].astype(np.int64)
    return order, near[order] if metric == "cosine" else -near[order]


def nearest_songs(library: Library, song: str | Path, *, n: int = 5, metric: str = "cosine") -> Answer:
    """The songs of the library nearest to `song`: a file, or what names a track of the library.

    Raises SeedError for a song that cannot be found, EmptyLibraryError where the model has heard nothing yet.
    """
    heard = {model.id: model.vectors for model in library.catalogue.models()}
    if not heard.get(library.model.id):
        raise EmptyLibraryError(
            f"the model {library.model.id} has heard nothing in {library.catalogue.path} yet: soundkin --library "
            f"{library.catalogue.path} --model FILE scan ~/Music"
        )
    seed = library.seed(song)
    ids, vectors = library.catalogue.vectors(library.model.id)
    tracks = {track.id: track for track in library.catalogue.tracks(ids.tolist())}
    space = library.model.space
    near = nearness(
        np.vstack([seed.vector, vectors]),
        metric=metric,
        standardise=space.standardise,
        weights=space.weights,
        like=np.arange(1, len(ids) + 1),
    )(np.array([0]))[0, 1:]
    same = [tracks[int(id)].content_id == seed.track.content_id for id in ids]
    near = np.where(same, -np.inf, near)
    order, values = _nearest(near, None, n, metric)
    nearest = tuple(
        _as_near(rank, tracks[int(ids[i])], float(value))
        for rank, (i, value) in enumerate(zip(order, values, strict=True), start=1)
    )
    labels = [tag.label for tag in library.model.tags]
    told = dict(zip(labels, map(float, seed.tags), strict=True)) if seed.tags is not None else {}
    genres = dict(sorted(told.items(), key=lambda pair: -pair[1]))
    return Answer(seed.track.title, metric, nearest, genres)


def _as_near(rank: int, track: Track, value: float) -> Near:
    name = f"{track.artist} – {track.title}" if track.artist else track.title
    return Near(rank, name, value, track.tags.genre, track.path)


def model_file(model: str, *, method: str | None = None) -> str:
    """`model`, or for a run or a fit the model file that is exported from it, kept in the folder of the fit.

    Raises ExperimentError for a run that cannot be exported.
    """
    if not is_run(model):
        return model
    from soundkin.lab.export import choose_fit

    fit = choose_fit(Path(model), method=method).folder
    path = fit / "model.onnx"
    if not path.is_file() or path.stat().st_mtime_ns < (fit / "fit.json").stat().st_mtime_ns:
        export_fit(fit, path)
    return str(path)
