"""From a student that has learned to a model file: the space it recommends in, its tags, and a card.

The space is one linear map of the student's hidden numbers, fitted on the tracks that it learned from, so that one
song's vector depends on no library: centred, scaled, and narrowed where the passages of one track differ among
themselves (within-class covariance normalisation, Hatch, Kajarekar & Stolcke 2006; the classes are tracks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.files import replacing
from soundkin.lab.distill.judge import windows_of
from soundkin.lab.distill.lessons import Lessons
from soundkin.lab.distill.material import Track
from soundkin.lab.distill.student import Student, embed
from soundkin.lab.distill.teachers import WINDOW
from soundkin.lab.distill.vocabulary import MERGED
from soundkin.lab.export import TOLERANCE, trial_sound, with_card
from soundkin.lab.importweights import FRONT_END
from soundkin.lab.networks.to_onnx import to_onnx
from soundkin.model import OnnxModel, model_card
from soundkin.spectrogram import log_mel

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FinishSettings:
    """How the space is fitted, and how a track is heard."""

    within: float = 0.0
    """How far differences within a track are narrowed: 0 not at all, 1 fully."""
    shrinkage: float = 0.1
    """Of the covariance within tracks, towards a sphere."""
    excerpts: str = "8x10"


@dataclass(frozen=True)
class Finished:
    """A model file as it was written."""

    path: Path
    model_id: str
    megabytes: float
    """Of 10^6 bytes."""
    difference: float
    """The largest between its answers and the student's, in parts of their range."""


def finish(
    student: Student,
    lessons: Lessons,
    tracks: Sequence[Track],
    settings: FinishSettings,
    *,
    out: Path,
    name: str,
    version: str,
    licence: str,
    training: Mapping[str, Any],
) -> Finished:
    """Write the student as the model file `out`; its space is fitted on `tracks`. Raises ExperimentError."""
    windows = [windows_of(track) for track in tracks]
    belongs = np.repeat(np.arange(len(tracks)), [len(one) for one in windows])
    embedding = np.concatenate([embed(student, one)[1] for one in windows])
    space = fit_space(embedding, belongs, settings)
    module = FinishedModule(student, lessons, space).eval()
    card = model_card(
        name,
        front_end=FRONT_END,
        version=version,
        segment_frames=WINDOW,
        dimension=module.embedding.out_features,
        tags=[{"label": tag.label, "category": tag.category} for tag in MERGED],
        excerpts=settings.excerpts,
        licence=licence,
        training=dict(training),
    )
    content = to_onnx(module, (FRONT_END.n_mels, WINDOW), input_name="mel", output_names=["embedding", "tags"])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as file:
            file.write(with_card(content, card))
            file.flush()
            written = OnnxModel(Path(file.name))
            difference = _compare(written, module)
    except OSError as error:
        raise ExperimentError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Finished(out, written.id, out.stat().st_size / 1e6, difference)


def _compare(written: OnnxModel, module: FinishedModule) -> float:
    """The largest difference of the file's answers for a sound from the module's. Raises ExperimentError."""
    y = trial_sound((written.segment - 1) * FRONT_END.hop_length + 1, sr=FRONT_END.sr, seed=0)
    with torch.no_grad():
        expected = np.concatenate([x[0].numpy() for x in module(torch.from_numpy(log_mel(y, FRONT_END))[None])])
    difference = float(np.abs(written.hear(y)[0] - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise ExperimentError(
            f"the file would answer otherwise than the student, by up to {difference:.2g}, where {TOLERANCE:g} may be "
            "rounding; nothing was written"
        )
    return difference


@dataclass(frozen=True)
class Space:
    """`(x - centre) @ matrix`: centre (d_in,), matrix (d_in, d_out), float64."""

    centre: Float64Array
    matrix: Float64Array


def fit_space(x: FloatArray, tracks: npt.NDArray[np.int64], settings: FinishSettings) -> Space:
    """The space of embeddings `x` (n, d) float32 of windows, `tracks` (n,) telling which belong together."""
    x64 = x.astype(np.float64)
    names, inverse = np.unique(tracks, return_inverse=True)
    counts = np.bincount(inverse)
    means = np.zeros((len(names), x.shape[1]))
    np.add.at(means, inverse, x64)
    means /= counts[:, None]
    centre = means.mean(axis=0)
    off = x64 - means[inverse]
    within = off.T @ off / max(1, len(x) - len(names))
    size = np.trace(within) / len(within)
    within = (1 - settings.shrinkage) * within + settings.shrinkage * size * np.eye(len(within))
    values, vectors = np.linalg.eigh(within / size)
    matrix = (vectors * values ** (-settings.within / 2)) @ vectors.T
    return Space(centre, matrix)


# --- the module that the file holds ----------------------------------------------------------------------------------


class FinishedModule(nn.Module):
    """Log-mel windows (batch, n_mels, WINDOW) in dB to embeddings (batch, dimension) and probabilities of the merged
    tags (batch, labels)."""

    def __init__(self, student: Student, lessons: Lessons, space: Space) -> None:
        super().__init__()
        self.network = student.network
        hidden = student.network.embedding_size
        labels = len(lessons.tag_mean)
        project = student.project.weight.detach().double().numpy()  # (dimension, hidden)
        centre = student.centre
        assert centre.running_mean is not None and centre.running_var is not None
        scale = 1 / np.sqrt(centre.running_var.double().numpy() + centre.eps)
        mean = centre.running_mean.double().numpy()
        self.embedding = _linear(
            space.matrix.T @ (project * scale[:, None]), -(mean * scale + space.centre) @ space.matrix
        )
        head = student.network.head
        assert isinstance(head, nn.Linear)
        first = lessons.window.shape[-1] + lessons.tags.start
        weight = head.weight.detach().double().numpy()[first : first + labels]
        bias = head.bias.detach().double().numpy()[first : first + labels]
        self.tags = _linear(weight * lessons.tag_deviation[:, None], bias * lessons.tag_deviation + lessons.tag_mean)
        assert self.embedding.in_features == hidden

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.network.embed(mel)
        return self.embedding(hidden), torch.sigmoid(self.tags(hidden))


def _linear(weight: Float64Array, bias: Float64Array) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer
