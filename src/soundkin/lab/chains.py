"""Fitted scikit-learn chains as PyTorch modules, so that they can become part of a model file.

What is affine is multiplied together in float64 and becomes one linear layer. Estimators whose decision is no formula
of a fixed size (k-NN, trees, kernels) have none; their features can still be the embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectorMixin
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.classical import LogSkewed, WithinClassWhitening

FloatArray = npt.NDArray[np.float64]
Affine = tuple[FloatArray, FloatArray]
"""x -> x @ matrix + offset: (inputs, outputs), (outputs,)."""


def split_chain(estimator: BaseEstimator) -> tuple[list[BaseEstimator], BaseEstimator]:
    """The transformers of a fitted chain, and the classifier at its end."""
    steps = list(_flat(estimator))
    return steps[:-1], steps[-1]


def _flat(estimator: Any) -> Iterable[BaseEstimator]:
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from _flat(step)
    elif estimator is not None and not isinstance(estimator, str):  # "passthrough"
        yield estimator


def transforms(classifier: BaseEstimator) -> bool:
    """Whether the classifier itself gives features: discriminant analysis does, unless its solver is 'lsqr'."""
    return isinstance(classifier, LinearDiscriminantAnalysis) and classifier.solver != "lsqr"


@dataclass(frozen=True, eq=False)
class ChainModules:
    """A chain in PyTorch: `features` before the classifier, then what the classifier makes of them."""

    features: nn.Module
    embedding: nn.Module
    """From the features to the embedding, both float32 (batch, numbers)."""
    tags: nn.Module | None
    """From the features to probabilities in the order of the classes; None where there is no such formula."""
    dimension: int


def chain_modules(chain: BaseEstimator, *, inputs: int) -> ChainModules:
    """`chain`, fitted on tables of `inputs` columns. Raises ExperimentError naming the step that has no formula."""
    steps, classifier = split_chain(chain)
    features, width = _build(steps, inputs)
    embedding: nn.Module = nn.Identity()
    dimension = width
    if transforms(classifier):
        embedding, dimension = _build([classifier], width)
    head = next((build(classifier) for kind, build in HEADS.items() if isinstance(classifier, kind)), None)
    return ChainModules(features, embedding, head, dimension)


def _build(steps: list[BaseEstimator], width: int) -> tuple[nn.Module, int]:
    """`steps` as one module, and the number of its outputs."""
    modules: list[nn.Module] = []
    waiting: Affine | None = None
    for step in steps:
        other = next((build for kind, build in OTHERS.items() if isinstance(step, kind)), None)
        affine = next((build for kind, build in AFFINE.items() if isinstance(step, kind)), None)
        if other is not None:
            modules += [] if waiting is None else [_linear(*waiting)]
            module, width = other(step, width)
            modules.append(module)
            waiting = None
        elif affine is not None:
            matrix, offset = affine(step, width)
            if waiting is not None:
                matrix, offset = waiting[0] @ matrix, waiting[1] @ matrix + offset
            waiting, width = (matrix, offset), matrix.shape[1]
        else:
            known = ", ".join(kind.__name__ for kind in (*AFFINE, *OTHERS))
            raise ExperimentError(
                f"{type(step).__name__} cannot be part of a model file; of the transformers these can: {known}"
            )
    modules += [] if waiting is None else [_linear(*waiting)]
    return nn.Sequential(*modules), width


def _linear(matrix: FloatArray, offset: FloatArray) -> nn.Linear:
    layer = nn.Linear(*matrix.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(matrix.T)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(offset)))
    return layer


def _standard(step: Any, width: int) -> Affine:
    scale = np.ones(width) if step.scale_ is None else step.scale_
    mean = np.zeros(width) if getattr(step, "mean_", None) is None else step.mean_
    return np.diag(1 / scale), -mean / scale


def _robust(step: Any, width: int) -> Affine:
    scale = np.ones(width) if step.scale_ is None else step.scale_
    centre = np.zeros(width) if step.center_ is None else step.center_
    return np.diag(1 / scale), -centre / scale


def _min_max(step: Any, width: int) -> Affine:
    if step.clip:
        raise ExperimentError("MinMaxScaler(clip=True) cannot be part of a model file; clip=False can")
    return np.diag(step.scale_), np.asarray(step.min_, np.float64)


def _pca(step: Any, width: int) -> Affine:
    matrix = np.asarray(step.components_.T, np.float64)
    if step.whiten:
        matrix = matrix / np.sqrt(step.explained_variance_)
    return matrix, -(step.mean_ @ matrix)


def _whitening(step: Any, width: int) -> Affine:
    matrix = np.asarray(step.components_.T, np.float64)
    return matrix, -(step.mean_ @ matrix)


def _svd(step: Any, width: int) -> Affine:
    return np.asarray(step.components_.T, np.float64), np.zeros(len(step.components_))


def _select(step: Any, width: int) -> Affine:
    kept = np.flatnonzero(step.get_support())
    return np.eye(width)[:, kept], np.zeros(len(kept))


def _discriminant(step: Any, width: int) -> Affine:
    matrix = np.asarray(step.scalings_[:, : step._max_components], np.float64)
    offset = -(step.xbar_ @ matrix) if step.solver == "svd" else np.zeros(matrix.shape[1])
    return matrix, offset


AFFINE: dict[type, Callable[[Any, int], Affine]] = {
    StandardScaler: _standard,
    MinMaxScaler: _min_max,
    MaxAbsScaler: _standard,
    RobustScaler: _robust,
    PCA: _pca,
    WithinClassWhitening: _whitening,
    TruncatedSVD: _svd,
    SelectorMixin: _select,
    LinearDiscriminantAnalysis: _discriminant,
}
"""Kind of transformer -> its formula, from the fitted step and the number of its inputs."""


class _Normalise(nn.Module):
    """Rows to unit length; a row of zeros stays."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.norm == "l2":
            length = x.square().sum(dim=1, keepdim=True).sqrt()
        elif self.norm == "l1":
            length = x.abs().sum(dim=1, keepdim=True)
        else:
            length = x.abs().amax(dim=1, keepdim=True)
        return x / torch.where(length == 0, torch.ones_like(length), length)


class _LogSkewed(nn.Module):
    """The logarithm of some columns, of no less than the lowest value that was seen."""

    lowest: torch.Tensor
    chosen: torch.Tensor

    def __init__(self, step: LogSkewed) -> None:
        super().__init__()
        lowest = np.where(step.chosen_, step.lowest_, 1.0)
        self.register_buffer("lowest", torch.tensor(lowest, dtype=torch.float32))
        self.register_buffer("chosen", torch.from_numpy(step.chosen_.copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(self.chosen, torch.log(torch.maximum(x, self.lowest)), x)


class _Kernel(nn.Module):
    """Gaussian kernels around some clips, then a linear map (Nyström's method)."""

    centres: torch.Tensor

    def __init__(self, step: Nystroem) -> None:
        super().__init__()
        self.gamma = float(step.gamma)
        self.register_buffer("centres", torch.tensor(step.components_, dtype=torch.float32))
        self.map = _linear(np.asarray(step.normalization_.T, np.float64), np.zeros(len(step.normalization_)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squares = (x.unsqueeze(1) - self.centres).square().sum(dim=2)
        mapped: torch.Tensor = self.map(torch.exp(-self.gamma * squares))
        return mapped


def _kernel(step: Any, width: int) -> tuple[nn.Module, int]:
    if step.kernel != "rbf" or step.gamma is None:
        raise ExperimentError(f"a kernel of kind {step.kernel!r} cannot be part of a model file; 'rbf' with gamma can")
    return _Kernel(step), len(step.normalization_)


OTHERS: dict[type, Callable[[Any, int], tuple[nn.Module, int]]] = {
    Normalizer: lambda step, width: (_Normalise(step.norm), width),
    LogSkewed: lambda step, width: (_LogSkewed(step), width),
    Nystroem: _kernel,
}
"""Kind of transformer that is not affine -> its module and the number of its outputs."""


class _Binary(nn.Module):
    """Logits (batch, 1) of the second of two classes to probabilities of both."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        second = torch.sigmoid(x)
        return torch.cat([1 - second, second], dim=1)


def _linear_head(classifier: Any) -> nn.Module:
    coefficients = np.asarray(classifier.coef_, np.float64)
    last = _Binary() if len(coefficients) == 1 else nn.Softmax(dim=1)
    return nn.Sequential(_linear(coefficients.T, np.asarray(classifier.intercept_, np.float64)), last)


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


def _perceptron_head(classifier: Any) -> nn.Module:
    modules: list[nn.Module] = []
    for matrix, offset in zip(classifier.coefs_, classifier.intercepts_, strict=True):
        modules += [_linear(np.asarray(matrix, np.float64), np.asarray(offset, np.float64))]
        modules += [_ACTIVATIONS[classifier.activation]()]
    last = _Binary() if classifier.out_activation_ == "logistic" else nn.Softmax(dim=1)
    return nn.Sequential(*modules[:-1], last)


HEADS: dict[type, Callable[[Any], nn.Module]] = {
    LogisticRegression: _linear_head,
    LinearDiscriminantAnalysis: _linear_head,
    MLPClassifier: _perceptron_head,
}
"""Kind of classifier -> its `predict_proba`."""
