"""S2's two CNNs on 256×256 colour pictures (its figures 16 and 8), with Keras' layers and Keras' first weights.

Parameters for twelve classes: the first 8,418,924, the final one 1,983,244 before the batch norm that S2 added to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network, as_pictures, output_shape, picture_shape


@dataclass(frozen=True)
class S2CNNSizes:
    """Channels and square kernels of the convolutions, 'same' or 'valid'; dropout before and after the dense layer."""

    channels: tuple[int, ...] = (32, 32, 32)
    kernels: tuple[int, ...] = (3, 3, 2)
    padding: str = "valid"
    batch_norm: bool = True
    hidden: int = 64
    dropout_before: float = 0.0
    dropout: float = 0.3


FIRST = S2CNNSizes(
    channels=(32, 32, 64),
    kernels=(3, 3, 3),
    padding="same",
    batch_norm=False,
    hidden=128,
    dropout_before=0.3,  # figure 16 shows the layer, not its rate
    dropout=0.0,
)
FINAL = S2CNNSizes()


class S2CNN(Network):
    """Input (3, 256, 256); the embedding is the dense layer after its ReLU, 64 numbers in the final network."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: S2CNNSizes = FINAL) -> None:
        super().__init__()
        shape = picture_shape(input_shape)
        inputs = shape[0]
        blocks: list[nn.Module] = []
        for channels, kernel in zip(sizes.channels, sizes.kernels, strict=True):
            blocks += [
                nn.Conv2d(inputs, channels, kernel, padding=sizes.padding),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),  # 125 -> 63, as Keras' pool of padding 'same'
            ]
            if sizes.batch_norm:
                blocks.append(nn.BatchNorm2d(channels))  # where S2 §4 names it: after the pooling
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        flat = math.prod(output_shape(self.blocks, shape))  # 32 × 31 × 31
        self.dropout_before = nn.Dropout(sizes.dropout_before)
        self.hidden = nn.Linear(flat, sizes.hidden)
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)
        self.embedding_size = sizes.hidden
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(as_pictures(x)).flatten(1)  # (batch, 30752)
        return torch.relu(self.hidden(self.dropout_before(x)))  # (batch, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits
