"""The student, its model file, recipes, and the command that does it all on seconds of audio."""

from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

torch = pytest.importorskip("torch")

from published import drawn, save  # noqa: E402
from sound import FORMATS, music, noise  # noqa: E402
from soundkin.catalogue import Catalogue  # noqa: E402
from soundkin.cli.main import run as soundkin  # noqa: E402
from soundkin.errors import ExperimentError, UnknownNameError  # noqa: E402
from soundkin.lab import checkpoint  # noqa: E402
from soundkin.lab.distill import recipe as recipes  # noqa: E402
from soundkin.lab.distill.finish import FinishedModule, calibrate, lay_out  # noqa: E402
from soundkin.lab.distill.lessons import Lessons, make_lessons  # noqa: E402
from soundkin.lab.distill.mixtures import MixtureSettings  # noqa: E402
from soundkin.lab.distill.recipe import Material, Recipe, list_recipes, load_recipe  # noqa: E402
from soundkin.lab.distill.start import begin_with  # noqa: E402
from soundkin.lab.distill.student import (  # noqa: E402
    Student,
    StudentSettings,
    build_student,
    contrast,
    embed,
    error_of,
    in_pairs,
    teach,
)
from soundkin.lab.distill.targets import SHARD, Targets  # noqa: E402
from soundkin.lab.distill.teachers import PASSAGE, WINDOW, WINDOWS  # noqa: E402
from soundkin.lab.distill.vocabulary import MERGED, told_by  # noqa: E402
from soundkin.lab.networks.to_onnx import store_in_half, to_onnx  # noqa: E402
from soundkin.model import OnnxModel  # noqa: E402

SIZES = {"channels": [4, 4, 8, 8, 8], "bottleneck": 4, "hidden": 16}
TINY = StudentSettings(sizes=SIZES, dimension=8, epochs=3, batch_size=16)
TEACHERS = ("msd-one", "jamendo-two", "mtat-three")


# --- the student ---


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    """Noise of many colours, and teachers who hear the colour."""
    rng = np.random.default_rng(0)
    colours = rng.normal(0, 8, (SHARD, 96))
    passages = (12 + colours[:, None, :, None] + rng.normal(0, 3, (SHARD, 2, 96, PASSAGE))).astype(np.float16)
    answers = {}
    for name in TEACHERS:
        heard = colours @ rng.normal(0, 0.1, (96, 60))
        answers[f"{name} embedding"] = heard[:, 50:].astype(np.float16)
        logits = np.repeat(heard[:, None, :50], WINDOWS, axis=1) if name == "jamendo-two" else heard[:, :50]
        answers[f"{name} logits"] = logits.astype(np.float16)
    answers["jamendo-two embedding"] = np.repeat(answers["jamendo-two embedding"][:, None], WINDOWS, axis=1)
    file = tmp_path_factory.mktemp("targets") / "shard.npy"
    np.save(file, passages)
    return Targets([file], np.arange(SHARD), answers, np.arange(SHARD) // 2)


@pytest.fixture(scope="module")
def lessons(targets: Targets) -> Lessons:
    return make_lessons(targets, TEACHERS)


def learned(
    targets: Targets, lessons: Lessons, checkpoint: Path, *, settings: StudentSettings = TINY, **other: Any
) -> Student:
    return teach(targets, lessons, settings, checkpoint=checkpoint, key="k", **other)


class Stopped(Exception):
    """As Ctrl-C would."""


def stop_in(epoch: int) -> Any:
    def on_epoch(row: dict[str, Any], student: Student) -> None:
        if row["epoch"] == epoch:
            raise Stopped

    return on_epoch


def test_a_training_that_was_stopped_ends_with_the_weights_of_one_that_was_not(targets, lessons, tmp_path):
    rows: list[dict[str, Any]] = []
    whole = learned(targets, lessons, tmp_path / "whole", on_epoch=lambda row, _: rows.append(row))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"answers", "relations", "contrast", "seconds"} <= set(rows[0])
    assert rows[-1]["answers"] < rows[0]["answers"]
    assert not whole.training

    with pytest.raises(Stopped):
        learned(targets, lessons, tmp_path / "stopped", on_epoch=stop_in(2))
    torch.manual_seed(99)  # whatever came in between
    more: list[dict[str, Any]] = []
    went_on = learned(targets, lessons, tmp_path / "stopped", on_epoch=lambda row, _: more.append(row))
    assert [row["epoch"] for row in more] == [2, 3]
    assert {name: x for name, x in more[-1].items() if name != "seconds"} == {
        name: x for name, x in rows[-1].items() if name != "seconds"
    }
    state = whole.state_dict()
    for name, x in went_on.state_dict().items():
        assert torch.equal(x, state[name]), name
    assert all(
        torch.equal(x, state[name]) for name, x in learned(targets, lessons, tmp_path / "stopped").state_dict().items()
    )


def test_batches_hold_two_passages_of_a_track_where_there_are(targets):
    first = np.repeat(np.arange(5), [1, 2, 3, 4, 6])
    orders = [in_pairs(first, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])
    for order in orders:
        assert sorted(order) == list(range(16))
        changes = np.flatnonzero(np.diff(first[order]))
        assert len(changes) <= 9  # of 10 runs: one, one, two, two and three of them, some side by side by chance


def test_a_student_may_begin_with_what_a_file_has_learned(targets, lessons, tmp_path):
    taught = learned(targets, lessons, tmp_path / "c")
    module = FinishedModule(taught, lessons, np.zeros(TINY.dimension), np.eye(TINY.dimension)).eval()
    file = tmp_path / "a.onnx"
    file.write_bytes(
        store_in_half(to_onnx(module, (96, WINDOW), input_name="mel", output_names=["embedding", "tags"]), smallest=16)
    )
    fresh = build_student(dataclasses.replace(TINY, seed=5), input_shape=(96, WINDOW), outputs=lessons.outputs)
    begin_with(file, fresh, targets, lessons)
    windows = targets.windows(np.arange(4)).reshape(-1, 96, WINDOW)
    (hidden, embedding, _), (before, was, _) = embed(fresh, windows), embed(taught, windows)
    np.testing.assert_allclose(hidden, before, atol=0.02 * before.max())
    for a, b in zip(embedding.T, was.T, strict=True):  # centred and scaled by what is heard now
        assert np.corrcoef(a, b)[0, 1] > 0.999
    assert error_of(fresh, targets, lessons) < 0.9  # answers are fitted

    went_on = learned(
        targets,
        lessons,
        tmp_path / "d",
        settings=dataclasses.replace(TINY, epochs=1),
        begin=lambda student: begin_with(file, student, targets, lessons),
    )
    assert error_of(went_on, targets, lessons) < 0.9
    other = build_student(
        dataclasses.replace(TINY, sizes=SIZES | {"hidden": 24}), input_shape=(96, WINDOW), outputs=lessons.outputs
    )
    with pytest.raises(ExperimentError, match=r"a\.onnx: .*hidden\.weight is \(16, 48\), and must be \(24, 48\)"):
        begin_with(file, other, targets, lessons)
    file.write_bytes(b"nothing")
    with pytest.raises(ExperimentError, match=r"a\.onnx: no model file that a student can begin with"):
        begin_with(file, fresh, targets, lessons)


def test_a_student_answers_about_windows(targets, lessons, tmp_path):
    student = learned(targets, lessons, tmp_path / "c", settings=dataclasses.replace(TINY, epochs=1))
    windows = targets.windows(np.arange(3), np.zeros(3, np.int64)).reshape(-1, 96, WINDOW)
    hidden, embedding, answers = embed(student, windows, batch=4)
    assert hidden.shape == (9, 16) and embedding.shape == (9, 8) and answers.shape == (9, lessons.outputs)
    for one, part in zip(embed(student, windows[:1]), (hidden, embedding, answers), strict=True):
        np.testing.assert_allclose(one, part[:1], rtol=1e-3, atol=1e-4)


def test_who_knows_only_the_means_is_off_by_one(targets, lessons):
    student = build_student(TINY, input_shape=(96, WINDOW), outputs=lessons.outputs).eval()
    off = error_of(student, targets, lessons)
    few = np.arange(SHARD) < 5
    parts = [error_of(student, targets.keep(kept), lessons.keep(kept)) for kept in (few, ~few)]
    assert 5 * parts[0] + 27 * parts[1] == pytest.approx(SHARD * off, rel=1e-3)
    with torch.no_grad():
        student.network.head.weight.zero_()
        student.network.head.bias.zero_()
    assert error_of(student, targets, lessons) == pytest.approx(1, abs=0.01) and off > 1


def test_tags_are_calibrated_to_what_the_teachers_say(targets, lessons, tmp_path):
    student = learned(targets, lessons, tmp_path / "c", settings=dataclasses.replace(TINY, epochs=1))
    module = FinishedModule(student, lessons, np.zeros(TINY.dimension), np.eye(TINY.dimension)).eval()
    slope, intercept = calibrate(module, targets, lessons)
    windows = targets.windows(np.arange(SHARD), np.zeros(SHARD, np.int64))
    with torch.no_grad():
        p = module(torch.from_numpy(windows).flatten(0, 1))[1].view(SHARD, WINDOWS, -1).mean(dim=1).double().numpy()
    wanted = expit(lessons.passage[:, lessons.tags] * lessons.tag_deviation + lessons.tag_mean)
    said = expit(slope * logit(p) + intercept)
    fitted = slope != 1.0
    assert fitted.any() and (slope > 0).all()
    # an intercept fitted by likelihood makes the means equal
    np.testing.assert_allclose(said.mean(axis=0)[fitted], wanted.mean(axis=0)[fitted], atol=1e-3)


def test_what_changes_within_a_track_or_by_a_codec_counts_less():
    rng = np.random.default_rng(0)
    tracks = rng.normal(3, 2, (200, 1, 4))
    # the first number changes within tracks, the second through the codec, the others tell tracks apart
    heard = [track + rng.normal(size=(8, 4)) * [4, 0.1, 0.1, 0.1] for track in tracks]
    moved = [rng.normal(size=4) * [0, 3, 0, 0] for _ in heard]
    for within in (0.0, 0.5, 0.9):
        centre, turn = lay_out(heard, moved, within=within)
        means = np.stack([turn @ (x.mean(axis=0) - centre) for x in heard])
        np.testing.assert_allclose(means.mean(axis=0), 0, atol=1e-9)
        spread = means.std(axis=0)
        if within == 0:
            np.testing.assert_allclose(spread, 1, rtol=1e-6)
        else:
            assert max(spread[:2]) < 0.9 * min(spread[2:])
    alone = lay_out(heard[:1] * 2, [], within=0.5)  # nothing differs between tracks
    assert all(np.isfinite(x).all() for x in alone)


def test_a_full_disk_is_said_and_nothing_kept_is_lost(targets, lessons, tmp_path, monkeypatch):
    first = dataclasses.replace(TINY, epochs=1)
    learned(targets, lessons, tmp_path / "c", settings=first)
    before = (tmp_path / "c").read_bytes()

    def full(path: Path) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "replacing", full)
    with pytest.raises(ExperimentError, match=r"c: the training cannot be kept there: No space left on device"):
        learned(targets, lessons, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before


def test_fewer_passages_than_a_batch_are_refused(targets, lessons, tmp_path):
    with pytest.raises(ExperimentError, match="32 passages are less than a batch of 64"):
        learned(targets, lessons, tmp_path / "c", settings=dataclasses.replace(TINY, batch_size=64))


def test_a_loss_that_is_not_finite_is_said(targets, lessons, tmp_path):
    broken = dataclasses.replace(lessons, passage=lessons.passage * np.float32(np.inf))
    with pytest.raises(ExperimentError, match="not finite in epoch 1"):
        learned(targets, broken, tmp_path / "c")


def test_the_contrast_is_least_where_windows_of_a_passage_lie_together():
    apart = torch.eye(4)[:, None].repeat(1, 3, 1)
    mixed = torch.eye(4).repeat(3, 1).view(4, 3, 4)
    each = torch.arange(4)
    assert contrast(apart, each, temperature=0.1) < contrast(mixed, each, temperature=0.1)
    # passages that are known to be of one track are to lie together as well
    assert contrast(apart, each // 2, temperature=0.1) > contrast(apart, each, temperature=0.1)
    # by hand: three windows of one passage and one other passage, at right angles
    x = torch.tensor([[[1.0, 0], [1, 0]], [[0, 1], [0, 1]]])
    by_hand = -np.log(np.exp(1 / 0.5) / (np.exp(1 / 0.5) + 2 * np.exp(0)))
    assert float(contrast(x, torch.arange(2), temperature=0.5)) == pytest.approx(by_hand, abs=1e-5)


# --- recipes ---


def test_the_recipes_that_come_along_can_be_read():
    assert set(list_recipes()) >= {"soundkin", "quick"}
    for name in list_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.title and recipe.material and recipe.teachers
    assert len(told_by({name.partition("-")[0] for name in load_recipe("soundkin").teachers})) == len(MERGED)


def test_every_setting_of_a_recipe_is_of_a_kind_that_is_checked():
    known = {*recipes._KINDS, *recipes._LISTS, "tuple[Material, ...]", "MixtureSettings", "StudentSettings"}
    for kind in (Recipe, Material, MixtureSettings, StudentSettings):
        assert {str(item.type) for item in dataclasses.fields(kind)} <= known
    ruled = {name for _, names, _, _ in recipes._RULES for name in names.split()}
    for kind in (MixtureSettings, StudentSettings):
        numbers = {item.name for item in dataclasses.fields(kind) if str(item.type) in ("int", "float")}
        assert numbers <= ruled, "a number without a rule"


MATERIAL = {"name": "a", "share": 1.0}
RECIPE: dict[str, Any] = {"title": "A test", "name": "tiny", "teachers": ["msd-fcn"], "material": [MATERIAL]}


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return json.dumps(value)


def written(path: Path, content: dict[str, Any]) -> str:
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in content.items()), encoding="utf-8")
    return str(path)


def test_a_recipe_is_read_with_its_overrides(tmp_path):
    path = written(
        tmp_path / "r.toml", RECIPE | {"mixtures": {"mix": 1, "noise_db": [3, 9]}, "student": {"sizes": SIZES}}
    )
    recipe = load_recipe(path, overrides=["passages=64", "student.epochs=3", "student.network=short-chunk-cnn"])
    assert recipe.material == (Material("a", 1.0),) and recipe.teachers == ("msd-fcn",)
    assert repr(recipe.mixtures) == repr(MixtureSettings(mix=1.0, noise_db=(3.0, 9.0)))  # as in the shards' stamps
    assert (recipe.passages, recipe.student.epochs, recipe.student.network) == (64, 3, "short-chunk-cnn")
    assert recipe.student.sizes == SIZES


def material(**changes: Any) -> dict[str, Any]:
    return {"material": [MATERIAL | changes]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, r"r\.toml: unknown colour; there are: title, name, "),
        ({"title": None}, r"r\.toml: title must be given"),
        ({"title": 3}, "title is a text, not 3"),
        ({"name": "../x"}, r"name is made of letters, digits, .*, not '../x'"),
        ({"passages": 0}, "passages is 1 or above, not 0"),
        ({"passages": 3.5}, "passages is a whole number, not 3.5"),
        ({"passages": 30}, "32 passages are less than one batch of 64"),
        ({"seed": -1}, "seed is 0 or above, not -1"),
        ({"excerpts": "much"}, "excerpts are COUNTxSECONDS"),
        ({"teachers": []}, "teachers is one or more"),
        ({"teachers": "msd-fcn"}, "teachers is a list of texts, not 'msd-fcn'"),
        ({"teachers": [1]}, "is a text, not 1"),
        ({"teachers": ["fcn"]}, r"the vocabulary of their tags \(msd-, jamendo-, mtat-\), not 'fcn'"),
        ({"teachers": ["msd-../fcn"]}, "not 'msd-../fcn'"),
        ({"teachers": ["msd-a", "msd-b", "msd-a"]}, "teachers are given once each, not twice: msd-a"),
        ({"material": []}, "material is one or more"),
        ({"material": {"name": "a"}}, r"material are \[\[material\]\] tables, not"),
        ({"material": ["a"]}, r"\[\[material\]\] 1: a table is needed, not 'a'"),
        ({"material": [MATERIAL, {"name": "b"}]}, r"\[\[material\]\] 2: share must be given"),
        ({"material": [MATERIAL, MATERIAL]}, "names are given once each, not twice: a"),
        (material(share=0), "share is above 0, not 0"),
        (material(share="much"), "share is a number, not 'much'"),
        (material(name="a=b"), "one without '='"),
        (material(colour=1), r"\[\[material\]\] 1: unknown colour; there are: name, share, without"),
        (material(without="x"), "without is a list of texts"),
        (material(split="filtered"), "dataset, split and part are given together"),
        (material(dataset="gtzn", split="a", part="b"), "unknown dataset 'gtzn'; there are: gtzan"),
        (material(dataset="gtzan", split="a", part="b", without=["x"]), "exclude each other"),
        ({"mixtures": {"mix": 1.2}}, r"\[mixtures\]: mix is a chance, from 0 to 1, not 1.2"),
        ({"mixtures": {"varied": -0.1}}, "varied is a chance"),
        ({"mixtures": {"quietest": 3}}, "quietest is 0 dB or below"),
        ({"mixtures": {"stretch_by": 0.8}}, "stretch_by is a factor of 1 or above"),
        ({"mixtures": {"noise_db": [9, 3]}}, "noise_db is from a lower to a higher level"),
        ({"mixtures": {"noise_db": [9]}}, "noise_db is a list of two numbers"),
        ({"mixtures": {"dynamics_by": 0.9}}, "dynamics_by is a factor of 1 or above"),
        ({"mixtures": {"colour_db": -1}}, "colour_db is 0 dB or above"),
        ({"student": {"copies": 2}}, "copies is a chance"),
        ({"within": 1.0}, "within is from 0 up and below 1"),
        ({"student": 3}, r"\[student\]: a table is needed, not 3"),
        ({"student": {"lr": True}}, "lr is a number, not True"),
        ({"student": {"lr": 0}}, "lr is above 0"),
        ({"student": {"epochs": 0}}, "epochs is 1 or above"),
        ({"student": {"network": "vgg"}}, "unknown network 'vgg'; there are: .*strided-cnn"),
        ({"student": {"sizes": 3}}, "sizes is a table"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(changes, message, tmp_path):
    content = {key: value for key, value in (RECIPE | changes).items() if value is not None}
    with pytest.raises(ExperimentError, match=message) as refusal:
        load_recipe(written(tmp_path / "r.toml", content))
    assert "r.toml" in str(refusal.value)


def test_a_recipe_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown recipe .*'nothing'; there are: quick, soundkin"):
        load_recipe("nothing")
    (tmp_path / "r.toml").write_text("title = ", encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"r\.toml: no TOML"):
        load_recipe(str(tmp_path / "r.toml"))
    with pytest.raises(ExperimentError, match="--set takes key=value, not 'passages'"):
        load_recipe("soundkin", overrides=["passages"])


# --- the command ---


def ask_for(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = soundkin([str(one) for one in arguments])
    return (code, *capsys.readouterr())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with teachers' weights, music, songs of a dataset with its split, and a recipe."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "weights").mkdir()
    save(drawn("fcn", tags=50), folder / "weights" / "msd-fcn.pth")
    save(drawn("musicnn", seed=1, tags=50), folder / "weights" / "jamendo-musicnn.pth")
    form = dataclasses.replace(FORMATS["flac"], sr=16000)

    def write(name: str, y: np.ndarray) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        form.write(folder / name, y)

    for i in range(4):
        write(f"music/album {i}/a.flac", music(10, sr=16000, seed=2 * i))
        write(f"music/album {i}/b.flac", noise(9, sr=16000, seed=i))
    write("music/album 0/silence.flac", np.zeros(64000, np.float32))
    for i in range(3):
        write(f"songs/audio/blues.0000{i}.flac", music(10, sr=16000, seed=20 + i))
    (folder / "songs" / "splits").mkdir()
    for part, clips in (("train", (0, 1)), ("valid", (2,)), ("test", ())):
        lines = "".join(f"blues/blues.0000{i}.wav\n" for i in clips)
        (folder / "songs" / "splits" / f"{part}_filtered.txt").write_text(lines)
    content = RECIPE | {
        "teachers": ["msd-fcn", "jamendo-musicnn"],
        "passages": SHARD,
        "licence": "MIT",
        "material": [
            {"name": "soundtracks", "share": 0.5, "without": ["album 2", "album 3"]},
            {"name": "songs", "share": 0.5, "dataset": "gtzan-clips", "split": "filtered", "part": "train"},
        ],
        "student": {"sizes": SIZES, "dimension": 8, "epochs": 2, "batch_size": 16},
    }
    written(folder / "r.toml", content)
    return folder


def command(place: Path, *, out: Path, **changed: object) -> list[object]:
    """`soundkin lab distill …`; `changed` are other folders of materials, and other weights."""
    folders = {"soundtracks": place / "music", "songs": place / "songs"} | {
        name: folder for name, folder in changed.items() if name != "teachers"
    }
    materials = [part for name, folder in folders.items() if folder for part in ("--material", f"{name}={folder}")]
    weights = changed.get("teachers", place / "weights")
    return ["lab", "distill", place / "r.toml", *materials, "--teachers", weights, "--exact", "-j", 0, "--out", out]


def test_the_command_makes_a_model_that_a_library_hears_with(place, tmp_path, capsys):
    out = tmp_path / "run"
    shared = ["--targets", tmp_path / "targets", "--cache", tmp_path / "cache"]
    code, said, err = ask_for(capsys, *command(place, out=out), *shared)
    assert code == 0, err
    assert "left out: " in err and "silence.flac: silent" in err
    assert "soundtracks: 4 tracks, a share of 0.5" in err and "songs: 2 tracks" in err
    assert "passages heard by the teachers: 32 of 32" in err
    assert "epoch 2" in err and "kept out: precision at 5" in err
    model = OnnxModel(out / "tiny.onnx")
    assert f"wrote {out / 'tiny.onnx'}: {model.id}" in said
    assert (model.name, model.version, model.space.dimension, model.segment) == ("tiny", "1", 8, WINDOW)
    labels = told_by({"msd", "jamendo"})
    assert [(tag.label, tag.category) for tag in model.tags] == [(tag.label, tag.category) for tag in labels]
    told = json.loads((out / "recipe.json").read_text(encoding="utf-8"))
    assert told["teachers"] == ["msd-fcn", "jamendo-musicnn"] and len(told["weights"]["msd-fcn"]) == 64
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(row["set aside: answers"] > 0 for row in history)

    # again: nothing is left to do, and the same comes out
    (out / "tiny.onnx").unlink()
    code, _, err = ask_for(capsys, *command(place, out=out), *shared)
    assert code == 0 and "epoch" not in err
    assert OnnxModel(out / "tiny.onnx").id == model.id

    # one more epoch would be another student, which is not to replace this one
    code, _, err = ask_for(capsys, *command(place, out=out), *shared, "--set", "student.epochs=3")
    assert code != 0
    assert "taught otherwise (student.epochs was 2, is 3)" in err and "student.safetensors" in err

    # a second student of the same answers, without one of the albums
    code, said, err = ask_for(
        capsys,
        *command(place, out=tmp_path / "other"),
        *shared,
        "--hold-out",
        "album 0",
        "--set",
        "student.batch_size=4",
    )
    assert code == 0, err
    assert "passages heard" in err and "held out: album 0; " in err
    assert OnnxModel(tmp_path / "other" / "tiny.onnx").id != model.id

    # a third begins with the first
    begun = [*shared, "--set", "student.epochs=1", "--start"]
    code, said, err = ask_for(capsys, *command(place, out=tmp_path / "third"), *begun, out / "tiny.onnx")
    assert code == 0, err
    assert len(json.loads((tmp_path / "third" / "recipe.json").read_text(encoding="utf-8"))["start"]) == 64
    assert OnnxModel(tmp_path / "third" / "tiny.onnx").card["training"]["start"]
    held = ["--hold-out", "album 0"]
    code, _, err = ask_for(capsys, *command(place, out=tmp_path / "fourth"), *begun, out / "tiny.onnx", *held)
    assert code != 0 and "does not say that it was taught without album 0" in " ".join(err.split())
    other = tmp_path / "other" / "tiny.onnx"
    small = ["--set", "student.batch_size=4"]
    code, _, err = ask_for(capsys, *command(place, out=tmp_path / "fifth"), *begun, other, *held, *small)
    assert code == 0, err
    code, _, err = ask_for(capsys, *command(place, out=tmp_path / "fourth"), *begun, tmp_path / "none.onnx")
    assert code != 0 and "none.onnx: cannot be read to begin with" in " ".join(err.split())

    library = tmp_path / "l.db"
    code, _, err = ask_for(
        capsys, "--library", library, "--model", out / "tiny.onnx", "scan", place / "music" / "album 1", "-j", 1
    )
    assert code == 0, err
    with Catalogue.open(library) as catalogue:
        ids, vectors = catalogue.vectors(model.id)
    assert vectors.shape == (len(ids), 8) == (2, 8) and np.isfinite(vectors).all()


def test_the_command_says_what_is_wrong(place, tmp_path, capsys):
    out = tmp_path / "run"

    def refused(*extra: object, **changed: object) -> str:
        code, _, err = ask_for(capsys, *command(place, out=out, **changed), *extra)
        assert code != 0
        assert "Traceback" not in err
        return " ".join(err.split())

    assert "the recipe has no material called 'music'; it has: soundtracks, songs" in refused(music=place)
    assert "a folder is needed for each material" in refused(songs=None)
    assert "--material songs=" in refused(songs=None)
    assert "there is no such folder" in refused(songs=place / "nowhere")
    assert "--material takes NAME=DIR, not 'songs'" in refused("--material", "songs")
    assert "--material songs: given twice" in refused("--material", f"songs={place}")
    (tmp_path / "empty").mkdir()
    assert "no audio files in it or below; it is empty" in refused(soundtracks=tmp_path / "empty")
    assert "no part 'train' of 'filtered'" in refused(songs=place / "songs" / "audio")
    assert "to be kept out, but neither a folder nor a file" in refused(soundtracks=place / "songs")
    assert "album 2, album 3" in refused(soundtracks=place / "songs")
    assert "neither an album nor a file of the material: 'album 9'" in refused("--hold-out", "album 9")
    assert "no setting 'depth'" in refused("--set", "student.sizes.depth=3")
    assert "there is no such folder of teachers' weights" in refused(teachers=place / "nowhere")
    assert "msd-fcn.pth: there is no such weight file" in refused(teachers=tmp_path)
    assert "device 'abacus' cannot be used" in refused("--device", "abacus")
    assert "unknown recipe" in " ".join(
        ask_for(capsys, "lab", "distill", "x", "--material", "a=b", "--teachers", ".")[2].split()
    )
    (tmp_path / "file").write_text("in the way")
    code, _, err = ask_for(capsys, *command(place, out=tmp_path / "file" / "run"))
    assert code != 0 and "the run folder cannot be made" in " ".join(err.split())
    assert not (out / "tiny.onnx").exists()


def test_pickled_objects_are_no_teachers(place, tmp_path, capsys):
    save({"layer": Stopped()}, tmp_path / "msd-fcn.pth")
    save(drawn("musicnn", tags=50), tmp_path / "jamendo-musicnn.pth")
    code, _, err = ask_for(capsys, *command(place, out=tmp_path / "run", teachers=tmp_path))
    assert code != 0 and "holds more than tensors" in " ".join(err.split())
