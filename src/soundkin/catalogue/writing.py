"""Store what a scan finds. Each function works inside the transaction of the connection it is given."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection, select

from soundkin import __version__
from soundkin.catalogue.passages import store_passages
from soundkin.catalogue.records import Outcome
from soundkin.catalogue.schema import TAG_COLUMNS, failures, fold, meta, models, recordings, tracks, vectors
from soundkin.errors import InputError, ModelMismatchError

if TYPE_CHECKING:  # both load FFmpeg
    from soundkin.analysis import Analysis
    from soundkin.errors import AudioError


def raise_generation(connection: Connection) -> None:
    """Tell caches that an answer may have changed."""
    connection.execute(meta.update().where(meta.c.key == "generation").values(value=meta.c.value + 1))


def store_analysis(connection: Connection, analysis: Analysis, *, path: Path, size: int, mtime_ns: int) -> Outcome:
    """Store one analysed file. Raises InputError and ModelMismatchError for a vector that cannot be kept."""
    news = _store_content(connection, analysis)
    if news is None:
        return Outcome.NEEDS_ANALYSIS
    outcome, changed = _store_track(connection, analysis, path=path, size=size, mtime_ns=mtime_ns)
    connection.execute(failures.delete().where(failures.c.path == str(path)))
    if news or changed:
        raise_generation(connection)
    return Outcome.ANALYSED if news and outcome in (Outcome.UNCHANGED, Outcome.UPDATED) else outcome


def store_failure(connection: Connection, error: AudioError, *, path: Path, size: int, mtime_ns: int) -> None:
    """Store that a file could not be analysed; its track leaves the answers if the file has changed since."""
    row = {
        "folder": str(path.parent),
        "kind": error.kind,
        "reason": error.reason,
        "size": size,
        "mtime_ns": mtime_ns,
        "program_version": __version__,
        "failed_at": time.time(),
    }
    if not connection.execute(failures.update().where(failures.c.path == str(path)), row).rowcount:
        connection.execute(failures.insert(), {"path": str(path), **row})
    changed = sa.or_(tracks.c.size != size, tracks.c.mtime_ns != mtime_ns)
    replaced = tracks.update().where(tracks.c.path == str(path), tracks.c.missing_since.is_(None), changed)
    if connection.execute(replaced.values(missing_since=time.time())).rowcount:
        raise_generation(connection)


def _store_content(connection: Connection, analysis: Analysis) -> bool | None:
    """Store the recording and its vector; is either news? None: the vector is needed, and neither has it."""
    info, v = analysis.info, vectors.c
    here = sa.and_(v.content_id == info.content_id, v.model_id == analysis.model_id)
    stored = connection.execute(select(v.embedding, v.tags).where(here)).first()
    if analysis.vector is None:
        return None if stored is None else False
    row = _vector_row(connection, analysis)
    sound = {
        "duration": info.duration,
        "sr": info.sr,
        "channels": info.channels,
        "codec": info.codec,
        "container": info.container,
        "bit_rate": info.bit_rate,
        "partial": info.partial,
        "fingerprint": analysis.fingerprint,
        "analysed_at": time.time(),
    }
    same = recordings.c.content_id == info.content_id
    if connection.execute(recordings.update().where(same), sound).rowcount:
        copies = tracks.update().where(tracks.c.content_id == info.content_id)
        connection.execute(copies.values(duration=info.duration, partial=info.partial))
    else:
        connection.execute(recordings.insert(), {"content_id": info.content_id, **sound})
    if stored is None:
        connection.execute(vectors.insert(), {"content_id": info.content_id, "model_id": analysis.model_id, **row})
    elif stored._asdict() != row:
        connection.execute(vectors.update().where(here), row)
    else:  # another scan, at the same time, came first
        return False
    store_passages(connection, analysis)
    return True


def _vector_row(connection: Connection, analysis: Analysis) -> dict[str, bytes | None]:
    """The vector and the tag probabilities as stored, after checking that they fit their model."""
    model = connection.execute(
        select(models.c.dimension, models.c.tags).where(models.c.id == analysis.model_id)
    ).first()
    if model is None:
        raise ModelMismatchError(
            f"{analysis.model_id} is not known to this library; register_model must come before record"
        )
    row: dict[str, bytes | None] = {"embedding": None, "tags": None}
    for name, values, length in (
        ("embedding", analysis.vector, model.dimension),
        ("tags", analysis.tags, len(json.loads(model.tags))),
    ):
        if values is None:
            continue
        if values.shape != (length,):
            raise ModelMismatchError(
                f"{name} of {analysis.model_id} must have the shape ({length},), not {values.shape}: "
                f"{analysis.info.path}"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite numbers; those of {analysis.info.path} are not")
        row[name] = values.astype("<f4").tobytes()
    return row


def _store_track(
    connection: Connection, analysis: Analysis, *, path: Path, size: int, mtime_ns: int
) -> tuple[Outcome, bool]:
    """Store the file, whose recording is there; what that was, and could an answer change by it?"""
    content_id, t = analysis.info.content_id, tracks.c
    tags = {name: getattr(analysis.info.tags, name) for name in TAG_COLUMNS}
    # from the recording, which knows more of itself than a file that was not decoded again
    heard = connection.execute(
        select(recordings.c.duration, recordings.c.partial).where(recordings.c.content_id == content_id)
    ).one()
    row: dict[str, Any] = {
        **tags,
        **heard._asdict(),
        "path": str(path),
        "folder": str(path.parent),
        "content_id": content_id,
        "search": _search_text(path, tags),
        "size": size,
        "mtime_ns": mtime_ns,
        "scanned_at": time.time(),
        "missing_since": None,
    }
    old = connection.execute(select(tracks).where(t.path == str(path))).first()
    if old is not None:
        connection.execute(tracks.update().where(t.id == old.id), row)
        if old.content_id != content_id:
            return Outcome.ANALYSED, True
        if any(getattr(old, name) != value for name, value in tags.items()):
            return Outcome.UPDATED, True
        return Outcome.UNCHANGED, old.missing_since is not None
    others = connection.execute(
        select(t.id, t.path, t.missing_since).where(t.content_id == content_id).order_by(t.id)
    ).all()
    gone = [r for r in others if r.missing_since is not None or not _still_there(Path(r.path), path)]
    if gone:
        moved = min(gone, key=lambda r: Path(r.path).name != path.name)  # the same name first
        connection.execute(tracks.update().where(t.id == moved.id), row)
        return Outcome.MOVED, True
    connection.execute(tracks.insert(), row)
    return (Outcome.COPY if others else Outcome.ANALYSED), True


def _search_text(path: Path, tags: dict[str, Any]) -> str:
    """What words are looked for in: the title first, a line each."""
    lines = (tags["title"] or path.stem, tags["artist"], tags["album"], tags["album_artist"], path.stem)
    return "\n".join(fold(line or "") for line in lines)


def _still_there(old: Path, new: Path) -> bool:
    """Is there a file `old`, other than `new`?"""
    try:
        if old.parent == new.parent and fold(old.name) == fold(new.name):
            # Where upper and lower case are one (Windows, macOS), a file renamed from 'a' to 'A' still answers to
            # both names; the listing of its folder knows only one of them.
            return old in old.parent.iterdir()
        old.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # not to be seen does not mean gone
        return True
    return True
