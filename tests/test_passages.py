"""What is kept of a track's excerpts, and what is said of the closest two of a pair."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue, Track
from soundkin.cli.output import print_recommendations
from soundkin.errors import InputError, LibraryCorruptError, ModelMismatchError
from soundkin.excerpts import Passages
from soundkin.journeys import path, radio
from soundkin.reasons import NOTHING_TO_SAY
from soundkin.recommend import Recommendation, similar
from soundkin.seeds import seed_of


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


# --- reasons ---------------------------------------------------------------------------------------------------------

SONG = {10: [1, 0, 0], 45: [0, 1, 0], 80: [1, 0.3, 0]}
"""Passages of a song, by the second where each begins."""


def ask(library: SmallLibrary, start: Track, **options: Any) -> dict[str, Recommendation]:
    seed = seed_of(library.catalogue, start, model_id=library.model.id)
    found = similar(library.catalogue, library.index(), [seed], no_duplicates=False, **options)
    return {one.track.title: one for one in found}


def test_the_closest_passages_are_named_where_they_are_far_closer_than_the_others(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue)
    start = library.add("start", [1, 1, 0], passages=SONG)
    library.add("one moment", [1, 1, 0.1], passages={5: [0, 0, 1], 90: [0, 1, 0.1], 125.4: [0, 0.5, 1]})
    library.add("all alike", [1, 1, 0.2], passages={5: [1, 1, 0], 90: [1, 0.9, 0], 130: [0.9, 1, 0]})
    library.add("one passage", [1, 1, 0.3], passages={5: [0, 1, 0]})
    library.add("from before", [1, 1, 0.4])
    found = ask(library, start)
    assert (found["one moment"].reason, found["one moment"].passages) == ("0:45 is like 1:30 here", (45, 90))
    for title in ("all alike", "one passage", "from before"):
        assert (found[title].reason, found[title].passages) == (NOTHING_TO_SAY, None)


def test_passages_come_after_the_tags(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue, tags=["jazz", "loud"])
    start = library.add("start", [1, 1, 0], passages=SONG, probabilities=[0.6, 0.9])
    heard = {61.6: [0, 0, 1], 90: [0, 1, 0]}
    library.add("both", [1, 1, 0.1], passages=heard, probabilities=[0.7, 0.9])
    library.add("no tags", [1, 1, 0.2], passages=heard)
    for number in range(6):
        library.add(f"filler {number}", [-1, 0, 1], probabilities=[0, 0.9])
    found = ask(library, start, n=2)
    assert found["both"].reason == "both: jazz; 0:45 is like 1:30 here"
    assert found["no tags"].reason == "0:45 is like 1:30 here"


def test_with_several_seeds_passages_say_nothing(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue, tags=["jazz"])
    seeds = [library.add(name, [1, 1, 0], passages=SONG, probabilities=[0.9]) for name in ("a", "b")]
    library.add("c", [1, 1, 0.1], passages=SONG, probabilities=[0.9])
    library.add("filler", [-1, 0, 1], probabilities=[0])
    library.add("filler too", [-1, 0, 1], probabilities=[0])
    songs = [seed_of(catalogue, seed, model_id="tiny-1") for seed in seeds]
    best = similar(catalogue, library.index(), songs, n=1, no_duplicates=False)[0]
    assert (best.reason, best.passages) == ("all: jazz", None)


def test_aspects_are_reason_enough(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue, aspects={"rhythm": slice(0, 3)})
    start = library.add("start", [1, 1, 0], passages=SONG)
    library.add("other", [1, 1, 0.1], passages=SONG)
    assert ask(library, start)["other"].passages is None


def test_a_path_and_a_radio_speak_of_the_song_before(catalogue: Catalogue) -> None:
    library = SmallLibrary(catalogue)
    songs = [library.add(str(i), [1, 0.1 * i, 0], passages={i: [1, 0, 0], 10 + i: [0, 1, 0]}) for i in range(4)]
    first, last = (seed_of(catalogue, songs[i], model_id="tiny-1") for i in (0, 3))
    way = path(catalogue, library.index(), first, last, n=4, no_duplicates=False)
    assert [one.passages for one in way] == [None, (0, 1), (1, 2), (2, 3)]
    assert way[2].reason == "0:01 is like 0:02 here"
    programme = radio(catalogue, library.index(), first, n=3, no_duplicates=False)
    starts = [0, *(one.track.id - 1 for one in programme)]
    assert [one.passages for one in programme] == list(itertools.pairwise(starts))


def test_the_passages_of_a_list_are_read_in_one_query(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    library = SmallLibrary(catalogue)
    songs = [library.add(str(i), [1, 0.1 * i, 0], passages=SONG) for i in range(12)]
    asked: list[list[int]] = []
    read = Catalogue.passages
    monkeypatch.setattr(Catalogue, "passages", lambda self, model, ids: asked.append(ids) or read(self, model, ids))
    ask(library, songs[0], n=5)
    assert [len(ids) for ids in asked] == [1, 5]  # the seed, the list


def test_json_has_the_two_times_as_numbers(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    library = SmallLibrary(catalogue)
    start = library.add("start", [1, 1, 0], passages=SONG)
    library.add("one moment", [1, 1, 0.1], passages={5: [0, 0, 1], 90.25: [0, 1, 0.1], 120: [0, 0.5, 1]})
    library.add("from before", [1, 1, 0.4])
    print_recommendations([*ask(library, start).values()], n=2, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["passages"] for row in rows] == [[45.0, 90.25], None]
