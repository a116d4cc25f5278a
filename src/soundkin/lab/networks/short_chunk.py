"""A CNN for three to four seconds of log-mel spectrogram, made for small collections: 180,000 parameters for 96 bands.

After the short-chunk CNN of Won et al. 2020 (arXiv:2006.00751), with a quarter of its channels and, as in musicnn
(Pons & Serra 2019, arXiv:1909.06654), both the mean and the maximum over time. A track is heard segment by segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from soundkin.lab.networks.network import Network, as_pictures, output_shape, picture_shape


@dataclass(frozen=True)
class ShortChunkSizes:
    """Channels of the blocks, each of which halves bands and frames; width of the embedding."""

    channels: tuple[int, ...] = (24, 32, 48, 64, 96)
    hidden: int = 128
    dropout: float = 0.5


class ShortChunkCNN(Network):
    """Input (n_mels, frames); the embedding is the dense layer after its ReLU."""

    input_is_picture = True

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: ShortChunkSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or ShortChunkSizes()
        shape = picture_shape(input_shape)
        inputs = shape[0]
        blocks: list[nn.Module] = [nn.BatchNorm2d(inputs)]
        for channels in sizes.channels:
            blocks += [
                nn.Conv2d(inputs, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            inputs = channels
        self.blocks = nn.Sequential(*blocks)
        channels, bands, _ = output_shape(self.blocks, shape)
        self.hidden = nn.Sequential(
            nn.Dropout(sizes.dropout / 2),
            nn.Linear(2 * channels * bands, sizes.hidden, bias=False),
            nn.BatchNorm1d(sizes.hidden),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(sizes.dropout)
        self.head = nn.Linear(sizes.hidden, classes)
        self.embedding_size = sizes.hidden

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(as_pictures(x)).flatten(1, 2)  # (batch, channels × bands, frames)
        embedding: torch.Tensor = self.hidden(torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1))
        return embedding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits
