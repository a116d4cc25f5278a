"""Seeds: the songs that a question starts from, however a person names them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import Track, fold
from soundkin.duplicates import are_one
from soundkin.errors import InputError, SeedError
from soundkin.excerpts import Passages
from soundkin.modeltags import OTHER_MODEL, HeardTag, heard_tags

if TYPE_CHECKING:  # analysis loads FFmpeg, which an answer from the library does not need
    from soundkin.analysis import Analysis
    from soundkin.catalogue import Catalogue
    from soundkin.model import Model

FloatArray = npt.NDArray[np.float32]

OUTSIDE = 0
"""Id of a seed's track that is not in the library; those of the library begin at 1."""
_MATCHES = 20  # tracks that an ambiguous seed lists at most
_NAMED = 5  # of which the message names the first


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """A song to start from, and what one model heard in it."""

    track: Track
    """Its id is OUTSIDE when the file is not in the library."""
    model_id: str
    vector: FloatArray
    """(d,) float32, as the model gave it."""
    tags: FloatArray | None
    """(labels,) float32 probabilities, or None."""
    fingerprint: bytes | None
    passages: Passages | None = None
    """What the model heard excerpt by excerpt, where that is known."""


def resolve(catalogue: Catalogue, text: str) -> Track | Path:
    """The track that `text` names: by id, by path, or by words from its title, artist or album.

    Words must lead to one track, or be the title of exactly one. An existing file that the library does not have
    comes back as its path, to be analysed. Raises SeedError, with the candidates where there are several.
    """
    text = text.strip()
    if not text or "\0" in text:
        raise SeedError(f"a seed is a track's id, a file, or words from title, artist or album; not {text!r}")
    if text.isdecimal() and len(text) < 19 and (found := catalogue.tracks([int(text)])):
        return found[0]
    path = Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for a home that is not known)
    if track := catalogue.track_by_path(path):
        return track
    if _is_file(path):
        return path
    return _by_words(catalogue, text)


def seed_of(catalogue: Catalogue, track: Track, *, model_id: str) -> Seed:
    """The seed that a track of the library makes. Raises SeedError when the model has not heard it."""
    vector = catalogue.vector(track.id, model_id)
    if vector is None:
        raise SeedError(f"{name(track)} has not been heard by the model {model_id} yet; scan its folder again")
    tags = catalogue.tag_probabilities(model_id, [track.id])[0]
    known = tags if len(tags) and not np.isnan(tags).any() else None
    heard = catalogue.passages(model_id, [track.id]).get(track.id)
    return Seed(track, model_id, vector, known, catalogue.fingerprints([track.id]).get(track.id), heard)


def seed_outside(analysis: Analysis) -> Seed:
    """The seed that a file outside the library makes. Raises InputError when its analysis left the vector out."""
    if analysis.vector is None:
        raise InputError(f"{analysis.info.path} was not heard: analyse it without `known`")
    info = analysis.info
    track = Track(OUTSIDE, info.path, info.content_id, info.duration, info.tags, info.partial, missing=False)
    return Seed(track, analysis.model_id, analysis.vector, analysis.tags, analysis.fingerprint, analysis.passages)


def tags_of(seed: Seed, model: Model) -> list[HeardTag]:
    """What the model that heard the seed tells of it, most probable first.

    Raises InputError for a model that tells no tags, SeedError for a song that was heard without them.
    """
    if not model.tags:
        raise InputError(f"the model {model.id} tells no tags; {OTHER_MODEL}")
    if seed.tags is None:
        raise SeedError(f"{name(seed.track)} was heard without tags by the model {model.id}; scan its folder again")
    return heard_tags(((tag.label, tag.category) for tag in model.tags), seed.tags)


def name(track: Track) -> str:
    """'Artist – Title', or the title alone."""
    return f"{track.artist} – {track.title}" if track.artist else track.title


def _by_words(catalogue: Catalogue, text: str) -> Track:
    words = _words(text)
    matches = catalogue.search(words, limit=_MATCHES)
    if not matches:
        raise SeedError(
            f"no track answers to {text[:100]!r}: it is no id, no file, and its words are in no title, artist or "
            "album; `soundkin list` shows what there is"
        )
    titled = [track for track in matches if words in (_words(track.title), _words(name(track)))]
    for tracks in (matches, titled):
        if tracks and len(tracks) < _MATCHES and are_one(catalogue, tracks):  # copies of a song are one song
            return tracks[0]
    raise SeedError(_several(text, titled or matches), candidates=[track.id for track in titled or matches])


def _words(text: str) -> str:
    """`text` folded, without the dash that stands between artist and title."""
    return " ".join(word for word in fold(text).split() if word not in ("-", "–", "—"))


def _several(text: str, matches: Sequence[Track]) -> str:
    count = f"{_MATCHES} or more" if len(matches) == _MATCHES else str(len(matches))
    named = "".join(f"\n  {t.id}: {name(t)} [{t.album or t.path.parent.name}]" for t in matches[:_NAMED])
    more = "\n  … `soundkin list WORDS` shows all" if len(matches) > _NAMED else ""
    return f"{count} tracks answer to {text!r}; name one by its id:{named}{more}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # words that no file system could take for a name
        return False
