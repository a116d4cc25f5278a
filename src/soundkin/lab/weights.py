"""Weight files: one safetensors file a network, with a card that says how to build the network they fit.

The card is JSON under `CARD_KEY` in the file's metadata, so nothing in the file can run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from soundkin.errors import SoundkinError, WeightsError
from soundkin.files import replacing
from soundkin.lab.networks import build_network
from soundkin.lab.networks.network import Network

CARD_KEY = "soundkin-lab-network"
VERSION = 1


@dataclass(frozen=True)
class Card:
    """What a weight file says of itself: all that `build_network` needs, and the classes in their order."""

    name: str
    input_shape: tuple[int, ...]
    labels: tuple[str, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the writer wants back, as JSON has it."""

    def __str__(self) -> str:
        sizes = "".join(f", {name} = {value}" for name, value in self.sizes.items())
        return f"{self.name!r} (inputs {self.input_shape}, {len(self.labels)} classes{sizes})"


def save_weights(
    network: Network,
    path: Path,
    *,
    name: str,
    input_shape: Sequence[int],
    labels: Sequence[str],
    sizes: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `network`, built by `build_network(name, …, **sizes)`, whole or not at all. Raises OSError."""
    card = {
        "version": VERSION,
        "name": name,
        "input_shape": list(input_shape),
        "labels": [str(label) for label in labels],
        "sizes": dict(sizes or {}),
        "extra": dict(extra or {}),
    }
    # channels-last weights are written as any others
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    content = save(tensors, metadata={CARD_KEY: json.dumps(card)})
    with replacing(path) as file:
        file.write(content)


def load_weights(path: Path) -> tuple[Network, Card]:
    """The network of a weight file, in evaluation mode on the processor, and its card. Raises WeightsError."""
    card, tensors = _read(path)
    try:
        network = build_network(card.name, input_shape=card.input_shape, classes=len(card.labels), **card.sizes)
    except WeightsError:
        raise
    except SoundkinError as error:
        raise WeightsError(f"{path}: it holds {card}, which this version cannot build: {error}") from error
    _fill(network, tensors, path, card)
    return network.eval(), card


def read_card(path: Path) -> Card:
    """What the file says of itself. Raises WeightsError."""
    return _read(path, tensors=False)[0]


def load_into(network: Network, path: Path, *, name: str) -> Card:
    """Fill `network`, which was built as `name`, with the weights of a file of just that network.

    Raises WeightsError for a file of another network, or of one with other sizes, inputs or classes; `network` is then
    as it was.
    """
    card, tensors = _read(path)
    if card.name != name:
        raise WeightsError(f"{path}: it holds {card}, not {name!r}; give the file of a run of {name!r}")
    _fill(network, tensors, path, card)
    return card


def _read(path: Path, *, tensors: bool = True) -> tuple[Card, dict[str, torch.Tensor]]:
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weight file")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(CARD_KEY)
            held = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}); weight files are those that training writes"
        ) from error
    if text is None:
        raise WeightsError(f"{path}: a safetensors file without a card of the lab ({CARD_KEY}); train the network anew")
    try:
        raw = json.loads(text)
        if raw["version"] != VERSION:
            raise WeightsError(f"{path}: its card is of version {raw['version']}; this soundkin reads {VERSION}")
        card = Card(
            name=str(raw["name"]),
            input_shape=tuple(int(number) for number in raw["input_shape"]),
            labels=tuple(str(label) for label in raw["labels"]),
            sizes=dict(raw["sizes"]),
            extra=dict(raw["extra"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its card is not usable: {error!r}") from error
    return card, held


def _fill(network: Network, tensors: Mapping[str, torch.Tensor], path: Path, card: Card) -> None:
    there = network.state_dict()
    for key in (*there, *tensors):
        wanted, found = (tuple(part[key].shape) if key in part else None for part in (there, tensors))
        if wanted != found:
            raise WeightsError(
                f"{path}: it holds {card}, another network than this one: {key} is "
                f"{found or 'missing'} there and {wanted or 'missing'} here"
            )
    try:
        network.load_state_dict(dict(tensors))
    except WeightsError as error:  # of a head whose backbone is not the one it was trained on
        raise WeightsError(f"{path}: {error}") from error
