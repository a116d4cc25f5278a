"""Same-album precision at 5 against analysis time, on real soundtracks.

For each track of at least 30 s: the share of its five nearest neighbours that come from its own album, with a 95 %
bootstrap interval over tracks. Albums share production and encoding besides style, so this is a proxy: it compares
models on one library, no more. Standardisation and mutual proximity use the library's own statistics, as they do for
a listener. Peers: chance, and bliss, as it is and with the same standardisation and mutual proximity.

    python benchmarks/precision.py FOLDER [--tuning] [--plans whole 8x5 …] [--model soundkin]

Figures are reported on the evaluation albums. Settings are chosen on the tuning albums (--tuning shows both).
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import tempfile
import time
from pathlib import Path

import machine  # first: it sets the number of threads

# isort: split
import numpy as np

import music
from soundkin.analysis import Analysis, analyse
from soundkin.audio import read_info
from soundkin.catalogue import Catalogue
from soundkin.errors import AudioError
from soundkin.excerpts import ExcerptPlan
from soundkin.index import Index
from soundkin.model import DEFAULT_MODEL, Model, Space, load_model

SHORTEST = 30.0  # s
K = 5


def hits_at(similarity: np.ndarray, albums: np.ndarray, *, k: int = K) -> tuple[np.ndarray, float]:
    """(n,) share of each track's k nearest from its album, and the skewness of k-occurrence; similarities (n, n)."""
    similarity = similarity.copy()
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    occurrence = np.bincount(nearest.ravel(), minlength=len(albums)).astype(float)
    skewness = float(np.mean((occurrence - occurrence.mean()) ** 3) / occurrence.std() ** 3)
    return np.mean(albums[nearest] == albums[:, None], axis=1), skewness


def interval(values: np.ndarray) -> str:
    """Mean and 95 % bootstrap interval over tracks."""
    means = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def hear(files: list[Path], *, model: Model, plan: ExcerptPlan) -> tuple[list[Analysis], float]:
    """The analyses of the files, and processor seconds a track."""
    began = time.process_time()
    analyses = [analyse(file, model=model, excerpts=plan) for file in files]
    return analyses, (time.process_time() - began) / len(files)


def through_library(analyses: list[Analysis], *, model: Model, space: Space) -> tuple[np.ndarray, np.ndarray]:
    """Similarities (n, n) of the library's own index in `space`, and albums (n,)."""
    with tempfile.TemporaryDirectory() as folder, Catalogue.open(Path(folder) / "library.db") as catalogue:
        catalogue.register_model(replace_space(model, space))
        for analysis in analyses:
            catalogue.record(analysis, size=0, mtime_ns=0)
        index = Index.load(catalogue, space, model_id=model.id)
        album_of = {track.id: track.path.parent.name for track in catalogue.list_tracks()}
    albums = np.array([album_of[int(i)] for i in index.track_ids])
    return index.similarities(index.vectors), albums


def replace_space(model: Model, space: Space) -> Model:
    """The model as the catalogue sees it, with another space."""
    other = copy.copy(model)
    other.space = space  # type: ignore[misc]
    return other


def hear_with_bliss(files: list[Path], *, like: list[Analysis]) -> tuple[list[Analysis], float] | None:
    """The same with bliss's 23 numbers in place of the vectors of `like`, if bliss is installed."""
    try:
        from bliss_audio import Song
    except ImportError:
        return None
    began = time.process_time()
    vectors = [np.array(Song(str(file)).analysis, np.float32) for file in files]
    seconds = (time.process_time() - began) / len(files)
    return [
        dataclasses.replace(one, vector=vector, passages=None) for one, vector in zip(like, vectors, strict=True)
    ], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what benchmarks/music.py filled")
    parser.add_argument("--tuning", action="store_true", help="also the albums that settings are chosen on")
    parser.add_argument("--plans", nargs="+", default=[], help="excerpt plans to compare, besides the model's own")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    machine.use_one_core()
    model = load_model(arguments.model)
    print(machine.describe())
    sets = {"evaluation": music.EVALUATION} | ({"tuning": music.TUNING} if arguments.tuning else {})
    for name, packages in sets.items():
        files = [file for file in music.tracks(arguments.folder, packages) if duration(file) >= SHORTEST]
        if not files:
            raise SystemExit(f"no music in {arguments.folder}: python benchmarks/music.py {arguments.folder}")
        report(files, name=name, model=model, plans=[model.excerpts, *map(ExcerptPlan.parse, arguments.plans)])


def report(files: list[Path], *, name: str, model: Model, plans: list[ExcerptPlan]) -> None:
    """Print the table of one set of albums."""
    albums = np.array([file.parent.name for file in files])
    chance = np.mean([(np.sum(albums == album) - 1) / (len(albums) - 1) for album in albums])
    rows = [("chance", f"{chance:.3f}", "")]
    heard = [hear(files, model=model, plan=plan) for plan in plans]
    bliss = hear_with_bliss(files, like=heard[0][0])
    peers = []
    if bliss is not None:
        x, seconds = np.array([one.vector for one in bliss[0]]), bliss[1]
        hits, skewness = hits_at(-np.linalg.norm(x[:, None] - x[None], axis=2), albums)
        peers.append(hits)
        rows.append(("bliss 0.2.0, Euclidean", interval(hits), f"hubness {skewness:.2f}, {seconds:.2f} s a track"))
        space = Space(x.shape[1], standardise=True, mutual_proximity=True)
        hits, skewness = hits_at(*through_library(bliss[0], model=model, space=space))
        peers.append(hits)
        rows.append(("bliss 0.2.0, standardised, mutual proximity", interval(hits), f"hubness {skewness:.2f}"))
    plain = dataclasses.replace(model.space, mutual_proximity=False)
    hits, skewness = hits_at(*through_library(heard[0][0], model=model, space=plain))
    rows.append((f"{model.id}, {plans[0]}, without mutual proximity", interval(hits), f"hubness {skewness:.2f}"))
    for plan, (analyses, seconds) in zip(plans, heard, strict=True):
        hits, skewness = hits_at(*through_library(analyses, model=model, space=model.space))
        rows.append((f"**{model.id}, {plan}**", interval(hits), f"hubness {skewness:.2f}, {seconds:.2f} s a track"))
        if plan == model.excerpts:
            rows += [("… more than bliss, paired", interval(hits - peer), "") for peer in peers]
    machine.show(f"Same-album precision at {K}, {len(files)} tracks, {name} albums", rows)


def duration(file: Path) -> float:
    """Seconds, 0 for what is no audio."""
    try:
        return read_info(file).duration
    except AudioError:
        return 0.0


if __name__ == "__main__":
    main()
