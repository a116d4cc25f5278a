"""The student: a small network that learns to answer as all of its teachers do, and how alike they find two songs.

Hinton, Vinyals & Dean 2015 (arXiv:1503.02531) for answers, Tung & Mori 2019 (arXiv:1907.09682) for relations, Khosla et
al. 2020 (arXiv:2004.11362) for the contrastive term, whose positives are the windows of one track. Of each passage the
student hears what its teachers have heard, or a poorer copy (mixtures.py), and answers alike.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.checkpoint import Progress, read_progress, write_progress
from soundkin.lab.distill.lessons import Lessons
from soundkin.lab.distill.targets import Targets
from soundkin.lab.distill.teachers import WINDOW
from soundkin.lab.importweights import FRONT_END
from soundkin.lab.networks import build_network
from soundkin.lab.networks.network import Network

FloatArray = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudentSettings:
    """How the student is built and taught; `answers`, `relations` and `contrast` are the weights of its losses."""

    network: str = "strided-cnn"
    sizes: Mapping[str, Any] = field(default_factory=dict)
    dimension: int = 192
    """Of the embedding that recommends."""
    epochs: int = 30
    batch_size: int = 64
    lr: float = 0.002
    weight_decay: float = 0.02
    warm_up: float = 0.05
    """Share of all steps in which the learning rate rises; then it falls along a cosine."""
    average: float = 0.999
    """Decay of the running mean of the weights, which is what is kept."""
    answers: float = 1.0
    relations: float = 1.0
    contrast: float = 0.1
    temperature: float = 0.15
    copies: float = 0.5
    """Chance that the student hears the poorer copy of a passage."""
    masks: int = 1
    """Bands and stretches of time that are hidden in each window, one of each at most so many."""
    shift: int = 8
    """Frames by which windows are moved at most."""
    seed: int = 0


class Student(nn.Module):
    """`network.embed` (batch, hidden), `network.head` all answers, `project` the embedding (batch, dimension)."""

    def __init__(self, network: Network, dimension: int) -> None:
        super().__init__()
        self.network = network
        self.project = nn.Linear(network.embedding_size, dimension, bias=False)
        # centred and scaled by what it was trained on, so that a song's vector does not depend on a library
        self.centre = nn.BatchNorm1d(dimension, affine=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        dropout: nn.Module = getattr(self.network, "dropout", nn.Identity())
        hidden = dropout(self.network.embed(x))
        return self.centre(self.project(hidden)), self.network.head(hidden)


def build_student(settings: StudentSettings, *, input_shape: tuple[int, int], outputs: int) -> Student:
    """With fresh weights. Raises ExperimentError."""
    torch.manual_seed(settings.seed)
    network = build_network(settings.network, input_shape=input_shape, classes=outputs, **settings.sizes)
    return Student(network, settings.dimension)


def teach(
    targets: Targets,
    lessons: Lessons,
    settings: StudentSettings,
    *,
    checkpoint: Path,
    key: str,
    device: str = "cpu",
    begin: Callable[[Student], None] | None = None,
    on_epoch: Callable[[dict[str, Any], Student], None] | None = None,
) -> Student:
    """A student after all epochs, its weights averaged, in evaluation mode; goes on from `checkpoint` if it is there.

    `begin` gives a fresh student its weights. `on_epoch` is called with what was measured, and the averaged student as
    it is then.
    """
    place = torch.device(device)
    kept = read_progress(checkpoint, key=key, device=place)
    student = build_student(settings, input_shape=(FRONT_END.n_mels, WINDOW), outputs=lessons.outputs)
    if begin is not None and kept is None:
        begin(student)
    student.to(place)
    if student.network.input_is_picture:
        student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(student).eval()
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    history: list[dict[str, Any]] = []
    if kept is not None:
        _set_random_state(kept.state.pop(_RANDOM, None), place)
        student.load_state_dict(kept.state)
        averaged.load_state_dict(kept.best_state)
        optimizer.load_state_dict(kept.optimizer)
        history = kept.history
    steps = len(targets) // settings.batch_size
    if not steps:
        raise ExperimentError(f"{len(targets)} passages are less than a batch of {settings.batch_size}")
    for epoch in range(len(history), settings.epochs):
        began = time.monotonic()
        losses: dict[str, float] = {}
        student.train()
        for step, batch in enumerate(_batches(targets, lessons, settings, epoch=epoch)):
            share = (epoch * steps + step) / (settings.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * _schedule(share, settings.warm_up)
            parts = _step(student, batch, lessons, settings, place)
            loss = sum(parts.values(), torch.zeros((), device=place))
            if not torch.isfinite(loss):
                raise ExperimentError(f"the loss is not finite in epoch {epoch + 1}; a lower lr helps: {settings.lr}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
            _average(averaged, student, min(settings.average, (1 + step + epoch * steps) / (10 + step + epoch * steps)))
            for name, part in parts.items():
                losses[name] = losses.get(name, 0.0) + float(part.detach()) / steps
        row = {"epoch": epoch + 1, "seconds": round(time.monotonic() - began, 1)}
        row |= {name: round(value, 4) for name, value in losses.items()}
        if on_epoch is not None:
            on_epoch(row, averaged)
        history.append(row)
        write_progress(
            checkpoint,
            Progress(
                student.state_dict() | {_RANDOM: _random_state(place)},
                optimizer.state_dict(),
                averaged.state_dict(),
                epoch,
                history,
            ),
            key=key,
        )
    return averaged.eval()


_RANDOM = "random state"  # of dropout, without which what goes on is another training


def _random_state(place: torch.device) -> torch.Tensor:
    return torch.cuda.get_rng_state(place) if place.type == "cuda" else torch.get_rng_state()


def _set_random_state(state: torch.Tensor | None, place: torch.device) -> None:
    if state is None:
        return
    if place.type == "cuda":
        torch.cuda.set_rng_state(state.cpu(), place)
    else:
        torch.set_rng_state(state)


def _schedule(share: float, warm_up: float) -> float:
    if share < warm_up:
        return (share + 1e-3) / warm_up
    return 0.5 * (1 + float(np.cos(np.pi * (share - warm_up) / (1 - warm_up)))) + 1e-3


@torch.no_grad()
def _average(averaged: Student, student: Student, decay: float) -> None:
    for mean, now in zip(averaged.state_dict().values(), student.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


@dataclass(frozen=True)
class _Batch:
    x: torch.Tensor
    window: torch.Tensor
    passage: torch.Tensor
    alike: torch.Tensor
    first: torch.Tensor


def _batches(targets: Targets, lessons: Lessons, settings: StudentSettings, *, epoch: int) -> Iterator[_Batch]:
    """Prepared one ahead, since reading takes a processor's time as well."""
    order = in_pairs(targets.first, np.random.default_rng((settings.seed, epoch)))
    size = settings.batch_size

    def prepare(rows: npt.NDArray[np.int64], seed: int) -> _Batch:
        own = np.random.default_rng((settings.seed, epoch, seed))
        shift = own.integers(-settings.shift, settings.shift + 1, len(rows))
        x = targets.windows(rows, shift, (own.random(len(rows)) < settings.copies).astype(np.int64))
        for windows in x:
            for one in windows:
                _mask(one, settings.masks, own)
        alike = np.mean([one[rows] @ one[rows].T for one in lessons.joint], axis=0, dtype=np.float32)
        arrays = (x, lessons.window[rows], lessons.passage[rows], alike, targets.first[rows])
        return _Batch(*(torch.from_numpy(array) for array in arrays))

    with ThreadPoolExecutor(1) as reader:
        starts = range(0, len(order) - size + 1, size)
        waiting = None
        for number, start in enumerate(starts):
            coming = reader.submit(prepare, np.sort(order[start : start + size]), number)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


def in_pairs(first: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """All passages in random order, but two of one track side by side, so that a batch has what belongs together."""
    order = rng.permutation(len(first))
    order = order[np.argsort(first[order], kind="stable")]
    bounds = np.flatnonzero(np.diff(first[order])) + 1
    pairs = [pair for part in np.split(order, bounds) for pair in np.split(part, range(2, len(part), 2))]
    return np.concatenate([pairs[i] for i in rng.permutation(len(pairs))])


def _mask(window: FloatArray, masks: int, rng: np.random.Generator) -> None:
    """Hide some bands and some time, as SpecAugment does (Park et al. 2019, arXiv:1904.08779); in place."""
    mean = window.mean()
    for _ in range(masks):
        width = int(rng.integers(0, 13))
        low = int(rng.integers(0, window.shape[0] - width))
        window[low : low + width] = mean
        width = int(rng.integers(0, 25))
        low = int(rng.integers(0, window.shape[1] - width))
        window[:, low : low + width] = mean


def _step(
    student: Student, batch: _Batch, lessons: Lessons, settings: StudentSettings, place: torch.device
) -> dict[str, torch.Tensor]:
    n, k = batch.x.shape[:2]
    x = batch.x.to(place).flatten(0, 1)
    with torch.autocast(place.type, torch.bfloat16):
        embedding, answers = student(x)
    embedding, answers = embedding.float().view(n, k, -1), answers.float().view(n, k, -1)
    off = _off(answers, batch.window.to(place), batch.passage.to(place), lessons)
    parts = {"answers": settings.answers * off}
    if settings.relations:
        units = nn.functional.normalize(embedding.mean(dim=1), dim=1)
        others = ~torch.eye(n, dtype=torch.bool, device=place)
        off = (units @ units.T - batch.alike.to(place))[others]
        parts["relations"] = settings.relations * 10 * off.square().mean()
    if settings.contrast:
        together = contrast(embedding, batch.first.to(place), temperature=settings.temperature)
        parts["contrast"] = settings.contrast * together
    return parts


def _off(answers: torch.Tensor, window: torch.Tensor, passage: torch.Tensor, lessons: Lessons) -> torch.Tensor:
    """Mean squared error of answers (n, k, outputs), in which each question counts alike, however many its columns."""
    split = window.shape[-1]
    off_window = (answers[..., :split] - window).square().mean(dim=(0, 1))
    off_passage = (answers[..., split:].mean(dim=1) - passage).square().mean(dim=0)
    questions = [off_window[block].mean() for block in lessons.blocks_window]
    questions += [off_passage[block].mean() for block in lessons.blocks_passage]
    return torch.stack(questions).mean()


def error_of(student: Student, targets: Targets, lessons: Lessons, *, device: str = "cpu") -> float:
    """How far the student's answers are from the lessons, as in training: 1 is what knowing only the means makes."""
    off = 0.0
    for rows in np.array_split(np.arange(len(targets)), math.ceil(len(targets) / 32)):
        windows = targets.windows(rows)
        _, _, answers = embed(student, windows.reshape(-1, *windows.shape[2:]), device=device)
        told = torch.from_numpy(answers).view(len(rows), windows.shape[1], -1)
        window, passage = torch.from_numpy(lessons.window[rows]), torch.from_numpy(lessons.passage[rows])
        off += float(_off(told, window, passage, lessons)) * len(rows) / len(targets)
    return off


def contrast(embedding: torch.Tensor, track: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """The supervised contrastive loss of the windows (n, k, d) of passages that begin with `track` (n,), a number.

    Those of one track are to lie closer to each other than to others.
    """
    n, k = embedding.shape[:2]
    units = nn.functional.normalize(embedding.flatten(0, 1), dim=1)
    logits = units @ units.T / temperature
    itself = torch.eye(n * k, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(itself, -1e9)
    owner = track.repeat_interleave(k)
    same = (owner[:, None] == owner[None]) & ~itself
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)
    return -(log_p * same).sum(dim=1).div(same.sum(dim=1)).mean()


def embed(student: Student, windows: FloatArray, *, device: str = "cpu", batch: int = 64) -> tuple[FloatArray, ...]:
    """Windows (n, n_mels, WINDOW) to hidden (n, hidden), embedding (n, dimension) and all answers (n, outputs)."""
    found = []
    with torch.inference_mode():
        for i in range(0, len(windows), batch):
            hidden = student.network.embed(torch.from_numpy(windows[i : i + batch]).to(device))
            found.append([hidden, student.centre(student.project(hidden)), student.network.head(hidden)])
    return tuple(torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
