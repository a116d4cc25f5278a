"""What is computed of each clip, kept on disk by content and settings, computed in worker processes.

    FOLDER/
      contents.json             path -> size, time and content hash, so that unchanged files are not read again
      KEY/HASH.npz              one array a clip; KEY names function and settings, HASH the bytes of the file

A renamed file costs nothing, a changed one is computed again. Files are written whole or not at all, so a run that was
stopped goes on where it ended; a damaged file is computed again; and a folder that cannot be written costs only time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import (
    AudioError,
    DatasetError,
    DecoderCrashError,
    DecodeTimeoutError,
    NonFiniteError,
    SoundkinError,
    UnreadableError,
)
from soundkin.files import read_cache, replacing, write_cache
from soundkin.workers import Lost, cores, refuse_in_worker, run_in_workers

Array = npt.NDArray[Any]
Function = Callable[[Path], Array]

TIME_LIMIT = 300.0
"""Seconds one clip may take."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An array that was left on disk."""

    path: Path
    """The clip's."""
    file: Path
    stamp: str
    kind: type[np.generic]

    def read(self, function: Function) -> Array:
        """The array, computed again and kept where its file is lost or damaged. Raises what `function` raises."""
        arrays = read_cache(self.file, {"x": self.kind}, stamp=self.stamp)
        if arrays is not None:
            return arrays["x"]
        x = np.asarray(function(self.path)).astype(self.kind, copy=False)
        write_cache(self.file, {"x": x}, stamp=self.stamp)
        return x


def for_each_clip(
    paths: Iterable[Path],
    function: Function,
    *,
    folder: Path | None,
    key: str,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    kind: type[np.generic] = np.float32,
    time_limit: float = TIME_LIMIT,
    hold: bool = True,
) -> dict[Path, Any]:
    """`function(path)`, an array of type `kind`, for every path, or the exception that it ended with.

    `folder` keeps the arrays (None: nothing is kept); `key` must change whenever `function` would give other arrays.
    `workers` is the number of processes, by default one a core; 0 computes in this process, without a time limit.
    `function` must be importable by name, and so must what a `functools.partial` holds. `progress(done, total)` is
    called after each clip. Without `hold` the arrays stay on disk, and a `Kept` stands for each.

    An exception is a SoundkinError: that of the function, or what stands for it where the clip crashed its worker, took
    longer than `time_limit` seconds, or gave numbers that are not finite. Raises SoundkinError when workers cannot
    start, and without `hold` where there is no folder or it cannot be written. Ctrl-C ends the workers at once.
    """
    refuse_in_worker()
    waiting = list(dict.fromkeys(paths))
    total = len(waiting)
    results: dict[Path, Any] = {}
    job = _Job(function, key, kind, kept_in(folder, key) if folder is not None else None, hold)
    if folder is None and not hold:
        raise DatasetError("arrays that stay on disk need a cache folder: name one with --cache DIR")
    contents = _Contents(folder)

    def done(path: Path, result: Any) -> None:
        results[path] = result
        if progress is not None:
            progress(len(results), total)

    for path in waiting:
        digest = contents.known(path)
        kept = job.kept(path, digest) if digest else None
        if kept is not None:
            done(path, kept)
    waiting = [path for path in waiting if path not in results]
    team = run_in_workers(
        _work,
        waiting,
        workers=cores() if workers is None else workers,
        time_limit=time_limit,
        setup=_take,
        setup_args=(job,),
    )
    try:
        with contextlib.closing(team):
            for path, answer in team:
                if isinstance(answer, Lost):
                    done(path, _stand_in(path, answer))
                else:
                    _refuse_unwritten(answer.result)
                    contents.learn(path, answer.look, answer.digest)
                    done(path, answer.result)
    finally:
        contents.save()
    return results


def _refuse_unwritten(result: Any) -> None:
    if isinstance(result, Kept) and not result.file.is_file():
        raise DatasetError(
            f"{result.file.parent}: what is computed of the clips cannot be kept there (is the disk full?); make room, "
            "or name another folder with --cache DIR"
        )


def _stand_in(path: Path, lost: Lost) -> SoundkinError:
    if lost.why == "timeout":
        return DecodeTimeoutError(path, f"given up after {lost.detail}")
    if lost.why == "died":
        return DecoderCrashError(path, f"it ended the process that worked on it ({lost.detail})")
    return AudioError(path, lost.detail)


def kept_in(folder: Path, key: str) -> Path:
    """The folder in `folder` that holds the arrays of `key`."""
    return folder / _slug(key)


def digests_of(paths: Iterable[Path], folder: Path | None) -> dict[Path, str | None]:
    """32 hexadecimal digits of each file's bytes; None where it cannot be read. Files that `folder` knows from before,
    and that are unchanged since by size and time, are not read again."""
    contents = _Contents(folder)
    found = {}
    for path in paths:
        look = _look(path)
        found[path] = contents.known(path) or _digest(path)
        contents.learn(path, look, found[path])
    contents.save()
    return found


def _slug(key: str) -> str:
    """A short folder name for a key: its first word, and a hash of all of it."""
    word = re.match(r"[a-z-]*", key)
    return f"{word[0] if word else ''}-{hashlib.blake2b(key.encode(), digest_size=6).hexdigest()}"


# --- in a worker -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    function: Function
    key: str
    kind: type[np.generic]
    folder: Path | None
    hold: bool = True

    def kept(self, path: Path, digest: str) -> Array | Kept | None:
        if self.folder is None:
            return None
        file = self.folder / f"{digest}.npz"
        if not self.hold:
            return self.left(path, digest) if file.is_file() else None
        arrays = read_cache(file, {"x": self.kind}, stamp=self.key)
        return arrays["x"] if arrays is not None else None

    def left(self, path: Path, digest: str) -> Kept:
        assert self.folder is not None
        return Kept(path, self.folder / f"{digest}.npz", self.key, self.kind)

    def compute(self, path: Path) -> Array:
        """Raises SoundkinError."""
        try:
            x = np.asarray(self.function(path))
        except SoundkinError:
            raise
        except Exception as error:  # of a library that met something it did not expect: it costs this clip only
            raise AudioError(path, f"{type(error).__name__}: {error}") from error
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise NonFiniteError(path, f"{np.count_nonzero(~np.isfinite(x))} of its {x.size} numbers are not finite")
        return x.astype(self.kind, copy=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    look: list[int]
    digest: str | None
    result: Any


def _take(job: _Job) -> _Job:
    return job


def _work(job: _Job, path: Path) -> _Answer:
    look = _look(path)  # before the file is read: should it change meanwhile, it will be read again
    digest = _digest(path) if job.folder is not None else None
    x = job.kept(path, digest) if digest else None
    if x is not None:
        return _Answer(look, digest, x)
    try:
        x = job.compute(path)
    except SoundkinError as error:
        return _Answer(look, digest, error)
    if job.folder is not None and digest:
        with contextlib.suppress(OSError):
            job.folder.mkdir(parents=True, exist_ok=True)
        write_cache(job.folder / f"{digest}.npz", {"x": x}, stamp=job.key)
    if not job.hold:
        left = job.left(path, digest) if digest else UnreadableError(path, "it cannot be read")
        return _Answer(look, digest, left)
    return _Answer(look, digest, x)


def _digest(path: Path) -> str | None:
    """32 hexadecimal digits of the file's bytes; None where it cannot be read, which the function then says better."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return None


# --- what is known of the files --------------------------------------------------------------------------------------


class _Contents:
    """Content hashes by path, size and time of change, kept between runs."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "contents.json" if folder is not None else None
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if self._path is not None:
            with contextlib.suppress(OSError, ValueError):  # damaged: as good as none
                kept = json.loads(self._path.read_text(encoding="utf-8"))
                self._known = kept if isinstance(kept, dict) else {}

    def known(self, path: Path) -> str | None:
        row = self._known.get(_name(path))
        if isinstance(row, list) and row[:-1] == _look(path) and isinstance(row[-1], str) and row[-1].isalnum():
            return row[-1]
        return None

    def learn(self, path: Path, look: list[int], digest: str | None) -> None:
        if digest and look and self._known.get(_name(path)) != [*look, digest]:
            self._known[_name(path)] = [*look, digest]
            self._changed = True

    def save(self) -> None:
        if self._path is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as file:
                file.write(json.dumps(self._known).encode("utf-8"))


def _name(path: Path) -> str:
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def _look(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
