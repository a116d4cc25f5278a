"""How good a student is, on tracks that it has never heard: what is printed while it learns.

No decision is taken on these figures by the program; whoever compares recipes by them should keep other music for the
final ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.lab.distill.material import Track
from soundkin.lab.distill.teachers import WINDOW

FloatArray = npt.NDArray[np.float32]

PER_TRACK = 20
"""Windows of a track, evenly spread; all of a shorter one."""


def windows_of(track: Track, *, count: int = PER_TRACK) -> FloatArray:
    """Windows of the track as it is, (n, n_mels, WINDOW) float32 in dB; a track shorter than one is repeated."""
    return spread(track.mels[0].read(), count=count)


def spread(mel: npt.NDArray[np.floating[Any]], *, count: int = PER_TRACK) -> FloatArray:
    """Windows of a spectrogram (n_mels, frames), evenly spread: (n, n_mels, WINDOW) float32."""
    if mel.shape[1] < WINDOW:
        return np.take(mel, np.arange(WINDOW), axis=1, mode="wrap")[np.newaxis].astype(np.float32)
    number = min(count, mel.shape[1] // WINDOW)
    starts = np.linspace(0, mel.shape[1] - WINDOW, number).round().astype(int)
    return np.stack([mel[:, start : start + WINDOW] for start in starts]).astype(np.float32)


def album_precision(vectors: FloatArray, albums: Sequence[str], *, k: int = 5) -> tuple[float, float]:
    """Same-album precision at k by cosine, and hubness, of one vector a track (n, d).

    Precision: the share of a track's k nearest (of all others, where there are fewer) that are from its own album, the
    mean over tracks. Hubness: the skewness of how often each track is among the k nearest of others (Radovanović et
    al. 2010, JMLR 11).
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    similarity = units @ units.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, len(albums) - 1)]
    names = np.asarray(albums)
    occurrence = np.bincount(nearest.ravel(), minlength=len(names)).astype(float)
    spread = occurrence.std()
    skewness = float(np.mean((occurrence - occurrence.mean()) ** 3) / spread**3) if spread else 0.0
    return float(np.mean(names[nearest] == names[:, np.newaxis])), skewness
