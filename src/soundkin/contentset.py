"""A compact set of content identities, small enough to hand to every worker process."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


class ContentSet:
    """Content identities (32 hexadecimal digits each) in 16 bytes apiece; answers `content_id in known`.

    100,000 of them pickle to 1.6 MB, where a frozenset of strings takes nine times as much memory in each process.
    """

    __slots__ = ("_sorted",)

    def __init__(self, content_ids: Iterable[str] = ()) -> None:
        self._sorted: npt.NDArray[np.bytes_] = np.sort(np.frombuffer(bytes.fromhex("".join(content_ids)), dtype="S16"))

    def __contains__(self, content_id: object) -> bool:
        if not isinstance(content_id, str) or len(content_id) != 32:
            return False
        try:
            key = np.frombuffer(bytes.fromhex(content_id), dtype="S16")
        except ValueError:  # not hexadecimal digits: no identity at all
            return False
        if not len(key):
            return False
        place = int(np.searchsorted(self._sorted, key[0]))
        return place < len(self._sorted) and bool(self._sorted[place] == key[0])

    def __len__(self) -> int:
        return len(self._sorted)
