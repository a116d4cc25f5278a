"""A training's state after an epoch, in one safetensors file: what a killed fit goes on from.

The optimizer's state is a tree of tensors and numbers; the tensors are stored under numbered names, the tree as JSON.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from soundkin.errors import ExperimentError
from soundkin.files import replacing

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """After the last epoch of `history`."""

    state: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    best_state: dict[str, torch.Tensor]
    best_epoch: int | None
    history: list[dict[str, Any]]


def write_progress(path: Path, progress: Progress, *, key: str) -> None:
    """Whole or not at all. Raises ExperimentError where it cannot be kept."""
    tensors = {f"state.{name}": tensor for name, tensor in progress.state.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best_state.items()}
    slots: dict[str, dict[str, Any]] = {}
    for parameter, slot in progress.optimizer["state"].items():
        slots[str(parameter)] = {name: value for name, value in slot.items() if not torch.is_tensor(value)}
        tensors |= {f"slot.{parameter}.{name}": value for name, value in slot.items() if torch.is_tensor(value)}
    card = {
        "key": key,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "slots": slots,
        "groups": progress.optimizer["param_groups"],
    }
    # not contiguous where channels come last, which safetensors does not store
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(save(plain, metadata={"soundkin": json.dumps(card)}))
    except OSError as error:
        raise ExperimentError(
            f"{path}: the training cannot be kept there: {error.strerror or error}; what was kept before is still there"
        ) from error


def read_progress(path: Path, *, key: str, device: torch.device) -> Progress | None:
    """What was written with the same key; None where there is nothing, or nothing that can be used."""
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            card = json.loads((file.metadata() or {})["soundkin"])
            if card["key"] != key:
                _log.warning("%s is of another training and is not used", path)
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        slots: dict[int, dict[str, Any]] = {int(name): dict(slot) for name, slot in card["slots"].items()}
        for name, tensor in tensors.items():
            if name.startswith("slot."):
                _, parameter, rest = name.split(".", 2)
                slots[int(parameter)][rest] = tensor
        return Progress(
            state=_below("state.", tensors),
            optimizer={"state": slots, "param_groups": card["groups"]},
            best_state=_below("best.", tensors),
            best_epoch=card["best_epoch"],
            history=card["history"],
        )
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        _log.warning("%s is damaged and not used: %r", path, error)
        return None


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
