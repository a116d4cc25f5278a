"""Processor time of the lab's feature table a clip, beside plain librosa in the same run; and the published table.

    python benchmarks/feature_table.py [FOLDER] [--clips N] [--published CSV]

FOLDER holds audio, by default clips of 30 s are generated. Each clip is computed by both in turn, on one core, so that
a noisy machine troubles both alike; a second table says where librosa's time goes. The whole of FOLDER, or N generated
clips, is then put through the lab as an experiment would, one process a core, nothing kept.

With --published, GTZAN's features_30_sec.csv, the rows of the clips that FOLDER has are compared with those published:
rank correlation over clips and median relative difference, column by column. They agree as far as the audio is the
same: clips cut short are another excerpt of their song.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import machine  # first: it sets the number of threads

# isort: split
import librosa
import numpy as np
import scipy.stats

from soundkin.audio import SUFFIXES, read_info
from soundkin.errors import AudioError
from soundkin.lab.clipwise import hear
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.features import COLUMNS, SR, feature_table, running_median, separate, tempo
from soundkin.lab.representations import represent

SECONDS = 30.0
FULL = 14.0  # s: clips at least as long are compared with the published rows on their own, too


def plain_table(y: np.ndarray) -> dict[str, np.ndarray]:
    """What librosa gives by itself, every descriptor from the samples with its defaults."""
    harmonic, percussive = librosa.effects.hpss(y)
    return {
        "chroma_stft": librosa.feature.chroma_stft(y=y, sr=SR),
        "rms": librosa.feature.rms(y=y),
        "spectral_centroid": librosa.feature.spectral_centroid(y=y, sr=SR),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(y=y, sr=SR),
        "rolloff": librosa.feature.spectral_rolloff(y=y, sr=SR),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(y),
        "harmony": harmonic,
        "perceptr": percussive,
        "tempo": np.atleast_1d(librosa.beat.beat_track(y=y, sr=SR)[0]),
        **{f"mfcc{i}": values for i, values in enumerate(librosa.feature.mfcc(y=y, sr=SR), 1)},
    }


def row_of(described: dict[str, np.ndarray]) -> np.ndarray:
    """The same as a row of the table."""
    numbers = {"tempo": float(described["tempo"][0])}
    for name, values in described.items():
        numbers |= {f"{name}_mean": float(np.mean(values)), f"{name}_var": float(np.var(values))}
    return np.array([numbers[column] for column in COLUMNS])


PLAIN_STEPS: dict[str, Callable[[np.ndarray], object]] = {
    "harmonic and percussive part, two medians of 31": lambda y: librosa.effects.hpss(y),
    "chroma, with its tuning": lambda y: librosa.feature.chroma_stft(y=y, sr=SR),
    "bandwidth": lambda y: librosa.feature.spectral_bandwidth(y=y, sr=SR),
    "tempo and beats": lambda y: librosa.beat.beat_track(y=y, sr=SR),
    "roll-off": lambda y: librosa.feature.spectral_rolloff(y=y, sr=SR),
    "centroid": lambda y: librosa.feature.spectral_centroid(y=y, sr=SR),
    "MFCC": lambda y: librosa.feature.mfcc(y=y, sr=SR),
    "zero crossings and root mean square": lambda y: (librosa.feature.zero_crossing_rate(y), librosa.feature.rms(y=y)),
    "of all these, one Fourier transform each": lambda y: librosa.stft(y),
}


def own_steps(y: np.ndarray) -> dict[str, Callable[[], object]]:
    """The parts of `feature_table`."""
    stft = librosa.stft(y)
    magnitude = np.abs(stft)
    power = np.square(magnitude)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=SR))
    return {
        "harmonic and percussive part": lambda: separate(y, stft, magnitude),
        "of it, the two medians of 31": lambda: (running_median(magnitude), running_median(magnitude.T)),
        "chroma, with its tuning": lambda: librosa.feature.chroma_stft(S=power, sr=SR),
        "bandwidth": lambda: librosa.feature.spectral_bandwidth(S=magnitude, sr=SR),
        "roll-off": lambda: librosa.feature.spectral_rolloff(S=magnitude, sr=SR),
        "tempo": lambda: tempo(mel),
        "the Fourier transform": lambda: librosa.stft(y),
    }


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of this process while `work` runs."""
    began = time.process_time()
    work()
    return time.process_time() - began


def compose(path: Path, seed: int) -> None:
    """30 s of notes, beats and noise as a 16-bit WAV file."""
    import wave

    rng = np.random.default_rng(seed)
    t = np.arange(SR // 2) / SR
    y = 0.01 * rng.standard_normal(int(SECONDS * SR))
    for begin in range(0, len(y) - len(t), int(SR * 60 / rng.uniform(160, 360))):
        pitch = 110 * 2 ** (rng.integers(0, 25) / 12)
        note = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8)) * np.exp(-5 * t)
        y[begin : begin + len(t)] += 0.1 * note + 0.1 * rng.standard_normal(len(t)) * np.exp(-60 * t)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SR)
        file.writeframes((np.clip(y, -1, 1) * 32767).astype("<i2").tobytes())


def measure_speed(files: list[Path], *, most: int = 12) -> list[tuple[str, str, str]]:
    """Rows about up to `most` of the files, both ways in turn."""
    y = hear(files[0], sr=SR, seconds=SECONDS)
    feature_table(y), plain_table(y)  # the first one pays for imports and compiled functions
    ours, theirs, decoding, apart, lengths = [], [], [], [], []
    for file in files[:: max(1, len(files) // most)][:most]:
        decoding.append(seconds_of(lambda file=file: hear(file, sr=SR, seconds=SECONDS)))
        y = hear(file, sr=SR, seconds=SECONDS)
        lengths.append(len(y) / SR)
        ours.append(seconds_of(lambda y=y: feature_table(y)))
        theirs.append(seconds_of(lambda y=y: plain_table(y)))
        a, b = feature_table(y), row_of(plain_table(y))
        scale = np.maximum(np.abs(b), [np.abs(y).mean() * (c in ("harmony_mean", "perceptr_mean")) for c in COLUMNS])
        apart.append(float(np.max(np.abs(a - b) / np.maximum(scale, 1e-12))))
    each = statistics.median(ours) + statistics.median(decoding)
    return [
        ("clips, and their median length", f"{len(ours)}, {statistics.median(lengths):.1f} s", ""),
        ("decoding, s a clip", f"{statistics.median(decoding):.3f}", ""),
        ("feature table, s a clip", f"**{statistics.median(ours):.3f}**", ""),
        ("plain librosa, s a clip", f"{statistics.median(theirs):.3f}", "peer"),
        ("times as fast", f"**{statistics.median(theirs) / statistics.median(ours):.1f}**", ""),
        ("largest relative difference of a number", f"{max(apart):.1e}", "equal: ≤ 1e-4"),
        ("1,000 such clips on two cores by these", f"**{each * 1000 / 2 / 60:.1f} min**", "target ≤ 4 min, 30 s each"),
    ]


def measure_lab(files: list[Path]) -> list[tuple[str, str, str]]:
    """Rows about all of the files through `represent`, one process a core."""
    clips = tuple(Clip(str(file), "any", path=file) for file in files)
    dataset = Dataset("files", clips, licence="", citation="")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    left, _ = represent(dataset, "table", cache=None)
    spent = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    what = f"{len(left)} of {len(files)} files through the lab, {cores} workers and their start"
    return [
        (f"{what}: processor time", f"{processor:.0f} s, {processor / len(files):.3f} s a clip", ""),
        (f"{what}: wall time", f"{spent:.0f} s, {spent / len(files):.3f} s a clip", ""),
    ]


def compare(files: list[Path], table: Path) -> None:
    """Print how far the rows agree with the published ones."""
    with table.open(encoding="utf-8", newline="") as file:
        published = {Path(row["filename"]).stem: row for row in csv.DictReader(file)}
    common = [file for file in files if file.stem in published]
    columns = [column for column in COLUMNS if column in next(iter(published.values()))]
    dataset = Dataset("files", tuple(Clip(f.stem, "any", path=f) for f in common), licence="", citation="")
    left, X = represent(dataset, "table", cache=None)
    long = np.array([read_info(clip.path).duration >= FULL for clip in left.clips if clip.path])
    lacking = ", ".join(column for column in COLUMNS if column not in columns)
    print(f"\n### {len(left)} clips beside {table.name}, which lacks {lacking or 'no column'}\n")
    print(f"Of these, {long.sum()} last {FULL:g} s or more. Rank correlation, median relative difference:\n")
    print(f"| column | all | | {FULL:g} s or more | |\n|---|---|---|---|---|")
    summary = []
    for column in columns:
        theirs = np.array([float(published[clip.id][column]) for clip in left.clips])
        ours = X[:, COLUMNS.index(column)]
        cells = []
        for chosen in (np.ones(len(left), bool), long):
            a, b = ours[chosen], theirs[chosen]
            if len(a) < 3:
                cells += ["–", "–"]
                continue
            rank = float(scipy.stats.spearmanr(a, b).statistic)
            cells += [f"{rank:.2f}", f"{np.median(np.abs(a - b) / np.maximum(np.abs(b), 1e-12)):.1%}"]
            if chosen is long:
                summary.append(rank)
        print(f"| {column} | {' | '.join(cells)} |")
    if summary:
        print(f"\nRank correlation of the long ones: median column {np.median(summary):.3f}, least {min(summary):.3f}.")
    told = np.array([float(published[clip.id]["tempo"]) for clip in left.clips])
    same = np.isclose(X[:, COLUMNS.index("tempo")], told, rtol=1e-6)
    print(f"The same tempo: {np.mean(same):.0%} of all clips, {np.mean(same[long]):.0%} of the long ones.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="audio to measure on; by default, generated clips")
    parser.add_argument("--clips", type=int, default=40, help="clips to generate where no folder is given")
    parser.add_argument("--published", type=Path, help="GTZAN's features_30_sec.csv")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.folder:
            files = [path for path in sorted(arguments.folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
            files = [path for path in files if is_usable(path)]
        else:
            files = [Path(scratch) / f"{seed:04}.wav" for seed in range(arguments.clips)]
            for seed, path in enumerate(files):
                compose(path, seed)
        if not files:
            raise SystemExit(f"no audio in {arguments.folder}")
        print(machine.describe(), f"librosa {librosa.__version__}", sep=", ")
        rows = measure_speed(files)
        machine.show("The feature table, processor time", [*rows, *measure_lab(files)])
        y = hear(files[0], sr=SR, seconds=SECONDS)
        plain: dict[str, Callable[[], object]] = {name: partial(step, y) for name, step in PLAIN_STEPS.items()}
        for whose, steps in (("plain librosa's", plain), ("ours", own_steps(y))):
            spent = {name: min(seconds_of(step) for _ in range(3)) for name, step in steps.items()}
            machine.show(f"Where {whose} goes", [(name, f"{s:.3f} s", "") for name, s in spent.items()])
        if arguments.published:
            compare(files, arguments.published)


def is_usable(path: Path) -> bool:
    """Whether it can be heard at all."""
    try:
        read_info(path)
    except AudioError as error:
        print(f"left out: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
