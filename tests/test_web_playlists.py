"""The API's playlists: kept, changed, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.library import Library
from soundkin.playlist import read_playlist
from web_client import TestClient, client_of

WHERE = "/api/v1/playlists"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        small = SmallLibrary(catalogue)
        for name in "abc":
            small.add(name, [1, 2, 3], duration=60.0, title=f"Song {name}", artist="Them")
        yield Library(catalogue)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library) as opened:
        yield opened


def test_a_playlist_from_making_to_deleting(client: TestClient) -> None:
    made = client.post(WHERE, json={"name": "Evening", "tracks": [3, 1, 3]})
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["count"], body["duration"]) == ("Evening", 3, 180.0)
    assert [track["title"] for track in body["tracks"]] == ["Song c", "Song a", "Song c"]
    here = f"{WHERE}/{body['id']}"
    assert client.get(here).json() == body
    listed = client.get(WHERE).json()["items"]
    assert listed == [{key: value for key, value in body.items() if key != "tracks"}]
    changed = client.put(here, json={"name": "Night", "tracks": [2], "updated": body["updated"]}).json()
    assert (changed["name"], [track["id"] for track in changed["tracks"]]) == ("Night", [2])
    renamed = client.put(here, json={"name": "Morning"}).json()
    assert (renamed["name"], [track["id"] for track in renamed["tracks"]]) == ("Morning", [2])
    gone = client.delete(here)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (client.get(here), client.put(here, json={}), client.delete(here), client.get(f"{here}/export")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found")


def test_a_change_made_from_an_old_version_is_refused(client: TestClient) -> None:
    body = client.post(WHERE, json={"name": "Evening", "tracks": [1]}).json()
    here = f"{WHERE}/{body['id']}"
    assert client.put(here, json={"tracks": [1, 2], "updated": body["updated"]}).status_code == 200
    late = client.put(here, json={"tracks": [1, 3], "updated": body["updated"]})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "changed")
    assert [track["id"] for track in client.get(here).json()["tracks"]] == [1, 2]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": ""}, 422, "invalid"),
        ({"name": " \n "}, 400, "bad-input"),
        ({"name": "x" * 201}, 422, "invalid"),
        ({"name": "x", "tracks": [0]}, 422, "invalid"),
        ({"name": "x", "tracks": [2**63]}, 422, "invalid"),
        ({"name": "x", "tracks": [1] * 10_001}, 422, "invalid"),
        ({"name": "x", "tracks": [4]}, 404, "not-found"),
        ({}, 422, "invalid"),
    ],
)
def test_what_cannot_be_kept_is_refused(client: TestClient, body: object, status: int, code: str) -> None:
    answer = client.post(WHERE, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.get(WHERE).json() == {"items": []}


@pytest.mark.parametrize("format", ["m3u8", "xspf", "jspf"])
def test_an_export_is_a_playlist_that_other_players_read(
    client: TestClient, library: Library, tmp_path: Path, format: str
) -> None:
    made = client.post(WHERE, json={"name": 'Ünder/the "sea"\r\n', "tracks": [3, 2, 1]}).json()
    library.catalogue.mark_missing([2])
    answer = client.get(f"{WHERE}/{made['id']}/export", params={"format": format})
    assert answer.status_code == 200
    told = answer.headers["content-disposition"]
    assert told.startswith(f'attachment; filename="_nder_the _sea_.{format}"')
    assert unquote(told.rpartition("''")[2]) == f"Ünder_the _sea_.{format}"
    file = tmp_path / f"saved.{format}"
    file.write_bytes(answer.content)
    assert [path.stem for path in read_playlist(file)] == ["c", "a"]


def test_an_unknown_format_is_refused(client: TestClient) -> None:
    made = client.post(WHERE, json={"name": "Evening"}).json()
    assert client.get(f"{WHERE}/{made['id']}/export", params={"format": "exe"}).status_code == 422


def test_a_name_of_markup_is_text(client: TestClient) -> None:
    name = "<img src=x onerror=alert(1)>"
    made = client.post(WHERE, json={"name": name, "tracks": [1]}).json()
    assert made["name"] == name
    export = json.loads(client.get(f"{WHERE}/{made['id']}/export?format=jspf").content)
    assert export["playlist"]["title"] == name
