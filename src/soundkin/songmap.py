"""The library of one model as a map: two numbers a track, so that tracks which sound alike lie side by side.

t-SNE (van der Maaten & Hinton, JMLR 2008) by openTSNE, with gradients interpolated on a grid (Linderman et al., Nature
Methods 2019) from 10,000 tracks on. The same vectors give the same map. One that is made from an older map begins with
it, so that it does not jump.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import SongMap
from soundkin.index import Index

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[float], None]

_PERPLEXITY = 15.0  # how many near ones count for each; fewer in a small library
_FEW = 12  # tracks below which there are no neighbourhoods to show: their principal components are the map
_BLOCK = 256  # tracks compared with all others at a time: 100 MB with 100,000 tracks
_EXAGGERATION = 12.0
_EARLY, _LATE = 250, 500  # iterations: those that gather the clusters, and those that spread them
_AGAIN = 250  # iterations of a map that begins with an older one
_EVERY = 10  # iterations between two calls of on_progress
_KNOWN = 0.5  # share of tracks that an older map must have, for a new one to begin with it


def make_map(catalogue: Catalogue, index: Index, *, on_progress: Progress | None = None) -> SongMap:
    """Make the map of the index and keep it in the library; where its vectors are as they were, nothing is computed.

    `on_progress` gets the share that is done, 0 to 1; what it raises ends the making.
    """
    old = catalogue.song_maps.get(index.model_id)
    digest = digest_of(index)
    if old is not None and old.digest == digest and np.array_equal(old.track_ids, index.track_ids):
        positions = old.positions
    else:
        positions = lay_out(index.vectors, begin=_begin(old, index), on_progress=on_progress)
    made = SongMap(index.model_id, index.generation, digest, index.track_ids, positions)
    catalogue.song_maps.put(made)
    return made


def digest_of(index: Index) -> str:
    """What tells one state of an index from another: 32 characters."""
    found = hashlib.blake2b(np.ascontiguousarray(index.track_ids).data, digest_size=16)
    found.update(np.ascontiguousarray(index.vectors).data)
    return found.hexdigest()


def lay_out(vectors: FloatArray, *, begin: FloatArray | None = None, on_progress: Progress | None = None) -> FloatArray:
    """Positions (n, 2) float32 of `vectors` (n, d) of unit length, around the origin.

    `begin` (n, 2) is where they were, NaN where that is not known; without it, the principal components.
    """
    tell = on_progress or (lambda share: None)
    if len(vectors) < _FEW:
        return _principal(vectors)
    k = min(round(3 * _PERPLEXITY), len(vectors) - 1)
    nearest, distances = neighbours(vectors, k=k, on_progress=lambda share: tell(0.4 * share))
    if begin is None:
        first = _principal(vectors)
        first *= 1e-4 / max(1e-12, float(first[:, 0].std()))  # small, so that all can still pass one another
    else:
        first = _filled(begin, nearest)
    # two that lie exactly on each other would never part
    first += np.random.default_rng(0).normal(scale=1e-5, size=first.shape).astype(np.float32)
    early, late = (_EARLY, _LATE) if begin is None else (0, _AGAIN)
    graph = (nearest, distances)
    return _optimised(first, graph, early=early, late=late, on_progress=lambda s: tell(0.4 + 0.6 * s))


def neighbours(
    vectors: FloatArray, *, k: int, on_progress: Progress | None = None
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """The k nearest others of each of `vectors` (n, d) of unit length, in no order: rows (n, k), distances (n, k)."""
    n = len(vectors)
    found, distances = np.empty((n, k), np.int64), np.empty((n, k))
    for start in range(0, n, _BLOCK):
        near = vectors[start : start + _BLOCK] @ vectors.T
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf
        block = slice(start, start + _BLOCK)
        found[block] = _largest(near, k)
        distances[block] = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * np.take_along_axis(near, found[block], axis=1)))
        if on_progress is not None:
            on_progress(min(1.0, (start + _BLOCK) / n))
    return found, distances


def _largest(values: FloatArray, k: int) -> IntArray:
    """Columns (m, k) of the k largest numbers in each row of `values` (m, n).

    The k largest are in the k groups of columns that have the largest maxima. Finding those is one fast pass, and what
    is left to sort out is a fortieth of 100,000 columns.
    """
    m, n = values.shape
    size = int(np.sqrt(n / k))  # columns a group: as many groups as there are candidates then
    count = n // size
    if count <= 2 * k:
        return np.argpartition(values, n - k, axis=1)[:, n - k :]
    maxima = values[:, : size * count].reshape(m, size, count).max(axis=1)
    groups = np.argpartition(maxima, count - k, axis=1)[:, count - k :]
    candidates = (groups[:, np.newaxis, :] + count * np.arange(size)[:, np.newaxis]).reshape(m, -1)
    rest = np.broadcast_to(np.arange(size * count, n), (m, n - size * count))
    candidates = np.concatenate([candidates, rest], axis=1)
    among = np.take_along_axis(values, candidates, axis=1)
    best = np.argpartition(among, among.shape[1] - k, axis=1)[:, among.shape[1] - k :]
    chosen: IntArray = np.take_along_axis(candidates, best, axis=1)
    return chosen


def _principal(vectors: FloatArray) -> FloatArray:
    """The two main directions of `vectors` (n, d): (n, 2) float32; zeros where there are none."""
    positions = np.zeros((len(vectors), 2), np.float32)
    if len(vectors) < 2:
        return positions
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    directions = directions[:, :-3:-1]
    # an axis has two ends, and which is called positive depends on the machine
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    positions[:, : directions.shape[1]] = centred @ directions.astype(np.float32)
    return positions


def _begin(old: SongMap | None, index: Index) -> FloatArray | None:
    """Where the tracks of the index are on the old map (n, 2), NaN for those that are not; None if that is too few."""
    if old is None or not len(index):
        return None
    places = index.rows(old.track_ids)
    begin = np.full((len(index), 2), np.nan, np.float32)
    begin[places[places >= 0]] = old.positions[places >= 0]
    known = np.isfinite(begin).all(axis=1)
    return begin if known.mean() >= _KNOWN and begin[known].std() > 0 else None


def _filled(begin: FloatArray, nearest: IntArray) -> FloatArray:
    """`begin` (n, 2) with those that are NaN put where their neighbours (n, k) are, or into the middle."""
    unknown = np.flatnonzero(np.isnan(begin).any(axis=1))
    around = begin[nearest[unknown]]
    count = np.isfinite(around[..., :1]).sum(axis=1)
    placed = begin.copy()
    placed[unknown] = np.nansum(around, axis=1) / np.maximum(1, count)
    return placed


def _optimised(
    first: FloatArray,
    graph: tuple[IntArray, npt.NDArray[np.float64]],
    *,
    early: int,
    late: int,
    on_progress: Progress,
) -> FloatArray:
    """Run t-SNE from `first` (n, 2) with `graph`: `early` iterations that gather, then `late` ones that spread."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    perplexity = graph[0].shape[1] / 3
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=PrecomputedNeighbors(*graph), n_jobs=1)
    done = 0

    def tell(iteration: int, *_: object) -> None:
        on_progress((done + iteration) / (early + late))

    embedding = TSNEEmbedding(
        first, affinities, random_state=0, n_jobs=1, callbacks=[tell], callbacks_every_iters=_EVERY
    )
    if early:
        embedding.optimize(early, exaggeration=_EXAGGERATION, momentum=0.5, inplace=True, propagate_exception=True)
        done = early
    embedding.optimize(late, momentum=0.8, inplace=True, propagate_exception=True)
    return np.array(embedding, np.float32)
