"""S1's CustomCNN (§3.2.3): four convolution blocks on a mel picture, 131,818 parameters for ten classes.

After Choi, Fazekas & Sandler 2016 (arXiv:1607.02444) and Choi et al. 2017 (ICASSP): few kernels, large pools.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network, as_pictures, output_shape, picture_shape


@dataclass(frozen=True)
class CustomCNNSizes:
    """Channels, pool windows and pool strides of the blocks; width of the embedding."""

    channels: tuple[int, ...] = (16, 32, 64, 128)
    pools: tuple[tuple[int, int], ...] = ((3, 3), (2, 3), (5, 6), (6, 6))
    strides: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (5, 6), (5, 4))
    hidden: int = 128
    dropout: float = 0.5


class CustomCNN(Network):
    """Input (1, 219, 338); the embedding is the 128 numbers after the first linear layer and its ReLU."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: CustomCNNSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or CustomCNNSizes()
        shape = picture_shape(input_shape)
        inputs = shape[0]
        blocks: list[nn.Module] = []
        for channels, pool, stride in zip(sizes.channels, sizes.pools, sizes.strides, strict=True):
            blocks += [
                nn.Conv2d(inputs, channels, kernel_size=3, padding=1),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.MaxPool2d(pool, stride),
            ]
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        flat = math.prod(output_shape(self.blocks, shape))  # 128 × 1 × 2 for 219 × 338
        self.hidden = nn.Linear(flat, sizes.hidden)
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)
        self.embedding_size = sizes.hidden
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(as_pictures(x))  # (batch, 128, 1, 2)
        return torch.relu(self.hidden(x.flatten(1)))  # (batch, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits
