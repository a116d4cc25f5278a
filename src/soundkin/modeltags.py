"""What the tags of a model say of a song: those worth telling, those it has, and the tag that a person means.

The probabilities of taggers are small for tags that are rare, however sure the tagger is of its ranking, so no fixed
number says whether a song has a tag: see `thresholds`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundkin.catalogue import fold
from soundkin.errors import InputError, UnknownTagError
from soundkin.files import read_cache, write_cache
from soundkin.index import FloatArray, Index, cache_path

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

CATEGORIES = ("genre", "mood", "era", "instrument", "voice")
"""In the order they are told; any other comes after them."""
HEARD = 0.1
"""A song stands out by a tag from this probability on …"""
LIFT = 1.5
"""… if that is so many times the tag's mean in the library."""
SURE = 0.5
"""A song that a tag is so probable for has it, however common the tag is here."""
FAINT = 0.05
"""A tag less probable than this says nothing of a song …"""
FOREMOST = 3
"""… and one between this and HEARD only if it is among so many foremost of its category."""

OTHER_MODEL = "`soundkin models` shows those that do, and soundkin --model MODEL … asks one, after a scan with it"

_FORMAT = 1  # of the cache file; raised when its content or its meaning changes
_KEPT: dict[str, type[np.generic]] = {"ids": np.int64, "tags": np.float32}


@dataclass(frozen=True, slots=True)
class HeardTag:
    """One tag of a model, and how probable it is for a song."""

    label: str
    category: str
    probability: float


@dataclass(frozen=True, slots=True)
class TagCount:
    """One tag of a model, and how many tracks have it."""

    label: str
    category: str
    tracks: int


def tags_like(counts: Iterable[TagCount], words: str, *, limit: int) -> list[TagCount]:
    """Those of `counts` whose label begins with `words`, then those that hold it; in their order, tags on no track not.

    Case, accents, spaces and punctuation do not matter.
    """
    wanted = _letters(words)
    holding = [one for one in counts if wanted and one.tracks and wanted in _letters(one.label)]
    return sorted(holding, key=lambda one: not _letters(one.label).startswith(wanted))[:limit]


def heard_tags(labels: Iterable[tuple[str, str]], probabilities: FloatArray) -> list[HeardTag]:
    """Every tag, most probable first, from (label, category) of each and `probabilities` (labels,)."""
    tags = [HeardTag(*label, float(p)) for label, p in zip(labels, probabilities, strict=True)]
    return sorted(tags, key=lambda tag: -tag.probability)


def telling(tags: Iterable[HeardTag]) -> list[HeardTag]:
    """Those that say something, most probable first: HEARD, or the FOREMOST of a category that are not FAINT.

    Where all are faint, the most probable one.
    """
    ranked = sorted(tags, key=lambda tag: -tag.probability)
    foremost = {tag for group in by_category(ranked).values() for tag in group[:FOREMOST]}
    told = [tag for tag in ranked if tag.probability >= (FAINT if tag in foremost else HEARD)]
    return told or ranked[:1]


def by_category(tags: Iterable[HeardTag]) -> dict[str, list[HeardTag]]:
    """The tags of each category, in their order; the categories in the order of CATEGORIES, then by name."""
    groups: dict[str, list[HeardTag]] = {}
    for tag in tags:
        groups.setdefault(tag.category, []).append(tag)
    rank = {name: i for i, name in enumerate(CATEGORIES)}
    return {name: groups[name] for name in sorted(groups, key=lambda name: (rank.get(name, len(rank)), name))}


def thresholds(index: Index) -> FloatArray:
    """From which probability on a song of this library has each tag, (labels,) float32.

    HEARD, or LIFT times the tag's mean where that is more, and SURE at most: of a tag that is on everything, or nearly
    never, the songs that stand out are meant.
    """
    least: FloatArray = np.clip(LIFT * index.tag_means, HEARD, SURE).astype(np.float32)
    return least


def find_label(text: str, *, labels: Sequence[str], model_id: str) -> int:
    """Which of `labels` a person means by `text`: case, accents, spaces and punctuation do not matter.

    Raises InputError for a model without tags, and UnknownTagError, which names the nearest labels.
    """
    if not labels:
        raise InputError(f"the model {model_id} gives no tags, so tag:{text} cannot be answered; {OTHER_MODEL}")
    for key in (fold, _letters):
        matches = [i for i, label in enumerate(labels) if key(label) == key(text)]
        if len(matches) == 1:
            return matches[0]
    raise UnknownTagError(text, labels, near=_near(text, labels))


def tags_path(library: Path, model_id: str) -> Path:
    """File that what `tag_columns` gives is kept in, beside the library; most of it is in the '.npy' next to it."""
    path = cache_path(library, model_id)
    return path.with_name(f"{path.stem}-tags.npz")


def tag_columns(catalogue: Catalogue, index: Index) -> FloatArray:
    """Probability of each tag for each row of the index, (labels, n) float32; NaN where there is none.

    Kept in a file beside the library, like the index, until the library changes: the database takes seconds.
    """
    path = tags_path(catalogue.path, index.model_id)
    stamp = f"tags {_FORMAT} of {index.model_id}, generation {catalogue.generation()}"
    kept = read_cache(path, _KEPT, stamp=stamp, apart="tags")
    if kept is None:
        ids, heard = catalogue.all_tags(index.model_id)
        kept = {"ids": ids, "tags": np.ascontiguousarray(heard.T)}
        write_cache(path, kept, stamp=stamp, apart="tags")
    ids, tags = kept["ids"], kept["tags"]
    if np.array_equal(ids, index.track_ids):
        return tags
    aligned = np.full((len(index.tag_labels), len(index)), np.nan, np.float32)
    rows = index.rows(ids)
    aligned[:, rows[rows >= 0]] = tags[:, rows >= 0]
    return aligned


def _letters(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _near(text: str, labels: Sequence[str]) -> list[str]:
    """Up to five labels that `text` may have meant, the nearest first."""
    wanted, by_letters = _letters(text), {_letters(label): label for label in labels}
    alike = difflib.get_close_matches(wanted, by_letters, n=5)
    holding = [letters for letters in by_letters if wanted and (wanted in letters or letters in wanted)]
    return [by_letters[letters] for letters in dict.fromkeys([*alike, *holding])][:5]
