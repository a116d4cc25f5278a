"""Waveforms: as loud as the file is, where it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sound import FORMATS, noise, sine
from soundkin import waveform as subject
from soundkin.errors import DamagedError, NotAudioError, VanishedError
from soundkin.mediacache import MediaCache
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
    assert kept_waveform(cache, CONTENT) is None
    wave = waveform(steps)
    keep_waveform(cache, CONTENT, wave)
    kept = kept_waveform(cache, CONTENT)
    assert kept is not None
    assert kept.duration == wave.duration
    np.testing.assert_allclose(kept.peaks, wave.peaks, atol=1 / 500)
    np.testing.assert_allclose(kept.rms, wave.rms, atol=1 / 500)
    assert kept.rms.dtype == np.float32
    (file,) = cache.folder.rglob("*.npz")
    assert file.stat().st_size < 5000
    shutil.copy(steps, file)  # a damaged file is as good as none
    assert kept_waveform(cache, CONTENT) is None
