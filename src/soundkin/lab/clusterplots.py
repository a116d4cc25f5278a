"""Figures of clusterings: where the clusters lie, how separation moves with its settings, and what clusters hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.lab import pages, tableplots
from soundkin.lab.clustering import ALGORITHMS, Row, Separation
from soundkin.lab.plots import GREY, MARKERS, SERIES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def maps(points: FloatArray, found: Mapping[str, IntArray]) -> Any:
    """The first two components (n, 2), once for each algorithm and its clusters."""
    down = -(-len(found) // 2)
    figure = pages.new_figure(9.5, 4.2 * down)
    axes = figure.subplots(down, 2, sharex=True, sharey=True, squeeze=False)
    for one, (algorithm, clusters) in zip(axes.ravel(), found.items(), strict=False):
        numbers = [str(i + 1) for i in range(int(clusters.max()) + 1)]
        tableplots.scatter(one, points, clusters, numbers, size=10)
        one.set_title(f"{ALGORITHMS[algorithm].title}, {len(numbers)} clusters")
    for one in axes[-1]:
        one.set_xlabel("first principal component")
    for one in axes[:, 0]:
        one.set_ylabel("second")
    return figure


def by_number(spaces: Mapping[str, Sequence[Row]], *, classes: int, own: Mapping[str, Separation]) -> Any:
    """Silhouette and Davies-Bouldin score against the number of clusters, a column a space.

    `own` is how far the classes themselves are apart in each space; the rows of K-means carry the cloud without
    structure.
    """
    figure = pages.new_figure(11, 6.6)
    axes = figure.subplots(2, len(spaces), sharex=True, sharey="row", squeeze=False)
    for column, (name, rows) in zip(axes.T, spaces.items(), strict=True):
        for i, algorithm in enumerate(ALGORITHMS):
            mine = [row for row in rows if row.algorithm == algorithm]
            x = [row.clusters for row in mine]
            look = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "label": ALGORITHMS[algorithm].title}
            column[0].plot(x, _numbers(row.inside.silhouette for row in mine), **look)
            column[1].plot(x, _numbers(row.inside.davies_bouldin for row in mine), **look)
        null = [row for row in rows if row.structureless is not None]
        values = _numbers(row.structureless for row in null)
        column[0].plot([row.clusters for row in null], values, "--", color="black", label="K-means, no structure")
        if own[name].silhouette is not None:
            column[0].axhline(own[name].silhouette, color=GREY, linestyle=":", label="the classes themselves")
        column[0].set_title(name)
        column[1].set_xlabel("clusters")
        for one in column:
            one.axvline(classes, color="#cccccc", linewidth=0.8, zorder=0)
            one.grid(axis="y")
            one.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("silhouette (higher is better)")
    axes[1, 0].set_ylabel("Davies-Bouldin (lower is better)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def by_components(rows: Sequence[Row]) -> Any:
    """Silhouette against the principal components clustered in: there, and in all features."""
    figure = pages.new_figure(10, 4)
    left, right = figure.subplots(1, 2, sharey=True)
    numbers = sorted({row.components for row in rows})
    for i, algorithm in enumerate(ALGORITHMS):
        mine = {row.components: row for row in rows if row.algorithm == algorithm}
        look = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 5, "label": ALGORITHMS[algorithm].title}
        left.plot(range(len(numbers)), _numbers(mine[n].inside.silhouette for n in numbers), **look)
        right.plot(range(len(numbers)), _numbers(mine[n].everywhere.silhouette for n in numbers), **look)
    null = {row.components: row.structureless for row in rows if row.structureless is not None}
    if len(null) == len(numbers):
        values = _numbers(null[n] for n in numbers)
        left.plot(range(len(numbers)), values, "--", color="black", label="K-means, no structure")
    left.set(title="Measured in those components", ylabel="silhouette")
    right.set(title="Measured in all features")
    for axes in (left, right):
        axes.set_xticks(range(len(numbers)), [str(n) for n in numbers])
        axes.set_xlabel("principal components clustered")
        axes.grid(axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _numbers(values: Any) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def contents(counts: IntArray, names: Sequence[str]) -> Any:
    """How many clips of each class (rows) lie in each cluster (columns); shade is the share of the class."""
    figure = pages.new_figure(1.9 + 0.5 * counts.shape[1], 1.1 + 0.3 * len(names))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(counts.shape[1]), [str(i + 1) for i in range(counts.shape[1])])
    axes.set_yticks(range(len(names)), [pages.label(name) for name in names])
    axes.set_xlabel("cluster")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
