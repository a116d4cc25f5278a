"""A dataset to look at: what it holds, how it sounds, and how its features lie, as one page of figures.

The figures are those of the first source document (§2.2 and appendix 1) and of the second (figures 5, 17 and 18).
Each is drawn where the dataset has what it needs; the page says what was left out, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundkin.errors import AudioError, DatasetError
from soundkin.lab import pages, soundplots, tableplots
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.document import Table
from soundkin.lab.pages import Page

Progress = Callable[[int, int], None]
FloatArray = npt.NDArray[np.float64]

PER_CLASS = 3
"""Clips of each class whose mel-spectrograms are shown."""
_TRIES = 8  # clips of a class that are tried until so many can be read
_COLUMNS = 120  # more are no figure any more
_FEWEST = 10  # clips below which neighbours mean nothing


@dataclass(frozen=True)
class FeatureTable:
    """Clips by columns: `X` (n, d) float64, `columns` d names, `dataset` the n clips."""

    dataset: Dataset
    X: FloatArray
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Exploration:
    """What `explore` wrote."""

    page: Path
    classes: Table
    """A row a class: clips, artists."""
    figures: tuple[str, ...]
    left_out: tuple[str, ...]
    """What could not be drawn, a sentence each."""


def read_table(
    dataset: Dataset,
    representation: str = "table",
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FeatureTable:
    """The table that comes with the dataset, or else the one that its audio gives.

    Raises DatasetError for a dataset with neither, or a representation that is no table of numbers.
    """
    columns: tuple[str, ...] = ()
    if representation == "table" and "table" in dataset.arrays:
        X = np.asarray(dataset.arrays["table"])
        columns = dataset.columns
    else:
        from soundkin.lab.representations import represent

        dataset, X = represent(dataset, representation, cache=cache, workers=workers, progress=progress)
        if representation == "table":
            from soundkin.lab.features import COLUMNS as columns
    if X.ndim != 2 or X.dtype == object:
        raise DatasetError(
            f"{dataset.name}: {representation} is no table but an array of shape {X.shape}; needed are clips by "
            "columns, such as table, timbre or mel-statistics"
        )
    if len(columns) != X.shape[1]:
        columns = tuple(f"{representation} {i}" for i in range(1, X.shape[1] + 1))
    return FeatureTable(dataset, np.asarray(X, np.float64), columns)


def explore(
    dataset: Dataset,
    folder: Path,
    *,
    cache: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Write index.html, index.md and figures/ to `folder`; the same seed gives the same page.

    Where a feature table must be made of audio, `workers` processes make it, `cache` keeps it, and `progress` is
    called with clips done and clips in all. Raises ExperimentError where the folder cannot be written.
    """
    page = Page(f"{dataset.name}: a look at the data", folder)
    left_out: list[str] = []
    with pages.style():
        classes = _holdings(page, dataset)
        _sound(page, dataset, left_out, seed=seed)
        if "table" in dataset.arrays or any(clip.path for clip in dataset.clips):
            table = read_table(dataset, cache=cache, workers=workers, progress=progress)
            left_out += [told for told in table.dataset.findings if told not in dataset.findings]
            _features(page, table, left_out, seed=seed)
        else:
            left_out.append(f"{_FEATURES}: the dataset has neither a feature table nor audio to make one of.")
    if left_out:
        page.heading("Left out")
        page.points(left_out)
    return Exploration(page.write(), classes, tuple(page.figures), tuple(left_out))


# ---- what the dataset holds ------------------------------------------------------------------------------------------


def _holdings(page: Page, dataset: Dataset) -> Table:
    page.heading("What it holds")
    counts = Counter(clip.label for clip in dataset.clips)
    least, most = min(counts.values()), max(counts.values())
    each = str(least) if least == most else f"{least} to {most}"
    page.facts(
        [
            ("Clips", f"{len(dataset):,} in {len(counts)} classes of {each}"),
            ("Artists", _told_of_artists(dataset)),
            ("Duplicates", _told_of_duplicates(dataset)),
            ("Licence", dataset.licence),
            ("Cite", dataset.citation),
        ]
    )
    if dataset.findings:
        page.text("Its check found:")
        page.points(dataset.findings)
    head = ("class", "clips", "artist known", "artists", "most by one artist")
    classes = page.table(head, [_class_row(dataset, name) for name in dataset.labels], align="lrrrl")
    page.figure(tableplots.classes(counts), "classes", "Clips of each class")
    return classes


def _told_of_artists(dataset: Dataset) -> str:
    known = [clip.artist.casefold() for clip in dataset.clips if clip.artist]
    if not known:
        return (
            "none known, so no split can keep them apart: a method that recognises the artist will look as if it "
            "knew the class"
        )
    several = sum(count for count in Counter(known).values() if count > 1)
    return (
        f"{len(set(known)):,}, known for {len(known):,} clips; {several:,} clips share theirs with another clip, "
        "which a split should keep together"
    )


def _told_of_duplicates(dataset: Dataset) -> str:
    if not dataset.duplicates:
        return "none known"
    shown = [" = ".join(group) for group in dataset.duplicates[:5]]
    more = len(dataset.duplicates) - len(shown)
    groups = len(dataset.duplicates)
    return (
        f"{groups} {'recording' if groups == 1 else 'recordings'} more than once: {'; '.join(shown)}"
        f"{f'; and {more} more' if more else ''}"
    )


def _class_row(dataset: Dataset, name: str) -> tuple[object, ...]:
    artists = [clip.artist for clip in dataset.clips if clip.label == name and clip.artist]
    counts = Counter(artist.casefold() for artist in artists)
    spelled = {artist.casefold(): artist for artist in artists}
    most = [f"{count} ({spelled[artist]})" for artist, count in counts.most_common(1)]
    return name, len(_of_class(dataset, name)), len(artists), len(counts), *(most or [""])


# ---- how it sounds ---------------------------------------------------------------------------------------------------


def _sound(page: Page, dataset: Dataset, left_out: list[str], *, seed: int) -> None:
    page.heading("How it sounds")
    rng = np.random.default_rng(seed)
    unreadable: dict[str, str] = {}
    if any(clip.path for clip in dataset.clips):
        rows = [(name, _heard(dataset, name, rng, unreadable)) for name in dataset.labels]
        caption = f"At most {soundplots.SHOWN:g} s from the middle of each; frequency upwards in Hz, on the mel scale."
        title = f"Mel-spectrograms of {PER_CLASS} random clips of each class"
        page.figure(soundplots.grid(rows, across=PER_CLASS), "spectrograms", title, caption)
        _close_up(page, dataset, left_out, rng, unreadable)
    else:
        left_out.append("Waveform, spectrogram and scalogram of a clip: the dataset has no audio.")
        if "picture" in dataset.arrays:
            rows = [(name, _seen(dataset, name, rng)) for name in dataset.labels]
            title = f"{PER_CLASS} random pictures of each class"
            caption = "As the dataset has them: time to the right, high frequencies on top, brighter is louder."
            page.figure(soundplots.grid(rows, across=PER_CLASS), "spectrograms", title, caption)
        else:
            left_out.append("Mel-spectrograms: the dataset has neither audio nor pictures.")
            page.text("It has neither audio nor pictures.")
    if unreadable:
        page.text("Of the clips that were to be shown, these could not be read:", warning=True)
        page.points([f"{id}: {reason}" for id, reason in unreadable.items()])


def _of_class(dataset: Dataset, name: str) -> list[int]:
    return [i for i, clip in enumerate(dataset.clips) if clip.label == name]


def _heard(
    dataset: Dataset, name: str, rng: np.random.Generator, unreadable: dict[str, str]
) -> list[soundplots.Picture]:
    pictures: list[soundplots.Picture] = []
    for i in rng.permutation(_of_class(dataset, name))[:_TRIES]:
        y = _read(dataset.clips[i], unreadable, seconds=soundplots.SHOWN) if len(pictures) < PER_CLASS else None
        if y is not None:
            pictures.append(soundplots.mel_picture(f"{dataset.clips[i].id}, {len(y) / soundplots.MEL.sr:.1f} s", y))
    return pictures


def _read(clip: Clip, unreadable: dict[str, str], *, seconds: float) -> npt.NDArray[np.float32] | None:
    if clip.path is None:
        return None
    try:
        return soundplots.hear(clip.path, seconds=seconds)
    except AudioError as error:
        unreadable[clip.id] = error.reason
        return None


def _seen(dataset: Dataset, name: str, rng: np.random.Generator) -> list[soundplots.Picture]:
    chosen = rng.permutation(_of_class(dataset, name))[:PER_CLASS]
    return [soundplots.Picture(dataset.clips[i].id, dataset.arrays["picture"][i], False) for i in chosen]


def _close_up(
    page: Page, dataset: Dataset, left_out: list[str], rng: np.random.Generator, unreadable: dict[str, str]
) -> None:
    for i in rng.permutation(len(dataset))[:_TRIES]:
        clip = dataset.clips[i]
        y = _read(clip, unreadable, seconds=soundplots.CLOSE)
        if y is not None:
            caption = (
                "The spectrogram looks at every frequency through one window; the wavelets' windows are long for low "
                "notes and short for high ones."
            )
            title = f"A random clip, {clip.id} ({clip.label}): waveform, spectrogram and wavelet scalogram"
            page.figure(soundplots.close_up(y), "close-up", title, caption)
            return
    left_out.append("Waveform, spectrogram and scalogram of a clip: none that was tried could be read.")


# ---- how its features lie --------------------------------------------------------------------------------------------


_FEATURES = "Tempo, correlations, importance, histograms, PCA and t-SNE"


def _features(page: Page, table: FeatureTable, left_out: list[str], *, seed: int) -> None:
    page.heading("How its features lie")
    table = _usable(table, left_out)
    page.text(f"A table of {len(table.X):,} clips and {len(table.columns)} features that differ between clips.")
    if not table.columns:
        left_out.append(f"{_FEATURES}: no column of the feature table can be used.")
        return
    _tempo(page, table, left_out)
    _correlations(page, table, left_out)
    _importance(page, table, left_out, seed=seed)
    shown = table.columns[:_COLUMNS]
    page.figure(
        tableplots.histograms(table.X[:, : len(shown)], shown), "histograms", "Clips by the value of each feature"
    )
    if len(shown) < len(table.columns):
        left_out.append(f"Histograms of {len(table.columns) - _COLUMNS} of the {len(table.columns)} columns.")
    if len(table.X) < _FEWEST or len(table.columns) < 2:
        left_out.append(f"PCA and t-SNE: they need {_FEWEST} clips and two columns that differ between clips.")
        return
    _in_two_dimensions(page, table, seed=seed)


def _usable(table: FeatureTable, left_out: list[str]) -> FeatureTable:
    """Without the columns that are not finite, or everywhere the same."""
    finite = np.isfinite(table.X)
    same: list[int] = []
    kept: list[int] = []
    for i, name in enumerate(table.columns):
        bad = np.flatnonzero(~finite[:, i])
        if len(bad):
            first = table.dataset.clips[bad[0]].id
            left_out.append(f"Column {name}: {len(bad)} of its values are no numbers, the first that of {first}.")
        else:
            (kept if np.ptp(table.X[:, i]) > 0 else same).append(i)
    if same:
        left_out.append(f"Columns that are the same for every clip: {', '.join(table.columns[i] for i in same)}.")
    return FeatureTable(table.dataset, table.X[:, np.array(kept, int)], tuple(table.columns[i] for i in kept))


def _tempo(page: Page, table: FeatureTable, left_out: list[str]) -> None:
    if "tempo" not in table.columns:
        left_out.append("Tempo of each class: the table has no usable column 'tempo'.")
        return
    tempo, y = table.X[:, table.columns.index("tempo")], table.dataset.y
    values = {name: tempo[y == i] for i, name in enumerate(table.dataset.labels)}
    caption = (
        "By median; boxes hold the middle half. Estimates are often twice or half of what a listener taps, so classes "
        "may differ here without differing in pace."
    )
    page.figure(tableplots.boxes(values, unit="beats per minute"), "tempo", "Estimated tempo of each class", caption)


def _correlations(page: Page, table: FeatureTable, left_out: list[str]) -> None:
    for suffix, kind in (("_mean", "mean"), ("_var", "variance"), ("", "all")):
        chosen = [i for i, name in enumerate(table.columns) if name.endswith(suffix)]
        if not 2 <= len(chosen) <= _COLUMNS:
            wanted = f"2 to {_COLUMNS} columns" + (f" named …{suffix}" if suffix else "")
            left_out.append(f"Correlation of the {kind} columns: needs {wanted}, the table has {len(chosen)}.")
            continue
        figure = tableplots.correlation(table.X[:, chosen], [table.columns[i].removesuffix(suffix) for i in chosen])
        title = f"Correlation of the {kind} columns" if suffix else "Correlation of all columns"
        page.figure(figure, f"correlation-{kind}", title)


def _importance(page: Page, table: FeatureTable, left_out: list[str], *, seed: int) -> None:
    y = table.dataset.y
    if len(table.dataset.labels) < 2 or min(np.bincount(y)) < 4:
        left_out.append("Importance of the features: needs two classes, and four clips of each.")
        return
    found = tableplots.importance(table.X, y, seed=seed)
    ranks = [[table.columns[i] for i in np.argsort(-values, kind="stable")] for values in (found.information, found.f)]
    name = "perceptr_mean"
    here = "this table has no such column"
    if name in table.columns:
        places = [rank.index(name) + 1 for rank in ranks]
        here = f"here it is number {places[0]} and {places[1]} of {len(table.columns)}"
    page.text(
        "A correlation matrix says which features repeat each other, not which matter. The feature that alone tells "
        f"most of the class is {ranks[0][0]} by mutual information, {ranks[1][0]} by analysis of variance. S1 reads "
        f"from its matrix that {name} is the most important mean; {here}."
    )
    caption = "The twenty with the most. Two that repeat each other tell it only once."
    page.figure(tableplots.importance_bars(found, table.columns), "importance", "What one feature tells", caption)


def _in_two_dimensions(page: Page, table: FeatureTable, *, seed: int) -> None:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.metrics import adjusted_rand_score
    from sklearn.preprocessing import StandardScaler

    y, labels = table.dataset.y, table.dataset.labels
    Z = StandardScaler().fit_transform(table.X)
    pca = PCA(2, random_state=seed).fit(Z)
    explained = pca.explained_variance_ratio_
    clusters = KMeans(len(labels), n_init=10, random_state=seed).fit_predict(Z)
    caption = (
        f"Standardised features, {explained.sum():.0%} of whose variance lies in this plane. Left the classes, right "
        f"as many K-means clusters, found in all {len(table.columns)} features. Adjusted Rand index of the two: "
        f"{adjusted_rand_score(y, clusters):.2f}; 1 is the same, 0 chance."
    )
    view = tableplots.two_views(pca.transform(Z), y, labels, clusters, explained)
    page.figure(view, "pca", "First two principal components", caption)
    perplexity = min(30.0, (len(Z) - 1) / 3)
    flat = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(Z)
    caption = "Neighbours were neighbours in all features; distances between groups, and their sizes, mean nothing."
    page.figure(tableplots.one_view(flat, y, labels), "t-sne", f"t-SNE, perplexity {perplexity:.3g}", caption)
