"""What a file says of itself: title, artist, album, …, whatever its format calls them, safe to store and to print."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SLOWEST, FASTEST = 20.0, 400.0
"""Beats a minute that a tag is believed; many a program writes 0 for a tempo that it does not know."""
_LONGEST = 1000  # characters of one tag


@dataclass(frozen=True, slots=True)
class Tags:
    """What the file says of itself; every field is None when it says nothing."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    track_number: int | None = None
    disc_number: int | None = None
    genre: str | None = None
    year: int | None = None
    mb_recording_id: str | None = None
    mb_album_id: str | None = None
    mb_artist_id: str | None = None


_TAG_KEYS: dict[str, tuple[str, ...]] = {
    # field: keys in order of preference, in lower case, letters and digits only
    "title": ("title",),
    "artist": ("artist", "artists", "author"),
    "album": ("album",),
    "album_artist": ("albumartist",),
    "track_number": ("track", "tracknumber"),
    "disc_number": ("disc", "discnumber"),
    "genre": ("genre",),
    "year": ("originalyear", "originaldate", "tdor", "tory", "date", "year", "tyer", "wmyear"),
    "mb_recording_id": ("musicbrainztrackid", "musicbrainzrecordingid"),
    "mb_album_id": ("musicbrainzalbumid",),
    "mb_artist_id": ("musicbrainzartistid",),
}
_TEMPO_KEYS = ("tbpm", "bpm", "tmpo", "tempo", "beatsperminute", "wmbeatsperminute")


def read_tags(metadata: Mapping[str, str]) -> Tags:
    """Tags from a container's key-value pairs, whatever the format calls them; control characters are dropped."""
    plain = {re.sub(r"[^a-z0-9]", "", key.lower()): value for key, value in metadata.items()}
    found: dict[str, Any] = {}
    for field, keys in _TAG_KEYS.items():
        values = [value for key in keys if (value := _clean(plain.get(key, "")))]
        if field == "year":  # '1999', '1999-04-01', '19990401'
            years = [re.search(r"(?<!\d)([12]\d{3})(?:\d{4})?(?!\d)", value) for value in values]
            found[field] = next((int(year[1]) for year in years if year), None)
        elif field.endswith("_number"):  # '3', '3/12'
            numbers = [re.match(r"\d{1,6}", value) for value in values]
            found[field] = next((int(number[0]) for number in numbers if number), None)
        else:
            found[field] = values[0] if values else None
    return Tags(**found)


def read_tempo(metadata: Mapping[str, str]) -> float | None:
    """Beats a minute as a container's key-value pairs tell them; None for what is no tempo that music has."""
    for key, value in metadata.items():
        if re.sub(r"[^a-z0-9]", "", key.lower()) in _TEMPO_KEYS:
            found = re.match(r"\s*(\d{1,4}(?:[.,]\d{1,6})?)(?![\d.,:/e-])", value, re.ASCII)
            tempo = float(found[1].replace(",", ".")) if found else 0.0
            if SLOWEST <= tempo <= FASTEST:
                return tempo
    return None


def _clean(text: str) -> str:
    """Text that is safe to store and print: one line, no control characters, no lone surrogates, bounded."""
    if any("\udc80" <= c <= "\udcff" for c in text):  # not UTF-8, so of a time when most were Windows' Western
        text = text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    line = " ".join(text.split())
    kept = (c for c in line if unicodedata.category(c) not in ("Cc", "Cs") and c not in _DIRECTION_OVERRIDES)
    return "".join(kept).strip()[:_LONGEST]


_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
