"""What there is to say of the models that are built in and of those that a library knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundkin.answering import LibraryModel, choose_model
from soundkin.catalogue import Catalogue
from soundkin.errors import ModelError
from soundkin.model import BUNDLED, MODELS, Model, Space, Tag, load_model


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that is built in, that a library has vectors of, or a model file; None is what is not known."""

    name: str
    built_in: bool
    id: str | None = None
    version: str | None = None
    dimension: int | None = None
    space: Space | None = None
    tags: tuple[Tag, ...] = ()
    excerpts: str | None = None
    """How much of a track it hears."""
    card: Mapping[str, Any] | None = None
    """What it says of itself, as JSON has it."""
    file: Path | None = None
    """The model file; None too for a model that has none, and one whose file is gone."""
    heard: int = 0
    """Tracks of the library, the missing ones not counted."""
    problem: str | None = None
    """Why it can hear nothing now."""

    @property
    def bytes(self) -> int | None:
        """Size of its file."""
        return self.file.stat().st_size if self.file is not None and self.file.is_file() else None


def known_models(catalogue: Catalogue | None) -> list[KnownModel]:
    """The built-in models, then the others that the library knows, those that have heard the most first."""
    heard = catalogue.tracks_heard() if catalogue else {}
    found = []
    for name in MODELS:
        try:
            found.append(_describe(load_model(name), heard))
        except ModelError as error:
            found.append(KnownModel(name, built_in=True, problem=str(error)))
    built_in = {one.id for one in found}
    others = [LibraryModel(one) for one in catalogue.models(counted=False)] if catalogue else []
    others = sorted((one for one in others if one.id not in built_in), key=lambda one: -heard.get(one.id, 0))
    return [*found, *(_describe(one, heard) for one in others)]


def known_model(catalogue: Catalogue | None, name: str | Path) -> KnownModel:
    """The model of that name, id or file. Raises UnknownNameError, ModelError."""
    model = choose_model(catalogue, name).model if catalogue else load_model(name)
    return _describe(model, catalogue.tracks_heard() if catalogue else {})


def _describe(model: Model, heard: Mapping[str, int]) -> KnownModel:
    kept = model if isinstance(model, LibraryModel) else None
    problem = kept.problem if kept else None
    source = None if problem else model.source
    return KnownModel(
        model.name,
        built_in=source in MODELS,
        id=model.id,
        version=model.version,
        dimension=kept.dimension if kept else model.space.dimension,
        space=None if kept and kept.forgotten_space else model.space,
        tags=model.tags,
        excerpts=None if problem else str(model.excerpts),
        card=model.card,
        file=None if source is None else BUNDLED.get(source) if source in MODELS else Path(source),
        heard=heard.get(model.id, 0),
        problem=problem,
    )
