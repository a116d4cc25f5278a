"""What models hear of files, kept by content: the hearing behind neural_model.py."""

from __future__ import annotations

import copy
import functools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from neural_figures import merged_tags
from soundkin.analysis import analyse
from soundkin.audio import read_info
from soundkin.excerpts import ExcerptPlan
from soundkin.files import replacing
from soundkin.lab.cache import for_each_clip
from soundkin.model import Model, load_model

FORMS = ("mp3", "quieter", "first half", "second half")
"""What becomes of a track that looks for itself."""
BIT_RATE = 64_000
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
GAIN = 10 ** (-12 / 20)


@dataclass(frozen=True)
class Half(ExcerptPlan):
    """The same plan for one half of a track, as if the file had been cut there."""

    second: bool = False

    def windows(self, duration: float) -> list[tuple[float, float]]:
        half = duration / 2
        return [(start + self.second * half, seconds) for start, seconds in ExcerptPlan.windows(self, half)]


@functools.lru_cache(maxsize=1)
def _loaded(name: str) -> Model:
    return load_model(name)


def hear(path: Path, *, model: str, form: str, folder: Path) -> np.ndarray:
    """Vector and tag probabilities of one file, side by side, (d + labels,) float32; `form` '' or one of FORMS."""
    loaded = _loaded(model)
    plan = loaded.excerpts
    if form == "mp3":
        path = as_mp3(path, folder)
    elif form == "quieter":
        loaded = quieter(loaded)
    elif form:
        plan = Half(plan.count, plan.seconds, second=form.startswith("second"))
    heard = analyse(path, model=loaded, excerpts=plan)
    return np.concatenate([part for part in (heard.vector, heard.tags) if part is not None])


def quieter(model: Model) -> Model:
    """The model, hearing everything 12 dB quieter."""
    other: Any = copy.copy(model)
    other.hear = lambda y: model.hear(y * np.float32(GAIN))
    return other


def as_mp3(path: Path, folder: Path) -> Path:
    """The track as an mp3 of 64 kbit/s in `folder`, encoded where it is not there yet."""
    target = folder / f"{read_info(path).content_id}.mp3"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with av.open(str(path)) as source, replacing(target) as file, av.open(file, "w", format="mp3") as out:
        heard = source.streams.best("audio").codec_context
        rate = heard.sample_rate if heard.sample_rate in MP3_RATES else 44100
        layout = "mono" if heard.layout.nb_channels == 1 else "stereo"
        stream = out.add_stream("libmp3lame", rate=rate, layout=layout)
        stream.bit_rate = BIT_RATE
        for frame in source.decode(audio=0):
            frame.pts = None
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


def _tell(what: str, done: int, total: int, seconds: float | None = None) -> None:
    if seconds is None and done % 20:
        return
    print(f"{what}: {done} of {total}" + (f", {seconds:.0f} s" if seconds is not None else ""), file=sys.stderr)


class Ears:
    """What models heard of files, each heard once."""

    def __init__(self, cache: Path | None, scratch: Path, workers: int | None) -> None:
        self.cache, self.scratch, self.workers = cache, scratch, workers
        self._heard: dict[tuple[str, str], dict[Path, Any]] = {}

    def listen(self, name: str, model: Model, files: Sequence[Path], form: str = "") -> None:
        """Hear what was not heard yet."""
        known = self._heard.setdefault((model.id, form), {})
        missing = [file for file in files if file not in known]
        if not missing:
            return
        began = time.monotonic()
        found = for_each_clip(
            missing,
            functools.partial(hear, model=name, form=form, folder=(self.cache or self.scratch) / "mp3"),
            folder=self.cache,
            key=f"neural-model 1 {model.id} {model.excerpts} {form}",
            workers=self.workers,
            time_limit=1200.0,
            progress=functools.partial(_tell, f"{model.id} {form}".strip()),
        )
        _tell(f"{model.id} {form}".strip(), len(found), len(found), time.monotonic() - began)
        for row in found.values():
            if isinstance(row, Exception):
                print(f"left out: {row}", file=sys.stderr)
        known |= found

    def could(self, models: Sequence[Model], files: Sequence[Path], forms: Sequence[str] = ("",)) -> list[Path]:
        """The files that all of these models could hear in all of these forms."""
        rows = [self._heard[model.id, form] for model in models for form in forms]
        return [file for file in files if not any(isinstance(row[file], Exception) for row in rows)]

    def vectors(self, model: Model, files: Sequence[Path], form: str = "") -> np.ndarray:
        """(files, d)"""
        rows = self._heard[model.id, form]
        return np.stack([rows[file][: model.space.dimension] for file in files])

    def tags(self, model: Model, files: Sequence[Path]) -> np.ndarray:
        """(files, merged) probabilities; NaN for tags that the model does not tell."""
        return merged_tags(model.name, [tag.label for tag in model.tags], self.own_tags(model, files))

    def own_tags(self, model: Model, files: Sequence[Path]) -> np.ndarray:
        """(files, labels) probabilities."""
        rows = self._heard[model.id, ""]
        return np.stack([rows[file][model.space.dimension :] for file in files])
