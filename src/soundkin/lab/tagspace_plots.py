"""Tag space on a page: maps of it beside the embedding's, who is near by either, and the figures; also as plain values.

S5 lays the tag vectors out in a plane with t-SNE (van der Maaten & Hinton, JMLR 2008).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.catalogue import Track
from soundkin.lab import pages, tableplots
from soundkin.lab.document import Block, Facts, Heading, Table, Text, to_markdown
from soundkin.lab.metrics import Interval
from soundkin.lab.pages import Page
from soundkin.lab.runs import write_json
from soundkin.lab.tagneighbours import Neighbours
from soundkin.lab.tagspace import EMBEDDING, FEWEST_ALBUMS, MOST_ASKING, Compared, Tagged, strongest_tags
from soundkin.lab.wording import NOTHING, signed
from soundkin.modeltags import HEARD
from soundkin.seeds import name as name_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TITLE = "Tag space"
NOTE = (
    "P@k is the share of a song's nearest k that are right: of its album, by its artist, by its artist on another "
    "album, or of its genre by other artists on other albums. A song with fewer than k right answers cannot reach 1. "
    "Chance is that of songs drawn at random. Overlap is the share of the nearest k that are also among the nearest k "
    "by embedding. Hubness is the skewness of how often each song is an answer: 0 is even, more means that some songs "
    "answer everybody. Tags are compared by the Euclidean distance of their probabilities (S5), by the cosine of the "
    "same, and by the cosine of their logits, each z-scored over the library; embeddings as the library compares them. "
    "Intervals of P@k are 95 % bootstrap intervals over songs, as those of evaluate-embeddings; those of the "
    "difference to the embedding are over whole albums, whose songs are right or wrong together; of fewer "
    f"than {FEWEST_ALBUMS} albums there is none, and of little more it is rough."
)
SPACES = {
    EMBEDDING: "embedding",
    "euclidean": "tags, Euclidean",
    "cosine": "tags, cosine",
    "logits": "tags, cosine of z-scored logits",
}
_SHOWN = 3000  # songs on a map: more hide each other, and t-SNE takes minutes
_NAMED = 12  # colours that a legend can tell apart
_OTHERS = "#c8c8c8"


# --- tables ----------------------------------------------------------------------------------------------------------


def blocks(tagged: Tagged, compared: Sequence[Compared], *, k: int) -> list[Block]:
    """The figures of one model: a table a question, and one of how alike and how even the spaces are."""
    found: list[Block] = [Heading(tagged.model_id), facts(tagged, k=k)]
    for name, first in compared[0].evaluations.items():
        rows = [
            [
                SPACES[one.space],
                str(one.evaluations[name].precision[k]),
                _difference(one, name),
                f"{one.evaluations[name].mean_average_precision.value:.3f}",
            ]
            for one in compared
        ]
        asked = (
            f"{first.asked:,} songs of {compared[0].albums[name]:,} albums ask, {first.candidates:,} may answer each"
        )
        found += [
            Text(f"Same {name}: {asked}; chance is {first.chance:.3f}."),
            Table(["space", f"P@{k}", "difference to embedding", "MAP"], rows),
        ]
    rows = [
        [
            SPACES[one.space],
            NOTHING if one.overlap is None else str(one.overlap),
            f"{hubs.skewness:.2f}",
            f"{hubs.never:.0%}",
            f"{hubs.largest:.0%}",
        ]
        for one in compared
        for hubs in [next(iter(one.evaluations.values())).hubness[k]]
    ]
    head = ["space", "overlap with embedding", "hubness", "never an answer", "lists with the most frequent"]
    return [*found, Text("How alike the lists are, and how even:"), Table(head, rows)]


def facts(tagged: Tagged, *, k: int) -> Facts:
    """What was compared."""
    left_out = ", ".join(f"{count:,} {why}" for why, count in tagged.left_out.items())
    asking = f", of which an even sample of at most {MOST_ASKING:,} ask" if len(tagged) > MOST_ASKING else ""
    pairs = [
        ("songs", f"{len(tagged):,} of {len(set(tagged.albums)):,} albums{asking}"),
        ("left out", left_out or "none"),
        ("tags", f"{len(tagged.labels)}"),
        ("nearest", f"{k}"),
    ]
    return Facts(pairs)


def _difference(one: Compared, question: str) -> str:
    found = one.differences.get(question)
    if found is None or np.isnan(found.low):
        return NOTHING if found is None else signed(found.value)
    return f"{signed(found.value)} [{signed(found.low)}, {signed(found.high)}]"


def markdown(found: Sequence[tuple[Tagged, Sequence[Compared]]], *, k: int) -> str:
    """All tables."""
    return to_markdown(TITLE, [block for one in found for block in blocks(*one, k=k)] + [Text(NOTE)])


def as_json(tagged: Tagged, compared: Sequence[Compared], *, k: int) -> dict[str, Any]:
    """The figures of one model as plain values."""
    return {
        "model": tagged.model,
        "id": tagged.model_id,
        "tracks": len(tagged),
        "albums": len(set(tagged.albums)),
        "left_out": dict(tagged.left_out),
        "k": k,
        "spaces": {one.space: _as_plain(one, k) for one in compared},
    }


def _as_plain(one: Compared, k: int) -> dict[str, Any]:
    hubness = next(iter(one.evaluations.values())).hubness[k]
    questions = {
        name: {
            "asked": found.asked,
            "albums": one.albums[name],
            "answering": found.candidates,
            "chance": found.chance,
            "precision": found.precision[k]._asdict(),
            "mean_average_precision": found.mean_average_precision._asdict(),
            "difference": _finite(one.differences.get(name)),
        }
        for name, found in one.evaluations.items()
    }
    return {
        "questions": questions,
        "hubness": {"skewness": hubness.skewness, "never": hubness.never, "largest": hubness.largest},
        "overlap": None if one.overlap is None else one.overlap._asdict(),
    }


def _finite(found: Interval | None) -> dict[str, float | None] | None:
    """As a mapping; JSON knows no NaN."""
    return None if found is None else {name: None if np.isnan(x) else x for name, x in found._asdict().items()}


# --- the page --------------------------------------------------------------------------------------------------------


def write_page(
    folder: Path,
    found: Sequence[tuple[Tagged, Sequence[Compared], Sequence[Neighbours]]],
    *,
    k: int = 5,
    dominant: str = "distinctive",
) -> Path:
    """index.html, index.md and tag-space.json in `folder`; returns the page. Each model comes with some songs' lists.

    Raises ExperimentError where the folder cannot be written, UnknownNameError for the rule of the dominant tag.
    """
    page = Page(TITLE, folder)
    for number, (tagged, compared, songs) in enumerate(found, start=1):
        for block in blocks(tagged, compared, k=k):
            match block:
                case Heading(text):
                    page.heading(text)
                case Text(text):
                    page.text(text)
                case Facts(pairs):
                    page.facts(pairs)
                case Table(head, lines):
                    page.table(head, lines)
        with pages.style():
            _maps(page, tagged, number, dominant=dominant)
        _songs(page, songs)
    page.heading("How to read this")
    page.text(NOTE)
    written = page.write()
    write_json(folder / "tag-space.json", [as_json(tagged, compared, k=k) for tagged, compared, _ in found])
    return written


def _maps(page: Page, tagged: Tagged, number: int, *, dominant: str) -> None:
    shown = np.arange(len(tagged))[:: -(-len(tagged) // _SHOWN)]
    left = flat(tagged.probabilities[shown])
    right = flat(tagged.index.vectors[tagged.rows[shown]].astype(np.float64))
    labels = np.array(tagged.labels, object)
    marks = labels[strongest_tags(tagged.probabilities, by=dominant)[shown, 0]]
    some = "" if len(shown) == len(tagged) else f" An even sample of {len(shown):,} songs."
    caption = (
        f"Neighbours were neighbours in all numbers; distances between groups, and their sizes, mean nothing.{some} "
        f"{_dominance(tagged, dominant)}"
    )
    page.figure(maps(left, right, marks), f"dominant-{number}", "t-SNE, coloured by dominant tag", caption)
    page.figure(
        maps(left, right, np.array(tagged.album_names, object)[shown]),
        f"album-{number}",
        "The same maps, coloured by album",
    )
    genres = np.array([tagged.genres[i] for i in shown], object)
    if len(set(genres) - {""}) > 1:
        title = "The same maps, coloured by the genre that the files name"
        page.figure(maps(left, right, genres, others="unknown or others"), f"genre-{number}", title)


def _dominance(tagged: Tagged, dominant: str) -> str:
    """What the dominant tag is, and why it is not simply the most probable one."""
    most = Counter(tagged.labels[i] for i in strongest_tags(tagged.probabilities, by="argmax")[:, 0]).most_common(3)
    told = ", ".join(f"{label} ({count:,} songs)" for label, count in most)
    if dominant == "argmax":
        return f"The dominant tag is the most probable one, most often {told}."
    which = f"of those with a probability of {HEARD:g} or more, " if dominant == "distinctive" else ""
    return (
        f"The dominant tag is, {which}the one whose logit lies the most deviations above its mean in this library: it "
        f"says how a song differs from the others here. The most probable tag is most often {told}."
    )


def _songs(page: Page, songs: Sequence[Neighbours]) -> None:
    for song in songs:
        page.text(f"Near {song_text(song.track)}, whose strongest tags are {tags_text(song.tags)}:")
        rows = [
            [str(rank), song_text(a.track), tags_text(a.tags), song_text(b.track), tags_text(b.tags)]
            for rank, (a, b) in enumerate(zip(song.by_tags, song.by_embedding, strict=True), start=1)
        ]
        head = ["#", f"by {SPACES[song.space]}", "its tags", "by embedding", "its tags"]
        page.table(head, rows, align="rllll")


def song_text(track: Track) -> str:
    """Artist, title, and the album, or the folder of a file that names none."""
    return f"{name_of(track)} [{track.album or track.path.parent.name}]"


def tags_text(tags: Sequence[tuple[str, float]]) -> str:
    """'jazz 62 %, piano 40 %'."""
    return ", ".join(f"{label} {100 * share:.0f} %" for label, share in tags)


# --- maps ------------------------------------------------------------------------------------------------------------


def flat(x: FloatArray, *, seed: int = 0) -> FloatArray:
    """t-SNE of `x` (n, d) from its principal components, always the same: (n, 2) float64."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if min(x.shape) < 2 or not (x.std(axis=0) > 0).any():
        return np.zeros((len(x), 2)) if min(x.shape) < 1 else np.pad(x[:, :1], ((0, 0), (0, 1)))
    if min(x.shape) > 50:
        x = PCA(50, random_state=seed).fit_transform(x)
    perplexity = min(30.0, (len(x) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(x), np.float64)


def maps(left: FloatArray, right: FloatArray, marks: npt.NDArray[Any], *, others: str = "others") -> Any:
    """Two maps (n, 2) of the same songs, coloured by `marks` (n,) str: the most frequent ones, others and '' grey."""
    most = Counter(mark for mark in marks.tolist() if mark).most_common()
    named = [mark for mark, _ in (most if len(most) <= _NAMED + 1 else most[:_NAMED])]
    number = {mark: i for i, mark in enumerate(named)}
    y = np.array([number.get(mark, -1) for mark in marks], np.int64)
    counts = [f" ({(y == i).sum():,})" for i in range(len(named))]
    texts = [f"{_shortened(mark, 24 - len(count))}{count}" for mark, count in zip(named, counts, strict=True)]
    size = float(np.clip(4000 / len(marks), 6, 26))
    figure = pages.new_figure(12, 5.2)
    handles: list[Any] = []
    for axes, points, title in zip(figure.subplots(1, 2), (left, right), ("by tags", "by embedding"), strict=True):
        rest = points[y < 0]
        grey = axes.scatter(*rest.T, s=0.6 * size, color=_OTHERS, linewidths=0, label=f"{others} ({len(rest):,})")
        handles = tableplots.scatter(axes, points, y, texts, size=size) + ([grey] if len(rest) else [])
        axes.set(title=title, xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="#dddddd")
    tableplots.legend(figure, handles)
    return figure


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
