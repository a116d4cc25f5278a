"""Hand-made features with librosa: the table of 57 numbers a clip that S1 and S2 work on, and S3's sequence of frames.

Equal to what librosa (McFee et al. 2015) gives with its defaults, at a quarter of its price. Of the 1.4 s that plain
librosa takes for 30 s of audio, 1.1 s go into the two median filters of the harmonic-percussive separation; these are
computed here another way (`running_median`), and one Fourier transform serves all descriptors instead of nine.
`benchmarks/feature_table.py` shows both, and where the time goes.
"""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import numpy.typing as npt

from soundkin.errors import InputError

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

SR = 22050  # Hz
N_FFT = 2048
HOP_LENGTH = 512
N_MFCC = 20
COLUMNS: tuple[str, ...] = (
    *(
        f"{name}_{statistic}"
        for name in (
            "chroma_stft",
            "rms",
            "spectral_centroid",
            "spectral_bandwidth",
            "rolloff",
            "zero_crossing_rate",
            "harmony",
            "perceptr",  # the percussive part; so spelt in the published tables
        )
        for statistic in ("mean", "var")
    ),
    "tempo",
    *(f"mfcc{i}_{statistic}" for i in range(1, N_MFCC + 1) for statistic in ("mean", "var")),
)
"""Names of `feature_table`, in the order of GTZAN's published table."""

STEPS = 1291
"""Frames of a sequence: S3 counts 30 s · 22,050 Hz / 512, without the frame that begins where the clip ends."""
SEQUENCE_SECONDS = 30.0
SEQUENCE_COLUMNS: tuple[str, ...] = (
    *(f"mfcc{i}" for i in range(1, 14)),
    "spectral_centroid",
    *(f"chroma{i}" for i in range(1, 13)),
    "rolloff",
)

_HALF = 15  # bins or frames on either side in the median filters of the separation: librosa's kernel of 31
_BLOCK = 128  # columns filtered at a time, so that they stay in the processor's cache


def feature_table(y: FloatArray) -> DoubleArray:
    """The row (57,) float64 of one clip `y` (n,) float32 at 22,050 Hz, named by `COLUMNS`.

    Mean and variance over frames (window 2048, hop 512) of chroma, root mean square, spectral centroid, bandwidth and
    85 % roll-off (Hz), zero crossing rate and 20 MFCC; over samples of the harmonic and the percussive part;
    and the tempo in beats a minute, as `librosa.beat.beat_track` gives it. Raises InputError for
    fewer samples than one window has.
    """
    stft = _stft(y)
    magnitude = np.abs(stft)
    power = np.square(magnitude)
    mel = _mel_db(power)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=SR)
    harmonic, percussive = separate(y, stft, magnitude)
    described = [
        _chroma(power),
        librosa.feature.rms(y=y),
        centroid,
        librosa.feature.spectral_bandwidth(S=magnitude, sr=SR, centroid=centroid),
        librosa.feature.spectral_rolloff(S=magnitude, sr=SR),
        librosa.feature.zero_crossing_rate(y),
        harmonic,
        percussive,
    ]
    row = [number for values in described for number in _mean_and_variance(values)]
    row.append(tempo(mel))
    row += [number for values in librosa.feature.mfcc(S=mel, n_mfcc=N_MFCC) for number in _mean_and_variance(values)]
    return np.array(row, np.float64)


def frame_sequence(y: FloatArray) -> FloatArray:
    """S3's sequence (1291, 27) float32 of one clip `y` (n,) float32 at 22,050 Hz, named by `SEQUENCE_COLUMNS`.

    A clip longer than 30 s is cut, a shorter one repeated: silence would be heard as part of the music. Units are
    librosa's (MFCC of dB, Hz, chroma from 0 to 1); scaling is left to the estimator. Raises InputError for fewer
    samples than one window has.
    """
    length = round(SEQUENCE_SECONDS * SR)
    if len(y) >= N_FFT:
        y = np.resize(y, length)
    magnitude = np.abs(_stft(y))
    power = np.square(magnitude)
    rows = [
        librosa.feature.mfcc(S=_mel_db(power), n_mfcc=13),
        librosa.feature.spectral_centroid(S=magnitude, sr=SR),
        _chroma(power),
        librosa.feature.spectral_rolloff(S=magnitude, sr=SR),
    ]
    return np.concatenate(rows).T[:STEPS].astype(np.float32)


def tempo(mel: FloatArray) -> float:
    """Beats a minute from a mel spectrogram (n_mels, frames) in dB, as `librosa.beat.beat_track` estimates them.

    0 where nothing begins. The beats themselves, which take as long again, are not tracked.
    """
    onset = librosa.onset.onset_strength(S=mel, sr=SR, aggregate=np.median)
    if not onset.any():
        return 0.0
    return float(librosa.feature.tempo(onset_envelope=onset, sr=SR, hop_length=HOP_LENGTH)[0])


def separate(y: FloatArray, stft: npt.NDArray[np.complex64], magnitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Harmonic and percussive part (n,) of `y` (n,), whose transform is `stft` (1025, frames).

    Equal to `librosa.effects.hpss(y)` (Fitzgerald 2010). The two masks add to 1 and the transform can be undone, so
    the percussive part is what the harmonic one leaves.
    """
    harmonic = running_median(magnitude.T).T
    percussive = running_median(magnitude)
    larger = np.maximum(harmonic, percussive)
    nothing = larger < np.finfo(np.float32).tiny
    larger[nothing] = 1.0
    harmonic = np.square(harmonic / larger)
    mask = harmonic + np.square(percussive / larger)
    mask[nothing] = 1.0
    np.divide(harmonic, mask, out=mask)
    mask[nothing] = 0.5
    part: FloatArray = librosa.istft(stft * mask, length=len(y))
    return part, y - part


def running_median(x: FloatArray) -> FloatArray:
    """Median of the 31 rows around each row of `x` (n, m) float32: (n, m), the edges reflected.

    Equal to `scipy.ndimage.median_filter(x, size=(31, 1), mode="reflect")`, some twenty times as fast. Sixteen
    neighbouring windows have sixteen rows in common. These are sorted once; each half of the windows then adds the
    eight rows that it has in common beyond them, each quarter four more, and so on. Whenever a value is added to as
    many candidates as values are still to come, plus one, the lowest and the highest cannot be the median any more and
    are dropped, so a window is down to its median when its last row is added. Nothing but minima and maxima of whole
    rows is needed, at which processors of every kind are fast.
    """
    n, m = x.shape
    share = _HALF + 1
    groups = -(-n // share)
    padded = np.pad(x, ((_HALF, _HALF + groups * share - n), (0, 0)), mode="symmetric")
    median = np.empty((groups, share, m), x.dtype)
    for begin in range(0, m, _BLOCK):
        rows = np.ascontiguousarray(padded[:, begin : begin + _BLOCK])
        common = np.stack([_every(rows, first, groups) for first in range(share - 1, 2 * share - 1)])
        common.sort(axis=0)
        _narrow(common, rows, 0, median[:, :, begin : begin + _BLOCK])
    return median.reshape(-1, m)[:n]


def _every(rows: FloatArray, first: int, groups: int) -> FloatArray:
    """Row `first` as each group of windows counts: (groups, columns), a view."""
    return rows[first :: _HALF + 1][:groups]


def _narrow(candidates: FloatArray, rows: FloatArray, first: int, median: FloatArray) -> None:
    """Fill `median` (groups, windows, columns) for the windows from `first` on of each group.

    `candidates` (windows, groups, columns), sorted, are what the rows that these windows share leave in question.
    """
    groups, windows = median.shape[:2]
    if windows == 1:
        median[:, 0] = candidates[0]
        return
    half = windows // 2
    # what the first half has in common beyond that lies before the common rows, and for the second half behind them
    for part, more in ((0, first + half - 1), (half, first + 2 * _HALF + 1)):
        kept = candidates
        for row in range(more, more + half):
            kept = np.maximum(kept[:-1], np.minimum(kept[1:], _every(rows, row, groups)))
        _narrow(kept, rows, first + part, median[:, part : part + half])


def _stft(y: FloatArray) -> npt.NDArray[np.complex64]:
    if y.ndim != 1 or len(y) < N_FFT:
        raise InputError(f"features need one dimension of at least {N_FFT} samples, not an array of shape {y.shape}")
    stft: npt.NDArray[np.complex64] = librosa.stft(y, n_fft=N_FFT, hop_length=HOP_LENGTH)
    return stft


def _mel_db(power: FloatArray) -> FloatArray:
    mel: FloatArray = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=SR, n_fft=N_FFT))
    return mel


def _chroma(power: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Trying to estimate tuning")  # a clip without any pitch; 0 is right
        chroma: FloatArray = librosa.feature.chroma_stft(S=power, sr=SR)
    return chroma


def _mean_and_variance(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    return float(values.mean(dtype=np.float64)), float(values.var(dtype=np.float64))
