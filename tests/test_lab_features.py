"""The feature table and the frame sequence against plain librosa, and the fast median against SciPy's."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.ndimage

from sound import music, noise
from soundkin.errors import InputError
from soundkin.lab.features import (
    COLUMNS,
    SEQUENCE_COLUMNS,
    SR,
    feature_table,
    frame_sequence,
    running_median,
    separate,
    tempo,
)


def plain_table(y: np.ndarray) -> np.ndarray:
    """The same row by librosa alone, every descriptor from the samples with its defaults."""
    harmonic, percussive = librosa.effects.hpss(y)
    described = [
        librosa.feature.chroma_stft(y=y, sr=SR),
        librosa.feature.rms(y=y),
        librosa.feature.spectral_centroid(y=y, sr=SR),
        librosa.feature.spectral_bandwidth(y=y, sr=SR),
        librosa.feature.spectral_rolloff(y=y, sr=SR),
        librosa.feature.zero_crossing_rate(y),
        harmonic,
        percussive,
    ]
    row = [number for values in described for number in (np.mean(values), np.var(values))]
    row.append(float(np.atleast_1d(librosa.beat.beat_track(y=y, sr=SR)[0])[0]))
    for values in librosa.feature.mfcc(y=y, sr=SR):
        row += [np.mean(values), np.var(values)]
    return np.array(row, float)


def with_gaps(y: np.ndarray) -> np.ndarray:
    """Stretches of digital zero, which have neither pitch nor centroid."""
    y = y.copy()
    y[: SR // 2] = y[2 * SR : 3 * SR] = 0
    return y


SOUNDS = {
    "music": music(6) + noise(6, level=0.002),
    "noise": noise(4, level=0.3),
    "gaps": with_gaps(music(5, seed=3)),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_the_table_equals_plain_librosa(name: str) -> None:
    y = SOUNDS[name]
    ours, theirs = feature_table(y), plain_table(y)
    assert ours.shape == (57,) and ours.dtype == np.float64
    # the mean of a signal around zero is nearly zero: it is compared with the signal, not with itself
    scale = dict.fromkeys(("harmony_mean", "perceptr_mean"), float(np.abs(y).mean()))
    for column, a, b in zip(COLUMNS, ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6 * scale.get(column, 0.0) + 1e-9), column


def test_the_columns_are_those_of_the_published_table() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 57
    path = Path(os.environ.get("SOUNDKIN_SHARED", Path(__file__).parents[2] / "shared"))
    path = path / "data/gtzan/features_30_sec.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(encoding="utf-8") as file:
        head = next(csv.reader(file))
    published = [name for name in head if name not in ("filename", "length", "label")]
    assert [name for name in COLUMNS if name in published] == published  # this copy lacks the percussive part


@pytest.mark.parametrize("shape", [(1, 3), (15, 5), (16, 200), (33, 1), (100, 129)])
def test_the_running_median_equals_scipy(shape: tuple[int, int]) -> None:
    x = np.abs(np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    x[x < 0.2] = 0  # ties
    expected = scipy.ndimage.median_filter(x, size=(31, 1), mode="reflect")
    np.testing.assert_array_equal(running_median(x), expected)
    np.testing.assert_array_equal(running_median(np.asfortranarray(x)), expected)


def test_the_separation_equals_librosa() -> None:
    y = SOUNDS["gaps"]
    stft = librosa.stft(y)
    ours = separate(y, stft, np.abs(stft))
    for part, theirs in zip(ours, librosa.effects.hpss(y), strict=True):
        np.testing.assert_allclose(part, theirs, atol=2e-6)
    np.testing.assert_allclose(ours[0] + ours[1], y, atol=1e-6)


def test_what_is_neither_harmonic_nor_percussive_is_shared() -> None:
    """A lone bin, which both medians overlook."""
    stft = np.zeros((1025, 40), np.complex64)
    stft[300, 20] = 50
    y = librosa.istft(stft)
    harmonic, percussive = separate(y, stft, np.abs(stft))
    np.testing.assert_allclose(harmonic, y / 2, atol=1e-7)
    np.testing.assert_allclose(percussive, y / 2, atol=1e-7)
    np.testing.assert_allclose(harmonic, librosa.istft(librosa.decompose.hpss(stft)[0]), atol=1e-7)


def test_tempo_of_a_pulse_and_of_silence() -> None:
    pulse = np.zeros(10 * SR, np.float32)
    pulse[:: SR // 2] = 1.0  # two a second
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=pulse, sr=SR))
    assert tempo(mel) == pytest.approx(120, rel=0.03)
    assert tempo(np.full((128, 100), -80.0, np.float32)) == 0


def test_the_sequence_holds_librosas_frames() -> None:
    y = music(31)
    sequence = frame_sequence(y)
    assert sequence.shape == (1291, 27) == (1291, len(SEQUENCE_COLUMNS)) and sequence.dtype == np.float32
    y = y[: 30 * SR]
    theirs = np.concatenate(
        [
            librosa.feature.mfcc(y=y, sr=SR, n_mfcc=13),
            librosa.feature.spectral_centroid(y=y, sr=SR),
            librosa.feature.chroma_stft(y=y, sr=SR),
            librosa.feature.spectral_rolloff(y=y, sr=SR),
        ]
    )
    np.testing.assert_allclose(sequence, theirs.T[:1291], rtol=1e-4, atol=1e-3)


def test_a_short_clip_is_repeated() -> None:
    frames = frame_sequence(music(2))
    period = 2 * SR / 512  # 86.13: after eight seconds the frames nearly meet again
    np.testing.assert_allclose(
        frames[10:60, 13], frames[10 + round(8 * period) : 60 + round(8 * period), 13], rtol=0.05
    )
    assert (frames[:, 13] > 0).all()


def test_a_clip_without_pitch_warns_of_nothing() -> None:
    assert np.isfinite(feature_table(np.full(SR, 0.1, np.float32))).all()


@pytest.mark.parametrize("y", [np.zeros(2047, np.float32), np.zeros((2, 4096), np.float32)])
def test_samples_that_make_no_window_are_refused(y: np.ndarray) -> None:
    for function in (feature_table, frame_sequence):
        with pytest.raises(InputError, match="at least 2048"):
            function(y)
