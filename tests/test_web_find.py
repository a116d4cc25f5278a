"""Finding what is in the library, through the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_library import SmallLibrary
from soundkin import __version__
from soundkin.catalogue import Catalogue
from soundkin.library import Library
from web_client import TestClient, client_of, error_of, some_songs

API = "/api/v1"


def titles(body: dict) -> list[str]:  # type: ignore[type-arg]
    return [item["title"] for item in body["items"]]


def test_status_says_what_the_page_needs_first(client: TestClient, library: Library) -> None:
    body = client.get(f"{API}/status").json()
    assert body == {
        "version": __version__,
        "tracks": 8,
        "model": {"id": "tiny-1", "name": "tiny"},
        "note": None,
        "generation": library.catalogue.generation(),
        "scanning": False,
        "password": False,
    }


def test_search_is_paged_and_tells_tags(client: TestClient) -> None:
    body = client.get(f"{API}/search", params={"q": "SONG", "limit": 3, "offset": 6}).json()
    assert titles(body) == ["Song 6", "Song 7"]
    assert (body["total"], body["offset"], body["limit"], body["tags"]) == (8, 6, 3, [])
    body = client.get(f"{API}/search", params={"q": "jazz"}).json()
    assert body["total"] == 0  # no title, artist, album or file name has it
    assert body["tags"] == [
        {"label": "jazz", "category": "genre", "tracks": 4},
        {"label": "piano jazz", "category": "genre", "tracks": 4},
    ]
    assert client.get(f"{API}/search", params={"q": "piano"}).json()["tags"][0]["label"] == "piano jazz"


def test_an_item_has_the_fields_of_the_contract(client: TestClient) -> None:
    item = client.get(f"{API}/search", params={"q": "Song 3"}).json()["items"][0]
    assert item == {
        "id": 4,
        "title": "Song 3",
        "artist": "Artist 0",
        "album": "Album 1",
        "year": 1993,
        "genre": "Rock",
        "folder": "music",
        "duration": 103.0,
        "has_file": True,
    }


def test_tracks_are_browsed_in_orders_and_with_filters(client: TestClient) -> None:
    body = client.get(f"{API}/tracks", params={"order": "added", "limit": 2}).json()
    assert titles(body) == ["Song 7", "Song 6"] and body["total"] == 8
    body = client.get(f"{API}/tracks", params={"only": ["genre:jazz", "year:1994-"], "order": "duration"}).json()
    assert titles(body) == ["Song 4", "Song 6"]
    body = client.get(f"{API}/tracks", params={"only": "tag:jazz", "exclude": "album:album 0"}).json()
    assert titles(body) == ["Song 2", "Song 4", "Song 6"]
    assert client.get(f"{API}/tracks", params={"offset": 2**53 - 1}).json()["items"] == []


def test_a_batch_keeps_the_order_and_leaves_out_what_is_unknown(client: TestClient) -> None:
    body = client.get(f"{API}/tracks/batch", params={"ids": "3,1,999,2,999999999999999"}).json()
    assert titles(body) == ["Song 2", "Song 0", "Song 1"]
    for bad in ("", "1,", "a", "1,,2", "-1", ",".join(["1"] * 201), "1" * 40):
        error_of(client.get(f"{API}/tracks/batch", params={"ids": bad}), 422)


def test_tags_and_genres_are_counted(client: TestClient) -> None:
    assert client.get(f"{API}/tags").json()["items"][0] == {"label": "jazz", "category": "genre", "tracks": 4}
    genres = client.get(f"{API}/genres").json()["items"]
    assert genres == [{"genre": "Jazz", "tracks": 4}, {"genre": "Rock", "tracks": 4}]


def test_one_track_tells_all_that_is_known(client: TestClient, library: Library) -> None:
    body = client.get(f"{API}/tracks/1").json()
    assert body["path"] == str(library.catalogue.track(1).path)
    assert (body["codec"], body["container"], body["sr"], body["channels"]) == ("mp3", "mp3", 44100, 2)
    assert body["tags"] == [
        {"label": "jazz", "category": "genre", "probability": 0.9},
        {"label": "piano jazz", "category": "genre", "probability": 0.3},
    ]
    assert body["bit_rate"] is None
    assert body["track_number"] == 1


@pytest.mark.parametrize("question", ["order=colour", "limit=0", "limit=201", "offset=-1", "offset=9007199254740992"])
def test_what_cannot_be_asked_is_invalid(client: TestClient, question: str) -> None:
    error = error_of(client.get(f"{API}/tracks?{question}"), 422)
    assert error["code"] == "invalid" and question.partition("=")[0] in error["message"]


def test_filters_that_cannot_be_understood_say_the_rule(client: TestClient) -> None:
    error = error_of(client.get(f"{API}/tracks?only=colour:blue"), 400)
    assert error["code"] == "bad-input" and "genre" in error["message"]
    assert error_of(client.get(f"{API}/tracks?only=tag:unknown"), 400)["code"] == "bad-input"


def test_an_unknown_track_is_not_found(client: TestClient) -> None:
    assert error_of(client.get(f"{API}/tracks/99"), 404)["code"] == "not-found"
    for bad in ("0", "-1", "x", "9007199254740992", "1.5"):
        error_of(client.get(f"{API}/tracks/{bad}"), 422)


def test_a_library_of_nothing_answers(tmp_path: Path) -> None:
    with Library.open(tmp_path / "new.db") as library, client_of(library) as client:
        assert client.get(f"{API}/status").json()["tracks"] == 0
        assert client.get(f"{API}/search?q=a").json()["items"] == []
        assert client.get(f"{API}/tracks").json()["total"] == 0
        assert client.get(f"{API}/tags").json() == client.get(f"{API}/genres").json() == {"items": []}
        assert error_of(client.get(f"{API}/tracks?only=tag:jazz"), 409)["code"] == "empty-library"


def test_text_is_told_as_it_is(tmp_path: Path) -> None:
    """Markup, accents and line ends are the client's to show; bytes that are no UTF-8 must not break an answer."""
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        small = SmallLibrary(catalogue)
        small.add("a", [1, 0, 0], title="<img onerror=alert(1)>", artist="Ünï\n\x00\x1b[1m", album="\U0001f3b5")
        small.add("b\udcff", [0, 1, 0], content="b", folder="/nowhere", artist="\ud800", genre="\udfff")
        with client_of(Library(catalogue, model="tiny-1")) as client:
            first, second = client.get(f"{API}/tracks?order=added").json()["items"][::-1]
            assert first["title"] == "<img onerror=alert(1)>"
            assert first["artist"] == "Ünï\n\x00\x1b[1m" and first["album"] == "\U0001f3b5"
            assert second["title"] == "b\ufffd" and second["artist"] == second["genre"] == "\ufffd"
            assert client.get(f"{API}/tracks/2").json()["path"].endswith("b\ufffd.mp3")
            assert client.get(f"{API}/genres").json()["items"] == [{"genre": "\ufffd", "tracks": 1}]
            assert titles(client.get(f"{API}/search", params={"q": "onerror=alert(1)>"}).json()) == [first["title"]]


def test_tracks_that_went_missing_leave_the_lists_but_are_known(tmp_path: Path) -> None:
    with some_songs(tmp_path) as library, client_of(library) as client:
        library.catalogue.mark_missing([1])
        assert client.get(f"{API}/tracks").json()["total"] == 7
        assert client.get(f"{API}/tracks/1").json()["has_file"] is False
