"""Every figure of a neural model, beside the published taggers that it learned from.

    python benchmarks/neural_model.py --model FILE|NAME [--teachers FILE…] [--music FOLDER] [--gtzan FOLDER]
        [--cache FOLDER] [--only albums genres speed itself tags] [--read] [--fold FILE=ALBUM,ALBUM…]

--music is what benchmarks/music.py filled: the tracks of at least 30 s of its evaluation albums are the dev
soundtracks, those of whatever albums are there are all albums. --gtzan is a folder for the lab's dataset gtzan-clips;
of its filtered split the training part teaches the classifier, the validation part is asked about, and the test part
is never touched. What was heard is kept in --cache by model, plan and content of the file, so that teachers hear it
once. Intervals are 95 % bootstrap intervals over tracks, or over artists of GTZAN clips. Where several models are
compared, only files that all of them could hear count.

Albums that a model learned from prove nothing about it. Each --fold is a model file of the same recipe that learned
without some albums (`soundkin lab distill --hold-out ALBUM`): only their tracks ask, among all, and the hits of all
folds are put together.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine  # first: it sets the number of threads

# isort: split
import numpy as np

import music
from neural_figures import (
    agreement,
    find_themselves,
    genre_outcomes,
    index_of,
    mean_of_teachers,
    parts_of,
    top_tags,
    vocabulary_of,
)
from neural_hearing import FORMS, Ears
from precision import SHORTEST, duration, hits_at, interval
from soundkin.lab.dataset import Dataset
from soundkin.lab.datasets import load_dataset
from soundkin.lab.metrics import bootstrap_interval, paired_difference
from soundkin.model import Model, load_model

QUESTIONS = ("albums", "genres", "speed", "itself", "tags")


# --- tables ---------------------------------------------------------------------------------------------------------


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> None:
    """Print a Markdown table, and what is to be said below it."""
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    for note in notes:
        print(f"\n{note}")
    print(flush=True)


def show_albums(title: str, files: Sequence[Path], ears: Ears, model: Model, teachers: Sequence[Model]) -> None:
    """Same-album precision at 5, and hubness; protocol of precision.py."""
    files = ears.could([model, *teachers], files)
    albums = np.array([file.parent.name for file in files])
    chance = np.mean([(np.sum(albums == album) - 1) / (len(albums) - 1) for album in albums])
    found: dict[str, list[tuple[np.ndarray, float]]] = {}
    for one in (model, *teachers):
        vectors = ears.vectors(one, files)
        spaces = (
            one.space,
            dataclasses.replace(one.space, standardise=True, mutual_proximity=False),
            dataclasses.replace(one.space, mutual_proximity=True),
        )
        indexes = [index_of(vectors, space) for space in spaces]
        found[one.id] = [hits_at(index.similarities(index.vectors), albums) for index in indexes]
    rows = [[id, *(f"{interval(hits)}, {skewness:.2f}" for hits, skewness in ways)] for id, ways in found.items()]
    rows[0][0] = f"**{rows[0][0]}**"
    notes = [
        f"Chance {chance:.3f}. After each figure the skewness of 5-occurrence (hubness; on all albums at most 0.6 is "
        "wanted). Wanted is at least .77 on the dev soundtracks, and on all albums more than every teacher."
    ]
    if teachers:
        name, hits = max(
            (
                (f"{one.id}, {how}", found[one.id][i][0])
                for one in teachers
                for i, how in enumerate(("own", "z-scored"))
            ),
            key=lambda row: row[1].mean(),
        )
        gain = interval(found[model.id][0][0] - hits)
        notes.append(f"Best teacher: {name}, {interval(hits)}; {model.id} more by {gain}, paired.")
    header = ("model", "as its file says", "z-scored", "with mutual proximity")
    table(f"Same-album precision at 5, {len(files)} tracks, {title}", header, rows, *notes)


def show_folds(
    files: Sequence[Path], ears: Ears, folds: Sequence[tuple[Model, frozenset[str]]], teachers: Sequence[Model]
) -> None:
    """Same-album precision at 5 where each album's tracks ask a model that has not learned from it."""
    files = ears.could([*(model for model, _ in folds), *teachers], files)
    albums = np.array([file.parent.name for file in files])
    asking = [np.isin(albums, list(held_out)) for _, held_out in folds]
    if (np.sum(asking, axis=0) > 1).any():
        raise SystemExit("an album is held out by two folds, and would ask twice")
    asked = np.any(asking, axis=0)
    rows, together = [], np.full(len(files), np.nan)
    for (model, held_out), rows_asking in zip(folds, asking, strict=True):
        index = index_of(ears.vectors(model, files), model.space)
        hits, skewness = hits_at(index.similarities(index.vectors), albums)
        together[rows_asking] = hits[rows_asking]
        rows.append([model.id, ", ".join(sorted(held_out)), interval(hits[rows_asking]), f"{skewness:.2f}"])
    rows.append(["**all folds**", f"{len(set(albums[asked]))} albums", interval(together[asked]), ""])
    for model in teachers:
        for how, standardise in (("own", model.space.standardise), ("z-scored", True)):
            space = dataclasses.replace(model.space, standardise=standardise)
            index = index_of(ears.vectors(model, files), space)
            hits, skewness = hits_at(index.similarities(index.vectors), albums)
            rows.append([f"{model.id}, {how}", "", interval(hits[asked]), f"{skewness:.2f}"])
            rows[-1][1] = f"folds more by {interval(together[asked] - hits[asked])}, paired"
    title = f"Same-album precision at 5, {np.sum(asked)} tracks ask among {len(files)}, albums held out fold by fold"
    table(title, ("model", "held out", "precision", "hubness"), rows, "Wanted is more than every teacher.")


def show_genres(dataset: Dataset, ears: Ears, model: Model, teachers: Sequence[Model]) -> None:
    """GTZAN clips by embedding and shrinkage LDA."""
    kept = set(ears.could([model, *teachers], paths_of(dataset)))
    dataset = dataset.take(i for i, clip in enumerate(dataset.clips) if clip.path in kept)
    paths = paths_of(dataset)
    found = {one.id: genre_outcomes(ears.vectors(one, paths), dataset) for one in (model, *teachers)}
    best = max((one.id for one in teachers), key=lambda id: found[id].accuracy, default=None)
    rows = []
    for id, outcomes in found.items():
        against = paired_difference(outcomes, found[best]) if best not in (None, id) else None
        rows.append([f"**{id}**" if id == model.id else id, str(bootstrap_interval(outcomes)), str(against or "–")])
    title = f"GTZAN, filtered train to valid, {len(found[model.id].ids)} clips asked about, embedding and shrinkage LDA"
    header = ("model", "accuracy", f"more than {best or 'the best teacher'}, paired")
    table(title, header, rows, "Wanted is at least .02 more than the best teacher.")


def show_speed(models: Sequence[Model]) -> None:
    """Size, and processor milliseconds for 30 s of audio, one thread."""
    rows = []
    for model in models:
        path = Path(getattr(model, "_path", ""))
        size = f"{path.stat().st_size / 1e6:.2f}" if path.is_file() else "–"
        rows.append([model.id, size, parameters(path) if path.is_file() else "–", *clocked(model)])
    note = "Milliseconds are processor time, the median. Wanted are at most 6 MB, and 15 ms for the network."
    header = ("model", "MB", "parameters", "network, ms for 30 s", "with log-mel, ms for 30 s")
    table("Size and speed, ONNX Runtime, one thread", header, rows, note)


def parameters(path: Path) -> str:
    """Numbers in the file's tensors, front-end constants and folded ones included."""
    try:
        import onnx
    except ImportError:
        return "–"
    tensors = onnx.load(str(path)).graph.initializer
    kinds = {onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL}
    return f"{sum(int(np.prod(t.dims)) for t in tensors if t.data_type not in kinds):,}"


def clocked(model: Model, *, seconds: float = 30.0, patience: float = 2.0) -> tuple[str, str]:
    """Median processor milliseconds of the network alone, and of `hear`, for `seconds` of noise."""
    y = (0.1 * np.random.default_rng(0).standard_normal(round(seconds * model.sr))).astype(np.float32)
    inside = 0.0
    timed: Any = copy.copy(model)

    def run(segments: np.ndarray) -> np.ndarray:
        nonlocal inside
        began = time.process_time()
        rows = model.run(segments)  # type: ignore[attr-defined]
        inside += time.process_time() - began
        return rows

    timed.run = run
    network, whole = [], []
    timed.hear(y)
    ends = time.monotonic() + patience
    while len(whole) < 3 or (len(whole) < 200 and time.monotonic() < ends):
        inside, began = 0.0, time.process_time()
        timed.hear(y)
        whole.append(1000 * (time.process_time() - began))
        network.append(1000 * inside)
    return (f"{np.median(network):.1f}" if max(network) else "–"), f"{np.median(whole):.1f}"


def show_itself(files: Sequence[Path], ears: Ears, models: Sequence[Model]) -> None:
    """A song in another form looks for itself."""
    rows = []
    for model in models:
        some = ears.could([model], files, ("", *FORMS))
        for form, other, what, target in (
            ("mp3", "", "64 kbit/s mp3 against the original", "≥ .98, ≥ .99"),
            ("quieter", "", "−12 dB against the original", "≥ .99, ≥ .99"),
            ("first half", "second half", "first half against second half", "≥ .85, ≥ .90"),
        ):
            found = find_themselves(ears.vectors(model, some, form), ears.vectors(model, some, other), model.space)
            median, low = np.quantile(found.cosine, [0.5, 0.05])
            rows.append([model.id, what, f"{median:.4f} (5 % below {low:.3f})", interval(found.first), target])
    header = ("model", "a song against itself", "median cosine", "nearest is itself", "target")
    table(f"A song against itself, {len(files)} dev tracks", header, rows)


def show_agreement(title: str, files: Sequence[Path], ears: Ears, model: Model, teachers: Sequence[Model]) -> None:
    """Tags against the mean of the teachers."""
    files = ears.could([model, *teachers], files)
    told: dict[str, list[np.ndarray]] = {}
    for one in teachers:
        vocabulary = vocabulary_of(one.name, [tag.label for tag in one.tags])
        if vocabulary is None:
            raise SystemExit(f"{one.id} tells the tags of no published tagger: it is no teacher of tags")
        told.setdefault(vocabulary, []).append(ears.own_tags(one, files))
    means = [mean_of_teachers(told, logits=logits) for logits in (False, True)]
    rows, notes = [], ["The mean over tags; at least .85 is wanted."]
    for one in (model, *teachers):
        ours = ears.tags(one, files)
        both = [agreement(ours, mean) for mean in means]
        if both[0] is None:
            rows.append([one.id, "0", "none of its tags is one of theirs", ""])
            continue
        rows.append([one.id, str(len(both[0].labels)), *map(str, both)])
        if one is model:
            order = np.argsort(both[0].per_tag)
            for word, some in (("Worst", order[:5]), ("Best", order[:-6:-1])):
                listed = ", ".join(f"{both[0].labels[i]} {both[0].per_tag[i]:.2f}" for i in some)
                notes.append(f"{word} tags of {one.id}: {listed}.")
    rows[0][0] = f"**{rows[0][0]}**"
    header = ("model", "tags", "Spearman, mean of probabilities", "Spearman, mean of logits")
    counts = ", ".join(f"{len(some)} of {name}" for name, some in told.items())
    table(f"Tag agreement with the mean of the teachers ({counts}), {len(files)} {title}", header, rows, *notes)


def show_reading(files: Sequence[Path], clips: Dataset | None, ears: Ears, model: Model) -> None:
    """The tags, for a person who knows the music."""
    labels = [tag.label for tag in model.tags]
    files = ears.could([model], files)
    if files:
        rows = zip(files, ears.own_tags(model, files), strict=True)
        lines = [[f"{file.parent.name}/{file.stem}", top_tags(row, labels)] for file, row in rows]
        table(f"What {model.id} reads in the dev soundtracks", ("track", "tags"), lines)
    if clips is None:
        return
    there = set(ears.could([model], paths_of(clips)))
    heard = {
        genre: [clip.path for clip in clips.clips if clip.label == genre and clip.path in there]
        for genre in clips.labels
    }
    means = {genre: ears.own_tags(model, some).mean(axis=0) for genre, some in heard.items() if some}
    everywhere = np.mean(list(means.values()), axis=0)
    lines = [
        [f"{genre} ({len(heard[genre])})", top_tags(row, labels, n=6), top_tags(row - everywhere, labels, n=6)]
        for genre, row in means.items()
    ]
    header = ("genre (clips)", "tags, mean probability", "more than in the other genres")
    table(f"What {model.id} reads in the validation clips of GTZAN", header, lines)
    place = {label: i for i, label in enumerate(labels)}
    columns = [name for name in ("hip hop" if genre == "hiphop" else genre for genre in means) if name in place]
    cells = [[genre, *(f"{row[place[name]]:.2f}" for name in columns)] for genre, row in means.items()]
    table("Genre by genre: mean probability of the genres' own tags", ("GTZAN genre", *columns), cells)


# --- the program ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model file, or a built-in model's name")
    parser.add_argument("--teachers", nargs="+", default=[], metavar="FILE", help="model files of published taggers")
    parser.add_argument("--music", type=Path, help="what benchmarks/music.py filled")
    parser.add_argument("--gtzan", type=Path, help="GTZAN clips: audio/, splits/, artists_sturm2012.txt")
    parser.add_argument("--cache", type=Path, help="keep what was heard, and the mp3s, here")
    parser.add_argument("--workers", type=int, help="processes that hear (one a core; 0: none)")
    parser.add_argument("--only", nargs="+", default=QUESTIONS, choices=QUESTIONS, metavar="QUESTION")
    parser.add_argument("--itself-too", action="store_true", help="the teachers, too, hear songs against themselves")
    parser.add_argument("--fold", action="append", default=[], metavar="FILE=ALBUMS", help="a model without these")
    parser.add_argument("--read", action="store_true", help="also print the tags of each dev track and GTZAN genre")
    arguments = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as scratch:
        report(arguments, Ears(arguments.cache, Path(scratch), arguments.workers))


def report(arguments: argparse.Namespace, ears: Ears) -> None:
    """Hear all that is needed, then print the tables."""
    asked = set(arguments.only) | ({"reading"} if arguments.read else set())
    models = {name: load_model(name) for name in dict.fromkeys([arguments.model, *arguments.teachers])}
    model, teachers = models[arguments.model], [models[name] for name in arguments.teachers]
    dev, everything = albums_of(arguments.music) if arguments.music and asked - {"genres", "speed"} else ([], [])
    clips = parts_of(load_dataset("gtzan-clips", arguments.gtzan), "train", "valid") if arguments.gtzan else None
    valid = parts_of(clips, "valid") if clips is not None else None
    files = list(everything if "albums" in asked else dev)
    if clips is not None and asked & {"genres", "tags", "reading"}:
        files += paths_of(clips if "genres" in asked else valid)
    for name, one in models.items():
        ears.listen(name, one, files)
        for form in FORMS if "itself" in asked and (one is model or arguments.itself_too) else ():
            ears.listen(name, one, dev, form)
    folds = []
    for text in arguments.fold if dev and "albums" in asked else ():
        name, _, held_out = text.rpartition("=")
        folds.append((load_model(name), frozenset(held_out.split(","))))
        ears.listen(name, folds[-1][0], everything)
    machine.use_one_core()
    if dev and "albums" in asked:
        show_albums("dev soundtracks", dev, ears, model, teachers)
        if len(everything) > len(dev):
            show_albums("all albums, also those that it learned from", everything, ears, model, teachers)
        if folds:
            show_folds(everything, ears, folds, teachers)
    if clips is not None and "genres" in asked:
        show_genres(clips, ears, model, teachers)
    if "speed" in asked:
        show_speed(list(models.values()))
    if dev and "itself" in asked:
        show_itself(dev, ears, [model, *(teachers if arguments.itself_too else ())])
    if teachers and "tags" in asked:
        for title, some in (("dev soundtracks", dev), ("validation clips of GTZAN", paths_of(valid))):
            if some:
                show_agreement(title, some, ears, model, teachers)
    if arguments.read and model.tags:
        show_reading(dev, valid, ears, model)


def albums_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """The tracks of at least 30 s of the dev albums, and of all albums that are there."""
    everything = [file for file in music.tracks(folder, music.EVALUATION + music.TUNING) if duration(file) >= SHORTEST]
    dev = [file for file in everything if file.parent.name in music.EVALUATION]
    if not dev:
        raise SystemExit(f"no music in {folder}: python benchmarks/music.py {folder}")
    return dev, everything


def paths_of(clips: Dataset | None) -> list[Path]:
    """The clips' files."""
    return [] if clips is None else [clip.path for clip in clips.clips if clip.path is not None]


if __name__ == "__main__":
    main()
