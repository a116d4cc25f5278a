"""What teachers answer, how their answers are kept, and what a student is to say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from published import drawn, save  # noqa: E402
from soundkin.errors import ExperimentError, WeightsError  # noqa: E402
from soundkin.files import read_cache, write_cache  # noqa: E402
from soundkin.lab.cache import Kept  # noqa: E402
from soundkin.lab.distill.lessons import make_lessons, merged_logits  # noqa: E402
from soundkin.lab.distill.material import Mel, Track, Variation  # noqa: E402
from soundkin.lab.distill.mixtures import Group, MixtureSettings  # noqa: E402
from soundkin.lab.distill.targets import (  # noqa: E402
    SHARD,
    make_targets,
    read_targets,
    shard_path,
    stamp_of,
    tracks_in_front,
    without_sources,
)
from soundkin.lab.distill.teachers import (  # noqa: E402
    LONG,
    PASSAGE,
    WINDOW,
    WINDOWS,
    QuickMusicnn,
    Teacher,
    ask,
    load_teacher,
    load_teachers,
    overlaps,
    windows_of_passages,
)
from soundkin.lab.distill.vocabulary import MERGED, merge  # noqa: E402
from soundkin.lab.importweights import fill  # noqa: E402

NAMES = ("msd-fcn", "mtat-crnn", "jamendo-musicnn")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for seed, (name, network) in enumerate(zip(NAMES, ("fcn", "tagging-crnn", "musicnn"), strict=True)):
        save(drawn(network, seed=seed, tags=50), folder / f"{name}.pth")
    return folder


def passages(n: int, *, seed: int = 0) -> np.ndarray:
    """Noise whose level and colour differ from window to window, (n, 96, PASSAGE) in dB."""
    rng = np.random.default_rng(seed)
    colour = np.repeat(rng.normal(0, 12, (n, 96, WINDOWS)), WINDOW, axis=2)
    return (colour + rng.normal(0, 5, (n, 96, PASSAGE))).astype(np.float32)


# --- teachers ---


def test_the_quick_musicnn_answers_as_the_slow_one():
    network = fill("musicnn", drawn("musicnn", tags=50), Path("w.pth"))
    x = torch.from_numpy(passages(2)[:, :, :WINDOW].copy())
    with torch.no_grad():
        slow, quick = network.embed(x), QuickMusicnn(network).embed(x)
    assert slow.std() > 0.01
    torch.testing.assert_close(quick, slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max()))


def test_what_teachers_answer_has_its_shape_and_is_that_of_their_networks(weights):
    teachers = load_teachers(weights, NAMES, fast=False)
    assert [one.vocabulary for one in teachers] == ["msd", "mtat", "jamendo"]
    assert [one.hears_windows for one in teachers] == [False, False, True]
    assert [one.dimension for one in teachers] == [64, 32, 200]
    x = passages(2)
    answers = ask(teachers, x)
    assert {name: answer.shape for name, answer in answers.items()} == {
        "msd-fcn embedding": (2, 64),
        "msd-fcn logits": (2, 50),
        "msd-fcn hints": (2, WINDOWS, 128 * 4),
        "mtat-crnn embedding": (2, 32),
        "mtat-crnn logits": (2, 50),
        "mtat-crnn hints": (2, WINDOWS, 128),
        "jamendo-musicnn embedding": (2, WINDOWS, 200),
        "jamendo-musicnn logits": (2, WINDOWS, 50),
    }
    for name, kind in zip(NAMES, ("fcn", "tagging-crnn", "musicnn"), strict=True):
        network = fill(kind, torch.load(weights / f"{name}.pth", weights_only=True), Path(name))
        if kind == "musicnn":
            heard = windows_of_passages(x).reshape(2 * WINDOWS, 96, WINDOW)
        else:
            heard = np.concatenate([x] * 4, axis=2)[:, :, :LONG]  # round and round
        with torch.no_grad():
            logits = network(torch.from_numpy(heard.copy())).numpy()
        found = answers[f"{name} logits"]
        assert np.abs(found[0] - found[1]).max() > 0.01
        np.testing.assert_allclose(found.reshape(-1, 50), logits, rtol=1e-3, atol=1e-3 * np.abs(logits).max())


def test_windows_are_the_passage_in_order():
    x = passages(2)
    windows = windows_of_passages(x)
    assert windows.shape == (2, WINDOWS, 96, WINDOW)
    assert np.array_equal(np.concatenate(list(windows[1]), axis=1), x[1])


@pytest.mark.parametrize(("cells", "cell"), [(5, 320), (18, 96), (1, LONG), (LONG, 1)])
def test_the_overlaps_of_windows_and_cells_are_those_counted_frame_by_frame(cells, cell):
    counted = np.zeros((WINDOWS, cells))
    for frame in range(LONG // PASSAGE * PASSAGE):
        counted[frame % PASSAGE // WINDOW, min(frame // cell, cells - 1)] += 1
    found = overlaps(cells=cells, cell=cell)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, counted / counted.sum(axis=1, keepdims=True), atol=1e-6)


class _Thing:
    pass


def test_weights_that_cannot_teach_are_refused(tmp_path):
    with pytest.raises(ExperimentError, match=r"msd-fcn\.pth: there is no such weight file; .*it is empty"):
        load_teachers(tmp_path, ["msd-fcn"])
    with pytest.raises(ExperimentError, match="there is no such folder"):
        load_teachers(tmp_path / "nowhere", ["msd-fcn"])
    with pytest.raises(WeightsError, match="holds more than tensors"):
        load_teacher(save(_Thing(), tmp_path / "msd-thing.pth"))
    with pytest.raises(ExperimentError, match="begins with the vocabulary of its tags"):
        load_teacher(save(drawn("fcn", tags=50), tmp_path / "fcn.pth"))
    with pytest.raises(ExperimentError, match="tells 3 tags; teachers tell the 50 of mtat"):
        load_teacher(save(drawn("fcn"), tmp_path / "mtat-fcn.pth"))
    # of all names before the first is loaded
    with pytest.raises(ExperimentError, match=r"msd-none\.pth: there is no"):
        load_teachers(tmp_path, ["mtat-fcn", "msd-none"])


# --- shards ---


def pupil(name: str, *, windows: bool = False, weights: str = "a") -> Teacher:
    """A teacher that is quick: means of the spectrogram."""

    def answer(x: np.ndarray) -> tuple[np.ndarray, ...]:
        embedding, logits = x.mean(axis=2), x.max(axis=2)[:, :50] / 10
        return (
            (embedding, logits) if windows else (embedding, logits, x[:, :8, : 5 * 300].reshape(-1, 8, 5, 300).mean(3))
        )

    return Teacher(name, WINDOW if windows else LONG, 96, 50, 0 if windows else 320, answer, weights, "float32")


TEACHERS = (pupil("msd-one"), pupil("jamendo-two", windows=True))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    """Two tracks in two albums, whose spectrograms nobody has to hear."""
    folder = tmp_path_factory.mktemp("mels")
    return [Group([made_track(folder, i, 900 + 40 * i) for i in range(2)], 1.0)]


def made_track(folder: Path, seed: int, frames: int) -> Track:
    mel = (12 + 8 * np.random.default_rng(seed).normal(size=(96, frames))).astype(np.float16)
    file = folder / f"{seed}.npz"
    write_cache(file, {"x": mel}, stamp="made")
    path = folder / f"album {seed}" / f"song {seed}.wav"
    return Track(path, (Mel(Kept(path, file, "made", np.float16), Variation(), (96, frames)),))


def make(folder: Path, groups: list[Group], *, shards: range = range(2), **other: Any) -> None:
    wanted: dict[str, Any] = {"teachers": TEACHERS, "seed": 0, "settings": MixtureSettings()}
    make_targets(folder, groups=groups, shards=shards, **(wanted | other))


def first_tracks(groups: list[Group], *, shards: range = range(2)) -> np.ndarray:
    return tracks_in_front(groups=groups, count=SHARD * len(shards), seed=0, settings=MixtureSettings())


def stamp(groups: list[Group], *, seed: int = 0) -> str:
    return stamp_of(groups, seed=seed, settings=MixtureSettings())


@pytest.fixture(scope="module")
def made(groups: list[Group], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    make(folder, groups)
    return folder


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_shards_hold_passages_and_answers(made, groups):
    targets = read_targets(
        made, stamp=stamp(groups), names=["msd-one", "jamendo-two"], shards=range(2), first=first_tracks(groups)
    )
    assert len(targets) == 2 * SHARD
    assert {name: answer.shape for name, answer in targets.answers.items()} == {
        "msd-one embedding": (2 * SHARD, 96),
        "msd-one logits": (2 * SHARD, 50),
        "msd-one hints": (2 * SHARD, WINDOWS, 8),
        "jamendo-two embedding": (2 * SHARD, WINDOWS, 96),
        "jamendo-two logits": (2 * SHARD, WINDOWS, 50),
    }
    rows = np.array([3, SHARD + 5])
    windows = targets.windows(rows, np.zeros(2, np.int64))
    assert windows.shape == (2, WINDOWS, 96, WINDOW) and windows.dtype == np.float32
    whole = np.concatenate(list(windows[1]), axis=1)
    np.testing.assert_array_equal(whole, np.load(targets.passages[1])[5, 0].astype(np.float32))
    copy = np.concatenate(list(targets.windows(rows, 0, np.array([0, 1]))[1]), axis=1)
    np.testing.assert_array_equal(copy, np.load(targets.passages[1])[5, 1].astype(np.float32))
    heard = targets.answers["jamendo-two embedding"][SHARD + 5, 2].astype(np.float32)
    np.testing.assert_allclose(windows[1, 2].mean(axis=1), heard, atol=0.02)
    moved = np.concatenate(list(targets.windows(rows, np.array([0, 7]))[1]), axis=1)
    np.testing.assert_array_equal(moved, np.roll(whole, -7, axis=1))


def test_some_passages_are_kept_of_all(made, groups):
    targets = read_targets(made, stamp=stamp(groups), names=["msd-one"], shards=range(2), first=first_tracks(groups))
    free = without_sources(["album 0"], groups=groups, count=2 * SHARD, seed=0, settings=MixtureSettings())
    assert 0.1 < free.mean() < 0.6
    assert np.array_equal(
        free, without_sources(["song 0"], groups=groups, count=2 * SHARD, seed=0, settings=MixtureSettings())
    )
    fewer = targets.keep(free)
    assert len(fewer) == free.sum() and set(fewer.answers) == {
        f"msd-one {what}" for what in ("embedding", "logits", "hints")
    }
    row = int(np.flatnonzero(free)[1])
    none = np.zeros(1, np.int64)
    np.testing.assert_array_equal(fewer.windows(np.array([1]), none), targets.windows(np.array([row]), none))
    assert fewer.first[1] == targets.first[row] == 1
    np.testing.assert_array_equal(fewer.answers["msd-one logits"][1], targets.answers["msd-one logits"][row])


def test_a_lost_shard_is_made_again_equal_and_others_are_not_touched(made, groups, tmp_path):
    folder = copy(made, tmp_path / "copy")
    lost = shard_path(folder, 1)
    whole = lost.read_bytes(), lost.with_suffix(".npy").read_bytes()
    untouched = shard_path(folder, 0).stat().st_mtime_ns
    for gone in ([lost], [lost.with_suffix(".npy")], [lost, lost.with_suffix(".npy")]):
        for path in gone:
            path.unlink()
        seen: list[tuple[int, int]] = []
        make(folder, groups, progress=lambda *at, seen=seen: seen.append(at))
        assert seen == [(1, 2), (2, 2)]
        assert (lost.read_bytes(), lost.with_suffix(".npy").read_bytes()) == whole
    assert shard_path(folder, 0).stat().st_mtime_ns == untouched


def test_more_shards_begin_with_the_fewer_in_any_order(made, groups, tmp_path):
    make(tmp_path, groups, shards=range(1, -1, -1))
    for shard in range(2):
        assert shard_path(tmp_path, shard).read_bytes() == shard_path(made, shard).read_bytes()


def test_a_damaged_shard_is_refused_by_name(made, groups, tmp_path):
    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-1000])

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    for number, (harm, suffix) in enumerate([(cut, ".npz"), (flip, ".npz"), (cut, ".npy"), (flip, ".npy")]):
        folder = copy(made, tmp_path / str(number))
        harm(shard_path(folder, 1).with_suffix(suffix))
        with pytest.raises(ExperimentError, match=r"shard-00001\.npz: not there, damaged, or .*delete it"):
            make(folder, groups)
            read_targets(
                folder,
                stamp=stamp(groups),
                names=["msd-one", "jamendo-two"],
                shards=range(2),
                first=first_tracks(groups),
            )
    shard_path(folder, 0).write_bytes(b"PK nothing")
    with pytest.raises(ExperimentError, match=r"shard-00000\.npz"):
        read_targets(folder, stamp=stamp(groups), names=["msd-one"], shards=range(2), first=first_tracks(groups))


def test_answers_about_anything_else_are_refused_before_more_are_made(made, groups, tmp_path):
    folder = copy(made, tmp_path / "copy")

    def never(x: np.ndarray) -> tuple[np.ndarray, ...]:
        raise AssertionError

    lazy = [dataclasses.replace(one, answer=never) for one in TEACHERS]
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"settings": MixtureSettings(mix=0.1)},
        {"groups": [dataclasses.replace(groups[0], share=0.5)]},
        {"groups": [Group(groups[0].tracks[:1], 1.0)]},
    ]
    for change in changes:
        asked = {"groups": groups, "teachers": lazy, "shards": range(3)} | change
        with pytest.raises(ExperimentError, match=r"shard-00000\.npz: .*made of other material or settings"):
            make(folder, **asked)
    with pytest.raises(ExperimentError, match="other weights of msd-one, or were asked for with another exactness"):
        make(folder, groups, teachers=[pupil("msd-one", weights="b"), lazy[1]])
    assert read_cache(shard_path(folder, 0), {}, stamp=stamp(groups)) is not None


def test_fewer_teachers_may_learn_from_what_more_have_answered(made, groups, tmp_path):
    folder = copy(made, tmp_path / "copy")
    make(folder, groups, teachers=TEACHERS[:1])  # nothing is left to do
    targets = read_targets(folder, stamp=stamp(groups), names=["msd-one"], shards=range(2), first=first_tracks(groups))
    assert {name.split()[0] for name in targets.answers} == {"msd-one"}
    shard_path(folder, 1).unlink()
    with pytest.raises(ExperimentError, match=r"shard-00001\.npz: not there.*: msd-one, jamendo-two$"):
        make(folder, groups, teachers=TEACHERS[:1])
    with pytest.raises(ExperimentError, match="are not of mtat-three; name another folder"):
        make(folder, groups, teachers=[*TEACHERS, pupil("mtat-three")])


def test_a_full_disk_is_said(groups, tmp_path, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ExperimentError, match="cannot be kept there; is the disk full"):
        make(tmp_path / "targets", groups)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExperimentError, match=r"file.*: cannot be read or written"):
        make(tmp_path / "file", groups)


# --- lessons ---


def test_lessons_are_standardised_and_in_blocks(made, groups):
    names = ["msd-one", "jamendo-two"]
    targets = read_targets(made, stamp=stamp(groups), names=names, shards=range(2), first=first_tracks(groups))
    lessons = make_lessons(targets, names)
    assert lessons.window.shape == (2 * SHARD, WINDOWS, 8 + 96 + 50)
    assert lessons.labels == tuple(tag for tag in MERGED if {"msd", "jamendo"} & set(tag.sources))
    labels = len(lessons.labels)
    assert len(MERGED) - 25 < labels < len(MERGED)  # what only MagnaTagATune knows is told by nobody here
    assert lessons.passage.shape == (2 * SHARD, 96 + 50 + labels)
    assert lessons.outputs == 8 + 96 + 50 + 96 + 50 + labels
    for x in (lessons.window, lessons.passage):
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(flat.std(axis=0), 1, atol=0.02)
    for blocks, x in ((lessons.blocks_window, lessons.window), (lessons.blocks_passage, lessons.passage)):
        assert np.array_equal(
            np.concatenate([np.arange(block.start, block.stop) for block in blocks]), np.arange(x.shape[-1])
        )
    assert [x.shape for x in lessons.joint] == [(64, 96), (64, 50)] * 2
    for x in lessons.joint:
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-4)
    tags = lessons.passage[:, lessons.tags] * lessons.tag_deviation + lessons.tag_mean
    np.testing.assert_allclose(tags, merged_logits(targets, names), atol=1e-3)


def test_merged_tags_are_those_of_the_vocabularies_means(made, groups):
    names = ["msd-one", "jamendo-two"]
    targets = read_targets(made, stamp=stamp(groups), names=names, shards=range(2), first=first_tracks(groups))
    p = {
        "msd": 1 / (1 + np.exp(-targets.answers["msd-one logits"].astype(np.float32))),
        "jamendo": (1 / (1 + np.exp(-targets.answers["jamendo-two logits"].astype(np.float32)))).mean(axis=1),
    }
    merged = merge(p, logits=True)
    merged = merged[:, ~np.isnan(merged[0])]
    np.testing.assert_allclose(1 / (1 + np.exp(-merged_logits(targets, names))), merged, atol=1e-3)
