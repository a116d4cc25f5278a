"""What carried a tag: where a network looks is known by construction, and must be found there and nowhere else."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("captum")

from sound import FORMATS, Format, music
from soundkin.analysis import SILENCE
from soundkin.audio import decode, read_info
from soundkin.cli.main import run as soundkin
from soundkin.errors import InputError, SilentError, UnknownNameError
from soundkin.excerpts import ExcerptPlan
from soundkin.lab.tagging.explain import CONTROLS, choose_excerpts, explain, find_tag, write_excerpts
from soundkin.lab.tagging.occlusion import BANDS, BASELINES, Explained, Plan, Song, band_edges, occlude, random_arcs
from soundkin.lab.tagging.taggram import Spectrogram, Tagger, load_tagger, read_spectrogram
from tagger_file import FRONT_END, TAGS, write_tagger

SR, HOP, SEGMENT = FRONT_END.sr, FRONT_END.hop_length, 200
WAV = Format(".wav", "pcm_f32le", sr=SR)
WINDOW = 50  # frames: one second, the least


def samples(segments: float) -> int:
    """Samples that give exactly so many segments of frames."""
    return (round(segments * SEGMENT) - 1) * HOP


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def song(folder: Path) -> Path:
    """One segment."""
    return WAV.write(folder / "song.wav", music(5, sr=SR)[: samples(1)])


def tagger_of(folder: Path, weights: np.ndarray, name: str = "tiny") -> Tagger:
    """'low' has these weights (n_mels, SEGMENT), the other tags none; of mean 0 dB, 'low' has the probability 1/2."""
    full = np.zeros((32, SEGMENT, len(TAGS)))
    full[:, :, 0] = weights
    return load_tagger(write_tagger(folder / f"{name}.onnx", weights=full, bias=-weights.sum(), segment=SEGMENT))


def spot(bands: slice, frames: slice) -> np.ndarray:
    weights = np.zeros((32, SEGMENT))
    weights[bands, frames] = 10 / weights[bands, frames].size
    return weights


# --- what is found -----------------------------------------------------------------------------------------------


def test_the_region_a_network_looks_at_is_found_and_no_other(folder, song):
    tagger = tagger_of(folder, spot(slice(8, 16), slice(100, 150)))
    found = explain(song, tagger, "low")
    (part,) = found.segments
    assert part.cell_drops.shape == (4, 4) and part.window_drops.shape == (4,)
    others = np.ones((4, 4), bool)
    others[1, 2] = False
    assert part.cell_drops[1, 2] > 0.05
    assert np.abs(part.cell_drops[others]).max() < 1e-6
    assert part.window_drops[2] > 0.05 and np.abs(part.window_drops[[0, 1, 3]]).max() < 1e-6
    assert found.band_drops.argmax() == 1
    assert found.excerpts[0].start == pytest.approx(2.0, abs=0.4) and found.stands_out


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_drop_is_that_of_muting_by_hand(folder, song, baseline):
    rng = np.random.default_rng(1)
    tagger = tagger_of(folder, rng.uniform(-1, 2, (32, SEGMENT)) / 1000, "random")
    (part,) = explain(song, tagger, "low", baseline=baseline).segments
    spectrogram = read_spectrogram(song, FRONT_END)
    mel = spectrogram.mel
    level = BASELINES[baseline](mel, spectrogram.power >= SILENCE**2)

    def without(bands: slice, frames: slice) -> float:
        muted = mel.copy()
        muted[bands, frames] = level[bands, None]
        return float(tagger.probabilities(((muted + 60) / 60).astype(np.float32)[None])[0, 0])

    whole = without(slice(0, 0), slice(0, 0))
    assert part.probability == pytest.approx(whole, abs=1e-6)
    for i, drop in enumerate(part.window_drops):
        assert drop == pytest.approx(whole - without(slice(None), slice(i * WINDOW, (i + 1) * WINDOW)), abs=1e-5)
    for (row, i), drop in np.ndenumerate(part.cell_drops):
        bands, frames = slice(row * BANDS, (row + 1) * BANDS), slice(i * WINDOW, (i + 1) * WINDOW)
        assert drop == pytest.approx(whole - without(bands, frames), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_most_important_seconds_matter_more_than_the_least(folder, seed):
    path = WAV.write(folder / f"long-{seed}.wav", music(17, sr=SR, seed=seed)[: samples(4)])
    weights = np.random.default_rng(seed).uniform(0, 1, (32, SEGMENT)) ** 4 / 1000
    tagger = tagger_of(folder, weights, f"random-{seed}")
    found = explain(path, tagger, "low", excerpt=1, seconds=1)
    spectrogram = read_spectrogram(path, FRONT_END)
    edges = np.concatenate([part.window_edges[:-1] for part in found.segments])
    drops = np.concatenate([part.window_drops for part in found.segments])
    song = Song(spectrogram, tagger, 0, "quiet")
    starts = song.sounding_starts()
    heard = song.ask(starts)
    least, most = edges[drops.argmin()], edges[drops.argmax()]
    loses = {t: found.probability - song.mean_without(starts, heard, [(t, t + 1.0)]) for t in (least, most)}
    assert loses[most] > loses[least]
    assert loses[most] == pytest.approx(drops.max() / len(heard), rel=0.05)


def test_muting_what_is_as_quiet_anyway_loses_nothing(folder, song):
    tagger = tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT)))
    steady = np.repeat(np.linspace(-20, -60, 32, dtype=np.float32)[:, None], SEGMENT, axis=1)
    spectrogram = Spectrogram(read_info(song), FRONT_END, steady, np.ones(SEGMENT, np.float32))
    one = Song(spectrogram, tagger, 0, "quiet")
    part = occlude(one, 0, float(one.ask([0])[0]), Plan(one, 100), None)
    assert np.abs(part.cell_drops).max() < 1e-7 and np.abs(part.window_drops).max() < 1e-7


def test_a_tag_that_hears_nothing_has_no_seconds(folder, song):
    found = explain(song, tagger_of(folder, np.zeros((32, SEGMENT))), "low")
    assert found.excerpts == () and found.muted == found.probability == pytest.approx(0.5)
    assert len(found.controls) == 0 and found.stands_out is None


def test_the_time_is_bounded_and_the_most_probable_segments_are_explained(folder, monkeypatch):
    quiet, loud = 0.01 * music(17, sr=SR)[: samples(3)], music(9, sr=SR, seed=1)[: samples(2)]
    path = WAV.write(folder / "swell.wav", np.concatenate([quiet, loud, quiet]))
    tagger = tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT)))
    asked = []
    whole = Tagger.probabilities
    monkeypatch.setattr(Tagger, "probabilities", lambda self, x: asked.append(len(x)) or whole(self, x))
    told = []
    found = explain(path, tagger, "low", passes=45, progress=lambda done, total: told.append((done, total)))
    assert len(found.segments) == 2 and len(found.heard) == 8
    assert all(11.5 < part.start < 20.5 for part in found.segments)
    assert sum(asked) <= 45 + 8 * (1 + 1) + 45 + 8
    assert told[-1] == (40, 40) and told == sorted(told)


def test_a_song_shorter_than_a_segment_is_repeated(folder):
    path = WAV.write(folder / "short.wav", music(2.5, sr=SR))
    found = explain(path, tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT))), "low")
    (part,) = found.segments
    assert part.end == pytest.approx(2.5, abs=0.02) and part.cell_drops.shape == (4, 2)
    assert len(found.excerpts) == 1


# --- the control -------------------------------------------------------------------------------------------------


def test_controls_are_other_sounding_seconds_of_the_same_segments(folder, monkeypatch):
    y = music(17, sr=SR)[: samples(4)]
    y[round(8.5 * SR) : round(10 * SR)] = 0  # in the third segment, the loudest but for that
    y[: 8 * SR] *= 0.01
    y[12 * SR :] *= 0.01
    path = WAV.write(folder / "gap.wav", y)
    muted = []
    whole = Song.without
    monkeypatch.setattr(Song, "without", lambda self, s, h, m: muted.append((self, m)) or whole(self, s, h, m))
    found = explain(
        path, tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT))), "low", passes=20, excerpt=1, seconds=1
    )
    (part,) = found.segments
    assert 8 <= part.start <= part.end <= 12.1
    song = muted[-1][0]
    draws = [frames for _, frames in muted[-1 - len(found.controls) : -1]]  # the excerpts come last
    excerpt = song.frames_of([(one.start, one.end) for one in found.excerpts])
    segment = song.frames_of([(part.start, part.end)])
    assert len(draws) >= 10
    for frames in draws:
        assert frames.sum() == excerpt.sum()
        assert not (frames & (excerpt | ~segment | ~song.sounding)).any()
    assert len({frames.tobytes() for frames in draws}) > 5


def test_a_network_that_looks_everywhere_has_no_moment_that_stands_out(folder):
    second = music(1, sr=SR)[:SR]
    path = WAV.write(folder / "steady.wav", np.tile(second, 9)[: samples(2)])
    found = explain(
        path, tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT)), "all"), "low", excerpt=1.5, seconds=1.5
    )
    assert len(found.controls) == CONTROLS
    assert found.controls.max() < found.probability  # muting any second loses something
    assert found.muted == pytest.approx(found.controls.mean(), abs=0.01)


def test_without_other_seconds_there_is_no_control(folder, song):
    tagger = tagger_of(folder, spot(slice(0, 32), slice(0, SEGMENT)))
    one = Song(read_spectrogram(song, FRONT_END), tagger, 0, "quiet")
    heard = one.ask([0])
    ask = {"draws": 5, "passes": 9, "rng": np.random.default_rng(0)}
    assert len(one.controls([0], heard, [0], [(0.0, 2.5)], **ask)) == 0
    assert len(one.controls([0], heard, [0], [], **ask)) == 0
    assert len(one.controls([0], heard, [0], [(0.0, 1.0)], **ask | {"passes": 3})) == 3


@pytest.mark.parametrize("seed", range(5))
def test_arcs_thrown_at_random_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    assert len(np.unique(random_arcs(20, [3, 5, 2], rng))) == 10
    assert sorted(random_arcs(10, [3, 5, 2], rng).tolist()) == list(range(10))
    often = np.bincount(np.concatenate([random_arcs(20, [3, 5], rng) for _ in range(3000)]), minlength=20)
    assert np.abs(often / 3000 - 0.4).max() < 0.05


def test_bands_meet_from_end_to_end():
    edges = band_edges(FRONT_END)
    assert edges[0] == 0 and edges[-1] == SR / 2 and len(edges) == 5 and (np.diff(edges) > 0).all()


# --- excerpts ----------------------------------------------------------------------------------------------------


def part_of(drops: list[float], start: float = 0.0) -> Explained:
    edges = start + np.arange(len(drops) + 1.0)
    return Explained(start, edges[-1], 0.5, edges, np.array(drops), edges, np.array([drops]))


def test_excerpts_are_the_best_spans_and_do_not_overlap():
    found = choose_excerpts([part_of([0, 1, 5, 1, 0, 0, 2, 2, 0]), part_of([9, 0, 0, -1], 30)], seconds=9, length=3)
    assert [(one.start, one.end, one.drop) for one in found] == [(30, 33, 9), (1, 4, 7), (5, 8, 4)]
    assert [one.start for one in choose_excerpts([part_of([1, 2, 3])], seconds=1, length=1)] == [2]
    assert choose_excerpts([part_of([-1.0, -2.0])], seconds=9, length=1) == ()


@pytest.mark.parametrize("kind", ["wav-16", "mp3", "opus"])
def test_the_sound_is_that_of_the_song(folder, kind):
    form = FORMATS[kind]
    path = form.write(folder / f"sound-{kind}{form.suffix}", music(13, sr=form.sr))
    found = explain(path, tagger_of(folder, spot(slice(0, 16), slice(0, 60))), "low", excerpt=1.5, seconds=3)
    target = folder / f"{kind}.wav"
    seconds = write_excerpts(found, target)
    with wave.open(str(target)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, form.sr)
        y = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert len(found.excerpts) == 2 and seconds == pytest.approx(3.25, abs=0.02) == len(y) / form.sr
    whole = decode(path, sr=form.sr, excerpts=ExcerptPlan(0, 60.0))[1][0].y
    first = min(found.excerpts, key=lambda one: one.start)
    begin, middle = round(first.start * form.sr), slice(form.sr // 2, form.sr)
    np.testing.assert_allclose(y[middle], whole[begin:][middle], atol=2e-3)
    assert y[0] == 0


# --- the command -------------------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    return soundkin(["lab", "explain", *map(str, arguments)])


def test_the_command_writes_picture_numbers_and_sound(folder, tmp_path, capsys):
    path = WAV.write(tmp_path / "a song.wav", music(13, sr=SR))
    tagger = tagger_of(tmp_path, spot(slice(8, 16), slice(100, 150)))
    assert run(path, "--tag", "LOW", "--model", tagger.path, "--out", tmp_path / "out") == 0
    output = capsys.readouterr()
    assert "a song.wav: low" in output.out and "only one beyond all draws" in output.out and "Hz" in output.out
    assert "asking the model" in output.err and "wrote" in output.err
    assert {one.name for one in (tmp_path / "out").iterdir()} == {
        f"a song.low.{kind}" for kind in ("png", "json", "wav")
    }
    document = json.loads((tmp_path / "out" / "a song.low.json").read_text())
    assert document["tag"] == "low" and len(document["bands"]) == 4
    compared = document["probability_without_other_seconds"]
    assert compared["lowest"] <= compared["mean"] <= compared["highest"] and compared["draws"] >= 10
    assert document["stands_out"] == (document["probability_without_excerpts"] < compared["lowest"])
    part = document["explained"][0]
    assert len(part["cell_drops"]) == 4 and len(part["cell_drops"][0]) == len(part["cell_edges"]) - 1
    assert run(path, "--tag", "low", "--model", tagger.path, "--out", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out) == document


def test_what_cannot_be_explained_is_said(folder, song, tmp_path, capsys):
    tagger = tagger_of(tmp_path, np.zeros((32, SEGMENT)))
    mute = write_tagger(tmp_path / "mute.onnx", tags=())
    silent = WAV.write(tmp_path / "silent.wav", np.zeros(5 * SR, np.float32))
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    ask = ("--tag", "low", "--out", tmp_path / "out")
    for arguments, said, code in [
        ((song, "--tag", "jazz", "--model", tagger.path), "unknown tag of tiny", 2),
        ((song, "--tag", "jazz", "--model", tagger.path), "bright, high, low", 2),
        ((song, *ask, "--model", "timbre"), "which tagger?", 2),
        ((song, *ask, "--model", mute), "tells no tags", 1),
        ((tmp_path, *ask, "--model", tagger.path), "it is a folder", 2),
        ((tmp_path / "none.mp3", *ask, "--model", tagger.path), "no such file", 2),
        ((silent, *ask, "--model", tagger.path), "silent", 1),
        ((text, *ask, "--model", tagger.path), "no audio format", 1),
        ((song, *ask, "--model", tagger.path, "--baseline", "zero"), "there are: quiet, mean", 2),
        ((song, *ask, "--model", tagger.path, "--seconds", 2), "excerpts have 1 s or more", 2),
    ]:
        assert run(*arguments) == code, said
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tags_are_found_whatever_their_capitals(folder, song):
    tagger = tagger_of(folder, np.zeros((32, SEGMENT)))
    assert [find_tag(tagger, name) for name in ("low", "High", " BRIGHT ")] == [0, 1, 2]
    with pytest.raises(UnknownNameError):
        find_tag(tagger, "")
    with pytest.raises(InputError):
        explain(song, tagger, "low", seconds=0.5)
    silent = WAV.write(folder / "silent.wav", np.zeros(5 * SR, np.float32))
    with pytest.raises(SilentError):
        explain(silent, tagger, "low")
