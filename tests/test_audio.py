"""Decoding: every format gives the same sound, excerpts come by seeking, tags and identity say what they should."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from mutagen import flac, id3, mp4

from sound import FORMATS, FloatArray, Format, music, sine
from soundkin import audio
from soundkin.audio import AudioSource, decode, open_audio, read_info, resample
from soundkin.errors import InputError
from soundkin.excerpts import ExcerptPlan
from soundkin.tags import Tags, read_tags

Encoded = Callable[[str], Path]

SECONDS = 12
IN_ONE_PIECE = ExcerptPlan(1, 600.0)


def align(y: FloatArray, reference: FloatArray, *, sr: int, within: float) -> tuple[float, float]:
    """Delay of `y` after `reference` in seconds, and the difference left then (RMS over RMS)."""
    most = round(within * sr)
    core = reference[most : len(reference) - most]
    correlation = scipy.signal.correlate(y[: len(core) + 2 * most], core, "valid")
    best = int(np.argmax(correlation))
    rest = y[best : best + len(core)] - core
    return (best - most) / sr, float(np.sqrt(np.mean(np.square(rest)) / np.mean(np.square(core))))


# --- sound ---


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_sound_that_was_written(name: str, encoded: Encoded) -> None:
    form = FORMATS[name]
    info, excerpts = decode(encoded(name), sr=form.sr, excerpts=IN_ONE_PIECE)
    (start, y) = (excerpts[0].start, excerpts[0].y)
    assert len(excerpts) == 1 and 0 <= start <= form.padding and y.dtype == np.float32 and y.ndim == 1
    delay, error = align(y, music(SECONDS, sr=form.sr), sr=form.sr, within=0.15)
    assert error <= form.error
    assert abs(delay + start) <= form.padding + form.clock
    assert info.duration == pytest.approx(SECONDS, abs=form.padding + form.clock + 1e-3)
    assert (info.sr, info.path, info.partial) == (form.sr, encoded(name), None)
    encoders = {"libmp3lame": "mp3", "libopus": "opus", "libopencore_amrnb": "amr_nb"}
    assert info.codec == encoders.get(form.codec, form.codec)
    assert info.channels == (2 if form.codec == "vorbis" else 1)
    size = encoded(name).stat().st_size
    assert info.bit_rate is not None and 0.7 * size < info.bit_rate * info.duration / 8 <= size + 1


@pytest.mark.parametrize("name", FORMATS)
def test_an_excerpt_is_the_same_slice_of_the_whole(name: str, encoded: Encoded) -> None:
    form = FORMATS[name]
    _, (whole,) = decode(encoded(name), sr=form.sr, excerpts=IN_ONE_PIECE)
    plan = ExcerptPlan(3, 3.0)
    info, excerpts = decode(encoded(name), sr=form.sr, excerpts=plan)
    assert [e.start for e in excerpts] == pytest.approx([s for s, _ in plan.windows(info.duration)], abs=0.1)
    for excerpt in excerpts:
        assert len(excerpt.y) == pytest.approx(3.0 * form.sr, abs=0.1 * form.sr)
        begin = round((excerpt.start - whole.start) * form.sr)
        part = whole.y[begin : begin + len(excerpt.y)]
        delay, error = align(part, excerpt.y, sr=form.sr, within=form.clock + 0.01)
        exact = form.codec in ("flac", "alac", "wavpack", "tta") or form.codec.startswith("pcm")
        assert error < (1e-6 if exact else 0.05 if name == "amr" else 0.002), "other than the slice"
        assert abs(delay) <= form.clock + 1.01 / form.sr


@pytest.mark.parametrize("sr", [8000, 11025, 32000, 44100, 48000, 88200, 96000, 192000])
def test_every_sample_rate_arrives_at_the_one_asked_for(sr: int, tmp_path: Path) -> None:
    path = Format(".wav", "pcm_f32le", sr=sr).write(tmp_path / "a.wav", sine(3, sr=sr))
    info, (excerpt,) = decode(path, sr=22050, excerpts=IN_ONE_PIECE)
    assert (info.sr, info.duration) == (sr, 3.0)
    assert len(excerpt.y) == pytest.approx(3 * 22050, abs=2)
    middle = slice(1000, 60000)  # the ends ring
    np.testing.assert_allclose(excerpt.y[middle], sine(3)[middle], atol=2e-3)


def test_resampling_keeps_the_time_and_lets_nothing_fold_down() -> None:
    click = np.zeros(44100, np.float32)
    click[22050] = 1.0
    assert int(np.argmax(resample(click, source_sr=44100, sr=16000))) == 8000
    assert resample(click, source_sr=44100, sr=44100) is click
    too_high = resample(sine(1, sr=44100, hz=15000.0), source_sr=44100, sr=22050)
    assert np.abs(too_high[500:-500]).max() < 0.5 * 10 ** (-50 / 20)


# PCM in mov and caf is where FFmpeg has orders of channels without a name; the rest have one plane a channel.
MANY = {
    "flac-2": (Format(".flac", "flac", samples="s32"), 2),
    "flac-6": (Format(".flac", "flac", samples="s32"), 6),
    "wav-6": (Format(".wav", "pcm_s24le"), 6),
    "wav-8": (Format(".wav", "pcm_f32le"), 8),
    "aac-8": (Format(".m4a", "aac", container="ipod", bit_rate=800_000), 8),
    "opus-8": (Format(".opus", "libopus", sr=48000, bit_rate=800_000, options={"mapping_family": "1"}), 8),
    "wavpack-8": (Format(".wv", "wavpack", samples="fltp"), 8),
    "mov-8": (Format(".mov", "pcm_s24le"), 8),
    "caf-8": (Format(".caf", "pcm_s24be"), 8),
    "aiff-8": (Format(".aiff", "pcm_s24be"), 8),
}


@pytest.mark.parametrize("name", MANY)
def test_mono_is_the_mean_of_all_channels(name: str, tmp_path: Path) -> None:
    form, count = MANY[name]
    voices = np.stack([sine(3, sr=form.sr, hz=200.0 + 70 * k, level=0.4) for k in range(count)])
    path = form.write(tmp_path / f"many{form.suffix}", voices)
    info, (excerpt,) = decode(path, sr=form.sr, excerpts=IN_ONE_PIECE)
    assert info.channels == count
    y, expected = excerpt.y[4000:50000], voices.mean(axis=0)[4000:50000]
    if form.bit_rate is None:
        np.testing.assert_allclose(y, expected, atol=1e-5)
    else:  # low-frequency effects lose their highs; the sum of the others stays
        assert np.corrcoef(y, expected)[0, 1] > 0.9
        assert np.std(y) == pytest.approx(np.std(expected), rel=0.2)


def caf_with_labels(labels: list[int], voices: FloatArray, *, sr: int) -> bytes:
    """A Core Audio file whose channels are in the order that `labels` name, which no list of layouts has."""
    count = len(labels)
    data = np.round(voices.T * 32767).astype(">i2").tobytes()
    about = struct.pack(">d4sIIIII", sr, b"lpcm", 0, 2 * count, 1, count, 16)
    order = struct.pack(">III", 0, 0, count) + b"".join(struct.pack(">II12x", label, 0) for label in labels)
    chunks = [(b"desc", about), (b"chan", order), (b"data", bytes(4) + data)]
    return b"caff\0\1\0\0" + b"".join(name + struct.pack(">q", len(body)) + body for name, body in chunks)


@pytest.mark.parametrize("labels", [[2, 1], [3, 1, 2], [1, 1]])
def test_an_order_of_channels_without_a_name_does_no_harm(labels: list[int], tmp_path: Path) -> None:
    voices = np.stack([sine(12, sr=8000, hz=300.0 + 50 * k) for k in range(len(labels))])
    path = tmp_path / "labels.caf"
    path.write_bytes(caf_with_labels(labels, voices, sr=8000))
    for _ in range(3):  # freed memory would show when it is used again
        info, (excerpt,) = decode(path, sr=8000, excerpts=IN_ONE_PIECE)
        assert info.channels == len(labels)
        np.testing.assert_allclose(excerpt.y, voices.mean(axis=0), atol=1e-4)


def test_a_stream_that_changes_its_channels_is_heard_until_there(tmp_path: Path) -> None:
    form = FORMATS["ac3"]
    six = form.write(tmp_path / "six.ac3", np.stack([music(12, sr=44100)] * 6)).read_bytes()
    one = form.write(tmp_path / "one.ac3", music(12, sr=44100)).read_bytes()
    path = tmp_path / "joined.ac3"
    path.write_bytes(six + one)
    info, (excerpt,) = decode(path, sr=44100, excerpts=IN_ONE_PIECE)
    assert len(excerpt.y) / 44100 == pytest.approx(12, abs=0.1)
    assert info.partial is not None and "could not be decoded" in info.partial


# --- seeking ---


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collects the seconds of every frame that is decoded."""
    seconds: list[float] = []
    frames = AudioSource._decoded_frames

    def counting(self: AudioSource) -> Any:
        for frame in frames(self):
            seconds.append(frame.samples / frame.sample_rate)
            yield frame

    monkeypatch.setattr(AudioSource, "_decoded_frames", counting)
    return seconds


@pytest.mark.parametrize("name", ["flac", "mp3", "mp3-plain", "vorbis", "aac", "wav-16"])
def test_excerpts_decode_nothing_but_themselves(name: str, decoded: list[float], tmp_path: Path) -> None:
    form = FORMATS[name]
    path = form.write(tmp_path / f"long{form.suffix}", np.tile(music(20), 6))
    decode(path, sr=22050, excerpts=ExcerptPlan(1, 2.0))  # from 59 s on
    assert 2.0 <= sum(decoded) < 3.5
    decoded.clear()
    decode(path, sr=22050, excerpts=ExcerptPlan(4, 5.0))
    assert 20.0 <= sum(decoded) < 24.0


def test_reading_info_decodes_nothing(encoded: Encoded, decoded: list[float]) -> None:
    info = read_info(encoded("flac"))
    assert not decoded
    assert info == decode(encoded("flac"), sr=22050, excerpts=ExcerptPlan(2, 2.0))[0]


def test_a_source_can_be_heard_twice(encoded: Encoded) -> None:
    with open_audio(encoded("mp3")) as source:
        first, again = (list(source.excerpts(ExcerptPlan(2, 2.0), sr=16000)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.y, other.y)


# --- plans ---


@pytest.mark.parametrize(
    ("text", "plan"),
    [("8x10", ExcerptPlan(8, 10.0)), (" 3 x 2.5 ", ExcerptPlan(3, 2.5)), ("12×5", ExcerptPlan(12, 5.0))],
)
def test_plans_are_read(text: str, plan: ExcerptPlan) -> None:
    assert ExcerptPlan.parse(text) == plan
    assert ExcerptPlan.parse(str(plan)) == plan


def test_the_whole_track_is_a_plan() -> None:
    assert ExcerptPlan.parse("Whole").count == 0
    assert str(ExcerptPlan.parse("whole")) == "whole"


@pytest.mark.parametrize(
    "text", ["", "8", "8x", "x10", "0x10", "8x0", "8x0.5", "8x601", "-1x10", "8x10x2", "8xinf", "all"]
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InputError, match="excerpt"):
        ExcerptPlan.parse(text)


@given(
    count=st.integers(0, 50),
    seconds=st.floats(1, 600, allow_nan=False),
    duration=st.floats(2, 40_000, allow_nan=False),
)
def test_windows_lie_in_the_track_in_order_and_apart(count: int, seconds: float, duration: float) -> None:
    windows = ExcerptPlan(count, seconds).windows(duration)
    assert windows[0][0] >= 0
    ends = [start + length for start, length in windows]
    assert ends[-1] <= duration * (1 + 1e-9)
    assert all(end <= start * (1 + 1e-9) for end, (start, _) in zip(ends, windows[1:], strict=False))
    assert all(0 < length <= seconds * (1 + 1e-5) for _, length in windows)
    heard = sum(length for _, length in windows)
    assert heard == pytest.approx(duration if count == 0 else min(duration, count * seconds))


@given(count=st.integers(1, 20), duration=st.floats(200, 4000))
def test_windows_are_spread_evenly(count: int, duration: float) -> None:
    windows = ExcerptPlan(count, 10.0).windows(duration)
    assert len(windows) == count
    starts = [start for start, _ in windows]
    np.testing.assert_allclose(np.diff(starts), duration / count)
    assert starts[0] + starts[-1] + 10.0 == pytest.approx(duration)  # as far from the end as from the beginning


# --- tags ---

ID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
    b"\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
PLAIN = {
    "title": "Tïtle — 曲",
    "artist": "The Artist",
    "album": "Álbum",
    "albumartist": "Various",
    "tracknumber": "3/12",
    "discnumber": "2/2",
    "genre": "Jazz",
    "date": "1999-04-01",
    "musicbrainz_trackid": ID,
    "musicbrainz_albumid": ID[::-1],
    "musicbrainz_artistid": ID.upper(),
}
ALL = Tags(
    title="Tïtle — 曲",
    artist="The Artist",
    album="Álbum",
    album_artist="Various",
    track_number=3,
    disc_number=2,
    genre="Jazz",
    year=1999,
    mb_recording_id=ID,
    mb_album_id=ID[::-1],
    mb_artist_id=ID.upper(),
)
APE_NAMES = {"albumartist": "Album Artist", "tracknumber": "Track", "discnumber": "Disc", "date": "Year"}
ASF_NAMES = {
    "title": "Title",
    "artist": "Author",
    "album": "WM/AlbumTitle",
    "albumartist": "WM/AlbumArtist",
    "tracknumber": "WM/TrackNumber",
    "discnumber": "WM/PartOfSet",
    "genre": "WM/Genre",
    "date": "WM/Year",
    "musicbrainz_trackid": "MusicBrainz/Track Id",
    "musicbrainz_albumid": "MusicBrainz/Album Id",
    "musicbrainz_artistid": "MusicBrainz/Artist Id",
}
FREE = "----:com.apple.iTunes:MusicBrainz "


def tag(path: Path, *, encoding: int = 3) -> None:
    """Write PLAIN and a cover with mutagen, the way Picard names things in each format."""
    file: Any = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, id3.ID3):
        names = "TIT2 TPE1 TALB TPE2 TRCK TPOS TCON TDRC".split()
        for name, text in zip(names, PLAIN.values(), strict=False):
            file.tags.add(getattr(id3, name)(encoding=encoding, text=text))
        file.tags.add(id3.UFID(owner="http://musicbrainz.org", data=ID.encode()))
        for name in ("albumid", "artistid"):
            text = PLAIN[f"musicbrainz_{name}"]
            description = f"MusicBrainz {name.removesuffix('id').title()} Id"
            file.tags.add(id3.TXXX(encoding=encoding, desc=description, text=text))
        file.tags.add(id3.APIC(mime="image/png", type=3, data=PNG + bytes(50_000)))
    elif isinstance(file, mp4.MP4):
        atoms = ["\xa9nam", "\xa9ART", "\xa9alb", "aART"]
        file.update(zip(atoms, PLAIN.values(), strict=False))
        file.update({"trkn": [(3, 12)], "disk": [(2, 2)], "\xa9gen": "Jazz", "\xa9day": "1999-04-01"})
        for name in ("trackid", "albumid", "artistid"):
            file[f"{FREE}{name.removesuffix('id').title()} Id"] = [PLAIN[f"musicbrainz_{name}"].encode()]
        file["covr"] = [mp4.MP4Cover(PNG + bytes(50_000), mp4.MP4Cover.FORMAT_PNG)]
    else:
        names_of = {"ASF": ASF_NAMES, "WavPack": APE_NAMES}.get(type(file).__name__, {})
        for name, text in PLAIN.items():
            file[names_of.get(name, name)] = text
        if isinstance(file, flac.FLAC):
            picture = flac.Picture()
            picture.data, picture.mime, picture.type = PNG + bytes(50_000), "image/png", 3
            file.add_picture(picture)
    file.save()


TAGGED = ["mp3", "mp3-plain", "flac", "flac-ogg", "vorbis", "opus", "aac", "alac", "wma", "wavpack", "aiff", "wav-16"]


@pytest.fixture
def copy(encoded: Encoded, tmp_path: Path) -> Encoded:
    """A function: name of a format -> a file of its own that may be changed."""
    return lambda name: Path(shutil.copy(encoded(name), tmp_path))


@pytest.mark.parametrize("name", TAGGED)
def test_tags_are_read_and_no_part_of_the_identity(name: str, copy: Encoded, encoded: Encoded) -> None:
    before = read_info(encoded(name))
    path = copy(name)
    tag(path)
    after, excerpts = decode(path, sr=22050, excerpts=ExcerptPlan(2, 2.0))
    expected = ALL
    if name in ("aiff", "wav-16"):  # their ID3 tag lies at the end, where only FFmpeg looks
        expected = Tags(**{**{f: getattr(ALL, f) for f in Tags.__slots__}, "mb_recording_id": None})
    assert after.tags == expected
    assert after.content_id == before.content_id and after.duration == before.duration
    assert (after.codec, after.channels) == (before.codec, before.channels)  # the cover is not the stream
    _, originals = decode(encoded(name), sr=22050, excerpts=ExcerptPlan(2, 2.0))
    for excerpt, original in zip(excerpts, originals, strict=True):
        np.testing.assert_array_equal(excerpt.y, original.y)


@pytest.mark.parametrize("name", ["mp3", "mp3-plain", "flac", "wavpack", "tta"])
def test_a_tag_after_the_end_changes_neither_identity_nor_length(name: str, copy: Encoded, encoded: Encoded) -> None:
    before = read_info(encoded(name))
    path = copy(name)
    end = b"TAG" + b"Old title".ljust(30, b"\0") + b"Old artist".ljust(30, b"\0") + bytes(65)
    path.write_bytes(path.read_bytes() + end)
    after = read_info(path)
    assert (after.content_id, after.duration) == (before.content_id, before.duration)


def test_identity_is_that_of_the_sound(copy: Encoded, encoded: Encoded, tmp_path: Path) -> None:
    first = read_info(encoded("flac")).content_id
    assert len(first) == 32 and int(first, 16) >= 0
    assert read_info(copy("flac").rename(tmp_path / "other name.FLAC")).content_id == first
    others = [music(SECONDS, seed=1), music(SECONDS) * 0.5, music(SECONDS)[1:]]
    ids = {first} | {
        read_info(FORMATS["flac"].write(tmp_path / f"{i}.flac", y)).content_id for i, y in enumerate(others)
    }
    assert len(ids) == 4


def test_equal_bytes_at_another_rate_are_another_sound(tmp_path: Path) -> None:
    y = music(4, sr=22050)
    ids = {
        read_info(Format(".wav", "pcm_s16le", sr=sr).write(tmp_path / f"{sr}.wav", y)).content_id
        for sr in (22050, 24000)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("encoding", [1, 2, 3], ids=["utf-16", "utf-16be", "utf-8"])
def test_id3_encodings(encoding: int, copy: Encoded) -> None:
    path = copy("mp3")
    tag(path, encoding=encoding)
    assert read_info(path).tags.title == ALL.title


def test_id3_version_1_alone_is_read(copy: Encoded) -> None:
    path = copy("mp3-plain")
    end = b"TAG" + "Déjà".encode("latin-1").ljust(30, b"\0") + b"Someone".ljust(30, b"\0") + b"LP".ljust(30, b"\0")
    path.write_bytes(path.read_bytes() + end + b"1987" + bytes(28) + b"\0\x07" + b"\x08")
    tags = read_info(path).tags
    assert (tags.title, tags.artist, tags.album) == ("Déjà", "Someone", "LP")
    assert (tags.year, tags.track_number, tags.genre) == (1987, 7, "Jazz")


def test_bytes_in_no_stated_encoding_do_no_harm(copy: Encoded) -> None:
    path = copy("mp3-plain")
    file = mutagen.File(path)
    file.add_tags()
    file.tags.add(id3.TIT2(encoding=0, text="Песня".encode("cp1251").decode("latin-1")))  # what old taggers wrote
    file.save(v2_version=3)
    assert read_info(path).tags.title == "Песня".encode("cp1251").decode("latin-1")
    western = copy("flac")  # whose tags should be UTF-8, but a byte is just a byte
    western.write_bytes(western.read_bytes().replace(b"encoder=", b"TITLE=\xc9\xe9", 1))
    title = read_info(western).tags.title
    assert title is not None and title.startswith("Éé")


def test_tags_of_any_length_and_kind_are_one_short_line(copy: Encoded) -> None:
    path = copy("flac")
    file = flac.FLAC(path)
    file["title"] = "long " * 200_000
    file["artist"] = " a\tb\nc\x1b[31m\u202ed\ufeff "
    file["album"] = "\x01\x02 \n "
    file.save()
    tags = read_info(path).tags
    assert tags.title is not None and 900 <= len(tags.title) <= 1000 and tags.title.startswith("long long")
    assert tags.artist == "a b c[31md"
    assert tags.album is None


@given(st.dictionaries(st.sampled_from(["title", "TITLE", "date", "track", "disc"]), st.text(max_size=200)))
def test_tags_can_always_be_stored_and_printed(metadata: dict[str, str]) -> None:
    tags = read_tags(metadata)
    assert tags.title is None or (tags.title.isprintable() or not tags.title.isascii())
    for text in (tags.title, tags.artist):
        assert text is None or (text and text == text.strip() and "\n" not in text and text.encode())
    for number in (tags.year, tags.track_number, tags.disc_number):
        assert number is None or 0 <= number < 1_000_000


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"track": "3/12"}, Tags(track_number=3)),
        ({"TRACKNUMBER": "03"}, Tags(track_number=3)),
        ({"track": "A1"}, Tags()),
        ({"disc": "1 of 2"}, Tags(disc_number=1)),
        ({"date": "1999"}, Tags(year=1999)),
        ({"date": "1999-04-01T00:00:00"}, Tags(year=1999)),
        ({"date": "19990401"}, Tags(year=1999)),
        ({"date": "01.04.1999"}, Tags(year=1999)),
        ({"date": "99"}, Tags()),
        ({"date": "0000"}, Tags()),
        ({"date": "123456"}, Tags()),
        ({"date": "2011", "TDOR": "1971-05"}, Tags(year=1971)),
        ({"date": "2011", "originaldate": "0000-00-00"}, Tags(year=2011)),
        ({"album_artist": "A", "artist": "B", "Artists": "C"}, Tags(album_artist="A", artist="B")),
        ({"title": "   ", "artist": ""}, Tags()),
    ],
)
def test_how_tags_are_understood(metadata: dict[str, str], expected: Tags) -> None:
    assert read_tags(metadata) == expected


def test_the_suffixes_are_in_lower_case_with_a_dot() -> None:
    assert all(s == s.lower() and s.startswith(".") for s in audio.SUFFIXES)
    assert {FORMATS[name].suffix for name in FORMATS} <= audio.SUFFIXES
