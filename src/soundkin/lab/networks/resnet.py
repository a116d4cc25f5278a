"""S1's ResNet18 (§3.2.1) for mel pictures, after He et al. 2016 (arXiv:1512.03385): 12,852,784 parameters.

Other than the network for photographs, it begins with a 3×3 convolution of 16 channels, and the shortcut of a block
that changes the shape is a 3×3 convolution too.

With three, two or one stages ours has 3,246,640, 802,864 and 170,800 parameters for ten classes. The document gives
12,688,994, 12,607,034 and 12,566,064: those counts include the stages that its shortened networks hold but do not run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.networks.network import Network, as_pictures, picture_shape

CHANNELS = (64, 128, 256, 512)


@dataclass(frozen=True)
class ResNetSizes:
    """Stages of two blocks each, one to four; side of the square that the last of them is averaged to."""

    stages: int = 4
    pool: int = 8


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(Network):
    """Input (1, 219, 338); the embedding is all that the head sees, 512 × 8 × 8 = 32,768 numbers."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: ResNetSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or ResNetSizes()
        if not 1 <= sizes.stages <= len(CHANNELS):
            raise ExperimentError(f"resnet18 has stages = 1 to {len(CHANNELS)}, not {sizes.stages}")
        self.stem = nn.Sequential(
            nn.Conv2d(picture_shape(input_shape)[0], 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks: list[nn.Module] = []
        inputs = 16
        for channels in CHANNELS[: sizes.stages]:
            blocks += [BasicBlock(inputs, channels, 1 if channels == CHANNELS[0] else 2)]
            blocks += [BasicBlock(channels, channels, 1)]
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(sizes.pool)
        self.embedding_size = inputs * sizes.pool**2
        self.head = nn.Linear(self.embedding_size, classes, bias=False)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(as_pictures(x))  # (batch, 16, 110, 169)
        x = self.blocks(x)  # (batch, 512, 14, 22)
        pooled: torch.Tensor = self.pool(x).flatten(1)  # (batch, 32768)
        return pooled
