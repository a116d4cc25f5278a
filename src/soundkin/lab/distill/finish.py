"""From a student that has learned to a model file: the space it recommends in, its tags, and a card.

The space is the student's own, centred and scaled by the tracks that it learned from, so that one song's vector does
not depend on the library around it; what changes within a track, or between a track and its copy through a codec, is
made to count less. A tag's probability is what the teachers together would give: the student's mean
over windows, brought to theirs by Platt's sigmoid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.files import replacing
from soundkin.lab.distill.judge import spread, windows_of
from soundkin.lab.distill.lessons import Lessons
from soundkin.lab.distill.material import Track
from soundkin.lab.distill.student import Student, embed
from soundkin.lab.distill.targets import Targets
from soundkin.lab.distill.teachers import WINDOW, WINDOWS
from soundkin.lab.export import trial_sound, with_card
from soundkin.lab.importweights import FRONT_END
from soundkin.lab.networks.to_onnx import store_in_half, to_onnx
from soundkin.lab.tagging.calibration import fit_sigmoids
from soundkin.model import OnnxModel, model_card
from soundkin.spectrogram import log_mel

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_TOLERANCE = 0.01  # largest difference of the file's answers in parts of their range: its weights have eleven bits
_TRIED = 3  # sounds that are compared
_EDGE = 1e-6  # how far from 0 and 1 probabilities are kept, so that their logits are finite


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
    aside: Targets,
    lessons: Lessons,
    tracks: Sequence[Track],
    *,
    out: Path,
    name: str,
    version: str,
    licence: str,
    excerpts: str,
    mutual_proximity: bool,
    within: float,
    training: Mapping[str, Any],
) -> Finished:
    """Write the student as the model file `out`. Raises ExperimentError.

    Its tags are calibrated by the passages `aside`, which it has not learned from, and the `lessons` of these; its
    space is laid out by `tracks`, see `lay_out` for `within`.
    """
    if len(tracks) < 2:
        raise ExperimentError("the space is centred and scaled by two tracks at least, and there is one")
    heard = [embed(student, windows_of(track))[1] for track in tracks]
    moved = [_moved_by_codec(student, track) for track in tracks if track.has_copy]
    module = FinishedModule(student, lessons, *lay_out(heard, moved, within=within)).eval()
    slope, intercept = calibrate(module, aside, lessons)
    card = model_card(
        name,
        front_end=FRONT_END,
        version=version,
        segment_frames=WINDOW,
        dimension=module.embedding.out_features,
        tags=[{"label": tag.label, "category": tag.category} for tag in lessons.labels],
        calibration={"slope": slope.round(5).tolist(), "intercept": intercept.round(5).tolist()},
        excerpts=excerpts,
        mutual_proximity=mutual_proximity,
        licence=licence,
        training=dict(training) | {"parameters": _parameters(module)},
    )
    content = to_onnx(module, (FRONT_END.n_mels, WINDOW), input_name="mel", output_names=["embedding", "tags"])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as file:
            file.write(with_card(store_in_half(content), card))
            file.flush()
            written = OnnxModel(Path(file.name))
            difference = _compare(written, module)
    except OSError as error:
        raise ExperimentError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Finished(out, written.id, out.stat().st_size / 1e6, difference)


class FinishedModule(nn.Module):
    """Log-mel windows (batch, n_mels, WINDOW) in dB to embeddings (batch, dimension) and probabilities of the merged
    tags (batch, labels). An embedding is `turn` (dimension, dimension) of the student's less `centre` (dimension,)."""

    def __init__(self, student: Student, lessons: Lessons, centre: Float64Array, turn: Float64Array) -> None:
        super().__init__()
        self.network = student.network
        mean, deviation = _centre(student)
        project = student.project.weight.detach().double().numpy() / deviation[:, None]  # (dimension, hidden)
        self.embedding = _linear(turn @ project, -turn @ (mean / deviation + centre))
        head = student.network.head
        assert isinstance(head, nn.Linear)
        first = lessons.window.shape[-1] + lessons.tags.start
        columns = slice(first, first + len(lessons.tag_mean))
        weight, bias = (x.detach().double().numpy()[columns] for x in (head.weight, head.bias))
        self.tags = _linear(weight * lessons.tag_deviation[:, None], bias * lessons.tag_deviation + lessons.tag_mean)

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.network.embed(mel)
        return self.embedding(hidden), torch.sigmoid(self.tags(hidden))


def _moved_by_codec(student: Student, track: Track) -> FloatArray:
    """By how much the mean embedding of the track's copied part differs after the codec, (dimension,)."""
    frames = np.array(track.copied)
    copy = track.copy_of(frames)
    assert copy is not None  # these are its frames
    plain = track.mels[0].read()[:, np.clip(frames, 0, track.mels[0].shape[1] - 1)]
    means = [embed(student, spread(mel))[1].mean(axis=0) for mel in (copy, plain)]
    return np.asarray(means[0] - means[1], np.float32)


def lay_out(
    heard: Sequence[FloatArray], moved: Sequence[FloatArray], *, within: float
) -> tuple[Float64Array, Float64Array]:
    """Where the space's middle is, (dimension,), and how it is turned, (dimension, dimension).

    From the embeddings `heard` of the windows of tracks, (windows, dimension) each, and by how much a codec has `moved`
    tracks, (dimension,) each.

    Every number gets the deviation 1 over tracks. Then directions in which the windows of one track lie apart, or in
    which a codec moves tracks, are shortened: within-class covariance normalisation (Hatch, Kajarekar & Stolcke 2006),
    a track being a class, `within` the weight of that covariance against none.
    """
    means = np.stack([x.mean(axis=0, dtype=np.float64) for x in heard])
    centre, deviation = means.mean(axis=0), means.std(axis=0)
    deviation = np.maximum(deviation, 1e-6)  # a number that never changes says nothing, and must not become infinite
    apart = [np.concatenate([(x - x.mean(axis=0)) / len(x) ** 0.5 for x in heard])]
    if moved:
        apart.append(np.stack(moved))
    covariance = (1 - within) * np.eye(len(centre))
    for off in apart:
        part = (off / deviation).T @ (off / deviation)
        if np.trace(part) > 0:
            covariance += within / len(apart) * part / np.trace(part) * len(centre)
    values, axes = np.linalg.eigh(covariance)
    turn = axes @ np.diag(np.maximum(values, 1e-6) ** -0.5) @ axes.T
    return centre, turn / deviation


def _centre(student: Student) -> tuple[Float64Array, Float64Array]:
    """Mean and deviation that the student's last batch norm takes off, (dimension,) each."""
    mean, variance = student.centre.running_mean, student.centre.running_var
    assert mean is not None and variance is not None
    return mean.double().numpy(), np.sqrt(variance.double().numpy() + student.centre.eps)


def _linear(weight: npt.NDArray[Any], bias: npt.NDArray[Any]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def calibrate(module: FinishedModule, targets: Targets, lessons: Lessons) -> tuple[Float64Array, Float64Array]:
    """Slope and intercept (labels,) on the logit of the mean over windows, so that it is what the teachers say.

    Platt 1999, with the teachers' probabilities as soft labels.
    """
    told = []
    with torch.inference_mode():
        for part in np.array_split(np.arange(len(targets)), math.ceil(len(targets) / 32)):
            windows = torch.from_numpy(targets.windows(part).reshape(-1, FRONT_END.n_mels, WINDOW))
            told.append(module(windows)[1].view(len(part), WINDOWS, -1).mean(dim=1).double().numpy())
    z = logit(np.clip(np.concatenate(told), _EDGE, 1 - _EDGE))
    wanted = lessons.passage[:, lessons.tags] * lessons.tag_deviation + lessons.tag_mean
    slope, intercept = np.ones(z.shape[1]), np.zeros(z.shape[1])
    for tag, soft in enumerate(expit(wanted.astype(np.float64)).T):
        fitted, offset = fit_sigmoids(z[:, [tag]], soft[:, np.newaxis])
        if fitted > 0:  # a tag that the student did not learn is left as it is, rather than the same for all songs
            slope[tag], intercept[tag] = fitted, offset[0]
    return slope, intercept


def _parameters(module: FinishedModule) -> int:
    """Of what the file holds; the head that answered all of the teachers is no part of it."""
    return sum(x.numel() for name, x in module.named_parameters() if not name.startswith("network.head."))


def _compare(written: OnnxModel, module: FinishedModule) -> float:
    """The largest difference of the file's answers for some sounds from the module's, in parts of an embedding's
    largest number, or of a probability. Raises ExperimentError."""
    largest = 0.0
    for seed in range(_TRIED):
        y = trial_sound((written.segment - 1) * FRONT_END.hop_length + 1, sr=FRONT_END.sr, seed=seed)
        with torch.no_grad():
            embedding, tags = (x[0].numpy() for x in module(torch.from_numpy(log_mel(y, FRONT_END))[None]))
        row = written.hear(y)[0]
        off = np.abs(row[: len(embedding)] - embedding).max() / np.abs(embedding).max()
        largest = max(largest, float(off), float(np.abs(row[len(embedding) :] - tags).max()))
    if not largest <= _TOLERANCE:
        raise ExperimentError(
            f"the file would answer otherwise than the student, by up to {largest:.2g}, where {_TOLERANCE:g} may be "
            "rounding; nothing was written"
        )
    return largest
