"""What a dataset is: labelled clips, with all that an honest split needs to know of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import DatasetError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording. `path` is its audio file, where the dataset has audio."""

    id: str
    label: str
    artist: str | None = None
    title: str | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """Labelled clips in a fixed order; row i of every array belongs to `clips[i]`."""

    name: str
    clips: tuple[Clip, ...]
    licence: str
    citation: str
    findings: tuple[str, ...] = ()
    """What its check found, a sentence each: missing, unreadable or left-out clips."""
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Representations that come with the dataset, by name: 'table' (n, columns), 'picture' (n, height, width)."""
    columns: tuple[str, ...] = ()
    """Names of the columns of `arrays['table']`."""
    duplicates: tuple[tuple[str, ...], ...] = ()
    """Groups of clip ids that are known to hold the same recording."""
    parts: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Published splits: name -> {'train': ids, 'valid': ids, 'test': ids}; ids need not all be present."""

    def __post_init__(self) -> None:
        if not self.clips:
            raise DatasetError(f"{self.name}: no clips; {' '.join(self.findings) or 'is it the right folder?'}")
        twice = [id for id, count in Counter(clip.id for clip in self.clips).items() if count > 1]
        if twice:
            raise DatasetError(f"{self.name}: {len(twice)} clip names occur twice, {twice[0]!r} among them")
        for name, array in self.arrays.items():
            if len(array) != len(self.clips):
                raise DatasetError(f"{self.name}: {name} has {len(array)} rows for {len(self.clips)} clips")

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(clip.id for clip in self.clips)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted; class i of `y` is `labels[i]`."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def y(self) -> IntArray:
        """Class of each clip: (n,) int64."""
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[clip.label] for clip in self.clips], np.int64)

    @property
    def groups(self) -> IntArray | None:
        """Artist of each clip as a number, (n,) int64; clips of unknown artists are groups of their own.

        None where no artist is known at all.
        """
        if not any(clip.artist for clip in self.clips):
            return None
        names = [f"artist {clip.artist.casefold()}" if clip.artist else f"clip {clip.id}" for clip in self.clips]
        number = {name: i for i, name in enumerate(dict.fromkeys(names))}
        return np.array([number[name] for name in names], np.int64)

    def take(self, indices: Iterable[int]) -> Dataset:
        """The same dataset with these clips only, in this order."""
        chosen = np.asarray(list(indices), np.int64)
        return dataclasses.replace(
            self,
            clips=tuple(self.clips[i] for i in chosen),
            arrays={name: array[chosen] for name, array in self.arrays.items()},
        )

    def only_labels(self, labels: Iterable[str]) -> Dataset:
        """The same dataset with the clips of these classes only. Raises DatasetError for a class it has not."""
        wanted = tuple(labels)
        missing = sorted(set(wanted) - set(self.labels))
        if missing:
            raise DatasetError(f"{self.name} has no class {', '.join(missing)}; it has: {', '.join(self.labels)}")
        return self.take(i for i, clip in enumerate(self.clips) if clip.label in wanted)
