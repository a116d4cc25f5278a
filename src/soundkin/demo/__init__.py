"""Composes a demo library: about sixty short pieces in ten styles, as tagged audio files in mixed formats.

Someone without music at hand sees with it what the program does. Nothing is sampled or downloaded: `synth` makes
sounds, `instruments` and `harmony` make music of them, `styles` has one short function a style, and this module
names the pieces and writes the files.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import av.error
import numpy as np

from soundkin.demo.styles import STYLES
from soundkin.demo.synth import SR, FloatArray
from soundkin.errors import InputError, UnknownNameError

__all__ = ["STYLES", "compose"]


@dataclass(frozen=True, slots=True)
class Format:
    """How samples become a file: container and encoder as FFmpeg names them, Hz, bit/s (None: lossless), options."""

    suffix: str
    container: str
    encoder: str
    sr: int = SR
    bit_rate: int | None = None
    options: tuple[tuple[str, str], ...] = ()


# The options trade a little quality, inaudible in this music, for half of the encoding time.
FORMATS = {
    "mp3": Format(".mp3", "mp3", "libmp3lame", bit_rate=96_000, options=(("compression_level", "7"),)),
    "m4a": Format(".m4a", "ipod", "aac", bit_rate=96_000, options=(("aac_coder", "fast"),)),
    # Opus knows 48 kHz and even fractions of it only
    "opus": Format(".ogg", "ogg", "libopus", sr=48_000, bit_rate=72_000, options=(("compression_level", "0"),)),
    "flac": Format(".flac", "flac", "flac"),
    "wav": Format(".wav", "wav", "pcm_s16le"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The world a style comes from: genre tag, first and last year, its artists with the format of their files, and
    the words its titles are made of."""

    genre: str
    years: tuple[int, int]
    artists: tuple[tuple[str, str], ...]
    first: str
    second: str


SCENES = {
    "nocturne": Scene(
        "Piano",
        (1998, 2021),
        (("Ilse Maren", "flac"), ("Tomas Verhoeven", "m4a"), ("Aiko Lindqvist", "opus")),
        "Quiet Pale Late Winter Distant Unsent",
        "Window Letter Garden Staircase Snow Lamp",
    ),
    "drum-and-bass": Scene(
        "Drum and Bass",
        (1996, 2023),
        (("Subduct", "mp3"), ("Night Ferry", "opus"), ("Kelvin Ray", "m4a")),
        "Sodium Concrete Vector Pressure Phantom Lower",
        "Line Signal District Theory Runner Deck",
    ),
    "house": Scene(
        "House",
        (1991, 2024),
        (("Casa Lumen", "m4a"), ("DJ Parquet", "mp3"), ("The Late Tram", "opus")),
        "Velvet Sunday Mirror Rooftop Golden Terminal",
        "Groove Motion Feeling Nights Ceiling Avenue",
    ),
    "ambient": Scene(
        "Ambient",
        (1985, 2022),
        (("Farfield", "opus"), ("Slow Meridian", "flac"), ("Ninth Estuary", "m4a")),
        "Drifting Glacial Inner Weightless Tidal Salt",
        "Field Shoreline Orbit Mist Archive Horizon",
    ),
    "chiptune": Scene(
        "Chiptune",
        (2003, 2020),
        (("Bitwise Sister", "wav"), ("Cartridge Club", "mp3"), ("Pixel Otter", "opus")),
        "Turbo Hidden Crystal Rocket Final Secret",
        "Level Castle Warp Boss Quest Continue",
    ),
    "folk": Scene(
        "Folk",
        (1969, 2019),
        (("Wren & Alder", "m4a"), ("Joss Harrowgate", "opus"), ("Maeve Tolland", "opus")),
        "Miller's Green Hollow Barley Sparrow Northern",
        "Road River Daughter Hill Morning Crossing",
    ),
    "quartet": Scene(
        "Classical",
        (1979, 2018),
        (("Aldine Quartet", "opus"), ("Quartetto Bressan", "m4a"), ("Ostrava Strings", "opus")),
        "Adagio Elegy Andante Intermezzo Chorale Serenade",
        "Boreale Antica Sospesa Serena Lontana Perduta",
    ),
    "metal": Scene(
        "Metal",
        (1988, 2022),
        (("Iron Cairn", "mp3"), ("Vargtand", "m4a"), ("Gravemark", "opus")),
        "Black Hollow Burning Severed Ashen Wolf",
        "Throne Crown Oath Harvest Gate Winter",
    ),
    "dub": Scene(
        "Dub",
        (1975, 2016),
        (("King Tallow", "opus"), ("Echo Parish", "m4a"), ("Lionel Roots", "mp3")),
        "Rockers Harbour Kingston Zion Heavy Steppers",
        "Version Dub Chapter Station Rhythm Lion",
    ),
    "jazz": Scene(
        "Jazz",
        (1958, 2015),
        (("Miles Okoro Trio", "mp3"), ("The Corner Table", "m4a"), ("Hanna Bell Trio", "opus")),
        "Blue Crooked Midtown Second Sideways Uptown",
        "Walk Corner Stroll Helping Standard Taxi",
    ),
}
TRACKS_PER_ALBUM = 2
_SHORTEST, _LONGEST = 20.0, 22.0  # s, before the last bar is made whole
_COMMENT = "Composed by soundkin demo, seed {}"
_BAD_IN_NAMES = str.maketrans('<>:"/\\|?*', "_________")


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be: what it is called, and what its samples follow from (style, artist, number, seed)."""

    style: str
    artist: str
    album: str
    album_artist: str
    title: str
    track_number: int
    year: int
    format: Format
    key: tuple[int, int]
    """Which piece of its style it is, and the seed of the demo: a copy has the key of its original."""

    @property
    def path(self) -> Path:
        """Album artist/Album/NN Title.suffix, relative to the folder of the demo."""
        names = (self.album_artist, self.album, f"{self.track_number:02} {self.title}")
        folder, album, name = (part.translate(_BAD_IN_NAMES) for part in names)
        return Path(folder, album, name + self.format.suffix)

    @property
    def tags(self) -> dict[str, str]:
        """Metadata under FFmpeg's names."""
        return {
            "title": self.title,
            "artist": self.artist,
            "album": self.album,
            "album_artist": self.album_artist,
            "track": str(self.track_number),
            "genre": SCENES[self.style].genre,
            "date": str(self.year),
            "comment": _COMMENT.format(self.key[1]),
        }


def compose(
    folder: str | os.PathLike[str],
    *,
    seed: int = 7,
    styles: Sequence[str] | None = None,
    per_style: int = 6,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Compose the demo library into `folder` and return its files: 61 of 20 to 28 s with the defaults.

    The music follows from `seed` alone. `styles` (names in `STYLES`, None for all) and `per_style` make it smaller.
    `on_progress(done, total)` is called after each file. The first piece in a lossless format is there twice, the
    second time as MP3 in a "best of" by various artists, so that one sees duplicates being left out.

    Files appear whole or not at all. Those that an earlier call with the same seed wrote are left alone, those of
    another seed at the same place are replaced.

    Raises UnknownNameError for a style that does not exist, and InputError when the folder cannot be written, the
    disk is full, or a file that is not the demo's has the place of one that would be (before anything is written).
    """
    folder = Path(folder)
    pieces = plan(seed=seed, styles=styles, per_style=per_style)
    done = [_is_done(folder / piece.path, seed=seed) for piece in pieces]
    for count, (piece, is_done) in enumerate(zip(pieces, done, strict=True), start=1):
        if not is_done:
            _write(folder / piece.path, encode(render(piece), piece=piece))
        if on_progress is not None:
            on_progress(count, len(pieces))
    return [folder / piece.path for piece in pieces]


def plan(*, seed: int = 7, styles: Sequence[str] | None = None, per_style: int = 6) -> list[Piece]:
    """What `compose` will make, in its order; the arguments are those of `compose`."""
    if seed < 0 or per_style < 1:
        raise InputError(f"the seed is 0 or more and per_style at least 1, not {seed} and {per_style}")
    pieces = []
    for style in STYLES if styles is None else styles:
        if style not in STYLES:
            raise UnknownNameError("style", style, STYLES)
        scene, rng = SCENES[style], _generator(style, "names", seed)
        names = [f"{first} {second}" for first in scene.first.split() for second in scene.second.split()]
        titles = [names[i] for i in rng.permutation(len(names))]
        for i in range(per_style):
            album = i // TRACKS_PER_ALBUM
            artist, wanted = scene.artists[album % len(scene.artists)]
            # the albums are named from the end of the titles, the pieces from the front; in the end both start over
            pieces.append(
                Piece(
                    style=style,
                    artist=artist,
                    album=titles[-1 - album % len(titles)],
                    album_artist=artist,
                    title=titles[i % len(titles)],
                    track_number=1 + i % TRACKS_PER_ALBUM,
                    year=int(_generator(style, f"year {album}", seed).integers(scene.years[0], scene.years[1] + 1)),
                    format=_available(wanted),
                    key=(i, seed),
                )
            )
    original = next((piece for piece in pieces if piece.format.bit_rate is None), None)
    if original is not None:
        best_of = replace(original, album="Best of the Soundkin Demo", album_artist="Various Artists")
        pieces.append(replace(best_of, track_number=1, format=_available("mp3")))
    return pieces


def render(piece: Piece) -> FloatArray:
    """The samples of a piece: (2, n) float32 at `synth.SR` Hz, peaks below 0.89; the same ones at every call."""
    number, seed = piece.key
    rng = _generator(piece.style, f"piece {number}", seed)
    taste = _generator(piece.style, piece.artist, seed)
    return STYLES[piece.style](rng, taste, rng.uniform(_SHORTEST, _LONGEST))


def encode(y: FloatArray, *, piece: Piece) -> bytes:
    """The audio file of `y` (2, n) float32 at `synth.SR` Hz, in the format and with the tags of `piece`."""
    form, file = piece.format, io.BytesIO()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(y), format="fltp", layout="stereo")
    frame.sample_rate = SR
    with av.open(file, mode="w", format=form.container) as container:
        stream = container.add_stream(form.encoder, rate=form.sr, options=dict(form.options), layout="stereo")
        assert isinstance(stream, av.AudioStream)
        if form.bit_rate is not None:
            stream.bit_rate = form.bit_rate
        container.metadata.update(piece.tags)
        container.mux(stream.encode(frame))  # PyAV resamples to what the encoder takes
        container.mux(stream.encode(None))
    return file.getvalue()


def _generator(style: str, purpose: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(style.encode()), zlib.crc32(purpose.encode())])


def _available(name: str) -> Format:
    """The format of that name, or a lossless one when this FFmpeg was built without the encoder."""
    choice = (FORMATS[name], FORMATS["flac"], FORMATS["wav"])
    return next((form for form in choice if form.encoder in av.codecs_available), choice[-1])


def _is_done(path: Path, *, seed: int) -> bool:
    """Whether the demo of this seed has this file already. Raises InputError where it is somebody else's."""
    try:
        if not path.exists():
            return False
        with av.open(str(path), metadata_errors="replace") as container:
            tags = dict(container.metadata)
            if container.streams.audio:
                tags |= container.streams.audio[0].metadata  # an Ogg file keeps its tags there
        comments = [text for name, text in tags.items() if name.casefold() in ("comment", "description")]
    except av.error.FFmpegError:
        comments = []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if _COMMENT.format(seed) in comments:
        return True
    if any(text.startswith(_COMMENT.format("")) for text in comments):
        return False
    raise InputError(f"the demo overwrites only its own files, and {path} is not one; choose another folder")


def _write(path: Path, data: bytes) -> None:
    """Write under a temporary name, then replace: the file is whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write the demo to {path}: {error.strerror or error}") from error
