"""Recommendations as playlists, where the order counts: a path from one song to another, and a radio that drifts.

What holds for the lists in `recommend` holds here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from soundkin.candidates import artist_of, best_first, check_at_least, may_answer
from soundkin.catalogue import Track
from soundkin.duplicates import Distinct
from soundkin.errors import InputError, NothingFitsError
from soundkin.index import BoolArray, FloatArray, Index, best
from soundkin.reasons import Heard, heard_in_rows, heard_in_seed, reasons
from soundkin.recommend import Recommendation
from soundkin.seeds import Seed

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue

ANCHOR = 0.5
"""Share of the seed in what a radio looks for next; the rest is what it played lately."""
MEMORY = 0.5
"""Share of what was played earlier in “lately”; the rest is the track played last."""
SPACING = 5
"""Rows after which an artist may come again in a radio."""
CHOICE = 4
"""Tracks among which a radio chooses at each step, each half as likely as the one before it."""
_PATIENCE = 512  # tracks that a radio looks at before it lets an artist come again early

CLOSENESS = 0.5
"""What the squared distance of a track from its place on the way counts in a path, beside 1 for a squared step."""
_CANDIDATES = 40  # tracks considered for each place on the way
_SAME_ARTIST = 100.0  # more than any path costs otherwise: a step has at most 4


# --- path ------------------------------------------------------------------------------------------------------------


def path(
    catalogue: Catalogue,
    index: Index,
    start: Seed,
    end: Seed,
    *,
    n: int = 12,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    no_duplicates: bool = True,
) -> list[Recommendation]:
    """`n` rows that lead from `start`, the first, to `end`, the last, in even steps and without repeats.

    The places between are spread evenly on the great circle through the two unit vectors. A track is a candidate for
    the place it is nearest to; of all ways through the candidates the one is taken whose steps, squared so that even
    ones are best, and distances from the places are smallest. The same artist comes twice in a row only where the
    candidates leave nothing else. `similarity`, the plain cosine, and reason are about
    the row before.
    """
    check_at_least(2, n=n)
    if start.track.content_id == end.track.content_id:
        raise InputError(f"a path leads from one track to another; both ends are {start.track.path}")
    first, last = heard_in_seed(index, start), heard_in_seed(index, end)
    allowed = may_answer(catalogue, index, [start, end], only=only, exclude=exclude)
    if n == 2 or not allowed.any():
        between: list[tuple[int, Track]] = []
    else:
        between = _between(catalogue, index, (start, first), (end, last), allowed, count=n - 2, distinct=no_duplicates)
    tracks = [start.track, *(track for _, track in between), end.track]
    rows = np.array([row for row, _ in between], np.int64)
    songs = [first, *heard_in_rows(catalogue, index, rows), last]
    found = [Recommendation(1, tracks[0], 1.0, "where the path begins")]
    for rank, (track, before, song) in enumerate(zip(tracks[1:], songs, songs[1:], strict=False), start=2):
        similarity = max(0.0, min(1.0, float(before.unit @ song.unit)))
        reason = reasons(index, [before], [song])[0]
        found.append(Recommendation(rank, track, similarity, reason.text, reason.passages))
    return found


def _between(
    catalogue: Catalogue,
    index: Index,
    start: tuple[Seed, Heard],
    end: tuple[Seed, Heard],
    allowed: BoolArray,
    *,
    count: int,
    distinct: bool,
) -> list[tuple[int, Track]]:
    """Rows and tracks between the two ends: `count`, or as many of `allowed` (n,) as there are."""
    (first, heard_first), (last, heard_last) = start, end
    while count := min(count, int(allowed.sum())):
        places = _great_circle(heard_first.unit, heard_last.unit, count=count)
        nearness = np.ascontiguousarray((index.vectors @ places.T).T)
        lists = _candidates(nearness, allowed)
        considered = [row for rows in lists for row in rows]
        found = catalogue.tracks(index.track_ids[considered].tolist())
        tracks = {int(index.rows(track.id)): track for track in found if not track.missing}
        unfit = [row for row in considered if row not in tracks]  # gone since the index was made
        if not unfit:
            chosen = _cheapest(
                [heard_first.unit[np.newaxis], *(index.vectors[rows] for rows in lists), heard_last.unit[np.newaxis]],
                [[first.track], *([tracks[row] for row in rows] for rows in lists), [last.track]],
                [1 - near[rows] for near, rows in zip(nearness, lists, strict=True)],
            )
            way = [(row := rows[i], tracks[row]) for rows, i in zip(lists, chosen, strict=True)]
            unfit = _copies(catalogue, [first, last], way) if distinct else []
        if not unfit:
            return way
        allowed[unfit] = False
    return []


def _great_circle(a: FloatArray, b: FloatArray, *, count: int) -> FloatArray:
    """(count, d) float32: points between the unit vectors `a` and `b` (d,), evenly spaced, the ends left out."""
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    across = b - (a @ b) * a
    if np.linalg.norm(across) < 1e-5:  # the same point, or opposite ones: any great circle will do
        across = np.eye(len(a), dtype=np.float32)[np.argmin(np.abs(a))]
        across -= (a @ across) * a
    share = np.arange(1, count + 1)[:, np.newaxis] / (count + 1)
    points: FloatArray = (np.cos(share * angle) * a + np.sin(share * angle) * _unit(across)).astype(np.float32)
    return points


def _candidates(nearness: FloatArray, allowed: BoolArray) -> list[list[int]]:
    """Rows for each place, best first, from `nearness` (places, n): no row twice, and no place without one.

    There must be at least as many `allowed` rows (n,) as places.
    """
    nearest = nearness.argmax(axis=0)
    k = max(_CANDIDATES, len(nearness))
    lists = [best(near, k=k, among=allowed & (nearest == place)).tolist() for place, near in enumerate(nearness)]
    for rows, near in zip(lists, nearness, strict=True):
        if not rows:  # nothing is nearest to this place: what is least far, from a place that can spare it
            spare = [(donor, row) for donor in lists if len(donor) > 1 for row in donor]
            donor, row = max(spare, key=lambda pair: near[pair[1]])
            donor.remove(row)
            rows.append(row)
    return lists


def _cheapest(
    units: Sequence[FloatArray], tracks: Sequence[Sequence[Track]], off_place: Sequence[FloatArray]
) -> list[int]:
    """Which candidate of each place between the ends makes the cheapest path (dynamic programming).

    `units` (k, d) and `tracks` (k) of each place begin and end with the one candidate for each end; `off_place` (k,)
    are the distances from the place, 1 − cosine, without the ends.
    """
    numbers: dict[str | None, int] = {None: -1}
    artists = [np.array([numbers.setdefault(artist_of(t), len(numbers)) for t in place]) for place in tracks]
    cost, came_from = np.zeros(1), []
    for i in range(1, len(units)):
        step = 2 - 2 * (units[i - 1] @ units[i].T).astype(np.float64)  # the squared distance of unit vectors
        same = (artists[i - 1][:, np.newaxis] == artists[i]) & (artists[i] >= 0)
        total = cost[:, np.newaxis] + step + _SAME_ARTIST * same
        if i <= len(off_place):
            total += 2 * CLOSENESS * off_place[i - 1]
        came_from.append(total.argmin(axis=0))
        cost = total.min(axis=0)
    chosen = [0]
    for back in reversed(came_from):
        chosen.append(int(back[chosen[-1]]))
    return chosen[-2:0:-1]


def _copies(catalogue: Catalogue, ends: Sequence[Seed], way: Sequence[tuple[int, Track]]) -> list[int]:
    """Rows of the way that repeat a recording."""
    distinct = Distinct(catalogue, [(end.track, end.fingerprint) for end in ends])
    distinct.expect(track for _, track in way)
    copies = []
    for row, track in way:
        if distinct.has(track):
            copies.append(row)
        else:
            distinct.add(track)
    return copies


# --- radio -----------------------------------------------------------------------------------------------------------


def radio(
    catalogue: Catalogue,
    index: Index,
    seed: Seed,
    *,
    n: int = 25,
    rng_seed: int = 0,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    no_duplicates: bool = True,
) -> list[Recommendation]:
    """`n` tracks in the order of play, the seed not among them, drifting slowly and never losing the seed.

    Each step looks near a mixture of the seed (ANCHOR) and what was played lately, and takes one of the CHOICE best at
    random; the same `rng_seed` gives the same radio. An artist comes again after SPACING rows at the earliest, sooner
    only where nothing else is near. `similarity` is to the seed; the reason is about the row before.
    """
    check_at_least(1, n=n)
    heard = heard_in_seed(index, seed)
    allowed = may_answer(catalogue, index, [seed], only=only, exclude=exclude)
    distinct = Distinct(catalogue, [(seed.track, seed.fingerprint)]) if no_duplicates else None
    rng = np.random.default_rng(rng_seed)
    played: list[tuple[int, Track]] = []
    lately = heard.unit
    while len(played) < n:
        score = index.similarities(_unit(ANCHOR * heard.unit + (1 - ANCHOR) * lately))
        recent = [artist_of(track) for track in [seed.track, *(track for _, track in played)][-SPACING:]]
        following = _next(catalogue, index, np.where(allowed, score, -np.inf), recent, distinct, rng)
        if following is None:
            break
        row, track = following
        allowed[row] = False
        played.append(following)
        if distinct:
            distinct.add(track)
        lately = _unit(MEMORY * lately + (1 - MEMORY) * index.vectors[row])
    if not played:
        raise NothingFitsError("nothing is left to answer with beside the seed and its copies")

    rows = np.array([row for row, _ in played], np.int64)
    songs = [heard, *heard_in_rows(catalogue, index, rows)]
    similarity = index.similarities(heard.unit)[rows]
    found = []
    for rank, ((_, track), before, song) in enumerate(zip(played, songs, songs[1:], strict=False), start=1):
        reason = reasons(index, [before], [song])[0]
        likeness = max(0.0, float(similarity[rank - 1]))
        found.append(Recommendation(rank, track, likeness, reason.text, reason.passages))
    return found


def _next(
    catalogue: Catalogue,
    index: Index,
    score: npt.NDArray[Any],
    recent: Sequence[str | None],
    distinct: Distinct | None,
    rng: np.random.Generator,
) -> tuple[int, Track] | None:
    """One of the CHOICE best by `score` (n,) whose artist is not among the `recent`, oldest first; None: nothing left.

    Where no such track is near, it is one whose artist was played longest ago.
    """
    fresh: list[tuple[int, Track]] = []
    others: list[tuple[int, Track]] = []
    looked_at = 0
    for chunk in best_first(catalogue, index, score):
        if distinct:
            distinct.expect(track for _, track in chunk)
        for row, track in chunk:
            if len(fresh) < CHOICE and not (distinct and distinct.has(track)):
                artist = artist_of(track)
                (others if artist is not None and artist in recent else fresh).append((row, track))
        looked_at += len(chunk)
        if len(fresh) == CHOICE or looked_at >= _PATIENCE:
            break
    if not fresh and others:
        ages = [recent[::-1].index(artist_of(track)) for _, track in others]
        fresh = [other for other, age in zip(others, ages, strict=True) if age == max(ages)][:CHOICE]
    if not fresh:
        return None
    odds = 0.5 ** np.arange(len(fresh))
    return fresh[int(rng.choice(len(fresh), p=odds / odds.sum()))]


def _unit(vector: FloatArray) -> FloatArray:
    """`vector` (d,) at length 1; a zero stays zero."""
    unit: FloatArray = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit
