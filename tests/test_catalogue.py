"""The catalogue: what a scan stores, what is read back, and every fault a library can meet."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from soundkin.analysis import Analysis
from soundkin.audio import AudioInfo
from soundkin.catalogue import Catalogue, Outcome, absolute, default_path, fold
from soundkin.contentset import ContentSet
from soundkin.errors import (
    InputError,
    LibraryBusyError,
    LibraryFullError,
    LibraryReadOnlyError,
    ModelMismatchError,
    NotAudioError,
    SeedError,
    SilentError,
    UnknownNameError,
)
from soundkin.excerpts import Passages
from soundkin.model import Space
from soundkin.tags import Tags

DIMENSION = 4
HERE = str(Path(__file__).parent)


def model(model_id: str = "timbre-1", *, dimension: int = DIMENSION, labels: tuple[str, ...] = ()) -> SimpleNamespace:
    """The part of a model that a catalogue asks for."""
    tags = tuple(SimpleNamespace(label=label, category="mood") for label in labels)
    return SimpleNamespace(
        id=model_id, name="timbre", version="1", space=Space(dimension), tags=tags, source="timbre", card={}
    )


def content(number: int) -> str:
    return f"{number:032x}"


def analysis(
    path: Path | str,
    number: int,
    *,
    known: bool = False,
    model_id: str = "timbre-1",
    tags: Tags | None = None,
    vector: object = None,
    probabilities: object = None,
    duration: float = 100.0,
    partial: str | None = None,
) -> Analysis:
    """What a worker hands over for content `number`; `known`: as when it left the vector out."""
    info = AudioInfo(
        path=Path(path),
        duration=duration,
        sr=44100,
        channels=2,
        codec="mp3",
        container="mp3",
        bit_rate=256_000,
        tags=tags or Tags(),
        content_id=content(number),
        partial=partial,
    )
    if vector is None:
        vector = np.arange(DIMENSION) + number % 1000
    return Analysis(
        info=info,
        model_id=model_id,
        vector=None if known else np.asarray(vector, np.float32),
        tags=None if probabilities is None else np.asarray(probabilities, np.float32),
        fingerprint=None if known else b"print %d" % number,
    )


def record(catalogue: Catalogue, one: Analysis, *, size: int = 1, mtime_ns: int = 1) -> Outcome:
    return catalogue.record(one, size=size, mtime_ns=mtime_ns)


@pytest.fixture
def catalogue(tmp_path: Path):
    with Catalogue.open(tmp_path / "library.db") as opened:
        opened.register_model(model())
        yield opened


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder for files that have to exist."""
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


# --- what a record does ----------------------------------------------------------------------------------------------


def test_new_content_is_analysed_and_read_back(catalogue: Catalogue) -> None:
    tags = Tags("Title", "Artist", "Album", "Various", 3, 1, "Rock", 1999, "mb1", "mb2", "mb3")
    one = analysis("/m/a.mp3", 7, tags=tags, duration=61.5, partial="it ends at 1:01 of 3:00")
    assert record(catalogue, one, size=12, mtime_ns=34) is Outcome.ANALYSED
    track = catalogue.track(1)
    assert (track.id, track.path, track.content_id) == (1, absolute(Path("/m/a.mp3")), content(7))
    assert (track.duration, track.tags, track.partial, track.missing) == (61.5, tags, one.info.partial, False)
    np.testing.assert_array_equal(catalogue.vector(1, "timbre-1"), one.vector)
    assert catalogue.fingerprints([1, 99]) == {1: b"print 7"}
    known = catalogue.known_files(Path("/m"))["a.mp3"]
    assert (known.track_id, known.size, known.mtime_ns, known.content_id) == (1, 12, 34, content(7))
    assert (known.missing, known.failure, known.program_version) == (False, None, None)


@pytest.mark.parametrize("known", [True, False])
def test_same_file_again_is_unchanged_and_refreshes_size_and_time(catalogue: Catalogue, known: bool) -> None:
    record(catalogue, analysis("/m/a.mp3", 1))
    before = catalogue.generation()
    assert record(catalogue, analysis("/m/a.mp3", 1, known=known), size=5, mtime_ns=6) is Outcome.UNCHANGED
    assert catalogue.generation() == before
    assert catalogue.known_files(Path("/m"))["a.mp3"].mtime_ns == 6
    assert catalogue.statistics().tracks == 1


def test_new_tags_keep_the_analysis(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/a.mp3", 1, partial="the middle does not decode", duration=50))
    before = catalogue.generation()
    retagged = analysis("/m/a.mp3", 1, known=True, tags=Tags(title="New"))
    assert record(catalogue, retagged) is Outcome.UPDATED
    assert catalogue.generation() > before
    track = catalogue.track(1)
    assert track.title == "New" and track.partial == "the middle does not decode" and track.duration == 50
    assert [t.id for t in catalogue.search("new")] == [1]
    assert catalogue.vector(1, "timbre-1") is not None


def test_other_content_at_a_path_keeps_the_id(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/a.mp3", 1))
    assert record(catalogue, analysis("/m/a.mp3", 2)) is Outcome.ANALYSED
    assert catalogue.track(1).content_id == content(2)
    np.testing.assert_array_equal(catalogue.vector(1, "timbre-1"), np.arange(DIMENSION) + 2)
    assert catalogue.statistics().tracks == 1


def test_moved_file_keeps_id_and_analysis(catalogue: Catalogue, music: Path) -> None:
    record(catalogue, analysis(music / "old" / "a.mp3", 1))  # never on disk: it is gone
    before = catalogue.generation()
    moved = analysis(music / "new" / "b.mp3", 1, known=True, tags=Tags(title="Moved"))
    assert record(catalogue, moved) is Outcome.MOVED
    assert catalogue.generation() > before
    assert catalogue.track(1).path == music / "new" / "b.mp3"
    assert catalogue.known_files(music / "old") == {} and "b.mp3" in catalogue.known_files(music / "new")
    assert catalogue.statistics().tracks == 1


def test_moved_file_is_found_by_its_missing_mark(catalogue: Catalogue, music: Path) -> None:
    (music / "a.mp3").write_bytes(b"now something else")
    record(catalogue, analysis(music / "a.mp3", 1))
    catalogue.mark_missing([1])
    assert record(catalogue, analysis(music / "b.mp3", 1)) is Outcome.MOVED
    assert not catalogue.track(1).missing


def test_of_several_that_are_gone_the_same_name_moves(catalogue: Catalogue, music: Path) -> None:
    for name in ("x/one.mp3", "x/two.mp3"):
        record(catalogue, analysis(music / name, 1))  # the second takes the first one's row: nothing is on disk
    (music / "x").mkdir()
    for name in ("one.mp3", "two.mp3"):
        (music / "x" / name).touch()
    record(catalogue, analysis(music / "x" / "one.mp3", 1))
    two = catalogue.track_by_path(music / "x" / "two.mp3")
    for name in ("one.mp3", "two.mp3"):
        (music / "x" / name).unlink()
    assert record(catalogue, analysis(music / "y" / "two.mp3", 1)) is Outcome.MOVED
    assert catalogue.track_by_path(music / "y" / "two.mp3").id == two.id


def test_copy_shares_the_recording(catalogue: Catalogue, music: Path) -> None:
    (music / "a.mp3").touch()
    record(catalogue, analysis(music / "a.mp3", 1, partial="cut off"))
    assert record(catalogue, analysis(music / "b.mp3", 1, known=True)) is Outcome.COPY
    counts = catalogue.statistics()
    assert (counts.tracks, counts.recordings, counts.vectors, counts.partial) == (2, 1, {"timbre-1": 1}, 2)
    np.testing.assert_array_equal(catalogue.vector(2, "timbre-1"), catalogue.vector(1, "timbre-1"))


def test_copy_in_one_folder_whose_names_differ_in_case(catalogue: Catalogue, music: Path) -> None:
    (music / "a.mp3").touch()
    record(catalogue, analysis(music / "a.mp3", 1))
    if (music / "A.mp3").exists():  # a file system where both are one file
        (music / "a.mp3").replace(music / "A.mp3")
        assert record(catalogue, analysis(music / "A.mp3", 1)) is Outcome.MOVED
    else:
        (music / "A.mp3").touch()
        assert record(catalogue, analysis(music / "A.mp3", 1)) is Outcome.COPY


def test_renamed_in_case_only_where_the_old_name_still_answers(
    catalogue: Catalogue, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(catalogue, analysis(music / "song.mp3", 1))
    (music / "Song.mp3").touch()
    there = music.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: there)  # as Windows and macOS answer
    assert record(catalogue, analysis(music / "Song.mp3", 1)) is Outcome.MOVED


def test_left_out_vector_that_is_not_there_asks_for_analysis(catalogue: Catalogue) -> None:
    before = catalogue.generation()
    assert record(catalogue, analysis("/m/a.mp3", 1, known=True)) is Outcome.NEEDS_ANALYSIS
    assert catalogue.generation() == before
    assert catalogue.known_files(Path("/m")) == {} and catalogue.statistics().recordings == 0


def test_partial_and_duration_follow_a_new_analysis_into_every_copy(catalogue: Catalogue, music: Path) -> None:
    (music / "a.mp3").touch()
    record(catalogue, analysis(music / "a.mp3", 1, partial="cut off"))
    record(catalogue, analysis(music / "b.mp3", 1, known=True))
    record(catalogue, analysis(music / "b.mp3", 1, duration=7.0))
    assert [(t.partial, t.duration) for t in catalogue.tracks([1, 2])] == [(None, 7.0), (None, 7.0)]


# --- models and vectors ----------------------------------------------------------------------------------------------


def test_vectors_of_two_models_lie_side_by_side(catalogue: Catalogue) -> None:
    catalogue.register_model(model("net-2", dimension=2, labels=("calm", "dark")))
    catalogue.register_model(model("net-2", dimension=2, labels=("calm", "dark")))  # again changes nothing
    for i in (1, 2, 3):
        record(catalogue, analysis(f"/m/{i}.mp3", i))
    before = catalogue.generation()
    second = analysis("/m/2.mp3", 2, model_id="net-2", vector=[5, 6], probabilities=[0.25, 0.5])
    assert record(catalogue, second) is Outcome.ANALYSED  # this model had not heard it
    assert catalogue.generation() > before
    ids, matrix = catalogue.vectors("timbre-1")
    np.testing.assert_array_equal(ids, [1, 2, 3])
    np.testing.assert_array_equal(matrix, np.arange(DIMENSION) + np.array([[1], [2], [3]]))
    assert (ids.dtype, matrix.dtype) == (np.int64, np.float32)
    ids, matrix = catalogue.vectors("net-2")
    np.testing.assert_array_equal(ids, [2])
    np.testing.assert_array_equal(matrix, [[5, 6]])
    assert catalogue.vector(1, "net-2") is None
    np.testing.assert_array_equal(
        catalogue.tag_probabilities("net-2", [3, 2]), np.float32([[np.nan, np.nan], [0.25, 0.5]])
    )
    assert [(m.id, m.dimension, m.tags, m.vectors) for m in catalogue.models()] == [
        ("net-2", 2, (("calm", "mood"), ("dark", "mood")), 1),
        ("timbre-1", DIMENSION, (), 3),
    ]
    assert content(1) in catalogue.contents_with_vector("timbre-1")
    assert content(1) not in catalogue.contents_with_vector("net-2")


def test_what_a_model_has_still_to_hear(catalogue: Catalogue) -> None:
    catalogue.register_model(model("net-2", dimension=2))
    for number in range(1, 8):
        record(catalogue, analysis(f"/m/{number}.mp3", number))
    record(catalogue, analysis("/m/copy of 1.mp3", 1, known=True))
    assert catalogue.count_unheard("net-2") == 6 + 1  # a copy, of a file that is not there, is that file moved
    assert catalogue.is_behind("net-2") and not catalogue.is_behind("timbre-1")
    catalogue.mark_missing([2])
    catalogue.record_failure(SilentError(Path("/m/3.mp3"), "silent now"), size=1, mtime_ns=1)
    record(catalogue, analysis("/m/4.mp3", 4, model_id="net-2", vector=[1, 2]))
    assert [one.track_id for one in catalogue.iterate_unheard("net-2", page=2)] == [1, 5, 6, 7]
    assert catalogue.count_unheard("net-2") == 4
    assert catalogue.tracks_heard() == {"timbre-1": 6, "net-2": 1}
    for number in (1, 5, 6, 7):
        assert catalogue.is_behind("net-2")
        record(catalogue, analysis(f"/m/{number}.mp3", number, model_id="net-2", vector=[1, 2]))
    assert not catalogue.is_behind("net-2") and catalogue.count_unheard("net-2") == 0
    record(catalogue, analysis("/m/new.mp3", 9, model_id="net-2", vector=[1, 2]))
    assert catalogue.is_behind("timbre-1") and not catalogue.is_behind("net-2")


def test_a_model_that_is_forgotten_takes_all_it_heard_along(catalogue: Catalogue) -> None:
    catalogue.register_model(model("net-2", dimension=2))
    heard = Passages(np.array([7.5], np.float32), np.ones((1, 2), np.float32))
    for number in (1, 2):
        record(catalogue, analysis(f"/m/{number}.mp3", number))
        one = analysis(f"/m/{number}.mp3", number, model_id="net-2", vector=[1, 2])
        record(catalogue, dataclasses.replace(one, passages=heard))
    assert catalogue.passages("net-2", [1])
    before = catalogue.generation()
    assert catalogue.forget_model("net-2") == 2
    assert [one.id for one in catalogue.models()] == ["timbre-1"] and catalogue.tracks_heard() == {"timbre-1": 2}
    assert catalogue.passages("net-2", [1]) == {} and catalogue.generation() > before and catalogue.check() == []
    with pytest.raises(UnknownNameError, match=r"net-2.*timbre-1"):
        catalogue.forget_model("net-2")


def test_a_model_without_tags_gives_no_probabilities(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1))
    assert catalogue.tag_probabilities("timbre-1", [1, 2]).shape == (2, 0)


def test_a_vector_analysed_anew_replaces_the_old_one(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/a.mp3", 1))
    before = catalogue.generation()
    assert record(catalogue, analysis("/m/a.mp3", 1, vector=[9, 9, 9, 9])) is Outcome.ANALYSED
    assert catalogue.generation() > before
    np.testing.assert_array_equal(catalogue.vector(1, "timbre-1"), [9, 9, 9, 9])


def test_vectors_of_more_tracks_than_are_fetched_at_once(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundkin.catalogue.reading._ROWS", 3)
    monkeypatch.setattr("soundkin.catalogue.reading._CHUNK", 2)
    for i in range(1, 9):
        record(catalogue, analysis(f"/m/{i}.mp3", i))
    catalogue.mark_missing([4])
    ids, matrix = catalogue.vectors("timbre-1")
    np.testing.assert_array_equal(ids, [1, 2, 3, 5, 6, 7, 8])
    np.testing.assert_array_equal(matrix[:, 0], [1, 2, 3, 5, 6, 7, 8])
    assert [t.id for t in catalogue.tracks([8, 99, 1, 3, 1])] == [8, 1, 3, 1]
    assert [t.id for t in catalogue.iterate()] == [1, 2, 3, 5, 6, 7, 8]
    assert sorted(catalogue.fingerprints(range(1, 9))) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_vectors_of_an_unknown_model_name_those_there_are(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownNameError, match="timbre-1"):
        catalogue.vectors("other-9")
    assert len(catalogue.contents_with_vector("other-9")) == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"vector": [1, 2, np.nan, 4]}, InputError),
        ({"vector": [1, np.inf, 3, 4]}, InputError),
        ({"vector": [1, 2, 3]}, ModelMismatchError),
        ({"vector": [[1, 2, 3, 4]]}, ModelMismatchError),
        ({"probabilities": [0.5]}, ModelMismatchError),
        ({"model_id": "other-9"}, ModelMismatchError),
    ],
)
def test_a_vector_that_does_not_fit_is_refused_and_nothing_stored(
    catalogue: Catalogue, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        record(catalogue, analysis("/m/a.mp3", 1, **change))
    counts = catalogue.statistics()
    assert (counts.tracks, counts.recordings, counts.vectors) == (0, 0, {})


# --- content sets ----------------------------------------------------------------------------------------------------


@given(st.sets(st.binary(min_size=16, max_size=16).map(bytes.hex), max_size=20), st.binary(min_size=16, max_size=16))
def test_content_set_is_the_set_it_was_made_from(ids: set[str], other: bytes) -> None:
    known = pickle.loads(pickle.dumps(ContentSet(ids)))  # noqa: S301 (as it goes to a worker process)
    assert len(known) == len(ids)
    assert all(i in known for i in ids)
    assert (other.hex() in known) == (other.hex() in ids)


def test_content_set_with_zero_bytes_and_foreign_things() -> None:
    known = ContentSet(["00" * 16, "ab" + "00" * 15])
    assert "00" * 16 in known and "ab" + "00" * 15 in known
    for other in ("ab", "", "z" * 32, " " * 32, None, 3, "ab" + "00" * 14 + "01"):
        assert other not in known
    assert "00" * 16 not in ContentSet()


def test_content_set_of_100_000_is_small() -> None:
    known = ContentSet(content(i * 7919) for i in range(100_000))
    assert len(pickle.dumps(known)) < 1.7e6
    assert content(7919 * 99_999) in known and content(5) not in known


# --- missing, prune, failures, folders -------------------------------------------------------------------------------


def test_missing_tracks_leave_the_answers_and_come_back(catalogue: Catalogue) -> None:
    for i in (1, 2):
        record(catalogue, analysis(f"/m/{i}.mp3", i, tags=Tags(title=f"song {i}")))
    before = catalogue.generation()
    assert catalogue.mark_missing([1, 77]) == 1
    assert catalogue.mark_missing([1]) == 0
    assert catalogue.generation() == before + 1
    assert [t.id for t in catalogue.missing_tracks()] == [1]
    assert [t.id for t in catalogue.search("song")] == [2]
    assert [t.id for t in catalogue.list_tracks()] == [2]
    assert catalogue.columns().ids.tolist() == catalogue.vectors("timbre-1")[0].tolist() == [2]
    assert catalogue.known_files(Path("/m"))["1.mp3"].missing and catalogue.track(1).missing
    assert catalogue.mark_present([1, 2]) == 1
    assert catalogue.mark_present([]) == 0
    assert catalogue.generation() == before + 2
    assert catalogue.columns().ids.tolist() == [1, 2]


def test_a_missing_file_that_is_recorded_again_comes_back(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1))
    catalogue.mark_missing([1])
    before = catalogue.generation()
    assert record(catalogue, analysis("/m/1.mp3", 1, known=True)) is Outcome.UNCHANGED
    assert catalogue.generation() > before and not catalogue.track(1).missing


def test_prune_deletes_missing_tracks_and_what_nothing_holds(catalogue: Catalogue, music: Path) -> None:
    for name in ("a.mp3", "b.mp3", "c.mp3"):
        (music / name).touch()
    record(catalogue, analysis(music / "a.mp3", 1))
    record(catalogue, analysis(music / "b.mp3", 1))  # a copy: keeps the recording alive
    record(catalogue, analysis(music / "c.mp3", 2))
    record(catalogue, analysis(music / "d.mp3", 3))
    record(catalogue, analysis(music / "d.mp3", 4))  # content 3 is held by nothing now
    catalogue.mark_missing([1, 3])
    assert catalogue.prune() == 2
    counts = catalogue.statistics()
    assert (counts.tracks, counts.missing, counts.recordings, counts.vectors) == (2, 0, 2, {"timbre-1": 2})
    assert [t.id for t in catalogue.list_tracks()] == [2, 4]
    assert catalogue.check() == []
    before = catalogue.generation()
    assert catalogue.prune() == 0 and catalogue.generation() == before


def test_ids_are_never_used_again(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1))
    catalogue.mark_missing([1])
    catalogue.prune()
    record(catalogue, analysis("/m/1.mp3", 1))
    assert [t.id for t in catalogue.list_tracks()] == [2]
    with pytest.raises(SeedError, match="id 1"):
        catalogue.track(1)


def test_failures_are_kept_replaced_and_cleared(catalogue: Catalogue) -> None:
    path = Path("/m/bad.mp3")
    catalogue.record_failure(NotAudioError(path, "it is a letter"), size=3, mtime_ns=4)
    catalogue.record_failure(SilentError(path, "it is silent"), size=5, mtime_ns=6)
    (failure,) = catalogue.failures()
    assert (failure.path, failure.kind, failure.reason) == (absolute(path), "silent", "it is silent")
    known = catalogue.known_files(Path("/m"))["bad.mp3"]
    assert (known.failure, known.size, known.mtime_ns, known.track_id) == ("silent", 5, 6, None)
    assert known.program_version
    assert catalogue.statistics().failed == 1
    assert record(catalogue, analysis(path, 1)) is Outcome.ANALYSED
    assert catalogue.failures() == []
    catalogue.record_failure(SilentError("/m/other.mp3", "it is silent"), size=5, mtime_ns=6)
    catalogue.clear_failures([Path("/m/other.mp3"), Path("/m/none.mp3")])
    catalogue.clear_failures([])
    assert catalogue.failures() == []


def test_a_failing_file_leaves_the_answers_only_if_it_changed(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/a.mp3", 1), size=10, mtime_ns=20)
    before = catalogue.generation()
    catalogue.record_failure(SilentError("/m/a.mp3", "a passing trouble"), size=10, mtime_ns=20)
    assert not catalogue.track(1).missing and catalogue.generation() == before
    catalogue.record_failure(SilentError("/m/a.mp3", "it is silent now"), size=11, mtime_ns=21)
    assert catalogue.track(1).missing and catalogue.generation() > before
    known = catalogue.known_files(Path("/m"))["a.mp3"]
    assert (known.track_id, known.failure, known.size, known.missing) == (1, "silent", 11, True)


def test_known_files_are_those_directly_in_the_folder(catalogue: Catalogue) -> None:
    for i, name in enumerate(["/m/a.mp3", "/m/sub/b.mp3", "/m2/c.mp3", "/mother.mp3"]):
        record(catalogue, analysis(name, i))
    catalogue.record_failure(SilentError("/m/quiet/d.mp3", "it is silent"), size=1, mtime_ns=1)
    assert set(catalogue.known_files(Path("/m"))) == {"a.mp3"}
    folders = {absolute(Path(p)) for p in ("/m", "/m/sub", "/m/quiet")}
    assert catalogue.known_folders(Path("/m")) == folders
    root = absolute(Path("/"))
    assert catalogue.known_folders(root) == folders | {root, absolute(Path("/m2"))}
    assert catalogue.known_folders(Path("/none")) == set()


def test_folders_are_remembered_once(catalogue: Catalogue) -> None:
    for folder in ("/b", "/a", "/b"):
        catalogue.add_folder(Path(folder))
    assert catalogue.folders() == [absolute(Path("/a")), absolute(Path("/b"))]
    assert catalogue.statistics().folders == 2


# --- reading ---------------------------------------------------------------------------------------------------------


def test_search_is_blind_to_case_and_accents_and_takes_no_character_for_special(catalogue: Catalogue) -> None:
    titles = ["Déjà Vu", "100% Pure Love", "snake_case", "snakeXcase", "Røyksopp's Night Out", "ΜΟΥΣΙΚΉ", "Straße"]
    for i, title in enumerate(titles, 1):
        record(catalogue, analysis(f"/m/{i}.mp3", i, tags=Tags(title, "Björk", "Post")))

    def found(words: str) -> list[int]:
        return [t.id for t in catalogue.search(words)]

    assert found("deja") == found("DÉJÀ") == found("déjà vu") == [1]
    assert found("100%") == found("%") == [2] and found("snake_") == found("_") == [3]
    assert found("royksopp") == [5] and found("μουσικη") == [6] and found("STRASSE") == [7]
    assert found("vu bjork") == found("POST déjà") == [1]
    assert found("/") == found("\\") == found("'; --") == []
    assert found("bjork nothing") == found("") == found("  \n") == []
    assert len(catalogue.search("bjork", limit=3)) == 3


def test_search_puts_the_title_that_is_meant_first(catalogue: Catalogue) -> None:
    for i, title in enumerate(["A Long Road Home", "Home Again", "Home", "Elsewhere"], 1):
        record(catalogue, analysis(f"/m/{i}.mp3", i, tags=Tags(title, "Home Band" if i == 4 else None)))
    assert [t.id for t in catalogue.search("home")] == [3, 2, 1, 4]


def test_search_finds_an_untagged_file_by_its_name_and_survives_long_words(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/05 - Göttingen.flac", 1))
    assert [t.title for t in catalogue.search("gottingen")] == ["05 - Göttingen"]
    assert catalogue.search("x" * 100_000) == catalogue.search("x y " * 50_000) == []


def test_lists_are_ordered_and_cut(catalogue: Catalogue) -> None:
    rows = [("b", "Zed", 3.0), (None, None, 2.0), ("A", "yes", 1.0)]
    for i, (title, artist, duration) in enumerate(rows, 1):
        record(catalogue, analysis(f"/m/{9 - i}.mp3", i, tags=Tags(title, artist), duration=duration))
    orders = {
        "id": [1, 2, 3],
        "title": [3, 1, 2],
        "artist": [3, 1, 2],
        "path": [3, 2, 1],
        "duration": [3, 2, 1],
        "added": [3, 2, 1],
    }
    for order, ids in orders.items():
        assert [t.id for t in catalogue.list_tracks(order=order)] == ids, order
    assert [t.id for t in catalogue.list_tracks(limit=1, offset=1, order="title")] == [1]
    with pytest.raises(UnknownNameError, match="duration"):
        catalogue.list_tracks(order="loudness")


def test_columns_hold_what_filters_ask_for(catalogue: Catalogue) -> None:
    empty = catalogue.columns()
    assert all(len(getattr(empty, field.name)) == 0 for field in dataclasses.fields(empty))
    record(catalogue, analysis("/m/ä.mp3", 1, tags=Tags("T", "A", "B", "C", genre="Jazz", year=1959), duration=9.5))
    record(catalogue, analysis("/m/x.mp3", 2))
    found = catalogue.columns()
    assert found.ids.tolist() == [1, 2] and found.durations.tolist() == [9.5, 100.0]
    assert found.paths == [str(absolute(Path(p))) for p in ("/m/ä.mp3", "/m/x.mp3")]
    assert found.content_ids == [content(1), content(2)]
    assert (found.titles, found.artists, found.albums) == (["T", None], ["A", None], ["B", None])
    assert (found.album_artists, found.genres, found.years) == (["C", None], ["Jazz", None], [1959, None])


def test_statistics_and_check_of_a_healthy_library(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1, duration=10.0))
    record(catalogue, analysis("/m/2.mp3", 2, duration=20.0, partial="cut off"))
    record(catalogue, analysis("/m/3.mp3", 3, duration=40.0))
    catalogue.mark_missing([3])
    counts = catalogue.statistics()
    assert (counts.tracks, counts.missing, counts.partial, counts.recordings) == (2, 1, 1, 3)
    assert counts.duration == 30.0 and counts.file_size > 4096
    assert catalogue.check() == []


def test_check_tells_of_rows_that_do_not_fit(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1))
    with sqlite3.connect(catalogue.path) as other:  # foreign keys are off here: as by another program
        other.execute("UPDATE vectors SET embedding = x'00', tags = x'0011'")
        other.execute("DELETE FROM recordings")
    other.close()
    found = "\n".join(catalogue.check())
    assert "1 vectors have another length" in found and "1 sets of tag probabilities" in found
    assert "a row of tracks refers to a row of recordings that is not there" in found


# --- names and text of every kind ------------------------------------------------------------------------------------

_ODD = "\udc80\udcff\ud800\U0010f7ff\U0010f800\U0010ffff'\"%_é\u0301ß\u202e\n"
_CHARACTERS = st.characters(exclude_characters="\0/\\:") | st.sampled_from(_ODD)
_NAMES = st.text(_CHARACTERS, min_size=1, max_size=30).filter(lambda name: name.strip(". "))
_WORDS = st.none() | st.text(st.characters(exclude_categories=["Cc"]), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    """One library for many examples."""
    with Catalogue.open(tmp_path_factory.mktemp("shared") / "library.db") as opened:
        opened.register_model(model())
        yield opened


@settings(deadline=None, max_examples=60)
@given(
    name=_NAMES, tags=st.builds(Tags, _WORDS, _WORDS, _WORDS, _WORDS, genre=_WORDS), number=st.integers(0, 2**128 - 1)
)
def test_any_path_and_any_tags_come_back(shared: Catalogue, name: str, tags: Tags, number: int) -> None:
    path = absolute(Path("/music") / f"album of {name}" / name)
    record(shared, analysis(path, number, tags=tags))
    track = shared.track_by_path(path)
    assert (track.path, track.tags, track.content_id) == (path, tags, content(number))
    assert shared.known_files(path.parent)[path.name].track_id == track.id
    assert path.parent in shared.known_folders(absolute(Path("/music")))
    place = shared.columns().ids.tolist().index(track.id)
    assert shared.columns().paths[place] == str(path) and shared.columns().titles[place] == tags.title
    shared.record_failure(SilentError(path, f"of {name}"), size=1, mtime_ns=1)
    assert (path, f"of {name}") in [(f.path, f.reason) for f in shared.failures()]


@settings(deadline=None, max_examples=60)
@given(title=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40), data=st.data())
def test_every_word_of_a_title_finds_it(shared: Catalogue, title: str, data: st.DataObject) -> None:
    assume(title.split())
    word = data.draw(st.sampled_from(title.split()))
    assume(fold(word))
    record(shared, analysis("/elsewhere/the one.mp3", 1, tags=Tags(title=title)))
    track = shared.track_by_path("/elsewhere/the one.mp3")
    assert track.id in [t.id for t in shared.search(word, limit=10_000)]


def test_a_name_that_is_not_utf8_round_trips_through_the_file_system(catalogue: Catalogue, music: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.mp3")
    path = music / name
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    record(catalogue, analysis(path, 1))
    assert catalogue.track(1).path.exists()
    assert set(catalogue.known_files(music)) == {name} == {entry.name for entry in music.iterdir()}


def test_a_path_with_nul_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(InputError, match="NUL"):
        record(catalogue, analysis("/m/a\0b.mp3", 1))


# --- opening ---------------------------------------------------------------------------------------------------------


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUNDKIN_LIBRARY", str(tmp_path / "deep" / "mine.db"))
    assert default_path() == tmp_path / "deep" / "mine.db"
    with Catalogue.open() as opened:
        assert opened.path == tmp_path / "deep" / "mine.db" and opened.path.exists() and opened.writable
    monkeypatch.delenv("SOUNDKIN_LIBRARY")
    assert default_path().name == "library.db" and default_path().parent.name == "soundkin"


def test_a_library_made_anew_never_repeats_a_generation(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path / "a.db") as first:
        first.register_model(model())
        record(first, analysis("/m/1.mp3", 1))
        before = first.generation()
    with Catalogue.open(tmp_path / "b.db") as second:
        assert second.generation() > before


def test_threads_share_a_catalogue(catalogue: Catalogue) -> None:
    wrong: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for i in range(first, first + 20):
                record(catalogue, analysis(f"/m/{i}.mp3", i))
                assert catalogue.track_by_path(f"/m/{i}.mp3") is not None
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and catalogue.statistics().tracks == 60


def test_importing_the_catalogue_loads_no_decoder_and_no_model_runtime() -> None:
    heavy = {"soundkin.catalogue": ("av", "scipy", "onnxruntime"), "soundkin.contentset": ("av", "sqlalchemy")}
    for name, modules in heavy.items():
        script = f"import sys, {name}; print([m for m in {modules!r} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", name


# --- faults ----------------------------------------------------------------------------------------------------------


def test_full_disk_keeps_what_was_stored_and_goes_on_afterwards(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/0.mp3", 0))
    with catalogue._engine.connect() as connection:  # the pool's only connection: the limit holds for what follows
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 6}")
    stored = 1
    with pytest.raises(LibraryFullError, match="is full"):
        for stored in range(1, 1000):
            record(catalogue, analysis(f"/m/{stored}.mp3", stored, tags=Tags(title="x" * 500)))
    assert stored > 1
    assert catalogue.statistics().tracks == stored and catalogue.check() == []
    with catalogue._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1000}")
    assert record(catalogue, analysis(f"/m/{stored}.mp3", stored)) is Outcome.ANALYSED
    assert catalogue.statistics().tracks == stored + 1


def test_a_write_that_may_not_be_is_a_clear_error(catalogue: Catalogue) -> None:
    record(catalogue, analysis("/m/1.mp3", 1))
    with catalogue._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(LibraryReadOnlyError, match="may not be written"):
        record(catalogue, analysis("/m/2.mp3", 2))
    assert catalogue.track(1).id == 1


def test_a_library_held_by_another_program(tmp_path: Path) -> None:
    place = tmp_path / "library.db"
    with Catalogue.open(place, busy_timeout=0.05) as opened:
        opened.register_model(model())
        record(opened, analysis("/m/1.mp3", 1))
        holder = sqlite3.connect(place, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LibraryBusyError, match="another program"):
            record(opened, analysis("/m/2.mp3", 2))
        assert opened.statistics().tracks == 1  # reading goes on
        holder.execute("ROLLBACK")
        holder.close()
        assert record(opened, analysis("/m/2.mp3", 2)) is Outcome.ANALYSED


def test_a_reader_sees_one_moment_while_another_writes(catalogue: Catalogue) -> None:
    for i in (1, 2):
        record(catalogue, analysis(f"/m/{i}.mp3", i))
    reading = catalogue.iterate()
    assert next(reading).id == 1
    record(catalogue, analysis("/m/3.mp3", 3))
    assert [t.id for t in reading] == [2]
    assert catalogue.statistics().tracks == 3


def write_until_killed(place: str) -> None:
    """In a process of its own: store track after track, and say so after each."""
    with Catalogue.open(place) as opened:
        opened.register_model(model())
        for i in range(100_000):
            record(opened, analysis(f"/m/{i}.mp3", i))
            print(i, flush=True)


def test_killed_while_writing_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    place = tmp_path / "library.db"
    script = (
        f"import sys; sys.path.insert(0, {HERE!r}); import test_catalogue as t; t.write_until_killed({str(place)!r})"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        said = [int(writer.stdout.readline()) for _ in range(40)]
        writer.kill()
        said += [int(line) for line in writer.stdout.read().splitlines() if line]
    with Catalogue.open(place, create=False) as opened:
        assert opened.check() == []
        paths = set(opened.columns().paths)
        assert {str(absolute(Path(f"/m/{i}.mp3"))) for i in said} <= paths
        assert len(paths) - len(said) in (0, 1)  # at most the one whose word was not heard any more
        assert record(opened, analysis("/m/next.mp3", 10**9)) is Outcome.ANALYSED


def write_all(place: str, start: object, outcomes: object) -> None:
    """In a process of its own: store the same 200 tracks as another one."""
    start.wait()
    with Catalogue.open(place) as opened:
        opened.register_model(model())
        outcomes.put([str(record(opened, analysis(f"/m/{i}.mp3", i))) for i in range(200)])


def test_two_processes_that_store_the_same_tracks_make_one_library(tmp_path: Path) -> None:
    place = str(tmp_path / "library.db")
    spawn = multiprocessing.get_context("spawn")
    start, outcomes = spawn.Barrier(2), spawn.Queue()
    processes = [spawn.Process(target=write_all, args=(place, start, outcomes)) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = outcomes.get(timeout=120), outcomes.get(timeout=120)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert all({a, b} == {"analysed", "unchanged"} for a, b in zip(first, second, strict=True))
    with Catalogue.open(place, create=False) as opened:
        counts = opened.statistics()
        assert (counts.tracks, counts.recordings, counts.vectors) == (200, 200, {"timbre-1": 200})
        assert opened.check() == []
