"""Is a track the same recording as one that is in the list already?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from soundkin.catalogue import Track
from soundkin.fingerprint import same_recording
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

SECONDS, SHARE = 3.0, 0.02
"""Copies of a recording differ in length by at most 3 s (padding, a longer lead-out) or 2 %."""


class Distinct:
    """The recordings of a list so far, beginning with its seeds.

    Two tracks are the same recording when their content is the same, or when they are about as long as each other and
    their fingerprints agree. Live, cover and remixed versions are other recordings, and so are two pieces by one
    composer. Fingerprints are compared only where the lengths allow it.
    """

    def __init__(self, catalogue: Catalogue, seeds: Iterable[Seed]) -> None:
        self._catalogue = catalogue
        self._prints: dict[int, bytes] = {}
        self._kept: list[tuple[Track, bytes | None]] = [(seed.track, seed.fingerprint) for seed in seeds]

    def expect(self, tracks: Iterable[Track]) -> None:
        """Fetch the fingerprints of tracks that may be asked about, at once."""
        self._prints.update(self._catalogue.fingerprints([t.id for t in tracks if t.id not in self._prints]))

    def has(self, track: Track) -> bool:
        """Whether the list has this recording already."""
        heard = self._prints.get(track.id)
        return any(_same(track, heard, other, other_heard) for other, other_heard in self._kept)

    def add(self, track: Track) -> None:
        self._kept.append((track, self._prints.get(track.id)))


def _same(a: Track, print_a: bytes | None, b: Track, print_b: bytes | None) -> bool:
    if a.content_id == b.content_id:
        return True
    if abs(a.duration - b.duration) > max(SECONDS, SHARE * max(a.duration, b.duration)):
        return False
    if not print_a or not print_b:
        return False
    return same_recording(print_a, print_b)
