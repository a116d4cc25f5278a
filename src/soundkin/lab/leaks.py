"""What a split lets through: artists on both sides, and recordings of which a copy is on the other side."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.audio import decode
from soundkin.errors import AudioError
from soundkin.excerpts import ExcerptPlan
from soundkin.fingerprint import fingerprint
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets.artists import artists_in
from soundkin.lab.datasets.recordings import joined, same_recordings
from soundkin.lab.datasets.wording import count
from soundkin.lab.runs import Leak
from soundkin.lab.splits import Split

EXAMPLES = 5
TABLE_BELOW = 0.05
"""Root mean square of the differences of two rows, in standard deviations of the columns: below it they are one
recording. In GTZAN's table every pair below 0.1 is a repetition; clips that are none begin at 0.2."""
PICTURE_BELOW = 2 / 255
"""Mean absolute difference of two pictures, in parts of the range: below it they are one. Between GTZAN's pictures it
is either 0 or at least 8 / 255."""
_LEAST = 16  # numbers a row: of fewer, equal rows mean little
_HEARD = ExcerptPlan(1, 60.0)


def find_leaks(dataset: Dataset, split: Split, *, duplicates: Sequence[tuple[str, ...]] | None = None) -> Leak:
    """What the training and validation parts of `split` share with its test part.

    `duplicates`: what `find_duplicates(dataset)` gave, where there are many splits of one dataset.
    """
    fitted = np.concatenate([split.train, split.valid])
    artists = artists_in([clip.artist for clip in dataset.clips])
    fitted_clips = Counter(artist for i in fitted for artist in artists[i])
    tested_clips = Counter(artist for i in split.test for artist in artists[i])
    both = set(fitted_clips) & set(tested_clips)
    shared = sorted(both, key=lambda artist: (-tested_clips[artist], artist))
    names: dict[str, str | None] = {}
    for keys, clip in sorted(zip(artists, dataset.clips, strict=True), key=lambda pair: -len(pair[0])):
        names |= dict.fromkeys(keys, clip.artist)  # last the clips of one artist, which give the best name
    groups = find_duplicates(dataset) if duplicates is None else duplicates
    copies = dict(_copies(dataset, fitted, split.test, groups))
    examples = [
        f"{names[artist]}: {count(fitted_clips[artist], 'clip')} fitted, {tested_clips[artist]} tested."
        for artist in shared[:EXAMPLES]
    ]
    examples += [f"{test} is tested, its copy {fit} is fitted." for test, fit in list(copies.items())[:EXAMPLES]]
    return Leak(
        artists=len(shared),
        clips_by_artist=sum(bool(artists[i] & both) for i in split.test),
        duplicates=len(copies),
        examples=tuple(examples),
        artists_known=any(artists),
        unknown_artists=sum(not artists[i] for i in split.test),
    )


def _copies(
    dataset: Dataset, fitted: Iterable[int], tested: Iterable[int], groups: Iterable[tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Each tested clip of which a copy is fitted, with one of them."""
    on_fitted, on_tested = ({dataset.clips[i].id for i in rows} for rows in (fitted, tested))
    for group in groups:
        copy = next((id for id in group if id in on_fitted), None)
        if copy is not None:
            yield from ((id, copy) for id in group if id in on_tested)


def find_duplicates(dataset: Dataset, *, listen: bool = False) -> tuple[tuple[str, ...], ...]:
    """Groups of clips that hold the same recording: those known, equal files, equal or nearly equal rows of arrays.

    A second for a thousand clips. With `listen` every audio file is also decoded and fingerprinted, about 30 ms a
    clip of 30 s, which finds other encodings and cuts up to 3 s apart, of clips of 8 s and more.
    """
    here = set(dataset.ids)
    groups: list[Sequence[str]] = [[id for id in group if id in here] for group in dataset.duplicates]
    for array in dataset.arrays.values():
        groups += [[dataset.clips[i].id for i in pair] for pair in _near_rows(array)]
    paths = {clip.id: clip.path for clip in dataset.clips if clip.path is not None}
    groups += _equal_files(paths)
    if listen:
        groups += same_recordings({id: _listen(path) for id, path in paths.items()})
    return tuple(joined(groups))


def _near_rows(array: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Pairs of rows of (n, …) that are equal or nearly equal."""
    rows = array.reshape(len(array), -1)
    if rows.shape[1] < _LEAST or rows.dtype.kind not in "uif":
        return []
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        return []  # nothing can be said; whoever trains on it will refuse it
    table = array.ndim == 2
    points = _standardised(rows) if table else _pooled(rows)
    seen: dict[bytes, int] = {}
    pairs, different = [], []
    for i, point in enumerate(points):
        first = seen.setdefault(point.tobytes(), i)
        if first != i and np.array_equal(rows[first], rows[i]):
            pairs.append((first, i))  # not compared with all others too: there may be many, of silence
        else:
            different.append(i)
    if table:
        near = _pairs_within(points[different], TABLE_BELOW * math.sqrt(rows.shape[1]), p=2)
        return pairs + [(different[a], different[b]) for a, b in near]
    below = PICTURE_BELOW * (float(rows.max()) - float(rows.min()))
    # Means of pieces never differ more than the pieces themselves: what is near is among those whose means are.
    near = _pairs_within(points[different], below * rows.shape[1] / _piece(rows), p=1)
    found = [(different[a], different[b]) for a, b in near]
    return pairs + [(a, b) for a, b in found if np.abs(rows[a] - rows[b].astype(np.float32)).mean() <= below]


def _standardised(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, columns) with mean 0 and standard deviation 1 in each column."""
    spread = rows.std(axis=0)
    standard: npt.NDArray[Any] = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return standard


def _pooled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, about 256) means of pieces of (n, pixels)."""
    size = _piece(rows)
    pieces = rows[:, : rows.shape[1] // size * size].reshape(len(rows), -1, size)
    means: npt.NDArray[Any] = pieces.mean(axis=2, dtype=np.float32)
    return means


def _piece(rows: npt.NDArray[Any]) -> int:
    return max(1, int(rows.shape[1]) // 256)


def _pairs_within(points: npt.NDArray[Any], radius: float, *, p: int) -> list[tuple[int, int]]:
    from scipy.spatial import KDTree

    return sorted(KDTree(points).query_pairs(radius * (1 + 1e-5) + 1e-6, p=p))


def _equal_files(paths: dict[str, Path]) -> list[list[str]]:
    """Groups of ids whose files hold the same bytes; a file is read in full only where its middle is another's too."""
    same: dict[Any, list[str]] = {None: list(paths)}
    for look in (_size, _middle, _whole):
        finer: defaultdict[Any, list[str]] = defaultdict(list)
        for key, ids in same.items():
            if len(ids) > 1:
                for id in ids:
                    finer[key, look(paths[id], id)].append(id)
        same = finer
    return [ids for ids in same.values() if len(ids) > 1]


def _size(path: Path, id: str) -> Any:
    try:
        return path.stat().st_size
    except OSError:
        return id  # like no other; that it cannot be read shows elsewhere


def _middle(path: Path, id: str) -> Any:
    try:
        with path.open("rb") as file:
            file.seek(path.stat().st_size // 2)
            return hashlib.blake2b(file.read(4096)).digest()
    except OSError:
        return id


def _whole(path: Path, id: str) -> Any:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return id


def _listen(path: Path) -> bytes:
    try:
        _, heard = decode(path, sr=22050, excerpts=_HEARD)
    except AudioError:
        return b""
    return b"".join(fingerprint(excerpt, sr=22050) for excerpt in heard)
