"""Artists by name: one spelling each, and who else has a part in a clip."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from soundkin.catalogue import fold

# Names that stand for nobody, as `artist_key` writes them: their clips have nothing in common.
_NOBODY = frozenset({"variousartists", "various", "unknownartist", "unknown"})
_BETWEEN = re.compile(r"\s*[,;/&+]\s*|\s+(?:and|with|vs\.?|feat\.?|featuring|ft\.?)\s+", re.IGNORECASE)


def artist_key(name: str) -> str:
    """Equal for two spellings of one artist: case, accents, punctuation, '&' for 'and' and a leading 'The' are one."""
    folded = fold(name)
    plain = "".join(c for c in re.sub(r"[&+]", " and ", folded) if c.isalnum() or c == " ")
    words = plain.split()
    if len(words) > 1 and words[0] == "the":
        del words[0]
    return "".join(words) or folded  # '!!!' is an artist too


def tidy_artists(names: Iterable[str | None]) -> list[str | None]:
    """The names with one spelling an artist, the most frequent; None for nobody and for 'Various Artists'."""
    given = [" ".join(name.split()) if name else None for name in names]
    keys = [artist_key(name) if name else None for name in given]
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, key in zip(given, keys, strict=True):
        if name and key and key not in _NOBODY:
            spellings[key][name] += 1
    best = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    return [best.get(key) if key else None for key in keys]


def artists_in(names: Sequence[str | None]) -> list[frozenset[str]]:
    """For each name the keys of all artists in it that count: itself, and members that are named alone elsewhere.

    'Lauryn Hill and Bob Marley' is also Bob Marley where he has clips of his own; 'Simon & Garfunkel' stays one.
    """
    whole = {artist_key(name) for name in names if name}
    found = []
    for name in names:
        parts = {artist_key(part) for part in _BETWEEN.split(name) if part} & whole if name else set()
        found.append(frozenset(parts | {artist_key(name)} if name else parts))
    return found
