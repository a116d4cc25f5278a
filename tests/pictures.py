"""Pictures for tests, made without a library for them."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from mutagen.id3 import APIC
from mutagen.mp3 import MP3


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *, colour: tuple[int, ...] = (200, 30, 10)) -> bytes:
    """One colour, of three numbers or, with its opacity, of four."""
    row = b"\0" + bytes(colour) * width
    return _png(width, height, 8, 2 if len(colour) == 3 else 6, row)


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """Black and white, a bit a pixel: 110 kB that unfold to 900 million pixels."""
    return _png(width, height, 1, 0, bytes(1 + (width + 7) // 8))


def _png(width: int, height: int, depth: int, kind: int, row: bytes) -> bytes:
    packer = zlib.compressobj(1)
    rows = [packer.compress(row) for _ in range(height)] + [packer.flush()]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = _chunk(b"IHDR", head), _chunk(b"IDAT", b"".join(rows)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(codec: str, width: int = 64, height: int = 48, *, pixels: str = "yuvj420p") -> bytes:
    """One colour, as that encoder of FFmpeg's writes it."""
    rgb = np.full((height, width, 3), (200, 30, 10), np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pixels, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def read(data: bytes) -> np.ndarray:
    """(height, width, 3) uint8 of a JPEG."""
    assert data.startswith(b"\xff\xd8\xff")
    with av.open(io.BytesIO(data), mode="r", format="jpeg_pipe") as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"))


def embed(path: Path, data: bytes, *, kind: int = 3, mime: str = "image/png") -> Path:
    """Put a picture into an MP3 file; kind 3 is the front cover."""
    file = MP3(path)
    if file.tags is None:
        file.add_tags()
    file.tags.add(APIC(encoding=3, mime=mime, type=kind, desc=str(kind), data=data))
    file.save()
    return path
