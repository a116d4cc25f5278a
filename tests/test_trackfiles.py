"""Which files are handed out: those of the library, and no link to another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue, Track
from soundkin.errors import UnreadableError, VanishedError
from soundkin.trackfiles import media_type, open_track

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "library.db") as opened:
        yield opened


@pytest.fixture
def track(catalogue: Catalogue, tmp_path: Path) -> Track:
    track = SmallLibrary(catalogue).add("song", [1, 2, 3])
    track.path.write_bytes(b"song")
    catalogue.add_folder(track.path.parent)
    return track


def content(catalogue: Catalogue, track: Track) -> bytes:
    with open_track(catalogue, track) as file:
        return file.read()


def test_a_file_in_a_folder_of_the_library_is_opened(catalogue: Catalogue, track: Track) -> None:
    assert content(catalogue, track) == b"song"


def test_a_file_that_is_gone_is_told(catalogue: Catalogue, track: Track) -> None:
    track.path.unlink()
    with pytest.raises(VanishedError, match="no longer there"):
        open_track(catalogue, track)
    track.path.parent.rmdir()
    with pytest.raises(VanishedError):
        open_track(catalogue, track)


@needs_links
def test_what_became_a_link_out_of_the_library_is_refused(catalogue: Catalogue, track: Track, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    track.path.unlink()
    track.path.symlink_to(secret)
    with pytest.raises(UnreadableError, match="leads out"):
        open_track(catalogue, track)
    inside = track.path.with_name("inside.mp3")
    inside.write_bytes(b"inside")
    track.path.unlink()
    track.path.symlink_to(inside)
    assert content(catalogue, track) == b"inside"
    track.path.unlink()
    track.path.symlink_to(track.path)
    with pytest.raises(UnreadableError):
        open_track(catalogue, track)


@needs_links
def test_a_folder_that_became_a_link_is_refused_too(catalogue: Catalogue, tmp_path: Path) -> None:
    track = SmallLibrary(catalogue).add("song", [1, 2, 3], folder=str(tmp_path / "music" / "album"))
    catalogue.add_folder(tmp_path / "music")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "song.mp3").write_bytes(b"secret")
    (tmp_path / "music").mkdir(exist_ok=True)
    (tmp_path / "music" / "album").symlink_to(tmp_path / "private")
    with pytest.raises(UnreadableError, match="leads out"):
        open_track(catalogue, track)


@needs_links
def test_a_link_that_was_scanned_as_it_is_stays_good_until_it_leads_elsewhere(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "disk" / "song.mp3"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"song")
    small = SmallLibrary(catalogue)
    analysis = small.analysis("song", [1, 2, 3])
    analysis.info.path.unlink()
    analysis.info.path.symlink_to(elsewhere)
    status = elsewhere.stat()
    catalogue.record(analysis, size=status.st_size, mtime_ns=status.st_mtime_ns)
    catalogue.add_folder(analysis.info.path.parent)
    track = catalogue.track(1)
    assert content(catalogue, track) == b"song"
    elsewhere.write_bytes(b"another")
    with pytest.raises(UnreadableError, match="leads out"):
        open_track(catalogue, track)


@pytest.mark.skipif(os.name == "nt", reason="there are none")
def test_pipes_folders_and_devices_are_refused_without_waiting(catalogue: Catalogue, track: Track) -> None:
    track.path.unlink()
    os.mkfifo(track.path)
    with pytest.raises(UnreadableError, match="regular file"):
        open_track(catalogue, track)
    track.path.unlink()
    track.path.mkdir()
    with pytest.raises(UnreadableError, match="regular file"):
        open_track(catalogue, track)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.mp3", b"ID3", "audio/mpeg"),
        ("a.mp3", b"fLaC", "audio/flac"),
        ("a.mp3", b"<html><script>", "audio/mpeg"),
        ("a.html", b"<html><script>", "audio/x-unknown"),
        ("a.svg", b"ID3", "audio/mpeg"),
        ("a.opus", b"OggS", "audio/ogg"),
        ("a", b"RIFF\0\0\0\0WAVE", "audio/wav"),
        ("a", b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        ("a.M4A", b"", "audio/mp4"),
        ("a.wma", b"\x30\x26", "audio/x-ms-wma"),
    ],
)
def test_the_type_is_always_one_of_sound(tmp_path: Path, name: str, head: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(head)
    with path.open("rb") as file:
        assert media_type(path, file) == expected
        assert file.tell() == 0
