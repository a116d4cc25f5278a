"""Same-album precision at 5 against analysis time, on real soundtracks.

For each track of at least 30 s: the share of its five nearest neighbours that come from its own album. The library's
own search answers (standardised, weighted, mutual proximity), no artist or album filter, on the tracks of the
development albums, and separately on other albums, where settings may be chosen. Peers: bliss, and chance.

    python benchmarks/precision.py FOLDER [--more] [--plans 8x5 12x5 …] [--model timbre]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import machine  # first: it sets the number of threads

# isort: split
import numpy as np

import music
from soundkin.analysis import analyse
from soundkin.catalogue import Catalogue
from soundkin.errors import AudioError
from soundkin.excerpts import ExcerptPlan
from soundkin.index import Index
from soundkin.model import Model, load_model

SHORTEST = 30.0  # s
K = 5


def precision_at(similarity: np.ndarray, albums: np.ndarray, *, k: int = K) -> tuple[float, float]:
    """(precision at k, skewness of k-occurrence) from similarities (n, n) and albums (n,)."""
    similarity = similarity.copy()
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    occurrence = np.bincount(nearest.ravel(), minlength=len(albums)).astype(float)
    skewness = float(np.mean((occurrence - occurrence.mean()) ** 3) / occurrence.std() ** 3)
    return float(np.mean(albums[nearest] == albums[:, None])), skewness


def of_model(files: list[Path], *, model: Model, plan: ExcerptPlan) -> tuple[float, float, int, float]:
    """(precision, skewness, tracks, processor seconds a track) of a model through the library's own index."""
    with tempfile.TemporaryDirectory() as folder, Catalogue.open(Path(folder) / "library.db") as catalogue:
        catalogue.register_model(model)
        began = time.process_time()
        analyses = []
        for file in files:
            try:
                analysis = analyse(file, model=model, excerpts=plan)
            except AudioError as error:
                print(f"  left out: {error}")
                continue
            analyses.append(analysis)
        seconds = (time.process_time() - began) / len(files)
        kept = [analysis for analysis in analyses if analysis.info.duration >= SHORTEST]
        for analysis in kept:
            catalogue.record(analysis, size=0, mtime_ns=0)
        index = Index.load(catalogue, model.space, model_id=model.id)
        album_of = {track.id: track.path.parent.name for track in catalogue.list_tracks()}
    albums = np.array([album_of[int(i)] for i in index.track_ids])
    return *precision_at(index.similarities(index.vectors), albums), len(albums), seconds


def of_bliss(files: list[Path]) -> tuple[float, float, int, float] | None:
    """The same of bliss 0.2.0 and its Euclidean distance, if it is installed."""
    try:
        from bliss_audio import Song
    except ImportError:
        return None
    vectors, albums = [], []
    began = time.process_time()
    for file in files:
        song = Song(str(file))
        vectors.append(song.analysis)
        albums.append(file.parent.name)
    seconds = (time.process_time() - began) / len(files)
    x = np.array(vectors)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    return *precision_at(-distance, np.array(albums)), len(albums), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what benchmarks/music.py filled")
    parser.add_argument("--more", action="store_true", help="also the albums that settings are chosen on")
    parser.add_argument("--plans", nargs="+", default=[], help="excerpt plans to compare, besides the model's own")
    parser.add_argument("--model", default="timbre")
    arguments = parser.parse_args()
    machine.use_one_core()
    model = load_model(arguments.model)
    print(machine.describe())
    sets = {"development albums": music.DEVELOPMENT} | ({"other albums": music.MORE} if arguments.more else {})
    for name, packages in sets.items():
        files = music.tracks(arguments.folder, packages)
        if not files:
            raise SystemExit(f"no music in {arguments.folder}: python benchmarks/music.py {arguments.folder}")
        long = [file for file in files if _duration(file) >= SHORTEST]
        albums = np.array([file.parent.name for file in long])
        chance = np.mean([(np.sum(albums == album) - 1) / (len(albums) - 1) for album in albums])
        rows = [("chance", f"{chance:.3f}", "")]
        if (bliss := of_bliss(long)) is not None:
            rows.append(("bliss 0.2.0", f"{bliss[0]:.3f}", f"hubness {bliss[1]:.2f}, {bliss[3]:.2f} s a track"))
        for plan in [model.excerpts, *map(ExcerptPlan.parse, arguments.plans)]:
            p, skewness, _, seconds = of_model(long, model=model, plan=plan)
            rows.append((f"{model.id}, {plan}", f"**{p:.3f}**", f"hubness {skewness:.2f}, {seconds:.2f} s a track"))
        machine.show(f"Same-album precision at {K}, {len(long)} tracks, {name}", rows)


def _duration(file: Path) -> float:
    from soundkin.audio import read_info

    try:
        return read_info(file).duration
    except AudioError:
        return 0.0


if __name__ == "__main__":
    main()
