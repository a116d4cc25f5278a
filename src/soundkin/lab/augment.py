"""Changed copies of training examples: noise, shifts, brightness, masks and mixtures; S4's three first.

An augmentation is a frozen dataclass of settings, called on a batch before it is scaled: `x = noise(x, generator=g)`.
All randomness comes from the generator, which is on the device of `x`. Batches are float32 and

- pictures (batch, channels, height, width) from 0 to 1, time running along the width;
- log-mel segments (batch, n_mels, frames) in dB;
- sequences (batch, steps, numbers), each number in a unit of its own.

The last two are told apart by their longer side, which is taken for time; `time_axis` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from soundkin.errors import ExperimentError, UnknownNameError

PICTURE_DB = 80.0
"""Decibels from black to white in a picture."""


class Augmentation(Protocol):
    """What the training calls."""

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor: ...


@dataclass(frozen=True)
class Noise:
    """Random noise (S4 §3.1).

    Gaussian, of deviation `level`: on the scale of a picture from 0 to 1; times the deviation that each band of a
    segment, or each number of a sequence, has within the batch.
    """

    level: float = 0.05
    time_axis: int | None = None

    def __post_init__(self) -> None:
        _check(self.level >= 0, "noise level is 0 or more", self.level)

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        if x.ndim == 4:
            return (x + self.level * noise).clamp(0, 1)
        axes = (0, _time_axis(x, self.time_axis)) if x.ndim == 3 else (0,)
        return x + self.level * x.std(dim=axes, keepdim=True, unbiased=False) * noise


@dataclass(frozen=True)
class TimeShift:
    """Each example begins up to `share` of its length earlier or later; what leaves comes back in (S4 §3.1)."""

    share: float = 0.2
    time_axis: int | None = None

    def __post_init__(self) -> None:
        _check(0 <= self.share <= 1, "the share of a time shift is 0 to 1", self.share)

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        axis = _time_axis(x, self.time_axis)
        length = x.shape[axis]
        steps = torch.round((2 * _uniform(len(x), x, generator) - 1) * self.share * length).long()
        place = (torch.arange(length, device=x.device) - steps[:, None]) % length  # (batch, length)
        shape = [1] * x.ndim
        shape[0], shape[axis] = len(x), length
        return x.gather(axis, place.view(shape).expand(x.shape))


@dataclass(frozen=True)
class Brightness:
    """Each example up to `db` decibels louder or softer, which is brightness in a picture (S4 §3.1).

    Only for pictures and log-mel segments: the numbers of a sequence are no decibels.
    """

    db: float = 6.0
    time_axis: int | None = None

    def __post_init__(self) -> None:
        _check(self.db >= 0, "brightness changes by 0 dB or more", self.db)

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        if x.ndim == 2 or _time_axis(x, self.time_axis) == 1:
            raise ExperimentError(
                "the augmentation 'brightness' is for pictures and log-mel segments; leave it out here"
            )
        change = self.db * (2 * _uniform(len(x), x, generator) - 1)
        change = change.view(-1, *[1] * (x.ndim - 1))
        return (x + change / PICTURE_DB).clamp(0, 1) if x.ndim == 4 else x + change


@dataclass(frozen=True)
class SpecAugment:
    """Masks over time and over frequency, filled with the mean (Park et al. 2019, without the time warping).

    `time_masks` masks of up to `time_share` of the length each, `frequency_masks` of up to `frequency_share` of the
    bands. The mean is the example's own; in a sequence, that of each number.
    """

    time_masks: int = 2
    time_share: float = 0.1
    frequency_masks: int = 2
    frequency_share: float = 0.15
    time_axis: int | None = None

    def __post_init__(self) -> None:
        _check(min(self.time_masks, self.frequency_masks) >= 0, "there are 0 masks or more", self)
        _check(0 <= self.time_share <= 1 and 0 <= self.frequency_share <= 1, "the share of a mask is 0 to 1", self)

    def __call__(self, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        time = _time_axis(x, self.time_axis)
        bands = x.ndim - 2 if time == x.ndim - 1 else x.ndim - 1
        is_sequence = x.ndim == 3 and time == 1
        mean = x.mean(dim=(1,) if is_sequence else tuple(range(1, x.ndim)), keepdim=True)
        masked = torch.zeros(x.shape[0], *[1] * (x.ndim - 1), dtype=torch.bool, device=x.device)
        plan = [(time, self.time_share)] * self.time_masks + [(bands, self.frequency_share)] * self.frequency_masks
        for axis, share in plan:
            masked = masked | _random_bands(x, axis, share, generator)
        return torch.where(masked, mean, x)


def _random_bands(x: torch.Tensor, axis: int, share: float, generator: torch.Generator) -> torch.Tensor:
    """One band of random width and place in each example, True along `axis`; broadcasts against `x`."""
    length = x.shape[axis]
    width = torch.floor(_uniform(len(x), x, generator) * (share * length + 1)).clamp(max=length)
    begin = torch.floor(_uniform(len(x), x, generator) * (length - width + 1))
    place = torch.arange(length, device=x.device)
    inside = (place >= begin[:, None]) & (place < (begin + width)[:, None])
    shape = [1] * x.ndim
    shape[0], shape[axis] = len(x), length
    return inside.view(shape)


def mixup(
    x: torch.Tensor, y: torch.Tensor, *, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """Mix each example with another one of the batch (Zhang et al. 2018).

    Returns the mixtures, the first and the second labels `y` (batch, …), and the share λ of the first, drawn from
    Beta(alpha, alpha): the loss is λ · loss(first) + (1 - λ) · loss(second). `alpha` 0 mixes nothing.
    """
    _check(alpha >= 0, "alpha of mixup is 0 or more", alpha)
    if alpha == 0:
        return x, y, y, 1.0
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))  # PyTorch's own takes no generator
    other = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
    return share * x + (1 - share) * x[other], y, y[other], share


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "noise": Noise,
    "time-shift": TimeShift,
    "brightness": Brightness,
    "spec-augment": SpecAugment,
}
"""Name -> dataclass of settings. Mixup is a setting of the training, since it changes labels too."""


def make_augmentations(
    wanted: Iterable[str | Mapping[str, Any]], *, time_axis: int | None = None
) -> list[Augmentation]:
    """Augmentations in order, from names or from `{"name": "noise", "level": 0.1}`.

    `time_axis` is that of three-dimensional batches, for those that do not say it: 1 of sequences, 2 of segments.

    Raises UnknownNameError, or ExperimentError for settings that one does not have.
    """
    if isinstance(wanted, str | Mapping):
        raise ExperimentError(f"augmentations are a list, such as ['noise', 'brightness'], not {wanted!r}")
    made = []
    for item in wanted:
        settings: dict[str, Any] = {"name": item} if isinstance(item, str) else dict(item)
        name = str(settings.pop("name", ""))
        if name not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", name, AUGMENTATIONS)
        try:
            if "time_axis" in AUGMENTATIONS[name].__dataclass_fields__:  # type: ignore[attr-defined]
                settings.setdefault("time_axis", time_axis)
            made.append(AUGMENTATIONS[name](**settings))
        except TypeError as error:
            known = ", ".join(AUGMENTATIONS[name].__dataclass_fields__)  # type: ignore[attr-defined]
            raise ExperimentError(
                f"settings {settings} do not fit the augmentation {name!r}; it has: {known}"
            ) from error
    return made


def _check(holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ExperimentError(f"{rule}, not {value}")


def _uniform(n: int, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator, device=x.device)


def _time_axis(x: torch.Tensor, given: int | None) -> int:
    if x.ndim == 4:
        return 3
    if x.ndim != 3:
        raise ExperimentError(f"time has no axis in a batch of shape {tuple(x.shape)}; leave this augmentation out")
    if given is not None:
        _check(given in (1, 2), "time_axis is 1 or 2", given)
        return given
    return 1 if x.shape[1] > x.shape[2] else 2
