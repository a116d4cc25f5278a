"""The API's map: computed behind the answers, packed small, coloured by what is heard and by what files say."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue, SongMap
from soundkin.library import Library
from soundkin.mappoints import NONE, _coded
from soundkin.songmap import make_map
from web_client import TestClient, client_of

WHERE = "/api/v1/map"
GENRES = ("jazz", "rock", "everything")


@pytest.fixture(autouse=True)
def in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stepping back: on a busy machine, tests would wait for everybody else."""
    monkeypatch.setattr("soundkin.web.mapping._NICENESS", 0)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Twenty tracks: by their sound ten jazz and ten rock, all of them 'everything' a little more."""
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        small = SmallLibrary(catalogue, tags=GENRES)
        rng = np.random.default_rng(0)
        for number in range(20):
            jazz = number < 10
            vector = np.array([jazz, not jazz, 1]) + rng.normal(scale=0.1, size=3)
            small.add(
                f"{number:02}",
                vector.tolist(),
                probabilities=[0.5 if jazz else 0.01, 0.01 if jazz else 0.5, 0.55],
                genre=("Jazz", "jazz", "Jazz", None)[number % 4] if jazz else None if number < 19 else "<b>Rock</b>",
            )
        yield Library(catalogue)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library) as opened:
        yield opened


def computed(client: TestClient) -> dict[str, Any]:
    """Compute the map and wait for it."""
    assert client.post(WHERE).status_code == 202
    deadline = time.monotonic() + 120
    while (status := client.get(WHERE).json())["state"] == "computing":
        assert time.monotonic() < deadline, "the map does not come"
        time.sleep(0.05)
    found: dict[str, Any] = status
    return found


def unpack(content: bytes) -> tuple[npt.NDArray[Any], ...]:
    n = int(np.frombuffer(content, "<u4", 1)[0])
    assert len(content) == 4 + n * (4 + 4 + 4 + 2 + 2)
    kinds, offset, found = ("<i4", "<f4", "<f4", "<u2", "<u2"), 4, []
    for kind in kinds:
        found.append(np.frombuffer(content, kind, n, offset))
        offset += found[-1].nbytes
    return tuple(found)


def test_a_library_without_a_map(client: TestClient) -> None:
    assert client.get(WHERE).json() == {
        "state": "none",
        "generation": None,
        "progress": 0.0,
        "points": 0,
        "error": None,
    }
    for path in ("points", "legend"):
        answer = client.get(f"{WHERE}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found")


def test_a_map_is_computed_and_kept(library: Library, client: TestClient) -> None:
    status = computed(client)
    assert status == {
        "state": "ready",
        "generation": library.catalogue.generation(),
        "progress": 0.0,
        "points": 20,
        "error": None,
    }
    ids, x, y, tags, genres = unpack(client.get(f"{WHERE}/points").content)
    assert ids.tolist() == list(range(1, 21))
    assert np.isfinite(x).all() and np.isfinite(y).all() and len(set(zip(x.tolist(), y.tolist(), strict=True))) == 20
    legend = client.get(f"{WHERE}/legend").json()
    assert [legend["tags"][place] for place in tags] == ["jazz"] * 10 + ["rock"] * 10, "not what is on everything"
    assert legend["genres"] == ["Jazz", "<b>Rock</b>"]
    assert genres.tolist() == [0, 0, 0, NONE] * 2 + [0, 0] + [NONE] * 9 + [1]
    with Library.open(library.catalogue.path) as again:
        points = again.map_points()
        assert points is not None and points.positions[:, 0].tolist() == x.tolist()


def test_the_points_have_a_version(library: Library, client: TestClient) -> None:
    make_map(library.catalogue, library.index())
    first = client.get(f"{WHERE}/points")
    same = client.get(f"{WHERE}/points", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    library.catalogue.mark_missing([3])
    fewer = client.get(f"{WHERE}/points", headers={"If-None-Match": first.headers["etag"]})
    assert fewer.status_code == 200 and 3 not in unpack(fewer.content)[0]


def test_a_new_map_is_shown_at_once_however_patient_answers_are(library: Library, client: TestClient) -> None:
    make_map(library.catalogue, library.index())
    client.get(f"{WHERE}/points")
    library.patience = 600.0
    small = SmallLibrary(library.catalogue, tags=GENRES)
    small.add("new", [1, 0, 1], probabilities=[0.5, 0.1, 0.1])
    assert client.get(WHERE).json()["generation"] != library.catalogue.generation()
    assert computed(client)["points"] == 21
    assert len(unpack(client.get(f"{WHERE}/points").content)[0]) == 21


def test_an_empty_library_has_no_map(tmp_path: Path) -> None:
    with Library.open(tmp_path / "empty.db") as library, client_of(library) as client:
        answer = client.post(WHERE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "empty-library")
        assert client.get(WHERE).json()["state"] == "none"


@pytest.mark.parametrize("count", [1, 2])
def test_the_smallest_maps(tmp_path: Path, count: int) -> None:
    with Library.open(tmp_path / "small.db") as library, client_of(library) as client:
        small = SmallLibrary(library.catalogue)
        for number in range(count):
            small.add(str(number), [1, number, 0])
        assert computed(client)["points"] == count
        *_, tags, genres = unpack(client.get(f"{WHERE}/points").content)
        assert set(tags.tolist()) == set(genres.tolist()) == {NONE}
        assert client.get(f"{WHERE}/legend").json() == {"tags": [], "genres": []}


def test_without_the_packages_the_way_to_them_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openTSNE" else found(name))
    answer = client.post(WHERE)
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "not-installed"
    assert "the map needs openTSNE" in answer.json()["error"]["message"]
    assert "pip install 'soundkin[map]'" in answer.json()["error"]["message"]
    assert client.get(WHERE).json()["state"] == "none"


def test_what_goes_wrong_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundkin.web.mapping._work", os._exit)  # the process dies at once
    status = computed(client)
    assert status["state"] == "none" and "something went wrong" in status["error"]


def test_the_making_ends_with_the_service(library: Library) -> None:
    with client_of(library) as client:
        client.post(WHERE)
        assert client.get(WHERE).json()["state"] == "computing"
        assert client.post(WHERE).status_code == 202, "once is enough"
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert library.catalogue.check() == []


def test_points_of_a_map_whose_tracks_have_gone(library: Library) -> None:
    ids = np.array([5, 99], np.int64)
    positions = np.array([[1, 2], [3, 4]], np.float32)
    library.catalogue.song_maps.put(SongMap("tiny-1", library.catalogue.generation(), "x", ids, positions))
    points = library.map_points()
    assert points is not None
    assert (points.ids.tolist(), points.positions.tolist()) == ([5], [[1, 2]])


def test_spellings_of_a_genre_are_one() -> None:
    codes, labels = _coded(["Hip-Hop", "hip-hop", None, " ", "Rock", "HIP-HOP", "hip-hop ", "rock", "Rock"])
    assert labels == ("hip-hop", "Rock")
    assert codes.tolist() == [0, 0, NONE, NONE, 1, 0, 0, 1, 1]
