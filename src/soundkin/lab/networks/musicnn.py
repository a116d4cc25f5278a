"""musicnn (Pons & Serra 2019, arXiv:1909.06654), as Won et al. 2020 trained it (arXiv:2006.00751).

Its first layer listens as musicians would: tall filters for timbre, whatever the pitch, and long ones over the loudness
for rhythm. It hears 3 s; with 50 tags it has 784,300 parameters. Its published weights are read by
`soundkin lab import-weights`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.networks.network import Network, as_pictures, picture_shape


@dataclass(frozen=True)
class MusicnnSizes:
    """The filters of the first layer, the width of the layers after it, and of the embedding."""

    heights: tuple[float, ...] = (0.7, 0.4)
    """Of the tall filters, in parts of all bands; each is 7 frames long."""
    tall: int = 204
    lengths: tuple[int, ...] = (129, 65, 33)
    """Of the long filters, in frames, odd; they see the mean over all bands."""
    long: int = 51
    channels: int = 64
    hidden: int = 200
    dropout: float = 0.5


class Musicnn(Network):
    """Input (96, 188) in dB; the embedding is the dense layer after its ReLU, 200 numbers."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: MusicnnSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or MusicnnSizes()
        channels, bands, _ = picture_shape(input_shape)
        if channels != 1:
            raise ExperimentError(f"this network takes spectrograms (n_mels, frames), not {channels} channels of them")
        self.spec_bn = nn.BatchNorm2d(1)
        self.tall = nn.ModuleList(
            _block(nn.Conv2d(1, sizes.tall, (int(height * bands), 7), padding=(0, 3)), nn.BatchNorm2d(sizes.tall))
            for height in sizes.heights
        )
        self.long = nn.ModuleList(_same(1, sizes.long, length) for length in sizes.lengths)
        first = sizes.tall * len(sizes.heights) + sizes.long * len(sizes.lengths)  # 561
        self.layers = nn.ModuleList(_same(inputs, sizes.channels, 7) for inputs in (first, *2 * [sizes.channels]))
        self.hidden = nn.Linear(2 * (first + 3 * sizes.channels), sizes.hidden)
        self.bn = nn.BatchNorm1d(sizes.hidden)
        self.embedding_size = sizes.hidden
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.spec_bn(as_pictures(x))  # (batch, 1, 96, 188)
        tall = [conv(x).amax(dim=2) for conv in self.tall]  # each (batch, 204, 188): wherever in frequency it fits best
        return self.after_tall(x.mean(dim=2), tall)

    def after_tall(self, loudness: torch.Tensor, tall: list[torch.Tensor]) -> torch.Tensor:
        """The mean over the bands (batch, 1, 188), and what the tall filters heard, each (batch, 204, 188)."""
        heard = torch.cat([*tall, *(conv(loudness) for conv in self.long)], dim=1)  # (batch, 561, 188)
        a = self.layers[0](heard)  # (batch, 64, 188)
        b = self.layers[1](a) + a
        c = self.layers[2](b) + b
        x = torch.cat([heard, a, b, c], dim=1)  # (batch, 753, 188)
        x = torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1)  # (batch, 1506)
        return torch.relu(self.bn(self.hidden(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits


def _block(conv: nn.Module, bn: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=conv, bn=bn, relu=nn.ReLU()))


def _same(inputs: int, channels: int, length: int) -> nn.Sequential:
    """Over time: (batch, inputs, frames) -> (batch, channels, frames)."""
    return _block(nn.Conv1d(inputs, channels, length, padding=length // 2), nn.BatchNorm1d(channels))


PUBLISHED = {
    "spec_bn": "spec_bn",
    **{f"layers.{i}": f"tall.{i}" for i in range(2)},
    **{f"layers.{2 + i}": f"long.{i}" for i in range(3)},
    **{f"layer{i + 1}": f"layers.{i}" for i in range(3)},
    "dense1": "hidden",
    "bn": "bn",
    "dense2": "head",
}
"""Part of the published network -> the same part of this one."""
