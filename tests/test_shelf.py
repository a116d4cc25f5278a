"""Searching and browsing what is in memory, and when that is made anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.errors import NothingFitsError, UnknownNameError
from soundkin.fresh import Fresh
from soundkin.library import Library
from soundkin.shelf import GenreCount, Shelf


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallLibrary]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield SmallLibrary(catalogue, tags=["jazz", "piano"])


@pytest.fixture
def library(small: SmallLibrary) -> Library:
    rows = (
        ("1", "Moon", "Ada", "Tides", "Jazz", 30.0, (0.9, 0.9)),
        ("2", "Moonlight", None, None, "jazz", 10.0, (0.8, 0.1)),
        ("3", "Blue Moon", "Été", "Tides", "Rock", 20.0, (0.1, 0.0)),
        ("4", "Honeymoon", "Moon Duo", "Zero", None, 40.0, None),
        ("5", "Blue", "Ada", "Ära", "Jazz", 50.0, (0.0, 0.0)),
    )
    for number, (name, title, artist, album, genre, duration, heard) in enumerate(rows):
        small.add(
            name,
            [number, 1, 0],
            title=title,
            artist=artist,
            album=album,
            genre=genre,
            duration=duration,
            probabilities=heard,
        )
    return Library(small.catalogue, model="tiny-1")


def titles(tracks) -> list[str]:  # type: ignore[no-untyped-def]
    return [track.title for track in tracks]


def test_the_closest_come_first(library: Library) -> None:
    found = library.search("MOON")
    assert titles(found.tracks) == ["Moon", "Moonlight", "Honeymoon", "Blue Moon"]  # title, title, artist, word
    assert found.total == 4


def test_every_word_must_be_there_and_accents_need_not(library: Library) -> None:
    assert titles(library.search("blue ete").tracks) == ["Blue Moon"]
    assert titles(library.search("tides moon").tracks) == ["Blue Moon", "Moon"]
    assert library.search("moon nothing").total == 0
    assert library.search("  ").total == 0
    assert library.search("%").total == 0


def test_pages_of_a_search_are_its_parts(library: Library) -> None:
    whole = library.search("moon", limit=10).tracks
    parts = [library.search("moon", limit=1, offset=i) for i in range(5)]
    assert [track for part in parts for track in part.tracks] == whole
    assert {part.total for part in parts} == {4}


@pytest.mark.parametrize("prepared", [False, True])
def test_it_finds_what_the_catalogue_finds(library: Library, prepared: bool) -> None:
    if prepared:
        library.shelf().prepare()
    for words in ("moon", "blue", "a", "ada blue", "5", "duo zero", "é"):
        found = {track.id for track in library.catalogue.search(words, limit=100)}
        assert {track.id for track in library.search(words, limit=100).tracks} == found, words


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("title", "53412"),  # Blue, Blue Moon, Honeymoon, Moon, Moonlight
        ("artist", "51342"),
        ("added", "54321"),
        ("duration", "23145"),
        ("path", "12345"),
    ],
)
def test_orders(library: Library, order: str, expected: str) -> None:
    found = library.browse(order=order)
    assert "".join(track.path.stem for track in found.tracks) == expected
    assert found.total == 5
    parts = [library.browse(order=order, offset=i, limit=2).tracks for i in (0, 2, 4)]
    assert [track for part in parts for track in part] == found.tracks


def test_an_unknown_order_says_which_there_are(library: Library) -> None:
    with pytest.raises(UnknownNameError, match="title"):
        library.browse(order="colour")


def test_filters_narrow_what_is_browsed(library: Library) -> None:
    assert titles(library.browse(order="added", only=["genre:jazz"]).tracks) == ["Blue", "Moonlight", "Moon"]
    found = library.browse(order="added", only=["tag:jazz"], exclude=["title:moonlight"], limit=1)
    assert titles(found.tracks) == ["Moon"] and found.total == 1
    assert library.browse(only=["genre:nothing"]).total == 0


def test_tags_count_what_their_filter_takes(library: Library) -> None:
    counts = {one.label: one.tracks for one in library.tag_counts()}
    assert counts == {tag: library.browse(only=[f"tag:{tag}"]).total for tag in ("jazz", "piano")}
    assert counts["jazz"] == 2


def test_known_tags_are_those_that_were_heard(library: Library) -> None:
    one, without = library.catalogue.search("moonlight")[0], library.catalogue.search("honeymoon")[0]
    assert [(tag.label, round(tag.probability, 3)) for tag in library.known_tags(one)] == [
        ("jazz", 0.8),
        ("piano", 0.1),
    ]
    assert library.known_tags(without) == []


def test_genres_are_counted_in_their_usual_spelling(library: Library) -> None:
    assert library.shelf().genres == (GenreCount("Jazz", 3), GenreCount("Rock", 1))


def test_an_empty_library_has_nothing_and_says_so(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.db") as library:
        assert library.search("a").total == library.browse().total == 0
        assert library.tag_counts() == []
        assert library.shelf().genres == ()
        for order in ("artist", "path", "duration"):
            assert len(library.shelf().order(order)) == 0


def test_what_was_prepared_is_prepared_again_when_the_library_changes(library: Library) -> None:
    assert not library.shelf().prepared
    library.prepare_search()
    library.catalogue.mark_missing([1])
    library.refresh()
    assert library.shelf().prepared
    assert titles(library.search("moon").tracks) == ["Moonlight", "Honeymoon", "Blue Moon"]


def test_missing_tracks_are_not_found(library: Library) -> None:
    library.catalogue.mark_missing([1])
    assert titles(library.search("moon").tracks) == ["Moonlight", "Honeymoon", "Blue Moon"]
    shelf = library.shelf()
    library.catalogue.mark_missing([2])
    assert len(shelf) == 4
    assert library.shelf() is not shelf


def test_filters_that_let_none_pass_have_their_own_error(library: Library) -> None:
    with pytest.raises(NothingFitsError):
        library.similar(1, only=["genre:nothing"])


# --- Fresh -----------------------------------------------------------------------------------------------------------


def test_a_value_is_made_once_for_each_state() -> None:
    fresh, made = Fresh[int](), []
    assert not fresh.made
    for state in ("a", "a", "b", "b", "a"):
        fresh.get(state, lambda: made.append(1) or len(made))
    assert len(made) == 3 and fresh.made


def test_many_threads_make_it_once() -> None:
    fresh, made, start = Fresh[int](), [], threading.Barrier(8)

    def ask() -> None:
        start.wait()
        fresh.get("state", lambda: made.append(1) or 1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_with_patience_the_old_value_answers_while_the_new_one_is_made() -> None:
    fresh, go = Fresh[str](), threading.Event()
    assert fresh.get(1, lambda: "one", patience=1e-9) == "one"

    def make() -> str:
        assert go.wait(30)
        return "two"

    assert fresh.get(2, make, patience=1e-9) == "one"
    assert fresh.get(2, make, patience=1e-9) == "one"
    go.set()
    assert fresh.get(2, make) == "two"  # without patience it is waited for


def test_with_patience_a_value_is_not_made_too_often() -> None:
    fresh = Fresh[str]()
    fresh.get(1, lambda: "one")
    assert fresh.get(2, pytest.fail, patience=1000) == "one"


def test_a_value_that_cannot_be_used_any_more_is_not_patient() -> None:
    fresh = Fresh[str]()
    fresh.get(1, lambda: "one")
    assert fresh.get(2, lambda: "two", patience=1000, usable=lambda value: value != "one") == "two"


def test_a_failure_behind_keeps_the_old_value(caplog: pytest.LogCaptureFixture) -> None:
    fresh = Fresh[str]()
    fresh.get(1, lambda: "one")

    def fail() -> str:
        raise OSError("no")

    while fresh._behind is None:  # for a tenth of the time only
        assert fresh.get(2, fail, patience=1e-9) == "one"
    fresh._behind.join(30)
    assert fresh.get(2, fail, patience=1000) == "one"
    assert "up to date" in caplog.text


def test_a_patient_library_is_up_to_date_after_it_was_refreshed(small: SmallLibrary, library: Library) -> None:
    library.patience = 1000.0
    assert library.search("moon").total == 4
    assert len(library.index()) == 5
    small.add("6", [0, 0, 1], title="Moon again")
    assert library.search("moon").total == 4 and len(library.index()) == 5
    library.refresh()
    assert library.search("moon").total == 5 and len(library.index()) == 6


def test_a_shelf_is_by_title(library: Library) -> None:
    shelf = Shelf.load(library.catalogue)
    assert shelf.texts == sorted(shelf.texts) and len(shelf) == 5
