"""How loud a track is as a whole: integrated loudness of EBU R 128 (ITU-R BS.1770), as FFmpeg measures it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.error
import av.filter
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_LAYOUTS = {1: "mono", 2: "stereo"}
_SILENCE = -70.0  # LUFS: quieter blocks do not count, and FFmpeg says this where none does


class LoudnessMeter:
    """Hears a track piece by piece."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._form: tuple[int, int] | None = None  # channels, Hz
        self._told: str | None = None
        self._heard = 0  # samples

    def hear(self, y: FloatArray, sr: int) -> None:
        """Hear the next piece: (channels, n) float32, full scale 1, at `sr` Hz."""
        if self._form is None:
            self._form = len(y), sr
            if len(y) in _LAYOUTS:
                self._graph = _meter(_LAYOUTS[len(y)], sr)
        elif self._form != (len(y), sr):
            self._graph = None  # files were joined, and it goes on in another form
        if self._graph is None:
            return
        frame = av.AudioFrame.from_ndarray(y.T.reshape(1, -1), format="flt", layout=_LAYOUTS[len(y)])
        frame.sample_rate, frame.pts, frame.time_base = sr, self._heard, Fraction(1, sr)
        self._heard += y.shape[1]
        self._graph.push(frame)
        self._pull()

    def integrated(self) -> float | None:
        """LUFS of all that was heard; None for silence, and for what has more than two channels or changes them."""
        if self._graph is None:
            return None
        self._graph.push(None)
        self._pull()
        told = _SILENCE if self._told is None else float(self._told)
        return told if _SILENCE < told < 100 else None

    def _pull(self) -> None:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._told = frame.metadata.get("lavfi.r128.I", self._told)


def _meter(layout: str, sr: int) -> Any:
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=sr, format="flt", layout=layout, time_base=Fraction(1, sr))
    meter = graph.add("ebur128", "metadata=1:framelog=quiet")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    return graph
