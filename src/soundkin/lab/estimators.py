"""Every method by name: classical chains, networks, ensembles. All are scikit-learn classifiers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.classical import CLASSICAL
from soundkin.lab.ensemble import build_ensemble
from soundkin.lab.networks import NETWORKS
from soundkin.lab.training import NeuralClassifier

_NEURAL_SETTINGS = set(inspect.signature(NeuralClassifier.__init__).parameters) - {"self", "network"}


def _neural(network: str, **settings: Any) -> NeuralClassifier:
    unknown = set(settings) - _NEURAL_SETTINGS
    if unknown:
        raise ExperimentError(
            f"{network} has no setting {', '.join(sorted(unknown))}; there are: {', '.join(sorted(_NEURAL_SETTINGS))} "
            "(the layers' own go into sizes)"
        )
    return NeuralClassifier(network, **settings)


ESTIMATORS: dict[str, Callable[..., BaseEstimator]] = {
    **CLASSICAL,
    **{name: functools.partial(_neural, name) for name in NETWORKS},
}
"""Name -> build(**settings), without ensembles, which are made of these."""


def is_neural(name: str) -> bool:
    """Whether that name is a network's."""
    return name in NETWORKS


def has_setting(estimator: str, name: str, value: Any) -> bool:
    """Whether a method has a setting of that name."""
    if is_neural(estimator):
        return name in _NEURAL_SETTINGS
    try:
        make_estimator(estimator, **{name: value})
    except (ExperimentError, TypeError):
        return False
    return True


def make_estimator(name: str, **settings: Any) -> BaseEstimator:
    """An unfitted estimator. Raises UnknownNameError, or ExperimentError for settings it does not have."""
    if name == "ensemble":
        return build_ensemble(make_estimator, **settings)
    if name not in ESTIMATORS:
        raise UnknownNameError("estimator", name, [*ESTIMATORS, "ensemble"])
    return ESTIMATORS[name](**settings)
