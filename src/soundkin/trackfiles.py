"""The file of a track, opened to be handed out: only what is in the library's folders, or is still what was scanned.

Whoever can write to a folder of music could put a link there, named like a track, that leads to any file which this
program may read. Links that were there when the folder was scanned are their owner's, and stay good.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from soundkin.catalogue import Catalogue, Track
from soundkin.errors import UnreadableError, VanishedError

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# a link that comes between look and opening is refused, and a named pipe does not make this wait for its other end
_SAFE = _FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_track(catalogue: Catalogue, track: Track) -> BinaryIO:
    """The file of `track`, open for reading, to be closed by the caller.

    Raises VanishedError when it is gone, and UnreadableError when it is no regular file, cannot be read, or is now a
    link that leads out of every folder of the library.
    """
    try:
        real = os.path.realpath(track.path, strict=True)
        if not stat.S_ISREG(os.lstat(real).st_mode):
            raise UnreadableError(track.path, "it is not a regular file")
        file = open(real, "rb", opener=lambda name, _: os.open(name, _SAFE))  # noqa: SIM115 - handed out
    except FileNotFoundError as error:
        raise VanishedError(track.path, "its file is no longer there; scan its folder again") from error
    except (OSError, ValueError) as error:
        raise UnreadableError(track.path, f"the system cannot read it: {getattr(error, 'strerror', error)}") from error
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(track.path, "it is not a regular file")
        if not _inside(catalogue, Path(real)) and not _unchanged(catalogue, track, found):
            raise UnreadableError(track.path, "it is a link that leads out of the library's folders")
    except BaseException:
        file.close()
        raise
    return file


def _inside(catalogue: Catalogue, real: Path) -> bool:
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in catalogue.folders())


def _unchanged(catalogue: Catalogue, track: Track, found: os.stat_result) -> bool:
    """Whether it is the very file that was scanned, by size and time: music that its owner keeps behind a link."""
    known = catalogue.known_files(track.path.parent).get(track.path.name)
    return known is not None and (known.size, known.mtime_ns) == (found.st_size, found.st_mtime_ns)


_BY_SUFFIX = {
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mka": "audio/x-matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "audio/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".weba": "audio/webm",
    ".webm": "audio/webm",
    ".wma": "audio/x-ms-wma",
}


def media_type(path: Path, file: BinaryIO) -> str:
    """The type of an open file of that path: by how it begins, else by its suffix; always one of sound.

    The file is at its beginning afterwards.
    """
    head = file.read(12)
    file.seek(0)
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"RIFF") and head[8:] == b"WAVE":
        return "audio/wav"
    if head[4:8] == b"ftyp":
        return "audio/mp4"
    return _BY_SUFFIX.get(path.suffix.lower(), "audio/mpeg" if head.startswith(b"ID3") else "audio/x-unknown")
