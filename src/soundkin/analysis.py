"""From a path to what is known of the track: decode, hear excerpt by excerpt, average."""

from __future__ import annotations

import math
import os
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundkin.audio import AudioInfo, AudioSource, open_audio
from soundkin.errors import DamagedError, SilentError
from soundkin.excerpts import ExcerptPlan, Passages
from soundkin.fingerprint import LONGEST, fingerprint
from soundkin.model import Model

FloatArray = npt.NDArray[np.float32]

SILENCE = 10 ** (-70 / 20)  # root mean square; -70 dB below full scale, the noise of an empty tape or dithered zero
MOST_PASSAGES = 24
_LONGEST_SECOND_LOOK = 1200.0  # s: a longer file whose excerpts are all silent is not decoded in full to make sure
_WHOLE = ExcerptPlan(0, 10.0)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one file holds. `vector`, `tags` and `fingerprint` are None when its content was known already."""

    info: AudioInfo
    model_id: str
    vector: FloatArray | None
    tags: FloatArray | None
    fingerprint: bytes | None
    passages: Passages | None = None
    """What was heard excerpt by excerpt; None too for a model that standardises, whose raw numbers tell little."""


def analyse(
    path: str | os.PathLike[str], *, model: Model, excerpts: ExcerptPlan | None = None, known: Container[str] = ()
) -> Analysis:
    """Analyse one file with `model`, hearing `excerpts` (default: the model's own plan).

    A file whose content_id is in `known` is read but not decoded. Memory holds one excerpt at a time and the
    compressed file never. Raises an AudioError that says what is wrong with the file.
    """
    plan = excerpts or model.excerpts
    with open_audio(path) as source:
        if source.info.content_id in known:
            return Analysis(source.info, model.id, None, None, None)
        rows, starts, heard = _hear(source, plan, model)
        if not rows and plan.count and source.info.duration <= _LONGEST_SECOND_LOOK:
            rows, starts, heard = _hear(source, _WHOLE, model)  # the sound may lie between the excerpts
        if not rows:
            raise SilentError(source.path, f"it is silent: nothing above {20 * math.log10(SILENCE):.0f} dB was heard")
        embedding = model.summarise(np.concatenate(rows))
        if not np.isfinite(embedding.vector).all():
            raise DamagedError(source.path, f"the model {model.id} gives numbers for it that are not finite")
        passages = None if model.space.standardise else _passages(rows, starts, model)
        return Analysis(source.info_after_decoding(), model.id, embedding.vector, embedding.tags, heard, passages)


def _hear(source: AudioSource, plan: ExcerptPlan, model: Model) -> tuple[list[FloatArray], list[float], bytes]:
    """Rows of the model for every excerpt that is not silent, and where each begins, in seconds.

    Also the fingerprint of up to LONGEST seconds of them.
    """
    windows = plan.windows(source.info.duration)
    every = max(1, math.ceil(len(windows) * windows[0][1] / LONGEST))
    rows: list[FloatArray] = []
    starts: list[float] = []
    prints: list[bytes] = []
    for excerpt in source.excerpts(plan, sr=model.sr):
        if math.sqrt(float(np.mean(np.square(excerpt.y, dtype=np.float64)))) < SILENCE:
            continue
        if len(rows) % every == 0:
            prints.append(fingerprint(excerpt, sr=model.sr))
        rows.append(model.hear(excerpt.y))
        starts.append(excerpt.start)
    return rows, starts, b"".join(prints)


def _passages(rows: list[FloatArray], starts: list[float], model: Model) -> Passages:
    """The vectors of MOST_PASSAGES excerpts at most, evenly chosen: a track that is heard whole may have hundreds."""
    every = math.ceil(len(rows) / MOST_PASSAGES)
    vectors = [model.summarise(one).vector for one in rows[::every]]
    return Passages(np.array(starts[::every], np.float32), np.stack(vectors))
