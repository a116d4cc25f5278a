"""Maps kept in the library, one a model: where each track lies in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select

from soundkin.catalogue.database import Transaction
from soundkin.catalogue.schema import models, song_maps
from soundkin.errors import UnknownNameError


@dataclass(frozen=True, slots=True, eq=False)
class SongMap:
    """The tracks that one model has heard, in two dimensions: what is near sounds alike."""

    model_id: str
    generation: int
    """State of the library that it shows, as `Catalogue.generation` gives it."""
    digest: str
    """Of the vectors that it was made from."""
    track_ids: npt.NDArray[np.int64]
    """(n,), ascending."""
    positions: npt.NDArray[np.float32]
    """(n, 2): x and y."""

    def __len__(self) -> int:
        return len(self.track_ids)


class MapOutline(NamedTuple):
    """What there is to say of a map without reading it."""

    generation: int
    """State of the library that it shows."""
    tracks: int


class SongMaps:
    """The maps of an open library; each method is one transaction. `Catalogue.song_maps` has it."""

    def __init__(self, read: Transaction, write: Transaction) -> None:
        self._read, self._write = read, write

    def get(self, model_id: str) -> SongMap | None:
        """The map of that model, or None where there is none, or one that is damaged: it can be made again."""
        with self._read() as connection:
            row = connection.execute(select(song_maps).where(song_maps.c.model_id == model_id)).first()
        if row is None or len(row.track_ids) % 8 or len(row.track_ids) != len(row.positions):
            return None
        ids = np.frombuffer(row.track_ids, "<i8").astype(np.int64)
        positions = np.frombuffer(row.positions, "<f4").astype(np.float32).reshape(-1, 2)
        return SongMap(model_id, row.generation, row.digest, ids, positions)

    def outline(self, model_id: str) -> MapOutline | None:
        """What there is to say of the map of that model without reading it; None where there is none."""
        m = song_maps.c
        with self._read() as connection:
            asked = select(m.generation, func.length(m.track_ids) / 8).where(m.model_id == model_id)
            row = connection.execute(asked).first()
        return None if row is None else MapOutline(int(row[0]), int(row[1]))

    def put(self, song_map: SongMap) -> None:
        """Keep a map in place of the model's old one. Raises UnknownNameError for a model that is not registered."""
        row = {
            "generation": song_map.generation,
            "digest": song_map.digest,
            "track_ids": song_map.track_ids.astype("<i8").tobytes(),
            "positions": song_map.positions.astype("<f4").tobytes(),
        }
        with self._write() as connection:
            known = connection.scalars(select(models.c.id).order_by(models.c.id)).all()
            if song_map.model_id not in known:
                raise UnknownNameError("model of this library", song_map.model_id, known)
            here = song_maps.c.model_id == song_map.model_id
            if not connection.execute(song_maps.update().where(here).values(row)).rowcount:
                connection.execute(song_maps.insert(), {"model_id": song_map.model_id, **row})
