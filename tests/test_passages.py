"""What is kept of a track's excerpts, and what is said of the closest two of a pair."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.errors import InputError, LibraryCorruptError, ModelMismatchError
from soundkin.excerpts import Passages


@pytest.fixture
def catalogue(tmp_path: Path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_passages_come_back_rounded_to_a_byte_a_number(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue, dimension=192)
    rng = np.random.default_rng(0)
    rows = {1.25: rng.normal(0, 1, 192), 30.0: rng.normal(0, 1e-3, 192), 95.5: np.zeros(192), 99.0: np.ones(192) * 1e30}
    track = library.add("a", [1] * 192, passages=rows)
    found = catalogue.passages("tiny-1", [track.id])[track.id]
    assert found.start.dtype == found.vectors.dtype == np.float32
    assert found.start.tolist() == list(rows)
    for kept, row in zip(found.vectors, rows.values(), strict=True):
        np.testing.assert_allclose(kept, row, rtol=1e-6, atol=np.abs(row).max() / 253)


def test_passages_are_of_content_and_model(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue)
    a = library.add("a", [1, 0, 0], passages={1: [1, 0, 0]})
    copy = library.add("copy", [1, 0, 0], content="a", passages={1: [1, 0, 0]})
    none = library.add("b", [1, 0, 0])
    found = catalogue.passages("tiny-1", [copy.id, none.id, a.id, 77])
    assert {i: one.start.tolist() for i, one in found.items()} == {a.id: [1], copy.id: [1]}
    assert catalogue.passages("other-1", [a.id]) == {}
    assert catalogue.passages("tiny-1", []) == {}


def test_a_new_analysis_replaces_the_passages_of_the_old(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue)
    track = library.add("a", [1, 0, 0], passages={1: [1, 0, 0], 2: [0, 1, 0]})
    library.add("a", [0, 1, 0], passages={5: [0, 1, 0]})
    assert catalogue.passages("tiny-1", [track.id])[track.id].start.tolist() == [5]
    library.add("a", [0, 0, 1])
    assert catalogue.passages("tiny-1", [track.id]) == {}


def test_passages_leave_the_library_with_their_track(catalogue: Catalogue) -> None:
    track = SmallLibrary(catalogue).add("a", [1, 0, 0], passages={1: [1, 0, 0]})
    catalogue.mark_missing([track.id])
    catalogue.prune()
    with sqlite3.connect(catalogue.path) as connection:
        assert connection.execute("SELECT count(*) FROM passages").fetchone() == (0,)
    connection.close()


def test_passages_that_cannot_be_kept_are_refused_and_nothing_is_stored(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue)
    with pytest.raises(InputError, match=r"passages must be finite numbers; those of .*a\.mp3"):
        library.add("a", [1, 0, 0], passages={1: [1, np.nan, 0]})
    with pytest.raises(ModelMismatchError, match=r"passages of tiny-1 must have the shape \(1, 3\), not \(1, 2\)"):
        library.add("a", [1, 0, 0], passages={1: [1, 0]})
    assert catalogue.list_tracks() == []


def test_passages_of_another_length_are_damage(catalogue: Catalogue) -> None:
    track = SmallLibrary(catalogue).add("a", [1, 0, 0], passages={1: [1, 0, 0]})
    with sqlite3.connect(catalogue.path) as connection:
        connection.execute("UPDATE passages SET excerpts = x'00'")
    connection.close()
    with pytest.raises(LibraryCorruptError, match="passages of another length"):
        catalogue.passages("tiny-1", [track.id])
    assert catalogue.check() == ["1 sets of passages are cut off"]


def test_a_track_of_two_hours_takes_little_room(catalogue: Catalogue) -> None:
    """What `Analysis` promises by MOST_PASSAGES, at 200 bytes each."""
    analysis = SmallLibrary(catalogue, dimension=192).analysis("a", [1] * 192)
    long = Passages(np.arange(24, dtype=np.float32), np.ones((24, 192), np.float32))
    catalogue.record(dataclasses.replace(analysis, passages=long), size=1, mtime_ns=1)
    with sqlite3.connect(catalogue.path) as connection:
        assert connection.execute("SELECT sum(length(excerpts)) FROM passages").fetchone() == (4800,)
    connection.close()
