"""Which of many fingerprints are of one recording: found by the words they share, then compared in full.

The look-up of Haitsma & Kalker (ISMIR 2002, section 4.2): two codes in a row are a word of 32 bits, which unrelated
music hardly ever shares, and two encodings of one recording share many times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from soundkin.fingerprint import same_recording, unpack

_SHARED = 3  # words that two fingerprints must share to be compared
_COMMON = 20  # a word in more clips than this is a drone or a click, and tells nothing


def same_recordings(prints: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Pairs of names whose fingerprints come from one recording. About a second for ten thousand tracks."""
    names = [name for name, heard in prints.items() if heard]
    words, owners = [], []
    for number, name in enumerate(names):
        found = _words(prints[name])
        words.append(found)
        owners.append(np.full(len(found), number, np.int64))
    if not words:
        return []
    joined = np.concatenate(words)
    order = np.argsort(joined, kind="stable")
    joined, owner = joined[order], np.concatenate(owners)[order]
    starts = np.flatnonzero(np.r_[True, joined[1:] != joined[:-1]])
    lengths = np.diff(np.r_[starts, len(joined)])
    shared: Counter[tuple[int, int]] = Counter()
    for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
        if length <= _COMMON:
            shared.update(combinations(owner[start : start + length].tolist(), 2))
    pairs = [(names[a], names[b]) for (a, b), number in shared.items() if number >= _SHARED]
    return [(a, b) for a, b in pairs if same_recording(prints[a], prints[b])]


def _words(heard: bytes) -> npt.NDArray[np.int64]:
    """The different words of one fingerprint; codes that are digital silence are in none."""
    times, codes = unpack(heard)
    wide = codes.astype(np.int64)
    follows = (np.diff(times) == 1) & (wide[:-1] > 0) & (wide[1:] > 0)
    return np.unique(((wide[:-1] << 16) | wide[1:])[follows])


def joined(groups: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    """Groups that have no member in common, in the order of their first members; groups of one are left out."""
    leader: dict[str, str] = {}

    def lead(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for group in groups:
        first = None
        for name in group:
            leader.setdefault(name, name)
            first = first or lead(name)
            leader[lead(name)] = first
    members: dict[str, list[str]] = {}
    for name in leader:
        members.setdefault(lead(name), []).append(name)
    return [tuple(group) for group in members.values() if len(group) > 1]
