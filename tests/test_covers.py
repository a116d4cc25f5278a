"""Covers: found, made small, and harmless whatever they are."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus

import pictures
from soundkin.covers import LARGEST_FILE, cover, thumbnail
from soundkin.errors import VanishedError

RED, GREEN, BLUE = (200, 30, 10), (20, 180, 40), (10, 40, 210)


def is_colour(picture: bytes | None, colour: tuple[int, int, int]) -> bool:
    assert picture is not None
    pixels = pictures.read(picture)
    return bool(np.abs(pixels.reshape(-1, 3).mean(axis=0) - colour).max() < 8)


@pytest.fixture
def song(encoded: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(encoded("mp3"), tmp_path / "song.mp3"))


def test_an_embedded_picture_is_the_cover_and_the_front_one_of_several(song: Path) -> None:
    pictures.embed(song, pictures.png(300, 200, colour=BLUE), kind=4)
    assert is_colour(cover(song, size=96), BLUE)
    pictures.embed(song, pictures.png(300, 200, colour=RED), kind=3)
    small = cover(song, size=96)
    assert small is not None
    assert pictures.read(small).shape == (64, 96, 3)
    assert is_colour(small, RED)


def test_pictures_are_found_in_other_containers_too(encoded: Callable[[str], Path], tmp_path: Path) -> None:
    data = pictures.png(50, 50, colour=GREEN)
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", data
    flac = FLAC(shutil.copy(encoded("flac"), tmp_path / "a.flac"))
    flac.add_picture(picture)
    flac.save()
    opus = OggOpus(shutil.copy(encoded("opus"), tmp_path / "a.opus"))
    opus["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
    opus.save()
    mp4 = MP4(shutil.copy(encoded("aac"), tmp_path / "a.m4a"))
    mp4["covr"] = [MP4Cover(data, imageformat=MP4Cover.FORMAT_PNG)]
    mp4.save()
    for name in ("a.flac", "a.opus", "a.m4a"):
        assert is_colour(cover(tmp_path / name, size=96), GREEN), name


def test_a_picture_beside_the_file_stands_in_and_cover_comes_before_folder(song: Path) -> None:
    assert cover(song, size=96) is None
    (song.parent / "holiday.png").write_bytes(pictures.png(30, 30, colour=GREEN))
    assert cover(song, size=96) is None
    (song.parent / "Folder.PNG").write_bytes(pictures.png(30, 30, colour=BLUE))
    assert is_colour(cover(song, size=96), BLUE)
    (song.parent / "cover.jpg").write_bytes(pictures.encoded("mjpeg"))
    assert is_colour(cover(song, size=96), RED)
    (song.parent / "cover.jpg").write_bytes(b"\xff\xd8\xff no picture at all")
    assert is_colour(cover(song, size=96), BLUE)  # one that cannot be used is passed over
    pictures.embed(song, pictures.png(30, 30, colour=GREEN))
    assert is_colour(cover(song, size=96), GREEN)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_no_link_is_followed_to_a_picture(song: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "private" / "holiday.png"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(pictures.png(30, 30))
    (song.parent / "cover.png").symlink_to(elsewhere)
    os.mkfifo(song.parent / "folder.jpg")  # which would make an opening wait for ever
    (song.parent / "front.jpg").mkdir()
    assert cover(song, size=96) is None


@pytest.mark.parametrize(
    ("codec", "pixels"), [("mjpeg", "yuvj420p"), ("gif", "rgb8"), ("bmp", "bgr24"), ("libwebp", "yuv420p")]
)
def test_every_common_kind_of_picture_is_read(codec: str, pixels: str) -> None:
    if codec == "gif":  # FFmpeg's encoder leaves out what the muxer writes
        data = base64.b64decode("R0lGODlhAQABAIAAAMgeCgAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==")
    else:
        data = pictures.encoded(codec, pixels=pixels)
    small = thumbnail(data, size=96)
    assert small is not None
    assert np.abs(pictures.read(small)[0, 0].astype(int) - RED).max() < 30


def test_a_picture_is_never_made_larger_and_never_without_extent() -> None:
    for width, height in ((1, 1), (20, 10), (3000, 1), (1, 3000)):
        small = thumbnail(pictures.png(width, height), size=96)
        assert small is not None
        tall, wide = pictures.read(small).shape[:2]
        assert (wide, tall) == (min(96, width), min(96, height))


def test_what_is_transparent_becomes_white() -> None:
    small = thumbnail(pictures.png(40, 40, colour=(200, 30, 10, 0)), size=96)
    assert is_colour(small, (255, 255, 255))
    assert is_colour(thumbnail(pictures.png(40, 40, colour=(200, 30, 10, 255)), size=96), RED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"<svg onload=alert(1)>",
        b"#EXTM3U\nfile:///etc/passwd",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        pictures.png(100, 100)[:60],
        b"GIF89a" + b"\xff" * 50,
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 50,
        b"BM" + b"\xff" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_FILE),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert thumbnail(data, size=96) is None


def test_a_file_that_is_gone_or_is_no_audio(tmp_path: Path) -> None:
    with pytest.raises(VanishedError):
        cover(tmp_path / "gone.mp3", size=96)
    text = tmp_path / "text.mp3"
    text.write_text("not a song <img src=x onerror=alert(1)>\n" * 100)
    assert cover(text, size=96) is None
    (tmp_path / "cover.png").write_bytes(pictures.png(30, 30))
    assert is_colour(cover(text, size=96), RED)


_PEAK = r"""
import re, sys
from pathlib import Path
from soundkin.audio import read_info
from soundkin.covers import cover, thumbnail
song, picture = map(Path, sys.argv[1:])
read_info(song)
assert cover(song, size=96) is None
assert thumbnail(picture.read_bytes(), size=96) is None
# not ru_maxrss, which begins with that of the process that started this one
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
def test_a_picture_of_900_million_pixels_is_not_unfolded(song: Path, tmp_path: Path) -> None:
    for width, height in ((30_000, 30_000), (9_000, 9_000)):  # FFmpeg itself refuses only the first
        huge = tmp_path / "huge.bin"
        huge.write_bytes(pictures.huge_png(width, height) if width > 9000 else pictures.png(width, height))
        pictures.embed(song, huge.read_bytes())
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(song), str(huge)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 200  # MB; 9,000 pixels a side would be 243 MB, decoded
