"""The hand-made descriptors: what changes them and what does not, and the very numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.signal

from sound import FloatArray, music, noise, sine
from soundkin.model import TimbreModel
from soundkin.timbre import ASPECTS, DIMENSION, SR, describe, weights

SECONDS = 5.0


def chords(
    *, tempo: float = 1.0, shift: int = 0, chord: Sequence[int] = (0, 4, 7), partials: int = 6, seed: int = 0
) -> FloatArray:
    """Four chords a second at tempo 1 on random roots, `shift` semitones up, with a little noise."""
    rng = np.random.default_rng(seed)
    y = 0.01 * rng.standard_normal(round(SECONDS * SR))
    step = round(SR / 4 / tempo)
    t = np.arange(step) / SR
    shape = np.exp(-6 * t * tempo) * np.minimum(1, t / 0.005)
    for begin in range(0, len(y), step):
        root = 220 * 2 ** ((rng.integers(0, 12) + shift) / 12)
        tones = [np.sin(2 * np.pi * root * 2 ** (c / 12) * h * t) / h for c in chord for h in range(1, partials + 1)]
        y[begin : begin + step] += (np.sum(tones, axis=0) * shape)[: len(y) - begin]
    return (0.05 * y).astype(np.float32)


def clicks() -> FloatArray:
    return (np.arange(round(SECONDS * SR)) % 7000 == 0).astype(np.float32)


SOUNDS = {
    "music": music(SECONDS),
    "noise": noise(SECONDS),
    "sine": sine(SECONDS),
    "clicks": clicks(),
    "one click": np.eye(1, round(SECONDS * SR), 40_000, dtype=np.float32)[0],
    "square wave": np.sign(sine(SECONDS)),
    "constant": np.full(round(SECONDS * SR), 0.5, np.float32),
    "sound, then nothing": np.concatenate([music(2), np.zeros(3 * SR, np.float32)]),
    "very soft": 1e-5 * music(SECONDS),
    "one second": music(1),
    "half a second": music(0.5),
    "a tenth of a second": music(0.1),
    "a minute": np.tile(music(10), 6),
}


@pytest.fixture(scope="module")
def scale() -> FloatArray:
    """(DIMENSION,) how much each number differs among unlike sounds: what standardising by a library does."""
    unlike = [
        music(SECONDS),
        noise(SECONDS),
        clicks() + noise(SECONDS, level=0.01),
        chords(),
        chords(tempo=2, seed=1),
        chords(tempo=0.5, seed=2) + noise(SECONDS, level=0.02),
        chords(chord=(0, 3, 7, 10), seed=3),
        chords(chord=(0, 1, 2), seed=4),
        chords(partials=1, seed=5),
    ]
    return np.std([describe(y) for y in unlike], axis=0) + np.float32(1e-3)


def changes(y: FloatArray, other: FloatArray, scale: FloatArray) -> dict[str, float]:
    """Mean change of each aspect, in deviations."""
    moved = np.abs(describe(y) - describe(other)) / scale
    return {name: float(moved[part].mean()) for name, part in ASPECTS.items()}


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_has_a_finite_description(name: str) -> None:
    described = describe(SOUNDS[name])
    assert described.shape == (DIMENSION,) and described.dtype == np.float32
    assert np.isfinite(described).all()


def test_aspects_cover_the_description_once() -> None:
    covered = np.concatenate([np.arange(DIMENSION)[part] for part in ASPECTS.values()])
    np.testing.assert_array_equal(np.sort(covered), np.arange(DIMENSION))
    assert weights().shape == (DIMENSION,) and weights().dtype == np.float32 and (weights() > 0).all()


@pytest.mark.parametrize("db", [-40, -12, 12])
def test_level_does_not_matter(db: float) -> None:
    y = music(SECONDS)
    louder = (y * 10 ** (db / 20)).astype(np.float32)
    np.testing.assert_allclose(describe(louder), describe(y), atol=1e-3)


def test_the_key_matters_little_and_the_chord_much(scale: FloatArray) -> None:
    transposed = changes(chords(), chords(shift=1), scale)["harmony"]
    another_chord = changes(chords(), chords(chord=(0, 1, 2)), scale)["harmony"]
    assert transposed < 0.25
    assert another_chord > 4 * transposed


def test_the_tempo_is_rhythm(scale: FloatArray) -> None:
    change = changes(chords(), chords(tempo=1.5), scale)
    assert change["rhythm"] > 2 * max(change["timbre"], change["spectrum"], change["harmony"])


def test_a_muffled_copy_is_less_bright(scale: FloatArray) -> None:
    muffled = scipy.signal.lfilter(*scipy.signal.butter(4, 1000, fs=SR), chords()).astype(np.float32)
    change = changes(chords(), muffled, scale)
    assert change["spectrum"] > 1.5 * max(change["timbre"], change["harmony"])
    centroid = ASPECTS["spectrum"].start
    assert describe(muffled)[centroid] < describe(chords())[centroid] - 0.3  # octaves


def test_the_same_music_again_is_nearer_than_other_music(scale: FloatArray) -> None:
    own = np.mean(list(changes(chords(seed=10), chords(seed=11), scale).values()))
    for other in (music(SECONDS), noise(SECONDS), chords(chord=(0, 1, 2)), chords(tempo=2)):
        assert np.mean(list(changes(chords(seed=10), other, scale).values())) > 1.5 * own


@pytest.mark.parametrize("period", [0.3, 0.4, 0.65, 0.9, 1.0])
def test_every_pulse_is_found(period: float) -> None:
    """Clicks `period` s apart: the autocorrelation is high, and highest there or at a multiple."""
    y = noise(10, level=1e-3)
    y[(np.arange(int(10 / period)) * period * SR).astype(int)] = 1.0
    highest, *_, lag = describe(y)[ASPECTS["rhythm"]][24:28]
    assert highest > 0.75
    multiple = 2**lag / period
    assert multiple == pytest.approx(max(1, round(multiple)), rel=0.08)


# Every sixth number of a sound without any randomness. They say whether vectors of one library may be compared.
REFERENCE = {
    "1": """
        89.4865 -4.4231 -46.1189 -25.1176 19.6505 14.9001 14.8108 4.6316 4.4831 4.5633 9.504 41.239
        0.2839 5.0664 2.4267 0.5243 0.2153 -0.0935 0.472 -0.0335 0.3474 0.472 6.4795 1.755 1.9679
        2.0175 1.9139 1.9255 1.7096 1.5064 1.3359
    """,
}


def reference_sound() -> FloatArray:
    t = np.arange(round(SECONDS * SR)) / SR
    tones = sum(
        np.sin(2 * np.pi * hz * t) * np.exp(-3 * (t % beat)) for hz, beat in ((220, 0.5), (277, 0.75), (1319, 1))
    )
    return (0.2 * tones + 0.05 * np.sin(2 * np.pi * 150 * t * t)).astype(np.float32)


def test_the_numbers_are_those_of_this_version() -> None:
    """When this fails on purpose, count `TimbreModel.version` up and store the new numbers under it."""
    expected = np.array(REFERENCE[TimbreModel.version].split(), float)
    np.testing.assert_allclose(describe(reference_sound())[::6], expected, rtol=2e-3, atol=2e-3)


def test_the_model_averages_what_it_hears() -> None:
    model = TimbreModel()
    rows = np.concatenate([model.hear(chords(seed=i)) for i in range(3)])
    embedding = model.summarise(rows)
    assert rows.shape == (3, DIMENSION)
    assert embedding.vector.dtype == np.float32 and embedding.tags is None
    np.testing.assert_allclose(embedding.vector, rows.mean(axis=0), rtol=1e-5, atol=1e-5)
    assert model.space.dimension == DIMENSION and model.space.standardise
    assert model.version in model.id
