import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from small_library import SmallLibrary, fingerprint_of
from soundkin.catalogue import Catalogue
from soundkin.errors import InputError, SeedError
from soundkin.seeds import OUTSIDE, resolve, seed_of, seed_outside


@pytest.fixture
def library(tmp_path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        library = SmallLibrary(catalogue, tags=["jazz"])
        library.add("01", [1, 0, 0], title="Blue Night", artist="Ada", album="Songs", probabilities=[0.5])
        library.add("02", [0, 1, 0], title="Night Train", artist="Bo", album="Blue")
        library.add("03", [0, 0, 1], title="1979", artist="Café Öl", album="Songs")
        library.add("04", [1, 1, 0], title="Night", artist="Ada", album="Songs")
        yield library


def title(catalogue, text):
    return resolve(catalogue, text).title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "Blue Night"),
        (" 2 ", "Night Train"),
        ("1979", "1979"),  # no track has that id
        ("train", "Night Train"),
        ("cafe", "1979"),
        ("CAFÉ ÖL 1979", "1979"),
        ("night", "Night"),  # the title of exactly one
        ("ada night", "Night"),
        ("Ada – Blue Night", "Blue Night"),
        ("ada - night", "Night"),
        ("songs ada blue", "Blue Night"),
    ],
)
def test_a_track_is_found_by_id_and_by_words(library, text, expected):
    assert title(library.catalogue, text) == expected


def test_a_track_is_found_by_its_path(library, monkeypatch):
    path = library.catalogue.track(2).path
    assert resolve(library.catalogue, str(path)).id == 2
    monkeypatch.chdir(Path(path.anchor))
    assert resolve(library.catalogue, os.path.relpath(path, path.anchor)).id == 2


def test_a_track_whose_file_is_gone_is_still_found_by_id_and_path(library):
    library.catalogue.mark_missing([2])
    assert resolve(library.catalogue, "2").missing
    assert resolve(library.catalogue, str(library.catalogue.track(2).path)).id == 2


def test_a_file_outside_the_library_is_given_back(library, tmp_path, monkeypatch):
    (tmp_path / "night").write_bytes(b"")
    assert resolve(library.catalogue, str(tmp_path / "night")) == tmp_path / "night"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert resolve(library.catalogue, "~/night") == tmp_path / "night"
    monkeypatch.chdir(tmp_path)
    assert resolve(library.catalogue, "night") == Path("night")  # a file that is there comes before words
    (tmp_path / "songs").mkdir()
    with pytest.raises(SeedError, match="3 tracks answer to 'songs'"):  # a folder is no song
        resolve(library.catalogue, "songs")


def test_several_matches_are_shown(library):
    with pytest.raises(SeedError) as caught:
        resolve(library.catalogue, "blue")
    assert caught.value.candidates == (1, 2)
    assert "\n  1: Ada – Blue Night [Songs]\n  2: Bo – Night Train [Blue]" in str(caught.value)


def test_of_very_many_matches_some_are_shown(library):
    for number in range(30):
        library.add(f"hymn {number}", [1, 0, 0])
    with pytest.raises(SeedError, match="20 or more tracks answer to 'hymn'") as caught:
        resolve(library.catalogue, "hymn")
    assert len(caught.value.candidates) == 20
    assert str(caught.value).endswith("`soundkin list WORDS` shows all")


def test_several_tracks_of_one_title_are_the_candidates(library):
    library.add("05", [1, 1, 0], title="Night", artist="Cy")
    with pytest.raises(SeedError) as caught:
        resolve(library.catalogue, "night")
    assert caught.value.candidates == (4, 5)


def test_copies_of_one_file_are_one_song(library):
    library.add("copy", [1, 1, 0], title="Night", artist="Ada", album="Best of", content="04")
    assert resolve(library.catalogue, "night").id == 4


def test_encodings_of_one_recording_are_one_song_and_two_recordings_are_not(library):
    heard = {"heard": fingerprint_of(50), "duration": 200.0}
    first = library.add("flac", [1, 0, 1], title="Dawn", artist="Cy", **heard)
    library.add("mp3", [1, 0, 1], title="Dawn", artist="Cy", heard=fingerprint_of(50, flipped=0.1), duration=200.1)
    assert resolve(library.catalogue, "dawn").id == first.id
    library.add("live", [1, 0, 1], title="Dawn", artist="Cy", heard=fingerprint_of(51), duration=200.0)
    with pytest.raises(SeedError):
        resolve(library.catalogue, "dawn")


@pytest.mark.parametrize("text", ["", "  ", "zzz", "no/such/file.mp3", "a\0b", "99", "9" * 30, "x" * 5000, "–"])
def test_what_leads_nowhere_is_refused(library, text):
    with pytest.raises(SeedError) as caught:
        resolve(library.catalogue, text)
    assert caught.value.candidates == ()


def test_the_seed_of_a_track_carries_what_the_model_heard(library):
    catalogue = library.catalogue
    seed = seed_of(catalogue, catalogue.track(1), model_id="tiny-1")
    assert seed.track.id == 1
    assert seed.vector.tolist() == [1, 0, 0]
    assert seed.tags.tolist() == [0.5]
    assert seed.fingerprint == catalogue.fingerprints([1])[1]
    assert seed_of(catalogue, catalogue.track(2), model_id="tiny-1").tags is None


def test_a_track_that_the_model_has_not_heard_is_no_seed(library):
    other = SmallLibrary(library.catalogue, model_id="other-2")
    other.add("later", [1, 1, 1], title="Later")
    with pytest.raises(SeedError, match="Ada – Blue Night has not been heard by the model other-2"):
        seed_of(library.catalogue, library.catalogue.track(1), model_id="other-2")


def test_the_seed_of_a_file_outside_the_library(library):
    analysis = library.analysis("elsewhere", [1, 2, 3], artist="Di", probabilities=[0.25])
    seed = seed_outside(analysis)
    assert seed.track.id == OUTSIDE
    assert (seed.track.title, seed.track.artist, seed.track.duration) == ("elsewhere", "Di", analysis.info.duration)
    assert seed.model_id == "tiny-1"
    np.testing.assert_array_equal(seed.vector, [1, 2, 3])
    with pytest.raises(InputError, match="without `known`"):
        seed_outside(replace(analysis, vector=None))
