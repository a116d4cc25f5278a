"""What every network of the lab is: a body that gives the penultimate layer, and a head that gives the classes."""

from __future__ import annotations

import torch
from torch import nn

from soundkin.errors import ExperimentError


class Network(nn.Module):
    """A classifier whose last linear layer is `head`; its input is the embedding of a song.

    `embed(x)` gives (batch, embedding_size), `forward(x)` the logits (batch, classes). `x` is float32 and of shape
    (batch, *input_shape) as given when the network was built: (channels, height, width) for pictures, (steps, numbers)
    for sequences, (numbers,) for tables, (n_mels, frames) for log-mel segments, which networks for pictures take for
    pictures of one channel.
    """

    embedding_size: int
    head: nn.Module
    input_is_picture: bool = False
    """Whether its work is two-dimensional convolution, which runs faster with the channels last in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.top: Network | None = None
        """Of a network whose body is frozen, all that is trained: a network that takes `features(x)`.

        Where the inputs are the same in every epoch, `features` need be computed only once.
        """

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, numbers): what the frozen body makes of `x`, where there is one."""
        raise NotImplementedError

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embed(x))
        return logits

    def penalty(self) -> torch.Tensor | None:
        """What training adds to its loss, a scalar; None: nothing."""
        return None


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def picture_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`input_shape` as (channels, height, width); (height, width) is one channel. Raises ExperimentError."""
    match tuple(input_shape):
        case (height, width):
            return (1, height, width)
        case (channels, height, width):
            return (channels, height, width)
    raise ExperimentError(
        f"this network takes pictures (channels, height, width), not inputs of shape {tuple(input_shape)}"
    )


def as_pictures(x: torch.Tensor) -> torch.Tensor:
    """(batch, height, width) with its one channel, (batch, 1, height, width); anything else as it is."""
    return x.unsqueeze(1) if x.ndim == 3 else x


def output_shape(body: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """What one input of `input_shape` becomes in `body`, without the batch. Raises ExperimentError where it does not
    fit.

    Measured in evaluation mode, in which batch norm learns nothing from it.
    """
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad():
            return tuple(body(torch.zeros(1, *input_shape)).shape[1:])
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ExperimentError(f"inputs of shape {tuple(input_shape)} do not fit this network: {reason}") from error
    finally:
        body.train(was_training)
