"""Figures of single clips: mel-spectrograms side by side, and a waveform over its spectrogram and wavelet scalogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.audio import decode
from soundkin.excerpts import ExcerptPlan
from soundkin.lab import pages
from soundkin.spectrogram import LogMel, centred_frames, log_mel, power_spectrum, to_db

FloatArray = npt.NDArray[np.float32]

MEL = LogMel(sr=22050, n_fft=2048, hop_length=512, n_mels=128)
SHOWN = 30.0
"""Seconds of a clip that its mel-spectrogram shows: its middle."""
CLOSE = 10.0
"""Seconds that waveform, spectrogram and scalogram show: short enough to see single notes."""
RANGE = 80.0
"""dB below the loudest point at which a picture is black."""

_SOUND = "magma"  # rises in lightness all the way, so that it reads without colour too
_NOTES = 12  # wavelets an octave
_WAVELETS = 60.0  # dB below the loudest at which the scalogram is black


@dataclass(frozen=True)
class Picture:
    """One clip as a grid shows it: `image` (height, width), row 0 at the bottom if `is_mel`, else at the top."""

    name: str
    image: npt.NDArray[Any]
    is_mel: bool
    """True: dB below the loudest point, a mel band a row; False: a picture of grey levels 0 to 255."""


def hear(path: Path, *, seconds: float = SHOWN) -> FloatArray:
    """The middle of an audio file: (n,) float32, mono, at `MEL.sr`. Raises AudioError."""
    _, heard = decode(path, sr=MEL.sr, excerpts=ExcerptPlan(1, seconds))
    return np.concatenate([np.zeros(0, np.float32), *(excerpt.y for excerpt in heard)])


def mel_picture(name: str, y: FloatArray) -> Picture:
    """Mel-spectrogram of `y` (n,) at `MEL.sr`, (128, 1 + n // 512) dB, the loudest point at 0."""
    return Picture(name, _below_loudest(log_mel(y, MEL)), True)


def _below_loudest(db: FloatArray) -> FloatArray:
    relative: FloatArray = np.maximum(db - db.max(), np.float32(-RANGE))
    return relative


def grid(rows: Sequence[tuple[str, Sequence[Picture]]], *, across: int = 3) -> Any:
    """Pictures of each class in a row of `across`, the class at its left."""
    figure = pages.new_figure(2.9 * across + 0.9, 1.25 * len(rows) + 0.5)
    axes = figure.subplots(len(rows), across, squeeze=False)
    drawn = None
    is_mel = any(picture.is_mel for _, pictures in rows for picture in pictures)
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for i, one in enumerate(line):
            one.set_xticks([])
            one.set_yticks([])
            one.spines[:].set_visible(False)
            if i == 0:
                one.set_ylabel(pages.label(name, width=16), fontweight="bold", fontsize=9)
            if i < len(pictures):
                drawn = _show(one, pictures[i])
        if is_mel:
            _mel_ticks(line[0], every=2)
    if drawn is not None and is_mel:
        figure.colorbar(drawn, ax=axes, label="dB from the loudest", aspect=12 * len(rows), pad=0.01, fraction=0.03)
    return figure


def _show(axes: Any, picture: Picture) -> Any:
    axes.set_title(pages.label(picture.name, width=36), fontsize=7, fontweight="normal", pad=2)
    if picture.is_mel:
        return axes.imshow(
            picture.image, origin="lower", aspect="auto", cmap=_SOUND, vmin=-RANGE, vmax=0, interpolation="antialiased"
        )
    return axes.imshow(picture.image, aspect="auto", cmap=_SOUND if picture.image.ndim == 2 else None, vmin=0, vmax=255)


def _mel_ticks(axes: Any, *, every: int = 1) -> None:
    import librosa

    centres = librosa.mel_frequencies(n_mels=MEL.n_mels + 2, fmin=MEL.fmin, fmax=MEL.highest)[1:-1]
    ticks = np.array([125, 500, 1000, 2000, 4000, 8000][::every])
    names = [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in ticks]
    axes.set_yticks(np.interp(ticks, centres, np.arange(MEL.n_mels)), names, fontsize=6)


def close_up(y: FloatArray) -> Any:
    """Waveform, spectrogram and wavelet scalogram of `y` (n,) at `MEL.sr`, on one time axis."""
    figure = pages.new_figure(9, 8)
    wave, spectrum, wavelets = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    seconds = len(y) / MEL.sr
    low, high = envelope(y, 1500)
    wave.fill_between(np.linspace(0, seconds, len(low)), low, high, color=pages.LEAD, linewidth=0.3)
    wave.set(title="Waveform", ylabel="sample value", xlim=(0, seconds))
    db = _below_loudest(to_db(power_spectrum(centred_frames(y, n_fft=MEL.n_fft, hop_length=MEL.hop_length)).T))
    drawn = spectrum.imshow(
        db, origin="lower", aspect="auto", cmap=_SOUND, vmin=-RANGE, vmax=0, extent=(0, seconds, 0, MEL.sr / 2000)
    )
    spectrum.set(title=f"Spectrogram (FFT of {MEL.n_fft} samples)", ylabel="kHz")
    levels, frequencies = scalogram(y)
    times = (np.arange(levels.shape[1]) + 0.5) * seconds / levels.shape[1]
    drawn = wavelets.pcolormesh(times, frequencies, levels, cmap=_SOUND, vmin=-_WAVELETS, vmax=0, rasterized=True)
    wavelets.set(title="Scalogram (complex Morlet wavelets)", ylabel="Hz", xlabel="s", yscale="log")
    wavelets.set_yticks([100, 200, 500, 1000, 2000, 5000], ["100", "200", "500", "1000", "2000", "5000"])
    wavelets.minorticks_off()
    figure.colorbar(spectrum.images[0], ax=spectrum, label="dB from the loudest", pad=0.01)
    figure.colorbar(drawn, ax=wavelets, label="dB from the loudest", pad=0.01)
    return figure


def envelope(y: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Least and largest sample of each of at most `n` equal parts of `y`."""
    parts = np.array_split(y, min(n, len(y)))
    return np.array([part.min() for part in parts]), np.array([part.max() for part in parts])


def scalogram(y: FloatArray, *, width: int = 800) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """Wavelet levels of `y` (n,) at `MEL.sr`: dB below the loudest (bands, <= width) float32, and the bands' Hz.

    Continuous transform with complex Morlet wavelets (Torrence and Compo 1998), twelve an octave from 60 Hz to 8 kHz,
    power averaged over each column; tones that are as strong have the same level at every pitch.
    """
    import pywt

    wavelet = "cmor1.5-1.0"
    octaves = np.log2(8000 / 60)
    frequencies = 60 * 2 ** (np.arange(int(octaves * _NOTES) + 1) / _NOTES)
    scales = pywt.frequency2scale(wavelet, frequencies / MEL.sr)
    edges = np.linspace(0, len(y), min(width, len(y)) + 1).astype(int)[:-1]
    widths = np.diff(np.append(edges, len(y)))
    power = np.empty((len(scales), len(edges)))
    for i, scale in enumerate(scales):  # one at a time: together they would fill the memory
        coefficients, _ = pywt.cwt(y, [scale], wavelet, method="fft")
        power[i] = np.add.reduceat(np.abs(coefficients[0]) ** 2, edges) / (widths * scale)
    return _below_loudest(to_db(power.astype(np.float32))), frequencies
