"""What a student learns from: tracks that are found and kept on disk, and passages drawn from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sound import FORMATS, music, noise, sine
from soundkin.errors import DatasetError, ExperimentError, SilentError, TooShortError
from soundkin.lab.distill import material
from soundkin.lab.distill.judge import album_precision, windows_of
from soundkin.lab.distill.material import (
    CODEC,
    LEVEL,
    VARIATIONS,
    Track,
    Variation,
    find_tracks,
    hear,
    level_of,
    load_tracks,
    through_codec,
)
from soundkin.lab.distill.mixtures import Group, MixtureSettings, make_mixture, sources
from soundkin.lab.distill.teachers import WINDOW
from soundkin.lab.importweights import FRONT_END

SR = 16000
PLAIN = MixtureSettings(mix=0, equaliser=0, stretch=0, dynamics=0, varied=0, codec=0, noise=0, lowpass=0, colour_db=0)


def write(path: Path, y: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = FORMATS["wav-float"]
    return type(form)(form.suffix, form.codec, sr=SR).write(path, y)


@pytest.fixture(scope="module")
def albums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three albums of one or two files, and a file that no player shows."""
    folder = tmp_path_factory.mktemp("music")
    for seed, name in enumerate(("one/first", "one/second", "two/CD 1/third", "three/fourth")):
        write(folder / f"{name}.wav", music(12, sr=SR, seed=seed))
    write(folder / "one" / "._first.wav", music(2, sr=SR))
    (folder / "one" / "cover.jpg").write_bytes(b"a picture")
    return folder


@pytest.fixture(scope="module")
def tracks(albums: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    found, failed = load_tracks(find_tracks(albums), folder=tmp_path_factory.mktemp("kept"), workers=0)
    assert not failed
    return found


# --- what is found ---


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_folders_and_files_are_kept_out_or_in_by_name(albums):
    assert names(find_tracks(albums)) == ["first", "second", "fourth", "third"]
    assert names(find_tracks(albums, without=["two", "second"])) == ["first", "fourth"]
    assert names(find_tracks(albums, without=["CD 1"])) == ["first", "second", "fourth"]
    assert names(find_tracks(albums, only=["two", "second", "somewhere else"])) == ["second", "third"]


def test_what_is_nowhere_cannot_be_kept_out(albums, tmp_path):
    with pytest.raises(ExperimentError, match=r"neither a folder nor a file .*there: 2, seconds"):
        find_tracks(albums, without=["seconds", "two", "2"])
    with pytest.raises(ExperimentError, match="nothing is left of its 4 files without one, two, three"):
        find_tracks(albums, without=["one", "two", "three"])
    with pytest.raises(ExperimentError, match="none of its 4 files is a, b, c and 2 more"):
        find_tracks(albums, only=list("abcde"))
    with pytest.raises(ExperimentError, match=r"no audio files in it or below; it is empty"):
        find_tracks(tmp_path)
    with pytest.raises(ExperimentError, match="there is no such folder"):
        find_tracks(tmp_path / "nowhere")


# --- what is kept ---


def test_every_variation_is_kept_at_one_level_and_its_length_known(tracks):
    assert [track.path.stem for track in tracks] == ["first", "second", "fourth", "third"]
    assert [track.album for track in tracks] == ["one", "one", "three", "CD 1"]
    for track in tracks:
        assert len(track.mels) == len(VARIATIONS)
        for mel, variation in zip(track.mels, VARIATIONS, strict=True):
            x = mel.read()
            assert x.shape == mel.shape and x.dtype == np.float16 and x.shape[0] == FRONT_END.n_mels
            assert level_of(x) == pytest.approx(LEVEL, abs=0.1)
            assert x.shape[1] == pytest.approx(12 / variation.speed * material.FRAMES_PER_SECOND, abs=8)


def test_quiet_and_loud_copies_are_the_same(tmp_path):
    y = music(4, sr=SR)
    loud, quiet = (hear(write(tmp_path / f"{gain}.wav", gain * y), variation=VARIATIONS[0]) for gain in (1.0, 0.1))
    assert np.abs(loud.astype(float) - quiet)[loud > -30].max() < 0.1


def test_playing_faster_moves_a_sine_up_and_shortens_it(tmp_path):
    path = write(tmp_path / "sine.wav", sine(4, sr=SR, hz=1000))
    other = write(tmp_path / "higher.wav", sine(4, sr=SR, hz=1250))
    slow, same, fast = (hear(path, variation=Variation(speed=speed)) for speed in (0.8, 1.0, 1.25))
    bands = [int(x.astype(np.float32).mean(axis=1).argmax()) for x in (slow, same, fast)]
    assert bands[0] < bands[1] < bands[2]
    assert bands[2] == hear(other, variation=Variation()).astype(np.float32).mean(axis=1).argmax()
    assert [x.shape[1] / same.shape[1] for x in (slow, fast)] == pytest.approx([1.25, 0.8], rel=0.02)


def test_the_codec_keeps_what_is_low_and_loses_what_is_high(tmp_path):
    y = noise(4, sr=SR)
    decoded = through_codec(y, sr=SR, bitrate=24_000)
    assert decoded.dtype == np.float32 and len(decoded) / len(y) == pytest.approx(1, abs=0.05)
    path = write(tmp_path / "noise.wav", y)
    plain, lossy = (hear(path, variation=Variation(bitrate=rate)).astype(np.float32) for rate in (0, 24_000))
    off = lossy.mean(axis=1) - plain.mean(axis=1)
    assert np.abs(off[5:40]).max() < 3
    assert off[-3:].max() < -6


def test_the_copy_through_a_codec_is_in_time_with_the_track(tmp_path):
    path = write(tmp_path / "a.wav", music(6, sr=SR))
    coded = Variation(bitrate=40_000, longest=4.08)  # of the middle, as of a long track, from its frame 60 on
    (track,), _ = load_tracks([path], folder=tmp_path / "kept", variations=(*VARIATIONS[:-1], coded), workers=0)
    whole = track.mels[0].read().astype(np.float32)
    assert track.has_copy and track.copied == range(60, 60 + track.mels[CODEC].shape[1])
    assert track.copy_of(np.arange(10)) is None and track.copy_of(np.arange(370, 376)) is None
    at = np.arange(80, 280)
    copy = track.copy_of(at)
    assert copy is not None
    loud = whole[:, at] > -10
    off = [np.abs(copy.astype(np.float32) - whole[:, at + lag])[loud].mean() for lag in range(-3, 4)]
    assert int(np.argmin(off)) == 3 and off[3] < 0.6 * min(off[2], off[4])


def test_only_the_middle_of_a_long_file_is_heard(tmp_path):
    y = np.concatenate([sine(4, sr=SR, hz=300), sine(4, sr=SR, hz=3000), sine(4, sr=SR, hz=300)])
    path = write(tmp_path / "three.wav", y)
    middle = hear(path, variation=Variation(longest=2.0))
    assert middle.shape[1] == pytest.approx(2 * material.FRAMES_PER_SECOND, abs=2)
    whole_band, high_band = (
        hear(one, variation=Variation()).astype(np.float32).mean(axis=1).argmax()
        for one in (path, write(tmp_path / "high.wav", sine(4, sr=SR, hz=3000)))
    )
    assert middle.astype(np.float32).mean(axis=1).argmax() == high_band != whole_band


def test_files_that_cannot_be_used_are_left_out_and_said(tmp_path):
    good = write(tmp_path / "good.wav", music(4, sr=SR))
    silent = write(tmp_path / "silent.wav", np.zeros(4 * SR, np.float32))
    short = write(tmp_path / "short.wav", music(0.7, sr=SR))
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    seen: list[tuple[int, int]] = []
    found, failed = load_tracks(
        [silent, good, short, text], folder=tmp_path / "kept", workers=0, progress=lambda *at: seen.append(at)
    )
    assert [track.path for track in found] == [good]
    assert set(failed) == {silent, short, text}
    assert isinstance(failed[silent], SilentError) and "silent" in str(failed[silent])
    assert isinstance(failed[short], TooShortError)
    assert seen[-1][1] == 16 and seen == sorted(seen)


def test_what_was_kept_is_not_heard_again_unless_it_is_damaged(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", music(4, sr=SR))
    kept = tmp_path / "kept"

    def load() -> Track:
        return load_tracks([path], folder=kept, variations=VARIATIONS[:1], workers=0)[0][0]

    def never(path: Path, *, variation: Variation) -> np.ndarray:
        raise AssertionError(path)

    first = load()
    x, file = first.mels[0].read(), first.mels[0].kept.file
    with monkeypatch.context() as patch:
        patch.setattr(material, "hear", never)
        assert np.array_equal(load().mels[0].read(), x)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:4000] + b"\x00" * 50 + whole[4050:]):
        file.write_bytes(damaged)
        again = load()
        assert again.mels[0].shape == x.shape
        assert np.array_equal(again.mels[0].read(), x)
    file.unlink()
    assert np.array_equal(first.mels[0].read(), x)

    write(path, music(3, sr=SR))
    file.unlink()
    with pytest.raises(ExperimentError, match=r"a\.wav: changed while it was learned from"):
        first.mels[0].read()


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    path = write(tmp_path / "a.wav", music(4, sr=SR))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot be kept there"):
        load_tracks([path], folder=tmp_path / "file", workers=0)


# --- passages ---


def test_equal_seeds_give_equal_passages_at_the_level_and_others_do_not(tracks):
    groups = [Group(tracks[:2], 0.3), Group(tracks[2:], 0.7)]
    all_of_it = MixtureSettings(
        mix=1, split=1, equaliser=1, stretch=1, dynamics=1, noise=1, lowpass=1, codec=1, varied=1
    )
    for settings in (MixtureSettings(), PLAIN, all_of_it):
        made = [make_mixture(groups, frames=300, seed=(0, i), settings=settings) for i in range(6)]
        for i, x in enumerate(made):
            assert x.shape == (2, 96, 300) and x.dtype == np.float32
            assert np.isfinite(x).all()
            assert [level_of(view) for view in x] == pytest.approx([LEVEL, LEVEL], abs=0.01)
            assert np.array_equal(x[0], x[1]) == (settings is PLAIN)
            assert np.array_equal(x, make_mixture(groups, frames=300, seed=(0, i), settings=settings))
            assert not np.array_equal(x, make_mixture(groups, frames=300, seed=(1, i), settings=settings))
            assert not any(np.array_equal(x, other) for other in made[:i])


def test_a_plain_passage_is_a_cut_of_its_track(tracks):
    x, _ = make_mixture([Group(tracks[:1], 1.0)], frames=200, seed=(0, 0), settings=PLAIN)
    whole = tracks[0].mels[0].read().astype(np.float32)
    off = [np.std(whole[:, start : start + 200] - x) for start in range(whole.shape[1] - 200)]
    assert min(off) < 1e-3 and sorted(off)[1] > 0.5


def test_a_short_track_goes_round(tracks):
    frames = 2 * tracks[0].mels[0].shape[1]
    x, _ = make_mixture([Group(tracks[:1], 1.0)], frames=frames, seed=(0, 0), settings=PLAIN)
    assert x.shape == (96, frames)
    np.testing.assert_allclose(x[:, : frames // 2], x[:, frames // 2 :], atol=1e-3)


def test_what_makes_the_copy_poorer_does_not_touch_the_passage(tracks):
    groups = [Group(tracks[:1], 1.0)]
    plain, _ = make_mixture(groups, frames=300, seed=(0, 0), settings=PLAIN)
    for change in ({"codec": 1}, {"noise": 1}, {"lowpass": 1}, {"colour_db": 2}):
        settings = dataclasses.replace(PLAIN, **change)
        passage, copy = make_mixture(groups, frames=300, seed=(0, 0), settings=settings)
        assert np.array_equal(passage, plain), change
        off = np.abs(copy - passage)
        assert 0.05 < off.mean() < 30, change
        if change == {"lowpass": 1}:
            assert off[:40].max() < 1 < off[-3:].min()
        if change == {"noise": 1}:
            assert (copy - passage > -0.5).all()


def test_two_tracks_may_share_the_bands(tracks):
    groups = [Group(tracks[:1], 1.0), Group(tracks[2:3], 1.0)]
    both = dataclasses.replace(PLAIN, mix=1, split=0, quietest=0)
    shared = dataclasses.replace(both, split=1)
    for seed in range(8):
        mixed, _ = make_mixture(groups, frames=200, seed=(0, seed), settings=both)
        split, _ = make_mixture(groups, frames=200, seed=(0, seed), settings=shared)
        assert np.abs(mixed - split).mean() > 0.3


def test_groups_are_drawn_by_their_share_and_sources_are_the_tracks_drawn(tracks):
    groups = [Group(tracks[:1], 3.0), Group(tracks[1:], 1.0)]
    drawn = [sources(groups, frames=100, seed=(0, i), settings=PLAIN) for i in range(400)]
    assert np.mean([one == (tracks[0],) for one in drawn]) == pytest.approx(0.75, abs=0.07)
    mixed = [sources(groups, frames=100, seed=(0, i), settings=MixtureSettings(mix=0.5)) for i in range(400)]
    assert np.mean([len(one) == 2 for one in mixed]) == pytest.approx(0.5, abs=0.08)
    for i in range(20):
        track = drawn[i][0]
        x = make_mixture(groups, frames=100, seed=(0, i), settings=PLAIN)
        y = make_mixture([Group([track], 1.0)], frames=100, seed=(0, i), settings=PLAIN)
        assert x.shape == y.shape


# --- the judge ---


def test_windows_are_spread_over_a_track(tracks):
    windows = windows_of(tracks[0])
    assert windows.shape == (12 * SR // 256 // WINDOW, 96, WINDOW) and windows.dtype == np.float32
    whole = tracks[0].mels[0].read()
    assert np.array_equal(windows[0], whole[:, :WINDOW]) and np.array_equal(windows[-1], whole[:, -WINDOW:])
    assert len(windows_of(tracks[0], count=2)) == 2


def test_a_track_shorter_than_a_window_goes_round(tmp_path):
    path = write(tmp_path / "a.wav", music(2.2, sr=SR))
    track = load_tracks([path], folder=tmp_path / "kept", variations=VARIATIONS[:1], workers=0)[0][0]
    windows, (_, frames) = windows_of(track), track.mels[0].shape
    assert windows.shape == (1, 96, WINDOW)
    assert np.array_equal(windows[0][:, frames:], windows[0][:, : WINDOW - frames])


def test_precision_and_hubness_of_albums():
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(3)
    vectors = np.repeat(centres, 6, axis=0) + rng.normal(size=(18, 3))
    names = np.repeat(["a", "b", "c"], 6)
    precision, hubness = album_precision(vectors.astype(np.float32), names)
    assert precision == 1.0 and abs(hubness) < 2
    assert album_precision(vectors.astype(np.float32), names[rng.permutation(18)])[0] < 0.7
    # one of many that lies near all of them
    star = np.vstack([np.eye(12), np.ones((1, 12))]).astype(np.float32)
    assert album_precision(star, ["x"] * 13, k=1)[1] > 2


def test_precision_of_fewer_tracks_than_are_asked_for():
    precision, hubness = album_precision(np.eye(3, dtype=np.float32), ["a", "a", "b"])
    assert precision == pytest.approx(1 / 3) and hubness == 0
