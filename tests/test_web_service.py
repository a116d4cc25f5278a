"""The application around the routes: its page, its failures, its state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvicorn

from soundkin import errors, filters
from soundkin.errors import AudioError, SeedError, SoundkinError
from soundkin.index import Index
from soundkin.library import Library
from soundkin.shelf import Shelf
from soundkin.web import running
from soundkin.web.app import create_app
from soundkin.web.failures import STATUS, told
from soundkin.web.state import State
from web_client import TestClient, client_of, error_of, some_songs

API = "/api/v1"


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/song/5", "/search", "/playlist/3/edit", "/song/", "//", "/é"])
def test_the_page_stands_at_every_address_it_may_show(client: TestClient, path: str) -> None:
    answer = client.get(f"http://127.0.0.1{path}")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.text == client.get("/static/index.html").text
    head = client.head(f"http://127.0.0.1{path}")
    assert head.status_code == 200 and head.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1",
        "/api/v2/status",
        "/api/v1/nothing",
        "/api/v1/status/",
        "/favicon.ico",
        "/wp-login.php",
        "/song/5.js",
        "/docs/nothing",
        "/redoc.html",
        "/static/",
        "/static/nothing.js",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/%2e%2e/%2e%2e/etc/passwd.txt",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert error_of(client.get(path), 404)["code"] == "not-found"


def test_other_methods_are_refused(client: TestClient) -> None:
    assert error_of(client.get(f"{API}/similar"), 405)["code"] == "method-not-allowed"
    error_of(client.post(f"{API}/status"), 405)
    error_of(client.put("/static/index.html"), 405)
    assert error_of(client.post("/song/5"), 404)


def test_static_files_have_types_and_are_asked_for_anew_only_when_they_changed(client: TestClient) -> None:
    answer = client.get("/static/index.html")
    assert answer.headers["content-type"].startswith("text/html") and answer.headers["cache-control"] == "no-cache"
    again = client.get("/static/index.html", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


# --- failures --------------------------------------------------------------------------------------------------------


def every(kind: type[SoundkinError]) -> Iterator[type[SoundkinError]]:
    for below in kind.__subclasses__():
        if below.__module__ == "soundkin.errors":
            yield below
        yield from every(below)


def one_of(kind: type[SoundkinError]) -> SoundkinError:
    if issubclass(kind, AudioError):
        return kind("/home/ada/Secret Folder/song.mp3", "it is no music")
    if issubclass(kind, errors.UnknownTagError):
        return kind("jaz", ["jazz"])
    return kind("model", "x", ["y"]) if issubclass(kind, errors.UnknownNameError) else kind("what went wrong")


@pytest.mark.parametrize("kind", sorted(every(SoundkinError), key=lambda kind: kind.__name__))
def test_every_error_has_a_status_and_a_code(kind: type[SoundkinError]) -> None:
    answer = told(one_of(kind))
    assert 400 <= answer.status_code < 600
    body = bytes(answer.body).decode()
    assert "/home/ada" not in body and "Secret Folder" not in body
    assert '"code":"' in body and '"candidates":[' in body


def test_the_nearest_kind_tells_the_status() -> None:
    assert told(SeedError("no")).status_code == 404
    assert told(SeedError("several", candidates=[3, 4])).status_code == 409
    assert b'"candidates":[3,4]' in bytes(told(SeedError("several", candidates=[3, 4])).body)
    assert told(errors.LibraryFullError("full")).status_code == 507
    assert told(errors.NewerSchemaError("newer")).status_code == 503
    assert told(errors.TooShortError("x", "too short")).status_code == 422
    assert STATUS[SoundkinError][0] == 500


# --- many at once, and the end ---------------------------------------------------------------------------------------


def test_many_ask_at_once(library: Library) -> None:
    def ask(i: int) -> int:
        if i % 2:
            return client.post(f"{API}/similar", json={"seeds": [i % 8 + 1]}).status_code
        return client.get(f"{API}/search", params={"q": f"song {i % 8}"}).status_code

    with client_of(library) as client, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(64))) == {200}


def test_a_part_is_made_once_and_closed_in_the_end(library: Library) -> None:
    made: list[Part] = []
    closed: list[Part] = []

    class Part:
        def __init__(self, state: State) -> None:
            made.append(self)
            self.state = state

        def close(self) -> None:
            closed.append(self)

    class After(Part):
        """A part that needs another."""

        def __init__(self, state: State) -> None:
            state.part(Part)
            super().__init__(state)

    with client_of(library) as client:
        state: State = client.app.state.soundkin  # type: ignore[attr-defined]
        start = threading.Barrier(4)

        def ask() -> object:
            start.wait()
            return state.part(After)

        with ThreadPoolExecutor(4) as pool:
            found = [one.result() for one in [pool.submit(ask) for _ in range(4)]]
        assert len(set(map(id, found))) == 1 and len(made) == 2
        assert not state.stopping.is_set() and not closed
    assert state.stopping.is_set()
    assert closed == made[::-1]
    assert len(library.shelf()) == 8  # still open: it belongs to whoever opened it


# --- the beginning ---------------------------------------------------------------------------------------------------


def test_searches_are_fast_in_a_library_that_is_filled_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CALM", 0)
    with Library.open(tmp_path / "library.db") as library:
        app = create_app(library)
        running._Server(uvicorn.Config(app), app.state.soundkin, lambda: None)._warm()
        app.state.soundkin.close()
        before = library.shelf()
        monkeypatch.setattr(library.catalogue, "generation", lambda: 1)  # as if songs had come
        assert before.prepared and library.shelf().prepared and library.shelf() is not before


def test_what_first_answers_need_is_read_before_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CALM", 0)
    with some_songs(tmp_path) as library:
        app = create_app(library)
        running._Server(uvicorn.Config(app), app.state.soundkin, lambda: None)._warm()
        app.state.soundkin.close()

        def late(*_: object, **__: object) -> None:
            pytest.fail("this is read when somebody waits for it")

        for place, name in ((Shelf, "load"), (Index, "load"), (filters, "read_cache"), (filters, "tag_columns")):
            monkeypatch.setattr(place, name, late)
        assert library.shelf().prepared and library.search("song").total == 8
        assert {one.label for one in library.tag_counts()} == {"jazz", "piano jazz"}
        assert library.browse(only=["genre:jazz", "tag:jazz"]).total == 4
        assert library.similar(1)
