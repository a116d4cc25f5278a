"""Weights of the layout in which the taggers of Won et al. 2020 are published, drawn at random."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soundkin.lab.importweights import FRONT_END
from soundkin.spectrogram import mel_filters

State = dict[str, Any]


def layout(name: str, *, tags: int = 3) -> dict[str, tuple[int, ...]]:
    """Published key -> shape."""
    shapes: dict[str, tuple[int, ...]] = {"spec.spectrogram.window": (512,), "spec.mel_scale.fb": (257, 96)}

    def bn(key: str, n: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{key}.{part}"] = (n,)
        shapes[f"{key}.num_batches_tracked"] = ()

    def layer(key: str, *shape: int, conv: str = ".conv", norm: str | None = ".bn") -> None:
        shapes[f"{key}{conv}.weight"], shapes[f"{key}{conv}.bias"] = shape, shape[:1]
        if norm is not None:
            bn(f"{key}{norm}", shape[0])

    bn("spec_bn", 1)
    if name == "musicnn":
        for i, shape in enumerate([(204, 1, 67, 7), (204, 1, 38, 7), (51, 1, 129), (51, 1, 65), (51, 1, 33)]):
            layer(f"layers.{i}", *shape)
        for i, inputs in enumerate((561, 64, 64), 1):
            layer(f"layer{i}", 64, inputs, 7)
        layer("dense1", 200, 1506, conv="", norm=None)
        bn("bn", 200)
        layer("dense2", tags, 200, conv="", norm=None)
        return shapes
    widths = (1, 64, 128, 128, 128, 64) if name == "fcn" else (1, 64, 128, 128, 128)
    for i in range(1, len(widths)):
        layer(f"layer{i}", widths[i], widths[i - 1], 3, 3)
    if name == "tagging-crnn":
        for i, inputs in enumerate((128, 32)):
            shapes |= {f"layer5.weight_ih_l{i}": (96, inputs), f"layer5.weight_hh_l{i}": (96, 32)}
            shapes |= {f"layer5.bias_ih_l{i}": (96,), f"layer5.bias_hh_l{i}": (96,)}
    layer("dense", tags, 64 if name == "fcn" else 32, conv="", norm=None)
    return shapes


def drawn(name: str, *, seed: int = 0, tags: int = 3) -> State:
    """Weights of the layout of `name` that let something through."""
    generator = torch.Generator().manual_seed(seed)
    state: State = OrderedDict()
    for key, shape in layout(name, tags=tags).items():
        values = torch.randn(shape, generator=generator)
        if key == "spec.spectrogram.window":
            state[key] = torch.hann_window(512)
        elif key == "spec.mel_scale.fb":
            state[key] = torch.from_numpy(np.ascontiguousarray(mel_filters(FRONT_END).T))
        elif key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1)
        elif key.startswith("spec_bn"):
            state[key] = torch.tensor([{"running_mean": -20.0, "running_var": 300.0}.get(key[8:], 0.9)])
        elif key.endswith(("bn.weight", "running_var")):
            state[key] = 1 + 0.3 * values.clamp(-2, 2)
        elif len(shape) > 1:
            state[key] = values * (2 / np.prod(shape[1:])) ** 0.5
        else:
            state[key] = 0.3 * values
    return state


def save(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path
