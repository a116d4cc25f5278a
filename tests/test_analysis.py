"""From a path to an Analysis: what is heard, what is not, and how much memory it takes."""

from __future__ import annotations

import dataclasses
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sound import FloatArray, Format, noise
from soundkin import analysis as module
from soundkin import timbre
from soundkin.analysis import analyse
from soundkin.audio import AudioSource, decode
from soundkin.errors import DamagedError, ModelError, SilentError, TooShortError
from soundkin.excerpts import ExcerptPlan
from soundkin.fingerprint import LONGEST, same_recording
from soundkin.model import Embedding, Space, TimbreModel

Encoded = Callable[[str], Path]
TIMBRE = TimbreModel()


class Levels:
    """A model whose one number is the mean square of what it hears."""

    id = name = "levels"
    version, sr, space, tags, excerpts = "1", 8000, Space(1), (), ExcerptPlan(4, 2.0)

    def hear(self, y: FloatArray) -> FloatArray:
        return np.mean(np.square(y), keepdims=True)[np.newaxis]

    def summarise(self, rows: FloatArray) -> Embedding:
        return Embedding(rows.mean(axis=0), None)


def write(path: Path, y: FloatArray, *, sr: int = 8000) -> Path:
    return Format(".flac", "flac", sr=sr, samples="s16").write(path.with_suffix(".flac"), y)


# --- what comes out ---


def test_a_track_is_the_mean_of_its_excerpts(encoded: Encoded) -> None:
    plan = ExcerptPlan(3, 2.0)
    info, excerpts = decode(encoded("flac"), sr=timbre.SR, excerpts=plan)
    found = analyse(encoded("flac"), model=TIMBRE, excerpts=plan)
    assert found.info == info and found.model_id == TIMBRE.id and found.tags is None
    expected = np.mean([timbre.describe(excerpt.y) for excerpt in excerpts], axis=0)
    np.testing.assert_allclose(found.vector, expected, rtol=1e-4, atol=1e-4)


def test_the_model_chooses_the_excerpts_unless_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", noise(60, sr=8000) * np.linspace(0, 1, 480_000, dtype=np.float32))
    chosen, told, whole = (
        analyse(path, model=Levels(), excerpts=plan).vector for plan in (None, ExcerptPlan(4, 2.0), ExcerptPlan(0, 5.0))
    )
    assert chosen is not None and told is not None and whole is not None
    np.testing.assert_array_equal(chosen, told)
    assert whole[0] == pytest.approx(0.01 / 3, rel=0.02)  # the mean of a parabola
    assert chosen[0] != whole[0]


def test_the_same_file_gives_the_same_numbers_and_crosses_processes(encoded: Encoded) -> None:
    first, again = (analyse(encoded("mp3"), model=TIMBRE) for _ in range(2))
    copy = pickle.loads(pickle.dumps(first))  # noqa: S301 - what multiprocessing does
    for other in (again, copy):
        assert (other.info, other.fingerprint) == (first.info, first.fingerprint)
        np.testing.assert_array_equal(other.vector, first.vector)


def test_formats_of_one_recording_sound_alike(encoded: Encoded) -> None:
    original = analyse(encoded("flac"), model=TIMBRE)
    assert original.vector is not None and original.fingerprint
    for name in ("mp3", "aac", "opus", "vorbis"):
        copy = analyse(encoded(name), model=TIMBRE)
        assert copy.vector is not None and copy.fingerprint
        assert same_recording(original.fingerprint, copy.fingerprint)
        assert np.corrcoef(original.vector, copy.vector)[0, 1] > 0.99


@pytest.mark.parametrize("plan", [ExcerptPlan(0, 10.0), ExcerptPlan(12, 5.0), ExcerptPlan(40, 6.0)], ids=str)
def test_the_fingerprint_is_of_a_minute_at_most(plan: ExcerptPlan, tmp_path: Path) -> None:
    path = write(tmp_path / "long", noise(300, sr=8000))
    found = analyse(path, model=Levels(), excerpts=plan).fingerprint
    assert found is not None
    assert 0.7 * 20 * LONGEST < len(found) < 1.1 * 20 * LONGEST


def test_passages_are_the_excerpts_one_by_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a", noise(60, sr=8000) * np.linspace(0, 1, 480_000, dtype=np.float32))
    found = analyse(path, model=Levels()).passages
    assert found is not None and found.vectors.shape == (4, 1) and found.vectors.dtype == np.float32
    np.testing.assert_allclose(found.start, [6.5, 21.5, 36.5, 51.5])
    np.testing.assert_allclose(found.vectors[:, 0], 0.01 * np.square((found.start + 1) / 60), rtol=0.05)


def test_passages_leave_out_silence_and_stay_few(tmp_path: Path) -> None:
    y = noise(60, sr=8000)
    y[20 * 8000 : 40 * 8000] = 0
    path = write(tmp_path / "hidden", y)
    found = analyse(path, model=Levels(), excerpts=ExcerptPlan(6, 4.0)).passages
    assert found is not None
    assert [round(start) for start in found.start] == [3, 13, 43, 53]
    many = analyse(path, model=Levels(), excerpts=ExcerptPlan(0, 1.0)).passages
    assert many is not None and 12 <= len(many) <= module.MOST_PASSAGES
    assert set(np.diff(many.start).round()) == {2.0, 22.0}


def test_a_model_that_standardises_has_no_passages(encoded: Encoded) -> None:
    assert analyse(encoded("flac"), model=TIMBRE, excerpts=ExcerptPlan(2, 2.0)).passages is None


# --- what is not decoded ---


def test_known_content_is_not_decoded(encoded: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encoded("flac")
    content_id = analyse(path, model=Levels()).info.content_id

    def decoded(self: AudioSource, *args: object, **kwargs: object) -> Any:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(AudioSource, "excerpts", decoded)
    found = analyse(path, model=Levels(), known={content_id})
    assert (found.vector, found.tags, found.fingerprint) == (None, None, None)
    assert found.info.content_id == content_id and found.model_id == "levels"
    with pytest.raises(AssertionError, match="decoded"):
        analyse(path, model=Levels(), known={"0" * 32})


def test_known_content_that_is_too_short_is_still_refused(tmp_path: Path) -> None:
    class Everything:
        def __contains__(self, item: object) -> bool:
            return True

    with pytest.raises(TooShortError):
        analyse(write(tmp_path / "a", noise(1, sr=8000)), model=Levels(), known=Everything())


# --- silence ---


def test_silence_is_an_error(tmp_path: Path) -> None:
    for name, y in (("zero", np.zeros(160_000, np.float32)), ("dither", noise(20, sr=8000, level=5e-5))):
        with pytest.raises(SilentError, match="silent"):
            analyse(write(tmp_path / name, y), model=Levels())
    soft = noise(20, sr=8000, level=1e-3)  # -60 dB
    assert analyse(write(tmp_path / "soft", soft), model=Levels()).vector is not None


def test_sound_between_the_excerpts_is_found(tmp_path: Path) -> None:
    y = np.zeros(60 * 8000, np.float32)
    y[30 * 8000 : 31 * 8000] = noise(1, sr=8000)
    plan = ExcerptPlan(2, 2.0)
    assert all(not start <= 30 <= start + length for start, length in plan.windows(60.0))
    found = analyse(write(tmp_path / "gap", y), model=Levels(), excerpts=plan)
    assert found.vector is not None and found.vector[0] > 1e-5
    assert found.fingerprint and found.info.partial is None


def test_a_long_silent_file_is_not_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.zeros(60 * 8000, np.float32)
    y[30 * 8000 : 31 * 8000] = noise(1, sr=8000)
    monkeypatch.setattr(module, "_LONGEST_SECOND_LOOK", 50.0)
    with pytest.raises(SilentError):
        analyse(write(tmp_path / "gap", y), model=Levels(), excerpts=ExcerptPlan(2, 2.0))


def test_silent_excerpts_do_not_count(tmp_path: Path) -> None:
    """A minute of silence before the hidden track does not make a track half as loud."""
    y = noise(60, sr=8000)
    y[20 * 8000 : 40 * 8000] = 0
    found = analyse(write(tmp_path / "hidden", y), model=Levels(), excerpts=ExcerptPlan(6, 4.0))
    assert found.vector is not None
    assert found.vector[0] == pytest.approx(0.01, rel=0.02)


# --- damage ---


def test_a_track_with_a_hole_is_partial(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "a", noise(60, sr=8000)).read_bytes())
    begin, end = int(0.4 * len(content)), int(0.6 * len(content))
    content[begin:end] = bytes(end - begin)
    path = tmp_path / "hole.flac"
    path.write_bytes(content)
    found = analyse(path, model=Levels(), excerpts=ExcerptPlan(0, 3.0))
    assert found.info.partial is not None and "could not be decoded" in found.info.partial
    assert found.vector is not None and found.vector[0] == pytest.approx(0.01, rel=0.1)


def test_too_little_that_decodes_is_an_error(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "a", noise(60, sr=8000)).read_bytes())
    content[len(content) // 10 : -2000] = bytes(len(content) - len(content) // 10 - 2000)
    path = tmp_path / "hole.flac"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="decode"):
        analyse(path, model=Levels(), excerpts=ExcerptPlan(12, 3.0))


def test_a_model_that_gives_no_numbers(encoded: Encoded) -> None:
    class Broken(Levels):
        def hear(self, y: FloatArray) -> FloatArray:
            return np.full((1, 1), np.nan, np.float32)

    with pytest.raises(DamagedError, match=r"levels .*not finite"):
        analyse(encoded("flac"), model=Broken())


def test_a_model_that_fails_is_not_the_fault_of_the_file(encoded: Encoded) -> None:
    class Failing(Levels):
        def hear(self, y: FloatArray) -> FloatArray:
            raise ModelError("it does not run")

    with pytest.raises(ModelError):
        analyse(encoded("flac"), model=Failing())


# --- memory ---


def test_memory_does_not_grow_with_the_track(tmp_path: Path) -> None:
    path = write(tmp_path / "long", np.tile(noise(60, sr=8000), 10))
    decoded = 600 * 8000 * 4
    tracemalloc.start()
    try:
        found = analyse(path, model=Levels(), excerpts=ExcerptPlan(0, 10.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.info.duration == pytest.approx(600)
    assert peak < decoded / 4


def test_an_analysis_cannot_be_changed(encoded: Encoded) -> None:
    found = analyse(encoded("flac"), model=Levels())
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.model_id = "other"  # type: ignore[misc]
