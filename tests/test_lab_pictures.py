"""Pictures of sound: where tones land, what the published pictures are, and PyTorch's answer beside NumPy's."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import pywt
import torch
from torch import nn

from sound import music, noise, sine
from soundkin.audio import decode
from soundkin.errors import ExperimentError
from soundkin.excerpts import ExcerptPlan
from soundkin.lab.networks.to_onnx import to_onnx
from soundkin.lab.pictures import (
    PUBLISHED_SECONDS,
    SR,
    WAVELET,
    ToColour,
    ToPicture,
    colour_table,
    coloured,
    grey_picture,
    linear_form,
    mel_form,
    picture,
    published_form,
    resize_matrix,
    scalogram,
    wavelet_power,
)

FORMS = {"mel": mel_form(), "linear": linear_form(), "published": published_form()}


def segment(name: str, seed: int = 0) -> np.ndarray:
    """Something like a log-mel segment of the form, in dB."""
    form = FORMS[name]
    rng = np.random.default_rng(seed)
    return (20 * rng.standard_normal((form.mel.n_mels, form.frames)) - 30).astype(np.float32)


@pytest.mark.parametrize("name", FORMS)
def test_a_tone_is_a_line_at_its_height(name: str) -> None:
    form = FORMS[name]
    rows = []
    for hz in (500.0, 2000.0, 8000.0):
        x = picture(sine(5.2, hz=hz), form)
        assert x.shape == (form.height, form.width) and x.dtype == np.uint8
        assert x.max() == 255 or name == "published"  # there a row is the mean of several bins
        columns = x[:, 20:-20]  # of a repeated clip the joint is a click
        rows.append(int(np.median(columns.argmax(axis=0))))
        if name != "mel":
            assert rows[-1] == pytest.approx(form.height * (1 - hz / 11025), abs=2)
    assert rows[0] > rows[1] > rows[2]  # row 0 is the highest frequency


@pytest.mark.parametrize("name", FORMS)
def test_a_quieter_copy_has_the_same_picture(name: str) -> None:
    y = music(31) + noise(31, level=0.01)
    loud, quiet = picture(y, FORMS[name]), picture(np.float32(0.05) * y, FORMS[name])
    assert np.abs(loud.astype(int) - quiet).max() <= 1


def test_what_lies_80_db_below_the_top_is_black() -> None:
    db = np.array([[0.0, -40.0], [-80.0, -120.0]], np.float32)
    form = mel_form(height=2, width=2, seconds=1)
    np.testing.assert_array_equal(grey_picture(db, form), [[0, 0], [255, 128]])  # the last band comes first


def test_a_short_clip_is_repeated_and_a_long_one_cut() -> None:
    form = mel_form()
    y = music(31)
    whole = picture(y[: 30 * SR], form).astype(int)  # has one frame to spare, the last
    # of exactly enough samples, the last frame is half empty
    np.testing.assert_allclose(picture(y[: form.samples], form)[:, :-1], whole[:, :-1], atol=1)
    short = picture(y[: 10 * SR], form).astype(int)
    np.testing.assert_allclose(short[:, 2:110].mean(axis=1), short[:, 115:223].mean(axis=1), atol=5)
    assert (short.max(axis=0) > 0).all()


def test_the_published_form_is_matplotlibs_specgram_of_the_beginning() -> None:
    """57 windows from the very beginning, dB from minimum to maximum, resized: written out once more."""
    y = music(6, seed=2) + noise(6, level=0.001)
    frames = np.lib.stride_tricks.sliding_window_view(y, 2048)[: 56 * 1920 + 1 : 1920].astype(float)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    db = 20 * np.log10(np.abs(np.fft.rfft(frames * window))).T  # (1025, 57)
    db = db[1:-1]
    level = 255 * (db - db.min()) / (db.max() - db.min())
    edges = np.linspace(0, 1025, 220)
    bins = np.arange(1, 1024)
    shares = [np.clip(np.minimum(b, bins + 1) - np.maximum(a, bins), 0, 1) for a, b in itertools.pairwise(edges)]
    rows = [np.average(level, axis=0, weights=share) for share in shares]
    place = np.clip((np.arange(338) + 0.5) * 57 / 338 - 0.5, 0, 56)
    expected = np.array([np.interp(place, np.arange(57), row) for row in rows])[::-1]
    ours = picture(y[: round(PUBLISHED_SECONDS * SR)], published_form())
    np.testing.assert_allclose(ours, expected, atol=1.5)


def test_the_published_form_matches_the_published_pictures() -> None:
    """The picture of five clips of at least 5 s beside the one that circulates: correlation."""
    shared = Path(os.environ.get("SOUNDKIN_SHARED", Path(__file__).parents[2] / "shared")) / "data/gtzan"
    clips = [f"{genre}.00000" for genre in ("blues", "classical", "metal", "pop", "reggae")]
    paths = [shared / "audio" / f"{clip}.flac" for clip in clips]
    if not (shared / "spectrograms.npz").exists():
        pytest.skip(f"{shared} is not there")
    with np.load(shared / "spectrograms.npz", allow_pickle=False) as file:
        published = dict(zip(file["clip"].tolist(), file["images"], strict=True))
    seen = 0
    for clip, path in zip(clips, paths, strict=True):
        if not path.exists():
            continue
        info, (excerpt, *_) = decode(path, sr=SR, excerpts=ExcerptPlan(1, 600))
        if info.duration < 5.1:
            continue
        ours = picture(excerpt.y[: round(PUBLISHED_SECONDS * SR)], published_form())
        assert np.corrcoef(ours.ravel(), published[clip].ravel())[0, 1] > 0.97, clip
        seen += 1
    if not seen:
        pytest.skip("none of these clips is long enough")


@pytest.mark.parametrize(("old", "new"), [(5, 5), (5, 13), (57, 338), (13, 5), (1025, 219)])
def test_resizing_keeps_a_plain_and_a_slope(old: int, new: int) -> None:
    weights = resize_matrix(old, new)
    assert weights.shape == (new, old) and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    slope = weights @ np.arange(old) * new / old
    middle = slice(new // 4, -(new // 4))
    np.testing.assert_allclose(np.diff(slope)[middle], 1, rtol=0.02)
    if old == new:
        np.testing.assert_array_equal(weights, np.eye(old))


def test_colour() -> None:
    table = colour_table()
    assert table.shape == (256, 3)
    np.testing.assert_array_equal(table[[0, 255]], [[68, 1, 84], [253, 231, 36]])  # viridis
    grey = np.tile(np.arange(0, 256, 8, np.uint8), (10, 1))
    x = coloured(grey, size=(10, 32))
    np.testing.assert_array_equal(x, table[grey])
    assert coloured(np.zeros((219, 338), np.uint8)).shape == (256, 256, 3)


@pytest.mark.parametrize("name", FORMS)
def test_torch_makes_the_same_pictures(name: str) -> None:
    form = FORMS[name]
    batch = np.stack([segment(name, seed) for seed in range(2)])
    expected = np.stack([grey_picture(db, form) for db in batch])
    ours = ToPicture(form)(torch.from_numpy(batch)).numpy()
    assert ours.shape == (2, 1, form.height, form.width) and ours.dtype == np.float32
    difference = np.abs(ours[:, 0] - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
    colour = ToColour(form.height, form.width)(torch.from_numpy(expected[:, None].astype(np.float32))).numpy()
    theirs = np.stack([coloured(grey) for grey in expected]).transpose(0, 3, 1, 2)
    assert colour.shape == (2, 3, 256, 256)
    assert (np.abs(colour - theirs) > 0).mean() < 1e-3


def test_pictures_fit_in_a_model_file() -> None:
    form = FORMS["published"]  # the one with every step: its own minimum, missing bands, both ways of resizing
    module = nn.Sequential(ToPicture(form), ToColour(form.height, form.width))
    content = to_onnx(module, (form.mel.n_mels, form.frames), input_name="mel", output_names=["x"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        batch = np.stack([segment("published", seed) for seed in range(count)])
        (answer,) = session.run(None, {"mel": batch})
        expected = module(torch.from_numpy(batch)).numpy()
        assert answer.shape == expected.shape
        assert (np.abs(answer - expected) > 0).mean() < 1e-3


FREQUENCIES = np.array([8000.0, 2000.0, 500.0, 125.0])


def test_wavelet_power_equals_the_convolution() -> None:
    y = noise(4)[: 64 * 1344]
    power = wavelet_power(y, frequencies=FREQUENCIES, columns=64)
    for row, hz in zip(power, FREQUENCIES, strict=True):
        scale = SR / hz
        t = np.arange(-int(5 * scale), int(5 * scale) + 1) / scale
        wavelet = np.exp(-(t**2) / 1.5 + 2j * np.pi * t) / np.sqrt(1.5 * np.pi * scale)
        direct = (np.abs(np.convolve(y, wavelet, mode="same")) ** 2).reshape(64, -1).mean(axis=1)
        np.testing.assert_allclose(row[4:-4], direct[4:-4], atol=0.03 * direct.max())


def test_wavelet_power_is_that_of_pywavelets() -> None:
    """Within 0.3 dB where PyWavelets' table of the wavelet is fine enough: not at its smallest scales."""
    y = noise(4)[: 64 * 1344]
    power = wavelet_power(y, frequencies=FREQUENCIES[1:], columns=64)
    coefficients, frequencies = pywt.cwt(
        y, SR / FREQUENCIES[1:], WAVELET, sampling_period=1 / SR, method="fft", precision=14
    )
    np.testing.assert_allclose(frequencies, FREQUENCIES[1:])
    theirs = (np.abs(coefficients) ** 2).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(power.mean(axis=1) / theirs), 0, atol=0.3)


def test_a_scalogram_shows_a_tone_an_octave_apart() -> None:
    rows = []
    for hz in (440.0, 880.0):
        x = scalogram(sine(10, hz=hz))  # repeated to 30 s
        assert x.shape == (256, 256, 3) and x.dtype == np.uint8
        rows.append(int(np.median(x[:, :, 0].astype(int).argmax(axis=0))))  # viridis ends in the most red
    assert rows[0] - rows[1] == pytest.approx(32, abs=1)  # rows an octave
    assert rows[0] == pytest.approx(255 - 32 * (np.log2(440 / 32.703)), abs=1)
    assert np.isfinite(scalogram(np.zeros(SR, np.float32))).all()


@pytest.mark.parametrize("change", [{"seconds": 0.001}, {"height": 1}, {"height": 5000}, {"width": 0}])
def test_sizes_that_cannot_be_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ExperimentError, match="no picture"):
        mel_form(**change)  # type: ignore[arg-type]
    with pytest.raises(ExperimentError, match="no scalogram"):
        scalogram(music(2), seconds=0.01)
