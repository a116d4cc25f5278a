"""Embedding evaluation against figures worked out by hand; who may answer whom; hubs; the tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.embedding_report import as_json, markdown
from soundkin.lab.embeddings import Row, apart, ask, evaluate, nearness, summarise

# On a line: the order of distances can be read off. Three of genre a, two of genre b.
LINE = np.array([[0.0], [1.0], [2.5], [2.0], [10.0]])
GENRES = ["a", "a", "a", "b", "b"]


def test_precision_and_map_are_those_worked_out_by_hand() -> None:
    one = ask(nearness(LINE, metric="euclidean"), GENRES, ks=(1, 2))
    # 0: 1a 3b 2a 4b; 1: 0a|3b tie at distance 1; 2: 3b 1a 0a 4b; 3: 2a 1a 0a 4b; 4: 2a 3b 1a 0a
    assert one.precision[1][[0, 2, 3, 4]].tolist() == [1, 0, 0, 0]
    assert one.precision[2][[0, 2, 3, 4]].tolist() == [0.5, 0.5, 0, 0.5]
    np.testing.assert_allclose(
        one.average_precision[[0, 2, 3, 4]], [(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, 1 / 4, 1 / 2]
    )
    np.testing.assert_allclose(one.chance, [2 / 4, 2 / 4, 2 / 4, 1 / 4, 1 / 4])
    assert one.occurrences[1].sum() == 5 and one.occurrences[1][4] == 0
    assert one.candidates.tolist() == [4] * 5


def test_cosine_does_not_see_length_and_euclid_does() -> None:
    vectors = np.array([[1.0, 0.0], [9.0, 0.5], [0.8, 0.8], [0.0, 0.0]])
    rows = np.array([0])
    cosine = nearness(vectors)(rows)[0]
    np.testing.assert_allclose(cosine, [1, 9 / np.hypot(9, 0.5), np.sqrt(0.5), 0])
    distance = -nearness(vectors, metric="euclidean")(rows)[0]
    np.testing.assert_allclose(distance, [0, np.hypot(8, 0.5), np.hypot(0.2, 0.8), 1], atol=1e-12)


def test_standardising_looks_at_the_candidates_only_and_drops_what_does_not_vary() -> None:
    vectors = np.array([[0.0, 5.0, 0.0], [2.0, 5.0, 10.0], [4.0, 5.0, -10.0], [1e6, 7.0, 3.0]])
    near = nearness(vectors, metric="euclidean", standardise=True, like=np.array([0, 1, 2]))
    deviation = np.array([vectors[:3, 0].std(), vectors[:3, 2].std()])
    expected = np.linalg.norm((vectors[1] - vectors[0])[[0, 2]] / deviation)
    assert -near(np.array([0]))[0, 1] == pytest.approx(expected)


def test_no_song_answers_its_own_group() -> None:
    groups = [0, 0, 1, 1, 2]
    one = ask(nearness(LINE, metric="euclidean"), GENRES, groups=groups, ks=(1, 5))
    # 0 and 1 are one artist; 2 and 3 another: 0 is answered 3, 2, 4
    np.testing.assert_allclose(one.precision[1], [0, 0, 1, 0, 0])
    np.testing.assert_allclose(one.precision[5], [1 / 3, 1 / 3, 2 / 3, 1 / 3, 1 / 4])
    assert one.candidates.tolist() == [3, 3, 3, 3, 4]


def test_only_held_out_songs_ask_and_answer() -> None:
    held = [0, 3, 4]
    one = ask(nearness(LINE, metric="euclidean"), GENRES, ids=list("vwxyz"), queries=held, candidates=held, ks=(1,))
    assert one.ids == ("v", "y", "z") and one.labels == ("a", "b", "b")
    assert one.precision[1].tolist() == [0, 0, 1]
    assert one.occurrences[1].shape == (3,) and one.occurrences[1].sum() == 3
    other = ask(nearness(LINE, metric="euclidean"), GENRES, queries=held, ks=(1,))
    assert other.precision[1].tolist() == [1, 0, 0]  # a training clip answers


def test_a_space_that_says_nothing_scores_as_chance_does() -> None:
    """Equally near songs stand in a random order; in the dataset's own, the first genre would gain."""
    genres = np.repeat(["a", "b", "c", "d"], 50)
    found = evaluate(np.zeros((200, 3)), genres)
    assert found.chance == pytest.approx(49 / 199)
    assert found.precision[10].value == pytest.approx(0.25, abs=0.12)
    assert found.per_label["a"][10].value < 0.6


def test_a_perfect_space_scores_one() -> None:
    vectors = np.repeat(np.eye(3), 11, axis=0)
    found = evaluate(vectors, np.repeat(["a", "b", "c"], 11))
    assert found.precision[5] == (1, 1, 1, 33) and found.precision[10].value == 1
    assert found.mean_average_precision.value == 1
    assert {label: shares[5].value for label, shares in found.per_label.items()} == {"a": 1, "b": 1, "c": 1}


def test_hubs_show() -> None:
    rng = np.random.default_rng(0)
    even = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 40, endpoint=False)), np.sin(a)], axis=1)
    star = np.vstack([np.zeros((1, 39)), 5 * np.eye(39)]) + rng.normal(0, 1e-3, (40, 39))
    genres = ["a", "b"] * 20
    fair = evaluate(even, genres, ks=(2,), metric="euclidean").hubness[2]
    unfair = evaluate(star, genres, ks=(1,), metric="euclidean").hubness[1]
    assert (fair.skewness, fair.never, fair.largest) == (0, 0, 2 / 40)
    assert unfair.skewness > 5 and unfair.never > 0.9 and unfair.largest == pytest.approx(39 / 40)


def test_folds_are_pooled_and_a_song_that_asks_twice_counts_once() -> None:
    first = ask(nearness(LINE, metric="euclidean"), GENRES, ids=list("vwxyz"), ks=(1,))
    second = ask(nearness(-LINE[::-1], metric="euclidean"), GENRES[::-1], ids=list("zyxwv"), ks=(1,))
    both = summarise([first, second])
    assert both.asked == 5 == both.precision[1].clips
    assert both.precision[1].value == pytest.approx((first.precision[1].mean() + second.precision[1].mean()) / 2)
    low, high = both.precision[1].low, both.precision[1].high
    assert 0 <= low < both.precision[1].value < high <= 1


def test_the_interval_shrinks_with_the_songs() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (40, 640):
        found = evaluate(rng.standard_normal((n, 4)), rng.choice(["a", "b"], n)).precision[5]
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 3


def test_copies_and_artists_stand_apart() -> None:
    clips = [Clip(id, "a", artist) for id, artist in zip("pqrst", ["X", "x", None, "Y", None], strict=True)]
    groups = apart(Dataset("d", tuple(clips), "", "", duplicates=(("r", "s"), ("gone", "t")))).tolist()
    assert groups[0] == groups[1] and groups[2] == groups[3]
    assert len(set(groups)) == 3
    unknown = tuple(Clip(id, "a") for id in "pqr")
    assert len(set(apart(Dataset("d", unknown, "", "")).tolist())) == 3
    groups = apart(Dataset("d", unknown, "", "", duplicates=(("q", "r"),))).tolist()
    assert groups[1] == groups[2] != groups[0]


def test_the_tables_show_the_models_side_by_side() -> None:
    found = evaluate(LINE, GENRES, ks=(2, 4), metric="euclidean")
    rows = [Row("one", "all clips", found), Row("two", "held out", found), Row("three", "all clips", found)]
    text = markdown(rows)
    assert text.index("## all clips") < text.index("| three |") < text.index("## held out") < text.index("| two |")
    assert str(found.precision[2]) in text and str(found.mean_average_precision) in text
    assert "| genre | one | three |" in text
    line = next(line for line in text.splitlines() if line.startswith("| a |"))
    assert line == f"| a | {found.per_label['a'][2]} | {found.per_label['a'][2]} |"
    mean = (found.per_label["a"][2].value + found.per_label["b"][2].value) / 2
    assert f"| mean of the genres | {mean:.3f} | {mean:.3f} |" in text
    plain = as_json(rows)
    assert json.loads(json.dumps(plain)) == plain
    assert plain[1]["how"] == "held out" and plain[1]["precision"]["2"]["value"] == found.precision[2].value


@pytest.mark.parametrize(
    ("vectors", "match"),
    [(np.full((5, 2), np.nan), "NaN"), (np.zeros(5), r"\(5,\)")],
)
def test_vectors_that_cannot_be_compared(vectors: np.ndarray, match: str) -> None:
    with pytest.raises(ExperimentError, match=match):
        evaluate(vectors, GENRES)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(UnknownNameError, match=r"'manhattan'.*cosine"):
        nearness(LINE, metric="manhattan")
    with pytest.raises(ExperimentError, match="0 songs ask"):
        evaluate(LINE, GENRES, queries=[])
