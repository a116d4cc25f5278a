"""Some of GTZAN's clips as audio in one folder, whole or excerpts: DIR/audio/blues.00000.flac."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from soundkin.audio import SUFFIXES
from soundkin.errors import DatasetError
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets.gtzan import readable
from soundkin.lab.datasets.gtzan_index import CITATION, LICENCE, clip_name, make_dataset
from soundkin.lab.datasets.wording import count, listing, some

__all__ = ["CITATION", "LICENCE", "OBTAIN", "load"]

OBTAIN = (
    "make a folder audio/ of files named like blues.00000.flac, cut from a copy of GTZAN; `gtzan` reads a whole copy"
)


def load(folder: Path) -> Dataset:
    """The clips of `folder`/audio, or of `folder` itself; a part of a split may be withheld. Raises DatasetError."""
    place = folder / "audio" if (folder / "audio").is_dir() else folder
    try:
        found = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    except OSError as error:
        raise DatasetError(f"{place} cannot be listed: {error.strerror or error}") from error
    files: dict[str, list[Path]] = {}
    odd = []
    for path in found:
        clip = clip_name(path.name)
        if clip is None or path.stem != clip:
            odd.append(path.name)
        else:
            files.setdefault(clip, []).append(path)
    findings = []
    if odd:
        findings.append(f"{count(len(odd), 'file')} left out, not named like blues.00000.flac: {some(odd)}.")
    paths, complaints = readable(files)
    if not paths:
        why = " ".join(complaints + findings) or listing(place)
        raise DatasetError(f"{place}: no clip of GTZAN, named like blues.00000.flac, can be read; {why}")
    dataset = make_dataset("gtzan-clips", folder, ids=sorted(paths), paths=paths, findings=[*complaints, *findings])
    withheld = [
        f"the {part} part of the {name} split ({count(len(ids), 'clip')})"
        for name, parts in dataset.parts.items()
        for part, ids in parts.items()
        if not set(ids) & set(paths)
    ]
    if not withheld:
        return dataset
    return dataclasses.replace(dataset, findings=(*dataset.findings, f"Without any audio: {some(withheld)}."))
