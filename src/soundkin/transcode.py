"""Any audio file as MP3, made while it is listened to: for what a browser cannot play itself."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any

import av
import av.error

from soundkin.audio import audio_errors, audio_stream, open_container

BIT_RATE = 192_000
"""bit/s."""
_RATES = (44100, 48000, 32000)  # Hz that MP3 knows; a source of another rate gets the first
_FIRST, _CHUNK = 8_000, 32_000  # bytes: the first soon, then a good second of music at a time
_MOST_BROKEN = 200  # packets in a row that do not decode: what follows is not music either


def transcode(path: Path, file: IO[bytes], *, start: float = 0.0) -> Generator[bytes, None, None]:
    """`file`, which is that of `path`, from `start` seconds on as MP3, mono or stereo, chunk by chunk.

    It is closed at the end. Nothing is done before the first chunk is asked for, nor ahead of what is asked for.
    Packets that do not decode are passed over. Raises AudioError for what cannot be opened; beyond the end of the
    track there are no chunks.
    """
    with file, audio_errors(path), open_container(path, file) as container:
        stream = audio_stream(path, container)
        sr = stream.codec_context.sample_rate
        encoder: Any = av.CodecContext.create("libmp3lame", "w")
        encoder.sample_rate = sr if sr in _RATES else _RATES[0]
        # one channel made two would be 3 dB softer
        encoder.layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
        encoder.format, encoder.bit_rate = "fltp", BIT_RATE
        encoder.options = {"compression_level": "7"}  # a third less work than LAME's own choice; none hears it
        ready, size, enough = [], 0, _FIRST
        for packet in _encoded(encoder, _frames(container, stream, start)):
            ready.append(packet)
            size += len(packet)
            if size >= enough:
                yield b"".join(ready)
                ready, size, enough = [], 0, _CHUNK
        if ready:
            yield b"".join(ready)


def _frames(container: Any, stream: Any, start: float) -> Iterator[Any]:
    """Decoded frames from `start` seconds on, as exactly as frames are long."""
    begin = float((stream.start_time or 0) * stream.time_base) + start
    time = 0.0
    if start > 0:
        try:
            container.seek(math.floor(begin / stream.time_base), stream=stream)
        except av.error.FFmpegError:  # a format without a way to seek is decoded from its beginning
            container.seek(0, stream=stream)
    broken = 0
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            broken += 1
            if broken > _MOST_BROKEN:
                return
            continue
        broken = 0
        for frame in frames:
            if frame.pts is not None:
                time = float(frame.pts * stream.time_base)
            time += frame.samples / frame.sample_rate
            if time > begin:
                yield frame


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    try:
        yield from container.demux(stream)
    except (av.error.FFmpegError, IndexError):
        return  # it ends early; what came before has been heard


def _encoded(encoder: Any, frames: Iterator[Any]) -> Iterator[bytes]:
    resampler, like = None, None
    for frame in frames:
        frame.pts = None  # a gap in the times must not become a gap in the sound, nor an error
        form = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
        if form != like:  # or files were joined, and it goes on in another form
            resampler, like = av.AudioResampler("fltp", encoder.layout, encoder.sample_rate), form
        assert resampler is not None
        for even in resampler.resample(frame):
            even.pts = None
            yield from map(bytes, encoder.encode(even))
    yield from map(bytes, encoder.encode(None))
