"""What every network of the lab is: a body that gives the penultimate layer, and a head that gives the classes."""

from __future__ import annotations

import torch
from torch import nn


class Network(nn.Module):
    """A classifier whose last linear layer is `head`; its input is the embedding of a song.

    `embed(x)` gives (batch, embedding_size), `forward(x)` the logits (batch, classes). `x` is float32 and of shape
    (batch, *input_shape) as given when the network was built: (channels, height, width) for pictures, (steps, numbers)
    for sequences, (numbers,) for tables, (n_mels, frames) for log-mel segments.
    """

    embedding_size: int
    head: nn.Module

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embed(x))
        return logits


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
