"""Decode any file FFmpeg reads: mono float32 at a rate, excerpts by seeking, duration, tags, identity.

One open does everything. The compressed packets are read once from end to end without decoding, which costs about
2 µs a packet and tells three things no header can be trusted for: the true duration, whether the file ends early,
and the identity of the content (tags are not packets, so a new tag or a new name changes nothing). Only then are
the excerpts sought and decoded, and nothing before them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt

from soundkin.errors import (
    DamagedError,
    EmptyFileError,
    NoAudioStreamError,
    NonFiniteError,
    NotAudioError,
    TooShortError,
    UnreadableError,
    VanishedError,
)
from soundkin.excerpts import Excerpt, ExcerptPlan
from soundkin.tags import Tags, read_tags

FloatArray = npt.NDArray[np.float32]

SUFFIXES = frozenset(
    ".3ga .aac .ac3 .aif .aifc .aiff .alac .amr .ape .au .caf .dff .dsf .dts .eac3 .flac .m4a .mka .mp+ .mp1 .mp2 "
    ".mp3 .mp4 .mpc .oga .ogg .opus .ra .shn .snd .spx .tak .tta .w64 .wav .weba .webm .wma .wv".split()
)
"""Suffixes, in lower case, that a walk takes for audio. `.m4b` is left out: it says of itself that it is a book."""

# FFmpeg would also open playlists (which name other files and addresses), subtitles and pictures. Only containers
# that carry their own sound may be probed: a text file is then "not audio" instead of an odd subtitle track, and a
# prepared file cannot make the program read another one.
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dff,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,mlp,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,oga,ogg,oma,opus,qcp,qoa,rka,rm,shn,spx,tak,truehd,tta,voc,w64,wav,wavarc,webm,wsd,wv,"
    "xwma"
)
MOST_PIXELS = 40_000_000
"""Of an embedded picture: FFmpeg decodes it as it opens a file, and a few kilobytes of it may unfold to gigabytes."""
SHORTEST = 2.0
"""Seconds: a shorter file is no track."""
SHORTEST_PARTIAL = 10.0
"""Seconds: what is left of a damaged or truncated file must be at least this long to be used."""
_PREROLL = 0.15  # s decoded and thrown away before an excerpt: MP3 frames borrow bits from the ones before them
_SAMPLE_RATES = range(1000, 10_000_001)  # Hz, all channels together at most: memory holds one excerpt of them
_LEAST_BIT_RATE = 50  # bit/s; digital silence in a lossless format takes more
_LOUDEST = 1e3  # samples above this are damage, not music (full scale is 1)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio file as its packets and tags describe it."""

    path: Path
    duration: float
    """Seconds, from the packets that are really there."""
    sr: int
    channels: int
    codec: str
    container: str
    bit_rate: int | None
    """bit/s, averaged over the packets."""
    tags: Tags
    content_id: str
    """32 hexadecimal digits: BLAKE2b-128 of the compressed audio packets."""
    partial: str | None
    """Why only a part of the track could be used, or None."""


def read_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Duration, format, tags and identity of one file; nothing is decoded.

    Raises an AudioError that says what is wrong with the file.
    """
    with open_audio(path) as source:
        return source.info


def decode(path: str | os.PathLike[str], *, sr: int, excerpts: ExcerptPlan) -> tuple[AudioInfo, list[Excerpt]]:
    """Decode the excerpts of one file to mono float32 at `sr` Hz.

    Raises an AudioError that says what is wrong with the file. Long tracks heard whole are better read piece by
    piece, through `open_audio`.
    """
    with open_audio(path) as source:
        heard = list(source.excerpts(excerpts, sr=sr))
        return source.info_after_decoding(), heard


@contextlib.contextmanager
def open_audio(path: str | os.PathLike[str]) -> Iterator[AudioSource]:
    """Open one file as an AudioSource, and turn whatever FFmpeg or the system says into an AudioError."""
    path = Path(path)
    with audio_errors(path):
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for ever
            raise UnreadableError(path, "it is not a file")
        # A file object rather than a name: names that are not UTF-8 open too, and FFmpeg sees no protocol to parse.
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise EmptyFileError(path, "the file is empty (0 bytes)")
            with open_container(path, file) as container:
                yield AudioSource(path, file, container)


@contextlib.contextmanager
def audio_errors(path: Path) -> Iterator[None]:
    """Turn what FFmpeg or the system says while `path` is read into an AudioError."""
    try:
        yield
    except FileNotFoundError as error:
        raise VanishedError(path, "the file is no longer there") from error
    except av.error.FFmpegError as error:
        raise DamagedError(path, f"FFmpeg cannot read it: {error.strerror or error}") from error
    except OSError as error:
        raise UnreadableError(path, f"the system cannot read it: {error.strerror or error}") from error


class _Reader:
    """What FFmpeg needs of a file. A lying header sends it to impossible places: that is no fault of the system's."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.read, self.tell, self.name = file, file.read, file.tell, file.name

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL  # what FFmpeg expects of a seek that fails


def open_container(path: Path, file: IO[bytes]) -> av.container.InputContainer:
    """Open `file`, which is that of `path`, as one of the containers that are read; to be closed by the caller.

    Raises DamagedError or NotAudioError.
    """
    try:
        return av.open(
            _Reader(file),
            mode="r",
            metadata_errors="surrogateescape",
            # of MP4 also the tags that FFmpeg has no name of its own for, such as the tempo
            options={"format_whitelist": _CONTAINERS, "max_pixels": str(MOST_PIXELS), "export_all": "1"},
        )
    except av.error.EOFError as error:
        raise DamagedError(path, "it ends before any audio begins") from error
    except (
        av.error.InvalidDataError,
        av.error.DemuxerNotFoundError,
        ValueError,  # “invalid argument”, in PyAV's own tree under a name that changed in 17
    ) as error:
        raise NotAudioError(path, "no audio format recognises its content") from error


def audio_stream(path: Path, container: av.container.InputContainer) -> Any:
    """The stream of an open container that is heard, ready to be decoded by one thread.

    Raises NoAudioStreamError, NotAudioError or DamagedError.
    """
    stream: Any = container.streams.best("audio")
    if stream is None:
        raise NoAudioStreamError(path, "it holds no audio stream")
    if stream.codec_context is None:
        raise NotAudioError(path, "this FFmpeg has no decoder for its audio")
    stream.codec_context.thread_count = 1  # the scan runs one worker a core; threads would only add overhead
    layout, sr = stream.codec_context.layout, stream.codec_context.sample_rate
    channels = layout.nb_channels
    if " (" in layout.name:
        # An order of channels that has no name. FFmpeg keeps it in memory that PyAV frees twice, which kills the
        # process (seen in 17 and 18), unless the decoder has another one. The mean has no need of the order.
        stream.codec_context.layout = f"{channels} channels"
    del layout
    if sr not in _SAMPLE_RATES or sr * channels not in _SAMPLE_RATES:
        raise DamagedError(path, f"its header claims {channels} channels of {sr} samples a second")
    return stream


class AudioSource:
    """An open audio file: its `info`, and its excerpts by seeking. Made by `open_audio`."""

    def __init__(self, path: Path, file: IO[bytes], container: av.container.InputContainer) -> None:
        self.path = path
        self._container = container
        self._stream = stream = audio_stream(path, container)
        self.metadata: dict[str, str] = {**container.metadata, **stream.metadata}
        """What the file says of itself, under the names of its format."""
        self._lost = 0.0  # s that should have decoded and did not
        self._time_base: Any = stream.time_base  # a Fraction; set for every audio stream
        self._origin = float((stream.start_time or 0) * self._time_base)
        claimed = self._claimed_duration(file)
        self.info = self._read_packets(file, claimed)

    def excerpts(
        self, plan: ExcerptPlan, *, sr: int, also: Callable[[FloatArray, int], None] | None = None
    ) -> Iterator[Excerpt]:
        """Decode the excerpts of `plan` in turn, mono float32 at `sr` Hz.

        `also` is called with each of them as the file has it: (channels, n) float32, full scale 1, and its rate in Hz.
        An excerpt that does not decode is left out and the loss remembered for `info_after_decoding`. Raises
        NonFiniteError for samples that are no sound and DamagedError when too little decodes.
        """
        self._lost = heard = planned = 0.0
        for start, seconds in plan.windows(self.info.duration):
            planned += seconds
            excerpt = self._decode_window(start, seconds, sr, also)
            lasts = len(excerpt.y) / sr
            heard += lasts
            self._lost += max(0.0, seconds - lasts)
            if lasts >= min(seconds, SHORTEST) * 0.5:
                yield excerpt
        wanted = min(SHORTEST_PARTIAL, planned) * 0.9  # a plan may ask for less than what a damaged file must have
        if heard < wanted:
            raise DamagedError(
                self.path, f"only {heard:.1f} s of it could be decoded; at least {wanted:.1f} s are needed"
            )

    def info_after_decoding(self) -> AudioInfo:
        """`info`, with `partial` also set when a noticeable part of the excerpts failed to decode."""
        if self.info.partial or self._lost < 1.0:
            return self.info
        reason = f"{self._lost:.0f} s of what was to be heard could not be decoded"
        return replace(self.info, partial=reason)

    def _claimed_duration(self, file: IO[bytes]) -> float | None:
        """Seconds that a header promises; None when FFmpeg could only guess from the bit rate."""
        name = self._container.format.name
        if name in ("aac", "ac3", "eac3", "dts", "amr", "loas", "mpegts", "mpeg"):
            return None
        if name == "mp3":
            position = file.tell()
            file.seek(0)
            head = file.read(10)
            if head[:3] == b"ID3" and len(head) == 10:  # a "synchsafe" size: seven bits a byte
                size = (head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]
                file.seek(10 + size)
            frame = file.read(4096)
            file.seek(position)
            if not any(mark in frame for mark in (b"Xing", b"Info", b"VBRI")):
                return None
        if self._stream.duration is not None:
            # FFmpeg shortens this for a WAV file that was cut off; what its first header promised is still there.
            lost = _promised_size(file) / os.fstat(file.fileno()).st_size if name == "wav" else 1.0
            return float(self._stream.duration * self._time_base) * max(1.0, lost)
        return self._container.duration / av.time_base if self._container.duration else None

    def _read_packets(self, file: IO[bytes], claimed: float | None) -> AudioInfo:
        context = self._stream.codec_context
        # Bytes of plain samples sound as the header says; a codec's own header would tell its encoder's tags too.
        sounds_as = f"{context.codec.canonical_name} {context.sample_rate} {context.layout.nb_channels}"
        digest = hashlib.blake2b(sounds_as.encode(), digest_size=16)
        count, size, broken = 0, 0, None
        last: Any = None
        again: float | None = None
        second = int(1 / self._time_base)
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:
                    continue
                if last is not None:
                    digest.update(last)
                    if (packet.pts or 0) < (last.pts or 0) - second:
                        again = float(last.pts * self._time_base) - self._origin
                last = packet
                count, size = count + 1, size + packet.size
        except av.error.FFmpegError as error:
            broken = f"reading stops with “{error.strerror or error}”"
        except IndexError:
            pass  # at the very end PyAV stumbles over streams that a damaged file began late
        if last is None:
            raise DamagedError(self.path, "it holds no audio data")
        # The last packet of these is cut by file size and so contains whatever tag follows it.
        if count == 1 or self._container.format.name not in ("ape", "flac"):
            digest.update(last)
        end = float(((last.pts or last.dts or 0) + (last.duration or 0)) * self._time_base)
        duration = end - self._origin
        if duration <= 0 and claimed:
            duration = claimed  # containers without packet times
        if 8 * size < _LEAST_BIT_RATE * duration:
            raise DamagedError(self.path, f"its times are damaged: {size} bytes cannot last {duration:.0f} s")
        partial = self._why_partial(file, duration, claimed, broken)
        if again is not None and self._container.format.name == "ogg":  # files joined end to end; elsewhere, damage
            partial = f"its times start again at {_clock(again)}, and only what follows can be reached"
        if partial and duration < SHORTEST_PARTIAL:
            raise DamagedError(
                self.path,
                f"{partial}; only {duration:.1f} s are left, at least {SHORTEST_PARTIAL:g} s are needed",
            )
        if duration < SHORTEST:
            raise TooShortError(self.path, f"it lasts {max(duration, 0.0):.2f} s; the shortest track is {SHORTEST:g} s")
        return AudioInfo(
            path=self.path,
            duration=duration,
            sr=context.sample_rate,
            channels=context.layout.nb_channels,
            codec=context.codec.canonical_name,
            container=self._container.format.name.split(",")[0],
            bit_rate=round(8 * size / duration),
            tags=read_tags({**_recording_id(file), **self._container.metadata, **self._stream.metadata}),
            content_id=digest.hexdigest(),
            partial=partial,
        )

    def _why_partial(self, file: IO[bytes], duration: float, claimed: float | None, broken: str | None) -> str | None:
        if claimed is not None and duration < claimed - max(1.0, 0.01 * claimed):
            return f"it ends at {_clock(duration)} of {_clock(claimed)}"
        if broken:
            return f"it ends at {_clock(duration)}: {broken}"
        if self._container.format.name == "ogg" and not _ogg_is_complete(file):
            return f"it ends at {_clock(duration)} without an end mark: probably cut off"
        return None

    def _decode_window(
        self, start: float, seconds: float, sr: int, also: Callable[[FloatArray, int], None] | None
    ) -> Excerpt:
        """Decode [start, start + seconds) of the track; later and shorter, or empty, where decoding fails."""
        begin, end = self._origin + start, self._origin + start + seconds
        fifo = av.AudioFifo()  # joins frames in C: Vorbis makes hundreds of tiny ones a second
        first: float | None = None  # time of the first sample in the fifo
        rate = channels = 0
        try:
            time = self._seek(max(self._origin, begin - _PREROLL) if start > 0 else self._origin)
            for frame in self._decoded_frames():
                if first is None:
                    rate = frame.sample_rate
                    if frame.pts is not None:  # only the first frame of a packet has a time
                        time = float(frame.pts * self._time_base)
                    if time + frame.samples / rate <= begin:
                        time += frame.samples / rate
                        continue
                    first, channels = time, frame.layout.nb_channels
                if frame.layout.nb_channels != channels:
                    break  # a joined stream; the fifo would not notice and read beyond the frame
                frame.pts = None  # the fifo would refuse a gap; a lost packet only shortens the excerpt
                fifo.write(frame)
                if first + fifo.samples / rate >= end:
                    break
        except (av.error.FFmpegError, IndexError):
            pass  # what came before the damage is used; the caller measures what is missing
        except ValueError:
            pass  # nor does the fifo take another rate or sample format: what came so far is one piece
        joined = fifo.read()
        if joined is None or first is None:
            return Excerpt(start, np.empty(0, np.float32))
        samples, zero, full_scale = _samples(joined)
        samples = samples[:, max(0, round((begin - first) * rate)) : max(0, round((end - first) * rate))]
        y = _mono(samples, zero, full_scale)
        if not len(y):
            return Excerpt(start, y)
        if not np.isfinite(y).all():
            raise NonFiniteError(self.path, "it contains samples that are not finite numbers (NaN or infinity)")
        if (peak := float(np.abs(y).max())) > _LOUDEST:
            raise NonFiniteError(self.path, f"it contains samples of {peak:.3g}; full scale is 1")
        if also is not None:
            also((samples.astype(np.float32) - np.float32(zero)) / np.float32(full_scale), rate)
        return Excerpt(max(start, first - self._origin), resample(y, source_sr=rate, sr=sr))

    def _seek(self, target: float) -> float:
        """Go to `target` seconds or a little before it; to the beginning where a format has no way to seek."""
        try:
            self._container.seek(math.floor(target / self._time_base), stream=self._stream)
        except av.error.FFmpegError:
            target = self._origin
            self._container.seek(math.floor(target / self._time_base), stream=self._stream)
        return target

    def _decoded_frames(self) -> Iterator[Any]:
        """Frames from where the container stands; packets that do not decode are passed over."""
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue


def resample(y: FloatArray, *, source_sr: int, sr: int) -> FloatArray:
    """Resample `y` (n,) from `source_sr` to `sr` Hz with FFmpeg's band-limited resampler; same start, float32."""
    if source_sr == sr:
        return y
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(y[np.newaxis]), format="fltp", layout="mono")
    frame.sample_rate = source_sr
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=sr)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([f.to_ndarray()[0] for f in frames]) if frames else np.empty(0, np.float32)


def _samples(frame: Any) -> tuple[npt.NDArray[Any], float, float]:
    """The samples of one frame as they are, (channels, n), and what they have for 0 and, from there, for full scale."""
    samples: npt.NDArray[Any]
    channels = frame.layout.nb_channels
    if (frame.format.is_planar and channels >= 8) or frame.format.name == "s64":
        # PyAV reads beyond the pointers of eight or more planes, and knows no 64-bit integers.
        packer = av.AudioResampler(format="flt")
        parts = [part.to_ndarray() for part in (*packer.resample(frame), *packer.resample(None))]
        samples, planar = np.concatenate(parts, axis=1), False
    else:
        samples, planar = frame.to_ndarray(), frame.format.is_planar
    if not planar and channels > 1:
        samples = samples.reshape(-1, channels).T
    if samples.dtype == np.uint8:
        return samples, 128.0, 128.0
    return samples, 0.0, -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0


def _mono(samples: npt.NDArray[Any], zero: float, full_scale: float) -> FloatArray:
    """Mean over the channels, (n,) float32, full scale 1; what `_samples` gives goes in.

    FFmpeg's own down-mix is not used: for float it scales stereo by 1/√2, so a mono file and its stereo copy would
    differ in level.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        mean: npt.NDArray[Any] = samples[0] if len(samples) == 1 else samples.mean(axis=0, dtype=np.float32)
        return (mean.astype(np.float32) - np.float32(zero)) / np.float32(full_scale)


def _promised_size(file: IO[bytes]) -> int:
    """Bytes that a RIFF header says the file has; 0 when it was written to a pipe and could not know."""
    position = file.tell()
    file.seek(0)
    head = file.read(8)
    file.seek(position)
    size = int.from_bytes(head[4:], "little") + 8
    return size if head.startswith(b"RIFF") and size < 0x7FFF0000 else 0


def _recording_id(file: IO[bytes]) -> dict[str, str]:
    """MusicBrainz recording of a file that begins with an ID3v2 tag: the one frame of use that FFmpeg leaves out."""
    position = file.tell()
    file.seek(0)
    head = file.read(65536)
    file.seek(position)
    found = re.search(rb"UFI(?:D.{6}|.{3})http://musicbrainz\.org\0([0-9A-Fa-f-]{36})", head, re.DOTALL)
    return {"musicbrainz_trackid": found[1].decode()} if head.startswith(b"ID3") and found else {}


def _ogg_is_complete(file: IO[bytes]) -> bool:
    """Whether the last page of an Ogg file carries the end-of-stream flag (RFC 3533, section 6)."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * 65307))  # the largest page, twice
    tail = file.read()
    file.seek(position)
    page = tail.rfind(b"OggS")
    return page >= 0 and page + 5 < len(tail) and bool(tail[page + 5] & 4)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
