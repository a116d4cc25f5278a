"""Recommendations through the API: the same answers as the library gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from soundkin.library import Library
from soundkin.web.state import Asked
from web_client import TestClient, client_of, error_of

API = "/api/v1"


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.text
    return [item["track"]["id"] for item in response.json()["items"]]


def test_similar_answers_as_the_library_does(client: TestClient, library: Library) -> None:
    items = client.post(f"{API}/similar", json={"seeds": [1], "n": 3}).json()["items"]
    expected = library.similar(1, n=3)
    assert [item["track"]["id"] for item in items] == [one.track.id for one in expected]
    assert [item["rank"] for item in items] == [1, 2, 3]
    for item, one in zip(items, expected, strict=True):
        assert item["similarity"] == pytest.approx(one.similarity, abs=1e-4)
        assert item["reason"] == one.reason
        assert item["passages"] == (None if one.passages is None else list(one.passages))
    assert set(items[0]["track"]) >= {"title", "artist", "duration", "has_file"}


def test_likes_and_dislikes_are_blended(client: TestClient, library: Library) -> None:
    found = ids(client.post(f"{API}/similar", json={"seeds": [1, 3], "unlike": [8], "n": 4}))
    assert found == [one.track.id for one in library.blend([1, 3], unlike=[8], n=4)]
    assert not {1, 3, 8} & set(found)


def test_filters_and_spacing_hold(client: TestClient) -> None:
    items = client.post(f"{API}/similar", json={"seeds": [1], "only": ["genre:rock"], "exclude": ["year:1991"]}).json()[
        "items"
    ]
    assert {item["track"]["genre"] for item in items} == {"Rock"}
    assert 1991 not in {item["track"]["year"] for item in items}
    items = client.post(f"{API}/similar", json={"seeds": [1], "max_per_artist": 1}).json()["items"]
    artists = [item["track"]["artist"] for item in items]
    assert len(artists) == len(set(artists))
    items = client.post(f"{API}/similar", json={"seeds": [1], "max_per_album": 1}).json()["items"]
    assert len({item["track"]["album"] for item in items}) == len(items)


def test_a_path_leads_from_one_to_the_other(client: TestClient) -> None:
    found = ids(client.post(f"{API}/path", json={"start": 1, "end": 8, "n": 4}))
    assert found[0] == 1 and found[-1] == 8 and len(set(found)) == len(found) == 4


def test_a_radio_repeats_itself_with_the_same_number(client: TestClient) -> None:
    question = {"seed": 1, "n": 5, "random_seed": 7}
    found = ids(client.post(f"{API}/radio", json=question))
    assert found == ids(client.post(f"{API}/radio", json=question)) and 1 not in found and len(found) == 5


def test_a_file_that_was_asked_about_is_a_seed(client: TestClient, library: Library) -> None:
    token = client.app.state.soundkin.asked.put(library.seed(1))  # type: ignore[attr-defined]
    asked = client.post(f"{API}/similar", json={"seeds": [f"ask:{token}"], "n": 3})
    assert ids(asked) == ids(client.post(f"{API}/similar", json={"seeds": [1], "n": 3}))
    assert ids(client.post(f"{API}/path", json={"start": f"ask:{token}", "end": 8, "n": 3}))[-1] == 8
    error = error_of(client.post(f"{API}/similar", json={"seeds": ["ask:forgotten"]}), 404)
    assert error["code"] == "not-found"


@pytest.mark.parametrize("seed", ["/etc/passwd", "song 1", "1", "ask:", "ask:../x", 0, -1, 1.5, True, None, [1], 2**60])
def test_a_seed_is_an_id_or_a_token_and_never_a_path(client: TestClient, seed: object) -> None:
    error_of(client.post(f"{API}/similar", json={"seeds": [seed]}), 422)
    error_of(client.post(f"{API}/radio", json={"seed": seed}), 422)
    error_of(client.post(f"{API}/path", json={"start": 1, "end": seed}), 422)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"seeds": []},
        {"seeds": [1], "n": 0},
        {"seeds": [1], "n": 501},
        {"seeds": [1], "max_per_artist": 0},
        {"seeds": [1], "only": [""]},
        {"seeds": [1], "only": ["x" * 301]},
        {"seeds": [1], "onyl": ["genre:rock"]},
        {"seeds": [1] * 101},
        [],
        "x",
    ],
)
def test_questions_of_another_shape_are_invalid(client: TestClient, question: object) -> None:
    assert error_of(client.post(f"{API}/similar", json=question), 422)["code"] == "invalid"


def test_a_body_that_is_no_json_is_invalid(client: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    error_of(client.post(f"{API}/similar", content=b'{"seeds": [1', headers=kind), 422)
    error_of(client.post(f"{API}/similar", content=b"\xff\xfe", headers=kind), 422)


def test_what_the_library_refuses_has_a_code(client: TestClient) -> None:
    assert error_of(client.post(f"{API}/similar", json={"seeds": [99]}), 404)["code"] == "not-found"
    nothing = {"seeds": [1], "only": ["genre:none at all"]}
    assert error_of(client.post(f"{API}/similar", json=nothing), 409)["code"] == "nothing-fits"
    assert error_of(client.post(f"{API}/path", json={"start": 1, "end": 1}), 400)["code"] == "bad-input"
    assert error_of(client.post(f"{API}/radio", json={"seed": 1, "only": ["x"]}), 400)["code"] == "bad-input"


def test_an_empty_library_says_so(tmp_path: Path) -> None:
    with Library.open(tmp_path / "new.db") as library, client_of(library) as client:
        assert error_of(client.post(f"{API}/similar", json={"seeds": [1]}), 409)["code"] == "empty-library"


def test_what_was_asked_about_is_bounded_and_forgotten(library: Library) -> None:
    seed = library.seed(1)
    few = Asked(most=2)
    first, second = few.put(seed), few.put(seed)
    assert few.get(first) is seed  # used again, so the second is the one to go
    few.put(seed)
    assert few.get(first) is seed
    with pytest.raises(ValueError, match="no longer"):
        few.get(second)
    short = Asked(seconds=-1)
    with pytest.raises(ValueError, match="no longer"):
        short.get(short.put(seed))
