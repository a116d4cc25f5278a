"""Which model a library answers with, and what is known of it when its file is not at hand."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import Catalogue, StoredModel
from soundkin.errors import ModelError, UnknownNameError
from soundkin.excerpts import ExcerptPlan
from soundkin.model import DEFAULT_MODEL, MODELS, Embedding, Model, Space, Tag, built_in_id, load_model

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answering:
    """The model that answers, and, where it only stands in for the default one, how far that is."""

    model: Model
    heard: int = 0
    """Tracks that the default model has heard, while another stands in."""
    tracks: int = 0
    """Tracks that it is to hear; 0 when nothing stands in for it."""

    @property
    def note(self) -> str | None:
        """What a listener should know about it: a sentence, or None."""
        if not self.tracks:
            return None
        return (
            f"answers come from {self.model.id} until {DEFAULT_MODEL} has heard all: {self.heard:,} of "
            f"{self.tracks:,}; `soundkin scan` goes on"
        )


def choose_model(catalogue: Catalogue, name: str | Path | None = None) -> Answering:
    """The model that answers from `catalogue`.

    Without a `name` it is the default model, once it has heard every track that another has (missing tracks and those
    that failed do not count); until then the one that has heard the most. `name` is a built-in model, the path of a
    model file, or the id of a model that the library knows, whether its file is still there or not.

    Raises UnknownNameError for a name that is nothing of this, ModelError for a file that cannot be used.
    """
    known = {model.id: model for model in catalogue.models(counted=False)}
    if name is not None:
        return Answering(_named(known, name))
    default = built_in_id(DEFAULT_MODEL)
    own = LibraryModel(known[default]) if default in known else None
    if known.keys() - {default} and (own is None or catalogue.is_behind(default)):
        heard = catalogue.tracks_heard()
        most = max(known, key=lambda id: (heard.get(id, 0), id == default, id))
        if most != default and heard.get(most):
            return Answering(LibraryModel(known[most]), heard.get(default, 0), catalogue.statistics().tracks)
    return Answering(load_model(DEFAULT_MODEL) if own is None else own)


def _named(known: Mapping[str, StoredModel], name: str | Path) -> Model:
    if isinstance(name, str) and name in known:
        return LibraryModel(known[name])
    if name not in MODELS and not Path(name).exists():
        place = os.path.abspath(name)  # noqa: PTH100 - links stay
        of_that_file = [model for model in known.values() if model.source == place]
        if len(of_that_file) == 1:
            return LibraryModel(of_that_file[0])
    try:
        return load_model(name)
    except UnknownNameError as error:
        raise UnknownNameError("model (nor a file of that name)", str(name), [*MODELS, *known]) from error


class LibraryModel:
    """A model as a library knows it, which is enough for all that it has heard; to hear more, its file is loaded."""

    def __init__(self, stored: StoredModel) -> None:
        self.id, self.name, self.version = stored.id, stored.name, stored.version
        self.dimension = stored.dimension
        self.tags = tuple(Tag(label, category) for label, category in stored.tags)
        self.card = stored.card
        self._stored = stored

    @property
    def source(self) -> str:
        # a library from before this was stored knows the built-in ones by their names
        known = self._stored.source or (self.name if self.name in MODELS else None)
        if known is None:
            raise ModelError(f"where the model {self.id} came from is not known; name its file with --model FILE")
        return known

    @property
    def forgotten_space(self) -> bool:
        """Is there no way to tell how its vectors are compared?"""
        return self._stored.space is None and self.problem is not None

    @functools.cached_property
    def space(self) -> Space:
        return Space.from_json(self._stored.space) if self._stored.space else self.loaded.space

    @property
    def sr(self) -> int:
        return self.loaded.sr

    @property
    def excerpts(self) -> ExcerptPlan:
        return self.loaded.excerpts

    def hear(self, y: FloatArray) -> FloatArray:
        return self.loaded.hear(y)

    def summarise(self, rows: FloatArray) -> Embedding:
        return self.loaded.summarise(rows)

    @functools.cached_property
    def problem(self) -> str | None:
        """Why it cannot hear anything now, or None."""
        try:
            self.loaded  # noqa: B018 - loading is the test
        except ModelError as error:
            return str(error)
        return None

    @functools.cached_property
    def loaded(self) -> Model:
        """The model itself. Raises ModelError when its file is gone, cannot be used or holds another model now."""
        way_out = "Songs that it has heard still answer; to hear others, bring the file back or name it with --model"
        try:
            model = load_model(self.source)
        except (ModelError, UnknownNameError) as error:
            raise ModelError(f"the model {self.id} is not at hand: {error}. {way_out}") from error
        if model.id != self.id:
            raise ModelError(f"the model {self.id} is not at hand: {self.source} is now {model.id}. {way_out}")
        return model
