"""Recommendation by distance in tag space against by embedding, on the tracks of a library (S5, extension 1).

A tagger puts a song at one place in two spaces: that of its embedding, and that of its tags' probabilities, whose
axes have names. S5 recommends by a simple distance between tags. Both spaces answer the same questions here, of the
same tracks, and the difference is reckoned track by track.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from soundkin.catalogue import Catalogue, fold
from soundkin.errors import EmptyLibraryError, ExperimentError, UnknownNameError
from soundkin.index import Index
from soundkin.lab.compare_embeddings import SHORTEST, album_key
from soundkin.lab.embeddings import Evaluation, Nearness, ask, interval, nearness, summarise
from soundkin.lab.metrics import Interval
from soundkin.model import Model, load_model
from soundkin.modeltags import HEARD

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EMBEDDING = "embedding"
MOST_ASKING = 5000
"""Tracks that ask in a larger library, an even sample; all of its tracks may answer."""
FEWEST_ALBUMS = 5
"""Albums below which no interval over albums is given."""
_SMALLEST = 1e-6  # a probability nearer to 0 or 1 says no more: float32 has rounded it
_RESAMPLES = 4000
_DRAWN_AT_ONCE = 1_000_000  # 8 MB


@dataclass(frozen=True, eq=False)
class Tagged:
    """The n tracks of a library that a model has heard, with their tags."""

    model: str
    model_id: str
    labels: tuple[str, ...]
    track_ids: IntArray
    """(n,) int64, ascending."""
    probabilities: FloatArray
    """(n, labels) float64 in [0, 1]."""
    index: Index
    rows: IntArray
    """(n,) rows of the tracks in `index`."""
    albums: tuple[str, ...]
    """(n,) what sets an album apart: its artist and name, or the folder where no tag names it."""
    album_names: tuple[str, ...]
    """(n,) what albums are called, or the folders."""
    artists: tuple[str, ...]
    """(n,) folded; empty where unknown."""
    genres: tuple[str, ...]
    """(n,) folded, of the container's tag; empty where unknown."""
    left_out: Mapping[str, int]
    """Why -> how many tracks of the library do not take part."""

    def __len__(self) -> int:
        return len(self.track_ids)

    def near_by_embedding(self, rows: IntArray) -> FloatArray:
        """How near all tracks are to some of them, as the library compares them; a `Nearness`."""
        similarity = self.index.similarities(self.index.vectors[self.rows[rows]])
        return similarity[:, self.rows].astype(np.float64)


def load_tagged(catalogue: Catalogue, model: str | Path, *, shortest: float = SHORTEST) -> Tagged:
    """The tracks of at least `shortest` seconds that `model` (a name or a model file) has tagged, copies once.

    Raises ExperimentError for a model without tags, EmptyLibraryError where it has heard nothing or too little here.
    """
    loaded = load_model(model)
    if not loaded.tags:
        raise ExperimentError(
            f"the model {loaded.id} gives no tags, and without tags there is no tag space; name the file of a tagger, "
            "such as `soundkin lab import-weights` and `soundkin lab export` write"
        )
    _check_heard(catalogue, loaded, model)
    index = Index.load(catalogue, loaded.space, model_id=loaded.id)
    columns = catalogue.columns()
    heard = index.rows(columns.ids)
    long = columns.durations >= shortest
    probabilities = np.full((len(columns.ids), len(loaded.tags)), np.nan)
    there = np.flatnonzero((heard >= 0) & long)
    probabilities[there] = catalogue.tag_probabilities(loaded.id, columns.ids[there].tolist())
    tagged = np.isfinite(probabilities).all(axis=1)
    first = {columns.content_ids[i]: i for i in reversed(np.flatnonzero(tagged))}
    kept = np.array(sorted(first.values()), np.int64)
    left_out = {
        f"shorter than {shortest:g} s": int((~long).sum()),
        "not heard by this model yet": int((long & (heard < 0)).sum()),
        "heard without tags": len(there) - int(tagged.sum()),
        "exact copies of another": int(tagged.sum()) - len(kept),
    }
    if len(kept) < 3:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
        raise EmptyLibraryError(
            f"{catalogue.path} has {len(kept)} tracks to compare by the tags of {loaded.id}"
            f"{f' ({why})' if why else ''}; 3 is the least. {_scan(catalogue, model)}"
        )
    return Tagged(
        model=loaded.name,
        model_id=loaded.id,
        labels=tuple(tag.label for tag in loaded.tags),
        track_ids=columns.ids[kept],
        probabilities=probabilities[kept],
        index=index,
        rows=heard[kept],
        albums=tuple(album_key(columns, i) for i in kept),
        album_names=tuple(columns.albums[i] or Path(columns.paths[i]).parent.name for i in kept),
        artists=tuple(fold(columns.artists[i] or columns.album_artists[i] or "") for i in kept),
        genres=tuple(fold(columns.genres[i] or "") for i in kept),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _check_heard(catalogue: Catalogue, model: Model, named: str | Path) -> None:
    stored = [one for one in catalogue.models() if one.vectors]
    if model.id not in {one.id for one in stored}:
        others = ", ".join(one.id for one in stored) or "none"
        raise EmptyLibraryError(
            f"the model {model.id} has heard nothing in {catalogue.path} yet; models that have: {others}. "
            f"{_scan(catalogue, named)}"
        )


def _scan(catalogue: Catalogue, model: str | Path) -> str:
    folders = " ".join(shlex.quote(str(folder)) for folder in catalogue.folders()) or "FOLDER"
    library, file = shlex.quote(str(catalogue.path)), shlex.quote(str(model))
    return f"Scan first: soundkin --library {library} --model {file} scan {folders}"


# --- spaces ----------------------------------------------------------------------------------------------------------


def logits(probabilities: npt.NDArray[np.floating]) -> FloatArray:
    """The logarithm of the odds of each probability, (n, tags): where a sigmoid network is at home.

    Between .001 and .01 lies as much as between .5 and .91, so rare tags have a say.
    """
    p = np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(p) - np.log1p(-p))


TAG_SPACES: dict[str, Callable[[FloatArray], Nearness]] = {
    "euclidean": lambda p: nearness(p, metric="euclidean"),
    "cosine": lambda p: nearness(p),
    "logits": lambda p: nearness(logits(p), standardise=True),
}
"""Ways to compare tag probabilities (n, tags): S5's Euclidean distance; the cosine, which forgets how many tags a song
has; and the cosine of logits, each z-scored over the library, which lets rare tags count as much as common ones."""


def tag_nearness(name: str, probabilities: FloatArray) -> Nearness:
    """The tag space of that name over `probabilities` (n, tags). Raises UnknownNameError."""
    check_names(space=name)
    return TAG_SPACES[name](probabilities)


def standard_logits(probabilities: FloatArray) -> FloatArray:
    """The logit of each tag, z-scored over the tracks, (n, tags); 0 for a tag that does not vary."""
    z = logits(probabilities)
    deviation = z.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(1.0, np.abs(z.mean(axis=0)))
    return np.asarray((z - z.mean(axis=0)) / np.where(varies, deviation, np.inf))


def distinctive(probabilities: FloatArray) -> FloatArray:
    """The same for tags of a probability of HEARD or more, which rank before all others; these by their probability."""
    return np.where(probabilities >= HEARD, standard_logits(probabilities), probabilities - 1e3)


DOMINANT: dict[str, Callable[[FloatArray], FloatArray]] = {
    "distinctive": distinctive,
    "standardised": standard_logits,
    "argmax": lambda probabilities: probabilities,
}
"""What a tag must have the most of to be a track's dominant tag. The most probable one is that which was most common in
training for nearly every song ('rock'). The tag by which a song differs most from this library says more, but may be
one that it hardly has ('soul 1 %'), unless only tags are taken that were heard at all."""


def strongest_tags(probabilities: FloatArray, *, n: int = 1, by: str = "distinctive") -> IntArray:
    """Columns (tracks, ≤ n) int64 of the dominant tags of each track, the strongest first. Raises UnknownNameError."""
    check_names(dominant=by)
    return np.argsort(-DOMINANT[by](probabilities), axis=1, kind="stable")[:, :n].astype(np.int64)


def check_names(*, space: str = "euclidean", dominant: str = "distinctive") -> None:
    """Raise UnknownNameError for a space or a rule there is not, before anything is reckoned."""
    if space not in TAG_SPACES:
        raise UnknownNameError("tag space", space, TAG_SPACES)
    if dominant not in DOMINANT:
        raise UnknownNameError("rule for the dominant tag", dominant, DOMINANT)


# --- questions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Question:
    """Whose answers count as right: those with the label of the track that asks."""

    name: str
    labels: tuple[str, ...]
    queries: IntArray
    candidates: IntArray
    groups: IntArray | None = None
    """Numbers (n,); a track of the asking one's group may not answer."""


def questions_of(tagged: Tagged) -> list[Question]:
    """What can be asked of these tracks; a question without two right answers of different kinds is left out.

    Album is that of `evaluate-embeddings --albums`. Of artists and genres only tracks whose artist or genre is known
    ask and answer. A genre must be found by other artists on other albums: what a chain of common albums and artists
    links may not answer.
    """
    everyone = np.arange(len(tagged))
    albums = np.unique(tagged.albums, return_inverse=True)[1].astype(np.int64)
    found = [Question("album", tagged.albums, everyone, everyone)]
    found.append(_answerable("artist", tagged.artists))
    found.append(_answerable("artist, other album", tagged.artists, albums))
    found.append(_answerable("genre, other artist", tagged.genres, _linked(albums, tagged.artists)))
    few = [one for one in found if len(one.queries) and len({one.labels[i] for i in one.candidates}) > 1]
    return [_thinned(one) for one in few]


def _answerable(name: str, labels: tuple[str, ...], groups: IntArray | None = None) -> Question:
    """Tracks with a label may answer, and those ask that have a right answer: who has none is wrong in every space."""
    group = np.arange(len(labels)) if groups is None else groups
    of_label = Counter(labels)
    of_both = Counter(zip(labels, group.tolist(), strict=True))
    known = [i for i, label in enumerate(labels) if label]
    asking = [i for i in known if of_label[labels[i]] > of_both[labels[i], int(group[i])]]
    return Question(name, labels, np.array(asking, np.int64), np.array(known, np.int64), groups)


def _linked(albums: IntArray, artists: Sequence[str]) -> IntArray:
    """Numbers (n,) that tracks share which an album, an artist, or a chain of these links."""
    n = len(albums)
    names = np.unique(artists, return_inverse=True)[1]
    known = np.flatnonzero([bool(artist) for artist in artists])
    ends = np.concatenate([n + albums, n + albums.max() + 1 + names[known]])
    starts = np.concatenate([np.arange(n), known])
    size = int(ends.max()) + 1
    graph = csr_array((np.ones(len(ends)), (starts, ends)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:n], np.int64)


def _thinned(question: Question) -> Question:
    chosen = question.queries[:: -(-len(question.queries) // MOST_ASKING)]
    return Question(question.name, question.labels, chosen, question.candidates, question.groups)


# --- comparing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """One space, beside the embedding's."""

    space: str
    evaluations: Mapping[str, Evaluation]
    """Question -> figures; hubness is that of 'album', where every track may answer."""
    overlap: Interval | None
    """Share of the nearest k that are also among the nearest k by embedding; None for the embedding itself."""
    differences: Mapping[str, Interval]
    """Question -> P@k less that by embedding, of the same tracks; empty for the embedding itself. The interval is a
    bootstrap over albums, for songs of one album are right or wrong together."""
    albums: Mapping[str, int]
    """Question -> albums that the tracks which ask are of."""


def compare_spaces(tagged: Tagged, *, k: int = 5) -> list[Compared]:
    """The embedding, then every tag space: who is near, by each question. Raises ExperimentError for k ≥ tracks."""
    if not 1 <= k < len(tagged):
        raise ExperimentError(f"{len(tagged)} tracks have no {k} nearest: k is from 1 to {len(tagged) - 1}")
    spaces: dict[str, Nearness] = {EMBEDDING: tagged.near_by_embedding}
    spaces |= {name: tag_nearness(name, tagged.probabilities) for name in TAG_SPACES}
    asked = questions_of(tagged)
    albums = np.unique(tagged.albums, return_inverse=True)[1].astype(np.int64)
    ids, everyone = [str(one) for one in tagged.track_ids], asked[0].queries
    counts = {one.name: len(np.unique(albums[one.queries])) for one in asked}
    lists: dict[str, IntArray] = {}
    right: dict[tuple[str, str], FloatArray] = {}
    found = []
    for name, near in spaces.items():
        evaluations = {}
        for one in asked:
            who: dict[str, Any] = {
                "ids": ids,
                "queries": one.queries,
                "candidates": one.candidates,
                "groups": one.groups,
            }
            answers = ask(near, one.labels, **who, ks=(k,))
            evaluations[one.name] = summarise([answers])
            right[name, one.name] = answers.precision[k]
        lists[name] = nearest(near, everyone, k=k)
        overlap, differences = None, {}
        if name != EMBEDDING:
            overlap = interval(shared_share(lists[name], lists[EMBEDDING]))
            differences = {
                one.name: over_clusters(right[name, one.name] - right[EMBEDDING, one.name], albums[one.queries])
                for one in asked
            }
        found.append(Compared(name, evaluations, overlap, differences, counts))
    return found


def nearest(near: Nearness, rows: IntArray, *, k: int) -> IntArray:
    """The k tracks nearest to each of `rows` (q,), itself left out, nearest first: (q, k) int64."""
    found = np.empty((len(rows), k), np.int64)
    for begin in range(0, len(rows), 256):
        some = rows[begin : begin + 256]
        values = -near(some)
        values[np.arange(len(some)), some] = np.inf
        found[begin : begin + 256] = np.argsort(values, axis=1, kind="stable")[:, :k]
    return found


def shared_share(a: IntArray, b: IntArray) -> FloatArray:
    """Share of each row of `a` (q, k) that stands in the same row of `b`, too: (q,)."""
    return np.asarray((a[:, :, np.newaxis] == b[:, np.newaxis, :]).any(axis=2).mean(axis=1), np.float64)


def over_clusters(values: FloatArray, clusters: IntArray) -> Interval:
    """Mean of `values` (n,), with its percentile bootstrap interval over whole `clusters` (n,) of them.

    The interval is NaN for fewer than FEWEST_ALBUMS clusters: resampling so few says nothing of others.
    """
    number = np.unique(clusters, return_inverse=True)[1]
    sums, sizes = np.bincount(number, weights=values), np.bincount(number)
    if len(sizes) < FEWEST_ALBUMS:
        return Interval(float(values.mean()), np.nan, np.nan, len(values))
    rng, means = np.random.default_rng(0), np.empty(_RESAMPLES)
    block = max(1, _DRAWN_AT_ONCE // len(sizes))
    for begin in range(0, _RESAMPLES, block):
        chosen = rng.integers(0, len(sizes), (min(block, _RESAMPLES - begin), len(sizes)))
        means[begin : begin + block] = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(values))
