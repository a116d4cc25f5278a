"""GTZAN as the table of librosa features that comes with its copy on Kaggle, DIR/features_30_sec.csv.

A row a clip: filename, length (left out), mean and variance of chroma, RMS, spectral centroid, bandwidth and roll-off,
zero crossings, harmonic and percussive part, tempo, mean and variance of 20 MFCC, label.
"""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import numpy as np

from soundkin.errors import DatasetError
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets.gtzan_index import CITATION, LICENCE, clip_name, genre_of, make_dataset
from soundkin.lab.datasets.wording import count, some

__all__ = ["CITATION", "FEATURES", "LICENCE", "OBTAIN", "load"]

OBTAIN = "features_30_sec.csv of “GTZAN Dataset - Music Genre Classification” by andradaolteanu on Kaggle"
FILE = "features_30_sec.csv"

_SERIES = ("chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff", "zero_crossing_rate")
_PARTS = ("harmony", "perceptr")
_MFCC = tuple(f"mfcc{number}" for number in range(1, 21))
FEATURES = (
    *(f"{name}_{statistic}" for name in (*_SERIES, *_PARTS) for statistic in ("mean", "var")),
    "tempo",
    *(f"{name}_{statistic}" for name in _MFCC for statistic in ("mean", "var")),
)
"""The 57 columns, in their order."""
_MAY_LACK = ("perceptr_mean", "perceptr_var")  # some copies of the table come without them


def load(folder: Path) -> Dataset:
    """The table of `folder` as arrays['table'], float64 (n, 57), or (n, 55) without the percussive part.

    Raises DatasetError for what is no such table, with the columns and rows that are wrong.
    """
    path = folder / FILE if folder.is_dir() else folder
    head, rows = _read(path)
    columns = _check_columns(path, head)
    table = np.full((len(rows), len(columns)), np.nan)
    bad: list[tuple[str, str, str]] = []
    for j, column in enumerate(columns):
        at = head.index(column)
        for i, row in enumerate(rows):
            with contextlib.suppress(ValueError):  # what is no number stays NaN
                table[i, j] = float(row[at])
            if not np.isfinite(table[i, j]):
                bad.append((column, f"line {i + 2} ({row[head.index('filename')]})", row[at]))
    _refuse_numbers(path, bad)
    ids = _check_names(path, head, rows)
    missing = [column for column in FEATURES if column not in columns]
    findings = [f"{path.name} lacks {some(missing)}: {len(columns)} columns instead of {len(FEATURES)}."]
    still = [column for column, spread in zip(columns, np.ptp(table, axis=0), strict=True) if spread == 0]
    if len(rows) > 1 and still:
        findings.append(f"{count(len(still), 'column')} with one value only: {some(still)}.")
    return make_dataset(
        "gtzan-features",
        path.parent,
        ids=ids,
        arrays={"table": table},
        columns=columns,
        findings=findings if missing else findings[1:],
    )


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file. To obtain it: {OBTAIN}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: no table that can be read: {error}") from error
    if len(lines) < 2:
        raise DatasetError(f"{path}: a table has a head and at least one row; this one has {count(len(lines), 'line')}")
    head = [name.strip() for name in lines[0]]
    odd = [f"line {i} has {len(row)}" for i, row in enumerate(lines[1:], 2) if len(row) != len(head)]
    if odd:
        raise DatasetError(f"{path}: its head has {len(head)} columns, and {some(odd)}; was it cut off?")
    return head, lines[1:]


def _check_columns(path: Path, head: list[str]) -> tuple[str, ...]:
    """The feature columns that are there, in the order of FEATURES. Raises DatasetError."""
    needed = ("filename", *(name for name in FEATURES if name not in _MAY_LACK), "label")
    complaints = []
    if missing := [name for name in needed if name not in head]:
        complaints.append(f"lacks {count(len(missing), 'column')}: {some(missing)}")
    if unknown := [name for name in head if name not in (*needed, *_MAY_LACK, "length")]:
        complaints.append(f"has {count(len(unknown), 'column')} that it should not: {some(map(repr, unknown))}")
    if twice := sorted({name for name in head if head.count(name) > 1}):
        complaints.append(f"has {some(twice)} twice")
    if complaints:
        raise DatasetError(
            f"{path} {', '.join(complaints)}; the columns are filename, length, {FEATURES[0]}, … {FEATURES[-1]}, label"
        )
    return tuple(name for name in FEATURES if name in head)


def _refuse_numbers(path: Path, bad: list[tuple[str, str, str]]) -> None:
    if not bad:
        return
    columns = list(dict.fromkeys(column for column, _, _ in bad))
    rows = list(dict.fromkeys(row for _, row, _ in bad))
    raise DatasetError(
        f"{path}: {count(len(bad), 'value')} that {'is' if len(bad) == 1 else 'are'} no finite number, such as "
        f"{bad[0][2]!r}, in {count(len(columns), 'column')}: {some(columns)}; in {count(len(rows), 'row')}: "
        f"{some(rows)}. Compute them again, or delete the rows"
    )


def _check_names(path: Path, head: list[str], rows: list[list[str]]) -> list[str]:
    """Clip of each row. Raises DatasetError for names and labels that cannot be."""
    at, label = head.index("filename"), head.index("label")
    ids = [clip_name(row[at]) for row in rows]
    odd = [f"line {i} ({row[at]!r})" for i, (row, id) in enumerate(zip(rows, ids, strict=True), 2) if not id]
    odd += [f"line {i} ({row[at]!r})" for i, row in enumerate(rows, 2) if row[at].count(".") > 2]
    if odd:
        raise DatasetError(
            f"{path}: a row is a clip, filename blues.00000.wav (not a 3 s piece of one, blues.00000.0.wav); not so: "
            f"{some(odd)}"
        )
    clips = [id for id in ids if id]
    pairs = list(enumerate(zip(clips, rows, strict=True), 2))
    wrong = [f"line {i} ({clip} labelled {row[label]!r})" for i, (clip, row) in pairs if row[label] != genre_of(clip)]
    if wrong:
        raise DatasetError(f"{path}: the label is the genre in the file's name; not so: {some(wrong)}")
    first = {clip: i for i, (clip, _) in reversed(pairs)}
    twice = [f"line {i} ({clip}, as line {first[clip]})" for i, (clip, _) in pairs if first[clip] != i]
    if twice:
        raise DatasetError(f"{path}: a clip has one row; again in {some(twice)}")
    return clips
