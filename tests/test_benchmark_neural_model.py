"""The program that prints every figure of a neural model: what it hears, how it reckons, what it prints."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.stats import spearmanr

import sound
from soundkin.analysis import analyse
from soundkin.audio import read_info
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.datasets.categories import plain_labels
from soundkin.lab.distill.vocabulary import MERGED, VOCABULARIES
from soundkin.model import Space, load_model
from tagger_file import write_tagger

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LABELS = [merged.label for merged in MERGED]
RNG = np.random.default_rng(0)


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("neural_figures")


@pytest.fixture
def hearing(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("neural_hearing")


# --- where songs lie ------------------------------------------------------------------------------------------------


def test_similarities_are_cosines_as_the_space_says(figures):
    x = RNG.standard_normal((20, 4)).astype(np.float32) * (1, 1, 1, 100) + 3

    def cosines(x):
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return x @ x.T

    plain, scored = (figures.index_of(x, Space(4, standardise=z)) for z in (False, True))
    np.testing.assert_allclose(plain.similarities(plain.vectors), cosines(x), atol=1e-5)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(scored.similarities(scored.vectors), cosines(z), atol=1e-5)


def test_songs_find_themselves_or_another(figures):
    x = np.eye(4, dtype=np.float32)
    other = x.copy()
    other[0] += 2 * x[1]  # in its other form the first song sounds more like the second
    found = figures.find_themselves(other, x, Space(4))
    assert found.first.tolist() == [False, True, True, True]
    np.testing.assert_allclose(found.cosine, [1 / np.sqrt(5), 1, 1, 1], atol=1e-6)


# --- genres ---------------------------------------------------------------------------------------------------------


def genres() -> Dataset:
    """Thirty clips of two genres, ten a part, two of an artist."""
    clips = [
        Clip(f"{genre}.{i:05}", genre, f"artist {genre} {i // 2}") for genre in ("blues", "rock") for i in range(15)
    ]
    parts = {
        part: tuple(clip.id for i, clip in enumerate(clips) if i % 15 // 5 == k)
        for k, part in enumerate(("train", "valid", "test"))
    }
    return Dataset("gtzan-clips", tuple(clips), "none", "none", parts={"filtered": parts})


def test_genres_are_learnt_of_the_training_part_and_asked_of_the_validation_part(figures):
    data = genres()
    x = RNG.standard_normal((30, 6)).astype(np.float32)
    x[:, 0] += 10 * data.y
    wrong = data.ids.index("rock.00006")
    x[wrong, 0] -= 20
    x[[i for i, id in enumerate(data.ids) if id in data.parts["filtered"]["test"]]] = np.nan  # a look there would fail
    outcomes = figures.genre_outcomes(x, data)
    assert set(outcomes.ids) == set(data.parts["filtered"]["valid"])
    assert outcomes.accuracy == pytest.approx(0.9)
    assert outcomes.right[outcomes.ids.index("rock.00006")] == 0
    assert len(np.unique(outcomes.groups)) == 6  # the artists of five clips: a pair, a pair, and one cut by the parts


def test_the_test_part_is_left_out_before_anything_is_heard(figures):
    heard = figures.parts_of(genres(), "train", "valid")
    assert len(heard.clips) == 20 and not set(heard.ids) & set(heard.parts["filtered"]["test"])
    assert set(figures.parts_of(heard, "valid").ids) == set(heard.parts["filtered"]["valid"])


# --- tags -----------------------------------------------------------------------------------------------------------


def test_a_teacher_is_known_by_name_and_tags(figures):
    tags = plain_labels(VOCABULARIES["jamendo"])
    assert figures.vocabulary_of("jamendo-fcn", tags) == "jamendo"
    assert figures.vocabulary_of("jamendo-fcn", tags[::-1]) is None
    assert figures.vocabulary_of("soundkin", LABELS) is None


def test_tags_are_matched_by_label_and_a_teachers_are_merged(figures):
    told = figures.merged_tags("soundkin", ["harp", "rock", "yodelling"], np.float32([[0.1, 0.2, 0.3]]))
    assert told[0, LABELS.index("rock")] == np.float32(0.2) and told[0, LABELS.index("harp")] == np.float32(0.1)
    assert np.isfinite(told).sum() == 2
    p = np.zeros((1, 50))
    p[0, VOCABULARIES["mtat"].index("woman")] = 0.7
    told = figures.merged_tags("mtat-fcn", plain_labels(VOCABULARIES["mtat"]), p)
    assert told[0, LABELS.index("female vocals")] == np.float32(0.7)


def test_the_teachers_of_a_vocabulary_are_averaged_before_vocabularies_are(figures):
    rock = VOCABULARIES["msd"].index("rock"), VOCABULARIES["mtat"].index("rock")
    msd, other, mtat = (np.full((1, 50), 0.1) for _ in range(3))
    msd[0, rock[0]], other[0, rock[0]], mtat[0, rock[1]] = 0.2, 0.6, 0.8
    mean = figures.mean_of_teachers({"msd": [msd, other], "mtat": [mtat]})
    assert mean[0, LABELS.index("rock")] == pytest.approx(0.6)
    logits = figures.mean_of_teachers({"msd": [msd, other], "mtat": [mtat]}, logits=True)
    assert logits[0, LABELS.index("rock")] == pytest.approx(1 / (1 + np.sqrt((0.6 / 0.4) * (0.2 / 0.8))))


def test_spearman_is_scipys_and_a_tag_that_never_changes_tells_nothing(figures):
    a, b = RNG.integers(0, 5, (40, 3)).astype(float), RNG.standard_normal((40, 3))
    b[:, 1] += a[:, 1]
    a[:, 2] = 0.5
    found = figures.spearman(a, b)
    assert found[:2] == pytest.approx([spearmanr(a[:, i], b[:, i]).statistic for i in range(2)])
    assert found[2] == 0


def test_agreement_is_over_the_tags_that_both_tell(figures):
    teachers = RNG.random((30, len(LABELS))).astype(np.float32)
    ours = teachers**2
    ours[:, LABELS.index("harp")] = np.nan
    teachers[:, LABELS.index("rock")] = np.nan
    found = figures.agreement(ours, teachers, resamples=20)
    assert set(LABELS) - set(found.labels) == {"harp", "rock"}
    assert found.mean == found.low == found.high == pytest.approx(1)
    ours[:, LABELS.index("pop")] *= -1
    found = figures.agreement(ours, teachers, resamples=20)
    assert found.per_tag[found.labels.index("pop")] == pytest.approx(-1)
    assert figures.agreement(np.full_like(ours, np.nan), teachers) is None


def test_the_tags_of_a_track_are_told_with_the_likeliest_first(figures):
    assert figures.top_tags(np.array([0.1, 0.75, 0.5]), ["sad", "rock", "guitar"], n=2) == "rock .75, guitar .50"


# --- hearing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tagger(tmp_path) -> Path:
    return write_tagger(tmp_path / "tiny.onnx", excerpts="3x2")


def test_a_half_is_heard_as_if_the_file_had_been_cut_there(hearing, tagger, tmp_path):
    y = sound.music(24, sr=8000)
    wav = sound.FORMATS["wav-32"]
    path = sound.Format(wav.suffix, wav.codec, sr=8000).write(tmp_path / "whole.wav", y)
    for form, part in (("first half", y[: len(y) // 2]), ("second half", y[len(y) // 2 :])):
        cut = sound.Format(wav.suffix, wav.codec, sr=8000).write(tmp_path / f"{form}.wav", part)
        alone = analyse(cut, model=load_model(tagger))
        found = hearing.hear(path, model=str(tagger), form=form, folder=tmp_path)
        np.testing.assert_allclose(found, np.r_[alone.vector, alone.tags], atol=0.02)
    first, second = (hearing.hear(path, model=str(tagger), form=f, folder=tmp_path) for f in hearing.FORMS[2:])
    assert np.abs(first - second).max() > 0.1


def test_quieter_is_twelve_decibels(hearing, tagger, tmp_path):
    y = sound.music(24, sr=8000)
    path = sound.FORMATS["wav-float"].write(tmp_path / "loud.wav", y)
    quiet = sound.FORMATS["wav-float"].write(tmp_path / "quiet.wav", y * np.float32(10 ** (-12 / 20)))
    alone = analyse(quiet, model=load_model(tagger))
    found = hearing.hear(path, model=str(tagger), form="quieter", folder=tmp_path)
    np.testing.assert_allclose(found, np.r_[alone.vector, alone.tags], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_is_made_once_and_of_the_same_sound(hearing, tmp_path, channels):
    y = np.tile(sound.music(20, sr=44100), (channels, 1))
    path = sound.Format(".flac", "flac", sr=44100, samples="s16").write(tmp_path / "song.flac", y)
    mp3 = hearing.as_mp3(path, tmp_path / "mp3")
    info = read_info(mp3)
    assert (info.codec, info.channels, info.sr) == ("mp3", channels, 44100)
    assert info.duration == pytest.approx(20, abs=0.1)
    assert info.bit_rate == pytest.approx(64000, rel=0.05)
    before = mp3.stat().st_mtime_ns
    assert hearing.as_mp3(path, tmp_path / "mp3") == mp3
    assert mp3.stat().st_mtime_ns == before
    assert [file.name for file in (tmp_path / "mp3").iterdir()] == [mp3.name]


def test_files_are_heard_once_and_those_that_cannot_be_are_left_out(hearing, tagger, tmp_path, capsys, monkeypatch):
    good = sound.FORMATS["flac"].write(tmp_path / "good.flac", sound.music(12))
    bad = tmp_path / "bad.flac"
    bad.write_bytes(b"no music")
    model = load_model(tagger)
    for _ in range(2):
        ears = hearing.Ears(tmp_path / "cache", tmp_path, 0)
        ears.listen(str(tagger), model, [good, bad])
        assert ears.could([model], [good, bad]) == [good]
        assert ears.vectors(model, [good]).shape == (1, 32)
        assert ears.own_tags(model, [good]).shape == (1, 3)
        assert "bad.flac" in capsys.readouterr().err
        monkeypatch.setattr(hearing, "analyse", lambda path, **_: pytest.fail("heard again") if path == good else None)


# --- the program ----------------------------------------------------------------------------------------------------


def albums(folder: Path) -> Path:
    """Two albums of three tracks, one low and one high, and one album more that is no dev soundtrack."""
    for k, (name, hz) in enumerate((("wesnoth-1.16-music", 200), ("hedgewars-data", 2500), ("zaz-data", 1000))):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            y = sound.sine(31, sr=8000, hz=hz + 20 * i, level=0.2) + sound.noise(
                31, sr=8000, level=0.01, seed=10 * k + i
            )
            sound.Format(".flac", "flac", sr=8000, samples="s16").write(folder / name / f"{i}.flac", y)
    return folder


def test_the_program_prints_every_table(tmp_path):
    model = write_tagger(tmp_path / "tiny.onnx", tags=(("rock", "genre"), ("pop", "genre"), ("happy", "mood")))
    labels = plain_labels(VOCABULARIES["msd"])
    weights = RNG.standard_normal((32, 50, 50)) / 1600
    tags = tuple((label, "genre") for label in labels)
    teacher = write_tagger(tmp_path / "msd-tiny.onnx", weights=weights, tags=tags)
    command = [sys.executable, str(BENCHMARKS / "neural_model.py"), "--model", str(model), "--teachers", str(teacher)]
    more = ["--music", str(albums(tmp_path / "music")), "--workers", "0", "--cache", str(tmp_path / "cache"), "--read"]
    process = subprocess.run([*command, *more], capture_output=True, encoding="utf-8", check=False)
    assert process.returncode == 0, process.stderr
    titles = [line[4:] for line in process.stdout.splitlines() if line.startswith("### ")]
    assert titles == [
        "Same-album precision at 5, 6 tracks, dev soundtracks",
        "Same-album precision at 5, 9 tracks, all albums, also those that it learned from",
        "Size and speed, ONNX Runtime, one thread",
        "A song against itself, 6 dev tracks",
        "Tag agreement with the mean of the teachers (1 of msd), 6 dev soundtracks",
        f"What {load_model(model).id} reads in the dev soundtracks",
    ]
    assert "**tiny-" in process.stdout and "Best teacher: msd-tiny-" in process.stdout
    assert "−12 dB against the original" in process.stdout and "Worst tags of tiny" in process.stdout
    assert (tmp_path / "cache" / "mp3").is_dir()
    assert av.open(str(next((tmp_path / "cache" / "mp3").iterdir()))).format.name == "mp3"
