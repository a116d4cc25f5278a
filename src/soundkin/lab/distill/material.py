"""The audio that a student learns from, as log-mel spectrograms that are kept on disk.

No labels are read. Every track is kept in several variations (as it is, faster and higher, slower and lower, through
a lossy codec), since these need the audio; all else that is done to it is done to its spectrogram (mixtures.py).
"""

from __future__ import annotations

import functools
import io
import itertools
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from soundkin.audio import SUFFIXES, open_audio
from soundkin.errors import ExperimentError, SilentError, SoundkinError, TooShortError
from soundkin.excerpts import ExcerptPlan
from soundkin.lab.cache import Kept, for_each_clip
from soundkin.lab.datasets.wording import count, listing, some
from soundkin.lab.importweights import FRONT_END
from soundkin.spectrogram import log_mel

FloatArray = npt.NDArray[np.float32]
HalfArray = npt.NDArray[np.float16]
IntArray = npt.NDArray[np.int64]

FRAMES_PER_SECOND = FRONT_END.sr / FRONT_END.hop_length
LEVEL = 12.0
"""dB of the mean power over all bands and frames that every track is brought to: that of commercial music.

The published taggers were trained on such music and do hear loudness; a student that is to hear a quiet copy of a song
as the song needs targets that do not depend on it.
"""
_SHORTEST = 1.0
_SILENT = -60.0  # dB of the mean power: nothing to learn from


@dataclass(frozen=True)
class Variation:
    """A form of the audio: played `speed` times as fast, pitch and all, or decoded from mp3 at `bitrate` bit/s."""

    speed: float = 1.0
    bitrate: int = 0
    longest: float = 600.0
    """s of a track that are used at most, from its middle."""


VARIATIONS = (Variation(), Variation(speed=1.09), Variation(speed=0.92), Variation(bitrate=40_000, longest=90.0))
CODEC = 3
"""Of these, the middle of the first after a codec: a student may hear it where its teachers heard the first."""
CODEC_SR = 44_100
"""Hz at which the codec is asked, since at lower rates it would cut off what mp3s of music have."""


@dataclass(frozen=True)
class Mel:
    """One variation of a track, which stays on disk: a collection of 10,000 would take 90 GB of memory."""

    kept: Kept
    variation: Variation
    shape: tuple[int, int]
    """(n_mels, frames)."""

    def read(self) -> HalfArray:
        """(n_mels, frames) float16 in dB, brought to LEVEL.

        Made again where the file is lost or damaged. Raises AudioError where the track cannot be heard any more, and
        ExperimentError where it is another by now.
        """
        mel: HalfArray = self.kept.read(functools.partial(hear, variation=self.variation))
        if mel.shape != self.shape:
            raise ExperimentError(
                f"{self.kept.path}: changed while it was learned from: {mel.shape[1]} frames, not {self.shape[1]}"
            )
        return mel


@dataclass(frozen=True)
class Track:
    """One file, and its variations, the first as it is."""

    path: Path
    mels: tuple[Mel, ...]

    @property
    def has_copy(self) -> bool:
        """Whether there is a copy through a codec."""
        return len(self.mels) > CODEC

    @property
    def copied(self) -> range:
        """The frames of the first variation that the copy through a codec is of, but for one at either end."""
        frames = self.mels[CODEC].shape[1]
        start = round((self.mels[0].shape[1] - frames) / 2)
        return range(start, start + frames)

    def copy_of(self, frames: IntArray) -> HalfArray | None:
        """Some `frames` (n,) of the first variation as they are after the codec, (n_mels, n); None where it has them
        not."""
        if not self.has_copy or frames.min() < self.copied.start - 1 or frames.max() > self.copied.stop:
            return None
        return self.mels[CODEC].read()[:, np.clip(frames - self.copied.start, 0, len(self.copied) - 1)]

    @property
    def album(self) -> str:
        """The folder it lies in."""
        return self.path.parent.name

    def is_named(self, names: Collection[str]) -> bool:
        """Whether `names` holds its file, without the suffix, or a folder that it lies in."""
        return self.path.stem in names or any(part in names for part in self.path.parent.parts)


def find_tracks(folder: Path, *, without: Sequence[str] = (), only: Sequence[str] | None = None) -> list[Path]:
    """The audio files below `folder`, sorted, but those in folders named in `without`, or not named in `only`.

    `without` and `only` hold names of folders, or of files without their suffix. Hidden files are passed over. Raises
    ExperimentError where nothing is left, and for a name in `without` that is nowhere, since what should be kept out
    would be learned.
    """
    if not folder.is_dir():
        raise ExperimentError(f"{folder}: there is no such folder")
    found = sorted(path for path in folder.rglob("*") if _is_audio(path))
    if not found:
        raise ExperimentError(f"{folder}: no audio files in it or below; {listing(folder)}")
    names = {path: {path.stem, *path.relative_to(folder).parent.parts} for path in found}
    missing = sorted(set(without) - set().union(*names.values()))
    if missing:
        raise ExperimentError(
            f"{folder}: to be kept out, but neither a folder nor a file (named without its suffix) there: "
            f"{some(missing)}"
        )
    kept = [path for path in found if not names[path] & set(without)]
    if not kept:
        raise ExperimentError(f"{folder}: nothing is left of its {count(len(found), 'file')} without {some(without)}")
    if only is not None:
        kept = [path for path in kept if names[path] & set(only)]
    if not kept:
        raise ExperimentError(f"{folder}: none of its {count(len(found), 'file')} is {some(only or (), limit=3)}")
    return kept


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()


def load_tracks(
    paths: Sequence[Path],
    *,
    folder: Path,
    variations: Sequence[Variation] = VARIATIONS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Track], dict[Path, SoundkinError]]:
    """The tracks of `paths`, their spectrograms kept in `folder`, and why others cannot be used.

    `progress(done, total)` counts variations. Raises DatasetError where `folder` cannot be written.
    """
    mels: dict[Path, list[Mel]] = {path: [] for path in paths}
    failed: dict[Path, SoundkinError] = {}

    def told(before: int) -> Callable[[int, int], None] | None:
        return progress and (lambda done, _: progress(before + done, len(variations) * len(paths)))

    for number, variation in enumerate(variations):
        left = [path for path in mels if path not in failed]
        heard = for_each_clip(
            left,
            functools.partial(hear, variation=variation),
            folder=folder,
            key=f"distill {FRONT_END} speed {variation.speed:g}, bitrate {variation.bitrate} {variation.longest} "
            f"{LEVEL}",
            workers=workers,
            progress=told(number * len(paths)),
            kind=np.float16,
            hold=False,
        )
        for path in left:
            try:
                mels[path].append(_mel(heard[path], variation))
            except SoundkinError as error:
                failed[path] = error
    return [Track(path, tuple(mels[path])) for path in mels if path not in failed], failed


def _mel(heard: Kept | SoundkinError, variation: Variation) -> Mel:
    """Raises the error that stands for the clip, or what it meets when a damaged file has to be made again."""
    if isinstance(heard, SoundkinError):
        raise heard
    shape = _shape_in(heard.file)
    if shape is None:
        heard.file.unlink(missing_ok=True)
        shape = heard.read(functools.partial(hear, variation=variation)).shape
    return Mel(heard, variation, (shape[0], shape[1]))


def _shape_in(file: Path) -> tuple[int, ...] | None:
    """The shape of the array in a cache file, of which only the head is read; None: it is damaged."""
    try:
        with zipfile.ZipFile(file) as kept, kept.open("x.npy") as member:
            np.lib.format.read_magic(member)
            shape, _, _ = np.lib.format.read_array_header_1_0(member)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return shape if len(shape) == 2 and shape[0] == FRONT_END.n_mels else None


def hear(path: Path, *, variation: Variation) -> HalfArray:
    """Log-mel of one file at LEVEL: (n_mels, frames) float16, dB. Raises AudioError."""
    # resampled to another rate than it is then taken for: that is what a tape machine does
    sr = CODEC_SR if variation.bitrate else round(FRONT_END.sr / variation.speed)
    with open_audio(path) as source:
        seconds = min(source.info.duration, variation.longest)
        plan = (
            ExcerptPlan(1, seconds) if seconds < source.info.duration else ExcerptPlan(0, max(1.0, min(seconds, 60.0)))
        )
        y = np.concatenate([excerpt.y for excerpt in source.excerpts(plan, sr=sr)])
    if variation.bitrate:
        y = through_codec(y, sr=sr, bitrate=variation.bitrate)
    if len(y) < _SHORTEST * FRONT_END.sr:
        raise TooShortError(path, f"{len(y) / FRONT_END.sr:.1f} s; what is learned from lasts {_SHORTEST:g} s or more")
    mel = log_mel(y, FRONT_END)
    level = level_of(mel)
    if level < _SILENT:
        raise SilentError(path, f"silent: a mean power of {level:.0f} dB, below {_SILENT:g}")
    return (mel + (LEVEL - level)).astype(np.float16)


def level_of(mel: FloatArray) -> float:
    """dB of the mean power over all bands and frames of a log-mel spectrogram (n_mels, frames) in dB."""
    return float(10 * np.log10(np.mean(10 ** (mel.astype(np.float64) / 10))))


def through_codec(y: FloatArray, *, sr: int, bitrate: int) -> FloatArray:
    """`y` (n,) at `sr` Hz after mp3 at `bitrate` bit/s: mono float32 at the front end's rate, in time with `y`."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=sr, layout="mono")
        stream.bit_rate = bitrate
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.clip(y, -1, 1), np.float32)[np.newaxis], format="fltp", layout="mono"
        )
        frame.sample_rate = sr
        fifo = av.AudioFifo()
        fifo.write(frame)
        for part in (*fifo.read_many(1152), fifo.read()):
            if part is not None:
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    buffer.seek(0)
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=FRONT_END.sr)
    with av.open(buffer, "r") as decoded:
        frames = itertools.chain(decoded.decode(audio=0), [None])
        parts = [part.to_ndarray()[0] for one in frames for part in resampler.resample(one)]
    return np.concatenate(parts).astype(np.float32)
