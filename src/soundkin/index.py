"""The vectors of one model, ready to be compared: standardised, weighted, of unit length, all in memory.

Search is exact, one matrix product, which answers for 100,000 tracks in a few milliseconds. Because standardising
needs the whole library, an index is made from all of it at once and then kept in a file beside the library, until
the library changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from soundkin.errors import ModelMismatchError
from soundkin.files import read_cache, write_cache

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue
    from soundkin.model import Space

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_FORMAT = 2  # of the cache file; raised when its content or its meaning changes
_CONSTANT = 1e-6  # a column that varies by less than this share of its size carries rounding errors, not music
_PAIRS = 4000  # random pairs that tell how alike two tracks of this library usually are
_SAMPLE = 1000  # tracks that stand for the library: how common a tag is, how near a track is to all others
_FEWEST = 30  # tracks below which a deviation of similarities would be a guess
_BLOCK = 4096  # tracks compared with the sample at a time: 16 MB
_KEPT: dict[str, type[np.generic]] = {
    "track_ids": np.int64,
    "vectors": np.float32,
    "mean": np.float32,
    "scale": np.float32,
    "usual": np.float32,
    "sample": np.int64,
    "typical": np.float32,
    "spread": np.float32,
    "tag_labels": np.str_,
    "tag_means": np.float32,
}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Index:
    """n tracks in the space of one model with d dimensions. Make one with `Index.load`; threads may share it."""

    model_id: str
    generation: int
    """State of the catalogue that it was made from; when `catalogue.generation()` differs, load again."""
    track_ids: IntArray
    """(n,) int64, ascending."""
    vectors: FloatArray
    """(n, d) float32 rows of unit length; a row is zero where nothing sets the track apart from the library."""
    mean: FloatArray
    """(d,) float32, subtracted from a raw vector."""
    scale: FloatArray
    """(d,) float32, what a raw vector is then divided by: deviation over weight, infinite for columns left out."""
    aspects: Mapping[str, slice]
    """Parts of the vector that mean something on their own; may be empty."""
    usual: FloatArray
    """(aspects, pairs) float32, ascending: cosine, in each aspect, of random pairs of tracks."""
    sample: IntArray
    """(m,) int64: rows that stand for the library in mutual proximity; empty for a model that does without."""
    typical: FloatArray
    """(n,) or (0,) float32: mean cosine of each track with the sample."""
    spread: FloatArray
    """(n,) or (0,) float32: deviation of the same."""
    tag_labels: tuple[str, ...]
    """Labels of the model's tags; may be empty."""
    tag_means: FloatArray
    """(labels,) float32: mean probability of each tag in this library."""

    @classmethod
    def load(cls, catalogue: Catalogue, space: Space, *, model_id: str) -> Self:
        """The index of the catalogue as it is now: from the file beside it, or else made and kept there.

        A damaged or outdated file is made anew, and a place that cannot be written is no error: then every process
        makes its own. A model that has heard nothing here yet gives an index of no tracks. Raises ModelMismatchError
        when the library's vectors are not of this space.
        """
        path = cache_path(catalogue.path, model_id)
        generation = catalogue.generation()
        how = f"standardise {space.standardise}, mutual proximity {space.mutual_proximity}"  # the lab may ask otherwise
        stamp = f"index {_FORMAT} of {model_id}, generation {generation}, {how}"
        kept = read_cache(path, _KEPT, stamp=stamp, apart="vectors")
        if kept is None or not _fits(kept):
            kept = _build(catalogue, space, model_id=model_id)
            write_cache(path, kept, stamp=stamp, apart="vectors")
        if kept["vectors"].shape[1] != space.dimension:
            raise ModelMismatchError(
                f"{model_id} makes vectors of {space.dimension} numbers; the library holds vectors of "
                f"{kept['vectors'].shape[1]} under that name"
            )
        labels = tuple(str(label) for label in kept.pop("tag_labels"))
        return cls(model_id=model_id, generation=generation, aspects=space.aspects, tag_labels=labels, **kept)

    def __len__(self) -> int:
        return len(self.track_ids)

    def project(self, raw: FloatArray, *, model_id: str) -> FloatArray:
        """Bring a vector of the model (d,), or several (k, d), into this space: float32 of unit length, or zero.

        Raises ModelMismatchError when `model_id`, the model that made the vector, is another than the index's.
        """
        if model_id != self.model_id or raw.shape[-1:] != self.mean.shape:
            raise ModelMismatchError(
                f"a vector {raw.shape} of {model_id} cannot be compared with those {self.mean.shape} of "
                f"{self.model_id}: scan with one model, and ask with the same one"
            )
        rows: FloatArray = np.array(raw, np.float32)
        _project_rows(np.atleast_2d(rows), self.mean, self.scale)
        return rows

    def similarities(self, query: FloatArray) -> FloatArray:
        """Similarity of every track to one query (d,) or to each of several (k, d): (n,) or (k, n) float32, −1 to 1.

        The cosine; in a space with mutual proximity, the mean of the cosine and of what it would be if the track were
        as choosy as the query. A track that is near to everything (a hub) then needs to be nearer than it is to
        others. It ranks as the sum of both standard scores does, an approximation of Gaussian mutual proximity
        (Schnitzer, Flexer, Schedl & Widmer, “Local and global scaling reduce hubs in space”, JMLR 2012), on the
        query's scale.
        """
        cosine = np.ascontiguousarray((self.vectors @ query.T).T)  # the other way round, several take twice as long
        if len(self.sample):
            among = cosine[..., self.sample]
            typical, spread = among.mean(axis=-1, keepdims=True), among.std(axis=-1, keepdims=True)
            choosy = typical + spread * ((cosine - self.typical) / self.spread)
            cosine = np.float32(0.5) * (cosine + choosy)
        return np.clip(cosine, -1.0, 1.0, out=cosine)

    def nearest(self, query: FloatArray, *, k: int, among: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """Rows (k,) int64 of the tracks nearest to `query` (d,), best first, and their similarities (k,) float32.

        `among` (n,) bool limits the choice; fewer than `k` come back when there are not as many.
        """
        similarity = self.similarities(query)
        rows = best(similarity, k=k, among=among)
        return rows, similarity[rows]

    def rows(self, track_ids: npt.ArrayLike) -> IntArray:
        """Row of each track id (k,) int64; −1 where the index does not have it."""
        wanted = np.asarray(track_ids, np.int64)
        if not len(self):
            return np.full(wanted.shape, -1, np.int64)
        places = np.minimum(np.searchsorted(self.track_ids, wanted), len(self) - 1)
        return np.where(self.track_ids[places] == wanted, places, -1)

    def aspect_similarities(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Cosine in each aspect between `a` (k, d), or (1, d), and `b` (k, d): (aspects, k) float32."""
        return _aspect_cosines(a, b, self.aspects)

    def percentiles(self, similarity: FloatArray) -> FloatArray:
        """Share of random pairs that are less alike than `similarity` (aspects, k) says: (aspects, k) float32."""
        ranks = [np.searchsorted(usual, one) for usual, one in zip(self.usual, similarity, strict=True)]
        return np.asarray(ranks, np.float32).reshape(similarity.shape) / np.float32(max(1, self.usual.shape[1]))


def best(score: npt.NDArray[Any], *, k: int, among: BoolArray | None = None) -> IntArray:
    """Rows (≤ k,) int64 of the highest finite `score` (n,), best first, then by row; `among` (n,) bool limits them."""
    rows = np.flatnonzero(score > -np.inf if among is None else among & (score > -np.inf))
    values = score[rows]
    if 0 < k < len(rows):
        # all that reach the k-th score, so that which of several equal ones is chosen does not depend on the algorithm
        near = values >= np.partition(values, len(rows) - k)[len(rows) - k]
        rows, values = rows[near], values[near]
    return rows[np.argsort(-values, kind="stable")][: max(k, 0)].astype(np.int64)


def cache_path(library: Path, model_id: str) -> Path:
    """File that the index of one model is kept in, beside the library; the vectors are in the '.npy' next to it."""
    return library.with_name(f"{library.name}-{re.sub(r'[^A-Za-z0-9._-]', '_', model_id)}.npz")


# --- making ----------------------------------------------------------------------------------------------------------


def _build(catalogue: Catalogue, space: Space, *, model_id: str) -> dict[str, npt.NDArray[Any]]:
    """Everything that is kept in the cache file; for a model that has heard nothing yet, an index of nothing."""
    tags = next((model.tags for model in catalogue.models() if model.id == model_id), None)
    if tags is None:
        track_ids, vectors = np.empty(0, np.int64), np.empty((0, space.dimension), np.float32)
    else:
        track_ids, vectors = catalogue.vectors(model_id)
    labels = [label for label, _ in tags or ()]
    mean, scale = _standard(vectors, space)
    _project_rows(vectors, mean, scale)
    sample, typical, spread = _proximity(vectors, wanted=space.mutual_proximity)
    return {
        "track_ids": track_ids,
        "vectors": vectors,
        "mean": mean,
        "scale": scale,
        "usual": _usual_cosines(vectors, space.aspects),
        "sample": sample,
        "typical": typical,
        "spread": spread,
        "tag_labels": np.array(labels, np.str_),
        "tag_means": _usual_tags(catalogue, model_id, track_ids, count=len(labels)),
    }


def _standard(vectors: FloatArray, space: Space) -> tuple[FloatArray, FloatArray]:
    """What to subtract from, and divide, the columns of `vectors` (n, d) by: (d,), (d,) float32."""
    mean = np.zeros(vectors.shape[1])
    deviation = np.ones(vectors.shape[1])
    if space.standardise and len(vectors):
        mean = vectors.mean(axis=0, dtype=np.float64)
        deviation = vectors.std(axis=0, dtype=np.float64)
        deviation[deviation <= _CONSTANT * np.maximum(1.0, np.abs(mean))] = np.inf
    weights = np.ones(vectors.shape[1]) if space.weights is None else space.weights
    with np.errstate(divide="ignore"):  # a weight of 0 leaves the column out
        return mean.astype(np.float32), (deviation / weights).astype(np.float32)


def _project_rows(vectors: FloatArray, mean: FloatArray, scale: FloatArray) -> None:
    """Bring raw `vectors` (n, d) into the space, in place: the library may be large."""
    vectors -= mean
    vectors /= scale
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    length[length == 0] = 1
    vectors /= length[:, np.newaxis]


def _proximity(vectors: FloatArray, *, wanted: bool) -> tuple[IntArray, FloatArray, FloatArray]:
    """Rows of an even sample (m,), and the mean and deviation of each row's cosine with it: (n,), (n,) float32."""
    n = len(vectors)
    if not wanted or n < _FEWEST:
        return np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32)
    sample = np.arange(0, n, -(-n // _SAMPLE))
    typical, spread = np.empty(n, np.float32), np.empty(n, np.float32)
    for begin in range(0, n, _BLOCK):
        cosine = vectors[begin : begin + _BLOCK] @ vectors[sample].T
        typical[begin : begin + _BLOCK] = cosine.mean(axis=1)
        spread[begin : begin + _BLOCK] = cosine.std(axis=1)
    return sample, typical, np.maximum(spread, np.float32(1e-6))


def _usual_cosines(vectors: FloatArray, aspects: Mapping[str, slice]) -> FloatArray:
    """(aspects, pairs) float32, ascending: all pairs of a small library, else a fixed random sample of them."""
    n = len(vectors)
    if n * (n - 1) // 2 <= _PAIRS:
        first, second = np.triu_indices(n, k=1)
    else:
        rng = np.random.default_rng(0)
        first = rng.integers(0, n, _PAIRS)
        second = (first + rng.integers(1, n, _PAIRS)) % n
    return np.sort(_aspect_cosines(vectors[first], vectors[second], aspects), axis=1)


def _aspect_cosines(a: FloatArray, b: FloatArray, aspects: Mapping[str, slice]) -> FloatArray:
    cosines = np.zeros((len(aspects), len(b)), np.float32)
    for row, part in zip(cosines, aspects.values(), strict=True):
        x, y = a[:, part], b[:, part]
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        np.divide((x * y).sum(axis=1), lengths, out=row, where=lengths > 0)
    return cosines


def _usual_tags(catalogue: Catalogue, model_id: str, track_ids: IntArray, *, count: int) -> FloatArray:
    """Mean probability of each of the model's tags (count,) float32 over an even sample of the tracks."""
    sample = track_ids[:: max(1, -(-len(track_ids) // _SAMPLE))]
    if not count or not len(sample):
        return np.zeros(count, np.float32)
    heard = catalogue.tag_probabilities(model_id, sample.tolist())
    heard = heard[~np.isnan(heard).any(axis=1)]
    means: FloatArray = heard.mean(axis=0) if len(heard) else np.zeros(count, np.float32)
    return means


def _fits(kept: Mapping[str, npt.NDArray[Any]]) -> bool:
    if kept["vectors"].ndim != 2 or kept["usual"].ndim != 2:
        return False
    n, d = kept["vectors"].shape
    return (
        kept["track_ids"].shape == (n,)
        and kept["mean"].shape == kept["scale"].shape == (d,)
        and kept["tag_labels"].shape == kept["tag_means"].shape
        and kept["typical"].shape == kept["spread"].shape == ((n,) if len(kept["sample"]) else (0,))
        and bool(np.all((kept["sample"] >= 0) & (kept["sample"] < n)))
        and bool((np.diff(kept["track_ids"]) > 0).all())
    )
