"""Keys, chords and melodies, as numbers: MIDI pitches, and degrees of a scale counted from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, as it is (`Generator.choice` would make an array of them)."""
    return options[int(rng.integers(len(options)))]


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic (MIDI pitch) and the semitones of a seven-note scale above it."""

    tonic: int
    scale: tuple[int, ...]

    @classmethod
    def choose(cls, rng: np.random.Generator, *scales: str, low: int = 48) -> Key:
        """A key in one of the named scales, its tonic within the octave above the MIDI pitch `low`."""
        return cls(low + int(rng.integers(12)), SCALES[pick(rng, scales)])

    def pitch(self, degree: int) -> int:
        """MIDI pitch of a degree: 0 is the tonic, 7 its octave, -1 the note below it."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + self.scale[step]

    def chord(self, degree: int, *, size: int = 3) -> list[int]:
        """MIDI pitches of the triad (size 3), seventh (4) or ninth chord (5) on a degree, in thirds."""
        return [self.pitch(degree + 2 * i) for i in range(size)]


def progression(rng: np.random.Generator, options: Sequence[Sequence[int]], *, bars: int) -> list[int]:
    """The degree of each bar's chord: one of the options repeated, then the tonic in the last bar."""
    chosen = pick(rng, options)
    return [chosen[bar % len(chosen)] for bar in range(bars - 1)] + [0]


def near(pitch: int, centre: float) -> int:
    """The same note in the octave nearest to the MIDI pitch `centre`; chords voiced so move by small steps."""
    return pitch + 12 * round((centre - pitch) / 12)


def voicing(pitches: Sequence[int], centre: float) -> list[int]:
    """The notes of a chord gathered around `centre`, ascending, each once."""
    return sorted({near(pitch, centre) for pitch in pitches})


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a melody: its bar, its beat in the bar, its length in beats, its MIDI pitch."""

    bar: int
    beat: float
    length: float
    pitch: int


def melody(
    rng: np.random.Generator,
    key: Key,
    chords: Sequence[int],
    *,
    rhythms: Sequence[Sequence[float]],
    centre: int,
    leap: int = 2,
) -> list[Note]:
    """A tune over chords (degrees, one a bar) from two bar-long motifs in the order A A B A.

    `rhythms`: possible motifs as lengths in beats, a negative one is a rest. Each bar begins on a chord note near
    `centre` (MIDI) and goes on in steps of at most `leap` degrees; the last bar holds the tonic.
    """
    motifs = []
    for _ in range(2):
        rhythm = pick(rng, rhythms)
        motifs.append((rhythm, np.cumsum(rng.integers(-leap, leap + 1, len(rhythm)))))
    home = round((centre - key.tonic) * 7 / 12)  # the degree at the centre
    notes = []
    for bar, chord in enumerate(chords):
        rhythm, steps = motifs[0 if bar % 4 != 2 else 1]
        root = chord + 2 * int(rng.integers(3))
        root += 7 * round((home - root) / 7)
        if bar == len(chords) - 1:
            notes.append(Note(bar, 0.0, sum(map(abs, rhythm)), near(key.pitch(0), centre)))
            break
        beat = 0.0
        for length, step in zip(rhythm, steps - steps[0], strict=True):
            if length > 0:
                notes.append(Note(bar, beat, length, key.pitch(root + int(step))))
            beat += abs(length)
    return notes
