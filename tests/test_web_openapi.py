"""The API as it describes itself: complete, in one shape, and without an answer that is a failure of its own."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

from sound import FORMATS, music
from soundkin.library import Library
from web_client import HOST, OWN, TestClient, client_of

with warnings.catch_warnings():  # of the packages that it stands on
    warnings.simplefilter("ignore")
    import schemathesis

API = "/api/v1"
CONTRACT = """
    GET /status, GET /search, GET /tracks, GET /tracks/batch, GET /tags, GET /genres, GET /tracks/{track_id},
    POST /similar, POST /path, POST /radio, POST /login, POST /logout
"""
ENDLESS = {f"{API}/events"}
"""Streams that end when the client goes."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Three real files, so that whatever is asked of them can be answered."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "music").mkdir()
    for i in range(3):
        FORMATS["flac"].write(folder / "music" / f"{i}.flac", music(8, sr=FORMATS["flac"].sr, seed=i))
    with Library.open(folder / "library.db", model="timbre") as library:
        library.scan(folder / "music", workers=0)
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library, upload_time_limit=5.0, max_upload=1_000_000) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict:  # type: ignore[type-arg]
    return client.get("/openapi.json").json()  # type: ignore[no-any-return]


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:  # type: ignore[type-arg]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_route_is_described(document: dict) -> None:  # type: ignore[type-arg]
    found = {f"{method} {path.removeprefix(API)}" for path, method, _ in operations(document)}
    assert {one.strip() for one in CONTRACT.split(",")} <= found
    assert all(path.startswith(f"{API}/") for path in document["paths"])
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_route_says_what_it_does_and_how_it_fails(document: dict) -> None:  # type: ignore[type-arg]
    for path, method, operation in operations(document):
        assert operation.get("description"), (method, path)
        assert operation.get("tags"), (method, path)
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), (method, path)
        for status in ("4XX", "5XX"):
            shape = answers[status]["content"]["application/json"]["schema"]
            assert shape == {"$ref": "#/components/schemas/ErrorBody"}, (method, path)
        assert "422" not in answers or answers["422"] == answers["4XX"], (method, path)


def test_what_changes_something_says_that_it_needs_the_header(document: dict) -> None:  # type: ignore[type-arg]
    for path, method, operation in operations(document):
        needs = [one["name"] for one in operation.get("parameters", []) if one.get("required")]
        assert ("X-Soundkin" in needs) == (method not in ("GET", "HEAD")), (method, path)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        known = dict(attributes)
        self.links += [value for name in ("href", "src") if (value := known.get(name))]
        self.ids += [known["id"]] if known.get("id") else []  # type: ignore[list-item]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_of_it_is_whole_and_needs_nothing_from_elsewhere(client: TestClient, document: dict) -> None:  # type: ignore[type-arg]
    page = client.get("/docs").text
    reader = _Reader()
    reader.feed(page)
    assert reader.open == [] and len(reader.ids) == len(set(reader.ids))
    for link in reader.links:
        if link.startswith("#"):
            assert link[1:] in reader.ids, link
        else:
            assert re.match(r"/[^/]|/$", link), link
            assert client.get(link).status_code == 200, link
    for path in document["paths"]:
        assert path in page


# --- whatever is asked, it answers -----------------------------------------------------------------------------------


@pytest.mark.timeout(900)  # hundreds of questions, and a busy machine is no failure
def test_no_question_makes_it_fail(client: TestClient, document: dict) -> None:  # type: ignore[type-arg]
    # its own pytest plugin does not know the newest pytest, so its questions are asked by hand
    schema = schemathesis.openapi.from_dict(document)
    asked: Counter[str] = Counter()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path not in ENDLESS:
            ask(client, operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE), asked)
            with contextlib.suppress(Unsatisfiable):  # where nothing is taken, nothing can be wrong
                ask(client, operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE), asked)
    assert sum(asked.values()) > 100 and {"2", "4"} <= {status[0] for status in asked}


def ask(client: TestClient, questions: SearchStrategy[Any], asked: Counter[str]) -> None:
    """Put some of the `questions`, and count the answers by their status."""

    @given(question=questions)
    @settings(
        max_examples=10,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    def put(question: Any) -> None:
        assume(not would_scan(question))
        response = client.request(**sent(question))
        told = f"{question.method} {response.url}: {response.text[:500]}"
        assert response.status_code < 500, told
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"code", "message", "candidates"}, told
        asked[str(response.status_code)] += 1

    put()


def would_scan(question: Any) -> bool:
    """Did chance name a folder of this computer?"""
    wanted = question.body.get("folders") if isinstance(question.body, dict) else None
    named = [one for one in wanted if isinstance(one, str) and "\0" not in one] if isinstance(wanted, list) else []
    return any(os.path.isdir(one) for one in named)  # noqa: PTH112 - Path.is_dir raises for names that are too long


def sent(question: Any) -> dict[str, Any]:
    """A question of schemathesis as a client sends it, the header of intent always with it."""
    known = question.as_transport_kwargs(base_url=f"http://{HOST}")
    headers = {name: value for name, value in known["headers"].items() if name.lower() != "x-soundkin"}
    kept = {name: known[name] for name in ("method", "url", "params", "json") if known.get(name) is not None}
    if "data" in known:
        kept["data" if isinstance(known["data"], dict) else "content"] = known["data"]
    return kept | {"headers": headers | OWN}
