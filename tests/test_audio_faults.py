"""Bad input: every file gives either a result or an AudioError that says what is wrong, and nothing else."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from sound import FORMATS, music, noise, sine
from soundkin import audio
from soundkin.analysis import analyse
from soundkin.audio import decode, read_info
from soundkin.errors import (
    AudioError,
    DamagedError,
    EmptyFileError,
    NoAudioStreamError,
    NonFiniteError,
    NotAudioError,
    SilentError,
    TooShortError,
    UnreadableError,
    VanishedError,
)
from soundkin.excerpts import ExcerptPlan
from soundkin.model import TimbreModel

Encoded = Callable[[str], Path]

PLAN = ExcerptPlan(3, 2.0)
WAV_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")


def refused(path: Path, *, match: str | None = None) -> type[AudioError]:
    """The class of the error that `path` gives; it must carry path and reason, and survive the pipe of a worker."""
    with pytest.raises(AudioError, match=match) as caught:
        decode(path, sr=22050, excerpts=PLAN)
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - what multiprocessing does
    assert type(copy) is type(error) and (copy.path, copy.reason) == (error.path, error.reason)
    assert error.path == path and len(error.reason) > 10 and str(path) not in error.reason
    assert str(error) == f"{path}: {error.reason}" and error.kind
    return type(error)


def put(folder: Path, content: bytes, name: str = "song.mp3") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def wav(data: bytes, *, sr: int = 8000, channels: int = 1, bits: int = 16, kind: int = 1, size: int = -1) -> bytes:
    """A WAV file whose header says anything; kind 1 is integers, 3 floats."""
    size = len(data) if size < 0 else size
    frame = channels * bits // 8
    rate = min(sr * frame, 2**32 - 1)
    head = (b"fmt ", 16, kind, channels % 65536, sr, rate, frame % 65536, bits, b"data", size)
    return WAV_HEAD.pack(b"RIFF", min(size + 36, 2**32 - 1), b"WAVE", *head) + data


# --- not audio ---


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.txt", "text " * 1000)
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\0IEND\xaeB`\x82"
SUBTITLES = b"1\n00:00:01,000 --> 00:00:20,000\nHello\n\n2\n00:00:21,000 --> 00:00:40,000\nWorld\n"
NOT_AUDIO = {
    "text": b"These are the lyrics of a song.\n" * 200,
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "subtitles": SUBTITLES,
    "picture": PNG,
    "archive": zipped(),
    "program": b"MZ" + bytes(4000),
    "zeros": bytes(50_000),
    "one byte": b"x",
    "almost RIFF": b"RIFF\0\0\0\0WAVE",
    "ID3 and nothing": b"ID3\4\0\0\0\0\0\0",
}


@pytest.mark.parametrize("name", NOT_AUDIO)
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".m4a", ".wav", ".ac3"])
def test_what_is_not_audio_is_refused_whatever_its_name_says(name: str, suffix: str, tmp_path: Path) -> None:
    assert refused(put(tmp_path, NOT_AUDIO[name], f"song{suffix}")) in (NotAudioError, DamagedError, NoAudioStreamError)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_no_song(seed: int, tmp_path: Path) -> None:
    content = np.random.default_rng(seed).integers(0, 256, 30_000, np.uint8).tobytes()
    refused(put(tmp_path, content, "song" + [".mp3", ".aac", ".ac3", ".dts"][seed % 4]))


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\n{path}\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n#EXTINF:12,A song\n{path}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{path}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{path}</BaseURL></MPD>',
    "image list": "{path}",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp3", ".m3u8", ".ffconcat"])
def test_a_playlist_never_opens_the_file_it_names(name: str, suffix: str, encoded: Encoded, tmp_path: Path) -> None:
    song = shutil.copy(encoded("mp3"), tmp_path / "other.mp3")
    path = put(tmp_path, PLAYLISTS[name].format(path=song).encode(), f"list{suffix}")
    assert refused(path) is NotAudioError


def test_a_film_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for _ in range(25):
            out.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(stream.encode(None))
    assert refused(path) is NoAudioStreamError


def test_empty(tmp_path: Path) -> None:
    assert refused(put(tmp_path, b""), match="0 bytes") is EmptyFileError


# --- the file system ---


def test_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.mp3") is VanishedError


def test_a_folder_with_the_name_of_a_song(tmp_path: Path) -> None:
    (tmp_path / "album.mp3").mkdir()
    assert refused(tmp_path / "album.mp3") is UnreadableError


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    assert refused(tmp_path / "pipe.mp3", match="not a file") is UnreadableError


def test_no_permission(encoded: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    path = encoded("flac")
    monkeypatch.setattr(Path, "open", locked)
    assert refused(path, match="Permission denied") is UnreadableError


def test_a_disk_that_fails_while_it_is_read(encoded: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(audio._Reader):
        def __init__(self, file: io.BufferedReader) -> None:
            super().__init__(file)
            self.read = self._fail_after

        def _fail_after(self, size: int) -> bytes:
            if self.tell() > 60_000:
                raise OSError(5, "Input/output error")
            return self.file.read(size)

    path = encoded("flac")
    monkeypatch.setattr(audio, "_Reader", Failing)
    assert refused(path, match="Input/output error") is UnreadableError


@pytest.mark.skipif(sys.platform != "linux", reason="only there are names any bytes")
def test_a_name_that_is_not_utf_8(encoded: Encoded, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff.flac"))
    shutil.copy(encoded("flac"), path)
    assert read_info(path).path == path
    broken = path.with_suffix(".mp3")
    broken.write_bytes(b"text")
    with pytest.raises(NotAudioError) as caught:
        read_info(broken)
    assert pickle.loads(pickle.dumps(caught.value)).path == broken  # noqa: S301


# --- what is no sound ---


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("digital zero", np.zeros(22050 * 15)),
        ("dither", noise(15, level=1 / 32768)),
        ("constant", np.zeros(22050 * 15) + 1e-4),
    ],
)
def test_silence(name: str, y: np.ndarray, tmp_path: Path) -> None:
    path = FORMATS["wav-16"].write(tmp_path / "silence.wav", y.astype(np.float32))
    with pytest.raises(SilentError, match=r"silent.*-70 dB"):
        analyse(path, model=TimbreModel())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -2e3])
@pytest.mark.parametrize("name", ["wav-float", "wav-double"])
def test_samples_that_are_no_numbers_or_absurd(value: float, name: str, tmp_path: Path) -> None:
    y = music(14)
    y[22050 * 7] = value
    path = FORMATS[name].write(tmp_path / "song.wav", y)
    assert refused(path, match="not finite|full scale is 1") is NonFiniteError


def test_a_double_beyond_every_float(tmp_path: Path) -> None:
    y = 0.1 * np.sin(np.arange(8000 * 14) / 10)
    y[8000 * 7] = 1e300
    assert refused(put(tmp_path, wav(y.tobytes(), bits=64, kind=3), "a.wav")) is NonFiniteError


def test_loud_is_not_absurd(tmp_path: Path) -> None:
    path = FORMATS["wav-float"].write(tmp_path / "song.wav", 40 * sine(5))
    assert np.abs(decode(path, sr=22050, excerpts=PLAN)[1][0].y).max() == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("name", FORMATS)
def test_too_short(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    path = form.write(tmp_path / f"short{form.suffix}", music(1.5, sr=form.sr))
    assert refused(path, match="shortest track is 2 s") is TooShortError


@pytest.mark.parametrize("name", FORMATS)
def test_just_long_enough(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    path = form.write(tmp_path / f"short{form.suffix}", music(2.2, sr=form.sr))
    info, excerpts = decode(path, sr=22050, excerpts=ExcerptPlan(12, 5.0))
    assert info.partial is None and sum(len(e.y) for e in excerpts) > 2 * 22050


# --- cut off and damaged ---

CUT = ["mp3", "flac", "vorbis", "opus", "wav-16", "wav-float", "aiff", "au", "wavpack", "tta", "mka"]


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """A function: name of a format -> the bytes of a file of 30 s."""
    folder, made = tmp_path_factory.mktemp("thirty"), dict[str, bytes]()

    def content(name: str) -> bytes:
        if name not in made:
            form = FORMATS[name]
            made[name] = form.write(folder / f"{name}{form.suffix}", music(30, sr=form.sr)).read_bytes()
        return made[name]

    return content


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_a_cut_file_is_used_and_says_so(
    name: str, share: float, thirty: Callable[[str], bytes], tmp_path: Path
) -> None:
    content = thirty(name)
    path = put(tmp_path, content[: int(share * len(content))], f"cut{FORMATS[name].suffix}")
    info, excerpts = decode(path, sr=22050, excerpts=PLAN)
    assert info.duration == pytest.approx(30 * share, abs=2)
    assert info.partial is not None and "ends at 0:" in info.partial
    assert sum(len(e.y) for e in excerpts) == pytest.approx(6 * 22050, rel=0.02)


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.2])
def test_too_little_is_left(name: str, share: float, thirty: Callable[[str], bytes], tmp_path: Path) -> None:
    content = thirty(name)
    path = put(tmp_path, content[: 20 + int(share * len(content))], f"cut{FORMATS[name].suffix}")
    kind = refused(path)
    assert kind is DamagedError if share == 0.2 else kind in (DamagedError, NotAudioError, NoAudioStreamError)


def test_mp4_whose_index_was_cut_off(thirty: Callable[[str], bytes], tmp_path: Path) -> None:
    content = thirty("aac")
    assert refused(put(tmp_path, content[: len(content) // 2], "cut.m4a")) in (DamagedError, NotAudioError)


def test_an_mp3_without_a_length_is_whole_wherever_it_ends(thirty: Callable[[str], bytes], tmp_path: Path) -> None:
    content = thirty("mp3-plain")
    assert read_info(put(tmp_path, content[: len(content) // 2])).partial is None


@pytest.mark.parametrize("name", ["mp3", "flac", "vorbis", "opus", "aac", "wavpack-16", "wma", "mka"])
@pytest.mark.parametrize("fill", ["zeros", "noise", "missing"])
def test_damage_in_the_middle_costs_only_the_middle(
    name: str, fill: str, thirty: Callable[[str], bytes], tmp_path: Path
) -> None:
    content, size = thirty(name), len(thirty(name)) // 10
    middle = {
        "zeros": bytes(size),
        "noise": np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes(),
        "missing": b"",
    }[fill]
    begin = len(content) // 2
    path = put(tmp_path, content[:begin] + middle + content[begin + size :], f"hurt{FORMATS[name].suffix}")
    try:
        info, excerpts = decode(path, sr=22050, excerpts=ExcerptPlan(0, 5.0))
    except NotAudioError:
        assert (name, fill) == ("aac", "missing")  # its index, at the end, is no longer where the beginning says
    else:
        assert sum(len(e.y) for e in excerpts) > 10 * 22050
        assert all(np.isfinite(e.y).all() for e in excerpts)
        assert info.duration > 10


def test_recordings_joined_in_one_ogg_file(tmp_path: Path) -> None:
    form = FORMATS["opus"]
    parts = [
        form.write(tmp_path / f"{i}.opus", music(s, sr=48000, seed=i)).read_bytes() for i, s in enumerate((14, 12))
    ]
    info = read_info(put(tmp_path, b"".join(parts), "joined.opus"))
    assert info.partial is not None and "start again at 0:1" in info.partial
    assert info.duration == pytest.approx(12, abs=0.1)


# --- headers that lie ---


@pytest.mark.parametrize(
    ("sr", "channels"),
    [(0, 1), (1, 1), (100, 2), (2_000_000_000, 1), (4_294_967_295, 1), (8000, 0), (8000, 1000), (8000, 65535)],
)
def test_absurd_rates_and_channels(sr: int, channels: int, tmp_path: Path) -> None:
    refused(put(tmp_path, wav(noise(20, sr=8000).tobytes(), sr=sr, channels=channels), "a.wav"))


def test_255_channels(tmp_path: Path) -> None:
    samples = np.repeat(sine(4, sr=8000)[:, None], 255, axis=1)
    path = put(tmp_path, wav((samples * 32767).astype("<i2").tobytes(), channels=255), "a.wav")
    info, (excerpt, *_) = decode(path, sr=8000, excerpts=PLAN)
    assert info.channels == 255
    np.testing.assert_allclose(excerpt.y, sine(4, sr=8000)[: len(excerpt.y)], atol=1e-3)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF], ids=["zero", "no end"])
def test_a_wav_that_was_written_to_a_pipe_is_whole(size: int, tmp_path: Path) -> None:
    samples = (music(12, sr=8000) * 32767).astype("<i2").tobytes()
    info = read_info(put(tmp_path, wav(samples, size=size), "stream.wav"))
    assert info.duration == pytest.approx(12, abs=0.1) and info.partial is None


def lies(encoded: Encoded) -> dict[str, bytes]:
    """Small files whose sizes promise gigabytes."""
    huge = b"\x7f\xff\xff\xf0"
    m4a, flac_, mp3, aiff = (bytearray(encoded(name).read_bytes()) for name in ("aac", "flac", "mp3-plain", "aiff"))
    found = {"wav.wav": wav(bytes(40_000), size=0x7FFFFFF0)}
    for atom in (b"stsz", b"stco", b"stsc", b"stts", b"moov", b"trak", b"ilst", b"mdat"):
        at = m4a.find(atom)
        if at > 0:
            found[f"size of {atom.decode()}.m4a"] = bytes(m4a[: at - 4] + huge + m4a[at:])
            found[f"count in {atom.decode()}.m4a"] = bytes(m4a[: at + 8] + huge * 2 + m4a[at + 16 :])
    found["block.flac"] = bytes(flac_[:42] + b"\x04\xff\xff\xff" + flac_[46:])
    found["picture.flac"] = bytes(flac_[:42] + b"\x86\xff\xff\xff\0\0\0\3" + huge * 8 + flac_[80:])
    found["tag.mp3"] = b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(mp3)
    found["frame.mp3"] = b"ID3\4\0\0\0\0\x20\0APIC\x7f\x7f\x7f\x7f\0\0" + bytes(4096) + bytes(mp3)
    found["form.aiff"] = bytes(aiff.replace(b"SSND", b"SSND" + huge, 1))
    found["common.aiff"] = bytes(aiff[:4] + huge + aiff[8:22] + huge + aiff[26:])
    return found


LIMITED = """
import resource, sys
from pathlib import Path
from soundkin.audio import decode
from soundkin.excerpts import ExcerptPlan
from soundkin.errors import AudioError
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**31, size + 2**31))
for path in sys.argv[1:]:
    try:
        decode(path, sr=22050, excerpts=ExcerptPlan(3, 2.0))
    except AudioError as error:
        print(error)
    print("survived", path)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process the way of Linux")
def test_lying_sizes_take_no_memory(encoded: Encoded, tmp_path: Path) -> None:
    files = [put(tmp_path, content, name) for name, content in lies(encoded).items()]
    assert len(files) > 15
    ran = subprocess.run([sys.executable, "-c", LIMITED, *files], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("survived") == len(files)
    assert int(ran.stdout.split()[-1]) < 250  # MB


# --- mutations ---

FUZZED = [name for name in FORMATS if name not in ("wav-u8", "wav-32", "aifc", "wav-alaw", "wavpack", "flac-24")]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, remove or insert at one to four places, half of them in the header."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, min(len(data), 700 if rng.random() < 0.5 else len(data)) or 1))
        length = int(rng.integers(1, 2000))
        junk = rng.integers(0, 256, length, np.uint8).tobytes()
        match int(rng.integers(0, 8)):
            case 0:
                data[at : at + 1] = bytes([(data[at] if at < len(data) else 0) ^ (1 << int(rng.integers(0, 8)))])
            case 1:
                data[at : at + 4] = b"\xff\xff\xff\xff"
            case 2:
                data[at : at + 4] = b"\x7f\xff\xff\xff"
            case 3:
                data[at : at + length] = bytes(length)
            case 4:
                data[at : at + length] = junk
            case 5:
                data[at:at] = junk
            case 6:
                del data[at : at + length]
            case _:
                del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", FUZZED)
def test_mutated_files_give_a_result_or_an_audio_error(name: str, encoded: Encoded, tmp_path: Path) -> None:
    content = encoded(name).read_bytes()
    rng = np.random.default_rng([7, *name.encode()])
    for i in range(10):
        path = put(tmp_path, mutate(content, rng), f"{i}{FORMATS[name].suffix}")
        try:
            info, excerpts = decode(path, sr=16000, excerpts=PLAN)
        except AudioError as error:
            assert error.path == path and error.reason
        else:
            assert excerpts and info.duration >= 2
            assert all(np.isfinite(e.y).all() and e.y.dtype == np.float32 for e in excerpts)
