"""The API's view of the library: folders, numbers, models, failures, scans and what happens."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.errors import SilentError
from soundkin.library import Library
from soundkin.web.app import create_app
from web_client import HOST, TestClient, client_of

API = "/api/v1"
scan_module = importlib.import_module("soundkin.scan")


@pytest.fixture(autouse=True)
def in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stepping back: on a busy machine, tests would wait for everybody else."""
    monkeypatch.setattr("soundkin.web.jobs._NICENESS", 0)


@pytest.fixture
def library(tmp_path: Path, fake_hearing: Path) -> Iterator[Library]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield Library(catalogue)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library) as opened:
        yield opened


def wait_for_the_end(client: TestClient) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while (found := client.get(f"{API}/library").json())["scan"] is not None:
        assert time.monotonic() < deadline, "the scan does not end"
        time.sleep(0.05)
    ended: dict[str, Any] = found["last_scan"]
    return ended


def test_an_empty_library(client: TestClient) -> None:
    found = client.get(f"{API}/library").json()
    assert (found["folders"], found["models"], found["failures"]) == ([], [], 0)
    assert (found["scan"], found["last_scan"], found["statistics"]["tracks"]) == (None, None, 0)
    answer = client.post(f"{API}/library/scan", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "empty-library")


def test_what_is_in_the_library(library: Library, client: TestClient, tmp_path: Path) -> None:
    small = SmallLibrary(library.catalogue)
    other = SmallLibrary(library.catalogue, model_id="other-1")
    for name in "abc":
        small.add(name, [1, 2, 3], duration=60.0)
    other.add("a", [1, 2, 3], duration=60.0)
    library.catalogue.mark_missing([3])
    for folder in (tmp_path / "music", tmp_path / "gone"):
        library.catalogue.add_folder(folder)
    found = client.get(f"{API}/library").json()
    assert [(one["path"], one["there"]) for one in found["folders"]] == [
        (str(tmp_path / "gone"), False),
        (str(tmp_path / "music"), True),
    ]
    assert abs(found["folders"][0]["last_scan"] - time.time()) < 60
    told = {key: found["statistics"][key] for key in ("tracks", "missing", "duration")}
    assert told == {"tracks": 2, "missing": 1, "duration": 120.0} and found["statistics"]["file_size"] > 0
    assert [(one["id"], one["tracks"], one["answering"]) for one in found["models"]] == [
        ("other-1", 1, False),
        ("tiny-1", 2, True),
    ]


def test_failures_come_in_pages(library: Library, client: TestClient) -> None:
    for number in range(5):
        library.catalogue.record_failure(SilentError(f"/m/{number}\udcff.mp3", "it is silent"), size=1, mtime_ns=1)
    page = client.get(f"{API}/library/failures?offset=3&limit=10").json()
    assert (page["total"], page["offset"], page["limit"]) == (5, 3, 10)
    assert page["items"][0] == {"path": "/m/3\ufffd.mp3", "kind": "silent", "reason": "it is silent"}
    assert [one["path"][3] for one in page["items"]] == ["3", "4"]
    assert client.get(f"{API}/library").json()["failures"] == 5
    assert client.get(f"{API}/library/failures?limit=0").status_code == 422


def test_a_scan_by_the_page(library: Library, client: TestClient, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for name in ("1.mp3", "damaged.mp3"):
        (music / name).write_text(name)
    started = client.post(f"{API}/library/scan", json={"folders": [str(music)]})
    assert (started.status_code, started.json()) == (202, {"folders": [str(music)]})
    ended = wait_for_the_end(client)
    assert (ended["error"], ended["stopped"], ended["analysed"], ended["failed"]) == (None, False, 1, 1)
    found = client.get(f"{API}/library").json()
    assert (found["statistics"]["tracks"], found["failures"]) == (1, 1)
    assert [one["path"] for one in found["folders"]] == [str(music)]
    assert client.get(f"{API}/status").json()["scanning"] is False


def test_a_scan_is_stopped_by_the_page(library: Library, client: TestClient, tmp_path: Path) -> None:
    assert client.delete(f"{API}/library/scan").status_code == 404
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "hang.mp3").write_text("hang")
    client.post(f"{API}/library/scan", json={"folders": [str(tmp_path / "music")]})
    assert client.get(f"{API}/status").json()["scanning"] is True
    assert client.get(f"{API}/library").json()["scan"]["phase"] in ("looking", "listening")
    again = client.post(f"{API}/library/scan", json={})
    assert again.status_code == 409
    answer = client.delete(f"{API}/library/scan")
    assert (answer.status_code, answer.content) == (204, b"")
    assert wait_for_the_end(client)["stopped"] is True


@pytest.mark.parametrize(
    ("folders", "status", "code"),
    [
        (["relative/path"], 400, "bad-input"),
        (["/a\0b"], 400, "bad-input"),
        (["/none/there"], 404, "no-folder"),
        ([""], 422, "invalid"),
        (["/x" * 3000], 422, "invalid"),
        (["/x"] * 101, 422, "invalid"),
    ],
)
def test_folders_that_cannot_be_scanned(client: TestClient, folders: list[str], status: int, code: str) -> None:
    answer = client.post(f"{API}/library/scan", json={"folders": folders})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.get(f"{API}/status").json()["scanning"] is False


def test_events_stream_until_the_client_has_enough(library: Library) -> None:
    """Through the whole application, guard included: what comes must not be held back until the end."""
    app = create_app(library)

    async def scene() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        enough = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if b"event: changed" in message.get("body", b""):
                enough.set()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"{API}/events",
            "raw_path": f"{API}/events".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", HOST.encode())],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8765),
        }
        await asyncio.wait_for(app(scope, receive, send), 20)
        return sent

    start, *bodies = asyncio.run(scene())
    headers = dict(start["headers"])
    assert start["status"] == 200 and headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    text = b"".join(message.get("body", b"") for message in bodies).decode()
    (event,) = [part for part in text.split("\n\n") if part.startswith("event: changed")]
    assert json.loads(event.partition("data: ")[2]) == {"generation": library.catalogue.generation()}


def test_listeners_have_a_limit(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundkin.web.routes.library.MOST_LISTENERS", 0)
    answer = client.get(f"{API}/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "crowded")
