"""Clusters of a dataset as one page: S2's table 1 and figures 3 and 4, and what their figures hide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import DatasetError, ExperimentError
from soundkin.lab import clustering, clusterplots, pages
from soundkin.lab.clustering import ALGORITHMS, Row, Separation, Space, Tried
from soundkin.lab.dataset import Dataset
from soundkin.lab.document import Table
from soundkin.lab.explore import FeatureTable, Progress, read_table
from soundkin.lab.pages import Page
from soundkin.lab.runs import write_json

IntArray = npt.NDArray[np.int64]

S2_CLUSTERS = 9
MOST_CLIPS = 2000
"""More are sampled: a silhouette looks at every two clips, and there are a thousand of them to measure."""
_COMPONENTS = (2, 3, 5, 10, 20, 30)
_QUICK = (2, 3, 5, 9, 10, 15, 20)


@dataclass(frozen=True)
class Clustered:
    """What `cluster` wrote: the page, and its first table as it is printed."""

    page: Path
    table: Table
    remark: str
    """What must be known to read the table."""
    rows: tuple[Row, ...]
    """One an algorithm, with S2's settings."""


def parse_clusters(text: str) -> tuple[int, int]:
    """`'2-20'` or `'9'`: the fewest and the most clusters. Raises ExperimentError."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*(?:[-–:]\s*(\d{1,6})\s*)?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 2 <= low <= high:
        raise ExperimentError(f"clusters are a number from 2, or a range such as 2-20, not {text!r}")
    return low, high


def cluster(
    dataset: Dataset,
    folder: Path,
    *,
    representation: str = "table",
    clusters: tuple[int, int] = (2, 20),
    quick: bool = False,
    cache: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Clustered:
    """Write cluster.html, cluster.md, cluster.json and figures/ to `folder`; the same seed gives the same page.

    `clusters` is the fewest and the most; `quick` tries fewer numbers between them. No label is used but to compare.
    `cache`, `workers` and `progress` are those of `represent`, where the table must be made.
    Raises DatasetError for a table that cannot be clustered (values that are no numbers, one class), ExperimentError
    for more clusters than clips.
    """
    table = read_table(dataset, representation, cache=cache, workers=workers, progress=progress)
    table = _usable(table, representation)
    _check_clusters(table, clusters)
    if len(table.X) > MOST_CLIPS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(table.X), MOST_CLIPS, replace=False))
        table = FeatureTable(table.dataset.take(chosen), table.X[chosen], table.columns)
    study = _study(table, clusters, quick=quick, seed=seed)
    with pages.style():
        page, shown = _write_up(dataset, table, study, folder, representation=representation, seed=seed)
    write_json(folder / "cluster.json", _as_json(dataset, table, study, representation, seed))
    return Clustered(page.write("cluster"), shown, _what_it_hides(study), tuple(study.s2))


def _usable(table: FeatureTable, representation: str) -> FeatureTable:
    name = table.dataset.name
    if len(table.dataset.labels) < 2:
        raise DatasetError(
            f"{name}: all clips are of one class, {table.dataset.labels[0]!r}; clusters are compared with two or more"
        )
    bad = np.argwhere(~np.isfinite(table.X))
    if len(bad):
        row, column = bad[0]
        columns = len(np.unique(bad[:, 1]))
        raise DatasetError(
            f"{name}: {len(bad)} values in {columns} of {len(table.columns)} columns of {representation} are no finite "
            f"numbers, the first {table.columns[column]} of {table.dataset.clips[row].id}: {table.X[row, column]}; "
            "leave those clips or columns out"
        )
    kept = np.flatnonzero(np.ptp(table.X, axis=0) > 0)
    if len(kept) < 2:
        raise DatasetError(f"{name}: {len(kept)} columns of {representation} differ between clips; clusters take two")
    return FeatureTable(table.dataset, table.X[:, kept], tuple(table.columns[i] for i in kept))


def _check_clusters(table: FeatureTable, clusters: tuple[int, int]) -> None:
    low, high = clusters
    if not 2 <= low <= high:
        raise ExperimentError(f"clusters go from 2 upwards, the fewest first, not {low} to {high}")
    n = len(table.X)
    if n <= high:
        way_out = f"ask for {low}-{n - 1}" if low < n else "more clips are needed"
        raise ExperimentError(
            f"{table.dataset.name}: up to {high} clusters take at least {high + 1} clips, it has {n}; {way_out}"
        )


# ---- the figures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Study:
    space: Space
    at: int
    """The number of clusters that is compared at: S2's, or the nearest in range."""
    s2: list[Row]
    everywhere: list[Row]
    """The same clusters, found in all components."""
    own: dict[str, Separation]
    """Of the classes themselves, by space."""
    by_number: dict[str, list[Row]]
    by_components: list[Row]
    tried: dict[str, list[Tried]]
    best: list[tuple[str, Row]]
    """The grid's best: of any number of clusters, and of `at`."""
    prepared: list[dict[str, Any]]


def _study(table: FeatureTable, clusters: tuple[int, int], *, quick: bool, seed: int) -> _Study:
    y = table.dataset.y
    space = clustering.make_space(table.X, seed=seed)
    null = clustering.without_structure(space, seed=seed)
    low, high = clusters
    at = min(max(S2_CLUSTERS, low), high)
    numbers = [n for n in range(low, high + 1) if not quick or n in (*_QUICK, at, high)]
    whole = space.components.shape[1]
    names = {2: _in_components(2), whole: f"All {space.Z.shape[1]} features"}

    def row(algorithm: str, n: int, **more: Any) -> Row:
        return clustering.score(space, y, algorithm, n, seed=seed, **more)

    def sweep(n: int, components: int) -> list[Row]:
        nulls = {"k-means": null}
        return [row(name, n, components=components, null=nulls.get(name)) for name in ALGORITHMS]

    tried = {name: clustering.search(space, name, numbers, seed=seed) for name in ALGORITHMS}
    found = [(name, clustering.best(tried[name], clusters=n)) for n in (None, at) for name in ALGORITHMS]
    return _Study(
        space,
        at,
        s2=[row(name, at, settings=known.s2, null=null) for name, known in ALGORITHMS.items()],
        everywhere=[
            row(name, at, settings=known.s2, components=whole, null=null) for name, known in ALGORITHMS.items()
        ],
        own={name: clustering.separation(space.components[:, :n], y) for n, name in names.items()},
        by_number={name: [one for k in numbers for one in sweep(k, n)] for n, name in names.items()},
        by_components=[one for n in sorted({min(n, whole) for n in (*_COMPONENTS, whole)}) for one in sweep(at, n)],
        tried=tried,
        best=[(name, row(name, one.clusters, settings=one.settings, null=null)) for name, one in found if one],
        prepared=_prepared(table, at, seed=seed),
    )


def _in_components(n: int) -> str:
    return f"First {n} principal components"


def _prepared(table: FeatureTable, at: int, *, seed: int) -> list[dict[str, Any]]:
    """S2's settings in two components of the table, prepared in four ways: S2 does not say which was its own."""
    from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

    ways = {
        "standardised": StandardScaler().fit_transform(table.X),
        "each column to 0 to 1": MinMaxScaler().fit_transform(table.X),
        "each clip to length 1": Normalizer().fit_transform(table.X),
        "as it is": table.X,
    }
    rows = []
    for name, X in ways.items():
        components, explained = clustering.principal(X, seed=seed)
        line: dict[str, Any] = {"preparation": name, "explained": float(explained[1])}
        for algorithm, known in ALGORITHMS.items():
            if known.s2 is not None:
                points = components[:, :2]
                found = clustering.find_clusters(points, algorithm, at, seed=seed, settings=known.s2)
                line[algorithm] = clustering.separation(points, found).silhouette
        rows.append(line)
    return rows


# ---- the page --------------------------------------------------------------------------------------------------------

_ASKED = ("method", "settings", "clusters", "largest")
_MEASURED = ("silhouette without structure", "silhouette in all features", "adjusted Rand", "NMI")
_HEAD = (*_ASKED, "silhouette", "Davies-Bouldin", *_MEASURED)
_HEAD_S2 = (*_ASKED, "silhouette", "S2's", "Davies-Bouldin", "S2's", *_MEASURED)
_ALIGN = "ll" + "r" * 10


def _write_up(
    dataset: Dataset, table: FeatureTable, study: _Study, folder: Path, *, representation: str, seed: int
) -> tuple[Page, Table]:
    y, names, space = table.dataset.y, table.dataset.labels, study.space
    page = Page(f"{dataset.name}: clusters", folder)
    sampled = f", a sample of {len(table.X):,}" if len(table.X) < len(dataset) else ""
    page.facts(
        [
            ("Clips", f"{len(dataset):,} in {len(names)} classes{sampled}"),
            ("Features", f"{len(table.columns)} that vary, of {representation}; standardised"),
            ("First two principal components", f"{space.explained[1]:.0%} of the variance"),
            ("Seed", str(seed)),
        ]
    )
    unlike = "" if study.at == S2_CLUSTERS else f" (S2: {S2_CLUSTERS})"
    page.heading(f"S2's settings, {study.at} clusters{unlike} in two principal components")
    rows = [_line(row, s2=True) for row in study.s2]
    own = study.own[_in_components(2)]
    everywhere = clustering.separation(space.Z, y)
    most = np.bincount(y).max() / len(y)
    classes = Row(
        "the classes themselves", len(names), 2, {}, len(names), most, own, everywhere, rand=1.0, information=1.0
    )
    shown = page.table(_HEAD_S2, [*rows, _line(classes, s2=True)], align=_ALIGN)
    page.text(
        "S2's figures are of another table: twelve genres, 1,200 clips, 43 features, and a preparation it does not "
        "name. It used no labels; the last two columns, which compare clusters with classes, are added here."
    )
    page.text(_what_it_hides(study), warning=True)
    found = {row.algorithm: _found(space, row, seed=seed) for row in study.s2}
    page.figure(
        clusterplots.maps(space.components[:, :2], found),
        "maps",
        "The clusters of the table above",
        "Numbers and colours of clusters mean nothing.",
    )
    counts = np.zeros((len(names), int(found["k-means"].max()) + 1), np.int64)
    np.add.at(counts, (y, found["k-means"]), 1)
    title = "Clips of each class in each cluster of K-means"
    page.figure(clusterplots.contents(counts, names), "contents", title, "Darker is more of the class.")
    page.heading("The same in all components")
    page.table(_HEAD, [_line(row) for row in study.everywhere], align=_ALIGN[: len(_HEAD)])
    _searches(page, study, len(names))
    return page, shown


def _searches(page: Page, study: _Study, classes: int) -> None:
    page.heading("Against the number of clusters and of components")
    caption = (
        f"Clustered and measured in the same space; the upright line is at {classes}, the number of classes. Dashed: "
        "K-means on points of one normal distribution of the same covariance."
    )
    figure = clusterplots.by_number(study.by_number, classes=classes, own=study.own)
    page.figure(figure, "by-number", "Separation against the number of clusters (S2's figure 3)", caption)
    figure = clusterplots.by_components(study.by_components)
    title = f"Silhouette against principal components, {study.at} clusters (S2's figure 4)"
    page.figure(figure, "by-components", title, "Left each point is measured in another space.")
    page.heading("Grid search")
    numbers = sorted({one.clusters for one in study.tried["k-means"]})
    tried = ", ".join(f"{ALGORITHMS[name].title} {len(tries)}" for name, tries in study.tried.items())
    page.text(
        f"Highest silhouette in two principal components, of {numbers[0]} to {numbers[-1]} clusters and then of "
        f"{study.at}; settings tried: {tried}. All of them are in cluster.json."
    )
    page.table(_HEAD, [_line(row) for _, row in study.best], align=_ALIGN[: len(_HEAD)])
    page.heading("How the table was prepared")
    page.text(f"Silhouette of S2's settings, {study.at} clusters, in two principal components of the same table:")
    used = [name for name, known in ALGORITHMS.items() if known.s2 is not None]
    head = ("preparation", "variance in two components", *(ALGORITHMS[name].title for name in used))
    lines = [
        (line["preparation"], f"{line['explained']:.0%}", *(_number(line[name]) or "one cluster" for name in used))
        for line in study.prepared
    ]
    reported = [_number(known.reported[0]) for known in ALGORITHMS.values() if known.reported]
    page.table(head, [*lines, ("reported by S2", "65%", *reported)])


def _what_it_hides(study: _Study) -> str:
    k_means = next(row for row in study.s2 if row.algorithm == "k-means")
    return (
        "Silhouettes are comparable within one space only. Two components hold "
        f"{study.space.explained[1]:.0%} of the variance, and few dimensions flatter: K-means has "
        f"{_number(k_means.inside.silhouette)} there, {_number(k_means.everywhere.silhouette)} for the same clusters "
        f"in all features, and {_number(k_means.structureless)} in two components of a cloud that has no clusters at "
        "all. A high silhouette in two components, such as S2's 52 %, shows that points were cut neatly, not that "
        "there are groups, and nothing of genres."
    )


def _line(row: Row, *, s2: bool = False) -> tuple[str, ...]:
    """A row of the table below `_HEAD`, or `_HEAD_S2`."""
    known = ALGORITHMS.get(row.algorithm)
    reported = known.reported if known and known.reported else (None, None)
    measured = (row.inside.silhouette, row.inside.davies_bouldin)
    beside = [value for pair in zip(measured, reported, strict=True) for value in pair] if s2 else measured
    return (
        known.title if known else row.algorithm,
        ", ".join(f"{name} {value}" for name, value in row.settings.items()),
        str(row.found) if row.found == row.clusters else f"{row.found} of {row.clusters}",
        f"{row.largest:.0%}",
        *(_number(value) for value in (*beside, row.structureless, row.everywhere.silhouette)),
        *(_number(value) for value in (row.rand, row.information)),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _found(space: Space, row: Row, *, seed: int) -> IntArray:
    points = space.components[:, : row.components]
    return clustering.find_clusters(points, row.algorithm, row.clusters, seed=seed, settings=row.settings)


def _as_json(dataset: Dataset, table: FeatureTable, study: _Study, representation: str, seed: int) -> dict[str, Any]:
    import dataclasses

    def plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [dataclasses.asdict(row) for row in rows]

    return {
        "dataset": dataset.name,
        "representation": representation,
        "seed": seed,
        "clips": len(table.X),
        "classes": list(table.dataset.labels),
        "columns": list(table.columns),
        "explained": study.space.explained,
        "s2_settings": plain(study.s2),
        "s2_reported": {name: known.reported for name, known in ALGORITHMS.items() if known.reported},
        "all_components": plain(study.everywhere),
        "classes_themselves": {name: dataclasses.asdict(own) for name, own in study.own.items()},
        "by_number": {name: plain(rows) for name, rows in study.by_number.items()},
        "by_components": plain(study.by_components),
        "grid": [row for tries in study.tried.values() for row in plain(tries)],
        "best": plain([row for _, row in study.best]),
        "preparations": study.prepared,
    }
