"""Which model has heard what: each function works inside the transaction of the connection it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from soundkin.catalogue.records import StoredModel
from soundkin.catalogue.schema import failures, models, tracks, vectors
from soundkin.errors import UnknownNameError

if TYPE_CHECKING:  # it loads the model runtime
    from soundkin.model import Model

_present = tracks.c.missing_since.is_(None)
_failed = select(failures.c.path).where(failures.c.path == tracks.c.path).exists()


class Unheard(NamedTuple):
    """A track that a model has still to hear."""

    track_id: int
    path: Path
    content_id: str
    size: int
    mtime_ns: int


def register(connection: Connection, model: Model) -> None:
    """Make `model` known, or note what has changed about where it comes from."""
    row = _row(model)
    if not connection.execute(models.update().where(models.c.id == model.id), row).rowcount:
        connection.execute(models.insert(), {"id": model.id, **row})


def is_registered(connection: Connection, model: Model) -> bool:
    """Is all that `register` stores there already?"""
    row = _row(model)
    return connection.execute(select(*(models.c[name] for name in row)).where(models.c.id == model.id)).first() == (
        *row.values(),
    )


_KNOWN = select(models.c.id).where(models.c.id == sa.bindparam("model"))


def is_known(connection: Connection, model_id: str) -> bool:
    """Was the model of that id registered?"""
    return connection.scalar(_KNOWN, {"model": model_id}) is not None


def _row(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "version": model.version,
        "dimension": model.space.dimension,
        "tags": json.dumps([[tag.label, tag.category] for tag in model.tags], ensure_ascii=False),
        "source": model.source,
        "space": model.space.as_json(),
        "card": json.dumps(dict(model.card), ensure_ascii=False),
    }


def forget(connection: Connection, model_id: str) -> int:
    """Delete a model and all that it heard; how many recordings that was. Raises UnknownNameError."""
    ids = connection.scalars(select(models.c.id).order_by(models.c.id)).all()
    if model_id not in ids:
        raise UnknownNameError("model of this library", model_id, ids)
    count = connection.execute(vectors.delete().where(vectors.c.model_id == model_id)).rowcount
    connection.execute(models.delete().where(models.c.id == model_id))  # what else belongs to it goes with it
    return count


def list_models(connection: Connection, *, counted: bool) -> list[StoredModel]:
    """The models that were registered; with `counted`, how many recordings each has heard."""
    counts = vector_counts(connection) if counted else {}
    return [
        StoredModel(
            r.id,
            r.name,
            r.version,
            r.dimension,
            tuple((label, category) for label, category in json.loads(r.tags)),
            r.source,
            r.space,
            json.loads(r.card or "{}"),
            counts.get(r.id, 0) if counted else None,
        )
        for r in connection.execute(select(models).order_by(models.c.id))
    ]


def vector_counts(connection: Connection) -> dict[str, int]:
    """Model id: number of recordings it has heard."""
    rows = connection.execute(select(vectors.c.model_id, func.count()).group_by(vectors.c.model_id))
    return {model_id: count for model_id, count in rows}


def tracks_heard(connection: Connection) -> dict[str, int]:
    """Model id: number of tracks that are not missing and that it has heard."""
    rows = connection.execute(
        select(vectors.c.model_id, func.count())
        .join_from(tracks, vectors, tracks.c.content_id == vectors.c.content_id)
        .where(_present)
        .group_by(vectors.c.model_id)
    )
    return {model_id: count for model_id, count in rows}


def is_behind(connection: Connection, model_id: str) -> bool:
    """Has another model heard a track that this one has not? Missing tracks and those that failed do not count."""
    # one pass over the vectors' own index: with a look-up for each track, every answer of a large library would wait
    v, own = vectors.c, sa.case((vectors.c.model_id == model_id, 1), else_=0)
    left = select(v.content_id).group_by(v.content_id).having(func.sum(own) == 0).subquery()
    behind = select(tracks.c.id).join(left, left.c.content_id == tracks.c.content_id).where(_present, ~_failed)
    return connection.scalar(behind.limit(1)) is not None


def count_unheard(connection: Connection, model_id: str) -> int:
    """How many contents the tracks hold that this model has still to hear."""
    wanted = select(func.count(tracks.c.content_id.distinct())).where(*_unheard(model_id))
    return connection.scalar(wanted) or 0


def unheard(connection: Connection, model_id: str, *, after: int, limit: int) -> list[Unheard]:
    """Tracks that this model has still to hear, by id, those with an id above `after`."""
    t = tracks.c
    wanted = select(t.id, t.path, t.content_id, t.size, t.mtime_ns).where(*_unheard(model_id), t.id > after)
    rows = connection.execute(wanted.order_by(t.id).limit(limit))
    return [Unheard(track_id, Path(path), *rest) for track_id, path, *rest in rows]


def _unheard(model_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on a track: it is there, has no vector of that model, and has not failed."""
    v = vectors.c
    heard = select(v.content_id).where(v.content_id == tracks.c.content_id, v.model_id == model_id).exists()
    return _present, ~heard, ~_failed
