"""The folder of what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from soundkin.mediacache import MediaCache

CONTENT = "0123456789abcdef" * 2


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "media")
    assert cache.read(CONTENT, "cover.jpg") is None
    cache.write(CONTENT, "cover.jpg", b"picture")
    cache.write(CONTENT, "none.jpg", b"")
    assert cache.read(CONTENT, "cover.jpg") == b"picture"
    assert cache.read(CONTENT, "none.jpg") == b""
    assert cache.path(CONTENT, "cover.jpg").parent.name == "01"
    cache.write_arrays(CONTENT, "a.npz", {"x": np.arange(3)}, stamp="one")
    assert cache.read_arrays(CONTENT, "a.npz", {"x": np.int64}, stamp="two") is None
    kept = cache.read_arrays(CONTENT, "a.npz", {"x": np.int64}, stamp="one")
    assert kept is not None
    assert kept["x"].tolist() == [0, 1, 2]


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "media", limit=256 * 10 * 4096)
    for i in range(50):
        cache.write(CONTENT, f"{i:02d}.jpg", bytes(4000))
        os.utime(cache.path(CONTENT, f"{i:02d}.jpg"), (i, i))
    left = sorted(path.name[33:35] for path in cache.folder.rglob("*.jpg"))
    assert 7 <= len(left) <= 11
    assert left == [f"{i:02d}" for i in range(50 - len(left), 50)]


@pytest.mark.parametrize(
    ("content_id", "name"),
    [("../../etc", "a"), (CONTENT, "../a"), (CONTENT, "a/b"), (CONTENT, ""), (CONTENT.upper(), "a"), ("", "a")],
)
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, content_id: str, name: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        MediaCache(tmp_path).read(content_id, name)


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file is in the way")
    cache = MediaCache(tmp_path / "media")
    cache.write(CONTENT, "a", b"x")
    cache.write_arrays(CONTENT, "b", {"x": np.arange(3)}, stamp="one")
    assert cache.read(CONTENT, "a") is None
