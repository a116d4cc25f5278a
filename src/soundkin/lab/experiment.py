"""An experiment file: which clips, heard how, split how, by which methods, and what the source reports.

title = "S1 table 2: vanilla RNN, LSTM and GRU"
source = "S1, table 2"
dataset = "gtzan-spectrograms"        # soundkin.lab.datasets
representation = "picture"            # soundkin.lab.representations
protocol = "s1"                       # soundkin.lab.splits
seeds = [0, 1, 2]

[settings]                            # of every method, unless it says otherwise
epochs = 25

[[methods]]
name = "gru-64"
estimator = "gru"                     # soundkin.lab.estimators
settings = { sizes = { hidden = 64 } }
grid = { lr = [1e-4, 1e-3] }          # optional: chosen by cross-validation on the fitting part
reported = { accuracy = 0.28, parameters = 55370 }
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.runs import Method

_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Experiment:
    """A table to be made: `methods` are its lines."""

    name: str
    title: str
    dataset: str
    representation: str
    methods: tuple[Method, ...]
    source: str = ""
    protocol: str = ""
    """Empty: by artist where artists are known, else stratified folds."""
    representation_settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    folds: int | None = None
    fit_on_valid: bool = False
    """Classical methods are fitted on training and validation part together."""
    search_folds: int = 5
    search_settings: Mapping[str, Any] = field(default_factory=dict)
    """What differs from `settings` while a grid is searched, such as fewer epochs."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked_dataset: str = ""
    asked_protocol: str = ""
    """What the file names, where something else was asked for: the source's figures are of that."""
    sweep: str = ""
    """The setting along which the methods form a curve, for the report."""
    notes: str = ""

    def __post_init__(self) -> None:
        self._check_types()
        if not self.methods:
            raise ExperimentError(f"{self.name}: an experiment needs at least one [[methods]] table")
        names = [method.name for method in self.methods]
        for name in names:
            if not _NAME.fullmatch(name) or names.count(name) > 1:
                raise ExperimentError(
                    f"{self.name}: the name of a method is lower-case letters, digits, '.', '+' and '-', "
                    f"and none occurs twice; not {name!r}"
                )
        if not self.seeds or any(not isinstance(seed, int) or seed < 0 for seed in self.seeds):
            raise ExperimentError(f"{self.name}: seeds is a list of whole numbers from 0 up, not {list(self.seeds)}")

    def _check_types(self) -> None:
        for name, value in (("folds", self.folds), ("search_folds", self.search_folds)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 2):
                raise ExperimentError(f"{self.name}: {name} is a whole number from 2 up, not {value!r}")
        if not isinstance(self.fit_on_valid, bool):
            raise ExperimentError(f"{self.name}: fit_on_valid is true or false, not {self.fit_on_valid!r}")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type == "str" and not isinstance(value, str):
                raise ExperimentError(f"{self.name}: {item.name} is a text, not {value!r}")
            if item.type == "Mapping[str, Any]" and not isinstance(value, Mapping):
                raise ExperimentError(f"{self.name}: {item.name} is a table, not {value!r}")

    def representation_of(self, method: str) -> tuple[str, dict[str, Any]]:
        """The representation that the method of that name is given, its own or the experiment's, and its settings."""
        own = next((one for one in self.methods if one.name == method and one.representation), self)
        return own.representation, dict(own.representation_settings)

    def settings_of(self, method: Method) -> dict[str, Any]:
        return {**self.settings, **method.settings}


def list_experiments() -> dict[str, Path]:
    """The experiments that come with soundkin: name -> file."""
    folder = resources.files("soundkin.lab") / "experiments"
    paths = sorted(Path(str(item)) for item in folder.iterdir() if item.name.endswith(".toml"))
    return {path.stem: path for path in paths}


def find_toml(kind: str, name_or_file: str, *, known: Mapping[str, Path]) -> tuple[Path, dict[str, Any]]:
    """The file of that name in `known`, or at that path, and its content.

    Raises UnknownNameError, ExperimentError for a file that is no TOML.
    """
    path = known.get(name_or_file, Path(name_or_file))
    if not path.is_file():
        raise UnknownNameError(f"{kind} (nor a file of that name)", name_or_file, known)
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: no TOML that can be read: {error}") from error


def load_experiment(name_or_file: str, *, overrides: Iterable[str] = ()) -> Experiment:
    """By the name of one that comes with soundkin, or a file. `overrides` are 'key=value', value in TOML.

    A key is one of the experiment's own (`seeds=[0]`, `protocol="filtered"`, `search_settings.epochs=3`); any other
    is a setting of every method that has it (`epochs=3`, `sizes.hidden=32`).
    Raises UnknownNameError, or ExperimentError naming file, key and rule.
    """
    path, content = find_toml("experiment", name_or_file, known=list_experiments())
    asked = {name: content.get(name, "") for name in ("dataset", "protocol")}
    for override in overrides:
        if override.startswith("protocol"):
            content.pop("folds", None)  # they were the other protocol's
        _override(content, override)
    for name, value in asked.items():
        if content.get(name, "") != value:
            content[f"asked_{name}"] = value
    return _build(content, name=path.stem, path=path)


def _build(content: dict[str, Any], *, name: str, path: Path) -> Experiment:
    fields = {item.name for item in dataclasses.fields(Experiment)}
    _refuse_unknown(content, fields, where=str(path))
    methods = content.pop("methods", [])
    if not isinstance(methods, list) or not all(isinstance(method, dict) for method in methods):
        raise ExperimentError(f"{path}: methods are [[methods]] tables")
    for method in methods:
        _refuse_unknown(method, {item.name for item in dataclasses.fields(Method)}, where=f"{path}, [[methods]]")
        if not isinstance(method.get("estimator"), str):
            raise ExperimentError(f"{path}: a method without estimator: {method}")
        method.setdefault("name", method["estimator"])
    content.setdefault("name", name)
    seeds = content.get("seeds", [0])
    content["seeds"] = tuple(seeds) if isinstance(seeds, list) else (seeds,)
    try:
        return Experiment(methods=tuple(Method(**method) for method in methods), **content)
    except TypeError as error:
        raise ExperimentError(f"{path}: {error}; an experiment needs title, dataset and representation") from error


def _refuse_unknown(content: Mapping[str, Any], known: set[str], *, where: str) -> None:
    unknown = sorted(set(content) - known)
    if unknown:
        raise ExperimentError(f"{where}: unknown {', '.join(unknown)}; there are: {', '.join(sorted(known))}")


def _override(content: dict[str, Any], override: str) -> None:
    parts, value = read_override(override)
    own = parts[0] in {item.name for item in dataclasses.fields(Experiment)} - {"settings"}
    if own:
        assign(content, parts, value)
        return
    from soundkin.lab.estimators import has_setting  # seconds, and needed here only

    methods = [one for one in content.get("methods", []) if has_setting(str(one.get("estimator")), parts[0], value)]
    if not methods:
        raise ExperimentError(f"--set {override}: neither the experiment nor one of its methods has {parts[0]}")
    for method in methods:
        assign(method.setdefault("settings", {}), parts, value)


def read_override(override: str) -> tuple[list[str], Any]:
    """The path of a key and its value of 'sizes.hidden=32', the value in TOML. Raises ExperimentError."""
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ExperimentError(f"--set takes key=value, not {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()  # a bare word is a string
    return key.strip().split("."), value


def assign(table: dict[str, Any], parts: list[str], value: Any) -> None:
    """Set a value in nested tables by its path. Raises ExperimentError where a part of the path is no table."""
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ExperimentError(f"{'.'.join(parts)}: {part} is no table")
    table[parts[-1]] = value


def to_toml(experiment: Experiment) -> str:
    """The experiment as a file that `load_experiment` reads back."""
    content = dataclasses.asdict(experiment)
    methods = content.pop("methods")
    lines = [f"{key} = {_toml(value)}" for key, value in content.items() if value not in (None, "", {})]
    for method in methods:
        lines += ["", "[[methods]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in method.items() if value not in (None, "", {})]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(str(key))} = {_toml(item)}" for key, item in value.items() if item is not None)
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # a JSON string is a TOML string once the one escape that TOML lacks is out of the way
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
