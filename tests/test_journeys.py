from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_library import SmallLibrary, fingerprint_of
from soundkin import journeys
from soundkin.catalogue import Catalogue
from soundkin.errors import EmptyLibraryError, InputError, ModelMismatchError
from soundkin.journeys import SPACING, path, radio
from soundkin.seeds import OUTSIDE, seed_of, seed_outside


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


@pytest.fixture
def library(catalogue):
    return SmallLibrary(catalogue)


def at(degrees, off=0.0):
    """A direction `degrees` along a circle and `off` to its side."""
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), off]


def arc(library, *, step=2, end=120, artists=7):
    """Tracks every `step` degrees along a circle, some beside it; (first, last)."""
    rng = np.random.default_rng(1)
    for degrees in range(0, end + 1, step):
        artist = f"artist {rng.integers(artists)}" if artists else None
        library.add(f"{degrees}", at(degrees, float(rng.normal(0, 0.05))), artist=artist)
    return library.catalogue.search("0")[0], library.catalogue.search(str(end))[0]


def seed(library, track):
    return seed_of(library.catalogue, track, model_id=library.model.id)


def go(library, start, end, **options):
    return path(library.catalogue, library.index(), seed(library, start), seed(library, end), **options)


def play(library, start, **options):
    return radio(library.catalogue, library.index(), seed(library, start), **options)


def degrees(rows):
    return [int(row.track.path.stem) for row in rows]


def ids(rows):
    return [row.track.id for row in rows]


def artists_of(rows):
    return [row.track.tags.artist for row in rows]


# --- path ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 7, 12])
def test_a_path_leads_from_one_end_to_the_other_in_even_steps(library, n):
    start, end = arc(library)
    rows = go(library, start, end, n=n)
    assert [row.rank for row in rows] == list(range(1, n + 1))
    assert (rows[0].track.id, rows[-1].track.id) == (start.id, end.id)
    steps = np.diff(degrees(rows))
    ideal = 120 / (n - 1)
    assert (steps > 0).all()
    assert np.abs(steps - ideal).max() <= max(6, 0.75 * ideal)
    assert len(set(ids(rows))) == n


def test_each_row_is_compared_with_the_one_before(library):
    start, end = arc(library)
    rows = go(library, start, end, n=5)
    vectors = library.index().vectors[library.index().rows(ids(rows))]
    assert rows[0].similarity == 1
    assert rows[0].reason == "where the path begins"
    for row, (before, here) in zip(rows[1:], pairwise(vectors), strict=True):
        assert row.similarity == pytest.approx(float(before @ here), abs=1e-5)
        assert row.reason == "overall sound"


def test_an_artist_comes_twice_in_a_row_only_where_nothing_else_is_left(library):
    start, end = arc(library, artists=2)
    rows = go(library, start, end, n=12)
    assert all(a != b for a, b in pairwise(artists_of(rows)[1:-1]))

    for row in range(0, 121, 2):  # now by one artist: there is no way around it
        library.add(f"{row}", at(row), artist="Ada")
    assert len(go(library, start, end, n=12)) == 12


def test_unknown_artists_are_not_one_artist(library):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    for number in (30, 60):
        library.add(f"{number}", at(number))
        library.add(f"{number + 1}", at(number, 1.0), artist=f"artist {number}")  # off the way
    assert degrees(go(library, start, end, n=4)) == [0, 30, 60, 90]


@pytest.mark.parametrize("b", [at(100), at(180), at(0), [0, 0, 0]], ids=["ahead", "opposite", "same", "silent"])
def test_the_way_is_evenly_spaced(b):
    a, b = np.array(at(0), np.float32), np.array(b, np.float32)
    places = journeys._great_circle(a, b, count=4)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, atol=1e-5)
    steps = [float(x @ y) for x, y in pairwise([a, *places])]
    assert steps == pytest.approx([steps[0]] * 4, abs=1e-5)
    if b.any():
        assert float(places[-1] @ b) == pytest.approx(steps[0], abs=1e-5)


def test_of_equal_steps_those_nearer_to_their_place_are_taken(library):
    track = library.add("any", at(0))
    units = [np.array(rows, np.float32) for rows in ([at(0)], [at(45, 0.5), at(45, -0.5)], [at(90)])]
    for off_place, chosen in (([0.2, 0.1], 1), ([0.1, 0.2], 0)):
        found = journeys._cheapest(units, [[track], [track, track], [track]], [np.array(off_place, np.float32)])
        assert found == [chosen]


def test_recordings_are_not_repeated(library):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    for number in range(1, 9):
        library.add(f"{10 * number}", at(10 * number), duration=200, heard=fingerprint_of(number % 2))
    rows = go(library, start, end, n=8)
    assert len(rows) == 4  # there are two recordings between the ends
    assert {number // 10 % 2 for number in degrees(rows)[1:-1]} == {0, 1}
    assert len(go(library, start, end, n=8, no_duplicates=False)) == 8


def test_copies_of_the_ends_are_no_steps(library):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    library.add("1", at(1), content="0")
    library.add("89", at(89), content="90")
    library.add("45", at(45))
    assert degrees(go(library, start, end, n=5)) == [0, 45, 90]


def test_a_library_that_is_too_small_gives_fewer_rows(library):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    assert degrees(go(library, start, end, n=12)) == [0, 90]
    library.add("30", at(30))
    library.add("60", at(60))
    assert degrees(go(library, start, end, n=12)) == [0, 30, 60, 90]


def test_filters_hold_between_the_ends(library):
    start, end = library.add("0", at(0), genre="Pop"), library.add("90", at(90), genre="Pop")
    library.add("30", at(30), genre="Jazz")
    library.add("60", at(60), genre="Pop")
    assert degrees(go(library, start, end, only=["genre:jazz"])) == [0, 30, 90]
    assert degrees(go(library, start, end, exclude=["genre:jazz"])) == [0, 60, 90]
    with pytest.raises(EmptyLibraryError, match="genre:ska"):
        go(library, start, end, only=["genre:ska"])


def test_missing_tracks_are_no_steps(library, catalogue):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    gone, later = library.add("40", at(40)), library.add("50", at(50))
    library.add("60", at(60))
    catalogue.mark_missing([gone.id])
    index = library.index()
    catalogue.mark_missing([later.id])  # after the index was made
    rows = path(catalogue, index, seed(library, start), seed(library, end))
    assert degrees(rows) == [0, 60, 90]


@pytest.mark.parametrize("b", [at(180), at(0), [0, 0, 0], at(1e-4)], ids=["opposite", "same", "silent", "nearly same"])
def test_ends_that_lie_oddly_are_still_joined(library, b):
    start, end = library.add("start", at(0)), library.add("end", b)
    for number in range(30):
        library.add(f"{number}", np.random.default_rng(number).normal(0, 1, 3))
    rows = go(library, start, end, n=9)
    assert (rows[0].track.id, rows[-1].track.id) == (start.id, end.id)
    assert len(set(ids(rows))) == 9
    assert all(0 <= row.similarity <= 1 for row in rows)


def test_the_ends_may_be_outside_the_library(library):
    arc(library)
    a, b = (seed_outside(library.analysis(name, at(d), artist=name)) for name, d in (("here", 0), ("there", 90)))
    rows = path(library.catalogue, library.index(), a, b, n=6)
    assert [rows[0].track.title, rows[-1].track.title] == ["here", "there"]
    assert {rows[0].track.id, rows[-1].track.id} == {OUTSIDE}
    assert len(rows) == 6


def test_paths_that_cannot_be_asked_for(library, catalogue):
    start, end = library.add("0", at(0)), library.add("90", at(90))
    with pytest.raises(InputError, match="n must be at least 2, not 1"):
        go(library, start, end, n=1)
    with pytest.raises(InputError, match="leads from one track to another"):
        go(library, start, start)
    other = SmallLibrary(catalogue, model_id="other-2")
    with pytest.raises(ModelMismatchError):
        path(catalogue, library.index(), seed(library, start), seed(other, other.add("45", at(45))))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    vectors=st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=2, max_size=25),
    n=st.integers(2, 30),
)
def test_a_path_is_as_long_as_it_can_be_and_never_repeats(tmp_path_factory, vectors, n):
    with Catalogue.open(tmp_path_factory.mktemp("any") / "library.db") as catalogue:
        library = SmallLibrary(catalogue, standardise=True)
        tracks = [library.add(f"{i}", vector) for i, vector in enumerate(vectors)]
        rows = go(library, tracks[0], tracks[-1], n=n)
        assert len(rows) == min(n, len(tracks))
        assert len(set(ids(rows))) == len(rows)
        assert (rows[0].track.id, rows[-1].track.id) == (tracks[0].id, tracks[-1].id)


# --- radio -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def worlds(catalogue):
    """Two kinds of music, 60 tracks of 12 artists each, in six dimensions; the first track of the first kind."""
    library = SmallLibrary(catalogue, dimension=6)
    rng = np.random.default_rng(5)
    for kind in range(2):
        for number in range(60):
            vector = rng.normal(0, 0.35, 6)
            vector[kind] += 1
            library.add(f"{kind}{number:02d}", vector, artist=f"artist {kind}.{number % 12}")
    return library, catalogue.track(1)


def test_a_radio_stays_with_what_it_began_with(worlds):
    library, start = worlds
    for rng_seed in range(5):
        rows = play(library, start, n=20, rng_seed=rng_seed)
        assert len(rows) == 20
        assert sum(row.track.title.startswith("0") for row in rows) >= 18
        assert start.id not in ids(rows)
        assert len(set(ids(rows))) == 20
        assert [row.rank for row in rows] == list(range(1, 21))


def test_a_radio_drifts(library, monkeypatch):
    """It goes on from what it played, instead of jumping to and fro around the seed."""
    for number in range(-60, 61):
        library.add(f"{number}", at(number))
    start = library.catalogue.search("0")[0]

    def steps():
        programmes = [play(library, start, n=20, rng_seed=rng_seed) for rng_seed in range(5)]
        return np.mean([np.abs(np.diff(degrees(rows))).mean() for rows in programmes])

    drifting = steps()
    monkeypatch.setattr(journeys, "ANCHOR", 1.0)
    assert drifting < 0.8 * steps()


def test_rows_of_a_radio_are_compared_with_the_seed(worlds):
    library, start = worlds
    rows = play(library, start, n=20)
    index = library.index()
    expected = index.vectors[index.rows(ids(rows))] @ index.vectors[0]
    assert [row.similarity for row in rows] == pytest.approx(np.maximum(expected, 0), abs=1e-5)


def test_the_same_number_gives_the_same_radio_and_another_another(worlds):
    library, start = worlds
    assert ids(play(library, start, rng_seed=3)) == ids(play(library, start, rng_seed=3))
    assert len({tuple(ids(play(library, start, rng_seed=number))) for number in range(6)}) == 6


def test_artists_are_spaced(worlds):
    library, start = worlds
    for rng_seed in range(5):
        artists = [start.artist, *artists_of(play(library, start, n=40, rng_seed=rng_seed))]
        for i, artist in enumerate(artists):
            assert artist not in artists[i + 1 : i + SPACING]


def test_spacing_yields_where_artists_are_few(library):
    start = library.add("start", at(0), artist="Ada")
    for number in range(9):
        library.add(f"{number}", at(number), artist=["Ada", "Bo", "Cy"][number % 3])
    rows = play(library, start, n=20)
    assert len(rows) == 9
    assert all(a != b for a, b in pairwise(["Ada", *artists_of(rows)]))  # the one played longest ago, each time

    alone = SmallLibrary(library.catalogue, model_id="other-2")
    first = alone.add("x", at(0), artist="Ada")
    for number in range(4):
        alone.add(f"x{number}", at(number), artist="Ada")
    assert Counter(artists_of(play(alone, first, n=20))) == {"Ada": 4}


def test_a_radio_does_not_repeat_recordings(library):
    start = library.add("start", at(0), duration=200, heard=fingerprint_of(9))
    for number in range(12):
        library.add(f"{number}", at(number), duration=200, heard=fingerprint_of(number % 3))
    library.add("start again", at(1), duration=200, heard=fingerprint_of(9, flipped=0.1))
    rows = play(library, start, n=20)
    assert sorted(number % 3 for number in degrees(rows)) == [0, 1, 2]
    assert len(play(library, start, n=20, no_duplicates=False)) == 13


def test_a_radio_honours_filters_and_leaves_missing_tracks_out(library, catalogue):
    start = library.add("start", at(0), genre="Pop")
    for number in range(6):
        library.add(f"{number}", at(number), genre="Jazz" if number % 2 else "Pop")
    index = library.index()
    catalogue.mark_missing([catalogue.search("1")[0].id])
    rows = radio(catalogue, index, seed(library, start), only=["genre:jazz"])
    assert sorted(degrees(rows)) == [3, 5]


def test_radios_that_cannot_be_played(library):
    start = library.add("start", at(0), genre="Pop")
    with pytest.raises(InputError, match="at least 1, not 0"):
        play(library, start, n=0)
    with pytest.raises(EmptyLibraryError, match="beside the seed"):
        play(library, start)
    library.add("copy", at(0), content="start")
    with pytest.raises(EmptyLibraryError, match="beside the seed"):
        play(library, start)
    with pytest.raises(EmptyLibraryError, match="genre:ska"):
        play(library, start, only=["genre:ska"])


def test_a_radio_may_start_outside_the_library(worlds):
    library, _ = worlds
    outside = seed_outside(library.analysis("elsewhere", [0, 1, 0, 0, 0, 0], artist="artist 1.3"))
    rows = radio(library.catalogue, library.index(), outside, n=10)
    assert sum(row.track.title.startswith("1") for row in rows) >= 9
    assert "artist 1.3" not in artists_of(rows)[: SPACING - 1]
