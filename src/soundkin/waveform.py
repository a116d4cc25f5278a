"""How loud a track is from its beginning to its end, as a picture of its wave shows it, and as a whole; its tempo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from soundkin.audio import open_audio
from soundkin.excerpts import ExcerptPlan
from soundkin.loudness import LoudnessMeter
from soundkin.tags import read_tempo

if TYPE_CHECKING:
    from soundkin.mediacache import MediaCache

FloatArray = npt.NDArray[np.float32]

POINTS = 1200
"""As many as a waveform has at most."""
LONGEST_WHOLE = 900.0
"""Seconds: of a longer track a sample is heard, a second in each of SAMPLES equal parts."""
SAMPLES = 600
_PIECE = 20.0  # s decoded at a time
_FORMAT = 2  # of what is kept; raised when its meaning changes
_KEPT: dict[str, type[np.generic]] = {
    "duration": np.float64,
    "peaks": np.uint8,
    "rms": np.uint8,
    "loudness": np.float64,  # NaN: not known
    "tempo": np.float64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """`peaks` and `rms`: (n,) float32 from 0 to 1, full scale, of the mean of the channels in n equal parts."""

    duration: float
    """Seconds."""
    peaks: FloatArray
    """The largest magnitude in each part."""
    rms: FloatArray
    """Root mean square of each part: of loud modern music the peaks alone are a plain bar."""
    loudness: float | None = None
    """Integrated loudness of EBU R 128 in LUFS; None for silence, for more than two channels, and for a track that is
    longer than LONGEST_WHOLE."""
    tempo: float | None = None
    """Beats a minute as the file's own tags tell them, or None."""

    def reduced(self, points: int) -> Waveform:
        """With `points` parts, or as many as there are."""
        n = len(self.peaks)
        if points >= n:
            return self
        edges = np.arange(points) * n // points
        squares = np.add.reduceat(np.square(self.rms), edges) / np.diff([*edges, n])
        peaks, rms = np.maximum.reduceat(self.peaks, edges), np.sqrt(squares).astype(np.float32, copy=False)
        return replace(self, peaks=peaks, rms=rms)


def waveform(path: Path) -> Waveform:
    """The waveform of a whole file with POINTS parts, or SAMPLES for a very long one; memory holds some seconds of it.

    What does not decode stands as silence. Raises AudioError for a file that cannot be read.
    """
    with open_audio(path) as source:
        duration, sr, tempo = source.info.duration, source.info.sr, read_tempo(source.metadata)
        meter = LoudnessMeter()
        if duration <= LONGEST_WHOLE:
            count, plan = POINTS, ExcerptPlan(0, _PIECE)
        else:
            count, plan = SAMPLES, ExcerptPlan(SAMPLES, 1.0)
        peaks, squares, heard = np.zeros(count), np.zeros(count), np.zeros(count)
        bounds = np.round(np.arange(count + 1) * (duration / count) * sr).astype(np.int64)
        for excerpt in source.excerpts(plan, sr=sr, also=meter.hear if duration <= LONGEST_WHOLE else None):
            begin, y = round(excerpt.start * sr), excerpt.y
            first, last = (np.searchsorted(bounds, [begin, begin + len(y) - 1], side="right") - 1).clip(0, count - 1)
            edges = (bounds[first : last + 1] - begin).clip(0, len(y) - 1)
            parts = slice(first, last + 1)
            peaks[parts] = np.maximum(peaks[parts], np.maximum.reduceat(np.abs(y), edges))
            squares[parts] += np.add.reduceat(np.square(y, dtype=np.float64), edges)
            heard[parts] += np.diff([*edges, len(y)])
    rms = np.sqrt(squares / np.maximum(heard, 1))
    whole, power = (part.clip(0, 1).astype(np.float32) for part in (peaks, rms))
    return Waveform(duration, whole, power, meter.integrated(), tempo)


def kept_waveform(cache: MediaCache, content_id: str, state: str) -> Waveform | None:
    """The waveform that `keep_waveform` kept of a content in that state of its file, or None."""
    kept = cache.read_arrays(content_id, "wave.npz", _KEPT, stamp=_stamp(state))
    if kept is None:
        return None
    peaks, rms = (kept[name].astype(np.float32) / np.float32(255) for name in ("peaks", "rms"))
    loudness, tempo = (None if np.isnan(kept[name]) else float(kept[name]) for name in ("loudness", "tempo"))
    return Waveform(float(kept["duration"]), peaks, rms, loudness, tempo)


def keep_waveform(cache: MediaCache, content_id: str, state: str, wave: Waveform) -> None:
    """Keep `wave`, a byte a number; `state` says which of the files with that content it was, by its tags."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "duration": np.array(wave.duration, np.float64),
        "peaks": np.round(wave.peaks * 255).astype(np.uint8),
        "rms": np.round(wave.rms * 255).astype(np.uint8),
        "loudness": np.array(np.nan if wave.loudness is None else wave.loudness, np.float64),
        "tempo": np.array(np.nan if wave.tempo is None else wave.tempo, np.float64),
    }
    cache.write_arrays(content_id, "wave.npz", arrays, stamp=_stamp(state))


def _stamp(state: str) -> str:
    return f"wave {_FORMAT} of {state}"
