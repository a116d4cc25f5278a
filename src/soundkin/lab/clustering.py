"""Clusters of a feature table: algorithms, how well separated what they find is, and searches over their settings.

A silhouette belongs to the space it is measured in. The fewer dimensions, the better anything looks separated: a cloud
without any structure, cut into nine by K-means, has about a third in two dimensions and next to nothing in fifty. So
what is clustered in a few principal components is scored there, in all features, and beside a cloud without structure.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import ExperimentError, UnknownNameError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Algorithm:
    """One way to cluster, the settings that are searched, and what S2's table 1 tells of it."""

    title: str
    build: Callable[..., Any]
    """(n_clusters, seed, **settings) -> a scikit-learn clusterer."""
    settings: Mapping[str, Any]
    """Used where nothing is searched."""
    grid: Mapping[str, Sequence[Any]]
    s2: Mapping[str, Any] | None = None
    """S2's settings, for its nine clusters."""
    reported: tuple[float, float] | None = None
    """S2's silhouette and Davies-Bouldin score."""


def _k_means(n: int, seed: int, **settings: Any) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(n, random_state=seed, **settings)


def _birch(n: int, seed: int, **settings: Any) -> Any:
    from sklearn.cluster import Birch

    return Birch(n_clusters=n, **settings)


def _gaussian_mixture(n: int, seed: int, **settings: Any) -> Any:
    from sklearn.mixture import GaussianMixture

    # of standardised features; keeps a component of a few clips from collapsing
    return GaussianMixture(n, random_state=seed, reg_covar=1e-4, **settings)


def _agglomerative(n: int, seed: int, **settings: Any) -> Any:
    from sklearn.cluster import AgglomerativeClustering

    return AgglomerativeClustering(n, **settings)


ALGORITHMS: dict[str, Algorithm] = {
    "k-means": Algorithm(
        "K-means", _k_means, {"n_init": 10}, {"n_init": (1, 5, 9, 20)}, {"n_init": 9}, reported=(0.35, 0.83)
    ),
    "birch": Algorithm(
        "Birch",
        _birch,
        {"threshold": 0.5, "branching_factor": 50},
        {"threshold": (0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 1.9), "branching_factor": (20, 50)},
        {"threshold": 1.9, "branching_factor": 20},
        reported=(0.32, 0.68),
    ),
    "gaussian-mixture": Algorithm(
        "Gaussian mixture",
        _gaussian_mixture,
        {"covariance_type": "spherical"},
        {"covariance_type": ("spherical", "diag", "tied", "full")},
        {"covariance_type": "spherical"},
        reported=(0.52, 0.66),
    ),
    "agglomerative": Algorithm(
        "Agglomerative", _agglomerative, {"linkage": "ward"}, {"linkage": ("ward", "complete", "average")}
    ),
}
"""Agglomerative is one of S2's plans."""


def find_clusters(
    X: FloatArray, algorithm: str, n_clusters: int, *, seed: int = 0, settings: Mapping[str, Any] | None = None
) -> IntArray:
    """Cluster of each row of `X` (n, d), numbered from 0 without gaps: (n,) int64; perhaps fewer than asked for.

    Raises UnknownNameError, and ExperimentError for more clusters than rows.
    """
    if algorithm not in ALGORITHMS:
        raise UnknownNameError("clustering algorithm", algorithm, ALGORITHMS)
    if not 1 <= n_clusters <= len(X):
        raise ExperimentError(f"{n_clusters} clusters of {len(X)} clips: there must be a clip for each cluster")
    known = ALGORITHMS[algorithm]
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # fewer clusters than asked for: told by the figures, which give the number found
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = known.build(n_clusters, seed, **(known.settings if settings is None else settings)).fit_predict(X)
    return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)


@dataclass(frozen=True)
class Separation:
    """How far clusters of some points are apart; None where there are too few clusters, or too few points, to tell."""

    silhouette: float | None
    """Rousseeuw 1987: -1 to 1, higher is better."""
    davies_bouldin: float | None
    """Davies and Bouldin 1979: from 0, lower is better."""


def separation(X: FloatArray, clusters: IntArray) -> Separation:
    """Of clusters (n,) of the points `X` (n, d)."""
    from sklearn.metrics import davies_bouldin_score, silhouette_score

    if not 2 <= len(np.unique(clusters)) <= len(X) - 1:
        return Separation(None, None)
    return Separation(float(silhouette_score(X, clusters)), float(davies_bouldin_score(X, clusters)))


@dataclass(frozen=True)
class Space:
    """Points as they are clustered: standardised features, and their principal components, all of them."""

    Z: FloatArray
    """(n, d), each column of mean 0 and variance 1."""
    components: FloatArray
    """(n, min(n, d)); the first two are where S2 clusters."""
    explained: FloatArray
    """Share of the variance in the first 1, 2, … components."""


def make_space(X: FloatArray, *, seed: int = 0) -> Space:
    """Standardise `X` (n, d) and turn it to its principal components."""
    from sklearn.preprocessing import StandardScaler

    Z = StandardScaler().fit_transform(X)
    return Space(Z, *principal(Z, seed=seed))


def principal(X: FloatArray, *, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """All principal components of `X` (n, d), and the share of the variance in the first 1, 2, … of them."""
    from sklearn.decomposition import PCA

    pca = PCA(random_state=seed, svd_solver="full").fit(X)
    return np.asarray(pca.transform(X)), np.cumsum(pca.explained_variance_ratio_)


def without_structure(space: Space, *, seed: int = 0) -> Space:
    """As many points of one normal distribution of the same covariance: what clusters it has are cut, not found."""
    rng = np.random.default_rng(seed)
    covariance = np.cov(space.Z, rowvar=False).reshape(space.Z.shape[1], -1)
    drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, len(space.Z), method="eigh")
    return make_space(drawn, seed=seed)


@dataclass(frozen=True)
class Row:
    """One clustering: as asked for, and how it came out."""

    algorithm: str
    clusters: int
    components: int
    """Principal components clustered in."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    found: int = 0
    """Clusters that hold a clip."""
    largest: float = 0.0
    """Share of the clips in the largest of them: near 1, the others are outliers."""
    inside: Separation = Separation(None, None)
    """In those components."""
    everywhere: Separation = Separation(None, None)
    """In all standardised features."""
    structureless: float | None = None
    """Silhouette, in as many components, of the same clustering of a cloud without structure."""
    rand: float = 0.0
    """Adjusted Rand index with the classes: 1 is the same, 0 chance (Hubert and Arabie 1985)."""
    information: float = 0.0
    """Normalised mutual information with the classes, 0 to 1."""


def score(
    space: Space,
    y: IntArray,
    algorithm: str,
    clusters: int,
    *,
    components: int = 2,
    settings: Mapping[str, Any] | None = None,
    null: Space | None = None,
    seed: int = 0,
) -> Row:
    """Cluster the first components of `space` and say how well; `y` (n,) are the classes, which only the score sees."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    settings = ALGORITHMS[algorithm].settings if settings is None else settings
    found = find_clusters(space.components[:, :components], algorithm, clusters, seed=seed, settings=settings)
    inside = separation(space.components[:, :components], found)
    turned = components >= space.components.shape[1]  # distances are those of the features
    structureless = None
    if null is not None:
        points = null.components[:, :components]
        cut = find_clusters(points, algorithm, clusters, seed=seed, settings=settings)
        structureless = separation(points, cut).silhouette
    return Row(
        algorithm,
        clusters,
        components,
        dict(settings),
        found=int(found.max()) + 1,
        largest=float(np.bincount(found).max() / len(found)),
        inside=inside,
        everywhere=inside if turned else separation(space.Z, found),
        structureless=structureless,
        rand=float(adjusted_rand_score(y, found)),
        information=float(normalized_mutual_info_score(y, found)),
    )


@dataclass(frozen=True)
class Tried:
    """One point of a grid."""

    algorithm: str
    clusters: int
    settings: Mapping[str, Any]
    found: int
    inside: Separation


def search(space: Space, algorithm: str, numbers: Sequence[int], *, components: int = 2, seed: int = 0) -> list[Tried]:
    """Every setting of the algorithm's grid with every number of clusters."""
    points = space.components[:, :components]
    tried = []
    for settings in combinations(ALGORITHMS[algorithm].grid):
        for n in numbers:
            found = find_clusters(points, algorithm, n, seed=seed, settings=settings)
            tried.append(Tried(algorithm, n, settings, int(found.max()) + 1, separation(points, found)))
    return tried


def combinations(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every choice of one value a name."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def best(tried: Sequence[Tried], *, clusters: int | None = None) -> Tried | None:
    """The highest silhouette, the earlier of equals; with `clusters`, of those that found exactly so many."""
    usable = [one for one in tried if one.inside.silhouette is not None and (clusters is None or one.found == clusters)]
    return max(usable, key=lambda one: one.inside.silhouette or -1.0, default=None)
