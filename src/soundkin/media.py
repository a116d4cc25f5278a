"""What there is to see of a track: its picture, its wave, its tags over time. Each is made once, elsewhere, and kept.

A wish (`CoverWish`, …) says what is wanted. `kept` looks for it where it was kept, which takes a millisecond; `make`
makes it, in a worker process of `Media`. Wishes travel there by pipe, and so does what they come to.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from soundkin.analysis import Analysis, analyse
from soundkin.covers import SIZES, cover
from soundkin.errors import ModelError, SoundkinError
from soundkin.mediacache import MediaCache
from soundkin.model import Model, load_model
from soundkin.standby import Standby
from soundkin.timeline import Timeline, keep_timeline, kept_timeline, timeline
from soundkin.waveform import Waveform, keep_waveform, kept_waveform, waveform

Result = TypeVar("Result", covariant=True)

TIME_LIMIT = 60.0
"""Seconds that a picture, a wave or tags over time may take."""


class Desk:
    """What a worker process has at hand."""

    def __init__(self, cache: MediaCache) -> None:
        self.cache = cache
        self._model: tuple[str, Model] | None = None

    def model(self, source: str, model_id: str) -> Model:
        """The model of that source, loaded once. Raises ModelError when it is no longer the one of that id."""
        if self._model is None or self._model[0] != model_id:
            model = load_model(source)
            if model.id != model_id:
                raise ModelError(f"{source} is now {model.id}, but the library answers with {model_id}; start again")
            self._model = model_id, model
        return self._model[1]


class Wish(Protocol[Result]):
    """Something to be seen or known of one file."""

    def kept(self, cache: MediaCache) -> Result | None:
        """What was kept of it, or None."""

    def make(self, desk: Desk) -> Result:
        """Make it, and keep it. Raises SoundkinError."""


@dataclass(frozen=True, slots=True)
class CoverWish:
    """The cover as JPEG; empty where there is none."""

    path: Path
    content_id: str
    size: int
    state: str
    """What the cover depends on: `cover_state`."""

    @property
    def _name(self) -> str:
        return f"cover-{self.size}-{self.state}.jpg"

    def kept(self, cache: MediaCache) -> bytes | None:
        return cache.read(self.content_id, self._name)

    def make(self, desk: Desk) -> bytes:
        picture = cover(self.path, size=self.size) or b""
        desk.cache.write(self.content_id, self._name, picture)
        return picture


@dataclass(frozen=True, slots=True)
class WaveformWish:
    """The waveform of a whole track."""

    path: Path
    content_id: str
    state: str
    """What else it depends on: `file_state`."""

    def kept(self, cache: MediaCache) -> Waveform | None:
        return kept_waveform(cache, self.content_id, self.state)

    def make(self, desk: Desk) -> Waveform:
        wave = waveform(self.path)
        keep_waveform(desk.cache, self.content_id, self.state, wave)
        return wave


@dataclass(frozen=True, slots=True)
class TimelineWish:
    """The tags of a track over time."""

    path: Path
    content_id: str
    source: str
    model_id: str

    def kept(self, cache: MediaCache) -> Timeline | None:
        return kept_timeline(cache, self.content_id, self.model_id)

    def make(self, desk: Desk) -> Timeline:
        told = timeline(self.path, model=desk.model(self.source, self.model_id))
        keep_timeline(desk.cache, self.content_id, self.model_id, told)
        return told


@dataclass(frozen=True, slots=True)
class AnalysisWish:
    """The analysis of a file outside the library, which is not kept."""

    path: Path
    source: str
    model_id: str

    def kept(self, cache: MediaCache) -> Analysis | None:
        return None

    def make(self, desk: Desk) -> Analysis:
        return analyse(self.path, model=desk.model(self.source, self.model_id))


@dataclass(frozen=True, slots=True)
class ReadyWish:
    """Nothing but that a worker is ready, with its model if it is one that listens."""

    source: str | None
    model_id: str

    def kept(self, cache: MediaCache) -> bool | None:
        return None

    def make(self, desk: Desk) -> bool:
        return self.source is None or bool(desk.model(self.source, self.model_id))


def media_folder(library: Path) -> Path:
    """Folder that all of this is kept in, beside the library."""
    return library.with_name(f"{library.name}-media")


def cover_size(wanted: int) -> int:
    """The size in which a cover of `wanted` pixels is made: few are, so that few are kept."""
    return next((size for size in SIZES if size >= wanted), SIZES[-1])


def cover_state(status: os.stat_result, folder: os.stat_result) -> str:
    """What the cover of a file depends on: the file, which may get another picture, and what is in its folder."""
    return _digest(status.st_size, status.st_mtime_ns, folder.st_mtime_ns)


def file_state(status: os.stat_result) -> str:
    """What the tags of a file depend on, which may get others while its sound stays as it is."""
    return _digest(status.st_size, status.st_mtime_ns)


def _digest(*numbers: int) -> str:
    return hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=6).hexdigest()


class Media:
    """Grants wishes in two worker processes: one for what is wanted at once, one for what a model must hear."""

    def __init__(self, library: Path, *, time_limit: float = 120.0) -> None:
        self.cache = MediaCache(media_folder(library))
        args = (self.cache.folder, self.cache.limit)
        self._quick: Standby[Wish[Any], Any] = Standby(_grant, time_limit=TIME_LIMIT, setup=_sit_down, setup_args=args)
        self._listening: Standby[Wish[Any], Any] = Standby(
            _grant, time_limit=time_limit, setup=_sit_down, setup_args=args
        )

    def warm(self) -> None:
        """Start the process that makes pictures, which are the first to be wanted."""
        self._quick.ask(ReadyWish(None, ""))

    def make(self, wish: Wish[Result]) -> Future[Result | SoundkinError]:
        """What the wish comes to, made in a worker; an error of soundkin's is a result. See `Standby.ask`."""
        worker = self._quick if isinstance(wish, CoverWish | WaveformWish) else self._listening
        # of many covers those asked for last are on the screen; somebody waits for an analysis and looks on
        return worker.ask(wish, urgent=not isinstance(wish, WaveformWish | TimelineWish))

    def close(self) -> None:
        """Grant nothing more."""
        self._quick.close()
        self._listening.close()


def _sit_down(folder: Path, limit: int) -> Desk:
    return Desk(MediaCache(folder, limit=limit))


def _grant(desk: Desk, wish: Wish[Any]) -> object:
    try:
        kept = wish.kept(desk.cache)  # it may have been made since it was asked for
        return wish.make(desk) if kept is None else kept
    except SoundkinError as error:
        return error
