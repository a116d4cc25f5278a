"""Passages that nobody recorded: what the teachers hear and the student learns from.

Each is made of one or two tracks from a seed, in the log-mel domain, where adding powers is mixing, adding a curve
over the bands is an equaliser, and stretching along time changes the tempo and not the pitch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.lab.distill.material import LEVEL, Track, level_of

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MixtureSettings:
    """How often and how far a passage is changed; chances are between 0 and 1."""

    mix: float = 0.35
    quietest: float = -15.0
    """dB of the second track beneath the first, at most."""
    equaliser: float = 0.5
    equaliser_db: float = 2.5
    """Standard deviation of each of the curve's components."""
    stretch: float = 0.3
    stretch_by: float = 1.2
    noise: float = 0.1
    noise_db: tuple[float, float] = (12.0, 40.0)
    """Signal to noise, from and to."""
    lowpass: float = 0.1
    varied: float = 0.45
    """Chance of another variation than the track as it is."""


@dataclass(frozen=True)
class Group:
    """Tracks that are drawn equally often, together with a `share` of all."""

    tracks: Sequence[Track]
    share: float


def make_mixture(
    groups: Sequence[Group], *, frames: int, seed: tuple[int, int], settings: MixtureSettings | None = None
) -> FloatArray:
    """One passage (n_mels, frames) float32 in dB, at LEVEL; equal seeds give equal passages."""
    settings = settings or MixtureSettings()
    rng = np.random.default_rng(seed)
    first, *others = _draw(groups, frames, rng, settings)
    mel = _cut(first, frames)
    for other in others:
        mel = _add(mel, _cut(other, frames) + rng.uniform(settings.quietest, 0))
    if rng.random() < settings.equaliser:
        mel = mel + _curve(len(mel), rng, settings.equaliser_db)[:, None]
    if rng.random() < settings.lowpass:
        band = rng.integers(len(mel) // 2, len(mel) - 4)
        mel[band:] -= np.minimum(60.0, 6.0 * np.arange(1, len(mel) - band + 1))[:, None].astype(np.float32)
    if rng.random() < settings.noise:
        noise = rng.standard_exponential(mel.shape, dtype=np.float32)  # the power of noise in one bin is exponential
        tilt = rng.uniform(-0.3, 0.1) * np.arange(len(mel), dtype=np.float32)
        shaped = 10 * np.log10(noise + 1e-6) + tilt[:, None]
        mel = _add(mel, shaped + (level_of(mel) - level_of(shaped) - rng.uniform(*settings.noise_db)))
    return (mel + (LEVEL - level_of(mel))).astype(np.float32)


def sources(
    groups: Sequence[Group], *, frames: int, seed: tuple[int, int], settings: MixtureSettings
) -> tuple[Track, ...]:
    """The tracks that `make_mixture` makes the passage of."""
    return tuple(cut.track for cut in _draw(groups, frames, np.random.default_rng(seed), settings))


@dataclass(frozen=True)
class _Cut:
    """`length` frames from `start` on of one variation of a track, which goes round if it is shorter."""

    track: Track
    variation: int
    start: int
    length: int


def _draw(groups: Sequence[Group], frames: int, rng: np.random.Generator, settings: MixtureSettings) -> list[_Cut]:
    cuts = [_draw_one(groups, frames, rng, settings)]
    if rng.random() < settings.mix:
        cuts.append(_draw_one(groups, frames, rng, settings))
    return cuts


def _draw_one(groups: Sequence[Group], frames: int, rng: np.random.Generator, settings: MixtureSettings) -> _Cut:
    shares = np.array([group.share for group in groups])
    group = groups[int(rng.choice(len(groups), p=shares / shares.sum()))]
    track = group.tracks[int(rng.integers(len(group.tracks)))]
    varied = len(track.mels) > 1 and rng.random() < settings.varied
    variation = int(rng.integers(1, len(track.mels))) if varied else 0
    factor = 1.0
    if rng.random() < settings.stretch:
        factor = float(np.exp(rng.uniform(-1, 1) * np.log(settings.stretch_by)))
    length, there = round(frames * factor), track.mels[variation].shape[1]
    start = int(rng.integers(there if there <= length else there - length))
    return _Cut(track, variation, start, length)


def _cut(cut: _Cut, frames: int) -> FloatArray:
    """(n_mels, frames) float32 at LEVEL."""
    mel = cut.track.mels[cut.variation].read()
    if mel.shape[1] <= cut.length:
        passage = np.take(mel, np.arange(cut.start, cut.start + cut.length), axis=1, mode="wrap").astype(np.float32)
    else:
        passage = mel[:, cut.start : cut.start + cut.length].astype(np.float32)
    if cut.length != frames:
        passage = _stretched(passage, frames)
    level = level_of(passage)
    return passage + np.float32(LEVEL - level if level > LEVEL - 40 else 0.0)  # silence stays silence


def _stretched(mel: FloatArray, frames: int) -> FloatArray:
    """Linear interpolation along time to (n_mels, frames)."""
    at = np.linspace(0, mel.shape[1] - 1, frames)
    low = np.minimum(at.astype(int), mel.shape[1] - 2)
    share = (at - low).astype(np.float32)
    return np.asarray(mel[:, low] * (1 - share) + mel[:, low + 1] * share, np.float32)


def _add(a: FloatArray, b: FloatArray) -> FloatArray:
    """Powers added, in dB: sounds that have nothing to do with each other, both heard."""
    natural = np.float32(np.log(10) / 10)
    mixed = np.float32(10 / np.log(10)) * np.logaddexp(a * natural, b * natural)
    return np.asarray(mixed, np.float32)


def _curve(bands: int, rng: np.random.Generator, db: float) -> FloatArray:
    """A smooth curve over the bands: three cosines of random height."""
    x = np.linspace(0, np.pi, bands)
    curve = np.zeros(bands)
    for order in (1, 2, 3):
        curve += rng.normal(0, db / order**0.5) * np.cos(order * x + rng.uniform(0, np.pi))
    return curve.astype(np.float32)
