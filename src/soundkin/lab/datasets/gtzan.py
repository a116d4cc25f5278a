"""GTZAN as audio: a thousand clips of 30 s in ten genres (Tzanetakis and Cook 2002).

Read in either published layout, and when the folder is itself the one that holds the folders of the genres:

    DIR/genres/blues/blues.00000.au            as its authors published it
    DIR/genres_original/blues/blues.00000.wav  the copy on Kaggle, whose jazz.00054.wav cannot be read
"""

from __future__ import annotations

from pathlib import Path

from soundkin.audio import SUFFIXES, read_info
from soundkin.errors import AudioError, DatasetError
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets.gtzan_index import CITATION, GENRES, LICENCE, clip_name, genre_of, make_dataset
from soundkin.lab.datasets.heads import read_head
from soundkin.lab.datasets.wording import count, listing, some

__all__ = ["CITATION", "LICENCE", "OBTAIN", "load", "readable"]

OBTAIN = (
    "its authors' page is gone; the .wav copy is “GTZAN Dataset - Music Genre Classification” by andradaolteanu on "
    "Kaggle (genres_original/), the .au files are genres.tar.gz, mirrored in many places; beside them may lie "
    "artists_sturm2012.txt, Sturm's index of artists, and splits/ with the filtered split"
)
_TREES = ("", "genres", "genres_original", "Data/genres_original", "gtzan/genres", "genres/genres")
_SUSPECT = "jazz.00054"  # on Kaggle its content is damaged, whatever its head says


def load(folder: Path) -> Dataset:
    """The clips of `folder`; what is missing, unreadable or out of place is in the findings. Raises DatasetError."""
    tree = _find_tree(folder)
    findings = []
    absent = [genre for genre in GENRES if not (tree / genre).is_dir()]
    if absent:
        findings.append(f"{count(len(absent), 'genre')} of ten without a folder in {tree}: {some(absent, limit=10)}.")
    files: dict[str, list[Path]] = {}
    odd: list[str] = []
    for genre in GENRES:
        for path in _audio_in(tree / genre):
            clip = clip_name(path.name)
            if clip is None or genre_of(clip) != genre or path.stem != clip:
                odd.append(f"{genre}/{path.name}")
            else:
                files.setdefault(clip, []).append(path)
    if odd:
        findings.append(f"{count(len(odd), 'file')} left out, not named like blues/blues.00000.wav: {some(odd)}.")
    paths, complaints = readable(files)
    if not paths:
        raise DatasetError(f"{tree}: no clip of GTZAN in it can be read. {' '.join(complaints + findings)}")
    return make_dataset("gtzan", folder, ids=sorted(paths), paths=paths, findings=[*complaints, *findings])


def readable(files: dict[str, list[Path]]) -> tuple[dict[str, Path], list[str]]:
    """Of every clip the first of its files that can be read, and a finding about the clips without one."""
    paths: dict[str, Path] = {}
    broken = []
    for clip, candidates in files.items():
        reason = ""
        for path in candidates:
            try:
                read_head(path)
                if clip == _SUSPECT:
                    read_info(path)
            except AudioError as error:
                reason = reason or error.reason
            else:
                paths[clip] = path
                break
        if clip not in paths:
            broken.append(f"{candidates[0].name} ({reason})")
    if not broken:
        return paths, []
    known = " (jazz.00054.wav of the copy on Kaggle is known to be damaged)" if f"{_SUSPECT}.wav" in str(broken) else ""
    return paths, [f"{count(len(broken), 'file')} left out that cannot be read: {some(broken)}{known}."]


def _find_tree(folder: Path) -> Path:
    for name in _TREES:
        if any((folder / name / genre).is_dir() for genre in GENRES):
            return folder / name
    raise DatasetError(
        f"{folder}: not GTZAN: expected DIR/genres/blues/blues.00000.au, DIR/genres_original/blues/blues.00000.wav or "
        f"DIR/blues/…; {listing(folder)}"
    )


def _audio_in(folder: Path) -> list[Path]:
    """Audio files of one folder by name, without the hidden ones that macOS puts into archives."""
    try:
        names = sorted(folder.iterdir())
    except OSError:
        return []  # a genre without a folder is a finding already
    return [path for path in names if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()]
