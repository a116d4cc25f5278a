"""Instruments made of the synthesiser's parts: a drum kit, a piano, guitars, a growling bass."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from soundkin.demo import synth
from soundkin.demo.synth import FloatArray, bandpass, fading, highpass, hz, noise, samples, shape, times

# ---- drums


def kick(rng: np.random.Generator, *, pitch: float = 48.0, click: float = 0.3, fall: float = 0.4) -> FloatArray:
    """A bass drum that drops to `pitch` Hz and dies in `fall` seconds."""
    t = times(fall)
    sweep = pitch * t + 2.2 * pitch / 30.0 * (1.0 - np.exp(-30.0 * t))
    body = np.sin(2.0 * np.pi * sweep) * fading(fall, fall=fall)
    return shape((body + click * highpass(noise(fall, rng), 1500.0) * fading(fall, fall=0.03)).astype(np.float32))


def snare(rng: np.random.Generator, *, pitch: float = 190.0, rattle: float = 0.8, fall: float = 0.25) -> FloatArray:
    """A snare drum: a skin at `pitch` Hz and `rattle` times as much noise."""
    t = times(fall)
    skin = np.sin(2.0 * np.pi * pitch * t) * fading(fall, fall=0.6 * fall)
    return shape((0.6 * skin + rattle * highpass(noise(fall, rng), 900.0) * fading(fall, fall=fall)).astype(np.float32))


def hat(rng: np.random.Generator, *, fall: float = 0.06, cutoff: float = 7000.0) -> FloatArray:
    """A hi-hat, or with a long `fall` (seconds) a crash cymbal, above `cutoff` Hz."""
    return shape(highpass(noise(fall, rng), cutoff) * fading(fall, fall=fall), attack=0.001)


def clap(rng: np.random.Generator) -> FloatArray:
    """Hands: three short bursts and a longer one."""
    burst = bandpass(noise(0.2, rng), 900.0, 3500.0)
    bursts = np.zeros(samples(0.24), dtype=np.float32)
    for start, fall in ((0.0, 0.02), (0.011, 0.02), (0.023, 0.2)):
        i = samples(start)
        bursts[i : i + burst.size] += burst * fading(0.2, fall=fall)
    return bursts


def ride(rng: np.random.Generator, *, ping: float = 0.25) -> FloatArray:
    """A ride cymbal: a wash of inharmonic partials and noise."""
    t, seconds = times(0.7), 0.7
    metal = sum(np.sin(2.0 * np.pi * f * t) for f in rng.uniform(3000.0, 9000.0, 9)) / 9.0
    wash = highpass(noise(seconds, rng), 6000.0)
    return shape(
        (ping * metal * fading(seconds, fall=0.5) + 0.25 * wash * fading(seconds, fall=0.7)).astype(np.float32)
    )


def grand_piano(hardness: float, *, ring: float) -> Callable[[int], FloatArray]:
    """A piano: two strings a key, a hammer of `hardness` 0 to 1; notes of `ring` seconds by MIDI pitch."""

    @cache
    def note(pitch: int) -> FloatArray:
        t = times(ring)
        fall = 6.0 * 2.0 ** ((60 - pitch) / 18.0)  # high strings die sooner
        bright = (0.25 + 0.75 * np.exp(-t * 1.5)) * hardness
        partials = [abs(np.sin(0.12 * np.pi * k)) / (0.37 * k**0.6) for k in range(1, 13)]
        strings = [synth.tone(hz(pitch + tuning), ring, partials=partials, brightness=bright) for tuning in (0, 0.025)]
        thump = synth.lowpass(noise(0.03, np.random.default_rng(pitch)), 900)
        y = sum(strings, start=np.zeros_like(t)) * fading(ring, fall=fall)
        y[: thump.size] += 0.3 * thump * fading(0.03, fall=0.03)
        return shape(y, attack=0.003, release=0.3)

    return note


def steel_guitar(
    rng: np.random.Generator, *, brightness: float, sustain: float, place: float
) -> Callable[[int], FloatArray]:
    """A guitar: plucked strings (parameters as of `synth.pluck`) and the resonance of the body; notes by MIDI pitch."""

    @cache
    def note(pitch: int) -> FloatArray:
        y = synth.pluck(hz(pitch), 2.2, rng, brightness=brightness, sustain=sustain, place=place)
        return shape(y + np.float32(0.6) * bandpass(y, 90, 230), attack=0.002, release=0.4)

    return note


def reese(pitch: int, seconds: float, growl: float, rate: float) -> FloatArray:
    """The bass of drum and bass: two saws out of tune under a filter that moves at `rate` Hz."""
    filtered = growl * (0.8 + 0.2 * np.sin(2.0 * np.pi * rate * times(seconds)))
    saws = [synth.saw(hz(pitch + tuning), seconds, brightness=filtered) for tuning in (-0.2, 0.2)]
    return shape(saws[0] + saws[1], release=0.02)


def power_chord(pitch: int, rng: np.random.Generator, *, muted: bool) -> FloatArray:
    """Root, fifth and octave of an electric guitar, before the amplifier; `muted` with the palm."""
    strings = [
        synth.pluck(hz(pitch + up), 0.4 if muted else 1.8, rng, brightness=0.8, sustain=0.93 if muted else 0.998)
        for up in (0, 7, 12)
    ]
    return np.asarray(strings[0] + 0.7 * strings[1] + 0.5 * strings[2], dtype=np.float32)
