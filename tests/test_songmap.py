"""The map of a library: near is alike, the same again, and never a jump."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.songmap import lay_out, make_map, neighbours

Vectors = npt.NDArray[np.float32]


def clusters(n: int, *, count: int = 3, d: int = 8, seed: int = 0) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """`n` vectors of unit length around `count` directions, and which one each is around."""
    rng = np.random.default_rng(seed)
    which = np.arange(n) % count
    vectors = 3 * np.eye(count, d)[which] + 0.3 * rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), which


def share_of_own(positions: Vectors, which: npt.NDArray[np.int64], *, k: int = 3) -> float:
    """Of the `k` that lie nearest to each, the share that are of its own cluster."""
    distances = np.linalg.norm(positions[:, np.newaxis] - positions, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :k]
    return float((which[nearest] == which[:, np.newaxis]).mean())


@pytest.mark.parametrize(("n", "k"), [(2, 1), (50, 15), (700, 5), (2500, 15)])
def test_neighbours_are_the_nearest_others(n: int, k: int) -> None:
    vectors, _ = clusters(n, seed=n)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    expected = np.sort(np.argsort(-cosine, axis=1)[:, :k], axis=1)
    found, distances = neighbours(vectors, k=k)
    assert found.shape == distances.shape == (n, k)
    rows = np.arange(n)[:, np.newaxis]  # two that are equally far may change places
    np.testing.assert_allclose(np.sort(cosine[rows, found], axis=1), np.sort(cosine[rows, expected], axis=1), atol=1e-6)
    assert all(len(set(row)) == k for row in found.tolist())
    np.testing.assert_allclose(distances, np.linalg.norm(vectors[rows] - vectors[found], axis=2), atol=1e-3)


@pytest.mark.parametrize("n", [*range(9), 11, 12, 13, 20, 50])
def test_any_number_of_tracks_has_a_map(n: int) -> None:
    positions = lay_out(clusters(n)[0])
    assert positions.shape == (n, 2) and positions.dtype == np.float32
    assert np.isfinite(positions).all()
    assert len({tuple(row) for row in positions.tolist()}) == n


@pytest.mark.parametrize("n", [3, 30])
def test_tracks_that_are_all_one_have_a_map(n: int) -> None:
    assert np.isfinite(lay_out(np.zeros((n, 5), np.float32))).all()
    assert np.isfinite(lay_out(np.full((n, 1), 1, np.float32))).all()


@pytest.mark.parametrize("n", [9, 40, 300])
def test_what_is_alike_lies_together(n: int) -> None:
    vectors, which = clusters(n)
    assert share_of_own(lay_out(vectors), which, k=2) > 0.95


def test_the_same_vectors_give_the_same_map() -> None:
    vectors, _ = clusters(120)
    once = lay_out(vectors)
    assert np.array_equal(once, lay_out(vectors.copy()))


def test_progress_rises_to_one_and_may_end_the_making() -> None:
    vectors, _ = clusters(60)
    told: list[float] = []
    lay_out(vectors, on_progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 20

    def stop(share: float) -> None:
        if share > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        lay_out(vectors, on_progress=stop)


# --- in a library ----------------------------------------------------------------------------------------------------


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "library.db") as opened:
        yield opened


def filled(catalogue: Catalogue, vectors: Vectors) -> SmallLibrary:
    small = SmallLibrary(catalogue, dimension=vectors.shape[1])
    for number, vector in enumerate(vectors):
        small.add(f"{number:03}", vector.tolist())
    return small


def test_a_map_is_kept_and_not_made_twice(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    small = filled(catalogue, clusters(30)[0])
    assert catalogue.song_maps.get("tiny-1") is None and catalogue.song_maps.outline("tiny-1") is None
    made = make_map(catalogue, small.index())
    kept = catalogue.song_maps.get("tiny-1")
    assert kept is not None and len(kept) == 30
    assert np.array_equal(kept.positions, made.positions) and np.array_equal(kept.track_ids, made.track_ids)
    assert kept.generation == catalogue.generation()
    assert catalogue.song_maps.outline("tiny-1") == (kept.generation, 30)
    catalogue.mark_missing([1])
    catalogue.mark_present([1])
    monkeypatch.setattr("soundkin.songmap.lay_out", None)  # the vectors are as they were
    again = make_map(catalogue, small.index())
    assert again.generation == catalogue.generation() > kept.generation
    assert np.array_equal(again.positions, kept.positions)


def test_a_map_goes_on_from_the_one_before(catalogue: Catalogue) -> None:
    vectors, which = clusters(90)
    small = filled(catalogue, vectors[:80])
    old = make_map(catalogue, small.index())
    for number, vector in enumerate(vectors[80:], start=80):
        small.add(f"{number:03}", vector.tolist())
    catalogue.mark_missing([5])
    new = make_map(catalogue, small.index())
    assert len(new) == 89 and 5 not in new.track_ids
    shared = np.isin(old.track_ids, new.track_ids)
    moved = np.linalg.norm(new.positions[:79] - old.positions[shared], axis=1)
    width = float(np.ptp(old.positions, axis=0).max())
    assert np.median(moved) < 0.1 * width, "tracks that were there have jumped"
    assert share_of_own(new.positions, np.delete(which, 4)) > 0.95


def test_a_map_of_mostly_new_tracks_is_made_afresh(catalogue: Catalogue) -> None:
    vectors, _ = clusters(60)
    small = filled(catalogue, vectors[:20])
    make_map(catalogue, small.index())
    for number, vector in enumerate(vectors[20:], start=20):
        small.add(f"{number:03}", vector.tolist())
    made = make_map(catalogue, small.index())
    assert np.array_equal(made.positions, lay_out(small.index().vectors))


def test_a_map_goes_with_its_model(catalogue: Catalogue) -> None:
    small = filled(catalogue, clusters(15)[0])
    make_map(catalogue, small.index())
    catalogue.forget_model("tiny-1")
    assert catalogue.song_maps.get("tiny-1") is None and catalogue.check() == []


def test_a_damaged_map_is_as_good_as_none(catalogue: Catalogue) -> None:
    small = filled(catalogue, clusters(15)[0])
    make_map(catalogue, small.index())
    with catalogue._write() as connection:
        connection.exec_driver_sql("UPDATE song_maps SET positions = x'00'")
    assert catalogue.song_maps.get("tiny-1") is None
    assert len(make_map(catalogue, small.index())) == 15
