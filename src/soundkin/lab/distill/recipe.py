"""A recipe of distillation, a TOML file: who teaches, on what audio, how the student is built and taught.

title = "The model that comes with soundkin"
name = "soundkin"                     # of the model
version = "1"
teachers = ["msd-fcn", "jamendo-musicnn"]
excerpts = "8x10"                     # how much of a track the model hears
passages = 8192                       # mixtures that the teachers hear
seed = 0

[[material]]                          # folders of audio, given by name on the command line
name = "soundtracks"
share = 0.5                           # of all passages
without = ["wesnoth-1.16-music"]      # folders or files that are kept out

[[material]]
name = "songs"
share = 0.5
dataset = "gtzan-clips"               # only the clips of one part of a published split
split = "filtered"
part = "train"

[mixtures]                            # MixtureSettings
[student]                             # StudentSettings
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.distill.mixtures import MixtureSettings
from soundkin.lab.distill.student import StudentSettings
from soundkin.lab.experiment import assign


@dataclass(frozen=True)
class Material:
    """A folder of audio; `without` names folders and files to be kept out, or `dataset`, `split`, `part` what is in."""

    name: str
    share: float
    without: tuple[str, ...] = ()
    dataset: str = ""
    split: str = ""
    part: str = ""


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out, but the audio and the teachers' weights themselves."""

    title: str
    name: str
    teachers: tuple[str, ...]
    material: tuple[Material, ...]
    version: str = "1"
    passages: int = 8192
    seed: int = 0
    licence: str = ""
    notes: str = ""
    mixtures: MixtureSettings = field(default_factory=MixtureSettings)
    student: StudentSettings = field(default_factory=StudentSettings)
    excerpts: str = "8x10"
    """How much of a track the model hears, unless told otherwise."""


def list_recipes() -> dict[str, Path]:
    """The recipes that come with soundkin: name -> file."""
    folder = resources.files("soundkin.lab.distill") / "recipes"
    return {path.stem: path for path in sorted(Path(str(folder)).glob("*.toml"))}


def load_recipe(name_or_file: str, *, overrides: Iterable[str] = ()) -> Recipe:
    """By the name of one that comes with soundkin, or a file; `overrides` are 'student.epochs=3', values in TOML.

    Raises UnknownNameError, or ExperimentError naming file, key and rule.
    """
    known = list_recipes()
    path = known.get(name_or_file, Path(name_or_file))
    if not path.is_file():
        raise UnknownNameError("recipe (nor a file of that name)", name_or_file, known)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: no TOML that can be read: {error}") from error
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ExperimentError(f"--set takes key=value, not {override!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text.strip()  # a bare word is a string
        assign(content, key.strip().split("."), value)
    return _make(Recipe, content, where=str(path))


def _make(kind: Any, content: Any, *, where: str) -> Any:
    """A dataclass of a TOML table, tables inside of it included. Raises ExperimentError."""
    if not isinstance(content, Mapping):
        raise ExperimentError(f"{where}: a table is needed, not {content!r}")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(set(content) - set(fields))
    if unknown:
        raise ExperimentError(f"{where}: unknown {', '.join(unknown)}; there are: {', '.join(fields)}")
    inside: dict[str, Any] = {"mixtures": MixtureSettings, "student": StudentSettings}
    values: dict[str, Any] = {}
    for name, value in content.items():
        if kind is Recipe and name in inside:
            values[name] = _make(inside[name], value, where=f"{where}, [{name}]")
        elif kind is Recipe and name == "material":
            if not isinstance(value, list):
                raise ExperimentError(f"{where}: material are [[material]] tables")
            values[name] = tuple(_make(Material, one, where=f"{where}, [[material]]") for one in value)
        else:
            values[name] = _checked(value, fields[name], where=f"{where}: {name}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ExperimentError(f"{where}: {error}") from error


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "Mapping[str, Any]": ((dict,), "a table"),
}


def _checked(value: Any, item: dataclasses.Field[Any], *, where: str) -> Any:
    told = str(item.type)
    if told.startswith("tuple"):
        if not isinstance(value, list):
            raise ExperimentError(f"{where} is a list, not {value!r}")
        return tuple(value)
    kinds, words = _KINDS[told]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ExperimentError(f"{where} is {words}, not {value!r}")
    return value
