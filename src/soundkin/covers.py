"""The picture of a track: embedded in its file, or beside it, made small and encoded anew.

Pictures come from anywhere. Nothing of their bytes reaches a browser: they are decoded, within limits, and what is
handed out was encoded here.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import av.error
import numpy as np

from soundkin.audio import MOST_PIXELS, audio_errors, open_container
from soundkin.errors import AudioError

LARGEST_FILE = 32_000_000
"""Bytes of a picture that is looked at."""
SIZES = (96, 192, 384, 768)
"""Pixels of the longer side."""

_NAMES = ("cover", "folder", "front", "album", "albumart", "artwork")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
_MOST_ENTRIES = 20_000  # of a folder that are looked through for a picture
# what a picture begins with, and FFmpeg's name of that; it is never asked to guess
_KINDS = (
    (b"\xff\xd8\xff", "jpeg_pipe"),
    (b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp_pipe"),
    (b"BM", "bmp_pipe"),
)
_QUALITY = 3  # of JPEG, FFmpeg's scale: 2 is the best


def cover(path: Path, *, size: int) -> bytes | None:
    """The cover of the file at `path` as JPEG, at most `size` pixels a side; None where there is no usable one.

    An embedded picture is preferred, the front one of several, to one beside the file (cover.jpg, folder.png, …), of
    which links are not followed. A picture is never made larger. Raises AudioError when the file cannot be opened.
    """
    for data in _candidates(path):
        small = thumbnail(data, size=size)
        if small is not None:
            return small
    return None


def thumbnail(data: bytes, *, size: int) -> bytes | None:
    """The picture in `data` as JPEG, at most `size` pixels a side, on white; None for what is no usable picture."""
    kind = next((kind for magic, kind in _KINDS if data.startswith(magic)), None)
    if kind is None or len(data) > LARGEST_FILE:
        return None
    limits: dict[str, str] = {"max_pixels": str(MOST_PIXELS)}
    try:
        with av.open(io.BytesIO(data), mode="r", format=kind, options=limits) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = limits  # the decoder is another one than that of the opening
            stream.codec_context.thread_count = 1
            frame = next(container.decode(stream))
            if not 0 < frame.width * frame.height <= MOST_PIXELS:
                return None
            return _encode(_scale(frame, size))
    except (av.error.FFmpegError, ValueError, IndexError, StopIteration, MemoryError):
        return None


def _candidates(path: Path) -> Iterator[bytes]:
    with audio_errors(path), path.open("rb") as file:
        yield from _embedded(path, file)
    yield from _beside(path)


def _embedded(path: Path, file: IO[bytes]) -> list[bytes]:
    """The pictures in a file, the front cover first."""
    found: list[tuple[bool, bytes]] = []
    try:
        with open_container(path, file) as container:
            attached = [s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic]
            for stream in attached[:8]:
                packet = next(iter(container.demux(stream)), None)
                if packet is not None and 0 < packet.size <= LARGEST_FILE:
                    other = "front" not in stream.metadata.get("comment", "").lower()
                    found.append((other, bytes(packet)))
    except (AudioError, av.error.FFmpegError, IndexError):
        pass  # a damaged file may have a picture beside it
    return [data for _, data in sorted(found, key=lambda one: one[0])]


def _beside(path: Path) -> Iterator[bytes]:
    """The pictures next to a file whose names say that they are its cover, the most telling name first."""
    ranked: list[tuple[int, int, str]] = []
    try:
        with os.scandir(path.parent) as entries:
            for entry, _ in zip(entries, range(_MOST_ENTRIES), strict=False):
                stem, suffix = os.path.splitext(entry.name.lower())  # noqa: PTH122 - a name, of many
                if stem in _NAMES and suffix in _SUFFIXES and entry.is_file(follow_symlinks=False):
                    ranked.append((_NAMES.index(stem), _SUFFIXES.index(suffix), entry.path))
    except OSError:
        return
    for _, _, name in sorted(ranked):
        data = _read_plain(name)
        if data is not None:
            yield data


def _read_plain(name: str) -> bytes | None:
    """The content of a regular file that is no link and not too large; else None."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(name, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE:
                return None
            return file.read(LARGEST_FILE + 1)
    except OSError:
        return None


def _scale(frame: Any, size: int) -> Any:
    """(height, width, 3) uint8, the longer side at most `size`; what is transparent becomes white."""
    factor = min(1.0, size / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    rgba = frame.reformat(width=width, height=height, format="rgba", interpolation="AREA").to_ndarray()
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(colour)
    opacity = alpha.astype(np.float32) / 255
    return (colour * opacity + 255 * (1 - opacity) + 0.5).astype(np.uint8)


def _encode(rgb: Any) -> bytes:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuvj420p")
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = _QUALITY
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
