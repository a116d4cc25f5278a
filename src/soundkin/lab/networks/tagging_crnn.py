"""The convolutional recurrent tagger of Choi et al. 2017 (arXiv:1609.04243), as Won et al. 2020 trained it.

Four blocks of convolutions make a sequence of some 29 s of audio, and a GRU reads it to its end (arXiv:2006.00751).
With 50 tags it has 394,100 parameters. Its published weights are read by `soundkin lab import-weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.fcn import blocks
from soundkin.lab.networks.network import Network, as_pictures, output_shape, picture_shape
from soundkin.lab.networks.recurrent import last_state


@dataclass(frozen=True)
class TaggingCRNNSizes:
    """Channels of the blocks, what each of them pools (bands, frames); width and number of the recurrent layers."""

    channels: tuple[int, ...] = (64, 128, 128, 128)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (3, 3), (4, 4), (4, 4))
    hidden: int = 32
    layers: int = 2
    dropout: float = 0.5


class TaggingCRNN(Network):
    """Input (96, 1813) in dB; the embedding is the second GRU's state after the last step, 32 numbers."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: TaggingCRNNSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or TaggingCRNNSizes()
        shape = picture_shape(input_shape)
        self.spec_bn = nn.BatchNorm2d(shape[0])
        self.blocks = blocks(shape[0], sizes.channels, sizes.pools)
        channels, bands, _ = output_shape(self.blocks, shape)
        self.recurrent = nn.GRU(channels * bands, sizes.hidden, num_layers=sizes.layers, batch_first=True)
        self.embedding_size = sizes.hidden
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.spec_bn(as_pictures(x))  # (batch, 1, 96, 1813)
        return self.after_blocks(self.blocks(x))

    def after_blocks(self, x: torch.Tensor) -> torch.Tensor:
        """The embedding of what the blocks leave, (batch, 128, 1, 18)."""
        x = x.flatten(1, 2).transpose(1, 2)  # (batch, 18, 128)
        return last_state(self.recurrent, x)  # (batch, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits


PUBLISHED = {
    "spec_bn": "spec_bn",
    **{f"layer{i + 1}.conv": f"blocks.{i}.0" for i in range(4)},
    **{f"layer{i + 1}.bn": f"blocks.{i}.1" for i in range(4)},
    "layer5": "recurrent",
    "dense": "head",
}
"""Part of the published network -> the same part of this one."""
