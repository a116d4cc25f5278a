"""Passages that nobody recorded: what the teachers hear, and a poorer copy that the student hears as well.

Each is made of one or two tracks from a seed, in the log-mel domain, where adding powers is mixing, adding a curve
over the bands is an equaliser, and stretching along time changes the tempo and not the pitch. The teachers hear the
passage; its copy has been through a codec, lost what is high, or gained noise. A student that is to answer about the
copy as its teachers do about the passage learns to hear the music and not the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.lab.distill.material import CODEC, LEVEL, Track, level_of

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MixtureSettings:
    """How often and how far a passage is changed, and its copy; chances are between 0 and 1."""

    mix: float = 0.5
    split: float = 0.3
    """Chance that of two tracks one is heard below some band and the other above, rather than both in all."""
    quietest: float = -15.0
    """dB of the second track beneath the first, at most."""
    equaliser: float = 0.5
    equaliser_db: float = 2.5
    """Standard deviation of each of the curve's components."""
    stretch: float = 0.3
    stretch_by: float = 1.2
    dynamics: float = 0.3
    dynamics_by: float = 1.2
    """Factor by which what is louder or softer than the whole is made so yet more, or less."""
    varied: float = 0.4
    """Chance of a faster or slower variation instead of the track as it is."""
    codec: float = 0.7
    """Of the copy: chance that its tracks are taken after the codec, where that has been done."""
    noise: float = 0.3
    noise_db: tuple[float, float] = (15.0, 45.0)
    """Signal to noise, from and to."""
    lowpass: float = 0.2
    colour_db: float = 1.0
    """As `equaliser_db`, of the curve that every copy gets."""


@dataclass(frozen=True)
class Group:
    """Tracks that are drawn equally often, together with a `share` of all."""

    tracks: Sequence[Track]
    share: float


def make_mixture(
    groups: Sequence[Group], *, frames: int, seed: tuple[int, int], settings: MixtureSettings | None = None
) -> FloatArray:
    """One passage and its copy, (2, n_mels, frames) float32 in dB, at LEVEL; equal seeds give equal passages."""
    settings = settings or MixtureSettings()
    rng = np.random.default_rng(seed)
    cuts = _draw(groups, frames, rng, settings)
    whole = [_cut(cut, frames) for cut in cuts]
    coded = [_cut(cut, frames, coded=True) for cut in cuts] if rng.random() < settings.codec else whole
    views = _together(np.stack([whole, coded], axis=1), rng, settings)
    if rng.random() < settings.equaliser:
        views = views + _curve(views.shape[1], rng, settings.equaliser_db)[:, None]
    if rng.random() < settings.dynamics:
        level = level_of(views[0])
        views = level + (views - level) * np.float32(np.exp(rng.uniform(-1, 1) * np.log(settings.dynamics_by)))
    views[1] = _poorer(views[1], rng, settings)
    return np.stack([view + (LEVEL - level_of(view)) for view in views]).astype(np.float32)


def _together(cuts: FloatArray, rng: np.random.Generator, settings: MixtureSettings) -> FloatArray:
    """One or two tracks (tracks, 2, n_mels, frames) as one, (2, n_mels, frames)."""
    first, *others = cuts
    for other in others:
        quieter = np.float32(rng.uniform(settings.quietest, 0))
        if rng.random() < settings.split:
            first, other = (first, other) if rng.random() < 0.5 else (other, first)
            bands = first.shape[1]
            above = np.arange(bands) - rng.integers(bands // 8, bands // 2)  # 0.2 to 2 kHz
            first = first - np.float32(3.0) * np.clip(above, 0, 20)[:, None].astype(np.float32)
            other = other - np.float32(3.0) * np.clip(-above, 0, 20)[:, None].astype(np.float32)
            quieter = np.float32(0)
        first = _add(first, other + quieter)
    return np.asarray(first, np.float32)


def _poorer(mel: FloatArray, rng: np.random.Generator, settings: MixtureSettings) -> FloatArray:
    """The passage (n_mels, frames) as a worse recording has it."""
    mel = mel + _curve(len(mel), rng, settings.colour_db)[:, None]
    if rng.random() < settings.lowpass:
        band = rng.integers(len(mel) // 2, len(mel) - 4)
        mel[band:] -= np.minimum(60.0, 6.0 * np.arange(1, len(mel) - band + 1))[:, None].astype(np.float32)
    if rng.random() < settings.noise:
        noise = rng.standard_exponential(mel.shape, dtype=np.float32)  # the power of noise in one bin is exponential
        tilt = rng.uniform(-0.3, 0.1) * np.arange(len(mel), dtype=np.float32)
        shaped = 10 * np.log10(noise + 1e-6) + tilt[:, None]
        mel = _add(mel, shaped + (level_of(mel) - level_of(shaped) - rng.uniform(*settings.noise_db)))
    return np.asarray(mel, np.float32)


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
    variation = int(rng.integers(1, min(CODEC, len(track.mels)))) if varied else 0
    factor = 1.0
    if rng.random() < settings.stretch:
        factor = float(np.exp(rng.uniform(-1, 1) * np.log(settings.stretch_by)))
    length, there = round(frames * factor), track.mels[variation].shape[1]
    start = int(rng.integers(there if there <= length else there - length))
    return _Cut(track, variation, start, length)


def _cut(cut: _Cut, frames: int, *, coded: bool = False) -> FloatArray:
    """(n_mels, frames) float32 at LEVEL; `coded`: as it is after the codec, where that has been done."""
    length = cut.track.mels[cut.variation].shape[1]
    at = (cut.start + np.arange(cut.length)) % length
    mel = cut.track.copy_of(at) if coded and cut.variation == 0 else None
    if mel is None:
        mel = cut.track.mels[cut.variation].read()[:, at]
    passage = mel.astype(np.float32)
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
