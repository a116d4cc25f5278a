"""How much of a track is heard, and where: a plan of excerpts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.errors import InputError

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ExcerptPlan:
    """How much of a track is heard: `count` excerpts of `seconds` each, evenly spread; `count` 0 is all of it."""

    count: int
    seconds: float

    def __post_init__(self) -> None:
        if self.count < 0 or not 1.0 <= self.seconds <= 600.0:
            raise InputError(
                f"an excerpt plan has a count of 0 or more and 1 to 600 seconds each, not {self.count} x {self.seconds}"
            )

    @classmethod
    def parse(cls, text: str) -> ExcerptPlan:
        """`'8x10'`: eight excerpts of ten seconds; `'whole'`: the whole track. Raises InputError."""
        if text.strip().casefold() == "whole":
            return cls(0, 10.0)
        match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+(?:\.\d+)?)\s*", text)
        if not match or int(match[1]) == 0:
            raise InputError(f"excerpts are COUNTxSECONDS, such as 8x10, or 'whole'; not {text!r}")
        return cls(int(match[1]), float(match[2]))

    def __str__(self) -> str:
        return "whole" if self.count == 0 else f"{self.count}x{self.seconds:g}"

    def windows(self, duration: float) -> list[tuple[float, float]]:
        """(start, seconds) of each excerpt of a track of `duration` seconds, in order, without overlap."""
        if self.count == 0 or self.count * self.seconds >= duration:
            # all of it, in pieces no longer than asked for, so that memory does not grow with the track
            pieces = max(1, math.ceil(duration / self.seconds - 1e-6))
            return [(i * duration / pieces, duration / pieces) for i in range(pieces)]
        part = duration / self.count
        return [((i + 0.5) * part - self.seconds / 2, self.seconds) for i in range(self.count)]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`y`: (n,) float32, mono, full scale 1; `start`: its place in the track in seconds."""

    start: float
    y: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """What a model heard in each of n excerpts of a track, in their order."""

    start: FloatArray
    """(n,) float32: where each begins, in seconds."""
    vectors: FloatArray
    """(n, d) float32, as the model gives them."""

    def __len__(self) -> int:
        return len(self.start)
