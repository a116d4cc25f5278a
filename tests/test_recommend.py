from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_library import SmallLibrary, fingerprint_of
from soundkin.catalogue import Catalogue
from soundkin.errors import EmptyLibraryError, InputError, ModelMismatchError
from soundkin.reasons import NOTHING_TO_SAY
from soundkin.recommend import UNLIKE, blend, similar
from soundkin.seeds import seed_of, seed_outside


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


@pytest.fixture
def library(catalogue):
    return SmallLibrary(catalogue)


def seed(library, track):
    return seed_of(library.catalogue, track, model_id=library.model.id)


def ask(library, *tracks, **options):
    return similar(library.catalogue, library.index(), [seed(library, track) for track in tracks], **options)


def names(rows):
    return [row.track.path.stem for row in rows]


def at(degrees):
    """A direction in the plane, as the vector of a track."""
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0]


# --- ranking ---------------------------------------------------------------------------------------------------------


def test_the_nearest_come_first_and_the_seed_not_at_all(library):
    start = library.add("start", at(0))
    for degrees in (50, 10, 100, 30, 180):
        library.add(str(degrees), at(degrees))
    rows = ask(library, start)
    assert names(rows) == ["10", "30", "50", "100", "180"]
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5]
    cosines = np.cos(np.radians([10, 30, 50]))
    assert [row.similarity for row in rows] == pytest.approx([*cosines, 0, 0], abs=1e-6)
    assert names(ask(library, start, n=2)) == ["10", "30"]


def test_several_seeds_are_ranked_by_agreement_not_by_the_mean(library):
    one, other = library.add("one", [1, 0, 0]), library.add("other", [0, 1, 0])
    library.add("akin to both", [0.7, 0.7, 0.14])
    library.add("copy-like of one", [1.0, 0.45, 0.0])
    library.add("akin to one only", [1.0, 0.0, 0.1])
    rows = ask(library, one, other)
    assert names(rows) == ["akin to both", "copy-like of one", "akin to one only"]
    index = library.index()
    for row in rows[:2]:
        a, b = index.vectors[index.rows([row.track.id])[0]][:2]
        assert row.similarity == pytest.approx(((a + b) / 2 + min(a, b)) / 2, abs=1e-6)


def test_unlike_seeds_still_rank_by_the_one_that_is_least_alike(library):
    seeds = [library.add(str(axis), [float(axis == k) for k in range(3)]) for axis in range(3)]
    library.add("two of three", [0.8, 0.8, -0.2])
    library.add("all three", [0.5, 0.5, 0.5])
    library.add("one", [1.0, -0.2, -0.2])
    rows = ask(library, *seeds)
    assert names(rows) == ["all three", "two of three", "one"]
    assert rows[0].similarity > rows[1].similarity > 0


def test_equal_agreement_is_ordered_by_the_mean_similarity(library):
    one, other = library.add("one", [1, 0, 0]), library.add("other", [0, 1, 0])
    library.add("far from both", [-1, -1, 0.1])
    library.add("unrelated", [0, 0, 1])
    library.add("akin to one", [1, 0, 0.5])
    assert names(ask(library, one, other)) == ["akin to one", "unrelated", "far from both"]


def test_a_blend_stays_away_from_dislikes(library):
    like, dislike = library.add("like", at(0)), library.add("dislike", at(-60))
    for degrees in (-20, 25, 90):
        library.add(str(degrees), at(degrees))
    assert names(ask(library, like)) == ["-20", "25", "dislike", "90"]
    rows = blend(library.catalogue, library.index(), [seed(library, like)], unlike=[seed(library, dislike)])
    assert names(rows) == ["25", "-20", "90"]
    expected = [np.cos(np.radians(a)) - UNLIKE * max(0, np.cos(np.radians(a + 60))) for a in (25, -20, 90)]
    assert [row.similarity for row in rows] == pytest.approx(np.maximum(expected, 0), abs=1e-6)


def test_of_several_dislikes_the_closest_counts(library):
    like = library.add("like", at(0))
    dislikes = [library.add("near", at(60)), library.add("far", at(180))]
    library.add("middle", at(30))
    unlike = [seed(library, track) for track in dislikes]
    rows = blend(library.catalogue, library.index(), [seed(library, like)], unlike=unlike)
    assert names(rows) == ["middle"]
    assert rows[0].similarity == pytest.approx((1 - UNLIKE) * np.cos(np.radians(30)), abs=1e-6)


def test_a_seed_outside_the_library_finds_what_it_sounds_like(library):
    library.add("near", at(5))
    library.add("far", at(70))
    library.add("itself", at(0), content="elsewhere")
    outside = seed_outside(library.analysis("elsewhere", at(0)))
    rows = similar(library.catalogue, library.index(), [outside])
    assert names(rows) == ["near", "far"]  # the copy that is in the library is the seed itself


# --- what is left out ------------------------------------------------------------------------------------------------


def test_missing_tracks_never_appear(library, catalogue):
    start, near, later = (library.add(name, at(i)) for i, name in enumerate(["start", "near", "later"]))
    library.add("far", at(60))
    catalogue.mark_missing([near.id])
    index = library.index()
    catalogue.mark_missing([later.id])  # after the index was made
    assert names(similar(catalogue, index, [seed(library, start)])) == ["far"]


def test_filters_are_honoured(library):
    start = library.add("start", at(0), genre="Pop")
    library.add("carol", at(5), genre="Christmas")
    library.add("tango", at(10), genre="Tango", year=1990)
    library.add("polka", at(15), genre="Polka", year=1950)
    assert names(ask(library, start, exclude=["genre:christmas"])) == ["tango", "polka"]
    assert names(ask(library, start, only=["year:1900-1960"])) == ["polka"]
    with pytest.raises(EmptyLibraryError, match="--only genre:ska --exclude year:1990"):
        ask(library, start, only=["genre:ska"], exclude=["year:1990"])
    with pytest.raises(EmptyLibraryError, match="beside the seed"):
        ask(library, start, only=["genre:pop"])


def test_artists_and_albums_are_capped(library):
    start = library.add("start", at(0), artist="Ada", album="One")
    for number in range(6):
        album = {"album": "One" if number < 4 else "Two"}
        library.add(f"ada {number}", at(1 + number), artist="ADA" if number % 2 else "Ada", **album)
    library.add("bo", at(30), artist="Bo", album="One")
    assert names(ask(library, start, max_per_artist=2)) == ["ada 0", "ada 1", "bo"]
    assert names(ask(library, start, max_per_album=1)) == ["ada 0", "ada 4"]
    assert names(ask(library, start, max_per_album=1, max_per_artist=1)) == ["ada 0"]


def test_an_album_is_its_title_and_whose_it_is(library):
    start = library.add("start", at(0))
    hits = {"album": "Greatest Hits"}
    library.add("a1", at(1), artist="Ada feat. Bo", album_artist="Ada", folder="/music/a/cd1", **hits)
    library.add("a2", at(2), artist="Ada", album_artist="ada", folder="/music/a/cd2", **hits)
    library.add("b1", at(3), artist="Bo", album_artist="Bo", folder="/music/b", **hits)
    library.add("c1", at(4), artist="Cy", folder="/music/c", **hits)
    library.add("c2", at(5), artist="Di", folder="/music/c", **hits)  # a compilation that names no album artist
    library.add("e1", at(6), artist="Ed", folder="/music/e", **hits)
    assert names(ask(library, start, max_per_album=1)) == ["a1", "b1", "c1", "e1"]


def test_unknown_artists_and_albums_are_not_capped(library):
    start = library.add("start", at(0))
    for number in range(4):
        library.add(f"bare {number}", at(1 + number), album_artist="Various Artists")
    assert len(ask(library, start, max_per_artist=1, max_per_album=1)) == 4


def test_a_cap_reaches_past_many_tracks_of_one_artist(library):
    start = library.add("start", at(0))
    for number in range(150):
        library.add(f"ada {number}", at(number / 10), artist="Ada")
    library.add("bo", at(80), artist="Bo")
    assert names(ask(library, start, max_per_artist=1)) == ["ada 0", "bo"]


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_a_recording_appears_once(library):
    start = library.add("start", at(0))
    library.add("song", at(5), duration=200, heard=fingerprint_of(1))
    library.add("copy", at(5), content="song", duration=200, heard=fingerprint_of(1))
    library.add("re-encoded", at(6), duration=201.5, heard=fingerprint_of(1, flipped=0.15))
    library.add("start copied", at(0), content="start")
    library.add("unheard", at(30), heard=b"")
    library.add("unheard copied", at(30), content="unheard", heard=b"")
    library.add("other", at(20))
    rows = names(ask(library, start))
    assert rows[0] in ("song", "copy")  # equally similar
    assert rows[1] == "other"
    assert rows[2:] in (["unheard"], ["unheard copied"])
    everything = ask(library, start, no_duplicates=False)
    assert len(everything) == 7


def test_the_seed_encoded_anew_does_not_appear(library):
    start = library.add("start", at(0), duration=200, heard=fingerprint_of(1))
    library.add("start as mp3", at(1), duration=200.05, heard=fingerprint_of(1, flipped=0.2))
    library.add("other", at(20))
    assert names(ask(library, start)) == ["other"]


def test_pieces_that_only_resemble_each_other_are_kept(library):
    """Two piano pieces by one composer: as long as each other and nearly the same sound."""
    start = library.add("start", at(0))
    for number in range(5):
        library.add(f"étude {number}", at(5 + number / 100), duration=200 + number, heard=fingerprint_of(number))
    assert len(ask(library, start)) == 5


def test_versions_of_another_length_are_kept(library):
    start = library.add("start", at(0))
    library.add("album version", at(5), duration=200, heard=fingerprint_of(1))
    library.add("single edit", at(6), duration=170, heard=fingerprint_of(1))
    library.add("no fingerprint", at(7), duration=200, heard=b"")
    assert len(ask(library, start)) == 3


def test_a_longer_fade_out_is_still_the_same_recording(library):
    start = library.add("start", at(0))
    for name, duration in {"short": 60.0, "short, padded": 62.9, "long": 3000.0, "long, padded": 3050.0}.items():
        library.add(name, at(5), duration=duration, heard=fingerprint_of(len(name.split(",")[0])))
    assert sorted(name.split(",")[0] for name in names(ask(library, start))) == ["long", "short"]


# --- small and wrong -------------------------------------------------------------------------------------------------


def test_libraries_of_no_one_and_two_tracks(tmp_path):
    outside = None
    for count in range(3):
        with Catalogue.open(tmp_path / f"{count}.db") as catalogue:
            library = SmallLibrary(catalogue, standardise=True)
            tracks = [library.add(f"song {i}", at(40 * i)) for i in range(count)]
            outside = outside or seed_outside(library.analysis("elsewhere", at(7)))
            rows = None
            if count:
                rows = similar(catalogue, library.index(), [outside])
                assert len(rows) == count
            else:
                with pytest.raises(EmptyLibraryError, match="soundkin scan"):
                    similar(catalogue, library.index(), [outside])
            if count == 1:
                with pytest.raises(EmptyLibraryError, match="beside the seed"):
                    ask(library, tracks[0])
            if count == 2:
                rows = ask(library, tracks[0])
                assert names(rows) == ["song 1"]
                assert rows[0].similarity == 0  # as unlike as can be, and all there is


def test_arguments_that_cannot_be_used(library):
    start = library.add("start", at(0))
    library.add("other", at(5))
    for options in ({"n": 0}, {"n": -3}, {"max_per_artist": 0}, {"max_per_album": -1}):
        with pytest.raises(InputError, match="at least 1, not"):
            ask(library, start, **options)
    with pytest.raises(InputError, match="at least one track"):
        ask(library)


def test_a_seed_of_another_model_is_refused(library):
    library.add("start", at(0))
    other = SmallLibrary(library.catalogue, model_id="other-2")
    heard_by_other = seed(other, other.add("other", at(5)))
    with pytest.raises(ModelMismatchError, match="other-2"):
        similar(library.catalogue, library.index(), [heard_by_other])
    with pytest.raises(ModelMismatchError, match="other-2"):
        start = seed(library, library.catalogue.track(1))
        blend(library.catalogue, library.index(), [start], unlike=[heard_by_other])


# --- reasons ---------------------------------------------------------------------------------------------------------

ASPECTS = {"rhythm": slice(0, 2), "harmony": slice(2, 4), "timbre": slice(4, 6)}


@pytest.fixture
def described(catalogue):
    """A library of random tracks with three aspects, and one to start from."""
    library = SmallLibrary(catalogue, dimension=6, aspects=ASPECTS)
    rng = np.random.default_rng(3)
    for number in range(40):
        library.add(f"random {number}", rng.normal(0, 1, 6))
    library.add("start", [1, 0, 1, 0, 1, 0])
    return library


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([1, 0.1, 1, 0, -1, 0], "close in harmony and rhythm"),
        ([1, 0, 1, 0.1, -1, 0], "close in rhythm and harmony"),
        ([1, 0.2, 1, 0.05, 1, 0], "close in timbre and harmony"),  # the closest two of three
        ([0, 1, 0, -1, 1, 0.01], "close in timbre"),
        ([1, 1.1, 1, 2, 1, 1.5], "closest in rhythm"),  # nothing unusual
    ],
)
def test_a_reason_names_the_aspects_that_are_unusually_close(described, vector, reason):
    target = described.add("target", vector)
    start = described.catalogue.search("start")[0]
    rows = {row.track.id: row for row in ask(described, start, n=100)}
    assert rows[target.id].reason == reason


def test_a_reason_is_true_for_every_seed(described):
    start = described.catalogue.search("start")[0]
    other = described.add("other", [-1, 0, 1, 0, 1, 0.1])
    described.add("target", [1, 0, 1, 0.01, -1, 0])
    rows = {row.track.title: row.reason for row in ask(described, start, other, n=100)}
    assert rows["target"] == "close in harmony"


def test_without_aspects_the_tags_that_both_share_are_named(catalogue):
    library = SmallLibrary(catalogue, tags=["jazz", "piano", "loud", "rare"])
    start = library.add("start", at(0), probabilities=[0.8, 0.5, 0.9, 0.06])
    library.add("akin", at(5), probabilities=[0.6, 0.9, 0.9, 0.06])
    library.add("loud too", at(10), probabilities=[0.0, 0.0, 0.9, 0.0])
    library.add("no tags", at(15))
    for number in range(6):
        library.add(f"filler {number}", at(90 + number), probabilities=[0.1, 0.0, 0.9, 0.0])
    reasons = {row.track.title: row.reason for row in ask(library, start, n=3, no_duplicates=False)}
    # piano: 0.5 of a mean of 0.16; jazz: 0.6 of 0.22; everything is loud, and 0.06 is too little to be named
    assert reasons == {"akin": "both: piano, jazz", "loud too": NOTHING_TO_SAY, "no tags": NOTHING_TO_SAY}


def test_with_neither_aspects_nor_tags_it_is_the_overall_sound(library):
    start = library.add("start", at(0))
    library.add("other", at(5))
    assert ask(library, start)[0].reason == NOTHING_TO_SAY


# --- always ----------------------------------------------------------------------------------------------------------

SONGS = st.lists(
    st.tuples(
        st.lists(st.integers(-2, 2), min_size=3, max_size=3),  # vector
        st.sampled_from([None, "Ada", "ada", "Bo"]),
        st.sampled_from([None, "One", "Two"]),
        st.sampled_from("abcdefgh"),  # content
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(songs=SONGS, seeds=st.integers(1, 2), n=st.integers(1, 12), most=st.none() | st.integers(1, 2))
def test_whatever_the_library(tmp_path_factory, songs, seeds, n, most):
    with Catalogue.open(tmp_path_factory.mktemp("any") / "library.db") as catalogue:
        library = SmallLibrary(catalogue, standardise=True)
        first_of = {content: vector for vector, _, _, content in reversed(songs)}  # one content, one vector
        tracks = [
            library.add(f"song {i}", first_of[content], artist=artist, album=album, content=content)
            for i, (_, artist, album, content) in enumerate(songs)
        ]
        start = tracks[:seeds]
        try:
            rows = ask(library, *start, n=n, max_per_artist=most, max_per_album=most)
        except EmptyLibraryError:
            assert {track.content_id for track in tracks} == {track.content_id for track in start}
            return
        assert len(rows) <= n
        assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
        assert all(a.similarity >= b.similarity for a, b in pairwise(rows))
        assert all(0 <= row.similarity <= 1 and row.reason for row in rows)
        contents = [track.content_id for track in start] + [row.track.content_id for row in rows]
        shown = contents[len(start) :]
        assert len(set(shown)) == len(shown)
        assert not set(shown) & {track.content_id for track in start}
        if most is not None:
            artists = [row.track.tags.artist.casefold() for row in rows if row.track.tags.artist]
            albums = [row.track.tags.album for row in rows if row.track.tags.album]
            for found in (artists, albums):
                assert all(found.count(one) <= most for one in found)
        elif n == 12:  # nothing that may be shown is left out
            assert set(contents) == {track.content_id for track in tracks}
