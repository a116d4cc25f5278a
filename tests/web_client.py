"""A client of the service without a network, for tests."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.library import Library
from soundkin.web.app import create_app
from soundkin.web.settings import Settings

with warnings.catch_warnings():  # it would rather have another package than httpx
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient as TestClient

HOST = "127.0.0.1:8765"
OWN = {"X-Soundkin": "1"}
"""What a page of the service sends with whatever changes something."""


@contextlib.contextmanager
def client_of(library: Library, *, headers: dict[str, str] | None = None, **settings: Any) -> Iterator[TestClient]:
    """A client as the page is one; `settings` are those of `Settings`. `client.app.state.soundkin` is the State."""
    app = create_app(library, settings=Settings(**settings))
    with TestClient(app, base_url=f"http://{HOST}", headers=OWN if headers is None else headers) as client:
        yield client


def some_songs(folder: Path) -> Library:
    """A library of eight songs, four of them jazz, that a model of two tags has heard; close it in the end."""
    catalogue = Catalogue.open(folder / "library.db")
    small = SmallLibrary(catalogue, tags=["jazz", "piano jazz"])
    for i in range(8):
        jazz = i % 2 == 0
        small.add(
            f"song {i}",
            [1.0, i / 10, 0.3 * jazz],
            title=f"Song {i}",
            artist=f"Artist {i // 4}",
            album=f"Album {i // 2}",
            genre="Jazz" if jazz else "Rock",
            year=1990 + i,
            track_number=i + 1,
            duration=100.0 + i,
            probabilities=[0.9, 0.3] if jazz else [0.01, 0.02],
            passages={0.0: [1, 0, 0], 50.0: [1, i, 0]},
        )
    return Library(catalogue, model=small.model.id)


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error that a response tells, after checking its status and its shape."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message", "candidates"}
    assert body["error"]["message"] and "Traceback" not in response.text
    detail: dict[str, Any] = body["error"]
    return detail
