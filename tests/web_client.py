"""A client of the service without a network, for tests."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

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
