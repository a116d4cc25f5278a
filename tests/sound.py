"""Small sounds for the tests, and their writing to files in every format that the wheel's FFmpeg encodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def music(seconds: float, *, sr: int = 22050, seed: int = 0) -> FloatArray:
    """(n,) float32: four notes a second, harmonics below 2 kHz, soft noise; no two seconds are alike.

    The notes are the same at every `sr`.
    """
    rng = np.random.default_rng(seed)
    pitches = 110.0 * 2 ** (rng.integers(0, 25, 4 * round(seconds + 1)) / 12)
    y = 0.002 * rng.standard_normal(round(seconds * sr))
    t = np.arange(sr // 2) / sr
    for i, pitch in enumerate(pitches[: round(np.ceil(4 * seconds))]):
        begin = round(i * sr / 4)
        note = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 9) if pitch * k < 2000)
        y[begin : begin + len(t)] += (note * np.exp(-4 * t) * np.minimum(1, t / 0.005))[: len(y) - begin]
    return (0.25 * y).astype(np.float32)


def noise(seconds: float, *, sr: int = 22050, level: float = 0.1, seed: int = 0) -> FloatArray:
    """(n,) float32 white noise of root mean square `level`."""
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * sr))).astype(np.float32)


def sine(seconds: float, *, sr: int = 22050, hz: float = 440.0, level: float = 0.5) -> FloatArray:
    """(n,) float32 of peak `level`."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * sr)) / sr)).astype(np.float32)


@dataclass(frozen=True)
class Format:
    """One way to store sound, and how true it is."""

    suffix: str
    codec: str
    sr: int = 22050
    container: str | None = None
    """FFmpeg's name of it; None: the suffix tells."""
    samples: str | None = None
    """FFmpeg's name of the sample format; None: the encoder's first choice."""
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    error: float = 1e-4
    """Largest difference from the original, RMS over RMS."""
    padding: float = 0.0
    """Seconds that coder and container may add."""
    clock: float = 0.0
    """Seconds by which an excerpt may be early or late: the container's unit of time."""

    def write(self, path: Path, y: FloatArray, *, tags: dict[str, str] | None = None) -> Path:
        """Encode `y` (n,) or (channels, n), full scale 1, to `path`."""
        channels = np.atleast_2d(np.asarray(y, np.float32))
        if self.codec == "vorbis" and len(channels) == 1:
            channels = np.repeat(channels, 2, axis=0)  # all that this encoder can do
        layout = LAYOUTS[len(channels)]
        with av.open(str(path), "w", format=self.container, options=self.muxer) as out:
            out.metadata.update(tags or {})
            stream = out.add_stream(
                self.codec, rate=self.sr, options={"strict": "experimental", **self.options}, layout=layout
            )
            assert isinstance(stream, av.AudioStream)
            if self.samples:
                stream.codec_context.format = av.AudioFormat(self.samples)
            if self.bit_rate:
                stream.bit_rate = self.bit_rate
            for begin in range(0, channels.shape[1], self.sr):
                part = np.ascontiguousarray(channels[:, begin : begin + self.sr].T).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
                frame.sample_rate, frame.pts = self.sr, begin
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path


_VBR = {"global_quality": "472", "flags": "qscale"}
_NO_XING = {"write_xing": "0", "id3v2_version": "0"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}

FORMATS = {
    "mp3": Format(".mp3", "libmp3lame", bit_rate=96000, error=0.06, padding=0.03),
    "mp3-vbr": Format(".mp3", "libmp3lame", options=_VBR, error=0.05, padding=0.03),
    "mp3-plain": Format(".mp3", "libmp3lame", options=_VBR, muxer=_NO_XING, error=0.05, padding=0.11),
    "mp2": Format(".mp2", "mp2", bit_rate=128000, error=0.05, padding=0.06),
    "flac": Format(".flac", "flac", samples="s16", error=1e-3),
    "flac-24": Format(".flac", "flac", samples="s32"),
    "flac-ogg": Format(".oga", "flac", container="ogg", error=1e-3, clock=1.0),  # FFmpeg's seeking errs by an Ogg page
    "vorbis": Format(".ogg", "vorbis", bit_rate=96000, error=0.05, padding=0.05),
    "opus": Format(".opus", "libopus", sr=48000, bit_rate=96000, error=0.1),
    "aac": Format(".m4a", "aac", container="ipod", bit_rate=96000, error=0.05, padding=0.05),
    "aac-adts": Format(".aac", "aac", container="adts", bit_rate=96000, error=0.05, padding=0.1),
    "aac-fragments": Format(".m4a", "aac", container="mp4", bit_rate=96000, muxer=_FRAGMENTS, error=0.05, padding=0.1),
    "alac": Format(".m4a", "alac", container="ipod"),
    "wav-u8": Format(".wav", "pcm_u8", error=0.05),
    "wav-16": Format(".wav", "pcm_s16le", error=1e-3),
    "wav-24": Format(".wav", "pcm_s24le"),
    "wav-32": Format(".wav", "pcm_s32le"),
    "wav-64": Format(".wav", "pcm_s64le"),
    "wav-float": Format(".wav", "pcm_f32le"),
    "wav-double": Format(".wav", "pcm_f64le"),
    "wav-alaw": Format(".wav", "pcm_alaw", error=0.05),
    "aiff": Format(".aiff", "pcm_s16be", error=1e-3),
    "aiff-24": Format(".aiff", "pcm_s24be"),
    "aifc": Format(".aifc", "pcm_s16le", container="aiff", error=1e-3),
    "au": Format(".au", "pcm_s16be", error=1e-3),
    "caf": Format(".caf", "pcm_s16be", error=1e-3),
    "w64": Format(".w64", "pcm_s16le", error=1e-3),
    "wma": Format(".wma", "wmav2", container="asf", bit_rate=96000, error=0.1, padding=0.1, clock=0.002),
    "wavpack": Format(".wv", "wavpack", samples="fltp"),
    "wavpack-16": Format(".wv", "wavpack", samples="s16p", error=1e-3),
    "tta": Format(".tta", "tta", samples="s16", error=1e-3),
    "mka": Format(".mka", "flac", container="matroska", error=1e-3, clock=0.002),
    "webm": Format(".webm", "libopus", sr=48000, bit_rate=96000, error=0.1, padding=0.03, clock=0.002),
    "ac3": Format(".ac3", "ac3", sr=44100, bit_rate=192000, error=0.1, padding=0.05, clock=0.002),
    "amr": Format(
        ".amr", "libopencore_amrnb", sr=8000, error=1.0, padding=0.05
    ),  # one note at a time: it is for speech
}
