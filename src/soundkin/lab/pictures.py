"""Sound as pictures: S1's grey mel picture, S2's colour spectrogram and wavelet scalogram.

A picture is made of a log-mel segment, so a model file can carry a network for pictures: `ToPicture` and `ToColour` do
in PyTorch, and then in ONNX, what `grey_picture` and `coloured` do in NumPy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.spectrogram import LogMel, log_mel

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

SR = 22050  # Hz
RANGE_DB = 80.0
"""What lies further below the loudest point of a picture is black."""
COLOUR_SIZE = (256, 256)
PUBLISHED_SECONDS = 5.05
"""How much of a clip's beginning the published form needs for its 57 frames and one on either side."""


@dataclass(frozen=True)
class PictureForm:
    """How a grey picture is made: of `frames` frames of the front end `mel`, resized to `height` × `width`."""

    mel: LogMel
    frames: int
    height: int
    width: int
    range_db: float | None = RANGE_DB
    """Decibels from white to black; None: down to the picture's own minimum."""
    lacking: int = 0
    """Bands of the frequency axis that the front end lacks at its lower end, and at its upper end."""
    lead: int = 0
    """Samples of silence put before the clip, where its beginning is meant."""

    @property
    def samples(self) -> int:
        """Fewest samples that give all frames."""
        return (self.frames - 1) * self.mel.hop_length + 1


def mel_form(*, height: int = 219, width: int = 338, seconds: float = 30.0) -> PictureForm:
    """S1 §2.3: a mel band each row, a frame each column, `seconds` in all."""
    return PictureForm(_front_end(height, width, seconds, scale="slaney"), width, height, width)


def linear_form(*, height: int = 256, width: int = 256, seconds: float = 30.0) -> PictureForm:
    """S2 §3: rows evenly spaced in Hz up to 11,025, a frame each column, `seconds` in all."""
    return PictureForm(_front_end(height, width, seconds, scale="linear"), width, height, width)


def published_form(*, height: int = 219, width: int = 338) -> PictureForm:
    """The pictures that circulate with GTZAN: its Kaggle copy, and what S1 trained on.

    Nobody wrote down how they were made. What fits them best: 57 frames of 2,048 samples, 1,920 apart, the first of
    them beginning where the clip begins; every bin of a linear frequency axis; decibels from the picture's own minimum
    to its own maximum; then resized. The front end has a band for every bin but the lowest and the highest.
    """
    n_fft, hop_length = 2048, 1920
    mel = LogMel(SR, n_fft, hop_length, n_fft // 2 - 1, mel_scale="linear", norm=None, amin=1e-13)
    frames = 1 + (5 * SR - n_fft) // hop_length
    lead = hop_length - n_fft // 2  # the front end's second frame then begins where the clip begins
    return PictureForm(mel, frames, height, width, range_db=None, lacking=1, lead=lead)


def _front_end(height: int, width: int, seconds: float, *, scale: str) -> LogMel:
    hop_length = int(seconds * SR / max(width, 1))
    n_fft = 2048
    while n_fft < hop_length and n_fft < 8192:  # or there would be samples that no frame sees
        n_fft *= 2
    if min(height, width) < 2 or hop_length < 1 or height > n_fft // 2 - 1:
        raise ExperimentError(f"no picture of {height} rows and {width} columns can be made of {seconds:g} s of sound")
    return LogMel(SR, n_fft, hop_length, height, mel_scale=scale, norm="slaney" if scale == "slaney" else None)


def picture(y: FloatArray, form: PictureForm) -> ByteArray:
    """The grey picture (height, width) of `y` (n,) float32 at 22,050 Hz; row 0 is the highest frequency.

    Takes frames from the middle of what is too long, and repeats what is too short.
    """
    y = np.pad(y, (form.lead, 0))
    if len(y) < form.samples:
        y = np.resize(y, form.samples)
    db = log_mel(y, form.mel)
    start = (db.shape[1] - form.frames) // 2
    return grey_picture(db[:, start : start + form.frames], form)


def grey_picture(db: FloatArray, form: PictureForm) -> ByteArray:
    """The picture (height, width) of one segment `db` (n_mels, frames) in dB: 255 is its maximum."""
    rows, columns = _resizers(form)
    top = db.max()
    span = form.range_db if form.range_db is not None else max(float(top - db.min()), 1e-3)
    level = np.clip((db - top) / np.float32(span) + 1, 0, 1)
    grey: ByteArray = np.rint(np.float32(255) * (rows @ level @ columns.T)).astype(np.uint8)
    return grey


class ToPicture(nn.Module):
    """Log-mel segments (batch, n_mels, frames) in dB to grey pictures (batch, 1, height, width).

    Float32, but the whole numbers from 0 to 255 that `grey_picture` gives; a pixel in thousands is rounded otherwise.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, form: PictureForm) -> None:
        super().__init__()
        self.range_db = form.range_db
        rows, columns = _resizers(form)
        self.register_buffer("rows", torch.from_numpy(rows))
        self.register_buffer("columns", torch.from_numpy(columns.T.copy()))

    def forward(self, db: torch.Tensor) -> torch.Tensor:
        top = db.amax(dim=(1, 2), keepdim=True)
        if self.range_db is None:
            level = (db - top) / (top - db.amin(dim=(1, 2), keepdim=True)).clamp_min(1e-3) + 1
        else:
            level = ((db - top) / self.range_db + 1).clamp(0, 1)
        return torch.round(255 * (self.rows @ level @ self.columns)).unsqueeze(1)


def coloured(grey: ByteArray, *, size: tuple[int, int] = COLOUR_SIZE) -> ByteArray:
    """`grey` (height, width) resized and in matplotlib's colour map viridis: (*size, 3) uint8."""
    level = resize_matrix(grey.shape[0], size[0]) @ grey.astype(np.float32) @ resize_matrix(grey.shape[1], size[1]).T
    return _dye(level)


class ToColour(nn.Module):
    """Grey pictures (batch, 1, height, width) from 0 to 255 to colour (batch, 3, *size), as `coloured`."""

    rows: torch.Tensor
    columns: torch.Tensor
    table: torch.Tensor

    def __init__(self, height: int, width: int, *, size: tuple[int, int] = COLOUR_SIZE) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(resize_matrix(height, size[0])))
        self.register_buffer("columns", torch.from_numpy(resize_matrix(width, size[1]).T.copy()))
        self.register_buffer("table", torch.from_numpy(colour_table().astype(np.float32)))

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        level = torch.round(self.rows @ grey[:, 0] @ self.columns).long()
        return self.table[level].permute(0, 3, 1, 2)


def _dye(level: FloatArray) -> ByteArray:
    picture: ByteArray = colour_table()[np.rint(level).astype(np.uint8)]
    return picture


@functools.lru_cache(maxsize=1)
def colour_table() -> ByteArray:
    """matplotlib's viridis: (256, 3) uint8."""
    import matplotlib  # here, since only colour needs it

    table: ByteArray = matplotlib.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]
    return np.ascontiguousarray(table)


@functools.lru_cache(maxsize=16)
def resize_matrix(old: int, new: int) -> FloatArray:
    """(new, old) float32: linear interpolation where a picture grows, area means where it shrinks; rows add to 1."""
    if new >= old:
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        weights = np.maximum(0.0, 1.0 - np.abs(place[:, np.newaxis] - np.arange(old)))
    else:
        edges = np.linspace(0, old, new + 1)
        low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
        pixel = np.arange(old)
        weights = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None) * new / old
    return weights.astype(np.float32)


@functools.lru_cache(maxsize=16)
def _resizers(form: PictureForm) -> tuple[FloatArray, FloatArray]:
    """(height, n_mels), which also turns the picture so that the highest band comes first, and (width, frames)."""
    rows = resize_matrix(form.mel.n_mels + 2 * form.lacking, form.height)[:, form.lacking :][:, : form.mel.n_mels]
    return (rows / rows.sum(axis=1, keepdims=True))[::-1].copy(), resize_matrix(form.frames, form.width)


# --- wavelets --------------------------------------------------------------------------------------------------------

WAVELET = "cmor1.5-1.0"
"""PyWavelets' name of the complex Morlet wavelet exp(-t²/1.5) · exp(2πit) / √(1.5π)."""
_BANDWIDTH = 1.5
_OCTAVES = 8
_LEAST_SAMPLES = 64  # a mean is taken over: then it is the integral's, within some hundredths
_LOWEST = 440 * 2 ** (-45 / 12)  # Hz: C1; eight octaves higher is 8,372 Hz


def scalogram(y: FloatArray, *, seconds: float = 30.0, size: tuple[int, int] = COLOUR_SIZE) -> ByteArray:
    """S2's wavelet picture (*size, 3) uint8 of `y` (n,) float32 at 22,050 Hz: eight octaves from C1, highest first.

    Colour is the decibels below the loudest point, 80 at most. Takes the middle of what is too long, and repeats what
    is too short.
    """
    rows, columns = size
    length = columns * int(seconds * SR / columns)
    if length < columns * 8:
        raise ExperimentError(f"no scalogram of {columns} columns can be made of {seconds:g} s of sound")
    start = max(0, len(y) - length) // 2
    y = np.resize(y, length) if len(y) < length else y[start : start + length]
    frequencies = _LOWEST * 2.0 ** (_OCTAVES * np.arange(rows - 1, -1, -1) / rows)
    power = wavelet_power(y, frequencies=frequencies, columns=columns)
    db = 10 * np.log10(np.maximum(power, max(float(power.max()), 1e-20) * 10 ** (-RANGE_DB / 10)))
    level = 1 + (db - db.max()) / RANGE_DB
    return _dye(255 * level)


def wavelet_power(y: FloatArray, *, frequencies: npt.NDArray[np.float64], columns: int) -> FloatArray:
    """Mean power of the wavelet transform of `y` (n,), 22,050 Hz, in `columns` equal pieces: (frequencies, columns).

    The power of `pywt.cwt(y, scales, WAVELET, method="fft")`. This wavelet passes a band and nothing else, so each row
    is the inverse transform of the bins of its band, as few samples as the band is wide; all of them at the full rate
    would take a hundred times as long. `y` is taken for periodic, which shows at the edges only.
    """
    import scipy.fft  # slow to import

    n = len(y)
    spectrum = scipy.fft.rfft(y)
    power = np.empty((len(frequencies), columns), np.float32)
    for row, frequency in zip(power, frequencies, strict=True):
        centre = frequency * n / SR  # in bins
        reach = 3.0 * centre / (np.pi * np.sqrt(2 * _BANDWIDTH))  # three deviations of a Gaussian band
        low, high = max(1, round(centre - reach)), min(len(spectrum), round(centre + reach) + 1)
        band = np.exp(-_BANDWIDTH * np.square(np.pi * (np.arange(low, high) / centre - 1)))
        samples = columns * scipy.fft.next_fast_len(max(_LEAST_SAMPLES, -(-(high - low) // columns)))
        wave = scipy.fft.ifft(spectrum[low:high] * band.astype(np.float32), samples) * np.float32(samples / n)
        row[:] = (np.square(wave.real) + np.square(wave.imag)).reshape(columns, -1).mean(axis=1) * (SR / frequency)
    return power
