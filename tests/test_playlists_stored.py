"""Playlists that the library keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.errors import InputError, PlaylistChangedError, SeedError, UnknownPlaylistError


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """Five tracks, 'a' to 'e', of 100 s each."""
    with Catalogue.open(tmp_path / "library.db") as opened:
        small = SmallLibrary(opened)
        for name in "abcde":
            small.add(name, [1, 2, 3], duration=100.0)
        yield opened


def names(catalogue: Catalogue, playlist_id: int) -> str:
    return "".join(track.path.stem for track in catalogue.playlists.tracks(playlist_id))


def test_a_playlist_keeps_its_order_and_what_is_in_it_twice(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("  Late\n evening ", [3, 1, 3, 2])
    assert (made.name, made.count, made.duration) == ("Late evening", 4, 400.0)
    assert names(catalogue, made.id) == "cacb"
    playlist, tracks = catalogue.playlists.whole(made.id)
    assert playlist == made == catalogue.playlists.get(made.id)
    assert [track.id for track in tracks] == [3, 1, 3, 2]
    with Catalogue.open(catalogue.path) as again:
        assert again.playlists.all() == [made]


def test_an_empty_playlist_is_one_too(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Empty")
    assert (made.count, made.duration) == (0, 0.0)
    assert catalogue.playlists.tracks(made.id) == []


def test_the_one_changed_last_comes_first(catalogue: Catalogue) -> None:
    one, other = catalogue.playlists.create("One", [1]), catalogue.playlists.create("Other", [2])
    assert [each.name for each in catalogue.playlists.all()] == ["Other", "One"]
    catalogue.playlists.change(one.id, track_ids=[4, 5])
    assert [each.name for each in catalogue.playlists.all()] == ["One", "Other"]
    assert names(catalogue, one.id) == "de" and names(catalogue, other.id) == "b"


def test_a_change_leaves_what_it_does_not_name(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Mine", [1, 2])
    renamed = catalogue.playlists.change(made.id, name="Yours")
    assert (renamed.name, renamed.created) == ("Yours", made.created) and names(catalogue, made.id) == "ab"
    catalogue.playlists.change(made.id, track_ids=[])
    assert (catalogue.playlists.get(made.id).name, names(catalogue, made.id)) == ("Yours", "")


def test_of_two_changes_to_one_version_the_second_is_refused(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Mine", [1])
    first = catalogue.playlists.change(made.id, track_ids=[1, 2], updated=made.updated)
    assert first.updated > made.updated
    with pytest.raises(PlaylistChangedError, match="changed elsewhere"):
        catalogue.playlists.change(made.id, track_ids=[1, 3], updated=made.updated)
    assert names(catalogue, made.id) == "ab"
    catalogue.playlists.change(made.id, track_ids=[1, 3], updated=first.updated)
    assert names(catalogue, made.id) == "ac"


def test_versions_differ_even_where_the_clock_stands_still(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundkin.catalogue.playlists.time.time", lambda: 1000.0)
    made = catalogue.playlists.create("Mine")
    versions = [made.updated] + [catalogue.playlists.change(made.id, name=name).updated for name in "xyz"]
    assert len(set(versions)) == 4 and versions == sorted(versions)


def test_a_pruned_track_leaves_the_list_and_a_missing_one_stays(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Mine", [5, 2, 4, 2, 1])
    catalogue.mark_missing([2])
    assert names(catalogue, made.id) == "ebdba"
    assert [track.missing for track in catalogue.playlists.tracks(made.id)] == [False, True, False, True, False]
    assert catalogue.prune() == 1
    assert names(catalogue, made.id) == "eda" and catalogue.playlists.get(made.id).count == 3
    assert catalogue.check() == []


def test_a_deleted_playlist_is_gone_and_its_id_is_not_used_again(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Mine", [1, 2])
    catalogue.playlists.delete(made.id)
    assert catalogue.playlists.all() == [] and catalogue.check() == []
    for ask in (
        lambda: catalogue.playlists.get(made.id),
        lambda: catalogue.playlists.tracks(made.id),
        lambda: catalogue.playlists.change(made.id, name="x"),
        lambda: catalogue.playlists.delete(made.id),
    ):
        with pytest.raises(UnknownPlaylistError, match=rf"no playlist with the id {made.id}"):
            ask()
    assert catalogue.playlists.create("Next").id > made.id


@pytest.mark.parametrize("name", ["", " \n\t", "x" * 201, "a\0b"])
def test_names_that_cannot_be(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(InputError, match="1 to 200 characters"):
        catalogue.playlists.create(name)
    assert catalogue.playlists.all() == []


def test_a_name_is_kept_as_it_is(catalogue: Catalogue) -> None:
    for name in ("<img src=x onerror=alert(1)>", "夜 · 🎧", "a\udcffb"):
        assert catalogue.playlists.get(catalogue.playlists.create(name).id).name == name


def test_unknown_tracks_are_refused_and_nothing_changes(catalogue: Catalogue) -> None:
    made = catalogue.playlists.create("Mine", [1, 2])
    with pytest.raises(SeedError, match="no track has the id 77, nor 1 others"):
        catalogue.playlists.change(made.id, name="New", track_ids=[3, 77, 78])
    with pytest.raises(SeedError, match="no track has the id 9"):
        catalogue.playlists.create("Other", [9])
    assert names(catalogue, made.id) == "ab" and [each.name for each in catalogue.playlists.all()] == ["Mine"]


def test_a_list_has_an_end(catalogue: Catalogue) -> None:
    assert catalogue.playlists.create("Long", [1] * 10_000).count == 10_000
    with pytest.raises(InputError, match="10,000 tracks at most, not 10,001"):
        catalogue.playlists.create("Longer", [1] * 10_001)
