"""Tags over time: what is heard of a whole file, its passages, and the command, on tones whose tags are known."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from sound import Format, music, noise, sine
from soundkin.cli.main import run as soundkin
from soundkin.errors import InputError, ModelError, SilentError
from soundkin.lab.datasets import load_dataset
from soundkin.lab.tagging import taggram as module
from soundkin.lab.tagging.passages import leading, mixture, passages
from soundkin.lab.tagging.tagcsv import carried
from soundkin.lab.tagging.taggram import Taggram, default_hop, hear_taggram, load_tagger, read_spectrogram
from soundkin.model import Tag
from soundkin.spectrogram import log_mel
from tagger_file import FRONT_END, write_tagger

SR = FRONT_END.sr
WAV = Format(".wav", "pcm_f32le", sr=SR)
LOW, HIGH = 250.0, 3500.0


def tone(seconds: float, hz: float) -> np.ndarray:
    return sine(seconds, sr=SR, hz=hz) + noise(seconds, sr=SR, level=0.001)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SR), np.float32)


@pytest.fixture
def tagger(tmp_path: Path) -> module.Tagger:
    return load_tagger(write_tagger(tmp_path / "tiny.onnx"))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """20 s of a low tone, then 15 s of a high one."""
    return WAV.write(tmp_path / "song.wav", np.concatenate([tone(20, LOW), tone(15, HIGH)]))


def made(probabilities: np.ndarray, *, width: float = 1.0, sounding: np.ndarray | None = None) -> Taggram:
    """A taggram of genres a, b, … and the mood 'calm', columns of `width` seconds."""
    n, tags = probabilities.shape
    names = [*(Tag(chr(97 + i), "genre") for i in range(tags - 1)), Tag("calm", "mood")]
    heard = np.ones(n, bool) if sounding is None else sounding
    told = np.where(heard[:, None], probabilities, 0).astype(np.float32)
    return Taggram(Path("song.mp3"), "made-1", False, tuple(names), np.arange(n + 1) * width, told, heard)


# --- hearing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_a_file_in_blocks_has_the_spectrogram_of_all_its_samples(tmp_path, monkeypatch, pad_mode):
    front_end = replace(FRONT_END, pad_mode=pad_mode)
    y = music(11.37, sr=SR)
    path = WAV.write(tmp_path / "song.wav", y)
    monkeypatch.setattr(module, "_BLOCK", 2.0)
    found = read_spectrogram(path, front_end)
    expected = log_mel(y, front_end)
    assert found.mel.shape == expected.shape
    np.testing.assert_allclose(found.mel, expected, atol=0.01)
    assert found.power.shape == (expected.shape[1],)


def test_segments_side_by_side_answer_as_the_model_does(tmp_path, tagger):
    y = music(6, sr=SR)[: (6 * 50 - 1) * FRONT_END.hop_length]
    heard = hear_taggram(WAV.write(tmp_path / "song.wav", y), tagger)
    np.testing.assert_allclose(heard.probabilities, tagger.model.hear(y)[:, FRONT_END.n_mels :], atol=1e-4)
    np.testing.assert_allclose(heard.edges[:-1], np.arange(6), atol=0.02)
    assert heard.duration == pytest.approx(len(y) / SR, abs=0.001)


def test_a_file_shorter_than_a_segment_answers_as_the_model_does(tmp_path):
    tagger = load_tagger(write_tagger(tmp_path / "long.onnx", segment=400))
    y = music(2.5, sr=SR)
    heard = hear_taggram(WAV.write(tmp_path / "song.wav", y), tagger)
    assert heard.probabilities.shape == (1, 3)
    np.testing.assert_allclose(heard.probabilities, tagger.model.hear(y)[:, FRONT_END.n_mels :], atol=1e-4)
    assert heard.edges.tolist() == pytest.approx([0, 2.5])


def test_overlapping_segments_give_more_columns_of_the_same_song(song, tagger):
    coarse, fine = hear_taggram(song, tagger), hear_taggram(song, tagger, hop=0.25)
    assert len(fine.probabilities) > 3.9 * len(coarse.probabilities)
    assert (np.diff(fine.edges) > 0).all() and fine.edges[0] == 0
    assert fine.duration == coarse.duration == pytest.approx(35)
    np.testing.assert_allclose(fine.means, coarse.means, atol=0.03)


def test_a_long_segment_has_eight_columns(tmp_path, tagger):
    assert default_hop(tagger) == 1.0
    assert default_hop(load_tagger(write_tagger(tmp_path / "long.onnx", segment=400))) == 1.0


@pytest.mark.parametrize("hop", [0.01, 1.2, float("nan")])
def test_a_hop_that_leaves_gaps_or_is_no_number_is_refused(song, tagger, hop):
    with pytest.raises(InputError, match="a hop is at least"):
        hear_taggram(song, tagger, hop=hop)


def test_silence_is_marked_and_not_averaged(tmp_path, tagger):
    y = np.concatenate([tone(6, LOW), silence(6), tone(6, LOW)])
    heard = hear_taggram(WAV.write(tmp_path / "gap.wav", y), tagger)
    assert heard.sounding.tolist() == [True] * 6 + [False] * 6 + [True] * 6
    assert not heard.probabilities[~heard.sounding].any()
    alone = hear_taggram(WAV.write(tmp_path / "whole.wav", tone(12, LOW)), tagger)
    np.testing.assert_allclose(heard.means, alone.means, atol=0.02)
    assert [part.tags[0][0].label for part in passages(heard, shortest=3)] == ["low", "silence", "low"]


def test_a_silent_file_and_a_model_without_tags_are_refused(tmp_path, tagger):
    with pytest.raises(SilentError, match="silent"):
        hear_taggram(WAV.write(tmp_path / "silent.wav", silence(5)), tagger)
    with pytest.raises(ModelError, match="tells no tags"):
        load_tagger(write_tagger(tmp_path / "mute.onnx", tags=()))


def test_calibrated_is_what_the_card_says(tmp_path):
    assert not load_tagger(write_tagger(tmp_path / "plain.onnx")).calibrated
    assert load_tagger(write_tagger(tmp_path / "true.onnx", calibrated=True)).calibrated


# --- passages ----------------------------------------------------------------------------------------------------


def test_passages_tell_which_part_is_what(song, tagger):
    first, second = passages(hear_taggram(song, tagger))
    assert (first.start, second.end) == (0, pytest.approx(35))
    assert first.end == second.start == pytest.approx(20, abs=1)
    assert first.tags[0][0].label == "low"
    assert second.tags[0][0].label == "high"


def test_a_moment_of_something_else_is_no_passage():
    p = np.tile([0.6, 0.1, 0.3], (40, 1))
    p[18:21] = [0.1, 0.6, 0.3]
    assert [span.tag.label for span in leading(made(p), "genre", shortest=8)] == ["a"]
    p[18:32] = [0.1, 0.6, 0.3]
    found = leading(made(p), "genre", shortest=8)
    assert [span.tag.label for span in found] == ["a", "b", "a"]
    assert found[1].start == pytest.approx(18, abs=1) and found[1].probability == pytest.approx(0.6, abs=0.05)


def test_an_improbable_leader_is_not_named():
    p = np.tile([0.6, 0.1, 0.05], (20, 1))
    (one,) = passages(made(p), floor=0.1)
    assert [tag.label for tag, _ in one.tags] == ["a"]


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    width=st.sampled_from([0.5, 3.0]),
    quiet=st.sampled_from([0, 0.3]),
)
@example(seed=40, n=15, width=3.0, quiet=0.3)  # a short sound between two silences
@settings(max_examples=60)
def test_passages_cover_the_song_without_gaps(seed, n, width, quiet):
    rng = np.random.default_rng(seed)
    sounding = rng.random(n) >= quiet
    sounding[rng.integers(n)] = True
    taggram = made(rng.random((n, 4)), width=width, sounding=sounding)
    found = passages(taggram, shortest=5)
    assert found[0].start == 0 and found[-1].end == taggram.duration
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    if taggram.duration >= 5:
        assert min(part.end - part.start for part in found) >= 5 - 1e-9
    spans = leading(taggram, "genre", shortest=5)
    assert spans[0].start == 0 and spans[-1].end == taggram.duration
    assert all(a.end == b.start and a.tag != b.tag for a, b in itertools.pairwise(spans))


def test_a_song_of_several_genres_is_mixed():
    mixed = made(np.tile([0.45, 0.41, 0.1, 0.9], (10, 1)))
    assert [(tag.label, round(p, 2)) for tag, p in mixture(mixed)] == [("a", 0.45), ("b", 0.41)]
    assert [tag.label for tag, _ in mixture(made(np.tile([0.45, 0.2, 0.9], (10, 1))))] == ["a"]
    assert mixture(made(np.tile([0.05, 0.04, 0.9], (10, 1)))) == []


# --- labels ------------------------------------------------------------------------------------------------------


def test_the_top_share_of_each_tag_carries_it():
    p = np.array([[0.9, 0.01], [0.8, 0.04], [0.7, 0.03], [0.6, 0.02]])
    assert carried(p, top_share=0.5).T.tolist() == [[True, True, False, False], [False, True, True, False]]
    assert carried(p, top_share=0.01).sum(axis=0).tolist() == [1, 1]
    assert carried(p, above=0.7).sum(axis=0).tolist() == [3, 0]


@pytest.mark.parametrize("rule", [{}, {"top_share": 0.1, "above": 0.5}, {"above": 0.0}, {"top_share": 1.0}])
def test_a_rule_that_says_nothing_is_refused(rule):
    with pytest.raises(InputError, match=r"--(top-share|above)"):
        carried(np.zeros((2, 2)), **rule)


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "music" / "album"
    folder.mkdir(parents=True)
    for name, hz in (("low", LOW), ("lower", LOW / 1.2), ("high", HIGH), ("higher", HIGH * 1.05)):
        WAV.write(folder / f"{name}.wav", tone(3, hz), tags={"artist": f"The {name}s"})
    return folder


def tag(*arguments: object, cache: Path) -> int:
    """In this process, unless the arguments say otherwise."""
    workers = () if "-j" in arguments else ("-j", 0)
    return soundkin(["lab", "tag", *map(str, (*arguments, *workers, "--cache", cache))])


def test_the_command_prints_tags_passages_and_json(song, tagger, tmp_path, capsys):
    assert tag(song, "--model", tagger.path, cache=tmp_path / "kept") == 0
    text = capsys.readouterr().out
    assert "song.wav  0:35" in text and "as the network gives them" in text
    assert re.search("0:(19|20|21)–0:35  high", text) and "mixed: high" in text
    assert tag(song, "--model", tagger.path, "--json", "--taggram", "--top", 2, cache=tmp_path / "kept") == 0
    document = json.loads(capsys.readouterr().out)
    (one,) = document["files"]
    assert document["model"] == one["model"] == tagger.model.id and document["calibrated"] is False
    assert one["duration"] == pytest.approx(35) and len(one["tags"]) == 2
    assert one["tags"][0].keys() == {"tag", "category", "probability"}
    assert one["taggram"]["labels"] == ["low", "high", "bright"]
    assert len(one["taggram"]["edges"]) == len(one["taggram"]["probabilities"]) + 1 == 36


def test_pictures_and_json_are_written_for_each_file(album, tagger, tmp_path, capsys):
    (album / "sub").mkdir()
    WAV.write(album / "sub" / "low.wav", np.concatenate([tone(2, LOW), silence(3)]))
    out = tmp_path / "out"
    assert tag(album, "--model", tagger.path, "--out", out, cache=tmp_path / "kept") == 0
    assert "wrote 5 taggrams" in capsys.readouterr().err
    names = {path.name for path in out.iterdir()}
    assert {"low.taggram.png", "low.taggram.json", "low-2.taggram.png", "higher.taggram.json"} <= names
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in out.glob("*.png"))
    assert json.loads((out / "low-2.taggram.json").read_text())["taggram"]["sounding"].count(False) == 3


def test_a_broken_file_costs_only_itself(album, tagger, tmp_path, capsys):
    (album / "broken.mp3").write_bytes(b"no music at all")
    assert tag(album, "--model", tagger.path, "--json", "-j", 2, cache=tmp_path / "kept") == 3
    output = capsys.readouterr()
    document = json.loads(output.out)
    assert len(document["files"]) == 4 and "broken.mp3" in document["failures"][0]["file"]
    assert "failed: " in output.err and "broken.mp3" in output.err
    assert tag(album / "broken.mp3", "--model", tagger.path, cache=tmp_path / "kept") == 1


def test_what_cannot_be_done_is_said(album, tagger, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    mute = write_tagger(tmp_path / "mute.onnx", tags=())
    for arguments, said, code in [
        ((album, "--model", "timbre"), "which tagger?", 2),
        ((album, "--model", tmp_path / "none.onnx"), "cannot be read", 1),
        ((album, "--model", mute), "tells no tags", 1),
        ((tmp_path / "nothing", "--model", tagger.path), "nothing", 2),
        ((tmp_path / "empty", "--model", tagger.path), "no audio files", 2),
        ((album, "--model", tagger.path, "--model", tagger.path), "--write-csv only", 2),
        ((album, "--model", tagger.path, "--top-share", 0.5), "--write-csv", 2),
        ((album, "--model", tagger.path, "--write-csv", album.parent / "tags.csv"), "--top-share S or --above P", 2),
        ((album, "--model", tagger.path, "--write-csv", tmp_path / "x" / "tags.csv", "--above", 0.5), "lie below", 2),
    ]:
        assert tag(*arguments, cache=tmp_path / "kept") == code, said
        assert said in capsys.readouterr().err


def test_the_labels_are_a_dataset(album, tagger, tmp_path, capsys):
    other = write_tagger(tmp_path / "other.onnx", bias=1.0)
    target = album.parent / "tags.csv"
    models = ("--model", tagger.path, "--model", other)
    assert tag(album, *models, "--write-csv", target, "--top-share", 0.5, cache=tmp_path / "kept") == 0
    assert "4 files" in capsys.readouterr().out
    assert target.read_text().splitlines()[0] == "path,tags,artist,album,part"
    dataset = load_dataset("folder", album.parent)
    assert {clip.id: set(clip.tags) for clip in dataset.clips} == {
        "album/low.wav": {"low"},
        "album/lower.wav": {"low"},
        "album/high.wav": {"high", "bright"},
        "album/higher.wav": {"high", "bright"},
    }
    assert {clip.album for clip in dataset.clips} == {"album"}
    assert tag(album, *models, "--write-csv", target, "--top-share", 0.5, cache=tmp_path / "kept") == 2
    assert "is there already, and may be your own work" in capsys.readouterr().err
    target.unlink()
    odd = write_tagger(tmp_path / "odd.onnx", tags=(("low", "genre"), ("odd", "genre"), ("bright", "mood")))
    arguments = ("--model", tagger.path, "--model", odd, "--write-csv", target, "--above", 0.5)
    assert tag(album, *arguments, cache=tmp_path / "kept") == 2
    assert "different tags" in capsys.readouterr().err
