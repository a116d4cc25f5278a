"""Processor time to analyse a track, beside FFmpeg decoding it in full and beside bliss, one core each, in one run.

    python benchmarks/analysis_speed.py FOLDER

FFmpeg's command decodes each file to mono 16 kHz and throws the samples away: what any analysis of the whole track by
way of that command begins with. Its time includes the start of its process, which a second row takes off; ours does
not, since a worker starts once for a whole scan. Each is measured in turn, file by file, so that a noisy machine
troubles all alike.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import machine
import music
from soundkin.analysis import analyse
from soundkin.model import DEFAULT_MODEL, load_model


def ffmpeg_seconds(file: Path) -> float:
    """Processor seconds (user and system) of `ffmpeg` decoding `file` in full to mono 16 kHz."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-threads", "1", "-i", str(file), "-map", "0:a:0"]
    subprocess.run([*command, "-ac", "1", "-ar", "16000", "-f", "null", "-"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def ffmpeg_start_seconds() -> float:
    """Processor seconds of `ffmpeg` with nothing to decode, median of nine."""
    seconds = []
    for _ in range(9):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["ffmpeg", "-v", "quiet", "-nostdin", "-f", "lavfi", "-i", "anullsrc=d=0.01", "-f", "null", "-"]
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(seconds)


def own_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of this process while `work` runs."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what benchmarks/music.py filled")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    machine.use_one_core()
    files = music.tracks(arguments.folder)
    if not files:
        raise SystemExit(f"no music in {arguments.folder}: python benchmarks/music.py {arguments.folder}")
    try:
        from bliss_audio import Song
    except ImportError:
        Song = None
        print("bliss is not installed: pip install bliss-audio==0.2.0", file=sys.stderr)
    has_ffmpeg = shutil.which("ffmpeg") is not None
    model = load_model(arguments.model)
    analyse(files[0], model=model)  # the first one pays for imports and tables
    ours, theirs, decode = [], [], []
    for file in files:
        ours.append(own_seconds(lambda file=file: analyse(file, model=model)))
        if has_ffmpeg:
            decode.append(ffmpeg_seconds(file))
        if Song is not None:
            theirs.append(own_seconds(lambda file=file: Song(str(file))))
    rows = [
        ("seconds a track, median", f"{statistics.median(ours):.3f}", ""),
        ("tracks an hour, one core", f"{3600 * len(ours) / sum(ours):,.0f}", ""),
    ]
    if decode:
        ratio = statistics.median(own / full for own, full in zip(ours, decode, strict=True))
        rows.insert(1, ("FFmpeg decoding in full, median", f"{statistics.median(decode):.3f}", ""))
        rows.append(("analysis over that decode, median of the ratios", f"**{ratio:.2f}**", "target ≤ 1.2"))
        start = ffmpeg_start_seconds()
        ratio = statistics.median(own / (full - start) for own, full in zip(ours, decode, strict=True))
        rows.append((f"the same less FFmpeg's start ({start:.3f} s)", f"{ratio:.2f}", ""))
    if theirs:
        faster = sum(theirs) / sum(ours)
        rows.append(("bliss 0.2.0, seconds a track, median", f"{statistics.median(theirs):.3f}", "peer"))
        rows.append(("times as fast as bliss, over all tracks", f"**{faster:.2f}**", "target ≥ 1.5"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    rows.append(("peak memory of this process, bliss included", f"{peak:.0f} MB", ""))
    print(machine.describe())
    machine.show(f"Analysis of {len(files)} tracks with {model.id}, processor time", rows)


if __name__ == "__main__":
    main()
