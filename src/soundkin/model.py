"""Load and run a model: excerpts of a track in, an embedding and tag probabilities out.

Two kinds answer to the same protocol: `timbre`, hand-made, and model files, of which one comes with the package and
is the default.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from soundkin import timbre
from soundkin.errors import ModelError, UnknownNameError
from soundkin.excerpts import ExcerptPlan
from soundkin.modelfile import METADATA_KEY as METADATA_KEY
from soundkin.modelfile import identify, read_model_file
from soundkin.modelfile import model_card as model_card
from soundkin.spectrogram import log_mel

FloatArray = npt.NDArray[np.float32]

_BATCH = 16  # segments run at once


@dataclass(frozen=True, slots=True)
class Tag:
    """One output of a tagger: its label, as a person would say it, and its category (genre, mood, …)."""

    label: str
    category: str


@dataclass(frozen=True, slots=True)
class Space:
    """How the vectors of a model are compared."""

    dimension: int
    standardise: bool = False
    """Subtract the library's mean and divide by its deviation first, number by number."""
    weights: FloatArray | None = None
    """(dimension,) float32, multiplied after standardising."""
    aspects: Mapping[str, slice] = field(default_factory=dict)
    """Parts of the vector that mean something on their own ('rhythm'), for reasons; may be empty."""
    mutual_proximity: bool = False
    """Rank by how near each is for the other, against hubs: tracks that are near to everything."""

    def as_json(self) -> str:
        """As a library keeps it, so that what was heard can be compared when the model is no more at hand."""
        told = {
            "dimension": self.dimension,
            "standardise": self.standardise,
            "weights": None if self.weights is None else self.weights.tolist(),
            "aspects": {name: [part.start, part.stop] for name, part in self.aspects.items()},
            "mutual_proximity": self.mutual_proximity,
        }
        return json.dumps(told)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The space that `as_json` wrote."""
        told = json.loads(text)
        weights = told["weights"]
        return cls(
            told["dimension"],
            standardise=told["standardise"],
            weights=None if weights is None else np.array(weights, np.float32),
            aspects={name: slice(*ends) for name, ends in told["aspects"].items()},
            mutual_proximity=told["mutual_proximity"],
        )


@dataclass(frozen=True, slots=True)
class Embedding:
    """`vector` (dimension,) float32; `tags` (labels,) float32 probabilities, or None for a model without tags."""

    vector: FloatArray
    tags: FloatArray | None


class Model(Protocol):
    """What the rest of soundkin knows of a model."""

    @property
    def id(self) -> str:
        """Name and content: equal ids give equal vectors."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def source(self) -> str:
        """What `load_model` finds it by: the name of a built-in model, or the absolute path of a model file."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What it says of itself, as JSON has it."""

    @property
    def sr(self) -> int:
        """Hz of the audio that `hear` takes."""

    @property
    def space(self) -> Space: ...
    @property
    def tags(self) -> tuple[Tag, ...]: ...
    @property
    def excerpts(self) -> ExcerptPlan:
        """How much of a track this model hears unless told otherwise."""

    def hear(self, y: FloatArray) -> FloatArray:
        """Describe one excerpt `y` (n,) float32, mono, at `sr` Hz: (segments, numbers) float32."""

    def summarise(self, rows: FloatArray) -> Embedding:
        """One track from the rows (segments, numbers) of all its excerpts."""


class TimbreModel:
    """The hand-made descriptors of `soundkin.timbre`, one row an excerpt, averaged over the track."""

    # Counted up whenever a number that `describe` gives changes; a test holds it to reference values.
    version = "1"
    name = source = "timbre"
    id = "timbre-1"
    card: Mapping[str, Any] = MappingProxyType(
        {"licence": "MIT", "training": "none: descriptors made by hand, see soundkin/timbre.py"}
    )
    sr = timbre.SR
    tags: tuple[Tag, ...] = ()
    # Chosen with benchmarks/precision.py: as precise as the whole track, in two fifths of the time.
    excerpts = ExcerptPlan(12, 5.0)

    def __init__(self) -> None:
        self.space = Space(
            timbre.DIMENSION,
            standardise=True,
            weights=timbre.weights(),
            aspects=timbre.ASPECTS,
            mutual_proximity=True,
        )

    def hear(self, y: FloatArray) -> FloatArray:
        return timbre.describe(y)[np.newaxis]

    def summarise(self, rows: FloatArray) -> Embedding:
        return Embedding(rows.mean(axis=0, dtype=np.float64).astype(np.float32), None)


class OnnxModel:
    """A model file: log-mel segments in, `embedding` and optionally `tags` out, averaged over the track."""

    def __init__(self, path: Path, *, source: str | None = None) -> None:
        file = read_model_file(path)
        self._path = path
        self._session = file.session
        self._sigmoids = file.sigmoids
        self.source = os.path.abspath(path) if source is None else source  # noqa: PTH100 - links stay
        self.card = file.card
        self.id, self.name, self.version = file.id, file.name, file.version
        self.front_end, self.sr = file.front_end, file.front_end.sr
        self.segment, self.offset, self.scale = file.segment, file.offset, file.scale
        self.excerpts = file.excerpts
        self.tags = tuple(Tag(label, category) for label, category in file.tags)
        self.space = Space(
            file.dimension,
            standardise=file.standardise,
            mutual_proximity=file.mutual_proximity,
        )
        self._outputs = {"embedding": self.space.dimension} | ({"tags": len(self.tags)} if self.tags else {})
        self._try_out()

    def hear(self, y: FloatArray) -> FloatArray:
        """(segments, dimension + labels) float32, one row a segment, side by side without overlap."""
        needed = (self.segment - 1) * self.front_end.hop_length + 1
        if len(y) < needed:  # repeated rather than padded: silence would be heard as part of the music
            y = np.resize(y, needed)
        mel = (log_mel(y, self.front_end) + np.float32(self.offset)) * np.float32(self.scale)
        count = mel.shape[1] // self.segment
        spare = mel.shape[1] - count * self.segment
        mel = mel[:, spare // 2 : spare // 2 + count * self.segment]
        segments = np.ascontiguousarray(mel.reshape(len(mel), count, self.segment).swapaxes(0, 1))
        rows = [self.run(segments[i : i + _BATCH]) for i in range(0, count, _BATCH)]
        return np.concatenate(rows)

    def summarise(self, rows: FloatArray) -> Embedding:
        mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        vector, tags = mean[: self.space.dimension], mean[self.space.dimension :]
        return Embedding(vector, self.calibrate(tags) if self.tags else None)

    def calibrate(self, tags: FloatArray) -> FloatArray:
        """The mean of a track's tags (…, labels) as probabilities: Platt's sigmoids, where the file brings them."""
        if self._sigmoids is None:
            return tags
        slope, intercept = self._sigmoids
        edge = 1e-7  # as far as probabilities are from 0 and 1 at least, so that logits are finite
        p: npt.NDArray[np.float64] = np.clip(np.asarray(tags, np.float64), edge, 1 - edge)
        x = slope * np.log(p / (1 - p)) + intercept
        return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)  # the sigmoid, which overflows nowhere in this form

    def run(self, segments: FloatArray) -> FloatArray:
        """Log-mel segments (n, n_mels, frames) float32, offset and scaled, to (n, dimension + labels) float32.

        Raises ModelError.
        """
        try:
            outputs = self._session.run(list(self._outputs), {self._session.get_inputs()[0].name: segments})
        except Exception as error:  # onnxruntime raises its own, unrelated classes
            raise ModelError(f"{self._path}: the network fails on its own input: {error}") from error
        for (name, size), output in zip(self._outputs.items(), outputs, strict=True):
            if np.shape(output) != (len(segments), size):
                raise ModelError(
                    f"{self._path}: its output “{name}” for {len(segments)} segments has the shape {np.shape(output)}; "
                    f"its metadata say {(len(segments), size)}"
                )
        return np.concatenate([np.asarray(output, np.float32) for output in outputs], axis=1)

    def _try_out(self) -> None:
        """Hear two segments of silence: what does not fit shows at once, not in the middle of a scan."""
        try:
            rows = self.hear(np.zeros(2 * self.segment * self.front_end.hop_length, np.float32))
        except ModelError:
            raise
        except Exception as error:  # sizes that are no integers, outputs that are no numbers, more than memory holds
            raise ModelError(f"{self._path}: it cannot be run: {error!r}") from error
        if not np.isfinite(rows).all():
            raise ModelError(f"{self._path}: its outputs are not finite")
        tags = rows[:, self.space.dimension :]
        if (np.abs(tags - 0.5) > 0.501).any():  # a vote of several may round to a little more than 1
            raise ModelError(
                f"{self._path}: its tags are no probabilities from 0 to 1 but reach from {tags.min():.3g} to "
                f"{tags.max():.3g}; a sigmoid must be part of the network"
            )


FOLDER = Path(__file__).parent / "models"
BUNDLED = {"soundkin": FOLDER / "soundkin-2.onnx"}
"""Model files that come with the package."""
DEFAULT_MODEL = "soundkin"


@contextlib.contextmanager
def _of_the_package() -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(
            f"{error}. It comes with soundkin: install that again (pip install --force-reinstall soundkin), or go on "
            "with --model timbre"
        ) from error


def _load_bundled(name: str) -> Model:
    with _of_the_package():
        return OnnxModel(BUNDLED[name], source=name)


MODELS: dict[str, Callable[[], Model]] = {
    **{name: functools.partial(_load_bundled, name) for name in BUNDLED},
    "timbre": TimbreModel,
}
"""Built-in models by name."""


def built_in_id(name: str) -> str:
    """Id of a built-in model, a bundled one read but not loaded. Raises ModelError, KeyError for another name."""
    if name not in BUNDLED:
        return MODELS[name]().id
    with _of_the_package():
        return identify(BUNDLED[name], name=name)


def load_model(name_or_path: str | Path = DEFAULT_MODEL) -> Model:
    """Load a built-in model by name, or a model file by path.

    Raises UnknownNameError for a name that is neither, ModelError for a file that is no usable model.
    """
    if isinstance(name_or_path, str) and name_or_path in MODELS:
        return MODELS[name_or_path]()
    path = Path(name_or_path)
    if path.suffix.lower() == ".onnx" or path.exists():
        return OnnxModel(path)
    raise UnknownNameError("model (nor a file of that name)", str(name_or_path), MODELS)
