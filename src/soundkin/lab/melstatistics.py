"""Statistics of a log-mel segment: numbers for classical estimators that a model file can compute by itself.

Of 20 MFCC the mean, the deviation and the deviation of their differences from frame to frame, the texture statistics
of Tzanetakis & Cook (2002); of the mel bands mean and deviation. 60 + 2 · n_mels numbers.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

FloatArray = npt.NDArray[np.float32]

N_MFCC = 20
_LEAST = 1e-6  # variance that counts as none, dB²; keeps the root from being steep


def statistic_columns(n_mels: int) -> tuple[str, ...]:
    """Names of the numbers in their order."""
    of_mfcc = (f"mfcc{i}_{name}" for name in ("mean", "std", "delta_std") for i in range(1, N_MFCC + 1))
    return (*of_mfcc, *(f"band{i}_{name}" for name in ("mean", "std") for i in range(1, n_mels + 1)))


def mel_statistics(db: FloatArray, *, segment_frames: int) -> FloatArray:
    """Statistics (60 + 2 · n_mels,) float32 of `db` (n_mels, frames) in dB, averaged over segments side by side.

    The segments are those of `soundkin.model.OnnxModel`: without overlap, in the middle of what does not divide. A
    clip shorter than one of them is one segment.
    """
    count = max(1, db.shape[1] // segment_frames)
    length = min(segment_frames, db.shape[1])
    start = (db.shape[1] - count * length) // 2
    segments = [db[:, start + i * length : start + (i + 1) * length] for i in range(count)]
    mean: FloatArray = np.stack([_describe(segment) for segment in segments]).mean(axis=0).astype(np.float32)
    return mean


def _describe(db: FloatArray) -> FloatArray:
    mfcc = cosines(len(db)) @ db
    delta = np.diff(mfcc, axis=1) if db.shape[1] > 1 else np.zeros_like(mfcc)
    parts = [mfcc.mean(axis=1), _deviation(mfcc), _deviation(delta), db.mean(axis=1), _deviation(db)]
    return np.concatenate(parts)


def _deviation(x: FloatArray) -> FloatArray:
    deviation: FloatArray = np.sqrt(np.maximum(x.var(axis=1), np.float32(_LEAST)))
    return deviation


@functools.lru_cache(maxsize=8)
def cosines(n_mels: int) -> FloatArray:
    """The first 20 rows of the orthonormal discrete cosine transform (type II) of `n_mels` bands: (20, n_mels)."""
    phase = np.pi / n_mels * np.outer(np.arange(N_MFCC), np.arange(n_mels) + 0.5)
    rows: FloatArray = (np.sqrt(2 / n_mels) * np.cos(phase)).astype(np.float32)
    rows[0] /= np.float32(np.sqrt(2))
    return rows


class ToStatistics(nn.Module):
    """Segments (batch, n_mels, frames) in dB to their statistics (batch, 60 + 2 · n_mels), as `mel_statistics`."""

    cosines: torch.Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("cosines", torch.from_numpy(cosines(n_mels)))

    def forward(self, db: torch.Tensor) -> torch.Tensor:
        mfcc = self.cosines @ db
        delta = mfcc[:, :, 1:] - mfcc[:, :, :-1]
        parts = [mfcc.mean(dim=2), self._deviation(mfcc), self._deviation(delta), db.mean(dim=2), self._deviation(db)]
        return torch.cat(parts, dim=1)

    @staticmethod
    def _deviation(x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(dim=2, keepdim=True)
        return (centred * centred).mean(dim=2).clamp_min(_LEAST).sqrt()
