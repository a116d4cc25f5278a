"""A folder of small files that can be made again at any time: pictures, waves, tags over time; bounded in size.

They are named by the content they were made from, so a track that moves keeps them. The folder has a part for every
two first digits of that name, and each part makes room for itself when it is written to: nobody has to count 100,000
files, and several processes may write at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.files import read_cache, replacing, write_cache

_log = logging.getLogger(__name__)

LIMIT = 512_000_000
"""Bytes, of all files together."""
_PARTS = 256
_BLOCK = 4096  # bytes that file systems give out at a time


class MediaCache:
    """What was made from the content of tracks; reading and writing never raise for what the disk does."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit

    def path(self, content_id: str, name: str) -> Path:
        """Where `name` of a content is kept. Raises ValueError for what cannot be a file's name."""
        if not re.fullmatch(r"[0-9a-f]{32}", content_id) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
            raise ValueError(f"a content is 32 hexadecimal digits and a name plain; not {content_id!r}, {name!r}")
        return self.folder / content_id[:2] / f"{content_id}-{name}"

    def read(self, content_id: str, name: str) -> bytes | None:
        """What `write` kept; None if there is nothing."""
        with contextlib.suppress(OSError):
            return self.path(content_id, name).read_bytes()
        return None

    def write(self, content_id: str, name: str, data: bytes) -> None:
        """Keep `data`."""
        path = self.path(content_id, name)
        try:
            self._make_room(path.parent)
            with replacing(path) as file:
                file.write(data)
        except OSError as error:
            _log.debug("%s cannot be written: %s", path, error)

    def read_arrays(
        self, content_id: str, name: str, kinds: Mapping[str, type[np.generic]], *, stamp: str
    ) -> dict[str, npt.NDArray[Any]] | None:
        """What `write_arrays` kept with the same stamp; see `soundkin.files.read_cache`."""
        return read_cache(self.path(content_id, name), kinds, stamp=stamp)

    def write_arrays(self, content_id: str, name: str, arrays: Mapping[str, npt.NDArray[Any]], *, stamp: str) -> None:
        """Keep small arrays; `stamp` says what they were made from."""
        path = self.path(content_id, name)
        with contextlib.suppress(OSError):
            self._make_room(path.parent)
            write_cache(path, arrays, stamp=stamp)

    def _make_room(self, part: Path) -> None:
        """Make the folder, and delete its oldest files when it holds more than its share, down to three quarters."""
        part.mkdir(parents=True, exist_ok=True)
        files: list[tuple[float, int, str]] = []
        with os.scandir(part) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # another process deletes too
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime, -(-status.st_size // _BLOCK) * _BLOCK, entry.path))
        share, total = self.limit // _PARTS, sum(size for _, size, _ in files)
        if total <= share:
            return
        for _, size, path in sorted(files):
            if total <= share * 3 // 4:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - a string, of many
            total -= size
