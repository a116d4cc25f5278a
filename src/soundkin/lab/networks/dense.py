"""Networks for tables: S2's ANN (§4) and a plain multi-layer perceptron."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network


@dataclass(frozen=True)
class DenseSizes:
    """Widths of the ReLU layers; after each of them batch norm, if wanted, and dropout.

    `l1` times the sum of the absolute weights of the first `l1_layers` of them is added to the loss.
    """

    hidden: tuple[int, ...] = (128,)
    batch_norm: bool = False
    dropout: float = 0.0
    l1: float = 0.0
    l1_layers: int = 0


MLP = DenseSizes()
# S2 tells neither the widths nor the strength of the L1 penalty.
ANN = DenseSizes(hidden=(128, 64), batch_norm=True, dropout=0.3, l1=1e-4, l1_layers=2)


class Dense(Network):
    """Input (numbers,), or anything else, taken as one row; the embedding is what the last ReLU layer leaves."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: DenseSizes = MLP) -> None:
        super().__init__()
        self.l1, self.l1_layers = sizes.l1, sizes.l1_layers
        inputs = math.prod(input_shape)
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        for width in sizes.hidden:
            self.layers.append(nn.Linear(inputs, width))
            self.norms.append(nn.BatchNorm1d(width) if sizes.batch_norm else nn.Identity())
            inputs = width
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(inputs, classes)
        self.embedding_size = inputs

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if number:
                x = self.dropout(x)
            x = norm(torch.relu(layer(x)))
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits

    def penalty(self) -> torch.Tensor | None:
        """Keras' L1: `l1` times the sum of absolute weights, biases left out."""
        if not self.l1 or not self.l1_layers:
            return None
        weights = [layer.get_parameter("weight") for layer in self.layers[: self.l1_layers]]
        return self.l1 * torch.stack([weight.abs().sum() for weight in weights]).sum()
