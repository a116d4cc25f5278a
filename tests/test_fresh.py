"""Values that belong to one state of the library: when they are made anew, and who waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from small_library import SmallLibrary
from soundkin import filters
from soundkin.catalogue import Catalogue
from soundkin.fresh import Fresh
from soundkin.library import Library


def wait(until: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.005)


def test_without_patience_every_state_is_waited_for() -> None:
    kept, made = Fresh[int](), []
    assert (kept.made, kept.last) == (False, None)
    for state in (1, 1, 2, 2, 1):
        assert kept.get(state, lambda state=state: made.append(state) or state) == state  # type: ignore[misc]
    assert made == [1, 2, 1] and kept.last == 1


def test_with_patience_the_last_one_answers_until_the_new_one_is_there() -> None:
    kept, go = Fresh[int](), threading.Event()
    kept.get(1, lambda: 1)
    kept._tried = 0.0  # long ago
    assert kept.get(2, lambda: go.wait(30) and 2, patience=1.0) == 1
    assert kept.get(3, lambda: 3, patience=1.0) == 1, "one is made at a time"
    go.set()
    wait(lambda: kept.last == 2)
    assert kept.get(2, lambda: 0, patience=1.0) == 2


def test_it_is_made_for_a_tenth_of_the_time_at_most() -> None:
    kept = Fresh[int]()
    kept.get(1, lambda: 1)
    kept._took, kept._tried = 10.0, time.monotonic() - 60.0
    assert kept.get(2, lambda: 2, patience=1.0) == 1
    time.sleep(0.1)
    assert kept.last == 1, "it takes 10 s, and was made a minute ago"
    kept._tried = time.monotonic() - 91.0
    kept.get(2, lambda: 2, patience=1.0)
    wait(lambda: kept.last == 2)


def test_what_cannot_be_used_is_not_answered_with() -> None:
    kept = Fresh[int]()
    kept.get(1, lambda: 1)
    assert kept.get(2, lambda: 2, patience=600.0, usable=lambda value: value != 1) == 2


def test_what_fails_behind_leaves_the_last_one(caplog: pytest.LogCaptureFixture) -> None:
    kept = Fresh[int]()
    kept.get(1, lambda: 1)
    kept._tried = 0.0
    assert kept.get(2, lambda: 1 // 0, patience=0.1) == 1
    wait(lambda: "could not be brought up to date" in caplog.text)
    assert kept.last == 1
    with pytest.raises(ZeroDivisionError):
        kept.get(2, lambda: 1 // 0)


# --- in a library ----------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        small = SmallLibrary(catalogue, tags=["jazz"])
        for number in range(4):
            small.add(str(number), [1, number, 0], probabilities=[0.5 if number else 0.0], genre="Jazz")
        yield Library(catalogue)


def test_no_question_waits_for_the_filters_of_a_new_state(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.tag_counts()[0].tracks == 3
    library.patience = 0.001
    library.catalogue.mark_missing([4])
    library._index._tried = library._index._took = 0.0
    before = library._index.last
    library.index()
    wait(lambda: library._index.last is not before)
    asked: list[str] = []
    monkeypatch.setattr(filters, "_arrays", lambda *_: asked.append("columns"))
    monkeypatch.setattr(filters, "tag_columns", lambda *_: asked.append("tags"))
    assert library.tag_counts()[0].tracks == 2
    assert [one.track.id for one in library.similar(1, n=9, only=["genre:jazz", "tag:jazz"])] == [2, 3]
    assert asked == []


def test_filters_that_nobody_asked_for_are_not_prepared(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.index()
    monkeypatch.setattr(filters, "_table", None)
    library.catalogue.mark_missing([4])
    assert len(library.index()) == 3
