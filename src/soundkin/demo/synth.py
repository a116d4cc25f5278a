"""A small synthesiser: oscillators, a plucked string, drums, filters, echo, reverb, and a mixer that thinks in bars.

Every sound is a mono float32 array at `SR`, made by whole-array arithmetic, with peaks near 1. Whatever is random
takes the generator it draws from, so the same seed gives the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import signal

FloatArray = npt.NDArray[np.float32]

SR = 32_000
"""Samples a second of all that is composed."""
TAIL = 2.0
"""Seconds that ring on after the last bar."""
_CEILING = 0.89  # -1 dB: room for what a lossy codec adds to a peak


def hz(pitch: float) -> float:
    """Frequency in Hz of a MIDI pitch (69 is the A of 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def samples(seconds: float) -> int:
    """How many samples that is; rounded, so that the length of a sound in seconds gives its samples back."""
    return round(seconds * SR)


def times(seconds: float) -> FloatArray:
    """(n,) float32: the time of each sample of a sound, in seconds."""
    return np.arange(samples(seconds), dtype=np.float32) / np.float32(SR)


# ---- oscillators


def cycles(freq: float, seconds: float, *, vibrato: float = 0.0, rate: float = 5.5) -> FloatArray:
    """(n,) float32 phase of an oscillator in cycles, 0 to 1. `vibrato` in semitones sets in gradually, `rate` in Hz."""
    t = np.arange(samples(seconds)) / SR  # float64: float32 would lose the phase of a long note
    phase = freq * t
    if vibrato:
        depth = freq * (2.0 ** (vibrato / 12.0) - 1.0) / (2.0 * np.pi * rate)
        phase += depth * np.minimum(t / 0.5, 1.0) * np.sin(2.0 * np.pi * rate * t)
    return np.asarray(phase - np.floor(phase), dtype=np.float32)


def tone(
    freq: float,
    seconds: float,
    *,
    partials: Sequence[float],
    brightness: FloatArray | float = 1.0,
    vibrato: float = 0.0,
) -> FloatArray:
    """A harmonic tone: the sum of partials[k-1] · brightness^(k-1) · sin(2πk·phase), below the Nyquist frequency.

    `brightness`, a number or an array (n,) from 0 to 1, acts as a low-pass filter that may move with time.
    """
    angle = np.float32(2.0 * np.pi) * cycles(freq, seconds, vibrato=vibrato)
    turn = np.cos(angle) + 1j * np.sin(angle)
    step = (turn * brightness).astype(np.complex64)
    total = np.zeros_like(step)
    for amplitude in reversed(partials[: max(1, int(0.45 * SR / freq))]):  # Horner's rule: no sine a partial
        total *= step
        total += np.float32(amplitude)
    return np.asarray((total * turn).imag / max(1e-6, sum(map(abs, partials)) ** 0.5), dtype=np.float32)


def saw(freq: float, seconds: float, *, brightness: FloatArray | float = 0.8, vibrato: float = 0.0) -> FloatArray:
    """A sawtooth whose k-th partial is brightness^k / k: 0 is nearly a sine, 1 the full (and aliasing) sawtooth.

    Infinitely many partials in closed form: the discrete summation formulas of Moorer (JAES 1976).
    """
    angle = np.float32(2.0 * np.pi) * cycles(freq, seconds, vibrato=vibrato)
    return np.asarray(np.arctan2(brightness * np.sin(angle), 1.0 - brightness * np.cos(angle)), dtype=np.float32)


def pulse(freq: float, seconds: float, *, duty: float = 0.5) -> FloatArray:
    """The pulse wave of a game console, without its constant part; it aliases as that did."""
    return np.where(cycles(freq, seconds) < duty, np.float32(1.4 * (1.0 - duty)), np.float32(-1.4 * duty))


def triangle(freq: float, seconds: float) -> FloatArray:
    """A triangle in the 16 steps of a game console."""
    wave = 4.0 * np.abs(cycles(freq, seconds) - 0.5) - 1.0
    return np.asarray(np.round(wave * 7.5) / 7.5, dtype=np.float32)


def fm(freq: float, seconds: float, *, ratio: float, index: float, fall: float) -> FloatArray:
    """Two-operator frequency modulation (Chowning 1973): bells, electric pianos.

    `ratio`: modulator to carrier; `index`: depth at the start; `fall`: seconds in which tone and depth fade by 60 dB.
    """
    t = times(seconds)
    fading = np.exp(np.float32(-6.9 / fall) * t)
    modulator = np.sin(np.float32(2.0 * np.pi) * cycles(freq * ratio, seconds))
    carrier = np.float32(2.0 * np.pi) * cycles(freq, seconds)
    return np.asarray(np.sin(carrier + index * fading * modulator) * fading, dtype=np.float32)


def pluck(
    freq: float,
    seconds: float,
    rng: np.random.Generator,
    *,
    brightness: float = 0.6,
    sustain: float = 0.996,
    place: float = 0.15,
) -> FloatArray:
    """A plucked string: each period is the one before, averaged with itself (Karplus and Strong, CMJ 1983).

    Averaging multiplies harmonic k of a period of P samples by cos(πk/P), so all periods come at once from the
    spectrum of the first. `brightness` 0 to 1 is the pick, `sustain` what a period keeps of the last at 100 Hz,
    `place` where the string is picked (0 the bridge, 0.5 the middle).
    """
    period = int(np.ceil(SR / freq))
    count = int(seconds * freq) + 2
    k = np.arange(period // 2 + 1)
    first = np.fft.rfft(rng.uniform(-1.0, 1.0, period)) * np.sin(np.pi * place * k)
    first *= brightness ** (k * freq / 2000.0)
    loss = sustain ** (100.0 / freq) * np.abs(np.cos(np.pi * k / period))
    periods = np.fft.irfft(first * loss ** np.arange(count)[:, None], n=period).ravel()
    # a period is a whole number of samples; reading it at the right speed tunes the string
    y = np.interp(np.arange(samples(seconds)) * (freq * period / SR), np.arange(periods.size), periods)
    return np.asarray(y / max(1e-6, float(np.abs(y).max())), dtype=np.float32)


def noise(seconds: float, rng: np.random.Generator) -> FloatArray:
    """(n,) white noise with peaks of 1."""
    return 2.0 * rng.random(samples(seconds), dtype=np.float32) - 1.0


# ---- envelopes and effects


def shape(y: FloatArray, *, attack: float = 0.005, release: float = 0.03) -> FloatArray:
    """`y` (n,) faded in and out along a raised cosine; `attack` and `release` in seconds."""
    y = y.copy()
    rise, fall = (min(y.size, max(1, samples(seconds))) for seconds in (attack, release))
    y[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise, dtype=np.float32) / rise)
    y[y.size - fall :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fall, dtype=np.float32) / fall)
    return y


def fading(seconds: float, *, fall: float, start: float = 1.0) -> FloatArray:
    """(n,) an exponential that falls from `start` by 60 dB in `fall` seconds."""
    return np.asarray(start * np.exp(np.float32(-6.9 / fall) * times(seconds)), dtype=np.float32)


def lowpass(y: FloatArray, cutoff: float, *, order: int = 2) -> FloatArray:
    """Butterworth low-pass along the last axis, `cutoff` in Hz."""
    return _filter(y, cutoff, "lowpass", order)


def highpass(y: FloatArray, cutoff: float, *, order: int = 2) -> FloatArray:
    """Butterworth high-pass along the last axis, `cutoff` in Hz."""
    return _filter(y, cutoff, "highpass", order)


def bandpass(y: FloatArray, low: float, high: float) -> FloatArray:
    """Butterworth band-pass along the last axis, edges in Hz."""
    return _filter(y, [low, high], "bandpass", 2)


def _filter(y: FloatArray, edges: float | list[float], kind: str, order: int) -> FloatArray:
    sos = signal.butter(order, edges, kind, fs=SR, output="sos").astype(np.float32)
    return np.asarray(signal.sosfilt(sos, y, axis=-1), dtype=np.float32)


def echo(y: FloatArray, delay: float, *, feedback: float, repeats: int = 5) -> FloatArray:
    """`y` (n,) and its echoes: each `delay` seconds later and `feedback` times as loud. Longer than `y`."""
    step = samples(delay)
    out = np.zeros(y.size + repeats * step, dtype=np.float32)
    for i in range(repeats + 1):
        out[i * step : i * step + y.size] += np.float32(feedback**i) * y
    return out


# ---- mixing


class Mix:
    """A stereo piece of `bars` bars that sounds are added to, and a mono send to its reverb."""

    def __init__(self, *, bpm: float, seconds: float, beats: int = 4) -> None:
        """`seconds`: how long the piece is at least, its tail included; the last bar is made whole."""
        self.beat = 60.0 / bpm
        """Seconds."""
        self.beats = beats
        self.bars = max(2, int(np.ceil((seconds - TAIL) / (beats * self.beat))))
        n = samples(self.bars * beats * self.beat + TAIL)
        self.dry = np.zeros((2, n), dtype=np.float32)
        self.send = np.zeros(n, dtype=np.float32)

    def add(
        self, y: FloatArray, bar: float, beat: float = 0.0, *, gain: float = 1.0, pan: float = 0.0, send: float = 0.2
    ) -> None:
        """Add `y` at a bar and beat (from 0). `pan` from -1 left to 1 right; `send` is the share for the reverb."""
        start = max(0, samples((bar * self.beats + beat) * self.beat))
        y = y[: max(0, self.send.size - start)]
        left, right = np.cos((pan + 1.0) * np.pi / 4.0), np.sin((pan + 1.0) * np.pi / 4.0)
        self.dry[0, start : start + y.size] += np.float32(gain * left) * y
        self.dry[1, start : start + y.size] += np.float32(gain * right) * y
        self.send[start : start + y.size] += np.float32(gain * send) * y

    def pump(self, depth: float) -> None:
        """Duck what was added so far on each beat, as a compressor driven by the bass drum does."""
        since_beat = (np.arange(self.send.size, dtype=np.float32) / np.float32(self.beat * SR)) % 1.0
        gain = 1.0 - depth * (1.0 - since_beat) ** 3
        self.dry *= gain
        self.send *= gain

    def master(self, rng: np.random.Generator, *, room: float, level: float) -> FloatArray:
        """(2, n) float32: with a reverb of `room` seconds, at `level` dBFS (RMS), its peaks rounded off below 0.89."""
        t = times(room)
        echoes = rng.standard_normal((2, t.size), dtype=np.float32) * np.exp(np.float32(-6.9 / room) * t)
        echoes = lowpass(echoes, 5000.0, order=1)
        echoes /= np.sqrt(np.square(echoes).sum(axis=1, keepdims=True))
        wet = signal.fftconvolve(self.send[None], echoes, axes=1)[:, : self.send.size]
        y = self.dry + wet.astype(np.float32)
        end = samples(TAIL / 2)
        y[:, -end:] *= np.linspace(1.0, 0.0, end, dtype=np.float32) ** 2
        y *= np.float32(10.0 ** (level / 20.0) / max(1e-6, float(np.sqrt(np.square(y).mean()))))
        return np.asarray(_CEILING * np.tanh(y / _CEILING), dtype=np.float32)
