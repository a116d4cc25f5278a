"""What is known of GTZAN's thousand clips: genres, artists, copies, and the splits that were published.

One clip has one name in every form of the dataset: 'blues.00000'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from soundkin.errors import DatasetError
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.datasets.artists import tidy_artists
from soundkin.lab.datasets.wording import count, some

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
CLIPS = tuple(f"{genre}.{number:05}" for genre in GENRES for number in range(100))
ARTISTS = "artists_sturm2012.txt"
PARTS = ("train", "valid", "test")
PUBLISHED = {
    "filtered": "Kereliuk, Sturm and Larsen 2015: no artist, no copy and no faulty clip on two sides",
    "stratified": "random, equal shares of the genres",
}
"""Published splits, as `splits/train_NAME.txt`, `valid_NAME.txt` and `test_NAME.txt`."""

LICENCE = (
    "None was ever given: 30 s excerpts of commercial recordings, for research on your own machine. The clips may not "
    "be passed on; whether models trained on them may be is not settled."
)
CITATION = (
    "G. Tzanetakis and P. Cook, “Musical genre classification of audio signals”, IEEE Transactions on Speech and "
    "Audio Processing 10(5), 2002. Artists and copies: B. L. Sturm, “An analysis of the GTZAN music genre dataset”, "
    "ACM MIRUM 2012, and arXiv:1306.1461. Filtered split: C. Kereliuk, B. L. Sturm and J. Larsen, “Deep learning and "
    "music adversaries”, IEEE Transactions on Multimedia 17(11), 2015."
)

# The fifty clips that repeat another one (Sturm 2012, table 1, “exact”). Fifteen pairs even begin at the same sample.
_COPIES = {
    "disco": "50 51 70, 55 60 89, 71 74, 98 99",
    "hiphop": "39 45, 76 78",
    "jazz": "33 51, 34 53, 35 55, 36 58, 37 60, 38 62, 39 65, 40 67, 42 68, 43 69, 44 70, 45 71, 46 72",
    "metal": "4 13, 34 94, 40 61, 41 62, 42 63, 43 64, 44 65, 45 66",
    "pop": "15 22, 30 31, 45 46, 47 80, 52 57, 54 60, 56 59, 67 71, 87 90",
    "reggae": "3 54, 5 56, 8 57, 10 60, 13 58, 41 69, 73 74, 80 81 82, 75 91 92",
}
COPIES = (
    *(
        tuple(f"{genre}.{int(number):05}" for number in group.split())
        for genre, groups in _COPIES.items()
        for group in groups.split(",")
    ),
    ("metal.00058", "rock.00016"),
)
"""Groups of clips that hold the same recording."""

_NAME = re.compile(rf"(?:{'|'.join(GENRES)})\.\d{{5}}")


def clip_name(text: str) -> str | None:
    """'blues.00000' of 'blues.00000.wav' or 'blues/blues.00000.au'; None for what names no clip of GTZAN."""
    found = _NAME.match(text.replace("\\", "/").rpartition("/")[2])
    return found[0] if found else None


def genre_of(clip: str) -> str:
    """'blues' of 'blues.00000'."""
    return clip.partition(".")[0]


def make_dataset(
    name: str,
    folder: Path,
    *,
    ids: Sequence[str],
    paths: Mapping[str, Path] | None = None,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
    columns: tuple[str, ...] = (),
    findings: Iterable[str] = (),
) -> Dataset:
    """A dataset of the clips `ids`, with artists, copies and published splits as far as `folder` has them."""
    found = list(findings)
    missing = [clip for clip in CLIPS if clip not in set(ids)]
    if missing:
        found.append(f"{len(missing):,} of GTZAN's 1,000 clips {_are(missing)} not here: {some(missing)}.")
    index, complaints = read_artists(folder)
    found += complaints
    artists = tidy_artists(index.get(id, (None, None))[0] for id in ids)
    if index:
        unknown = [id for id, artist in zip(ids, artists, strict=True) if artist is None]
        if unknown:
            found.append(f"The artist of {count(len(unknown), 'clip')} is not known: {some(unknown)}.")
    clips = tuple(
        Clip(id, genre_of(id), artist, index.get(id, (None, None))[1], (paths or {}).get(id))
        for id, artist in zip(ids, artists, strict=True)
    )
    parts, complaints = read_parts(folder)
    found += complaints
    copies = [tuple(id for id in group if id in set(ids)) for group in COPIES]
    return Dataset(
        name=name,
        clips=clips,
        licence=LICENCE,
        citation=CITATION,
        findings=tuple(found),
        arrays=arrays or {},
        columns=columns,
        duplicates=tuple(group for group in copies if len(group) > 1),
        parts=parts,
    )


def read_artists(folder: Path) -> tuple[dict[str, tuple[str | None, str | None]], list[str]]:
    """Clip -> (artist, title), either may be None, from Sturm's index in `folder`; and what is wrong with it.

    A line is 'blues.00000.wav ::: artist ::: title'; '##' begins a remark.
    """
    path = folder / ARTISTS
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}, [
            f"No {ARTISTS} in {folder}: artists are not known, so no split can keep them apart. It is the index that "
            "comes with Sturm's “An analysis of the GTZAN music genre dataset”."
        ]
    except OSError as error:
        return {}, [f"{path} cannot be read: {error.strerror or error}; artists are not known."]
    index: dict[str, tuple[str | None, str | None]] = {}
    odd = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("##"):
            continue
        name, *fields = (field.strip() for field in line.split(":::"))
        clip = clip_name(name)
        if clip is None or len(fields) != 2 or clip in index:
            odd.append(f"line {number} ({line.strip()[:60]!r})")
        else:
            index[clip] = (fields[0] or None, fields[1] or None)
    complaint = f"{path}: {count(len(odd), 'line')} not of the form 'blues.00000.wav ::: artist ::: title', each clip "
    return index, [f"{complaint}once, and not used: {some(odd, limit=3)}."] if odd else []


def read_parts(folder: Path) -> tuple[dict[str, dict[str, tuple[str, ...]]], list[str]]:
    """The published splits in `folder`/splits, and what is missing of them.

    Raises DatasetError for a file of one that names a clip twice, or something else than clips.
    """
    parts: dict[str, dict[str, tuple[str, ...]]] = {}
    findings = []
    for name in PUBLISHED:
        files = {part: folder / "splits" / f"{part}_{name}.txt" for part in PARTS}
        absent = [path for path in files.values() if not path.is_file()]
        if absent and len(absent) < len(files):
            findings.append(f"The {name} split is not used, for it lacks {some(absent)}.")
        if not absent:
            parts[name] = {part: _read_part(path) for part, path in files.items()}
            everything = [clip for part in PARTS for clip in parts[name][part]]
            twice = sorted({clip for clip in everything if everything.count(clip) > 1})
            if twice:
                raise DatasetError(f"{folder / 'splits'}: the {name} split names {some(twice)} twice; fetch it again")
    return parts, findings


def _read_part(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    named = [(clip_name(line), line) for line in lines if line]
    odd = [line[:60] for clip, line in named if clip is None]
    if odd:
        raise DatasetError(
            f"{path}: a line of a split names a clip, such as blues/blues.00000.wav; {count(len(odd), 'line')} "
            f"not: {some(map(repr, odd), limit=3)}"
        )
    return tuple(clip for clip, _ in named if clip)


def _are(items: Sequence[object]) -> str:
    return "is" if len(items) == 1 else "are"
