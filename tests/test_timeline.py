"""Tags over time, with a model that hears low and high tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sound import FORMATS, sine
from soundkin import timeline as subject
from soundkin.errors import NotAudioError
from soundkin.excerpts import ExcerptPlan
from soundkin.mediacache import MediaCache
from soundkin.model import Tag, TimbreModel, load_model
from soundkin.timeline import EMPTY, keep_timeline, kept_timeline, timeline
from tagger_file import write_tagger

CONTENT = "0123456789abcdef" * 2


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """18 s: low, silent, high; 6 s each."""
    y = np.concatenate([sine(6, hz=150), np.zeros(6 * 22050, np.float32), sine(6, hz=3500)])
    return FORMATS["wav-16"].write(tmp_path / "song.wav", y)


def test_each_window_has_its_own_tags(song: Path, tmp_path: Path) -> None:
    model = load_model(write_tagger(tmp_path / "tiny.onnx"))
    told = timeline(song, model=model)
    assert told.window == pytest.approx(3)
    np.testing.assert_allclose(told.starts, [0, 3, 6, 9, 12, 15])
    rows = {tag.label: row for tag, row in zip(told.tags, told.probabilities, strict=True)}
    assert set(told.tags) == {Tag("low", "genre"), Tag("high", "genre"), Tag("bright", "mood")}
    assert (rows["low"][:2] > rows["high"][:2] + 0.1).all()
    assert (rows["high"][4:] > rows["low"][4:] + 0.1).all()
    for row in rows.values():
        np.testing.assert_array_equal(row[2:4], 0)  # nothing is heard in silence


def test_a_window_holds_a_whole_segment_of_a_model_that_hears_long_ones(song: Path, tmp_path: Path) -> None:
    model = load_model(write_tagger(tmp_path / "tiny.onnx", segment=300, excerpts=str(ExcerptPlan(2, 8.0))))
    told = timeline(song, model=model)
    assert told.window >= 6
    assert len(told.starts) == len(told.probabilities[0]) <= 3


def test_a_long_track_is_heard_in_places_evenly_spread(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_WINDOWS", 3)
    told = timeline(song, model=load_model(write_tagger(tmp_path / "tiny.onnx")))
    np.testing.assert_allclose(told.starts, [1.5, 7.5, 13.5])
    assert told.window == pytest.approx(3)
    rows = {tag.label: row for tag, row in zip(told.tags, told.probabilities, strict=True)}
    assert rows["low"][0] > rows["high"][0]
    assert rows["low"][1] == 0
    assert rows["low"][2] < rows["high"][2]


def test_only_the_most_prominent_tags_are_told(song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_TAGS", 2)
    told = timeline(song, model=load_model(write_tagger(tmp_path / "tiny.onnx")))
    assert len(told.tags) == len(told.probabilities) == 2
    peaks = np.quantile(told.probabilities, 0.9, axis=1)
    assert peaks[0] >= peaks[1]


def test_a_model_without_tags_and_a_file_that_is_no_audio(song: Path, tmp_path: Path) -> None:
    assert timeline(song, model=TimbreModel()) is EMPTY
    text = tmp_path / "text.mp3"
    text.write_text("no song\n" * 1000)
    with pytest.raises(NotAudioError):
        timeline(text, model=load_model(write_tagger(tmp_path / "tiny.onnx")))


def test_it_is_kept_for_the_model_that_heard_it(song: Path, tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "media")
    told = timeline(song, model=load_model(write_tagger(tmp_path / "tiny.onnx")))
    keep_timeline(cache, CONTENT, "tiny-1", told)
    kept = kept_timeline(cache, CONTENT, "tiny-1")
    assert kept is not None
    assert (kept.window, kept.tags) == (told.window, told.tags)
    np.testing.assert_array_equal(kept.starts, told.starts)
    np.testing.assert_array_equal(kept.probabilities, told.probabilities)
    assert kept_timeline(cache, CONTENT, "tiny-2") is None
    keep_timeline(cache, CONTENT, "timbre-1", EMPTY)
    none = kept_timeline(cache, CONTENT, "timbre-1")
    assert none is not None
    assert none.tags == ()
