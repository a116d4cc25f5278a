"""Are two tracks the same recording, in two encodings perhaps? Has a list a recording already?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from soundkin.catalogue import Track
from soundkin.fingerprint import same_recording

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

SECONDS, SHARE = 3.0, 0.02
"""Copies of a recording differ in length by at most 3 s (padding, a longer lead-out) or 2 %."""


class Distinct:
    """The recordings of a list so far; it begins with `kept`, tracks and their fingerprints."""

    def __init__(self, catalogue: Catalogue, kept: Iterable[tuple[Track, bytes | None]]) -> None:
        self._catalogue = catalogue
        self._prints: dict[int, bytes] = {}
        self._kept = list(kept)

    def expect(self, tracks: Iterable[Track]) -> None:
        """Fetch the fingerprints of tracks that may be asked about, at once."""
        self._prints.update(self._catalogue.fingerprints([t.id for t in tracks if t.id not in self._prints]))

    def has(self, track: Track) -> bool:
        """Whether the list has this recording already."""
        heard = self._prints.get(track.id)
        return any(_same(track, heard, other, other_heard) for other, other_heard in self._kept)

    def add(self, track: Track) -> None:
        self._kept.append((track, self._prints.get(track.id)))


def are_one(catalogue: Catalogue, tracks: Sequence[Track]) -> bool:
    """Whether all of some tracks are one recording."""
    prints = catalogue.fingerprints([track.id for track in tracks])
    first = tracks[0]
    return all(_same(first, prints.get(first.id), other, prints.get(other.id)) for other in tracks[1:])


def _same(a: Track, print_a: bytes | None, b: Track, print_b: bytes | None) -> bool:
    """Whether the content is the same, or the lengths are about equal and the fingerprints agree.

    Live, cover and remixed versions are other recordings, and so are two pieces by one composer. Fingerprints are
    compared only where the lengths allow it.
    """
    if a.content_id == b.content_id:
        return True
    if abs(a.duration - b.duration) > max(SECONDS, SHARE * max(a.duration, b.duration)):
        return False
    if not print_a or not print_b:
        return False
    return same_recording(print_a, print_b)
