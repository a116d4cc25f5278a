"""Augmentations: what they change, what they leave, and that the generator decides."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.augment import AUGMENTATIONS, Brightness, Noise, SpecAugment, TimeShift, make_augmentations, mixup


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PICTURES = torch.rand(6, 1, 20, 50, generator=generator())
MEL = 10 * torch.randn(6, 20, 50, generator=generator()) - 40
SEQUENCES = torch.randn(6, 50, 7, generator=generator()) * torch.arange(1, 8)
TABLE = torch.randn(6, 9, generator=generator())
BATCHES = {"pictures": PICTURES, "log-mel": MEL, "sequences": SEQUENCES, "table": TABLE}
FITS = {
    "noise": ("pictures", "log-mel", "sequences", "table"),
    "time-shift": ("pictures", "log-mel", "sequences"),
    "brightness": ("pictures", "log-mel"),
    "spec-augment": ("pictures", "log-mel", "sequences"),
}
CASES = [(name, kind, kind in FITS[name]) for name in AUGMENTATIONS for kind in BATCHES]


@pytest.mark.parametrize(("name", "kind", "fits"), CASES)
def test_each_fits_the_batches_that_it_says(name: str, kind: str, fits: bool) -> None:
    (augment,) = make_augmentations([name])
    x = BATCHES[kind]
    if not fits:
        with pytest.raises(ExperimentError, match="leave"):
            augment(x, generator=generator())
        return
    before = x.clone()
    first = augment(x, generator=generator(1))
    assert first.shape == x.shape and first.dtype == x.dtype
    assert torch.equal(x, before)  # a copy is changed, not the batch
    assert not torch.equal(first, x)
    assert torch.equal(first, augment(x, generator=generator(1)))
    assert not torch.equal(first, augment(x, generator=generator(2)))
    if kind == "pictures":
        assert float(first.min()) >= 0 and float(first.max()) <= 1


def test_noise_is_as_loud_as_it_says() -> None:
    level = 0.1
    noise = Noise(level)(SEQUENCES.repeat(50, 1, 1), generator=generator()) - SEQUENCES.repeat(50, 1, 1)
    torch.testing.assert_close(noise.std(dim=(0, 1)), level * SEQUENCES.std(dim=(0, 1)), rtol=0.05, atol=0)
    grey = torch.full((4, 1, 60, 60), 0.5)
    assert float((Noise(level)(grey, generator=generator()) - 0.5).std()) == pytest.approx(level, rel=0.05)


@pytest.mark.parametrize("kind", FITS["time-shift"])
def test_a_time_shift_rolls_time_and_nothing_else(kind: str) -> None:
    x = BATCHES[kind]
    axis = {"pictures": 3, "log-mel": 2, "sequences": 1}[kind]
    shifted = TimeShift(0.2)(x, generator=generator())
    steps = []
    for row, moved in zip(x, shifted, strict=True):
        rolls = [k for k in range(-10, 11) if torch.equal(torch.roll(row, k, dims=axis - 1), moved)]
        assert len(rolls) == 1  # a fifth of 50 steps at most
        steps += rolls
    assert len(set(steps)) > 2  # every example its own


def test_brightness_adds_decibels() -> None:
    change = Brightness(6)(MEL, generator=generator()) - MEL
    assert float(change.std(dim=(1, 2)).max()) < 1e-4  # one number an example
    assert 0.5 < float(change.abs().max()) <= 6 and len(change[:, 0, 0].unique()) == 6
    grey = torch.full((50, 1, 4, 4), 0.5)
    assert float((Brightness(8)(grey, generator=generator()) - 0.5).abs().max()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("kind", FITS["spec-augment"])
def test_masks_are_bands_filled_with_the_mean(kind: str) -> None:
    x = BATCHES[kind]
    axis = {"pictures": 3, "log-mel": 2, "sequences": 1}[kind]
    for settings, along in (
        ({"frequency_masks": 0, "time_masks": 1, "time_share": 0.4}, axis),
        ({"time_masks": 0, "frequency_masks": 1, "frequency_share": 0.6}, 2 if kind != "log-mel" else 1),
    ):
        masked = SpecAugment(**settings)(x, generator=generator(3))  # type: ignore[arg-type]
        changed = masked != x
        widths = []
        for example, row, new in zip(changed, x, masked, strict=True):
            others = [d for d in range(example.ndim) if d != along - 1]
            hit = example.amax(dim=others)
            places = torch.nonzero(hit).flatten()
            widths.append(len(places))
            assert torch.equal(example.amin(dim=others), hit)  # whole lines
            assert not len(places) or int(places[-1] - places[0]) + 1 == len(places)  # next to each other
            mean = row.mean(dim=0, keepdim=True) if kind == "sequences" else row.mean()
            torch.testing.assert_close(new[example], mean.expand(row.shape)[example])
        share = settings.get("time_share") or settings.get("frequency_share")
        assert 0 < max(widths) <= math.floor(share * x.shape[along]) and len(set(widths)) > 1  # type: ignore[operator]


def test_all_of_a_mask_is_possible_and_none_is_too() -> None:
    everything = SpecAugment(time_masks=60, time_share=1.0, frequency_masks=0)(MEL, generator=generator())
    torch.testing.assert_close(everything, MEL.mean(dim=(1, 2), keepdim=True).expand(MEL.shape))
    nothing = SpecAugment(time_masks=0, frequency_masks=0)(MEL, generator=generator())
    assert torch.equal(nothing, MEL)


def test_the_longer_side_is_time_unless_told() -> None:
    wide = torch.randn(4, 60, 50, generator=generator())  # more bands than frames
    for axis, given in ((1, None), (1, 1), (2, 2)):
        shifted = TimeShift(0.2, time_axis=given)(wide, generator=generator())
        assert not torch.equal(shifted, wide)
        torch.testing.assert_close(shifted.sum(dim=axis), wide.sum(dim=axis))
    with pytest.raises(ExperimentError, match="time_axis"):
        TimeShift(time_axis=0)(wide, generator=generator())


def test_mixup_mixes_examples_with_labels() -> None:
    y = torch.arange(6)
    x, first, second, share = mixup(MEL, y, alpha=0.4, generator=generator())
    assert torch.equal(first, y) and sorted(second.tolist()) == y.tolist() and 0 <= share <= 1
    torch.testing.assert_close(x, share * MEL + (1 - share) * MEL[second])
    shares = [mixup(MEL, y, alpha=0.4, generator=generator(seed))[3] for seed in range(200)]
    assert sum(shares) / 200 == pytest.approx(0.5, abs=0.1)
    assert sum(share < 0.1 or share > 0.9 for share in shares) > 70  # Beta(0.4, 0.4) has .42 of its mass there
    same, *_, share = mixup(MEL, y, alpha=0, generator=generator())
    assert torch.equal(same, MEL) and share == 1
    with pytest.raises(ExperimentError, match="alpha"):
        mixup(MEL, y, alpha=-1, generator=generator())


def test_augmentations_are_made_by_name() -> None:
    made = make_augmentations(["noise", {"name": "spec-augment", "time_masks": 1}])
    assert made == [Noise(), SpecAugment(time_masks=1)]
    assert make_augmentations(()) == []
    for augmentation in AUGMENTATIONS.values():
        assert dataclasses.is_dataclass(augmentation)
        assert (augmentation.__doc__ or "").splitlines()[0].endswith(".")  # what `lab list` shows


@pytest.mark.parametrize(
    ("wanted", "error", "match"),
    [
        (["echo"], UnknownNameError, "echo.*noise"),
        ([{"level": 1}], UnknownNameError, "augmentation"),
        ([{"name": "noise", "volume": 1}], ExperimentError, "it has: level, time_axis"),
        ([{"name": "noise", "level": "loud"}], ExperimentError, "do not fit"),
        ([{"name": "noise", "level": -1}], ExperimentError, "0 or more, not -1"),
        ([{"name": "time-shift", "share": 2}], ExperimentError, "0 to 1, not 2"),
        ("noise", ExperimentError, "a list"),
        ({"name": "noise"}, ExperimentError, "a list"),
    ],
)
def test_what_cannot_be_made_is_refused(wanted: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make_augmentations(wanted)  # type: ignore[arg-type]
