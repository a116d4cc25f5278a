"""Tag space against embedding: spaces and questions worked out by hand, who is left out, lists, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from small_library import SmallLibrary
from soundkin.catalogue import Catalogue
from soundkin.cli import main as cli
from soundkin.errors import EmptyLibraryError, ExperimentError, SeedError, UnknownNameError
from soundkin.lab import tagspace
from soundkin.lab.compare_embeddings import evaluate_albums
from soundkin.lab.tagneighbours import example_songs, neighbours
from soundkin.lab.tagspace import (
    EMBEDDING,
    TAG_SPACES,
    compare_spaces,
    load_tagged,
    logits,
    nearest,
    over_clusters,
    questions_of,
    shared_share,
    strongest_tags,
    tag_nearness,
)
from soundkin.lab.tagspace_plots import as_json, flat, maps, markdown, write_page
from soundkin.library import Library
from soundkin.model import METADATA_KEY, load_model, model_card
from soundkin.spectrogram import LogMel

LABELS = ["rock", "calm", "jazz"]
DIMENSION = 4


def write_model(path: Path, *, labels: list[str] = LABELS, name: str = "tiny-tagger") -> Path:
    """A model file: mean over time times a fixed matrix; tags are the sigmoid of the same times another."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((24, DIMENSION)).astype(np.float32) * np.float32(0.02)
    v = rng.standard_normal((DIMENSION, max(1, len(labels)))).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["mel"], ["pooled"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["pooled", "w"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "v"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["tags"]),
    ]
    outputs = {"embedding": DIMENSION, "tags": v.shape[1]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", 24, 32])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["batch", size]) for one, size in outputs.items()],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(v, "v")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = model_card(
        name,
        front_end=LogMel(sr=16000, n_fft=512, hop_length=256, n_mels=24, mel_scale="htk", norm=None),
        version="1",
        segment_frames=32,
        dimension=DIMENSION,
        tags=[{"label": label, "category": "genre"} for label in labels],
        excerpts="2x3",
    )
    helper.set_model_props(model, {METADATA_KEY: card})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny tagger.onnx")


@pytest.fixture
def small(tmp_path: Path, tagger: Path) -> Iterator[SmallLibrary]:
    """An empty library that knows the tagger."""
    with Catalogue.open(tmp_path / "small.db") as catalogue:
        yield SmallLibrary(catalogue, dimension=DIMENSION, tags=LABELS, model_id=load_model(tagger).id)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, tagger: Path) -> Iterator[SmallLibrary]:
    """A library of four albums in which the tags know better; not to be changed."""
    with Catalogue.open(tmp_path_factory.mktemp("filled") / "filled.db") as catalogue:
        library = SmallLibrary(catalogue, dimension=DIMENSION, tags=LABELS, model_id=load_model(tagger).id)
        fill(library)
        yield library


def fill(small: SmallLibrary, *, albums: int = 5, songs: int = 6, tags_know: bool = True) -> None:
    """Albums whose songs have like tags and embeddings of no sense, or the other way round; two albums an artist."""
    rng = np.random.default_rng(1)
    corners = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1], [0.1, 0.9, 0.9]])
    for album in range(albums):
        for song in range(songs):
            sense = np.append(corners[album], 1.0)
            senseless = rng.uniform(0.1, 0.9, 4)
            vector, tags = (senseless, sense) if tags_know else (sense, senseless)
            small.add(
                f"{album} {song}",
                (vector + rng.normal(0, 0.01, 4)).tolist(),
                probabilities=np.clip(tags[:3] + rng.normal(0, 0.01, 3), 0.01, 0.99).tolist(),
                album=f"album {album}",
                artist=f"Artist {album // 2}",
                title=f"song {album} {song}",
                genre="Jazz" if album % 2 else "Röck",
            )


# --- spaces ----------------------------------------------------------------------------------------------------------

P = np.array([[0.8, 0.1, 0.02], [0.4, 0.05, 0.01], [0.8, 0.1, 0.2], [0.7, 0.2, 0.02]])


def test_the_spaces_are_those_worked_out_by_hand() -> None:
    rows = np.array([0])
    assert -tag_nearness("euclidean", P)(rows)[0, 3] == pytest.approx(np.hypot(0.1, 0.1))
    assert tag_nearness("cosine", P)(rows)[0, 1] == pytest.approx(1)  # half of everything is the same direction
    z = np.log(P / (1 - P))
    np.testing.assert_allclose(logits(P), z)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    cosine = z[0] @ z[2] / np.linalg.norm(z[0]) / np.linalg.norm(z[2])
    assert tag_nearness("logits", P)(rows)[0, 2] == pytest.approx(cosine)
    assert np.isfinite(logits(np.array([[0.0, 1.0]]))).all()
    with pytest.raises(UnknownNameError, match=r"'taxicab'.*euclidean, cosine, logits"):
        tag_nearness("taxicab", P)


def test_the_dominant_tag_is_what_sets_a_song_apart_and_argmax_is_not() -> None:
    assert strongest_tags(P, by="argmax")[:, 0].tolist() == [0, 0, 0, 0]
    assert strongest_tags(P, by="standardised")[2:, 0].tolist() == [2, 1]
    assert strongest_tags(P)[:, 0].tolist() == [0, 0, 2, 1]  # the second has .4 and .05: only the first was heard
    assert strongest_tags(P, n=3)[1].tolist() == [0, 1, 2]
    assert strongest_tags(P / 9)[1, 0] == 0  # nothing was heard: the most probable
    assert strongest_tags(P, n=9).shape == (4, 3)
    constant = np.column_stack([np.full(4, 0.99), P])
    assert 0 not in strongest_tags(constant)[2:, 0]
    with pytest.raises(UnknownNameError, match=r"'most'.*distinctive, standardised, argmax"):
        strongest_tags(P, by="most")


def test_lists_leave_the_song_itself_out_and_overlaps_are_counted() -> None:
    near = tag_nearness("euclidean", np.array([[0.0], [0.1], [0.3], [0.9]]))
    lists = nearest(near, np.arange(4), k=2)
    assert lists.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert shared_share(lists, np.array([[2, 1], [3, 0], [3, 3], [1, 2]])).tolist() == [1, 0.5, 0, 1]


def test_an_interval_over_albums_is_as_wide_as_songs_of_an_album_are_alike() -> None:
    albums = np.repeat(np.arange(20), 10)
    same = np.repeat(np.random.default_rng(0).choice([0.0, 1.0], 20), 10)
    alike, alone = over_clusters(same, albums), over_clusters(same, np.arange(200))
    assert alike.value == alone.value == same.mean() and alike.clips == 200
    assert alike.high - alike.low > 2 * (alone.high - alone.low)
    assert over_clusters(np.full(5, 0.25), np.arange(5))[:3] == (0.25, 0.25, 0.25)
    few = over_clusters(np.arange(40.0), np.arange(40) % 4)
    assert few.value == 19.5 and np.isnan([few.low, few.high]).all()


# --- what takes part -------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted(small: SmallLibrary, tagger: Path) -> None:
    fill(small, albums=2)
    small.add("jingle", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], duration=9)
    small.add("no tags", [0, 0, 0, 1])
    small.add("copy", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], content="0 0")
    other = SmallLibrary(small.catalogue, dimension=DIMENSION, model_id="other-1")
    other.add("unheard", [0, 0, 0, 1])
    tagged = load_tagged(small.catalogue, tagger)
    assert len(tagged) == 12 and tagged.labels == tuple(LABELS)
    assert tagged.left_out == {
        "shorter than 30 s": 1,
        "not heard by this model yet": 1,
        "heard without tags": 1,
        "exact copies of another": 1,
    }
    assert np.isfinite(tagged.probabilities).all() and (np.diff(tagged.track_ids) > 0).all()
    assert tagged.artists[0] == "artist 0" and tagged.genres[0] == "rock"
    ids, _ = small.catalogue.vectors(tagged.model_id)
    assert ids[np.isin(ids, tagged.track_ids)].tolist() == tagged.index.track_ids[tagged.rows].tolist()
    assert len(load_tagged(small.catalogue, tagger, shortest=0)) == 13


def test_models_and_libraries_that_cannot_be_compared(small: SmallLibrary, tagger: Path, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="timbre-1 gives no tags"):
        load_tagged(small.catalogue, "timbre")
    with pytest.raises(EmptyLibraryError, match=r"has heard nothing.*that have: none.*--model '.*tagger.onnx' scan"):
        load_tagged(small.catalogue, tagger)
    small.add("only", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5])
    small.add("jingle", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], duration=9)
    with pytest.raises(EmptyLibraryError, match=r"has 1 tracks .*\(1 shorter than 30 s\); 3 is the least"):
        load_tagged(small.catalogue, tagger)
    fill(small, albums=1)
    with pytest.raises(ExperimentError, match="7 tracks have no 7 nearest: k is from 1 to 6"):
        compare_spaces(load_tagged(small.catalogue, tagger), k=7)
    stranger = write_model(tmp_path / "stranger.onnx", name="stranger")
    with pytest.raises(EmptyLibraryError, match=r"stranger-\w+ has heard nothing.*that have: tiny-tagger-"):
        load_tagged(small.catalogue, stranger)


# --- questions -------------------------------------------------------------------------------------------------------


def test_who_may_ask_and_answer(small: SmallLibrary, tagger: Path) -> None:
    def add(name: str, **tags: str) -> None:
        small.add(name, [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], **tags)

    add("a", album="one", artist="X", genre="Rock")
    add("b", album="one", artist="X", genre="Rock")
    add("c", album="two", artist="x", genre="Pop")
    add("d", album="two", artist="Y", genre="rock")
    add("e", album="three", artist="Z", genre="Rock")
    add("f", genre="Pop")
    add("g", album="four", artist="W")
    asked = {one.name: one for one in questions_of(load_tagged(small.catalogue, tagger))}
    assert set(asked) == {"album", "artist", "artist, other album", "genre, other artist"}
    assert asked["album"].queries.tolist() == list(range(7))
    assert asked["artist"].queries.tolist() == [0, 1, 2]
    assert asked["artist"].candidates.tolist() == [0, 1, 2, 3, 4, 6]
    other = asked["artist, other album"]
    assert other.queries.tolist() == [0, 1, 2]
    genre = asked["genre, other artist"]
    assert genre.groups is not None
    # X links albums one and two, album two links Y to them
    assert len(set(genre.groups[:4])) == 1 and len(set(genre.groups[[0, 4, 5, 6]])) == 4
    assert genre.queries.tolist() == [0, 1, 2, 3, 4, 5]
    assert 6 not in genre.candidates


def test_questions_that_say_nothing_are_left_out(small: SmallLibrary, tagger: Path) -> None:
    for i in range(4):
        small.add(f"s{i}", [0, 0, i, 1], probabilities=[0.5, 0.5, 0.1 * i], album=f"album {i}", artist="One")
    names = [one.name for one in questions_of(load_tagged(small.catalogue, tagger))]
    assert names == ["album"]  # there is one artist, and no genre


@pytest.mark.parametrize("tags_know", [True, False])
def test_the_better_space_wins(small: SmallLibrary, tagger: Path, tags_know: bool) -> None:
    fill(small, tags_know=tags_know)
    tagged = load_tagged(small.catalogue, tagger)
    found = {one.space: one for one in compare_spaces(tagged)}
    assert list(found) == [EMBEDDING, *TAG_SPACES]
    assert found[EMBEDDING].overlap is None and found[EMBEDDING].differences == {}
    for name in TAG_SPACES:
        better, worse = (found[name], found[EMBEDDING]) if tags_know else (found[EMBEDDING], found[name])
        assert better.evaluations["album"].precision[5].value == 1
        assert worse.evaluations["album"].precision[5].value < 0.6
        difference = found[name].differences["album"]
        assert difference.low > 0 if tags_know else difference.high < 0
        gap = better.evaluations["album"].precision[5].value - worse.evaluations["album"].precision[5].value
        assert abs(difference.value) == pytest.approx(gap)
        overlap = found[name].overlap
        assert overlap is not None and 0 < overlap.value < 0.6


def test_the_embedding_scores_as_evaluate_embeddings_says(small: SmallLibrary, tagger: Path) -> None:
    fill(small)
    small.add("jingle", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], duration=9)
    small.add("copy", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], content="0 0")
    small.add("in a folder", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5])
    ours = compare_spaces(load_tagged(small.catalogue, tagger))[0].evaluations["album"]
    theirs = evaluate_albums(small.catalogue, str(tagger), ks=(5,)).evaluation
    assert ours.precision == theirs.precision and ours.chance == theirs.chance
    assert ours.mean_average_precision == theirs.mean_average_precision
    assert ours.hubness == theirs.hubness and ours.asked == theirs.asked == 31


def test_of_a_large_library_an_even_sample_asks(
    filled: SmallLibrary, tagger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagspace, "MOST_ASKING", 7)
    found = compare_spaces(load_tagged(filled.catalogue, tagger))
    assert found[1].evaluations["album"].asked == 6 and found[1].evaluations["album"].candidates == 29
    assert found[1].overlap is not None and found[1].overlap.clips == 6


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_song_is_answered_by_tags_and_by_embedding_with_the_tags_both_have(small: SmallLibrary, tagger: Path) -> None:
    fill(small)
    small.add("copy of a seed", [0, 0, 0, 1], probabilities=[0.9, 0.1, 0.1], content="0 3", title="its copy")
    tagged = load_tagged(small.catalogue, tagger)
    library = Library(small.catalogue, model=tagger)
    found = neighbours(library, tagged, "song 0 3", n=4)
    assert [one.track.album for one in found.by_tags] == ["album 0"] * 4
    assert "song 0 3" not in [one.track.title for one in (*found.by_tags, *found.by_embedding)]
    assert "its copy" not in [one.track.title for one in (*found.by_tags, *found.by_embedding)]
    assert [one.value for one in found.by_tags] == sorted(one.value for one in found.by_tags)
    assert found.by_tags[0].value < 0.1 and {one.reason for one in found.by_tags} == {"both: rock"}
    values = [one.value for one in found.by_embedding]
    assert values == sorted(values, reverse=True) and values[0] <= 1
    assert found.tags[0][0] == "rock" and found.tags[0][1] == pytest.approx(0.9, abs=0.05)
    likeness = neighbours(library, tagged, "song 0 3", n=4, space="logits").by_tags[0].value
    assert 0.9 < likeness <= 1
    with pytest.raises(SeedError, match="no track answers"):
        neighbours(library, tagged, "nothing like it")


def test_a_song_that_does_not_take_part_may_still_ask(small: SmallLibrary, tagger: Path) -> None:
    fill(small)
    short = small.add("jingle", [0, 0, 0, 1], probabilities=[0.1, 0.1, 0.9], duration=9, title="jingle")
    copy = small.add("again", [0, 0, 0, 1], probabilities=[0.9, 0.1, 0.1], content="0 3", title="again")
    silent = small.add("no tags", [0, 0, 0, 1], title="no tags")
    tagged = load_tagged(small.catalogue, tagger)
    library = Library(small.catalogue, model=tagger)
    for space in TAG_SPACES:
        found = neighbours(library, tagged, short.id, space=space)
        assert {one.track.album for one in found.by_tags} == {"album 2"}
    assert "song 0 3" not in [one.track.title for one in neighbours(library, tagged, copy.id).by_tags]
    with pytest.raises(SeedError, match="no tags was heard without tags"):
        neighbours(library, tagged, silent.id)


def test_examples_come_from_the_largest_albums(small: SmallLibrary, tagger: Path) -> None:
    fill(small)
    small.add("single", [0, 0, 0, 1], probabilities=[0.5, 0.5, 0.5], album="single")
    tagged = load_tagged(small.catalogue, tagger)
    albums = [track.album for track in small.catalogue.tracks(example_songs(tagged))]
    assert sorted(albums, key=str) == [f"album {i}" for i in range(4)]


# --- maps and the page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 5), (40, 60), (10, 1), (6, 3)])
def test_maps_of_few_songs_and_few_tags(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random(shape)
    first = flat(x)
    assert first.shape == (shape[0], 2) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, flat(x))
    assert np.isfinite(flat(np.zeros(shape))).all()


def test_a_legend_names_the_most_frequent_and_greys_the_others() -> None:
    marks = np.array([f"t{i}" for i in range(30) for _ in range(30 - i)], object)
    points = np.random.default_rng(0).random((len(marks), 2))
    texts = [text.get_text() for text in maps(points, points, marks).legends[0].get_texts()]
    assert texts[0] == "t0 (30)" and len(texts) == 13 and texts[-1] == f"others ({len(marks) - sum(range(19, 31))})"
    few = maps(points[:4], points[:4], np.array(["a", "a", "b", "c"], object))
    assert [text.get_text() for text in few.legends[0].get_texts()] == ["a (2)", "b (1)", "c (1)"]


def test_the_page_holds_tables_maps_and_lists(filled: SmallLibrary, tagger: Path, tmp_path: Path) -> None:
    tagged = load_tagged(filled.catalogue, tagger)
    compared = compare_spaces(tagged, k=3)
    lists = [neighbours(Library(filled.catalogue, model=tagger), tagged, song, n=3) for song in example_songs(tagged)]
    page = write_page(tmp_path / "page", [(tagged, compared, lists)], k=3)
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    assert page.name == "index.html" and str(compared[1].evaluations["album"].precision[3]) in text
    assert "difference to embedding" in text and "Same genre, other artist: 30 songs of 5 albums ask" in text
    assert text.count("![") == 3 and text.count("Near Artist") == 4
    assert json.loads((tmp_path / "page" / "tag-space.json").read_text()) == [as_json(tagged, compared, k=3)]
    assert "<img" in page.read_text(encoding="utf-8")
    assert markdown([(tagged, compared)], k=3).count("| tags, Euclidean |") == len(compared[0].evaluations) + 1


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(filled: SmallLibrary, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command on that library: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(["--library", str(filled.catalogue.path), "lab", "tag-space", *map(str, arguments)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def test_the_command_prints_and_writes(ask: Callable[..., tuple[int, str, str]], tagger: Path, tmp_path: Path) -> None:
    code, out, err = ask(tagger, "--out", tmp_path / "page", "-k", 4)
    assert code == 0 and "P@4" in out and "tags, Euclidean" in out
    assert (tmp_path / "page" / "index.html").is_file() and "wrote" in err
    (first,) = json.loads(ask(tagger, "--json")[1])
    assert first["tracks"] == 30 and first["albums"] == 5 and first["k"] == 5
    album = first["spaces"]["euclidean"]["questions"]["album"]
    assert album["precision"]["value"] == 1 and album["difference"]["low"] > 0
    assert first["spaces"][EMBEDDING]["questions"]["album"]["difference"] is None


def test_the_command_lists_what_is_near_a_song(
    ask: Callable[..., tuple[int, str, str]], tagger: Path, tmp_path: Path, encoded: Callable[[str], Path]
) -> None:
    code, out, _ = ask(tagger, "--seed", "song 1 2", "-k", 3)
    lines = out.splitlines()
    assert code == 0 and len(lines) == 4 and lines[0].startswith("Artist 0 – song 1 2 [album 1]: calm 9")
    assert "Artist 0 – song 1" in lines[1] and "both: calm" in lines[1]
    code, out, _ = ask(tagger, "--seed", encoded("flac"), "--seed", "song 1 2", "--json", "--space", "cosine")
    outside, inside = json.loads(out)
    assert code == 0 and outside["song"]["id"] == 0 and len(outside["by_tags"]) == len(outside["by_embedding"]) == 5
    assert "similarity" in inside["by_tags"][0] and inside["by_tags"][0]["track"]["album"] == "album 1"
    code, _, _ = ask(tagger, "--seed", "song 1 2", "--out", tmp_path / "page")
    assert code == 0
    assert "Near Artist 0 – song 1 2" in (tmp_path / "page" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TAGGER", "--space", "taxicab"], "taxicab"),
        (["TAGGER", "--dominant", "most"], "standardised, argmax"),
        (["TAGGER", "-k", "30"], "30 tracks have no 30 nearest"),
        (["TAGGER", "--seed", "nobody"], "no track answers to 'nobody'"),
        (["timbre"], "timbre-1 gives no tags"),
        ([], "has heard nothing in"),  # the default model, which is another than the one that scanned
        (["no such.onnx"], "no such.onnx"),
        (["nonsense"], "nonsense"),
    ],
)
def test_the_command_says_what_is_wrong(
    ask: Callable[..., tuple[int, str, str]], tagger: Path, arguments: list[str], message: str
) -> None:
    code, out, err = ask(*(str(tagger) if one == "TAGGER" else one for one in arguments))
    assert code != 0 and out == "" and message in err and "Traceback" not in err
