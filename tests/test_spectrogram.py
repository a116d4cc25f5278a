"""The log-mel front end against librosa's and against torchaudio-style settings."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest

from soundkin.errors import InputError
from soundkin.spectrogram import LogMel, centred_frames, log_mel, mel_filters

SPECS = [
    LogMel(sr=22050, n_fft=2048, hop_length=512, n_mels=128),
    LogMel(sr=16000, n_fft=512, hop_length=256, n_mels=96, mel_scale="htk", norm=None, pad_mode="reflect"),
    LogMel(sr=12000, n_fft=512, hop_length=256, n_mels=96, fmin=30.0, fmax=5000.0),
]


def noise(*, sr: int, seconds: float = 1.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(sr * seconds)) / sr
    return (0.1 * rng.standard_normal(len(t)) + 0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.sr}-{spec.mel_scale}")
def test_log_mel_equals_librosa(spec: LogMel) -> None:
    y = noise(sr=spec.sr)
    theirs = librosa.power_to_db(
        librosa.feature.melspectrogram(
            y=y,
            sr=spec.sr,
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            n_mels=spec.n_mels,
            fmin=spec.fmin,
            fmax=spec.fmax,
            htk=spec.mel_scale == "htk",
            norm=spec.norm,
            pad_mode=spec.pad_mode,
        ),
        amin=spec.amin,
        top_db=None,
    )
    ours = log_mel(y, spec)
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=0.01)  # dB


def test_blocks_join_without_a_seam() -> None:
    spec = LogMel(sr=8000, n_fft=256, hop_length=16, n_mels=20)
    y = noise(sr=8000, seconds=3)  # 1,501 frames: more than one block
    part = log_mel(y[: 8000 * 2], spec)
    np.testing.assert_allclose(log_mel(y, spec)[:, 900:990], part[:, 900:990], atol=1e-3)


def test_front_end_of_the_published_taggers() -> None:
    """The 96 HTK mel bands that the published networks carry in their own weights."""
    torch = pytest.importorskip("torch", reason="the published weights are PyTorch files")
    path = Path(__file__).parents[2] / "shared/data/weights/mtat-fcn.pth"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    theirs = torch.load(path, weights_only=True, map_location="cpu")["spec.mel_scale.fb"].numpy()
    ours = mel_filters(LogMel(sr=16000, n_fft=512, hop_length=256, n_mels=96, mel_scale="htk", norm=None))
    np.testing.assert_allclose(ours.T, theirs, atol=2e-5)


@pytest.mark.parametrize("norm", ["slaney", None])
def test_linear_bands_are_even_in_hertz(norm: str | None) -> None:
    spec = LogMel(sr=8000, n_fft=512, hop_length=128, n_mels=63, mel_scale="linear", norm=norm)
    filters = mel_filters(spec)  # 64 steps of 62.5 Hz, four bins each: every triangle has the same seven weights
    triangle = np.array([0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25]) * (1.0 if norm is None else 2 / 125)
    for band, row in enumerate(filters):
        np.testing.assert_allclose(row[4 * band + 1 : 4 * band + 8], triangle, rtol=1e-6)
        assert np.count_nonzero(row) == 7
    hz = 1500.0
    y = np.sin(2 * np.pi * hz * np.arange(8000) / 8000).astype(np.float32)
    assert log_mel(y, spec)[:, 30].argmax() == hz / 62.5 - 1


def test_a_window_longer_than_the_signal_is_padded() -> None:
    assert centred_frames(np.ones(100, np.float32), n_fft=512, hop_length=256, pad_mode="reflect").shape == (1, 512)


@pytest.mark.parametrize(
    "change",
    [{"sr": 0}, {"mel_scale": "bark"}, {"norm": "l2"}, {"fmax": 9000.0}, {"fmin": -1.0}, {"pad_mode": "edge"}],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    settings: dict[str, object] = {"sr": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 96}
    with pytest.raises(InputError):
        LogMel(**{**settings, **change})  # type: ignore[arg-type]


def test_samples_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(InputError, match="one-dimensional"):
        log_mel(np.zeros((2, 100), np.float32), SPECS[0])
