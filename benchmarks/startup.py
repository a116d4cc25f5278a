"""What a person waits for: `soundkin --help`, and `soundkin similar` from a cold start on 100,000 tracks.

    python benchmarks/startup.py

Whole commands in processes of their own; the library is generated as in similar_100k.py, and its index kept beside
it, as after a scan or an earlier answer; two rows tell how long an answer takes that must make it anew, as after a scan
that was killed. The file cache is warm.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
from similar_100k import generate
from soundkin.library import Library

TRACKS = 100_000
RUNS = 9


def wall_seconds(*arguments: object, forget: Path | None = None) -> list[float]:
    """Seconds of each of RUNS runs of the command, after one that warms the file cache.

    With `forget`, what is kept beside that library is deleted before each.
    """
    seconds = []
    for _ in range(RUNS + 1):
        for kept in forget.parent.glob(f"{forget.name}-*.np*") if forget else ():
            kept.unlink()
        began = time.perf_counter()
        command = [sys.executable, "-m", "soundkin.cli.main", *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.db"
        generate(path, tracks=TRACKS)
        with Library.open(path) as library:
            library.index()
        help_, similar = wall_seconds("--help"), wall_seconds("--library", path, "similar", "4711")
        filtered = wall_seconds("--library", path, "similar", "4711", "--exclude", "genre:christmas")
        first = wall_seconds("--library", path, "similar", "4711", forget=path)
        first_filtered = wall_seconds("--library", path, "similar", "4711", "--exclude", "genre:christmas", forget=path)
    rows = [
        ("`soundkin --help`, median", f"**{statistics.median(help_):.2f} s**", "target ≤ 0.25 s"),
        ("`soundkin similar ID`, median", f"**{statistics.median(similar):.2f} s**", "target ≤ 1.0 s"),
        ("`soundkin similar ID --exclude …`, median", f"{statistics.median(filtered):.2f} s", ""),
        ("`soundkin similar ID`, nothing kept", f"{statistics.median(first):.2f} s", ""),
        ("`soundkin similar ID --exclude …`, nothing kept", f"{statistics.median(first_filtered):.2f} s", ""),
    ]
    print(machine.describe())
    machine.show(f"Whole commands from a cold start, {TRACKS:,} tracks", rows)


if __name__ == "__main__":
    main()
