"""S3's LSTM on sequences of audio features: LSTM of 32, LSTM of 16, dense; and its sweep of one to five layers.

After Hochreiter & Schmidhuber 1997. S3 names a sigmoid "activation function for LSTM units": these are the gates here,
and the state goes through tanh as in any LSTM.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.networks.network import Network


@dataclass(frozen=True)
class S3LSTMSizes:
    """Width of each LSTM layer: (30,), (30, 10), (30, 10, 10) … in S3's sweep; dropout after each."""

    hidden: tuple[int, ...] = (32, 16)
    dropout: float = 0.0


class S3LSTM(Network):
    """Input (1291, 27) = (steps, numbers); the embedding is the last layer's state after the last step."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, *, sizes: S3LSTMSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or S3LSTMSizes()
        if len(input_shape) != 2 or not sizes.hidden:
            raise ExperimentError(
                "s3-lstm takes sequences (steps, numbers) and has one layer or more, "
                f"not inputs of shape {tuple(input_shape)} and layers {sizes.hidden}"
            )
        widths = (input_shape[1], *sizes.hidden)
        self.layers = nn.ModuleList(nn.LSTM(inputs, width, batch_first=True) for inputs, width in pairwise(widths))
        self.dropout = nn.Dropout(sizes.dropout)
        self.embedding_size = sizes.hidden[-1]
        self.head = nn.Linear(self.embedding_size, classes)
        self._start_as_keras_does()

    def _start_as_keras_does(self) -> None:
        """Glorot weights, orthogonal recurrence and open forget gates: without these 1,291 steps forget everything."""
        for name, parameter in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "weight" in name:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
                if "bias_ih" in name:  # gates in the order input, forget, cell, output
                    width = len(parameter) // 4
                    nn.init.ones_(parameter[width : 2 * width])

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        for number, layer in enumerate(self.layers):
            if number:
                x = self.dropout(x)
            x, _ = layer(x)  # (batch, 1291, 32), then (batch, 1291, 16)
        return x[:, -1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.dropout(self.embed(x)))
        return logits
