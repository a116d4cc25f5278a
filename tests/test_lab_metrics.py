"""What the lab's figures say, worked out by hand; and how far a figure may be trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from soundkin.errors import ExperimentError
from soundkin.lab.metrics import (
    bootstrap_interval,
    classification_report,
    collect,
    confidently_wrong,
    confusion_matrix,
    in_common,
    mean_scores,
    most_confused,
    paired_difference,
)
from soundkin.lab.runs import Predictions

LABELS = ("blues", "jazz", "metal", "rock")


def predicted(pairs: str, *, ids: list[str] | None = None, labels: tuple[str, ...] = LABELS) -> Predictions:
    """'bb bj' are two blues clips, the second taken for jazz; every answer has the probability 0.7."""
    initials = [label[0] for label in labels]
    true, named = (np.array([initials.index(pair[i]) for pair in pairs.split()]) for i in (0, 1))
    probabilities = np.full((len(true), len(labels)), 0.3 / (len(labels) - 1))
    probabilities[np.arange(len(true)), named] = 0.7
    return Predictions(tuple(ids or (f"clip{i}" for i in range(len(true)))), true, probabilities, labels)


def answers(right: np.ndarray, *, ids: list[str] | None = None) -> Predictions:
    """Clips of one class, named rightly where `right` says so."""
    return predicted(" ".join("bb" if one else "bj" for one in right), ids=ids)


def test_the_report_is_what_one_works_out_by_hand():
    scores = classification_report(predicted("bb bb bj jj jb mj"))
    assert scores.accuracy == pytest.approx(3 / 6)
    # metal is never predicted: 0, not an error; rock occurs nowhere: no figure, and in no mean
    np.testing.assert_allclose(scores.precision, [2 / 3, 1 / 3, 0, math.nan])
    np.testing.assert_allclose(scores.recall, [2 / 3, 1 / 2, 0, math.nan])
    np.testing.assert_allclose(scores.f1, [2 / 3, 2 / 5, 0, math.nan])
    assert scores.support.tolist() == [3, 2, 1, 0]
    assert scores.macro == pytest.approx(((2 / 3 + 1 / 3) / 3, (2 / 3 + 1 / 2) / 3, (2 / 3 + 2 / 5) / 3))
    assert scores.weighted.precision == pytest.approx((3 * 2 / 3 + 2 * 1 / 3) / 6)
    assert scores.weighted.recall == pytest.approx(scores.accuracy)


def test_the_folds_of_a_seed_are_one_test_part():
    parts = [predicted("bb bj", ids=["a", "b"]), predicted("jj mm jj", ids=["c", "d", "e"])]
    whole = predicted("bb bj jj mm jj", ids=list("abcde"))
    assert classification_report(parts).macro == pytest.approx(classification_report(whole).macro)
    np.testing.assert_array_equal(confusion_matrix(parts), confusion_matrix(whole))
    assert collect({0: parts}).accuracy == pytest.approx(4 / 5)


def test_the_mean_over_seeds_leaves_out_what_a_seed_does_not_know():
    mean = mean_scores([classification_report(predicted("bb jj")), classification_report(predicted("bm mm"))])
    assert mean.accuracy == pytest.approx((1 + 1 / 2) / 2)
    np.testing.assert_allclose(mean.recall, [1 / 2, 1, 1, math.nan])
    assert mean.support.tolist() == [1, 0.5, 0.5, 0]


def test_rows_of_the_confusion_matrix_are_the_true_classes():
    matrix = confusion_matrix(predicted("bb bj bj jj mj"))
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert most_confused(matrix, LABELS) == [("blues", "jazz", 2, 2 / 3), ("metal", "jazz", 1, 1.0)]


def test_nothing_and_different_classes_cannot_be_scored():
    nothing = Predictions((), np.zeros(0, np.int64), np.zeros((0, 4)), LABELS)
    with pytest.raises(ExperimentError, match="no tested clip"):
        classification_report(nothing)
    with pytest.raises(ExperimentError, match="no tested clip"):
        collect({0: [nothing]})
    with pytest.raises(ExperimentError, match="different classes"):
        confusion_matrix([predicted("bb"), predicted("bb", labels=("blues", "jazz"))])


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    return np.random.default_rng(3).permutation(np.arange(200) < 140)  # 70 %


def test_the_interval_of_one_test_is_that_of_the_binomial(right):
    interval = bootstrap_interval(collect({0: [answers(right)]}))
    half = 1.96 * math.sqrt(0.7 * 0.3 / 200)
    assert interval.value == pytest.approx(0.7)
    assert interval.clips == 200
    assert interval.low == pytest.approx(0.7 - half, abs=0.01)
    assert interval.high == pytest.approx(0.7 + half, abs=0.01)
    assert interval == bootstrap_interval(collect({0: [answers(right)]})), "the same data, the same interval"
    assert str(interval).startswith("0.700 [0.6")


def test_testing_the_same_clips_again_makes_nothing_surer(right):
    """The cluster bootstrap: ten seeds that answer alike are one test, not ten."""
    once = bootstrap_interval(collect({0: [answers(right)]}))
    tenfold = bootstrap_interval(collect({seed: [answers(right)] for seed in range(10)}))
    assert tenfold == pytest.approx(once, abs=1e-6)


def test_seeds_that_err_on_different_clips_make_it_surer(right):
    rng = np.random.default_rng(0)
    seeds = collect({seed: [answers(rng.permutation(right))] for seed in range(10)})
    once = bootstrap_interval(collect({0: [answers(right)]}))
    several = bootstrap_interval(seeds)
    assert several.value == pytest.approx(0.7)
    assert several.high - several.low < 0.6 * (once.high - once.low)


def test_seeds_that_test_different_clips_are_averaged():
    outcomes = collect({0: [answers(np.ones(4), ids=list("abcd"))], 1: [answers(np.array([1, 0]), ids=list("de"))]})
    assert outcomes.by_seed.tolist() == [1, 0.5]
    interval = bootstrap_interval(outcomes)
    assert (interval.value, interval.clips) == (0.75, 5)
    assert 0 <= interval.low < 0.75 < interval.high <= 1


def test_seeds_that_disagree_make_it_unsure():
    right, wrong = answers(np.ones(100)), answers(np.zeros(100))
    interval = bootstrap_interval(collect({0: [right], 1: [wrong]}))
    assert interval.value == 0.5
    assert (interval.low, interval.high) == (0, 1)


def test_artists_are_drawn_with_all_of_their_clips(right):
    """Ten clips of one artist that are right or wrong together are one test, not ten."""
    clips = np.repeat(right[:40], 10)
    alone = bootstrap_interval(collect({0: [answers(right[:40])]}))
    apart = bootstrap_interval(collect({0: [answers(clips)]}))
    ids = answers(clips).ids
    together = bootstrap_interval(collect({0: [answers(clips)]}, groups={id: i // 10 for i, id in enumerate(ids)}))
    assert together.high - together.low > 2.5 * (apart.high - apart.low)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_the_interval_of_two_artists_is_that_of_four_draws():
    """Three clips of one that are right, one of the other that is wrong: 1, 3/4, 3/4 or 0, each equally often."""
    outcomes = collect({0: [answers(np.array([1, 1, 1, 0]))]}, groups={"clip0": 7, "clip1": 7, "clip2": 7, "clip3": 2})
    assert bootstrap_interval(outcomes)[:3] == (0.75, 0, 1)
    assert bootstrap_interval(outcomes, level=0.4)[1:3] == (0.75, 0.75)


def test_a_clip_without_a_group_is_its_own():
    clips = answers(np.arange(40) % 2)
    alone = bootstrap_interval(collect({0: [clips]}))
    assert bootstrap_interval(collect({0: [clips]}, groups={})) == pytest.approx(alone, abs=0.03)


def test_differences_draw_artists_too(right):
    """Whichever of the two runs knows them."""
    groups = {f"clip{i}": i // 10 for i in range(200)}
    by_ten = np.repeat(right[:20], 10)
    worse = answers(np.zeros(200))
    clips = paired_difference(collect({0: [answers(by_ten)]}), collect({0: [worse]}))
    one = paired_difference(collect({0: [answers(by_ten)]}, groups=groups), collect({0: [worse]}))
    other = paired_difference(collect({0: [answers(by_ten)]}), collect({0: [worse]}, groups=groups))
    assert clips is not None
    assert one is not None
    assert one == other
    assert one.value == clips.value
    assert one.high - one.low > 2.5 * (clips.high - clips.low)


def test_a_method_does_not_differ_from_itself(right):
    outcomes = collect({0: [answers(right)], 1: [answers(~right)]})
    assert paired_difference(outcomes, outcomes) == (0, 0, 0, 200)


def test_pairs_show_a_difference_that_two_intervals_hide(right):
    better = right.copy()
    better[np.flatnonzero(~right)[:8]] = True
    a, b = collect({0: [answers(better)]}), collect({0: [answers(right)]})
    assert bootstrap_interval(a).low < bootstrap_interval(b).value
    difference = paired_difference(a, b)
    assert difference is not None
    assert difference.value == pytest.approx(8 / 200)
    assert difference.low > 0
    back = paired_difference(b, a)
    assert back is not None
    assert (back.low, back.high) == pytest.approx((-difference.high, -difference.low))


def test_only_clips_that_both_were_tested_on_are_paired():
    a = collect({0: [answers(np.array([1, 1, 0]), ids=["x", "y", "z"])]})
    b = collect({0: [answers(np.array([0, 0, 0]), ids=["w", "z", "y"])]})
    difference = paired_difference(a, b)
    assert difference is not None
    assert (difference.value, difference.clips) == (0.5, 2)
    assert paired_difference(a, collect({0: [answers(np.ones(2), ids=["p", "q"])]})) is None


def test_tests_under_the_same_seed_are_paired_where_there_are_any():
    x = answers(np.array([1]), ids=["x"])
    a = collect({0: [x], 1: [answers(np.array([0]), ids=["x"])]})
    common = in_common(a, collect({1: [x], 2: [x]}))
    assert common is not None
    assert [one.seeds for one in common] == [(1,), (1,)]
    assert [one.accuracy for one in common] == [0, 1]
    # the same seed, but drawn other clips: nothing was tested under the same conditions
    assert in_common(collect({0: [x]}), collect({0: [answers(np.array([1]), ids=["y"])], 1: [x]})) is None
    # each seed counts for the clips that both were tested on under it: x under 0 and y under 1
    right, wrong = [1, 0], [0, 1]
    a = collect({0: [answers(np.array(right), ids=["x", "y"])], 1: [answers(np.array(wrong), ids=["x", "y"])]})
    b = collect({0: [x], 1: [answers(np.array([0]), ids=["y"])]})
    common = in_common(a, b)
    assert common is not None
    assert [one.accuracy for one in common] == [1, 0.5]
    # no seed in common: the clips alone have to do
    assert in_common(collect({0: [x]}), collect({7: [x]})) is not None


def test_the_most_confident_errors_come_first():
    sure = Predictions(("a", "b", "c"), np.array([0, 0, 1]), np.array([[0.1, 0.9], [0.4, 0.6], [0, 1.0]]), ("b", "j"))
    unsure = Predictions(("a", "b"), np.array([0, 0]), np.array([[0.3, 0.7], [0.9, 0.1]]), ("b", "j"))
    (wrong,) = confidently_wrong([sure, unsure])
    assert wrong[:3] == ("a", "b", "j")  # b is right on the mean of its two tests
    assert wrong.probability == pytest.approx(0.8)
    assert (wrong.wrong, wrong.tested) == (2, 2)
