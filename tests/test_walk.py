"""Walking folders: which files are found, in which order, and what cannot stop it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soundkin.errors import InputError
from soundkin.walk import Folder, walk


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 3)


def found(*folders: Path) -> list[str]:
    """Names of the files found below the first folder's parent, in order."""
    start = folders[0].parent
    return [file.path.relative_to(start).as_posix() for folder in walk(folders) for file in folder.files]


def link(new: Path, target: Path, *, directory: bool = True) -> None:
    try:
        new.symlink_to(target, target_is_directory=directory)
    except OSError as error:  # Windows without the privilege
        pytest.skip(f"links cannot be made here: {error}")


@contextlib.contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, locked: Path) -> Iterator[None]:
    """`locked` cannot be listed, even by root, whom no permission stops."""
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        yield


def test_finds_audio_by_suffix_sorted_with_size_and_time(tmp_path: Path) -> None:
    make(tmp_path / "m", "b/2.FLAC", "b/1.mp3", "a.ogg", "c.Mp3", "cover.jpg", "notes.txt", "b.mp3.part", "mp3")
    os.utime(tmp_path / "m" / "a.ogg", ns=(1, 1_600_000_000_123_456_700))
    assert found(tmp_path / "m") == ["m/a.ogg", "m/c.Mp3", "m/b/1.mp3", "m/b/2.FLAC"]
    file = next(walk([tmp_path / "m"])).files[0]
    assert file.path == tmp_path / "m" / "a.ogg"
    assert file.size == 3
    assert abs(file.mtime_ns - 1_600_000_000_123_456_700) < 2_000_000_000  # FAT counts in steps of two seconds


def test_order_does_not_depend_on_the_order_of_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "m", *(f"{folder}/{i}.mp3" for folder in "cab" for i in (3, 1, 2)))
    once = found(tmp_path / "m")
    scandir = os.scandir

    @contextlib.contextmanager
    def backwards(path: Any) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scandir(path) as entries:
            yield iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr(os, "scandir", backwards)
    assert found(tmp_path / "m") == once == sorted(once)


@pytest.mark.parametrize(
    "clutter",
    [
        "._song.mp3",
        ".Trash-1000/files/song.mp3",
        ".Trashes/501/song.mp3",
        "$RECYCLE.BIN/S-1-5/$R1.mp3",
        "@eaDir/song.mp3/SYNOAUDIO_01APIC_03.mp3",
        "#recycle/song.mp3",
        ".stversions/song.mp3",
        ".DS_Store",
    ],
)
def test_trash_and_system_folders_are_no_music(tmp_path: Path, clutter: str) -> None:
    make(tmp_path / "m", clutter, "song.mp3", ".hidden/album/song.mp3")
    assert found(tmp_path / "m") == ["m/song.mp3", "m/.hidden/album/song.mp3"]


def test_a_folder_named_like_a_file_is_walked(tmp_path: Path) -> None:
    make(tmp_path / "m", "Greatest.mp3/1.ogg")
    assert found(tmp_path / "m") == ["m/Greatest.mp3/1.ogg"]


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3", "other/2.mp3")
    link(tmp_path / "m" / "more", tmp_path / "other")
    assert found(tmp_path / "m") == ["m/1.mp3", "m/more/2.mp3"]


@pytest.mark.timeout(20)
def test_loops_end_and_real_paths_win(tmp_path: Path) -> None:
    make(tmp_path, "m/a/1.mp3", "m/z/2.mp3")
    link(tmp_path / "m" / "a" / "up", tmp_path / "m")  # to an ancestor
    link(tmp_path / "m" / "a" / "across", tmp_path / "m" / "z")  # would come before the real one
    link(tmp_path / "m" / "z" / "back", tmp_path / "m" / "a")
    link(tmp_path / "m" / "self", tmp_path / "m" / "self")
    link(tmp_path / "m" / "above", tmp_path)
    assert found(tmp_path / "m") == ["m/a/1.mp3", "m/z/2.mp3"]


def test_a_link_to_nothing_is_reported(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3")
    link(tmp_path / "m" / "gone.mp3", tmp_path / "nowhere.mp3", directory=False)
    link(tmp_path / "m" / "gone.txt", tmp_path / "nowhere.txt", directory=False)
    (folder,) = walk([tmp_path / "m"])
    assert [file.path.name for file in folder.files] == ["1.mp3"]
    assert [(path.name, type(error)) for path, error in folder.locked] == [("gone.mp3", FileNotFoundError)]


def test_folders_given_twice_or_inside_each_other_yield_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3", "m/in/2.mp3", "m/.Trash-1/3.mp3")
    root = tmp_path / "m"
    assert found(root, root / "in", root, root / "in" / "..", root / "1.mp3") == ["m/1.mp3", "m/in/2.mp3"]
    assert files(root / "in", root) == [root / "1.mp3", root / "in" / "2.mp3"]
    # what a walk passes over is found when it is asked for by name
    assert sorted(p.name for p in files(root, root / ".Trash-1")) == ["1.mp3", "2.mp3", "3.mp3"]


def files(*folders: Path) -> list[Path]:
    return [file.path for folder in walk(folders) for file in folder.files]


def test_a_linked_root_and_its_target_yield_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "disk/music/1.mp3", "disk/2.mp3")
    link(tmp_path / "Music", tmp_path / "disk" / "music")
    assert files(tmp_path / "Music") == [tmp_path / "Music" / "1.mp3"]
    assert sorted(p.name for p in files(tmp_path / "Music", tmp_path / "disk")) == ["1.mp3", "2.mp3"]


def test_single_files(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3", "m/2.mp3", "m/odd.bin")
    one, odd = walk([tmp_path / "m" / "1.mp3", tmp_path / "m" / "odd.bin"])
    assert [file.path.name for file in (*one.files, *odd.files)] == ["1.mp3", "odd.bin"]
    assert not one.whole
    assert not odd.whole
    assert sorted(p.name for p in files(tmp_path / "m", tmp_path / "m" / "odd.bin")) == ["1.mp3", "2.mp3", "odd.bin"]


def test_a_folder_that_does_not_exist_is_an_error_before_anything_is_walked(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3")
    with pytest.raises(InputError, match=r"must exist.*nowhere"):
        walk([tmp_path / "m", tmp_path / "nowhere"])
    with pytest.raises(InputError, match="null"):
        walk(["a\0b"])


def test_an_unreadable_folder_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "m/a/1.mp3", "m/b/2.mp3", "m/c/3.mp3")
    with refusing(monkeypatch, tmp_path / "m" / "b"):
        folders = {folder.path.name: folder for folder in walk([tmp_path / "m"])}
    assert isinstance(folders["b"].unreadable, PermissionError)
    assert folders["b"].files == []
    assert folders["a"].unreadable is folders["c"].unreadable is None
    assert [file.path.name for file in folders["c"].files] == ["3.mp3"]


def test_what_vanishes_during_the_walk_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "m/1.mp3", "m/a/2.mp3")
    walked = walk([tmp_path / "m"])
    assert len(next(walked).files) == 1
    (tmp_path / "m" / "a" / "2.mp3").unlink()
    (tmp_path / "m" / "a").rmdir()
    assert list(walked) == [Folder(tmp_path / "m" / "a")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    assert found(tmp_path) == []
    with pytest.raises(InputError, match="neither"):
        walk([tmp_path / "pipe.mp3"])


@pytest.mark.skipif(sys.platform != "linux", reason="only here may names be any bytes")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/m\xff\xe9"
    os.mkdir(name)  # noqa: PTH102 - the name is bytes
    with open(name + b"/caf\xe9.mp3", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    (path,) = files(tmp_path)
    assert os.fsencode(path).endswith(b"/m\xff\xe9/caf\xe9.mp3")
    assert path.stat().st_size == 1


def test_nothing_to_find(tmp_path: Path) -> None:
    assert list(walk([])) == []
    assert list(walk([tmp_path])) == [Folder(tmp_path)]
