"""Is this the same recording? A coarse acoustic fingerprint that survives re-encoding, gain and small offsets.

After Haitsma & Kalker, “A Highly Robust Audio Fingerprinting System” (ISMIR 2002): one bit says whether the energy
difference of two neighbouring bands grew since the last frame. Frames carry their time in the track, so two
fingerprints are compared at equal times, whatever excerpts they were made from, with one common offset between
them (another encoder's padding, a longer lead-in). Two performances of a song, or two piano pieces by one composer,
differ in half of the bits.
"""

from __future__ import annotations

import functools
import struct

import numpy as np
import numpy.typing as npt

from soundkin.excerpts import Excerpt
from soundkin.spectrogram import power_spectrum

HOP = 0.1  # s from frame to frame
WINDOW = 0.37  # s, as in the paper
BANDS = np.geomspace(200.0, 4000.0, 18)  # Hz: edges of 17 bands, so 16 bits a frame
LONGEST = 60.0  # s of a track that are worth fingerprinting: 1.2 kB
OFFSETS = 30  # hops, either way: 3 s
SAME_BELOW = 0.35  # share of differing bits, the paper's threshold
ENOUGH = 80  # frames that must overlap: 8 s

_LATEST = round(7 * 24 * 3600 / HOP)  # no track lasts a week
_HEAD = struct.Struct("<IH")  # first frame's number, count of frames; then `count` codes of 16 bits


def fingerprint(excerpt: Excerpt, *, sr: int) -> bytes:
    """Fingerprint of one excerpt (mono float32 at `sr` Hz): 20 bytes a second, empty below half a second.

    The fingerprint of a track is the concatenation of those of some of its excerpts.
    """
    codes = _codes(excerpt.y, sr=sr)
    return _HEAD.pack(round(excerpt.start / HOP), len(codes)) + codes.tobytes() if len(codes) else b""


def same_recording(a: bytes, b: bytes) -> bool:
    """Whether two fingerprints come from one recording; False when too little of them overlaps in time."""
    return difference(a, b) < SAME_BELOW


def difference(a: bytes, b: bytes) -> float:
    """Share of differing bits at the best common offset: near 0 the same, near 0.5 unrelated; 1 not comparable."""
    times_a, codes_a = unpack(a)
    times_b, codes_b = unpack(b)
    if len(times_a) < ENOUGH or len(times_b) < ENOUGH:
        return 1.0
    last = int(max(times_a[-1], times_b[-1])) + 2 * OFFSETS + 1
    at = np.zeros(last, np.uint16)  # code of b at each time, 0 where b was not heard
    at[times_b + OFFSETS] = codes_b
    offsets = np.arange(2 * OFFSETS + 1)[:, None]
    sounding = codes_a > 0  # no bit at all is digital silence, in which all music is alike
    other = at[times_a[sounding] + offsets]
    heard = other > 0
    differing = np.bitwise_count(other ^ codes_a[sounding]) * heard
    frames = np.count_nonzero(heard, axis=1)
    share = np.where(frames >= ENOUGH, differing.sum(axis=1) / np.maximum(16 * frames, 1), 1.0)
    return float(share.min())


def _codes(y: npt.NDArray[np.float32], *, sr: int) -> npt.NDArray[np.uint16]:
    """(frames - 1,) codes of `y` (n,), bit k from bands k and k + 1."""
    window, hop = _window(sr), HOP * sr
    count = int((len(y) - window) / hop) + 1
    if count < 2:
        return np.empty(0, np.uint16)
    begins = np.round(np.arange(count) * hop).astype(int)
    frames = np.stack([y[begin : begin + window] for begin in begins])
    spectrum = power_spectrum(frames)
    energy = np.add.reduceat(spectrum[:, : _edges(window, sr)[-1]], _edges(window, sr)[:-1], axis=1)
    grew = np.diff(energy[:, :-1] - energy[:, 1:], axis=0) > 0
    return np.ascontiguousarray(grew @ (1 << np.arange(16))).astype("<u2")


@functools.lru_cache(maxsize=4)
def _window(sr: int) -> int:
    """WINDOW in samples, a little longer: a length with a large prime factor would take ten times as long."""
    import scipy.fft

    return int(scipy.fft.next_fast_len(round(WINDOW * sr), real=True))


@functools.lru_cache(maxsize=4)
def _edges(window: int, sr: int) -> npt.NDArray[np.intp]:
    return np.searchsorted(np.fft.rfftfreq(window, 1 / sr), BANDS)


@functools.lru_cache(maxsize=64)  # a seed is compared with one song after the other
def unpack(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """Times (n,) in hops, ascending, and codes (n,) of a fingerprint, both not to be changed.

    Damaged data gives what can be read of it.
    """
    times, codes, position = [], [], 0
    while position + _HEAD.size <= len(data):
        first, count = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        count = min(count, (len(data) - position) // 2)
        if first < _LATEST:  # else it is no fingerprint, and `difference` would take memory for all the time before
            codes.append(np.frombuffer(data, "<u2", count, position))
            times.append(first + np.arange(count))
        position += 2 * count
    if not times:
        return np.empty(0, np.int64), np.empty(0, np.uint16)
    joined = np.concatenate(times)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(codes).astype(np.uint16)[order]
