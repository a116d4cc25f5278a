"""PyTorch networks, one architecture a file, no trainer inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.networks.custom_cnn import CustomCNN, CustomCNNSizes
from soundkin.lab.networks.network import Network


def _with(sizes: type[Any], network: Callable[..., Network]) -> Callable[..., Network]:
    """`network`, built with settings by name instead of a dataclass of sizes."""

    def build(input_shape: tuple[int, ...], classes: int, **settings: Any) -> Network:
        try:
            chosen = sizes(**{name: _frozen(value) for name, value in settings.items()})
        except TypeError as error:
            known = ", ".join(sizes.__dataclass_fields__)
            raise ExperimentError(f"settings {sorted(settings)} do not fit this network; it has: {known}") from error
        return network(input_shape, classes, sizes=chosen)

    return build


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


NETWORKS: dict[str, Callable[..., Network]] = {
    "custom-cnn": _with(CustomCNNSizes, CustomCNN),
}
"""Name -> build(input_shape, classes, **sizes)."""


def build_network(name: str, *, input_shape: tuple[int, ...], classes: int, **sizes: Any) -> Network:
    """A network with fresh weights. Raises UnknownNameError, or ExperimentError for settings it does not have."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name](input_shape, classes, **sizes)
