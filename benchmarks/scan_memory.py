"""Peak memory of a scan in a small and in a large library, and of one worker.

    python benchmarks/scan_memory.py [--tracks 1000 100000]

For each size there are that many files on disk, and generated rows for nine of ten of them; every tenth is new. The
new ones go through real worker processes and are stored one by one, but are not decoded: that would take hours and
happens in the workers. These are measured apart, on real analyses of tracks of ordinary and of great length. The peaks
are resident sizes of processes that do nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

import av
import numpy as np

from soundkin.analysis import Analysis, analyse
from soundkin.audio import AudioInfo
from soundkin.model import TimbreModel
from soundkin.tags import Tags

GROWTH = 100.0  # MB: how much more the scan of the large library may take, the target
WORKER = 250.0  # MB: what one worker may take, the target
NEW = 10  # one file in so many is new
PER_FOLDER = 12
LOG = "SCAN_MEMORY_LOG"


def peak() -> float:
    """Largest resident size of this process so far, in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:  # no Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


# --- a large library, made in bulk -----------------------------------------------------------------------------------


def make_library(place: Path, *, tracks: int) -> None:
    """`tracks` files below `place`/music, and rows for all but every tenth in `place`/library.db."""
    import sqlalchemy as sa

    from soundkin.catalogue import Catalogue, schema

    model = TimbreModel()
    with Catalogue.open(place / "library.db") as catalogue:
        catalogue.register_model(model)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(place / "library.db")))
    embedding = np.zeros(model.space.dimension, "<f4").tobytes()
    with engine.begin() as connection:
        for first in range(0, tracks, PER_FOLDER):
            artist, album = f"Artist {first // PER_FOLDER // 8:05d}", f"Album {first // PER_FOLDER:06d}"
            folder = place / "music" / artist / album
            folder.mkdir(parents=True)
            rows: list[list[dict[str, Any]]] = [[], [], []]
            for number in range(first, min(first + PER_FOLDER, tracks)):
                path = folder / f"{number % PER_FOLDER + 1:02d} - Title of the track {number}.mp3"
                path.touch()
                if number % NEW:
                    status = path.stat()
                    of_file = {"path": str(path), "folder": str(folder), "size": 0, "mtime_ns": status.st_mtime_ns}
                    for table, row in zip(rows, _rows(path, of_file, embedding, model.id), strict=True):
                        table.append(row)
            for table, part in zip((schema.recordings, schema.tracks, schema.vectors), rows, strict=True):
                if part:
                    connection.execute(table.insert(), part)
    engine.dispose()


def _rows(path: Path, of_file: dict[str, Any], embedding: bytes, model_id: str) -> tuple[dict[str, Any], ...]:
    content_id = identity(path)
    sound = {"sr": 44100, "channels": 2, "codec": "mp3", "container": "mp3", "fingerprint": bytes(1000)}
    return (
        {"content_id": content_id, "duration": 200.0, "analysed_at": 0.0, **sound},
        {"content_id": content_id, "duration": 200.0, "search": path.stem, "scanned_at": 0.0, **of_file},
        {"content_id": content_id, "model_id": model_id, "embedding": embedding},
    )


def identity(path: Path) -> str:
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def pretend(path: Path, *, model: Any, excerpts: object = None, known: Container[str] = ()) -> Analysis:
    """An analysis of an empty file."""
    info = AudioInfo(path, 200.0, 44100, 2, "mp3", "mp3", None, Tags(title=path.stem), identity(path), None)
    return Analysis(info, model.id, np.zeros(model.space.dimension, np.float32), None, bytes(1000))


# --- in processes of their own ---------------------------------------------------------------------------------------


def weighed(path: Path, **options: Any) -> Analysis:
    """A real analysis, after which the worker writes its peak down."""
    result = analyse(path, **options)
    with Path(os.environ[LOG]).open("a") as log:
        log.write(f"{peak()}\n")
    return result


def measure(place: Path, analysis: Any) -> None:
    """Scan `place`/music and print the peak of this process."""
    from soundkin.catalogue import Catalogue

    scan_module = importlib.import_module("soundkin.scan")
    scan_module.analyse = analysis
    with Catalogue.open(place / "library.db") as catalogue:
        report = scan_module.scan(catalogue, place / "music", workers=2)
    done = {"peak": peak(), "seconds": report.seconds, "analysed": report.analysed, "unchanged": report.unchanged}
    print(json.dumps(done))


def in_own_process(place: Path, kind: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", kind, str(place)]
    done = subprocess.run(
        command, env={**os.environ, LOG: str(place / "peaks.log")}, stdout=subprocess.PIPE, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def write_flac(path: Path, *, minutes: float) -> None:
    """Stereo noise with a beat, 44.1 kHz, written minute by minute."""
    rng = np.random.default_rng(0)
    minute = rng.normal(0, 3000, (1, 2 * 44100 * 60)) * (1 + np.sin(np.arange(2 * 44100 * 60) / 14000))
    samples = minute.clip(-32767, 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=44100, layout="stereo")
        for _ in range(round(minutes)):
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs=2, default=(1_000, 100_000), metavar=("FEW", "MANY"))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, place = options.measure
        measure(Path(place), pretend if kind == "rows" else weighed)
        return
    print(f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    peaks = []
    for tracks in options.tracks:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            started = time.monotonic()
            make_library(Path(folder), tracks=tracks)
            made = time.monotonic() - started
            figures = in_own_process(Path(folder), "rows")
        peaks.append(figures["peak"])
        print(
            f"{tracks:>9,} tracks: peak of the scan {figures['peak']:6.1f} MB; {figures['unchanged']:,.0f} unchanged, "
            f"{figures['analysed']:,.0f} new, in {figures['seconds']:.1f} s (generated in {made:.0f} s)"
        )
    print(f"difference: {peaks[1] - peaks[0]:.1f} MB; target: at most {GROWTH:g} MB")
    for what, minutes in (("one of 4 minutes", 4), ("one of 60 minutes", 60)):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            (Path(folder) / "music").mkdir()
            write_flac(Path(folder) / "music" / "1.flac", minutes=minutes)
            in_own_process(Path(folder), "sound")
            worker = max(map(float, (Path(folder) / "peaks.log").read_text().split()))
        print(f"peak of a worker after {what} (FLAC, stereo): {worker:.1f} MB; target: at most {WORKER:g} MB")


if __name__ == "__main__":
    main()
