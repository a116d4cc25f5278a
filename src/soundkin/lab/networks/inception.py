"""S1's inception networks (§3.2.2), after Szegedy et al. 2015 (arXiv:1409.4842).

Parameters for ten classes: one module 4,355,138, three with skip connections 2,436,034, three growing 2,311,170.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network, as_pictures, picture_shape


@dataclass(frozen=True)
class InceptionSizes:
    """Channels of the convolutions at the start; (a, b, c) of each module; whether a module's input is added to it."""

    channels: tuple[int, ...] = ()
    modules: tuple[tuple[int, int, int], ...] = ()
    skip: bool = False
    pool: int = 2
    hidden: int = 40


SINGLE = InceptionSizes(channels=(128, 256, 512), modules=((128, 256, 64),))
SKIP = InceptionSizes(channels=(128, 256), modules=((64, 128, 32),) * 3, skip=True)
GROWING = InceptionSizes(modules=((32, 64, 16), (64, 128, 32), (128, 256, 64)))


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution of the same height and width, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class InceptionModule(nn.Module):
    """Four branches side by side, of a, c, b and c channels, that look at 1×1, 1×1, 3×3 and 5×5 points."""

    def __init__(self, inputs: int, a: int, b: int, c: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                convolution(inputs, a, 1),
                nn.Sequential(convolution(inputs, c, 1), convolution(c, c, 1)),
                nn.Sequential(convolution(inputs, b, 3), convolution(b, b, 3)),
                nn.Sequential(convolution(inputs, c, 5), convolution(c, c, 5)),
            ]
        )
        self.channels = a + b + 2 * c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The document's ReLU after this would change nothing: no branch gives a negative number.
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Inception(Network):
    """Input (1, 219, 338); the embedding is the 40 numbers between the two linear layers, before any ReLU."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: InceptionSizes = SINGLE) -> None:
        super().__init__()
        inputs = picture_shape(input_shape)[0]
        stem: list[nn.Module] = []
        for channels in sizes.channels:
            stem += [convolution(inputs, channels, 3), nn.AvgPool2d(2)]
            inputs = channels
        self.stem = nn.Sequential(*stem)
        modules: list[InceptionModule] = []
        for a, b, c in sizes.modules:
            modules.append(InceptionModule(inputs, a, b, c))
            inputs = modules[-1].channels
        self.inceptions = nn.ModuleList(modules)
        self.skip = sizes.skip
        self.pool = nn.AdaptiveAvgPool2d(sizes.pool)
        self.hidden = nn.Linear(inputs * sizes.pool**2, sizes.hidden)
        self.head = nn.Linear(sizes.hidden, classes)
        self.embedding_size = sizes.hidden

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(as_pictures(x))  # (batch, 512, 27, 42) in the single one
        for module in self.inceptions:
            x = module(x) + x if self.skip else module(x)
        embedding: torch.Tensor = self.hidden(self.pool(x).flatten(1))  # (batch, 40)
        return embedding
