"""The fingerprint: the same recording in other clothes is the same, another piece by the same hands is not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sound import FORMATS, FloatArray, Format, music, noise
from soundkin.analysis import analyse
from soundkin.excerpts import Excerpt
from soundkin.fingerprint import ENOUGH, HOP, SAME_BELOW, difference, fingerprint, same_recording
from soundkin.model import TimbreModel

SR = 22050
SECONDS = 30.0


@functools.cache
def key(number: int) -> FloatArray:
    """A second of one key of the piano, by its MIDI number."""
    hz, t = 440 * 2 ** ((number - 69) / 12), np.arange(SR) / SR
    partials = [np.sin(2 * np.pi * hz * k * t) * np.exp(-(2 + k) * t) / k for k in range(1, 9) if hz * k < 9000]
    return (0.15 * np.sum(partials, axis=0)).astype(np.float32)


@functools.cache
def piano(seed: int, *, seconds: float = SECONDS) -> FloatArray:
    """Two hands in C major, the same instrument, tempo and touch in every piece; only the notes are others."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    y = (2e-5 * rng.standard_normal(round(seconds * SR))).astype(np.float32)
    for i, begin in enumerate(range(0, len(y), round(0.3 * SR))):
        for number in [60 + rng.choice(scale)] + ([36 + rng.choice(scale[[0, 3, 4]])] if i % 2 == 0 else []):
            y[begin : begin + SR] += key(int(number))[: len(y) - begin]
    return y


def of_samples(y: FloatArray, *, start: float = 0.0, sr: int = SR) -> bytes:
    return fingerprint(Excerpt(start, y), sr=sr)


def of_file(path: Path) -> bytes:
    found = analyse(path, model=TimbreModel()).fingerprint
    assert found
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return of_file(FORMATS["flac"].write(tmp_path_factory.mktemp("original") / "a.flac", piano(0)))


COPIES = {
    "mp3 64k": Format(".mp3", "libmp3lame", bit_rate=64_000),
    "opus 32k": Format(".opus", "libopus", sr=48000, bit_rate=32_000),
    "aac 48k": Format(".m4a", "aac", container="ipod", bit_rate=48_000),
    "8 bits": FORMATS["wav-u8"],
}


@pytest.mark.parametrize("name", COPIES)
def test_a_re_encoding_is_the_same_recording(name: str, original: bytes, tmp_path: Path) -> None:
    form = COPIES[name]
    y = piano(0)
    if form.sr != SR:
        y = np.interp(np.arange(0, SECONDS, 1 / form.sr), np.arange(len(y)) / SR, y).astype(np.float32)
    copy = of_file(form.write(tmp_path / f"copy{form.suffix}", y))
    assert same_recording(original, copy) and same_recording(copy, original)
    assert difference(original, copy) < 0.25


EDITS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "6 dB softer": lambda y: 0.5 * y,
    "a second of silence first": lambda y: np.concatenate([np.zeros(SR, np.float32), y]),
    "a lead-in that is no whole number of hops": lambda y: np.concatenate([noise(0.47, level=1e-4), y]),
    "two seconds cut off": lambda y: y[2 * SR :],
    "a longer end": lambda y: np.concatenate([y, np.zeros(2 * SR, np.float32)]),
    "hiss": lambda y: y + noise(SECONDS, level=1e-3),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_copy_is_the_same_recording(name: str, original: bytes, tmp_path: Path) -> None:
    copy = of_file(FORMATS["flac"].write(tmp_path / "copy.flac", EDITS[name](piano(0))))
    assert same_recording(original, copy)


def test_pieces_for_one_piano_in_one_key_are_all_different() -> None:
    prints = [of_samples(piano(seed, seconds=30)) for seed in range(10)]
    differences = [difference(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(differences) > SAME_BELOW + 0.02
    assert all(difference(a, a) == 0 for a in prints)


def test_another_kind_of_music_is_another_recording(original: bytes) -> None:
    for other in (music(SECONDS), noise(SECONDS)):
        assert not same_recording(original, of_samples(other))


def test_silence_in_common_makes_no_two_pieces_the_same() -> None:
    """Half of each is digital zero, at the same times."""
    gaps = np.repeat(np.arange(30) % 2 == 0, SR).astype(np.float32)
    a, b = (gaps * piano(seed, seconds=30) for seed in (1, 2))
    assert not same_recording(of_samples(a), of_samples(b))
    assert same_recording(of_samples(a), of_samples(0.3 * a))
    zero = of_samples(np.zeros(30 * SR, np.float32))
    assert not same_recording(zero, zero)


def test_excerpts_are_compared_where_they_overlap_in_time() -> None:
    y = piano(3)
    even = b"".join(of_samples(y[s * SR : (s + 5) * SR], start=s) for s in (0, 10, 20, 30))
    longer = b"".join(of_samples(y[s * SR : (s + 10) * SR], start=s) for s in (0, 15, 30))
    assert same_recording(even, longer)
    elsewhere = b"".join(of_samples(y[s * SR : (s + 5) * SR], start=s) for s in (13, 25, 36))
    assert not same_recording(longer[: len(longer) // 3], elsewhere), "they do not overlap"


def test_too_little_is_not_the_same() -> None:
    y = piano(4, seconds=20)
    short = of_samples(y[: round((ENOUGH * HOP - 1) * SR)])
    assert difference(short, short) == 1.0
    assert not same_recording(short, of_samples(y))
    assert of_samples(y[: round(0.4 * SR)]) == b""
    assert not same_recording(b"", b"")


def test_size_and_sample_rate() -> None:
    y = piano(5, seconds=60)
    assert len(of_samples(y)) == pytest.approx(1200, abs=20)
    halved = y[: len(y) // 2 * 2].reshape(-1, 2).mean(axis=1)
    assert same_recording(of_samples(y), of_samples(halved, sr=SR // 2))


@given(st.binary(max_size=400), st.data())
def test_damaged_bytes_do_no_harm(junk: bytes, data: st.DataObject) -> None:
    whole = of_samples(noise(12, sr=8000), sr=8000)
    at = data.draw(st.integers(0, len(whole)))
    for damaged in (junk, whole[:at], whole[:at] + junk + whole[at:], b"\xff\xff\xff\xff\xff\xff" + whole):
        assert 0 <= difference(whole, damaged) <= 1
        assert 0 <= difference(damaged, whole) <= 1


def test_a_time_that_cannot_be_takes_no_memory() -> None:
    y = of_samples(piano(6, seconds=20))
    far = bytes.fromhex("f0ffffff") + y[4:]
    assert difference(y, far) == 1.0 and difference(far, far) == 1.0
