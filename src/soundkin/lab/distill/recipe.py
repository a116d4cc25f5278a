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
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from soundkin.errors import ExperimentError, InputError, UnknownNameError
from soundkin.excerpts import ExcerptPlan
from soundkin.lab.datasets import DATASETS
from soundkin.lab.datasets.wording import some
from soundkin.lab.distill.mixtures import MixtureSettings
from soundkin.lab.distill.student import StudentSettings
from soundkin.lab.distill.targets import SHARD
from soundkin.lab.distill.vocabulary import VOCABULARIES, vocabulary_of
from soundkin.lab.experiment import assign, find_toml, read_override
from soundkin.lab.export import file_name
from soundkin.lab.networks import NETWORKS


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
    mutual_proximity: bool = True
    """Whether a library ranks its tracks against hubs, unless told otherwise."""
    within: float = 0.5
    """From 0 to below 1: how much less what changes within a track counts, and what a codec changes."""


def list_recipes() -> dict[str, Path]:
    """The recipes that come with soundkin: name -> file."""
    folder = resources.files("soundkin.lab.distill") / "recipes"
    return {path.stem: path for path in sorted(Path(str(folder)).glob("*.toml"))}


def load_recipe(name_or_file: str, *, overrides: Iterable[str] = ()) -> Recipe:
    """By the name of one that comes with soundkin, or a file; `overrides` are 'student.epochs=3', values in TOML.

    Raises UnknownNameError, or ExperimentError naming file, key and rule.
    """
    path, content = find_toml("recipe", name_or_file, known=list_recipes())
    for override in overrides:
        assign(content, *read_override(override))
    recipe = _read_recipe(content, where=str(path))
    _check(recipe, where=str(path))
    return recipe


# --- tables to dataclasses -------------------------------------------------------------------------------------------


def _read_recipe(content: Mapping[str, Any], *, where: str) -> Recipe:
    """Raises ExperimentError for keys that are unknown or missing, and values of another type."""
    values = dict(content)
    for name, kind in (("mixtures", MixtureSettings), ("student", StudentSettings)):
        if name in values:
            values[name] = kind(**_values(kind, values[name], where=f"{where}, [{name}]"))
    tables = values.get("material")
    if tables is not None:
        if not isinstance(tables, list):
            raise ExperimentError(f"{where}: material are [[material]] tables, not {tables!r}")
        values["material"] = tuple(
            Material(**_values(Material, one, where=f"{where}, [[material]] {number}"))
            for number, one in enumerate(tables, 1)
        )
    return Recipe(**_values(Recipe, values, where=where))


def _values(kind: Any, content: Any, *, where: str) -> dict[str, Any]:
    """The fields of a dataclass out of a TOML table."""
    if not isinstance(content, Mapping):
        raise ExperimentError(f"{where}: a table is needed, not {content!r}")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(set(content) - set(fields))
    if unknown:
        raise ExperimentError(f"{where}: unknown {', '.join(unknown)}; there are: {', '.join(fields)}")
    no_default = dataclasses.MISSING
    missing = [
        name
        for name, item in fields.items()
        if name not in content and item.default is no_default and item.default_factory is no_default
    ]
    if missing:
        raise ExperimentError(f"{where}: {', '.join(missing)} must be given")
    return {name: _checked(value, str(fields[name].type), where=f"{where}: {name}") for name, value in content.items()}


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "Mapping[str, Any]": ((dict,), "a table"),
}
_LISTS = {
    "tuple[str, ...]": ("str", None, "a list of texts"),
    "tuple[float, float]": ("float", 2, "a list of two numbers"),
}


def _checked(value: Any, told: str, *, where: str) -> Any:
    """The value as a field of the type `told`, as it is written in the source, holds it."""
    if told in _LISTS:
        inside, length, words = _LISTS[told]
        if not isinstance(value, list) or length not in (None, len(value)):
            raise ExperimentError(f"{where} is {words}, not {value!r}")
        return tuple(_checked(one, inside, where=f"{where}, a part of {words},") for one in value)
    if told not in _KINDS:
        return value  # a dataclass by now
    kinds, words = _KINDS[told]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ExperimentError(f"{where} is {words}, not {value!r}")
    return float(value) if told == "float" and isinstance(value, int | float) else value  # 1 and 1.0: one stamp


# --- rules -----------------------------------------------------------------------------------------------------------


_RULES: tuple[tuple[str, str, str, Callable[[Any], bool]], ...] = (
    (
        "mixtures",
        "mix split equaliser stretch dynamics noise lowpass codec varied",
        "a chance, from 0 to 1",
        lambda x: 0 <= x <= 1,
    ),
    ("mixtures", "quietest", "0 dB or below", lambda x: -math.inf < x <= 0),
    ("mixtures", "equaliser_db colour_db", "0 dB or above", lambda x: 0 <= x < math.inf),
    ("mixtures", "stretch_by dynamics_by", "a factor of 1 or above", lambda x: 1 <= x < math.inf),
    ("mixtures", "noise_db", "from a lower to a higher level", lambda x: -math.inf < x[0] <= x[1] < math.inf),
    ("student", "dimension epochs", "1 or above", lambda x: x >= 1),
    ("student", "batch_size", "2 or above", lambda x: x >= 2),
    ("student", "lr temperature", "above 0", lambda x: 0 < x < math.inf),
    ("student", "weight_decay answers relations contrast masks shift seed", "0 or above", lambda x: 0 <= x < math.inf),
    ("student", "copies", "a chance, from 0 to 1", lambda x: 0 <= x <= 1),
    ("student", "warm_up average", "from 0 up and below 1", lambda x: 0 <= x < 1),
    ("", "passages", "1 or above", lambda x: x >= 1),
    ("", "within", "from 0 up and below 1", lambda x: 0 <= x < 1),
    ("", "seed", "0 or above", lambda x: x >= 0),
    ("", "name", "made of letters, digits, '.', '_' and '-'", lambda x: file_name(x) == x),
    ("", "teachers material", "one or more", bool),
)
"""Table, names in it, the rule in words, the rule."""


def _check(recipe: Recipe, *, where: str) -> None:
    """Raises ExperimentError for values that cannot be: here, since what they lead to would come hours later."""
    for table, names, words, rule in _RULES:
        for name in names.split():
            value = getattr(getattr(recipe, table) if table else recipe, name)
            if not rule(value):
                raise ExperimentError(f"{where}{f', [{table}]' if table else ''}: {name} is {words}, not {value!r}")
    try:
        ExcerptPlan.parse(recipe.excerpts)
        if recipe.student.network not in NETWORKS:
            raise UnknownNameError("network", recipe.student.network, NETWORKS)
    except InputError as error:
        raise ExperimentError(f"{where}: {error}") from error
    _check_teachers(recipe.teachers, where=where)
    _refuse_twice([one.name for one in recipe.material], where=f"{where}, [[material]]: names")
    for one in recipe.material:
        _check_material(one, where=f"{where}, [[material]] {one.name}")
    whole = SHARD * math.ceil(recipe.passages / SHARD)
    if whole < recipe.student.batch_size:
        raise ExperimentError(
            f"{where}: {whole} passages are less than one batch of {recipe.student.batch_size}; set student.batch_size"
        )


def _check_teachers(names: tuple[str, ...], *, where: str) -> None:
    _refuse_twice(names, where=f"{where}: teachers")
    for name in names:
        if file_name(name) != name or vocabulary_of(name) not in VOCABULARIES:
            raise ExperimentError(
                f"{where}: teachers are named as their weight files, which begin with the vocabulary of their tags "
                f"({', '.join(f'{one}-' for one in VOCABULARIES)}), not {name!r}"
            )


def _check_material(one: Material, *, where: str) -> None:
    if not one.name or "=" in one.name:
        raise ExperimentError(f"{where}: a name is needed, and one without '=', since --material takes NAME=DIR")
    if not 0 < one.share < math.inf:
        raise ExperimentError(f"{where}: share is above 0, not {one.share!r}")
    told = [one.dataset, one.split, one.part]
    if any(told) and not all(told):
        raise ExperimentError(f"{where}: dataset, split and part are given together or not at all, not {told}")
    if one.dataset and one.dataset not in DATASETS:
        raise ExperimentError(f"{where}: {UnknownNameError('dataset', one.dataset, DATASETS)}")
    if one.dataset and one.without:
        raise ExperimentError(f"{where}: `without` and `dataset` exclude each other: a part of a split says what is in")


def _refuse_twice(names: Iterable[str], *, where: str) -> None:
    found = list(names)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ExperimentError(f"{where} are given once each, not twice: {some(twice)}")
