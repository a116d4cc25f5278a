"""Published taggers as teachers: what each of them makes of a passage.

Won et al. 2020 (arXiv:2006.00751): fully convolutional networks and CRNNs that hear 29 s, musicnn that hears 3 s. Of
those that hear 29 s it is also asked what they hear on the way, since their last layers sum all of it up: hints, as
Romero et al. 2015 (arXiv:1412.6550) call them, of every few seconds.
Teachers are asked in half precision (bfloat16), compiled where that can be: half as long, and 1 % off.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.datasets.wording import listing
from soundkin.lab.distill.vocabulary import VOCABULARIES, vocabulary_of
from soundkin.lab.importweights import PUBLISHED, fill, read_state, recognise
from soundkin.lab.networks.fcn import FCN
from soundkin.lab.networks.musicnn import Musicnn
from soundkin.lab.networks.network import Network
from soundkin.lab.networks.tagging_crnn import TaggingCRNN
from soundkin.lab.networks.to_onnx import EmbeddingAndLogits

FloatArray = npt.NDArray[np.float32]

WINDOW = 188
"""Frames that musicnn hears, 3 s, and the student."""
WINDOWS = 3
PASSAGE = WINDOWS * WINDOW
"""Frames of a passage. To the networks of 29 s it is played round and round, so that what they say of it depends on
nothing that the student does not hear."""
LONG = 1813
"""Frames that those hear."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """`answer(x)`: (batch, n_mels, frames) float32 in dB to embeddings (batch, d), logits (batch, tags) and, of those
    who hear passages, hints (batch, numbers, cells), a cell standing for `cell` frames."""

    name: str
    frames: int
    """LONG or WINDOW."""
    dimension: int
    tags: int
    cell: int
    answer: Callable[[FloatArray], tuple[FloatArray, ...]]
    weights: str
    """SHA-256 of the weight file."""
    precision: str
    """'float32', or 'bfloat16' of those who are asked fast."""

    @property
    def hears_windows(self) -> bool:
        return self.frames == WINDOW

    @property
    def vocabulary(self) -> str:
        """'msd', 'jamendo', 'mtat': the name up to its first hyphen."""
        return vocabulary_of(self.name)


def load_teachers(folder: Path, names: Sequence[str], *, device: str = "cpu", fast: bool = True) -> list[Teacher]:
    """The weights `folder`/NAME.pth of each name. Raises WeightsError, ExperimentError."""
    if not folder.is_dir():
        raise ExperimentError(f"{folder}: there is no such folder of teachers' weights")
    paths = [folder / f"{name}.pth" for name in names]
    for path in paths:
        _check_name(path)  # of all, before the first is loaded
    return [load_teacher(path, device=device, fast=fast) for path in paths]


def load_teacher(path: Path, *, device: str = "cpu", fast: bool = True) -> Teacher:
    """Without `fast` in single precision and not compiled. Raises WeightsError, ExperimentError.

    The file's name begins with the vocabulary of its tags, whose merging is written down in vocabulary.py.
    """
    vocabulary = _check_name(path)
    state = read_state(path)
    kind = recognise(state, path)
    network = fill(kind, state, path).to(device)
    frames = PUBLISHED[kind].segment_frames
    if frames not in (LONG, WINDOW):
        raise ExperimentError(f"{path}: hears {frames} frames; teachers hear {WINDOW} or {LONG}")
    head, tags = network.head, len(VOCABULARIES[vocabulary])
    assert isinstance(head, nn.Linear)  # in all that were published
    if head.out_features != tags:
        raise ExperimentError(f"{path}: tells {head.out_features} tags; teachers tell the {tags} of {vocabulary}")
    cell = _CELLS.get(type(network), 0)
    return Teacher(
        path.name.removesuffix(".pth"),
        frames,
        network.embedding_size,
        tags,
        cell,
        _Answer(network, device, fast),
        weights=hashlib.sha256(path.read_bytes()).hexdigest(),
        precision="bfloat16" if fast else "float32",
    )


def _check_name(path: Path) -> str:
    """The vocabulary that the file's name tells. Raises ExperimentError, also where there is no such file."""
    if not path.is_file():
        raise ExperimentError(
            f"{path}: there is no such weight file; the folder: {listing(path.parent)}. docs/model.md says where the "
            "teachers come from"
        )
    vocabulary, hyphen, _ = path.name.partition("-")
    if not hyphen or vocabulary not in VOCABULARIES:
        raise ExperimentError(
            f"{path}: a teacher's name begins with the vocabulary of its tags and a hyphen "
            f"({', '.join(f'{one}-' for one in VOCABULARIES)}), not so"
        )
    return vocabulary


_CELLS = {FCN: 4 * 4 * 4 * 5, TaggingCRNN: 2 * 3 * 4 * 4}
"""Frames that one cell of the hints stands for: what the pools before them make one of."""


class _WithHints(nn.Module):
    """A network of 29 s: (embedding, logits, hints)."""

    def __init__(self, network: FCN | TaggingCRNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        network = self.network
        x = network.spec_bn(x.unsqueeze(1))
        if isinstance(network, FCN):
            hints = network.blocks[:-1](x)  # (batch, 128, 4, 5)
            embedding = network.blocks[-1](hints).flatten(1)
        else:
            hints = network.blocks(x)  # (batch, 128, 1, 18)
            embedding = network.after_blocks(hints)
        return embedding, network.head(embedding), hints.flatten(1, 2)


class _Answer:
    def __init__(self, network: Network, device: str, fast: bool) -> None:
        self.device, self.fast = device, fast
        self.module: nn.Module
        self.compile = False
        if isinstance(network, Musicnn):
            self.module = EmbeddingAndLogits(QuickMusicnn(network))
        else:
            assert isinstance(network, FCN | TaggingCRNN)
            self.module = _WithHints(network)
            if fast:
                self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self.compile = True

    @torch.no_grad()
    def __call__(self, x: FloatArray) -> tuple[FloatArray, ...]:
        if self.compile:  # which takes half a minute, and a run that goes on may have nothing to ask any more
            self.module, self.compile = _compiled(self.module, device=self.device), False
        heard = torch.from_numpy(x).to(self.device)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.fast):
            answers = self.module(heard)
        return tuple(answer.float().cpu().numpy() for answer in answers)


def _compiled(module: nn.Module, *, device: str) -> nn.Module:
    """The module compiled, or as it is where this machine has no compiler."""
    import torch._inductor.config as inductor

    try:
        with torch.no_grad(), torch.autocast(torch.device(device).type, torch.bfloat16), inductor.patch(freezing=True):
            compiled = cast(nn.Module, torch.compile(module))
            compiled(torch.zeros(BATCH, 96, LONG, device=device))
    except Exception as error:  # whatever is missing to compile with
        _log.warning("the teachers are asked without compiling them, which takes twice as long: %s", error)
        return module
    return compiled


BATCH = 4
"""Passages that are heard at once."""


class QuickMusicnn(Network):
    """musicnn with its tall filters band by band, keeping the maximum: a third of the time of 2-D convolution here."""

    def __init__(self, network: Musicnn) -> None:
        super().__init__()
        self.network, self.head, self.embedding_size = network, network.head, network.embedding_size

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        network = self.network
        x = network.spec_bn(x.unsqueeze(1))[:, 0]  # (batch, 96, 188)
        tall = []
        for block in network.tall:
            conv, bn = block.get_submodule("conv"), block.get_submodule("bn")
            assert isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d)
            assert conv.bias is not None and bn.running_mean is not None and bn.running_var is not None
            height = conv.kernel_size[0]
            scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
            weight = conv.weight[:, 0] * scale[:, None, None]  # (204, height, 7)
            bias = (conv.bias - bn.running_mean) * scale + bn.bias
            best = nn.functional.conv1d(x[:, :height], weight, padding=3)
            for low in range(1, x.shape[1] - height + 1):
                best = torch.maximum(best, nn.functional.conv1d(x[:, low : low + height], weight, padding=3))
            tall.append(torch.relu(best + bias[:, None]))  # ReLU and adding keep the order, so they can come last
        return network.after_tall(x.mean(dim=1, keepdim=True), tall)


def windows_of_passages(passages: FloatArray) -> FloatArray:
    """(n, n_mels, PASSAGE) to (n, WINDOWS, n_mels, WINDOW)."""
    n, bands, _ = passages.shape
    return np.ascontiguousarray(passages.reshape(n, bands, WINDOWS, WINDOW).swapaxes(1, 2))


def ask(teachers: Sequence[Teacher], passages: FloatArray) -> dict[str, FloatArray]:
    """What the teachers make of `passages` (n, n_mels, PASSAGE) float32 and of their windows.

    'NAME embedding' and 'NAME logits': (n, numbers) of those who hear 29 s, (n, WINDOWS, numbers) of the others; 'NAME
    hints': (n, WINDOWS, numbers), the mean over the cells that a window lies in, each as much as it does.
    """
    n = len(passages)
    windows = windows_of_passages(passages).reshape(n * WINDOWS, -1, WINDOW)
    rounds = np.take(passages, np.arange(LONG), axis=2, mode="wrap")
    answers: dict[str, FloatArray] = {}
    for teacher in teachers:
        heard, batch = (windows, 3 * BATCH) if teacher.hears_windows else (rounds, BATCH)
        parts = [teacher.answer(heard[i : i + batch]) for i in range(0, len(heard), batch)]
        for what, arrays in zip(("embedding", "logits", "hints"), zip(*parts, strict=True), strict=False):
            joined = np.concatenate(arrays)
            if what == "hints":
                joined = np.einsum("ndc,kc->nkd", joined, overlaps(cells=joined.shape[2], cell=teacher.cell))
            answers[f"{teacher.name} {what}"] = joined.reshape(n, WINDOWS, -1) if teacher.hears_windows else joined
    return answers


def overlaps(*, cells: int, cell: int) -> FloatArray:
    """How much of each window lies in each cell of `cell` frames, the mean over whole rounds: (WINDOWS, cells), rows of
    sum 1. What lies beyond the last cell counts as in it."""
    edges = np.arange(cells + 1) * cell
    edges[-1] = max(edges[-1], LONG)
    begin = (np.arange(WINDOWS) * WINDOW)[:, None, None] + (np.arange(LONG // PASSAGE) * PASSAGE)[None, :, None]
    inside = np.clip(np.minimum(begin + WINDOW, edges[1:]) - np.maximum(begin, edges[:-1]), 0, None).sum(axis=1)
    return np.asarray(inside / inside.sum(axis=-1, keepdims=True), np.float32)
