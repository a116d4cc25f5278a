"""A recipe, carried out: material, answers of the teachers, the student, a model file. What is stopped goes on.

OUT/
  recipe.json            what was asked for, with the digests of the teachers' weights
  targets/               passages and the teachers' answers (targets.py)
  student.safetensors    the student after its last epoch
  history.json           losses, and precision on what is kept out, epoch by epoch
  NAME.onnx              the model file
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import ExperimentError, SoundkinError
from soundkin.files import replacing
from soundkin.lab.datasets import DATASETS
from soundkin.lab.datasets.wording import some
from soundkin.lab.distill.finish import Finished, finish
from soundkin.lab.distill.judge import album_precision, windows_of
from soundkin.lab.distill.lessons import Lessons, make_lessons
from soundkin.lab.distill.material import VARIATIONS, Track, find_tracks, load_tracks
from soundkin.lab.distill.mixtures import Group
from soundkin.lab.distill.recipe import Material, Recipe
from soundkin.lab.distill.start import begin_with
from soundkin.lab.distill.student import Student, build_student, embed, error_of, teach
from soundkin.lab.distill.targets import (
    SHARD,
    Targets,
    make_targets,
    read_targets,
    stamp_of,
    tracks_in_front,
    without_sources,
)
from soundkin.lab.distill.teachers import WINDOW, load_teachers
from soundkin.lab.importweights import FRONT_END
from soundkin.model import OnnxModel

_STUDENT = "student.safetensors"
_ASIDE = 24
"""One passage in so many is not learned from: it tells
how well the student answers about passages that it has not heard, though of tracks that it has, and calibrates."""

Say = Callable[[str], None]
Count = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Listener:
    """`say(line)` is told what begins and what was found, `count(what, done, total)` how far it is."""

    say: Say = lambda line: None
    count: Count = lambda what, done, total: None


def distil(
    recipe: Recipe,
    *,
    material: Mapping[str, Path],
    teachers: Path,
    out: Path,
    hold_out: Sequence[str] = (),
    start: Path | None = None,
    targets: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    exact: bool = False,
    workers: int | None = None,
    listener: Listener | None = None,
) -> Finished:
    """Carry out the recipe with the folders of `material` (name -> folder) and the weights in `teachers`.

    Albums and files named in `hold_out` are not learned from either, though the teachers may have heard them. The
    student begins with the weights of `start`, a model file that an earlier run made of the same network. `targets` and
    `cache` (default: in `out`) may be shared by several recipes: shards that one has made of the same material
    serve the others. With `exact` the teachers are asked in single precision and not compiled. Raises ExperimentError,
    WeightsError, DatasetError.
    """
    listener = listener or Listener()
    folders = _folders(recipe, material)
    build_student(recipe.student, input_shape=(FRONT_END.n_mels, WINDOW), outputs=1)  # or it is said hours later
    _check_start(start, hold_out)
    asked = load_teachers(teachers, recipe.teachers, device=device, fast=not exact)
    _make_folder(out)
    groups, kept_out = _gather(recipe, folders, cache or out / "material", workers, listener)
    stamp = stamp_of(groups, seed=recipe.seed, settings=recipe.mixtures)
    told = dataclasses.asdict(recipe) | {"weights": {one.name: one.weights for one in asked}}
    told |= {"hold_out": sorted(hold_out), "targets": stamp, "start": _digest(start)}
    _refuse_other(out, told)
    _write_json(out / "recipe.json", told)
    kept = targets or out / "targets"
    shards = range(math.ceil(recipe.passages / SHARD))
    allowed = _allowed(hold_out, groups, SHARD * len(shards), recipe)
    make_targets(
        kept,
        groups=groups,
        teachers=asked,
        shards=shards,
        seed=recipe.seed,
        settings=recipe.mixtures,
        progress=lambda done, total: listener.count("passages heard by the teachers", done * SHARD, total * SHARD),
    )
    first = tracks_in_front(groups=groups, count=SHARD * len(shards), seed=recipe.seed, settings=recipe.mixtures)
    heard = read_targets(kept, stamp=stamp, names=recipe.teachers, shards=shards, first=first)
    if hold_out:
        heard = heard.keep(allowed)
        kept_out += [track for group in groups for track in group.tracks if track.is_named(hold_out)]
        groups = [replace(group, tracks=[t for t in group.tracks if not t.is_named(hold_out)]) for group in groups]
        listener.say(f"held out: {', '.join(hold_out)}; {len(heard)} passages hold nothing of them")
    lessons = make_lessons(heard, recipe.teachers)
    learned = np.arange(len(heard)) < len(heard) - math.ceil(len(heard) / _ASIDE)
    aside = heard.keep(~learned), lessons.keep(~learned)
    student = _taught(
        recipe,
        heard.keep(learned),
        lessons.keep(learned),
        aside,
        kept_out,
        start=start,
        out=out,
        key=_key(told),
        device=device,
        listener=listener,
    )
    return finish(
        student.to("cpu"),
        *aside,
        [track for group in groups for track in group.tracks],
        out=out / f"{recipe.name}.onnx",
        name=recipe.name,
        version=recipe.version,
        licence=recipe.licence,
        excerpts=recipe.excerpts,
        mutual_proximity=recipe.mutual_proximity,
        within=recipe.within,
        training={
            "recipe": recipe.title,
            "teachers": list(recipe.teachers),
            "passages": len(heard),
            "hold_out": told["hold_out"],
            "start": told["start"],
        },
    )


def _folders(recipe: Recipe, material: Mapping[str, Path]) -> list[tuple[Material, Path]]:
    names = [one.name for one in recipe.material]
    for name in material:
        if name not in names:
            raise ExperimentError(f"the recipe has no material called {name!r}; it has: {', '.join(names)}")
    missing = [name for name in names if name not in material]
    if missing:
        raise ExperimentError(f"a folder is needed for each material of the recipe: --material {missing[0]}=DIR")
    for name, folder in material.items():
        if not folder.is_dir():
            raise ExperimentError(f"--material {name}={folder}: there is no such folder")
    return [(one, material[one.name]) for one in recipe.material]


def _gather(
    recipe: Recipe, folders: list[tuple[Material, Path]], cache: Path, workers: int | None, listener: Listener
) -> tuple[list[Group], list[Track]]:
    """The groups to draw from, and the tracks that are kept out, as they are."""
    groups, kept_out = [], []
    for one, folder in folders:
        paths = _part_of(one, folder) if one.dataset else find_tracks(folder, without=one.without)

        def count(done: int, total: int, name: str = one.name) -> None:
            listener.count(f"{name}: variations of files heard", done, total)

        tracks, failed = load_tracks(paths, folder=cache, workers=workers, progress=count)
        _report(failed, listener)
        listener.say(f"{one.name}: {len(tracks)} tracks, a share of {one.share:g}")
        if not tracks:
            raise ExperimentError(f"material {one.name}: none of its {len(paths)} files can be used")
        groups.append(Group(tracks, one.share))
        if one.without:
            others = find_tracks(folder, only=one.without)
            kept, failed = load_tracks(others, folder=cache, variations=VARIATIONS[:1], workers=workers, progress=count)
            _report(failed, listener)
            kept_out += kept
    return groups, kept_out


def _part_of(one: Material, folder: Path) -> list[Path]:
    """The audio of one part of a dataset's published split, sorted. Raises DatasetError, ExperimentError."""
    dataset = DATASETS[one.dataset].load(folder)
    parts = dataset.parts.get(one.split, {})
    if one.part not in parts:
        there = [f"{part!r} of {split!r}" for split, known in dataset.parts.items() for part in known]
        raise ExperimentError(
            f"material {one.name}: {one.dataset} in {folder} has no part {one.part!r} of {one.split!r}; "
            f"it has: {', '.join(there) or 'none, since its lists of clips are not there'}"
        )
    wanted = set(parts[one.part])
    paths = sorted(clip.path for clip in dataset.clips if clip.id in wanted and clip.path is not None)
    if not paths:
        raise ExperimentError(f"material {one.name}: no audio of the part {one.part!r} of {one.split!r} in {folder}")
    return paths


def _allowed(hold_out: Sequence[str], groups: Sequence[Group], count: int, recipe: Recipe) -> npt.NDArray[np.bool_]:
    """Which passages hold nothing of what is held out. Raises ExperimentError for names that are nowhere, or all."""
    tracks = [track for group in groups for track in group.tracks]
    for name in hold_out:
        if not any(track.is_named([name]) for track in tracks):
            raise ExperimentError(f"to be held out, but neither an album nor a file of the material: {name!r}")
    free = without_sources(hold_out, groups=groups, count=count, seed=recipe.seed, settings=recipe.mixtures)
    if not free.any():
        raise ExperimentError("every passage holds something that is held out")
    return free


def _report(failed: Mapping[Path, SoundkinError], listener: Listener) -> None:
    for error in failed.values():
        listener.say(f"left out: {error}")


def _taught(
    recipe: Recipe,
    heard: Targets,
    lessons: Lessons,
    aside: tuple[Targets, Lessons],
    kept_out: list[Track],
    *,
    start: Path | None,
    out: Path,
    key: str,
    device: str,
    listener: Listener,
) -> Student:
    def on_epoch(row: dict[str, Any], student: Student) -> None:
        row["set aside: answers"] = round(error_of(student, *aside, device=device), 4)
        albums = [str(track.path.parent) for track in kept_out]  # not by name alone: there is more than one 'CD 1'
        if len(set(albums)) > 1:
            means = np.stack([embed(student, windows_of(track), device=device)[1].mean(axis=0) for track in kept_out])
            precision, hubness = album_precision(means, albums)
            row |= {"kept out: precision at 5": round(precision, 4), "kept out: hubness": round(hubness, 3)}
        kept = _read_json(out / "history.json")
        before = [old for old in kept if old["epoch"] < row["epoch"]] if isinstance(kept, list) else []
        _write_json(out / "history.json", [*before, row])
        listener.say(", ".join(f"{name} {value}" for name, value in row.items()))

    student = teach(
        heard,
        lessons,
        recipe.student,
        checkpoint=out / _STUDENT,
        key=key,
        device=device,
        begin=None if start is None else lambda student: begin_with(start, student, heard, lessons),
        on_epoch=on_epoch,
    )
    return student


_DECIDES = ("student", "teachers", "weights", "passages", "hold_out", "targets", "start")


def _refuse_other(out: Path, told: Mapping[str, Any]) -> None:
    """A student in `out` that was taught otherwise would be lost. Raises ExperimentError."""
    before = _read_json(out / "recipe.json")
    if not (out / _STUDENT).is_file() or not isinstance(before, dict):
        return
    now = json.loads(json.dumps(told, default=list))
    differs = [name for name in _DECIDES if before.get(name) != now[name]]
    if "student" in differs and isinstance(before.get("student"), dict):
        old, new = before["student"], now["student"]
        changed = [f"student.{name} was {old.get(name)}, is {new[name]}" for name in new if old.get(name) != new[name]]
        differs[differs.index("student")] = ", ".join(changed)
    if differs:
        raise ExperimentError(
            f"{out}: holds a student that was taught otherwise ({', '.join(differs)}); name another --out, or delete "
            f"{_STUDENT} there to begin anew"
        )


def _key(told: Mapping[str, Any]) -> str:
    """What a checkpoint must have been made with to be gone on from."""
    decides = {name: told[name] for name in _DECIDES}
    return hashlib.blake2b(json.dumps(decides, sort_keys=True).encode(), digest_size=16).hexdigest()


def _check_start(start: Path | None, hold_out: Sequence[str]) -> None:
    """What is held out must have been held out of the file that the student begins with. Raises ExperimentError."""
    _digest(start)
    if start is None or not hold_out:
        return
    before = OnnxModel(start).card.get("training", {}).get("hold_out", [])
    learned = sorted(set(hold_out) - set(before))
    if learned:
        raise ExperimentError(
            f"{start}: does not say that it was taught without {some(learned)}, so a student that begins with it "
            "would not be; hold the same out of both, or begin anew"
        )


def _digest(start: Path | None) -> str:
    """Of the file that the student begins with; '' for none. Raises ExperimentError."""
    try:
        return "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest()
    except OSError as error:
        raise ExperimentError(f"{start}: cannot be read to begin with: {error.strerror or error}") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExperimentError(f"{path}: the run folder cannot be made: {error.strerror or error}") from error


def _read_json(path: Path) -> Any:
    """None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_json(path: Path, content: Any) -> None:
    try:
        with replacing(path) as file:
            file.write(json.dumps(content, indent=1, default=list).encode())
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written: {error.strerror or error}") from error
