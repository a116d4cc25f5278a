"""Libraries of a few made-up tracks, for tests that need vectors and tags but no audio."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from soundkin.analysis import Analysis
from soundkin.audio import AudioInfo
from soundkin.catalogue import Catalogue, Track
from soundkin.excerpts import Passages
from soundkin.index import Index
from soundkin.model import Space, Tag
from soundkin.tags import Tags


def fingerprint_of(seed: int, *, flipped: float = 0.0) -> bytes:
    """A minute of random codes, the same for the same seed; `flipped` is the share of bits that are wrong."""
    codes = np.random.default_rng(seed).integers(0, 1 << 16, 600, dtype=np.uint16)
    wrong = (np.random.default_rng(seed + 1).random((600, 16)) < flipped) @ (1 << np.arange(16))
    return struct.pack("<IH", 0, 600) + (codes ^ wrong.astype(np.uint16)).tobytes()


class SmallLibrary:
    """A catalogue, and the index of a model with `dimension` numbers whose vectors are compared as they are."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        dimension: int = 3,
        standardise: bool = False,
        weights: Sequence[float] | None = None,
        aspects: Mapping[str, slice] | None = None,
        tags: Sequence[str] = (),
        model_id: str = "tiny-1",
    ) -> None:
        scaled = None if weights is None else np.array(weights, np.float32)
        self.space = Space(dimension, standardise=standardise, weights=scaled, aspects=aspects or {})
        labels = tuple(Tag(label, "genre") for label in tags)
        self.model = SimpleNamespace(
            id=model_id, name="tiny", version="1", space=self.space, tags=labels, source="tiny.onnx", card={}
        )
        self.catalogue = catalogue
        catalogue.register_model(self.model)

    def analysis(
        self,
        name: str,
        vector: Sequence[float],
        *,
        duration: float | None = None,
        content: str | None = None,
        heard: bytes | None = None,
        probabilities: Sequence[float] | None = None,
        passages: Mapping[float, Sequence[float]] | None = None,
        folder: str | None = None,
        **tags: Any,
    ) -> Analysis:
        """What a file called `name`.mp3 holds; its content and its fingerprint follow from its name unless given.

        `passages` are vectors by the second where each begins.
        Unless another `folder` is named, the file is really there, though empty: a copy of a file that is not there
        would be taken for that file, moved.
        """
        number = zlib.crc32((content or name).encode())
        length = 100.0 + 10 * (number % 97) if duration is None else duration
        path = (Path(folder) if folder else self.catalogue.path.parent / "music").absolute() / f"{name}.mp3"
        if folder is None:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        info = AudioInfo(path, length, 44100, 2, "mp3", "mp3", None, Tags(**tags), f"{number:032x}", None)
        raw = np.array(vector, np.float32)
        known = None if probabilities is None else np.array(probabilities, np.float32)
        print_ = fingerprint_of(number) if heard is None else heard
        excerpts = None
        if passages is not None:
            excerpts = Passages(np.array(list(passages), np.float32), np.array(list(passages.values()), np.float32))
        return Analysis(info, self.model.id, raw, known, print_, excerpts)

    def add(self, name: str, vector: Sequence[float], **details: Any) -> Track:
        """Record that file; see `analysis`."""
        analysis = self.analysis(name, vector, **details)
        self.catalogue.record(analysis, size=1, mtime_ns=1)
        track = self.catalogue.track_by_path(analysis.info.path)
        assert track is not None
        return track

    def index(self) -> Index:
        return Index.load(self.catalogue, self.space, model_id=self.model.id)
