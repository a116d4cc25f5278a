"""What the teachers make of thousands of mixtures, kept on disk in shards: made once, learned from many times.

    FOLDER/
      teachers.json       the digests of their weights, and how exactly they were asked
      shard-00000.npz     answers of the teachers
      shard-00000.npy     the passages and their copies, float16, in a plain file that can be read in parts

Shard i depends on the seed and i alone, so that a run which was stopped goes on, and a longer one begins with what a
shorter one made.
"""

from __future__ import annotations

import functools
import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundkin.errors import ExperimentError
from soundkin.files import read_cache, replacing, write_cache
from soundkin.lab.distill.material import LEVEL, VARIATIONS
from soundkin.lab.distill.mixtures import Group, MixtureSettings, make_mixture, sources
from soundkin.lab.distill.teachers import PASSAGE, Teacher, ask, windows_of_passages

FloatArray = npt.NDArray[np.float32]
HalfArray = npt.NDArray[np.float16]
IntArray = npt.NDArray[np.int64]

SHARD = 32
"""Passages a shard."""


@dataclass(frozen=True)
class Targets:
    """`passages`: one file a shard, (SHARD, 2, n_mels, PASSAGE) float16, each with its copy; `rows` (n,) says which of
    them these are, counted through all shards; `answers` as `teachers.ask` gives them, float16, for these; `first` (n,)
    numbers the track that is in front."""

    passages: Sequence[Path]
    rows: IntArray
    answers: dict[str, HalfArray]
    first: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, kept: npt.NDArray[np.bool_]) -> Targets:
        """Those of `kept` (n,)."""
        answers = {name: answer[kept] for name, answer in self.answers.items()}
        return Targets(self.passages, self.rows[kept], answers, self.first[kept])

    def windows(self, rows: IntArray, shift: IntArray | int = 0, copy: IntArray | int = 0) -> FloatArray:
        """The windows of some passages, or of the copies of those for which `copy` (rows,) is 1.

        They go round by `shift` (rows,) frames: (rows, WINDOWS, n_mels, WINDOW).
        """
        wanted = np.broadcast_arrays(self.rows[rows], shift, copy)
        turned = [
            np.roll(_opened(self.passages[row // SHARD])[row % SHARD, view], -moved, axis=1)
            for row, moved, view in zip(*wanted, strict=True)
        ]
        return windows_of_passages(np.array(turned, np.float32))


@functools.lru_cache(maxsize=256)  # each holds a file open, of which a process may have a thousand
def _opened(path: Path) -> HalfArray:
    """A memory map of one shard's passages."""
    passages: HalfArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return passages


def make_targets(
    folder: Path,
    *,
    groups: Sequence[Group],
    teachers: Sequence[Teacher],
    shards: range,
    seed: int,
    settings: MixtureSettings,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make the `shards` that are not in `folder` yet; those that are there may hold more teachers' answers.

    Raises ExperimentError where they cannot be kept, and before any work where `folder` holds others' answers.
    """
    stamp = stamp_of(groups, seed=seed, settings=settings)
    answered = _agree(folder, teachers, stamp=stamp, shards=shards)
    for done, shard in enumerate(shards):
        path = shard_path(folder, shard)
        if not (path.is_file() and path.with_suffix(".npy").is_file()):
            if len(answered) > len(teachers):
                raise ExperimentError(
                    f"{path}: not there, and to be made only with all the teachers who answer in that folder: "
                    f"{', '.join(answered)}"
                )
            passages = np.stack(
                [
                    make_mixture(groups, frames=PASSAGE, seed=(seed, shard * SHARD + i), settings=settings)
                    for i in range(SHARD)
                ]
            )
            answers = {name: x.astype(np.float16) for name, x in ask(teachers, passages[:, 0]).items()}
            arrays = {"passages": passages.astype(np.float16), **answers}
            write_cache(path, arrays, stamp=stamp, apart="passages")
            if not path.is_file():
                raise ExperimentError(f"{folder}: the answers of the teachers cannot be kept there; is the disk full?")
        if progress is not None:
            progress(done + 1, len(shards))


def _agree(folder: Path, teachers: Sequence[Teacher], *, stamp: str, shards: range) -> list[str]:
    """The names of those who answer in `folder`: these teachers, and others perhaps. Raises ExperimentError."""
    told = {teacher.name: {"weights": teacher.weights, "precision": teacher.precision} for teacher in teachers}
    path = folder / "teachers.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            known = json.loads(path.read_text(encoding="utf-8"))
        else:
            known = told
            with replacing(path) as file:
                file.write(json.dumps(told, indent=1).encode())
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: cannot be read or written: {error}; name another folder") from error
    absent = [name for name in told if name not in known]
    if absent:
        raise ExperimentError(f"{folder}: the answers there are not of {', '.join(absent)}; name another folder")
    others = [name for name in told if known[name] != told[name]]
    if others:
        raise ExperimentError(
            f"{folder}: the answers there are of other weights of {', '.join(others)}, or were asked for with another "
            "exactness; name another folder"
        )
    for shard in shards:
        path = shard_path(folder, shard)
        if path.is_file() and read_cache(path, {}, stamp=stamp) is None:
            raise ExperimentError(_UNFIT.format(path))
    return list(known)


_UNFIT = (
    "{}: not there, damaged, or made of other material or settings; delete it to have it made again, or name "
    "another folder"
)


def without_sources(
    names: Sequence[str], *, groups: Sequence[Group], count: int, seed: int, settings: MixtureSettings
) -> npt.NDArray[np.bool_]:
    """Which of the first `count` passages hold nothing of the albums and files in `names`, (count,)."""
    free = np.ones(count, bool)
    for i in range(count):
        for track in sources(groups, frames=PASSAGE, seed=(seed, i), settings=settings):
            free[i] &= not track.is_named(names)
    return free


def tracks_in_front(*, groups: Sequence[Group], count: int, seed: int, settings: MixtureSettings) -> IntArray:
    """The number of the track that the first `count` passages were begun with, (count,)."""
    number = {track.path: i for i, track in enumerate(track for group in groups for track in group.tracks)}
    drawn = (sources(groups, frames=PASSAGE, seed=(seed, i), settings=settings)[0] for i in range(count))
    return np.array([number[track.path] for track in drawn], np.int64)


def stamp_of(groups: Sequence[Group], *, seed: int, settings: MixtureSettings) -> str:
    """Equal for passages that are drawn from the same tracks, in the same variations, in the same way."""
    tracks = [[(track.path.name, track.mels[0].shape[1]) for track in group.tracks] for group in groups]
    shares = [group.share for group in groups]
    told = repr((2, tracks, VARIATIONS, LEVEL, shares, seed, settings, SHARD, PASSAGE))
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def shard_path(folder: Path, shard: int) -> Path:
    """Where the answers of shard `shard` lie."""
    return folder / f"shard-{shard:05}.npz"


def read_targets(folder: Path, *, stamp: str, names: Sequence[str], shards: range, first: IntArray) -> Targets:
    """What `make_targets` made of the same material; `first` as `tracks_in_front` tells it.

    Raises ExperimentError for a shard that is not there.
    """
    passages: list[Path] = []
    answers: dict[str, list[HalfArray]] = {name: [] for name in _answers_in(shard_path(folder, shards[0]), names)}
    kinds: dict[str, type[np.generic]] = dict.fromkeys([*answers, "passages"], np.float16)
    for shard in shards:
        path = shard_path(folder, shard)
        found = read_cache(path, kinds, stamp=stamp, apart="passages")  # read once, so that damage is found now
        if found is None:
            raise ExperimentError(_UNFIT.format(path))
        passages.append(path.with_suffix(".npy"))
        for name in answers:
            answers[name].append(found[name])
    heard = {name: np.concatenate(parts) for name, parts in answers.items()}
    return Targets(passages, np.arange(SHARD * len(passages)), heard, first)


def _answers_in(path: Path, names: Sequence[str]) -> list[str]:
    """The answers of the teachers called `names` that a shard holds."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return [name for name in kept.files if name.rpartition(" ")[0] in names]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return []  # which the reader then says
