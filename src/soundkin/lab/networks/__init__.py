"""PyTorch networks, one architecture a file, no trainer inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.networks import inception
from soundkin.lab.networks.custom_cnn import CustomCNN, CustomCNNSizes
from soundkin.lab.networks.network import Network
from soundkin.lab.networks.recurrent import Recurrent, RecurrentSizes
from soundkin.lab.networks.resnet import ResNet, ResNetSizes


def _with(sizes: Any, network: Callable[..., Network]) -> Callable[..., Network]:
    """`network`, built with settings by name; `sizes` holds those that are not given."""

    def build(input_shape: tuple[int, ...], classes: int, **settings: Any) -> Network:
        try:
            chosen = dataclasses.replace(sizes, **{name: _frozen(value) for name, value in settings.items()})
        except TypeError as error:
            known = ", ".join(field.name for field in dataclasses.fields(sizes))
            raise ExperimentError(f"settings {sorted(settings)} do not fit this network; it has: {known}") from error
        return network(tuple(input_shape), classes, sizes=chosen)

    return build


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


NETWORKS: dict[str, Callable[..., Network]] = {
    "rnn": _with(RecurrentSizes(), partial(Recurrent, kind="rnn")),
    "lstm": _with(RecurrentSizes(), partial(Recurrent, kind="lstm")),
    "gru": _with(RecurrentSizes(), partial(Recurrent, kind="gru")),
    "resnet18": _with(ResNetSizes(), ResNet),
    "inception-single": _with(inception.SINGLE, inception.Inception),
    "inception-skip": _with(inception.SKIP, inception.Inception),
    "inception-growing": _with(inception.GROWING, inception.Inception),
    "custom-cnn": _with(CustomCNNSizes(), CustomCNN),
}
"""Name -> build(input_shape, classes, **sizes)."""


def build_network(name: str, *, input_shape: tuple[int, ...], classes: int, **sizes: Any) -> Network:
    """A network with fresh weights. Raises UnknownNameError, or ExperimentError for settings it does not have."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name](input_shape, classes, **sizes)
