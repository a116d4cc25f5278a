"""A student that begins with what an earlier one has learned: the weights of its model file.

In the file each convolution and its batch norm are one. They are taken apart again by what the network hears now: a
norm gets the mean and variance of its inputs, and the scale and offset that undo these, so that the student answers as
the file does and can be taught on. What it is to answer its teachers, which the file does not hold, is fitted anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.distill.lessons import Lessons
from soundkin.lab.distill.student import Student, embed
from soundkin.lab.distill.targets import Targets

FloatArray = npt.NDArray[np.float32]

_PASSAGES = 1024
"""So many at most are what norms and answers are fitted to."""
_RIDGE = 0.1
"""Of the variance of a hidden number, which keeps what two of them say alike apart."""


def begin_with(path: Path, student: Student, targets: Targets, lessons: Lessons) -> None:
    """Give `student` the weights of the model file `path`, and answers fitted to some of the lessons.

    Raises ExperimentError for a file that is none, or of another network.
    """
    rows = np.linspace(0, len(targets) - 1, min(_PASSAGES, len(targets))).astype(np.int64)
    windows = targets.windows(rows)
    heard = windows.reshape(-1, *windows.shape[2:])
    student.eval()
    hooks = _fill(student, _weights_in(path), path)
    with torch.no_grad():
        student.network.embed(torch.from_numpy(heard[:: max(1, len(heard) // _PASSAGES)]))
    for hook in hooks:
        hook.remove()
    hidden = embed(student, heard)[0].reshape(*windows.shape[:2], -1)
    _fit(student, hidden, lessons.window[rows], lessons.passage[rows])


def _weights_in(path: Path) -> dict[str, FloatArray]:
    """Name -> weight. Raises ExperimentError."""
    try:
        graph = onnx.load(path).graph
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except Exception as error:  # whatever a foreign file leads to
        raise ExperimentError(f"{path}: no model file that a student can begin with: {error}") from error
    return {name.removesuffix("_half"): np.array(x, np.float32) for name, x in arrays.items()}


def _fill(student: Student, weights: Mapping[str, FloatArray], path: Path) -> list[Any]:
    """Put the weights in, and hooks at the norms that take them apart at the first hearing."""
    body = [(name, one) for name, one in student.network.named_modules() if not name.startswith("head")]
    layers = [(f"network.{name}.weight", one) for name, one in body if isinstance(one, nn.Conv2d | nn.Linear)]
    norms = [one for _, one in body if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)]
    needed = {name: tuple(one.weight.shape) for name, one in layers}
    needed |= {f"{name}_bias": (one.weight.shape[0],) for name, one in layers}
    needed["embedding.weight"] = tuple(student.project.weight.shape)
    for name, shape in needed.items():
        there = weights[name].shape if name in weights else None
        if there != shape:
            raise ExperimentError(
                f"{path}: no model file of this network that a student can begin with: {name} is "
                f"{'not there' if there is None else there}, and must be {shape}"
            )
    if len(norms) != len(layers):
        raise ExperimentError(
            f"{type(student.network).__name__}: a norm is needed after each layer to begin with a file"
        )
    with torch.no_grad():
        for name, layer in layers:
            layer.weight.copy_(torch.from_numpy(weights[name]))
        student.project.weight.copy_(torch.from_numpy(weights["embedding.weight"]))
    offsets = (torch.from_numpy(weights[f"{name}_bias"]) for name, _ in layers)
    return [norm.register_forward_pre_hook(_undoing(offset)) for norm, offset in zip(norms, offsets, strict=True)]


def _undoing(offset: torch.Tensor) -> Any:
    """A hook that sets a norm so that it adds `offset` to what it hears, and no more."""

    def hook(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        (x,) = inputs
        axes = [axis for axis in range(x.dim()) if axis != 1]
        mean, variance = x.mean(dim=axes), x.var(dim=axes)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean + offset)

    return hook


def _fit(student: Student, hidden: FloatArray, window: FloatArray, passage: FloatArray) -> None:
    """Answers by ridge regression, and where the embedding lies, from `hidden` (n, windows, hidden)."""
    every = hidden.reshape(-1, hidden.shape[-1])
    parts = [_ridge(every, window.reshape(len(every), -1)), _ridge(hidden.mean(axis=1), passage)]
    head = student.network.head
    assert isinstance(head, nn.Linear)
    vectors = torch.from_numpy(every @ student.project.weight.detach().numpy().T)
    assert student.centre.running_mean is not None and student.centre.running_var is not None
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(np.concatenate([weight for weight, _ in parts])))
        head.bias.copy_(torch.from_numpy(np.concatenate([bias for _, bias in parts])))
        student.centre.running_mean.copy_(vectors.mean(dim=0))
        student.centre.running_var.copy_(vectors.var(dim=0))


def _ridge(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight (outputs, inputs) and bias (outputs,) of the linear map from `x` (n, inputs) to `y` (n, outputs)."""
    centre, mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    a, b = x - centre, y - mean
    gram = a.T @ a
    gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram)
    weight = np.linalg.solve(gram, a.T @ b).T
    return weight.astype(np.float32), (mean - weight @ centre).astype(np.float32)
