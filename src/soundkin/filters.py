"""Filters: which tracks may answer, as a person writes them (`genre:jazz`, `duration:2:00-6:00`).

    FIELD:TEXT        genre, artist, album, title, path   a part of it, or all of it where TEXT has * or ?
    duration:RANGE    seconds or m:ss                     2:00-6:00, -90, 600-
    year:RANGE                                            1990-1999, -1970, 1984
    tag:LABEL         a tag of the model                  tag:jazz, tag:"female vocals"
    tag:LABEL>NUMBER  and how probable it is; < >= <=     tag:jazz>0.3, tag:piano<=0.1

Upper and lower case are one in text, so are letters with and without accents. `path:` also takes everything inside
the folder of that name. `tag:jazz` takes what stands out here: see `modeltags.thresholds`. A track that lacks what is
asked for matches nothing.
"""

from __future__ import annotations

import fnmatch
import functools
import math
import os
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import absolute, fold
from soundkin.errors import InputError, UnknownNameError
from soundkin.files import read_cache, write_cache
from soundkin.index import BoolArray, FloatArray, Index, IntArray
from soundkin.modeltags import find_label, tag_columns, thresholds

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue, Columns

TEXTS = ("genre", "artist", "album", "title", "path")
FIELDS = (*TEXTS, "duration", "year", "tag")

_REMEMBERED = 64  # filters whose answer is kept: n bytes each
_GLANCE = 200_000  # characters that tell how common a part is
_FORMAT = 1  # of the cache file; raised when its content or its meaning changes
_KEPT: dict[str, type[np.generic]] = {
    "ids": np.int64,
    "duration": np.float64,
    "year": np.float64,
    **{f"{name}_lines": np.uint8 for name in TEXTS},
    **{f"{name}_starts": np.int64 for name in TEXTS},
    **{f"{name}_codes": np.int32 for name in TEXTS},
}
_CLOCK = r"\d+(?::[0-5]?\d){0,2}(?:\.\d+)?"
_RANGES = {
    "duration": re.compile(rf"(?P<first>{_CLOCK})?\s*(?P<dash>[-–])\s*(?P<last>{_CLOCK})?"),
    "year": re.compile(r"(?P<first>\d+)?\s*(?P<dash>[-–])?\s*(?P<last>\d+)?"),
}
_RULES = {
    "duration": "duration:FROM-TO in seconds or m:ss, where either end may be left out: 2:00-6:00, -90, 600-",
    "year": "year:FROM-TO, where either end may be left out, or one year: 1990-1999, -1970, 1984",
}
_TAG = re.compile(r"""(?:"(?P<quoted>[^"]+)"|(?P<plain>[^"<>=]+?))\s*(?:(?P<sign>[<>]=?)\s*(?P<number>\d*\.?\d+))?""")


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter, understood: a `pattern`, or numbers from `low` to `high`, both included.

    `label` names a tag; without numbers, it is for the library to say from where on a song has that tag.
    """

    field: str
    pattern: str = ""
    low: float = -math.inf
    high: float = math.inf
    label: str = ""


def parse(text: str) -> Filter:
    """Understand one filter. Raises InputError, which says the rule and what was received."""
    name, colon, value = text.partition(":")
    name, value = name.strip().casefold(), value.strip()
    if not colon or not fold(value):
        raise InputError(f"a filter is FIELD:VALUE, such as genre:jazz or duration:2:00-6:00; not {text!r}")
    if name not in FIELDS:
        raise UnknownNameError("filter field", name, FIELDS)
    if name in TEXTS:
        return Filter(name, pattern=value)
    return _parse_tag(value) if name == "tag" else _parse_range(name, value)


def _parse_range(name: str, value: str) -> Filter:
    match = _RANGES[name].fullmatch(value)
    if match is None or not (match["first"] or match["last"]):
        raise InputError(f"a {name} filter is {_RULES[name]}; not {value!r}")
    first, last = match["first"], match["last"]
    if not match["dash"]:
        last = first
    low = _number(first) if first else -math.inf
    high = _number(last) if last else math.inf
    if low > high:
        raise InputError(f"a {name} filter goes from the smaller to the larger number, not {value!r}")
    return Filter(name, low=low, high=high)


def _number(text: str) -> float:
    """Seconds of '90', '1:30' or '1:02:30'."""
    return functools.reduce(lambda total, part: 60 * total + float(part), text.split(":"), 0.0)


def _parse_tag(value: str) -> Filter:
    match = _TAG.fullmatch(value)
    if match is None or float(match["number"] or 0) > 1:
        raise InputError(
            "a tag filter is tag:LABEL, or tag:LABEL>NUMBER with > >= < or <= and a NUMBER from 0 to 1, and a label "
            f"that has such signs itself stands in double quotes; not {value!r}"
        )
    label = match["quoted"] or match["plain"]
    if not match["number"]:
        return Filter("tag", label=label)
    # ranges include both ends, so "more than" begins at the next number up in float32, and "less than" ends at the
    # next one down
    limit, sign = np.float32(match["number"]), match["sign"]
    edge = float(limit if sign.endswith("=") else np.nextafter(limit, np.float32(2 if sign == ">" else -1)))
    return Filter("tag", label=label, low=edge) if sign[0] == ">" else Filter("tag", label=label, high=edge)


def mask(
    catalogue: Catalogue, index: Index, *, only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> BoolArray | None:
    """Which rows of the index may answer: (n,) bool, or None when there are no filters.

    Several `only` of one field are alternatives, those of different fields must all hold, and so must all on tags,
    since a song has many. What matches any of `exclude` is left out. Raises InputError for a filter that cannot be
    understood, or a tag the model does not have.
    """
    wanted, unwanted = [parse(text) for text in only], [parse(text) for text in exclude]
    if not wanted and not unwanted:
        return None
    allowed = np.ones(len(index), np.bool_)
    groups: dict[object, list[Filter]] = {}
    for one in wanted:
        groups.setdefault(one if one.field == "tag" else one.field, []).append(one)
    for group in groups.values():
        allowed &= np.logical_or.reduce([_matches(catalogue, index, one) for one in group])
    for one in unwanted:
        allowed &= ~_matches(catalogue, index, one)
    return allowed


def tag_counts(catalogue: Catalogue, index: Index) -> IntArray:
    """How many tracks have each tag of the model, as `tag:LABEL` takes them: (labels,) int64."""
    table = _table(catalogue, index)
    if table.tag_counts is None:
        tags = _tags(catalogue, index, table)
        least = thresholds(index)
        # a tag at a time: all at once would be as large as the tags themselves
        counts = [np.count_nonzero(row >= low) for row, low in zip(tags, least, strict=True)]
        table.tag_counts = np.array(counts, np.int64)
    return table.tag_counts


def prepare(catalogue: Catalogue, index: Index, *, like: Index) -> None:
    """Read beforehand what filters need for `index` if those of `like`, an earlier state of it, needed it too."""
    before = _tables.get(like)
    if before is None:
        return
    table = _table(catalogue, index)
    if before.tags is not None:
        _tags(catalogue, index, table)
    if before.tag_counts is not None:
        tag_counts(catalogue, index)


# --- evaluation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a value must be like: it holds every one of `parts`, and `accepts` says yes (None: nothing more)."""

    parts: tuple[str, ...]
    accepts: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class _Texts:
    """A column of text: its different values, folded, and which of them each row has."""

    lines: str
    """The values as the lines of one text: searching it is ten times as fast as searching each of them."""
    starts: IntArray
    """(values + 1,) int64: where each begins, and the end."""
    codes: npt.NDArray[np.int32]
    """(n,) int32: number of each row's value; −1 where it has none."""

    @classmethod
    def of(cls, column: Sequence[str | None]) -> Self:
        known: dict[str | None, int] = {None: -1}
        codes = np.array([known.setdefault(value, len(known) - 1) for value in column], np.int32)
        values = [_fold(value) + "\n" for value in known if value is not None]
        return cls("".join(values), np.cumsum([0, *map(len, values)], dtype=np.int64), codes)

    def matches(self, pattern: _Pattern) -> BoolArray:
        """(n,) bool; only the lines that hold the part that seems rarest are looked at closely."""
        part = min(pattern.parts, key=self.lines[:_GLANCE].count)
        between = np.fromiter(map(len, self.lines.split(part)), np.int64)
        places = np.cumsum(between[:-1] + len(part)) - len(part)
        found = np.searchsorted(self.starts, places, side="right") - 1
        found = found[np.diff(found, prepend=-1) > 0]  # a line may hold the part more than once
        if pattern.accepts is not None:
            ends = self.starts[found + 1] - 1
            values = (self.lines[i:j] for i, j in zip(self.starts[found].tolist(), ends.tolist(), strict=True))
            found = found[np.fromiter(map(pattern.accepts, values), np.bool_, len(found))]
        accepted = np.zeros(len(self.starts), np.bool_)  # one more than there are values: the code −1 takes the last
        accepted[found] = True
        return accepted[self.codes]


@dataclass(slots=True)
class _Table:
    """What filters of one index are answered from, aligned with its rows, and the answers so far."""

    texts: dict[str, _Texts]
    numbers: dict[str, npt.NDArray[np.floating]]
    """(n,) by field; NaN where there is none."""
    tags: FloatArray | None = None
    """(labels, n) float32, read when the first filter asks for it."""
    tag_counts: IntArray | None = None
    """(labels,) int64, likewise."""
    answers: dict[Filter, BoolArray] = field(default_factory=dict)


# Both the table and the index stand for one state of the library, and are forgotten together.
_tables: weakref.WeakKeyDictionary[Index, _Table] = weakref.WeakKeyDictionary()


def _table(catalogue: Catalogue, index: Index) -> _Table:
    table = _tables.get(index)
    if table is None:
        path = catalogue.path.with_name(f"{catalogue.path.name}-filters.npz")
        stamp = f"filters {_FORMAT}, generation {catalogue.generation()}"
        kept = read_cache(path, _KEPT, stamp=stamp)
        if kept is None:
            kept = _arrays(catalogue.columns())
            write_cache(path, kept, stamp=stamp)
        table = _tables[index] = _aligned(kept, index)
    return table


def _arrays(columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """Everything that is kept beside the library, since reading it out of the database takes half a second."""
    years = [math.nan if year is None else year for year in columns.years]
    kept: dict[str, npt.NDArray[Any]] = {
        "ids": columns.ids,
        "duration": columns.durations,
        "year": np.array(years, np.float64),
    }
    for name in TEXTS:
        texts = _Texts.of(_as_shown(columns, name))
        kept[f"{name}_lines"] = np.frombuffer(texts.lines.encode("utf-8", "surrogatepass"), np.uint8)
        kept[f"{name}_starts"], kept[f"{name}_codes"] = texts.starts, texts.codes
    return kept


def _aligned(kept: dict[str, npt.NDArray[Any]], index: Index) -> _Table:
    """The kept columns, row for row as the index has them; a track that has left since has no values."""
    ids = kept["ids"]
    places = np.minimum(np.searchsorted(ids, index.track_ids), max(0, len(ids) - 1))
    found = ids[places] == index.track_ids if len(ids) else np.zeros(len(index), np.bool_)
    places = np.where(found, places, -1)  # the last place, which is added below
    texts = {}
    for name in TEXTS:
        lines = kept[f"{name}_lines"].tobytes().decode("utf-8", "surrogatepass")
        texts[name] = _Texts(lines, kept[f"{name}_starts"], np.append(kept[f"{name}_codes"], np.int32(-1))[places])
    return _Table(texts, {name: np.append(kept[name], math.nan)[places] for name in ("duration", "year")})


def _as_shown(columns: Columns, name: str) -> Sequence[str | None]:
    """One column as it is shown: a track without title has its file's name, one without artist its album's artist."""
    if name == "title":
        return [title or PurePath(path).stem for title, path in zip(columns.titles, columns.paths, strict=True)]
    if name == "artist":
        return [one or other for one, other in zip(columns.artists, columns.album_artists, strict=True)]
    if name == "path":
        return columns.paths if os.sep == "/" else [path.replace(os.sep, "/") for path in columns.paths]
    return columns.albums if name == "album" else columns.genres


def _matches(catalogue: Catalogue, index: Index, one: Filter) -> BoolArray:
    """Rows that one filter accepts: (n,) bool, not to be changed."""
    table = _table(catalogue, index)
    answer = table.answers.get(one)
    if answer is None:
        if one.field in TEXTS:
            patterns = _path_patterns(one.pattern) if one.field == "path" else [_text_pattern(one.pattern)]
            answer = np.logical_or.reduce([table.texts[one.field].matches(pattern) for pattern in patterns])
        elif one.field == "tag":
            answer = _has_tag(catalogue, index, table, one)
        else:
            numbers = table.numbers[one.field]
            answer = (numbers >= one.low) & (numbers <= one.high)  # NaN, the missing number, is in no range
        if len(table.answers) >= _REMEMBERED:
            table.answers.clear()
        table.answers[one] = answer
    return answer


def _has_tag(catalogue: Catalogue, index: Index, table: _Table, one: Filter) -> BoolArray:
    place = find_label(one.label, labels=index.tag_labels, model_id=index.model_id)
    tags = _tags(catalogue, index, table)
    told = math.isfinite(one.low) or math.isfinite(one.high)
    low = one.low if told else thresholds(index)[place]
    answer: BoolArray = (tags[place] >= low) & (tags[place] <= one.high)
    return answer


def _tags(catalogue: Catalogue, index: Index, table: _Table) -> FloatArray:
    if table.tags is None:
        table.tags = tag_columns(catalogue, index)
    return table.tags


def _fold(text: str) -> str:
    """As `fold`, many times as fast for the plain text that most of a library is."""
    plain = text.isascii() and text.isprintable() and "  " not in text
    return text.strip().lower() if plain else fold(text)


def _text_pattern(text: str) -> _Pattern:
    """A part of the value; all of it, with * for anything and ? for one character, where `text` has one of them."""
    wanted = _fold(text)
    return _glob(wanted, wanted) if "*" in wanted or "?" in wanted else _Pattern((wanted,))


def _path_patterns(text: str) -> list[_Pattern]:
    """As `_text_pattern`, or anything inside the folder that `text` names."""
    wanted = _fold(text.replace(os.sep, "/"))
    if "*" in wanted or "?" in wanted:
        return [_glob(wanted, wanted, wanted.rstrip("/") + "/*")]
    home = os.path.expanduser(text)  # noqa: PTH111 (Path.expanduser raises for a home that is not known)
    folder = _fold(str(absolute(Path(home))).replace(os.sep, "/").rstrip("/") + "/")
    inside = [] if wanted in folder else [_Pattern((folder,), lambda value: value.startswith(folder))]
    return [_Pattern((wanted,)), *inside]


def _glob(wanted: str, *globs: str) -> _Pattern:
    """Any of `globs`, each of which holds every plain part of `wanted`."""
    inner = wanted.strip("*")
    if wanted == f"*{inner}*" and inner and "*" not in inner and "?" not in inner:
        return _Pattern((inner,))
    # brackets mean nothing special here: they are common in names of albums
    regular = re.compile("|".join(fnmatch.translate(glob.replace("[", "[[]")) for glob in globs))
    parts = tuple(part for part in re.split(r"[*?]", wanted) if part) or ("\n",)
    return _Pattern(parts, lambda value: regular.match(value) is not None)
