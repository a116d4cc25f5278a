"""Waveforms: as loud as the file is, where it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sound import FORMATS, noise, sine
from soundkin import waveform as subject
from soundkin.errors import DamagedError, NotAudioError, VanishedError
from soundkin.mediacache import MediaCache
from soundkin.tags import read_tempo
from soundkin.waveform import POINTS, keep_waveform, kept_waveform, waveform

CONTENT = "0123456789abcdef" * 2


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """12 s: silence, full tone at 6 s to 8 s, silence, a single sample of 1 at 10 s."""
    y = np.zeros(12 * 22050, np.float32)
    y[6 * 22050 : 8 * 22050] = sine(2, level=0.5)
    y[10 * 22050] = 1
    return FORMATS["wav-float"].write(tmp_path / "steps.wav", y)


def test_it_is_loud_where_the_file_is(steps: Path) -> None:
    wave = waveform(steps)
    assert wave.duration == pytest.approx(12)
    assert wave.peaks.shape == wave.rms.shape == (POINTS,)
    assert wave.peaks.dtype == wave.rms.dtype == np.float32
    tone = slice(POINTS // 2, POINTS * 2 // 3)
    np.testing.assert_allclose(wave.peaks[tone], 0.5, atol=0.01)
    np.testing.assert_allclose(wave.rms[tone], 0.5 / np.sqrt(2), atol=0.05)
    rest = np.delete(wave.peaks, np.r_[tone, POINTS * 10 // 12])
    assert rest.max() < 0.001
    assert wave.peaks[POINTS * 10 // 12] == pytest.approx(1)  # a click is not lost


def test_fewer_parts_keep_the_peaks_and_the_power(steps: Path) -> None:
    whole = waveform(steps)
    for points in (1, 7, 12, 1000):
        few = whole.reduced(points)
        assert few.peaks.shape == few.rms.shape == (points,)
        assert few.peaks.max() == whole.peaks.max()
    np.testing.assert_allclose(whole.reduced(12).peaks, [0] * 6 + [0.5, 0.5, 0, 0, 1, 0], atol=0.01)
    power = np.sqrt(np.mean(np.square(whole.rms)))
    assert whole.reduced(1).rms[0] == pytest.approx(power, rel=1e-3)
    assert whole.reduced(5000) is whole


@pytest.mark.parametrize("name", ["mp3", "flac", "opus", "aac", "wma"])
def test_every_format_gives_the_same_picture(tmp_path: Path, name: str) -> None:
    form = FORMATS[name]
    loudness = np.random.default_rng(1).uniform(0, 1, 12).astype(np.float32)
    path = form.write(tmp_path / f"a{form.suffix}", noise(12, sr=form.sr) * np.repeat(loudness, form.sr))
    np.testing.assert_allclose(waveform(path).reduced(12).rms, 0.1 * loudness, atol=0.01)


def test_of_a_very_long_track_a_sample_is_heard(steps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LONGEST_WHOLE", 10.0)
    monkeypatch.setattr(subject, "SAMPLES", 6)
    wave = waveform(steps)
    np.testing.assert_allclose(wave.peaks[[0, 1, 2, 3, 4]], [0, 0, 0, 0.5, 0], atol=0.01)
    np.testing.assert_allclose(wave.rms[[0, 1, 2, 3, 4]], [0, 0, 0, 0.5 / np.sqrt(2), 0], atol=0.01)


def test_what_is_no_audio_says_so_and_what_is_cut_off_is_shown_as_far_as_it_goes(
    encoded: Callable[[str], Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no song\n" * 1000)
    with pytest.raises(NotAudioError):
        waveform(text)
    with pytest.raises(VanishedError):
        waveform(tmp_path / "gone.mp3")
    whole = encoded("flac").read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole[: len(whole) * 9 // 10])
    assert 10 < waveform(cut).duration < 11.9
    cut.write_bytes(whole[:200])
    with pytest.raises(DamagedError):
        waveform(cut)


def test_it_is_kept_in_two_bytes_a_part(steps: Path, tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "media")
    assert kept_waveform(cache, CONTENT, "as it was") is None
    wave = replace(waveform(steps), tempo=None)
    keep_waveform(cache, CONTENT, "as it was", wave)
    kept = kept_waveform(cache, CONTENT, "as it was")
    assert kept is not None
    assert wave.loudness is not None
    assert (kept.duration, kept.loudness, kept.tempo) == (wave.duration, wave.loudness, None)
    np.testing.assert_allclose(kept.peaks, wave.peaks, atol=1 / 500)
    np.testing.assert_allclose(kept.rms, wave.rms, atol=1 / 500)
    assert kept.rms.dtype == np.float32
    (file,) = cache.folder.rglob("*.npz")
    assert file.stat().st_size < 5000
    shutil.copy(steps, file)  # a damaged file is as good as none
    assert kept_waveform(cache, CONTENT, "as it was") is None


def test_what_was_kept_by_an_earlier_version_or_before_other_tags_is_not_misread(steps: Path, tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "media")
    keep_waveform(cache, CONTENT, "as it was", waveform(steps))
    assert kept_waveform(cache, CONTENT, "with other tags") is None
    old = {"duration": np.array(12.0), "peaks": np.zeros(9, np.uint8), "rms": np.zeros(9, np.uint8)}
    cache.write_arrays(CONTENT, "wave.npz", old, stamp="wave 1")
    assert kept_waveform(cache, CONTENT, "as it was") is None


@pytest.mark.parametrize(("channels", "expected"), [(1, -23.0), (2, -20.0)])
@pytest.mark.parametrize("sr", [22050, 48000])
def test_loudness_is_that_of_ebu_r128(tmp_path: Path, channels: int, expected: float, sr: int) -> None:
    """ITU-R BS.1770: a sine of 997 Hz and 0 dBFS in one channel is -3.01 LUFS, and two channels add up."""
    tone = sine(10, sr=sr, hz=997, level=10 ** (-20 / 20))
    path = replace(FORMATS["wav-16"], sr=sr).write(tmp_path / "a.wav", np.stack([tone] * channels))
    assert waveform(path).loudness == pytest.approx(expected, abs=0.1)


def test_silent_parts_do_not_make_a_track_softer(tmp_path: Path) -> None:
    y = np.concatenate([sine(25, hz=997, level=0.1), np.zeros(60 * 22050, np.float32)])
    path = FORMATS["flac"].write(tmp_path / "a.flac", np.stack([y, y]))
    assert waveform(path).loudness == pytest.approx(-20, abs=0.3)


def test_where_loudness_is_not_known_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loudness(y: np.ndarray) -> float | None:
        return waveform(FORMATS["wav-16"].write(tmp_path / "a.wav", y)).loudness

    assert loudness(np.zeros(5 * 22050, np.float32)) is None
    assert loudness(sine(5, level=1e-4)) is None
    assert loudness(np.stack([sine(5)] * 6)) is None  # which of them are at the back?
    assert loudness(sine(5)) is not None
    monkeypatch.setattr(subject, "LONGEST_WHOLE", 4.0)  # of that only a sample is heard
    monkeypatch.setattr(subject, "SAMPLES", 4)
    assert loudness(sine(5)) is None


def test_tempo_is_what_the_file_says(tmp_path: Path) -> None:
    for name, key in (("mp3", "TBPM"), ("flac", "BPM"), ("vorbis", "TEMPO"), ("wma", "WM/BeatsPerMinute")):
        form = FORMATS[name]
        path = form.write(tmp_path / f"a{form.suffix}", noise(3, sr=form.sr), tags={key: "127.5"})
        assert waveform(path).tempo == 127.5, name
    path = FORMATS["aac"].write(tmp_path / "a.m4a", noise(3), tags={"tmpo": "128"})
    assert waveform(path).tempo == 128
    assert waveform(FORMATS["flac"].write(tmp_path / "b.flac", noise(3))).tempo is None


@pytest.mark.parametrize(
    ("told", "tempo"),
    [
        ("120", 120.0),
        (" 98,6 BPM", 98.6),
        ("19.9", None),
        ("20", 20.0),
        ("400", 400.0),
        ("0", None),
        ("-120", None),
        ("401", None),
        ("12000", None),
        ("120/60", None),
        ("80-160", None),
        ("1e2", None),
        ("nan", None),
        ("Allegro", None),
        ("", None),
        ("\u0661\u0662\u0660", None),
        ("\udcff120", None),
    ],
)
def test_a_tempo_that_music_has_not_is_none(told: str, tempo: float | None) -> None:
    assert read_tempo({"title": "99", "BPM": told}) == tempo
    assert read_tempo({"TBPM": told, "bpm": "0"}) == tempo
