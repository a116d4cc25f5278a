"""What `represent` gives for each name, from audio and from arrays; and that a model file can make the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from sound import FORMATS, music, noise
from soundkin.errors import DatasetError, ExperimentError, InputError, SilentError, UnknownNameError
from soundkin.lab.clipwise import MIDDLE, hear
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.features import COLUMNS, feature_table
from soundkin.lab.inputs import to_batch
from soundkin.lab.melstatistics import mel_statistics, statistic_columns
from soundkin.lab.networks.to_onnx import to_onnx
from soundkin.lab.pictures import PUBLISHED_SECONDS, coloured, picture, published_form
from soundkin.lab.representations import PUBLISHED, REPRESENTATIONS, effective_settings, represent
from soundkin.model import TimbreModel
from soundkin.spectrogram import LogMel, log_mel

SHAPES: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "picture": ((219, 338), np.uint8),
    "rgb": ((256, 256, 3), np.uint8),
    "scalogram": ((256, 256, 3), np.uint8),
    "sequence": ((1291, 27), np.float32),
    "table": ((57,), np.float64),
    "timbre": ((182,), np.float32),
    "mel-statistics": ((252,), np.float32),
}
FED = ("picture", "rgb", "log-mel", "mel-statistics")
SECONDS = (2.5, 3.0, 4.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three clips of different lengths."""
    folder = tmp_path_factory.mktemp("clips")
    flac = FORMATS["flac"]
    paths = [
        flac.write(folder / f"{seed}.flac", music(seconds, seed=seed) + noise(seconds, level=0.01, seed=seed))
        for seed, seconds in enumerate(SECONDS)
    ]
    made = tuple(Clip(f"clip {seed}", "ab"[seed % 2], path=path) for seed, path in enumerate(paths))
    return Dataset("small", made, licence="none", citation="none")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def with_clips(dataset: Dataset, *more: Clip) -> Dataset:
    return dataclasses.replace(dataset, clips=(*dataset.clips, *more))


@pytest.mark.parametrize("name", SHAPES)
def test_every_representation_of_audio(name: str, clips: Dataset, cache: Path) -> None:
    dataset, X = represent(clips, name, cache=cache, workers=0)
    shape, kind = SHAPES[name]
    assert dataset.clips == clips.clips
    assert X.shape == (3, *shape) and X.dtype == kind
    assert all(not np.array_equal(X[0], row) for row in X[1:])
    if X.dtype.kind == "f":
        assert np.isfinite(X).all()
    again = represent(clips, name, cache=cache, workers=0)[1]
    np.testing.assert_array_equal(again, X)
    assert REPRESENTATIONS[name].text


def test_log_mel_keeps_each_clip_its_length(clips: Dataset, cache: Path) -> None:
    for dataset in (clips, clips.take([0])):
        _, X = represent(dataset, "log-mel", cache=cache, workers=0)
        assert X.shape == (len(dataset),) and X.dtype == object
        for row, seconds in zip(X, SECONDS, strict=False):
            assert row.shape == (96, 1 + int(seconds * 22050) // 512) and row.dtype == np.float32
    _, X = represent(clips, "log-mel", settings={"seconds": 2}, workers=0)  # all of one length
    assert X.shape == (3,) and {row.shape for row in X} == {(96, 87)}


def test_the_rows_are_what_the_parts_give(clips: Dataset, cache: Path) -> None:
    path = clips.clips[1].path
    assert path is not None
    y = hear(path, sr=22050, seconds=30)
    np.testing.assert_allclose(represent(clips, "table", cache=cache, workers=0)[1][1], feature_table(y))
    described = TimbreModel().hear(y)[0]
    np.testing.assert_allclose(
        represent(clips, "timbre", cache=cache, workers=0)[1][1], described, rtol=1e-4, atol=1e-4
    )


def test_processes_give_the_same(clips: Dataset, cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    _, X = represent(clips, "mel-statistics", workers=2, progress=lambda done, total: seen.append((done, total)))
    here = represent(clips, "mel-statistics", cache=cache, workers=0)[1]
    np.testing.assert_allclose(X, here, rtol=1e-5)  # they use one thread, and sums have another order
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_clip_that_fails_is_left_out_and_told(clips: Dataset, cache: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no audio at all")
    silent = FORMATS["flac"].write(tmp_path / "silent.flac", np.zeros(3 * 22050, np.float32))
    dataset = with_clips(
        clips.take([2, 0]), Clip("bad", "a", path=broken), Clip("none", "a"), Clip("still", "b", path=silent)
    )
    left, X = represent(dataset, "mel-statistics", cache=cache, workers=0)
    assert left.ids == ("clip 2", "clip 0") and len(X) == 2
    np.testing.assert_array_equal(X, represent(clips, "mel-statistics", cache=cache, workers=0)[1][[2, 0]])
    (finding,) = left.findings
    assert finding.startswith("3 of 5 clips are left out")
    for part in ("bad (it holds no audio", "none (it has no audio file)", "still (it is silent"):
        assert part in finding
    with pytest.raises(DatasetError, match=r"no clip mel-statistics could be made.*bad \(it holds no audio"):
        represent(dataset.take([2, 3]), "mel-statistics", workers=0)


def test_columns_come_with_the_table(clips: Dataset, cache: Path) -> None:
    assert represent(clips, "table", cache=cache, workers=0)[0].columns == COLUMNS
    assert len(statistic_columns(96)) == SHAPES["mel-statistics"][0][0]


BARE = tuple(Clip(f"clip {i}", "ab"[i % 2]) for i in range(4))


def bringing(**arrays: np.ndarray) -> Dataset:
    return Dataset("bare", BARE, licence="none", citation="none", arrays=arrays, columns=("tempo", "rms"))


def test_arrays_that_come_with_the_dataset_are_taken() -> None:
    table = np.random.default_rng(0).standard_normal((4, 2))
    dataset, X = represent(bringing(table=table), "table")
    np.testing.assert_array_equal(X, table)
    assert dataset.columns == ("tempo", "rms")


def test_colour_is_made_of_pictures_that_come_with_the_dataset() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 219, 338)).astype(np.uint8)
    given = bringing(picture=pictures)
    assert effective_settings(given, "picture", {}) == PUBLISHED
    for settings in ({}, PUBLISHED):
        dataset, X = represent(given, "rgb", settings=settings)
        assert X.shape == (4, 256, 256, 3)
        np.testing.assert_array_equal(X[2], coloured(pictures[2]))
        assert "219 × 338" in dataset.findings[-1]
    np.testing.assert_array_equal(represent(given, "picture")[1], pictures)


def test_settings_win_over_arrays_where_there_is_audio(clips: Dataset) -> None:
    given = dataclasses.replace(clips, arrays={"picture": np.zeros((3, 219, 338), np.uint8)})
    assert represent(given, "picture", workers=0)[1].max() == 0
    _, X = represent(given, "picture", settings={"seconds": 3.0}, workers=0)
    assert X.max() == 255
    assert effective_settings(given, "picture", {"seconds": 3.0}) == {"seconds": 3.0}


def test_numbers_that_are_not_finite_are_named() -> None:
    table = np.ones((4, 2))
    table[2, 1] = np.nan
    with pytest.raises(DatasetError, match="1 numbers that are not finite, the first in column 'rms' of clip clip 2"):
        represent(bringing(table=table), "table")


@pytest.mark.parametrize(
    ("name", "settings", "error", "match"),
    [
        ("opera", {}, UnknownNameError, "representation 'opera'.*picture"),
        ("table", {"second": 3}, ExperimentError, "no setting second.*seconds, offset"),
        ("timbre", {"seconds": 3}, ExperimentError, "there are: none"),
        ("table", {"seconds": "long"}, ExperimentError, "seconds is like 30.0, not 'long'"),
        ("table", {"seconds": 0.0}, InputError, "1 to 600"),
        ("table", {"offset": -1}, ExperimentError, "offset"),
        ("table", {"offset": "end"}, ExperimentError, "offset"),
        ("picture", {"form": "cubist"}, UnknownNameError, "cubist.*mel, linear, published"),
        ("picture", {"form": "published", "seconds": 10}, ExperimentError, "first 5 s"),
        ("picture", {"height": 3000}, ExperimentError, "3000 rows"),
        ("picture", {"height": True}, ExperimentError, "height"),
        ("log-mel", {"segment_frames": 0}, ExperimentError, "segment_frames"),
        ("log-mel", {"mel_scale": "bark"}, InputError, "bark"),
        ("rgb", {}, DatasetError, "bare has no audio to make rgb of; it brings table"),
        ("table", {"seconds": 3.0}, DatasetError, "settings such as"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    name: str, settings: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        represent(bringing(table=np.ones((4, 2))), name, settings=settings, workers=0)


def test_what_of_a_long_track_is_heard(tmp_path: Path) -> None:
    y = music(20)
    path = FORMATS["wav-float"].write(tmp_path / "long.wav", y)
    for offset, start in ((MIDDLE, 7.5), (2, 2.0), (18.0, 15.0), (0.0, 0.0)):
        begin = round(start * 22050)
        np.testing.assert_array_equal(hear(path, sr=22050, seconds=5, offset=offset), y[begin : begin + 5 * 22050])
    np.testing.assert_array_equal(hear(path, sr=22050, seconds=30), y)
    silent = FORMATS["wav-float"].write(tmp_path / "silent.wav", 1e-5 * y)
    with pytest.raises(SilentError, match="-70 dB"):
        hear(silent, sr=22050, seconds=5)


def test_the_published_form_shows_the_beginning(tmp_path: Path) -> None:
    y = music(8)
    clip = Clip("long", "a", path=FORMATS["wav-float"].write(tmp_path / "long.wav", y))
    _, X = represent(Dataset("one", (clip,), licence="", citation=""), "picture", settings=PUBLISHED, workers=0)
    np.testing.assert_array_equal(X[0], picture(y[: round(PUBLISHED_SECONDS * 22050)], published_form()))


def segments(y: np.ndarray, mel: LogMel, frames: int) -> np.ndarray:
    """What `soundkin.model.OnnxModel` gives its network of an excerpt: (segments, n_mels, frames)."""
    needed = (frames - 1) * mel.hop_length + 1
    db = log_mel(np.resize(y, needed) if len(y) < needed else y, mel)
    count = db.shape[1] // frames
    spare = db.shape[1] - count * frames
    return db[:, spare // 2 : spare // 2 + count * frames].reshape(len(db), count, frames).swapaxes(0, 1).copy()


@pytest.mark.parametrize(("name", "form"), [*((name, {}) for name in FED), ("picture", PUBLISHED), ("rgb", PUBLISHED)])
def test_a_model_file_is_fed_the_same(name: str, form: dict[str, str], clips: Dataset) -> None:
    representation = REPRESENTATIONS[name]
    front_end, adapter = representation.front_end(form), representation.adapter(form)
    assert front_end is not None and adapter is not None
    mel, frames = front_end
    dataset = clips.take([2])
    path = dataset.clips[0].path
    assert path is not None
    y = hear(path, sr=mel.sr, seconds=30)
    if form:
        y = np.pad(y, (896, 0))  # where the published pictures begin
    heard = segments(y, mel, frames)
    with torch.no_grad():
        ours = adapter(torch.from_numpy(heard)).numpy()
    _, X = represent(dataset, name, settings=form, workers=0)
    if name == "log-mel":
        assert ours.shape == (1, 96, 128)  # of 4 s
        expected = X[0][:, 22:150][None]
        np.testing.assert_allclose(ours, expected, atol=0.04)  # kept in float16
    elif name == "mel-statistics":
        np.testing.assert_allclose(ours.mean(axis=0), X[0], rtol=1e-3, atol=1e-3)
    else:
        expected = to_batch(X).numpy()
        assert ours.shape == expected.shape
        difference = np.abs(ours - expected)
        assert (difference > 1e-6).mean() < 2e-3
        if name == "picture":
            assert difference.max() < 1.01 / 255


@pytest.mark.parametrize("name", sorted(set(REPRESENTATIONS) - set(FED)))
def test_some_cannot_be_fed_by_a_model_file(name: str) -> None:
    assert REPRESENTATIONS[name].front_end({}) is None and REPRESENTATIONS[name].adapter({}) is None


def test_statistics_of_segments_are_averaged() -> None:
    rng = np.random.default_rng(0)
    db = rng.standard_normal((96, 300)).astype(np.float32)
    parts = [mel_statistics(part, segment_frames=128) for part in (db[:, 22:150], db[:, 150:278])]
    np.testing.assert_allclose(mel_statistics(db, segment_frames=128), np.mean(parts, axis=0), rtol=1e-5, atol=1e-6)
    named = dict(zip(statistic_columns(96), parts[0], strict=True))
    assert named["band3_mean"] == pytest.approx(db[2, 22:150].mean(), abs=1e-5)
    assert named["band3_std"] == pytest.approx(db[2, 22:150].std(), rel=1e-4)
    assert named["mfcc1_mean"] == pytest.approx(db[:, 22:150].sum(axis=0).mean() / np.sqrt(96), abs=1e-4)


def test_statistics_fit_in_a_model_file() -> None:
    module = REPRESENTATIONS["mel-statistics"].adapter({})
    assert module is not None
    session = onnxruntime.InferenceSession(
        to_onnx(module, (96, 128), input_name="mel", output_names=["x"]), providers=["CPUExecutionProvider"]
    )
    db = np.random.default_rng(0).normal(-30, 20, (3, 96, 128)).astype(np.float32)
    (answer,) = session.run(None, {"mel": db})
    expected = np.stack([mel_statistics(part, segment_frames=128) for part in db])
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)
