"""A small convolutional network for short windows that is quick on ordinary processors: soundkin's own model.

Plain strided convolutions do most of the work, since dense products keep a processor busy where depthwise ones wait
for memory; bottleneck blocks (He et al. 2016) deepen it where the maps are small. As in musicnn (Pons & Serra 2019)
mean and maximum over time are kept, and the bands stay apart until then. It does not hear loudness: the mean level of
the window is taken off, and what lies far beneath its peak is cut off, so that a quiet copy gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network, as_pictures, picture_shape


@dataclass(frozen=True)
class StridedCNNSizes:
    """Channels of the stages, each of which halves bands and frames; bottleneck blocks after each; the embedding."""

    channels: tuple[int, ...] = (24, 48, 112, 192, 320)
    blocks: tuple[int, ...] = (0, 0, 0, 1, 1)
    bottleneck: int = 96
    hidden: int = 512
    dropout: float = 0.1
    reach: float = 70.0
    """dB beneath the loudest point of a window that are heard."""


class StridedCNN(Network):
    """Input (n_mels, frames) in dB; the embedding is a dense layer after its ReLU, `hidden` numbers."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: StridedCNNSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or StridedCNNSizes()
        inputs, bands, _ = picture_shape(input_shape)
        self.reach = sizes.reach
        stages: list[nn.Module] = []
        for i, (width, count) in enumerate(zip(sizes.channels, sizes.blocks, strict=True)):
            stages.append(_convolution(inputs, width, 5 if i == 0 else 3, stride=2))
            stages.extend(Bottleneck(width, sizes.bottleneck) for _ in range(count))
            inputs, bands = width, (bands + 1) // 2
        self.stages = nn.Sequential(*stages)
        self.hidden = nn.Linear(2 * inputs * bands, sizes.hidden, bias=False)
        self.bn = nn.BatchNorm1d(sizes.hidden)
        self.embedding_size = sizes.hidden
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = as_pictures(x)  # (batch, 1, 96, 188)
        x = torch.maximum(x, x.amax(dim=(2, 3), keepdim=True) - self.reach)
        x = (x - x.mean(dim=(2, 3), keepdim=True)) / 20
        x = self.stages(x).flatten(1, 2)  # (batch, 320 · 3, 6)
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return torch.relu(self.bn(self.hidden(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3, 1×1 back, added to the input (batch, width, bands, frames)."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(width, narrow, 1), _convolution(narrow, narrow, 3), nn.Conv2d(narrow, width, 1, bias=False)
        )
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.bn(self.body(x)))


def _convolution(inputs: int, width: int, size: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )
