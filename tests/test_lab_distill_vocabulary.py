"""The merged tags of the bundled model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab.datasets.categories import CATEGORIES, category_of
from soundkin.lab.distill.vocabulary import DROPPED, MERGED, VOCABULARIES, merge

WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "weights"
LABELS = [tag.label for tag in MERGED]

# where the merged list is wiser than the tables, which follow the prefix or do not know the word
OTHERWISE = {
    "genre---atmospheric": "mood",  # a prefix of Jamendo's that its own tags do not keep to
    "mood/theme---film": "genre",  # joined with soundtrack
    "chill": "genre",  # joined with chillout
    **dict.fromkeys(("slow", "fast", "quiet", "loud"), "mood"),
    **dict.fromkeys(("beat", "beats"), "instrument"),
}


def of(label: str) -> int:
    return LABELS.index(label)


def vocabularies(n: int = 1, level: float = 0.1) -> dict[str, np.ndarray]:
    return {name: np.full((n, 50), level, np.float32) for name in VOCABULARIES}


def column(vocabulary: str, tag: str) -> int:
    return VOCABULARIES[vocabulary].index(tag)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_tag_of_a_teacher_is_merged_once_or_dropped_with_a_reason(name):
    assert len(VOCABULARIES[name]) == len(set(VOCABULARIES[name])) == 50
    used = Counter(tag for merged in MERGED for tag in merged.sources.get(name, ()))
    dropped = DROPPED[name]
    assert used + Counter(dropped.keys()) == Counter(VOCABULARIES[name])
    assert all(reason.strip() for reason in dropped.values())


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_vocabulary_is_that_of_the_published_network(name):
    path = WEIGHTS / f"{name}-tags.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert VOCABULARIES[name] == tuple(path.read_text(encoding="utf-8").splitlines())


def test_labels_are_distinct_readable_and_of_known_categories():
    assert 60 <= len(MERGED) <= 80
    assert len({label.casefold() for label in LABELS}) == len(LABELS)
    for merged in MERGED:
        assert merged.sources
        assert merged.category in CATEGORIES and merged.category != "other"
        assert merged.label == merged.label.strip().casefold() and "---" not in merged.label


def test_categories_agree_with_those_of_datasets():
    for merged in MERGED:
        for tags in merged.sources.values():
            for tag in tags:
                assert merged.category == OTHERWISE.get(tag, category_of(tag)), (merged.label, tag)
        told = category_of(merged.label)
        assert told in (merged.category, "other"), merged.label


def test_the_likeliest_of_one_vocabulary_and_the_mean_of_several():
    p = vocabularies()
    p["msd"][0, column("msd", "female vocalist")] = 0.8
    p["mtat"][0, column("mtat", "woman")] = 0.4
    merged = merge(p)
    assert merged.shape == (1, len(MERGED)) and merged.dtype == np.float32
    assert merged[0, of("female vocals")] == pytest.approx(0.6)  # jamendo does not know it
    assert merged[0, of("male vocals")] == pytest.approx(0.1)
    p["jamendo"][0, column("jamendo", "genre---rock")] = 0.7
    assert merge(p)[0, of("rock")] == pytest.approx(0.3)


def test_merging_follows_the_sources_row_by_row():
    rng = np.random.default_rng(0)
    p = {name: rng.random((7, 50)) for name in VOCABULARIES}
    merged = merge(p)
    for i, tag in enumerate(MERGED):
        each = [p[name][:, [column(name, one) for one in tags]].max(axis=1) for name, tags in tag.sources.items()]
        np.testing.assert_allclose(merged[:, i], np.mean(each, axis=0), atol=1e-6)


def test_a_vocabulary_that_hears_little_of_a_tag_is_heard_as_much():
    """With `logits`, tracks are told apart by who changes most, not by the louder vocabulary."""
    p = vocabularies(3)
    p["msd"][:, column("msd", "rock")] = 0.4, 0.5, 0.6
    p["jamendo"][:, column("jamendo", "genre---rock")] = 0.04, 0.02, 0.01
    plain, equal = merge(p)[:, of("rock")], merge(p, logits=True)[:, of("rock")]
    assert np.all(np.diff(plain) > 0)  # only what the first says counts
    assert np.all(np.diff(equal) < 0)  # the second changes more
    logits = [np.log(p[name] / (1 - p[name])) for name in VOCABULARIES]
    rocks = [logits[0][:, 0], logits[1][:, column("jamendo", "genre---rock")], logits[2][:, column("mtat", "rock")]]
    assert np.log(equal / (1 - equal)).mean() == pytest.approx(np.mean(rocks), abs=1e-5)


def test_certain_answers_stay_finite():
    p = {name: np.tile([0.0, 1.0], (2, 25)) for name in VOCABULARIES}
    assert np.isfinite(merge(p, logits=True)).all()


def test_tags_that_no_given_vocabulary_knows_are_nan():
    p = {"msd": vocabularies()["msd"]}
    for merged in (merge(p), merge(p, logits=True)):
        assert np.isnan(merged[0, of("harp")]) and np.isfinite(merged[0, of("rock")])


def test_what_cannot_be_merged_is_refused():
    with pytest.raises(UnknownNameError, match="vocabulary"):
        merge({"lastfm": np.zeros((1, 50))})
    with pytest.raises(ExperimentError, match=r"shape \(tracks, 50\), not \(1, 49\)"):
        merge({"msd": np.zeros((1, 49))})
    with pytest.raises(ExperimentError, match="different tracks"):
        merge({"msd": np.zeros((1, 50)), "mtat": np.zeros((2, 50))})
    with pytest.raises(ExperimentError, match="at least one"):
        merge({})
