"""Looking words up finds what looking through every text finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soundkin.wordindex import WordIndex

LETTERS = st.text(st.sampled_from("abö音\udcff"), min_size=1, max_size=3)
TEXTS = st.lists(st.lists(LETTERS, max_size=4).map(" \n".join), max_size=8)


@given(texts=TEXTS, part=LETTERS)
@example(texts=["abab", "b", ""], part="ab")
@example(texts=[""], part="a")
@example(texts=["a", "b a"], part="abc")
def test_it_finds_the_texts_that_hold_it(texts: list[str], part: str) -> None:
    found = WordIndex.of(texts).having(part)
    assert found.dtype == np.bool_
    assert found.tolist() == [part in text for text in texts]


def test_more_texts_than_are_taken_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundkin.wordindex._BLOCK", 3)
    texts = [f"song {i} of {i % 4}" for i in range(25)]
    assert np.flatnonzero(WordIndex.of(texts).having("3")).tolist() == [
        i for i, text in enumerate(texts) if "3" in text
    ]
