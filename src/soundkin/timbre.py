"""Hand-made descriptors of how music sounds, without learned weights: the classical content recommender.

One row of numbers describes one excerpt; a track is the mean of its rows. Four aspects:

- *timbre*: mean and deviation of MFCCs and deviation of their deltas, the texture statistics of Tzanetakis & Cook
  (2002) in place of the single Gaussian of Mandel & Ellis (2005);
- *spectrum*: its shape: centroid, bandwidth, roll-off, flatness (Peeters 2004) and octave contrast (Jiang et al. 2002);
- *harmony*: how chords are built, nearly whatever the key: magnitudes of the Fourier transform of chroma, which a
  transposition would leave alone if chroma were perfect (Amiot 2016), with chroma entropy and flux. Bins are 10.8 Hz
  wide, so semitones below about 360 Hz run into each other, and the tuning is taken to be A = 440 Hz;
- *rhythm*: autocorrelation of the onset strength, and energy of loudness modulations by band, as in the fluctuation
  patterns of Pampalk, Rauber & Merkl (2002).

Every excerpt is brought to the same peak first, so a louder copy of a track has the same description.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

from soundkin.spectrogram import LogMel, centred_frames, hann, mel_filters, power_spectrum, to_db

FloatArray = npt.NDArray[np.float32]

SR = 22050  # Hz
N_FFT = 2048
HOP_LENGTH = 512
MEL = LogMel(sr=SR, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=64, fmin=30.0, fmax=10000.0)
N_MFCC = 20
RANGE_DB = 80.0  # what lies further below the loudest point of an excerpt is inaudible, and only dither and codec
OCTAVES = (0, 200, 400, 800, 1600, 3200, 6400, SR // 2)  # Hz
LAGS = np.geomspace(0.12, 2.4, 24)  # s: from 500 to 25 events a minute
MODULATIONS = (0.25, 0.5, 1, 2, 4, 8, 16)  # Hz
_FPS = SR / HOP_LENGTH
_HALF_STEP = np.sqrt(LAGS[1] / LAGS[0])
_LAG_EDGES = np.round(np.append(LAGS / _HALF_STEP, LAGS[-1] * _HALF_STEP) * _FPS).astype(int)  # frames
_STRIDE = 4  # frames: spectral shape and chroma change slowly


def describe(y: FloatArray) -> FloatArray:
    """Describe one excerpt `y` (n,) float32 at 22,050 Hz, at least 0.1 s and not silent: (DIMENSION,) float32."""
    y = y / np.float32(max(float(np.abs(y).max()), 1e-9))
    if len(y) < 2 * N_FFT:
        frames = centred_frames(y, n_fft=N_FFT, hop_length=HOP_LENGTH)
    else:  # no padding: half a window of silence at both ends of an excerpt would be heard as two onsets
        frames = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::HOP_LENGTH]
    power = power_spectrum(frames)
    mel = to_db(mel_filters(MEL) @ power.T)
    mel = np.maximum(mel, mel.max() - np.float32(RANGE_DB))
    slow = np.maximum(power[::_STRIDE], power.max() * np.float32(10 ** (-RANGE_DB / 10)))
    parts = {
        "timbre": _timbre(mel),
        "spectrum": _spectral_shape(slow),
        "harmony": _harmony(slow),
        "rhythm": _rhythm(mel),
    }
    return np.concatenate([parts[aspect] for aspect in ASPECTS]).astype(np.float32)


def _timbre(mel: FloatArray) -> FloatArray:
    """MFCC mean (20), deviation (20) and deviation of deltas (20) of `mel` (64, t) dB; c0, the level, is left out."""
    mfcc = _cosines() @ mel
    delta = np.diff(mfcc, axis=1)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1), delta.std(axis=1)])


@functools.lru_cache(maxsize=1)
def _cosines() -> FloatArray:
    """Rows 1 to 20 of the orthonormal discrete cosine transform (type II) of 64 bands: (20, 64) float32."""
    phase = np.pi / MEL.n_mels * np.outer(np.arange(1, N_MFCC + 1), np.arange(MEL.n_mels) + 0.5)
    rows: FloatArray = (np.sqrt(2 / MEL.n_mels) * np.cos(phase)).astype(np.float32)
    return rows


def _spectral_shape(power: FloatArray) -> FloatArray:
    """Mean (13) and deviation (13) of the shape of `power` (t, f): all in octaves or dB, so that level cancels."""
    frequency = np.fft.rfftfreq(N_FFT, 1 / SR).astype(np.float32)
    magnitude = np.sqrt(power)
    total = magnitude.sum(axis=1)
    centroid = magnitude @ frequency / total
    bandwidth = np.sqrt(np.maximum(magnitude @ np.square(frequency) / total - np.square(centroid), 1.0))
    energy = np.cumsum(power, axis=1)
    rolloff = [
        frequency[np.argmax(energy >= np.float32(share) * energy[:, -1:], axis=1)] for share in (0.5, 0.85, 0.95)
    ]
    db = to_db(power, amin=1e-30)
    flatness = db.mean(axis=1) - to_db(power.mean(axis=1), amin=1e-30)
    edges = np.searchsorted(frequency, OCTAVES)
    contrast = [_contrast(db[:, low:high]) for low, high in itertools.pairwise(edges)]
    octaves = [np.log2(hz + 20.0) for hz in (centroid, bandwidth, *rolloff)]
    shape = np.stack([*octaves, flatness, *contrast])
    return np.concatenate([shape.mean(axis=1), shape.std(axis=1)])


def _contrast(db: FloatArray) -> FloatArray:
    """Mean of the strongest minus the weakest tenth of the bins of one octave, `db` (t, bins): (t,) dB."""
    k = max(1, db.shape[1] // 10)
    ordered = np.partition(db, (k - 1, db.shape[1] - k), axis=1)
    contrast: FloatArray = ordered[:, -k:].mean(axis=1) - ordered[:, :k].mean(axis=1)
    return contrast


def _harmony(power: FloatArray) -> FloatArray:
    """Chord shape of `power` (t, f): mean and deviation of |DFT₁…₆| of chroma (12), entropy and flux (4)."""
    chroma = np.sqrt(power) @ _chroma_filters().T
    chroma /= np.linalg.norm(chroma, axis=1, keepdims=True)
    shape = np.abs(np.fft.fft(chroma, axis=1)[:, 1:7])
    share = chroma / chroma.sum(axis=1, keepdims=True)
    entropy = -(share * np.log2(share + 1e-12)).sum(axis=1)
    flux = np.abs(np.diff(chroma, axis=0)).sum(axis=1) if len(chroma) > 1 else np.zeros(1)
    return np.concatenate(
        [shape.mean(axis=0), shape.std(axis=0), [entropy.mean(), entropy.std(), flux.mean(), flux.std()]]
    )


@functools.lru_cache(maxsize=1)
def _chroma_filters() -> FloatArray:
    """(12, f) float32: each bin from 100 to 2,500 Hz shared among the pitch classes near it (A = 440 Hz)."""
    frequency = np.fft.rfftfreq(N_FFT, 1 / SR)
    heard = (frequency > 100) & (frequency < 2500)
    pitch = 12 * np.log2(np.where(heard, frequency, 440.0) / 440.0)
    distance = (pitch - np.arange(12)[:, None] + 6) % 12 - 6  # semitones
    return (np.exp(-0.5 * np.square(distance / 0.4)) * heard).astype(np.float32)


def _rhythm(mel: FloatArray) -> FloatArray:
    """Rhythm of `mel` (64, t) dB: onset autocorrelation (24 + 4), onset statistics (4), modulation energy (48)."""
    onset = np.maximum(0, np.diff(mel, axis=1)).mean(axis=0) if mel.shape[1] > 1 else np.zeros(2, np.float32)
    centred = onset - onset.mean()
    n = 1 << (2 * len(onset) - 1).bit_length()
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(centred, n))), n)[: len(onset)]
    correlation /= max(float(correlation[0]), 1e-9)
    # The peak of a sharp pulse is narrower than the gap between two lags, so the highest point of each gap is taken.
    edges = np.minimum(_LAG_EDGES, len(correlation) - 1)
    at_lags = np.array([correlation[low : max(high, low + 1)].max() for low, high in itertools.pairwise(edges)])
    ordered = np.sort(at_lags)
    # how strong the pulse is, how much of it a second level shares (a beat and its multiples), and how slow it is
    pulse = [ordered[-1], ordered[-4], ordered[len(ordered) // 2], np.log2(LAGS[int(np.argmax(at_lags))])]
    above = onset > onset.mean() + onset.std()
    peakiness = np.cbrt(np.mean(np.power(np.abs(centred), 3)))  # deviation that few, strong onsets raise
    statistics = [onset.mean(), onset.std(), peakiness, above.mean()]
    return np.concatenate([at_lags, pulse, statistics, _modulation(mel)])


def _modulation(mel: FloatArray) -> FloatArray:
    """Log energy of loudness changes in 8 bands x 6 modulation octaves (0.25 to 16 Hz) of `mel` (64, t) dB: (48,)."""
    bands = mel.reshape(8, -1, mel.shape[1]).mean(axis=1)
    bands = (bands - bands.mean(axis=1, keepdims=True)) * hann(bands.shape[1])
    energy = np.square(np.abs(np.fft.rfft(bands, axis=1))) / bands.shape[1]
    frequency = np.fft.rfftfreq(bands.shape[1], 1 / _FPS)
    edges = np.searchsorted(frequency, MODULATIONS)
    mean = [
        energy[:, low:high].mean(axis=1) if high > low else np.zeros(len(bands))
        for low, high in itertools.pairwise(edges)
    ]
    return np.log10(np.stack(mean, axis=1) + 1e-3).ravel()


_TIMBRE_WEIGHTS = np.repeat([1.4, 0.7, 0.7], N_MFCC)
_RHYTHM_WEIGHTS = np.repeat([0.6, 1.5, 2.0, 1.0], [len(LAGS), 4, 4, 48])
_SIZES = {"timbre": 3 * N_MFCC, "spectrum": 26, "harmony": 16, "rhythm": len(LAGS) + 8 + 48}


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


ASPECTS: dict[str, slice] = _slices(_SIZES)
"""The part of a description that belongs to each aspect."""
DIMENSION = sum(_SIZES.values())


def weights() -> FloatArray:
    """(DIMENSION,) float32: how much each standardised number counts.

    Each number of an aspect is divided by the root of the aspect's size, or the long ones would drown the short. The
    factors were chosen for same-album precision on the tuning albums of `benchmarks/precision.py`, not on those that
    it reports.
    """
    within: dict[str, npt.NDArray[np.float64]] = {
        "timbre": 1.2 * _TIMBRE_WEIGHTS,
        "spectrum": np.full(_SIZES["spectrum"], 1.2),
        "harmony": np.full(_SIZES["harmony"], 0.7),
        "rhythm": _RHYTHM_WEIGHTS,
    }
    parts = [within[name] / np.sqrt(size) for name, size in _SIZES.items()]
    return np.concatenate(parts).astype(np.float32)
