"""Figures of a feature table: its columns one by one, against each other and against the classes, and its clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.lab import pages

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SLICES = 12  # of a pie that can be read


def classes(counts: Mapping[str, int]) -> Any:
    """A pie; bars for more classes than a pie can show."""
    names = sorted(counts)
    if len(names) > _SLICES:
        figure = pages.new_figure(7, 1 + 0.24 * len(names))
        axes = figure.subplots()
        bars = axes.barh(range(len(names)), [counts[name] for name in names], color=pages.LEAD)
        axes.set_yticks(range(len(names)), [pages.label(name) for name in names])
        axes.bar_label(bars, padding=3)
        axes.margins(y=0.01)
        axes.invert_yaxis()
        axes.set_xlabel("clips")
        return figure
    figure = pages.new_figure(6, 4.2)
    figure.subplots().pie(
        [counts[name] for name in names],
        labels=[f"{pages.label(name)} ({counts[name]})" for name in names],
        colors=[pages.COLOURS[i % len(pages.COLOURS)] for i in range(len(names))],
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": "white", "linewidth": 1.5},
    )
    return figure


def boxes(values: Mapping[str, FloatArray], *, unit: str) -> Any:
    """A box a class, from the lowest median to the highest; whiskers at 1.5 interquartile ranges."""
    names = sorted(values, key=lambda name: float(np.median(values[name])))
    figure = pages.new_figure(7.5, 1 + 0.34 * len(names))
    axes = figure.subplots()
    axes.boxplot(
        [values[name] for name in names],
        orientation="horizontal",
        widths=0.65,
        patch_artist=True,
        boxprops={"facecolor": "#CFE3F1", "edgecolor": pages.LEAD},
        medianprops={"color": "#D55E00", "linewidth": 2},
        whiskerprops={"color": pages.LEAD},
        capprops={"color": pages.LEAD},
        flierprops={"marker": ".", "markersize": 4, "markerfacecolor": "#777777", "markeredgecolor": "none"},
    )
    axes.set_yticks(range(1, len(names) + 1), [pages.label(name) for name in names])
    axes.set_xlabel(unit)
    axes.grid(axis="x")
    return figure


def correlation(X: FloatArray, columns: Sequence[str]) -> Any:
    """Pearson's correlation of every two columns of `X` (n, d); no column may be constant."""
    n = len(columns)
    side = 2.2 + 0.17 * max(n, 12)
    figure = pages.new_figure(side + 0.6, side)
    axes = figure.subplots()
    drawn = axes.imshow(np.corrcoef(X, rowvar=False).reshape(n, n), cmap="RdBu_r", vmin=-1, vmax=1)
    size = 8 if n <= 32 else 6.5
    names = [pages.label(name) for name in columns]
    axes.set_xticks(range(n), names, rotation=90, fontsize=size)
    axes.set_yticks(range(n), names, fontsize=size)
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, label="correlation", fraction=0.04, pad=0.02)
    return figure


def histograms(X: FloatArray, columns: Sequence[str], *, across: int = 6) -> Any:
    """A small histogram of each column of `X` (n, d)."""
    down = -(-len(columns) // across)
    figure = pages.new_figure(1.75 * across, 1.35 * down + 0.2)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for one, values, name in zip(axes, X.T, columns, strict=False):
        one.hist(values, bins=30, color=pages.LEAD)
        one.set_title(pages.label(name, width=25), fontsize=7, fontweight="normal", pad=3)
        one.tick_params(labelsize=6, length=2)
        one.locator_params(nbins=3)
        one.ticklabel_format(axis="x", scilimits=(-3, 4))
        one.xaxis.get_offset_text().set_fontsize(6)
    for one in axes[len(columns) :]:
        one.set_visible(False)
    return figure


@dataclass(frozen=True)
class Importance:
    """How much single columns tell of the class, one value a column."""

    information: FloatArray
    """Mutual information, in bits (Kraskov 2004, Ross 2014)."""
    f: FloatArray
    """F of a one-way analysis of variance."""


def importance(X: FloatArray, y: IntArray, *, seed: int = 0) -> Importance:
    """Of each column of `X` (n, d) for the classes `y` (n,)."""
    from sklearn.feature_selection import f_classif, mutual_info_classif

    information = mutual_info_classif(X, y, random_state=seed) / np.log(2)
    return Importance(np.asarray(information), np.asarray(f_classif(X, y)[0]))


def importance_bars(found: Importance, columns: Sequence[str], *, highest: int = 20) -> Any:
    """Both figures of the columns with the most mutual information."""
    order = np.argsort(-found.information, kind="stable")[:highest]
    figure = pages.new_figure(8.5, 0.9 + 0.22 * len(order))
    left, right = figure.subplots(1, 2, sharey=True)
    names = [pages.label(columns[i]) for i in order]
    left.barh(range(len(order)), found.information[order], color=pages.LEAD)
    right.barh(range(len(order)), found.f[order], color="#009E73")
    left.set_yticks(range(len(order)), names)
    left.invert_yaxis()
    left.set(title="Mutual information with the class", xlabel="bits")
    right.set(title="Analysis of variance", xlabel="F")
    for axes in (left, right):
        axes.grid(axis="x")
        axes.margins(y=0.01)
    return figure


def scatter(axes: Any, points: FloatArray, y: IntArray, names: Sequence[str], *, size: float = 14) -> list[Any]:
    """Points (n, 2), each class in its colour and marker; returns handles for `legend`."""
    handles = []
    for i, name in enumerate(names):
        mine = points[y == i]
        handles.append(
            axes.scatter(
                *mine.T,
                s=size,
                alpha=0.85,
                linewidths=0.3,
                edgecolors="white",
                label=pages.label(name),
                **pages.look(i),
            )
        )
    return handles


def legend(figure: Any, handles: Sequence[Any]) -> None:
    """One legend at the right of a figure, which grows by its second column."""
    columns = 1 + (len(handles) - 1) // 22
    figure.set_figwidth(figure.get_figwidth() + 1.5 * (columns - 1))
    figure.legend(handles=list(handles), loc="outside right upper", ncols=columns, markerscale=1.6, fontsize=8)


def two_views(points: FloatArray, y: IntArray, names: Sequence[str], clusters: IntArray, explained: FloatArray) -> Any:
    """The clips in two dimensions twice: by class, and by cluster."""
    figure = pages.new_figure(11.5, 4.8)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    handles = scatter(left, points, y, names)
    numbers = [str(i + 1) for i in range(int(clusters.max()) + 1)]
    scatter(right, points, clusters, numbers)
    for i in range(len(numbers) if len(numbers) <= 15 else 0):  # more would hide the points
        right.annotate(
            numbers[i],
            points[clusters == i].mean(axis=0),
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "#222222"},
        )
    left.set(title="Classes", ylabel=f"second component ({explained[1]:.0%} of the variance)")
    right.set(title="K-means clusters")
    for axes in (left, right):
        axes.set_xlabel(f"first component ({explained[0]:.0%} of the variance)")
    legend(figure, handles)
    return figure


def one_view(points: FloatArray, y: IntArray, names: Sequence[str]) -> Any:
    """The clips in two dimensions that mean nothing by themselves, by class."""
    figure = pages.new_figure(8.5, 6)
    axes = figure.subplots()
    handles = scatter(axes, points, y, names, size=18)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    legend(figure, handles)
    return figure
