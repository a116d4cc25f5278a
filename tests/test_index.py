from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.errors import ModelMismatchError
from soundkin.index import Index, best, cache_path
from soundkin.model import Space

RNG = np.random.default_rng(7)


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


def fill(library, count, *, dimension, offset=0):
    rows = np.random.default_rng(count + offset).normal(3, 2, (count, dimension)).astype(np.float32)
    for number, row in enumerate(rows):
        library.add(f"song {number + offset}", row)
    return rows


def test_vectors_are_standardised_then_weighted_then_of_unit_length(catalogue):
    weights = [1.0, 2.0, 0.5, 3.0]
    library = SmallLibrary(catalogue, dimension=4, standardise=True, weights=weights)
    raw = fill(library, 20, dimension=4).astype(np.float64)

    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0) * weights
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    index = library.index()
    np.testing.assert_allclose(index.vectors, expected, atol=1e-5)
    assert index.vectors.dtype == np.float32
    assert index.track_ids.tolist() == sorted(index.track_ids.tolist())


def test_a_space_that_is_not_standardised_only_loses_its_length(catalogue):
    library = SmallLibrary(catalogue, dimension=2)
    library.add("a", [3, 4])
    library.add("b", [0, 2])
    np.testing.assert_allclose(library.index().vectors, [[0.6, 0.8], [0, 1]], atol=1e-6)


def test_columns_that_say_nothing_are_left_out(catalogue):
    library = SmallLibrary(catalogue, dimension=4, standardise=True, weights=[1, 1, 0, 1])
    for number, value in enumerate([1.0, 2.0, 5.0, 9.0]):
        library.add(f"song {number}", [value, 1e6, value**2, -value])
    index = library.index()
    assert np.isfinite(index.vectors).all()
    assert not index.vectors[:, [1, 2]].any()  # one constant but for rounding, one without weight
    other = index.project(np.array([1, -1e6, 50, 3], np.float32), model_id="tiny-1")
    assert not other[[1, 2]].any()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_smallest_libraries_work(catalogue, count):
    library = SmallLibrary(catalogue, dimension=3, standardise=True, aspects={"rhythm": slice(0, 3)})
    fill(library, count, dimension=3)
    index = library.index()
    assert len(index) == count
    assert np.isfinite(index.vectors).all()
    query = index.project(np.ones(3, np.float32), model_id="tiny-1")
    assert np.isfinite(index.similarities(query)).all()
    assert len(index.nearest(query, k=5)[0]) == count


def test_a_model_that_has_heard_nothing_gives_an_index_of_nothing(catalogue):
    index = Index.load(catalogue, Space(5), model_id="never-heard-of")
    assert len(index) == 0
    assert index.vectors.shape == (0, 5)
    assert index.rows([1, 2]).tolist() == [-1, -1]


def test_projecting_a_track_gives_its_row(catalogue):
    library = SmallLibrary(catalogue, dimension=6, standardise=True)
    raw = fill(library, 9, dimension=6)
    index = library.index()
    for row in range(9):
        np.testing.assert_allclose(index.project(raw[row], model_id="tiny-1"), index.vectors[row], atol=1e-6)


def test_vectors_of_another_model_are_refused(catalogue):
    library = SmallLibrary(catalogue, dimension=3)
    library.add("a", [1, 2, 3])
    index = library.index()
    with pytest.raises(ModelMismatchError, match="other-2"):
        index.project(np.ones(3, np.float32), model_id="other-2")
    with pytest.raises(ModelMismatchError, match=r"\(4,\)"):
        index.project(np.ones(4, np.float32), model_id="tiny-1")
    with pytest.raises(ModelMismatchError, match="8 numbers"):
        Index.load(catalogue, Space(8), model_id="tiny-1")


def test_missing_tracks_are_not_in_it(catalogue):
    library = SmallLibrary(catalogue)
    kept, gone = library.add("a", [1, 0, 0]), library.add("b", [0, 1, 0])
    catalogue.mark_missing([gone.id])
    assert library.index().track_ids.tolist() == [kept.id]


def test_search_is_exact(catalogue):
    library = SmallLibrary(catalogue, dimension=8, standardise=True)
    fill(library, 40, dimension=8)
    index = library.index()
    queries = index.vectors[[3, 17]]
    together = index.similarities(queries)
    for query, similarity in zip(queries, together, strict=True):
        np.testing.assert_allclose(similarity, (index.vectors * query).sum(axis=1), atol=1e-6)
        np.testing.assert_allclose(index.similarities(query), similarity, atol=1e-6)
        rows, values = index.nearest(query, k=5)
        assert rows.tolist() == np.argsort(-similarity, kind="stable")[:5].tolist()
        np.testing.assert_array_equal(values, index.similarities(query)[rows])
    assert together.max() <= 1.0

    odd = np.arange(40) % 2 == 1
    rows, _ = index.nearest(queries[0], k=100, among=odd)
    assert sorted(rows.tolist()) == np.flatnonzero(odd).tolist()


@given(
    st.lists(st.integers(-3, 3).map(float) | st.just(-np.inf), max_size=40),
    st.integers(0, 50),
    st.integers(0, 2**40 - 1),
)
def test_best_is_a_stable_sort_of_the_finite_scores(scores, k, bits):
    among = np.array([bits >> i & 1 == 1 for i in range(len(scores))], bool)
    expected = sorted((-s, i) for i, s in enumerate(scores) if s > -np.inf and among[i])[:k]
    assert best(np.array(scores), k=k, among=among).tolist() == [i for _, i in expected]


def test_rows_of_ids(catalogue):
    library = SmallLibrary(catalogue)
    tracks = [library.add(name, [1, 0, 0]) for name in "abc"]
    index = library.index()
    assert index.rows([tracks[2].id, 99, tracks[0].id, 0]).tolist() == [2, -1, 0, -1]


def test_aspects_are_compared_on_their_own(catalogue):
    library = SmallLibrary(catalogue, dimension=4, aspects={"rhythm": slice(0, 2), "harmony": slice(2, 4)})
    library.add("a", [1, 0, 1, 0])
    library.add("b", [5, 0, 0, 1])
    library.add("c", [0, 0, 1, 1])
    index = library.index()
    cosines = index.aspect_similarities(index.vectors[:1], index.vectors)
    np.testing.assert_allclose(cosines, [[1, 1, 0], [1, 0, np.sqrt(0.5)]], atol=1e-6)
    # the three pairs of this library: rhythm 1, 0, 0; harmony 0, √½, √½
    np.testing.assert_allclose(index.usual, [[0, 0, 1], [0, np.sqrt(0.5), np.sqrt(0.5)]], atol=1e-6)
    np.testing.assert_allclose(index.percentiles(np.array([[0.5], [0.5]], np.float32)), [[2 / 3], [1 / 3]], atol=1e-6)


def test_means_of_tags_leave_out_tracks_that_have_none(catalogue):
    library = SmallLibrary(catalogue, tags=["jazz", "piano"])
    library.add("a", [1, 0, 0], probabilities=[0.2, 0.8])
    library.add("b", [0, 1, 0], probabilities=[0.4, 0.0])
    library.add("c", [0, 1, 0])
    index = library.index()
    assert index.tag_labels == ("jazz", "piano")
    np.testing.assert_allclose(index.tag_means, [0.3, 0.4], atol=1e-6)


# --- the file beside the library -------------------------------------------------------------------------------------


@pytest.fixture
def kept(catalogue):
    """A library whose index has been kept: (library, index, path of its file)."""
    library = SmallLibrary(
        catalogue, dimension=5, standardise=True, aspects={"rhythm": slice(0, 5)}, tags=["jazz"], model_id="tiny:1/ä"
    )
    fill(library, 12, dimension=5)
    index = library.index()
    path = cache_path(catalogue.path, library.model.id)
    assert path.exists()
    return library, index, path


def same(a, b):
    return all(np.array_equal(getattr(a, one.name), getattr(b, one.name)) for one in fields(Index))


def test_it_lies_beside_the_library_under_a_plain_name(kept, catalogue):
    _, _, path = kept
    assert path.parent == catalogue.path.parent
    assert path.name == "library.db-tiny_1__.npz"


def test_the_next_load_does_not_read_the_vectors_again(kept, monkeypatch):
    library, index, _ = kept
    monkeypatch.setattr(Catalogue, "vectors", lambda *_: pytest.fail("the vectors were read again"))
    assert same(library.index(), index)


def test_a_changed_library_gets_a_new_index(kept):
    library, index, _ = kept
    fill(library, 1, dimension=5, offset=12)
    again = library.index()
    assert len(again) == 13
    assert again.generation != index.generation
    assert same(library.index(), again)


def swapped(path):
    """The same file with one byte changed."""
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 0xFF
    return bytes(content)


def array(value):
    def write(path):
        with path.open("wb") as file:
            np.save(file, value, allow_pickle=True)
        return path.read_bytes()

    return write


DAMAGE = {
    "empty": lambda path: b"",
    "cut off": lambda path: path.read_bytes()[:-500],
    "one byte wrong": swapped,
    "text": lambda path: b"not an archive",
    "an array": array(np.arange(3)),
    "a pickle": array(np.array([{"a": 1}], dtype=object)),
}


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_made_anew(kept, damage, suffix):
    library, index, path = kept
    path = path.with_suffix(suffix)
    path.write_bytes(damage(path))
    assert same(library.index(), index)
    assert same(library.index(), index)  # now from the file again


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("usual", np.zeros(10, np.float32)),
        ("usual", np.zeros((1, 10), np.float64)),
        ("tag_means", np.zeros(2, np.float32)),
        ("track_ids", np.arange(12)[::-1].copy()),
        ("mean", np.zeros(4, np.float32)),
        ("stamp", np.array("index 0 of something else")),
    ],
)
def test_a_file_of_another_shape_is_made_anew(kept, name, value):
    library, index, path = kept
    with np.load(path) as file:
        content = dict(file)
    content[name] = value
    np.savez(path, **content)
    assert same(library.index(), index)


def test_the_file_of_another_model_is_not_used(catalogue):
    one, other = (SmallLibrary(catalogue, dimension=2, model_id=name) for name in ("a:1", "a_1"))
    one.add("song", [1, 0])
    other.add("song", [0, 1])
    assert cache_path(catalogue.path, "a:1") == cache_path(catalogue.path, "a_1")
    assert one.index().vectors.tolist() == [[1, 0]]
    assert other.index().vectors.tolist() == [[0, 1]]
    assert one.index().vectors.tolist() == [[1, 0]]


def test_a_place_that_cannot_be_written_is_no_error(catalogue, tmp_path):
    library = SmallLibrary(catalogue, dimension=3)
    fill(library, 4, dimension=3)
    (cache_path(catalogue.path, "tiny-1") / "in the way").mkdir(parents=True)
    assert len(library.index()) == 4
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
