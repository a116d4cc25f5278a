"""What a model heard in each excerpt of a track, packed into one small value a track.

An excerpt is its start in seconds and the scale of its vector, both little-endian float32, then the vector as bytes:
number = scale · byte, which is off by at most 1/254 of the largest number. Eight excerpts of 192 numbers are 1.6 kB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, and_, bindparam, select

from soundkin.catalogue.reading import in_chunks
from soundkin.catalogue.schema import models, passages, tracks
from soundkin.errors import InputError, LibraryCorruptError, ModelMismatchError
from soundkin.excerpts import Passages

if TYPE_CHECKING:  # it loads FFmpeg
    from soundkin.analysis import Analysis


_DIMENSION = select(models.c.dimension).where(models.c.id == bindparam("model"))
_PASSAGES_BY_ID = (
    select(tracks.c.id, passages.c.excerpts)
    .join(passages, tracks.c.content_id == passages.c.content_id)
    .where(tracks.c.id.in_(bindparam("ids", expanding=True)), passages.c.model_id == bindparam("model"))
)


def _packed(dimension: int) -> np.dtype[np.void]:
    return np.dtype([("start", "<f4"), ("scale", "<f4"), ("numbers", "i1", (dimension,))])


def store_passages(connection: Connection, analysis: Analysis) -> None:
    """Store the passages of an analysis in place of those there are; the recording and its vector are there.

    Raises InputError and ModelMismatchError for numbers that cannot be kept.
    """
    p, content_id, model_id = passages.c, analysis.info.content_id, analysis.model_id
    connection.execute(passages.delete().where(and_(p.content_id == content_id, p.model_id == model_id)))
    if analysis.passages is None:
        return
    start, vectors = analysis.passages.start, analysis.passages.vectors
    dimension = int(connection.scalars(select(models.c.dimension).where(models.c.id == model_id)).one())
    if vectors.shape != (len(start), dimension):
        raise ModelMismatchError(
            f"passages of {model_id} must have the shape ({len(start)}, {dimension}), not {vectors.shape}: "
            f"{analysis.info.path}"
        )
    if not (np.isfinite(start).all() and np.isfinite(vectors).all()):
        raise InputError(f"passages must be finite numbers; those of {analysis.info.path} are not")
    rows = np.empty(len(start), _packed(dimension))
    rows["start"] = start
    rows["scale"] = np.maximum(np.abs(vectors).max(axis=1, initial=0) / 127, np.finfo(np.float32).tiny)
    rows["numbers"] = np.rint(vectors / rows["scale"][:, np.newaxis])
    row = {"content_id": content_id, "model_id": model_id, "excerpts": rows.tobytes()}
    connection.execute(passages.insert(), row)


def read_passages(connection: Connection, model_id: str, ids: Sequence[int]) -> dict[int, Passages]:
    """By track id; tracks without any are left out. Raises LibraryCorruptError."""
    dimension = connection.scalar(_DIMENSION, {"model": model_id})
    if dimension is None:
        return {}
    packed, found = _packed(dimension), {}
    for chunk in in_chunks(ids):
        for track_id, excerpts in connection.execute(_PASSAGES_BY_ID, {"ids": chunk, "model": model_id}):
            if len(excerpts) % packed.itemsize:
                raise LibraryCorruptError(
                    f"the library holds passages of another length than {model_id} makes ({dimension} numbers each); "
                    "move it away and scan again"
                )
            heard = np.frombuffer(excerpts, packed)
            vectors = heard["scale"][:, np.newaxis] * heard["numbers"].astype(np.float32)
            found[track_id] = Passages(heard["start"].astype(np.float32), vectors)
    return found
