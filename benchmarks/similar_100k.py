"""How long `similar` takes in a large library, inside the process, with filters, duplicates and reasons.

    python benchmarks/similar_100k.py [--tracks 100000] [--queries 300] [--library FILE]

The library is generated: clustered vectors of the `timbre` model's size, 80 tags and eight passages a track, 8,000
artists, words and genres as uneven as in real tags, and one track in 25 the re-encoding of another. With --library it
is kept, and used again the next time.
"""

from __future__ import annotations

import argparse
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from soundkin import filters
from soundkin.catalogue import Catalogue, fold, schema
from soundkin.index import Index
from soundkin.journeys import path, radio
from soundkin.model import Model, Space, Tag, TimbreModel
from soundkin.recommend import similar
from soundkin.seeds import Seed, seed_of

MEDIAN, P99 = 20.0, 60.0  # ms: the targets for `similar`
PRODUCT = 10.0  # ms: the target for one query against all vectors and the choice of the best 10
TAGS, PASSAGES = 80, 8  # of each track
GENRES = "Rock Pop Jazz Blues Folk Metal Classical Electronic Reggae Soundtrack Audiobook Christmas".split()
SYLLABLES = "ka lo mi ra ten dor sel va nu pi gre sta ön bel fu ri zo win ter é".split()
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "n", "s")]


# --- the library -----------------------------------------------------------------------------------------------------


Floats = npt.NDArray[np.float64]


def generate(path: Path, *, tracks: int, model: Model | None = None) -> None:
    """Write a library of `tracks` rows at `path`, in bulk, that `model` is said to have heard; the same one every time.

    Without a model it is `timbre`, with invented tags.
    """
    rng = np.random.default_rng(0)
    if model is None:
        model = TimbreModel()
        model.tags = tuple(Tag(f"tag {i}", "genre") for i in range(TAGS))
    with Catalogue.open(path) as catalogue:
        catalogue.register_model(model)
    centres = rng.normal(0, 1, (400, model.space.dimension)).astype(np.float32)
    tags = len(model.tags)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    with engine.begin() as connection:
        for start in range(0, tracks, 5000):
            songs = [
                song for k in range(start, min(start + 5000, tracks), 25) for song in _songs(k, rng, centres, tags)
            ]
            connection.execute(schema.recordings.insert(), [_recording(**song) for song in songs])
            connection.execute(schema.tracks.insert(), [_track(**song) for song in songs])
            connection.execute(schema.vectors.insert(), [_vector(model_id=model.id, **song) for song in songs])
            connection.execute(schema.passages.insert(), [_passages(model_id=model.id, **song) for song in songs])
    engine.dispose()


def _songs(first: int, rng: np.random.Generator, centres: npt.NDArray[np.float32], tags: int) -> list[dict[str, Any]]:
    """25 songs, numbered from `first`; the last is the one before it once more, encoded anew."""
    songs: list[dict[str, Any]] = []
    for number in range(first, first + 24):
        artist = f"{WORDS[number // 12 % 8000 % 1187]} {WORDS[number // 12 % 8000 % 1091]}"
        cluster = zlib.crc32(artist.encode()) % len(centres)
        common = np.minimum(rng.zipf(1.3, 3), len(WORDS)) - 1  # a few words are in many titles, most in few
        songs.append(
            {
                "number": number,
                "artist": artist,
                "album": f"{WORDS[number // 12 % 1199]} {number // 12 % 40}",
                "title": " ".join(WORDS[i] for i in common),
                "genre": GENRES[cluster % len(GENRES)],
                "year": 1960 + cluster % 64,
                "duration": float(np.clip(rng.lognormal(5.4, 0.4), 30, 3600)),
                "vector": centres[cluster] + rng.normal(0, 1, centres.shape[1]),
                "heard": rng.beta(0.3, 3, tags),
                "codes": rng.integers(0, 1 << 16, 12 * 45, dtype=np.uint16),
            }
        )
    flipped = (rng.random((12 * 45, 16)) < 0.1) @ (1 << np.arange(16))
    copy = dict(songs[-1], number=first + 24, duration=songs[-1]["duration"] + 0.05)
    copy["vector"] = copy["vector"] + rng.normal(0, 0.02, centres.shape[1])
    copy["codes"] = copy["codes"] ^ flipped.astype(np.uint16)
    return [*songs, copy]


def _recording(*, number: int, duration: float, codes: npt.NDArray[np.uint16], **_: Any) -> dict[str, Any]:
    times = np.linspace(0, duration - 5, 12) * 10
    heard = (
        struct.pack("<IH", int(time), 45) + part.tobytes()
        for time, part in zip(times, codes.reshape(12, 45), strict=True)
    )
    return {
        "content_id": f"{number:032x}",
        "duration": duration,
        "sr": 44100,
        "channels": 2,
        "codec": "mp3",
        "container": "mp3",
        "fingerprint": b"".join(heard),
        "analysed_at": 0.0,
    }


def _track(
    *, number: int, duration: float, codes: object, vector: object, heard: object, **tags: Any
) -> dict[str, Any]:
    name = f"{number % 12 + 1:02d} - {tags['title']} {number}.mp3"
    path = Path(f"/home/ada/Music/{tags['artist']}/{tags['album']}/{name}").absolute()
    searched = (tags["title"], tags["artist"], tags["album"], "", path.stem)
    return {
        "id": number + 1,
        "path": str(path),
        "folder": str(path.parent),
        "size": number,
        "mtime_ns": number,
        "content_id": f"{number:032x}",
        "duration": duration,
        "search": "\n".join(fold(part) for part in searched),
        "scanned_at": 0.0,
        **tags,
    }


def _vector(*, number: int, model_id: str, vector: Floats, heard: Floats, **_: Any) -> dict[str, Any]:
    blobs = {"embedding": vector.astype("<f4").tobytes(), "tags": heard.astype("<f4").tobytes()}
    return {"content_id": f"{number:032x}", "model_id": model_id, **blobs}


def _passages(*, number: int, model_id: str, vector: Floats, duration: float, **_: Any) -> dict[str, Any]:
    """The vector over and over, turned a little, in the form of `soundkin.catalogue.passages`."""
    packed = np.dtype([("start", "<f4"), ("scale", "<f4"), ("numbers", "i1", (len(vector),))])
    rows = np.empty(PASSAGES, packed)
    rows["start"], rows["scale"] = np.linspace(0, duration - 10, PASSAGES), np.abs(vector).max() / 127
    rows["numbers"] = [np.roll(vector, i) / rows["scale"][0] for i in range(PASSAGES)]
    return {"content_id": f"{number:032x}", "model_id": model_id, "excerpts": rows.tobytes()}


# --- the measurement -------------------------------------------------------------------------------------------------


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def row(name: str, times: list[float], *, median: float | None = None, p99: float | None = None) -> None:
    """Print one line of the table."""
    targets = [f"{what} ≤ {limit:g}" for what, limit in (("median", median), ("p99", p99)) if limit is not None]
    figures = f"{np.median(times):.1f} | {np.percentile(times, 99):.1f}"
    print(f"| {name} | {figures} | {', '.join(targets)} |", flush=True)


def measure(catalogue: Catalogue, *, queries: int) -> None:
    model = TimbreModel()
    for kept in catalogue.path.parent.glob(f"{catalogue.path.name}-*.np?"):
        kept.unlink()

    def load() -> Index:
        return Index.load(catalogue, model.space, model_id=model.id)

    from machine import describe  # by now NumPy is loaded, so it keeps as many threads as it takes by itself

    print(f"{describe()}\n\n| what | median, ms | p99, ms | target |\n|---|---|---|---|")
    row("index: made from the library, and kept", [milliseconds(load)])
    row("index: loaded from its file", [milliseconds(load) for _ in range(10)])
    index = load()
    chosen = np.random.default_rng(1).permutation(len(index))[:queries].tolist()
    products = [milliseconds(lambda: index.nearest(index.vectors[i], k=10)) for i in chosen]  # noqa: B023
    row(f"best 10 of {len(index):,} × {index.vectors.shape[1]}, exact", products, median=PRODUCT)

    def first_filter() -> None:
        filters.mask(catalogue, load(), only=["genre:rock"])

    row("filters: made from the library, and kept", [milliseconds(first_filter)])
    row("filters and index: loaded from their files", [milliseconds(first_filter) for _ in range(10)])

    def first_tag() -> None:
        filters.mask(catalogue, load(), only=["tag:tag 7"])

    row("tags: read from the library, and kept", [milliseconds(first_tag)])
    row("filters, tags and index: loaded from their files", [milliseconds(first_tag) for _ in range(10)])

    def seeds(i: int, count: int) -> list[Seed]:
        ids = index.track_ids[[(chosen[i] + 997 * j) % len(index) for j in range(count)]].tolist()
        return [seed_of(catalogue, track, model_id=model.id) for track in catalogue.tracks(ids)]

    def ask(i: int, count: int, **options: Any) -> float:
        found = seeds(i, count)
        return milliseconds(lambda: similar(catalogue, index, found, n=10, **options))

    one, three = 1, 3
    row("similar, no filters", [ask(i, one) for i in range(queries)], median=MEDIAN, p99=P99)
    standing = {"only": ["duration:1:30-10:00"], "exclude": ["genre:audiobook", "genre:christmas", "path:*/kalo*"]}
    ask(0, one, **standing)
    row(
        "similar, the same filters every time",
        [ask(i, one, **standing) for i in range(queries)],
        median=MEDIAN,
        p99=P99,
    )

    def new_filters(i: int) -> dict[str, list[str]]:
        """Filters that were never asked before: nothing remembered helps."""
        word = WORDS[(7 * i + 20) % len(WORDS)]
        return {
            "only": [
                f"genre:{GENRES[i % 10]}",
                f"genre:{GENRES[(i + 3) % 10]}",
                f"duration:{60 + i % 97}-{900 + i % 89}",
            ],
            "exclude": [f"artist:{word}", f"path:*{word}*.mp3", f"year:{1960 + i % 60}"],
        }

    times = [ask(i, one, **new_filters(i)) for i in range(queries)]
    row("similar, six new filters every time", times, median=MEDIAN, p99=P99)
    times = [ask(i, one, max_per_artist=1, max_per_album=1, **new_filters(i + queries)) for i in range(queries)]
    row("similar, new filters, one per artist and album", times, median=MEDIAN, p99=P99)
    times = [ask(i, three, **new_filters(i + 2 * queries)) for i in range(queries)]
    row("similar, new filters, three seeds", times, median=MEDIAN, p99=P99)

    def tag_filters(i: int) -> dict[str, list[str]]:
        return {
            "only": [f"tag:tag {i % TAGS}>{0.02 + 0.0001 * i:.4f}", f"tag:tag {(i + 3) % TAGS}<{0.6 + 0.0005 * i:.4f}"],
            "exclude": [f"tag:tag {(i + 7) % TAGS}>={0.5 + 0.0005 * i:.4f}"],
        }

    filters.mask(catalogue, index, only=["tag:tag 7"])
    times = [ask(i, one, **tag_filters(i)) for i in range(queries)]
    row("similar, three new filters by tags every time", times, median=MEDIAN, p99=P99)
    # without aspects the reasons come from tags and passages
    index = Index.load(catalogue, Space(model.space.dimension), model_id=model.id)
    filters.mask(catalogue, index, only=["tag:tag 7"])
    times = [ask(i, one, **tag_filters(i + queries)) for i in range(queries)]
    row("the same, reasons from tags and passages", times, median=MEDIAN, p99=P99)
    index = load()

    pairs = [seeds(i, 2) for i in range(min(30, queries))]
    row("path of 12", [milliseconds(lambda: path(catalogue, index, *pair, n=12)) for pair in pairs])  # noqa: B023
    row("radio of 20", [milliseconds(lambda: radio(catalogue, index, pair[0], n=20)) for pair in pairs])  # noqa: B023


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--library", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = options.library or Path(folder) / "library.db"
        if not library.exists():
            generate(library, tracks=options.tracks)
        with Catalogue.open(library) as catalogue:
            measure(catalogue, queries=options.queries)


if __name__ == "__main__":
    main()
