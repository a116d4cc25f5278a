"""`soundkin tags`: what a model says of one or more songs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundkin.cli.options import SEED_HELP, Json, Shared
from soundkin.cli.output import plain, print_json, print_table, track_as_json

if TYPE_CHECKING:
    from soundkin.catalogue import Track
    from soundkin.modeltags import HeardTag

_BAR = 24  # characters of a bar that stands for 1


def run(
    context: typer.Context,
    seeds: Annotated[list[str], typer.Argument(metavar="SEED…", help=SEED_HELP)],
    everything: Annotated[bool, typer.Option("--all", help="Every tag, also those that say little.")] = False,
    as_json: Json = False,
) -> None:
    """What SEED is: genre, mood, era, instruments and voice, each with its probability.

    Shown are tags of at least 0.1, and of at least 0.05 where they are among the three foremost of their category.
    Probabilities of rare tags are small: their order says more than their size. A file outside the library is heard
    on the spot. What is shown here filters lists: soundkin similar … --only tag:jazz.
    """
    from soundkin.modeltags import telling

    found = _heard(context.obj, seeds)
    shown = [(track, tags if everything else telling(tags)) for track, tags in found]
    if as_json:
        print_json([{"track": track_as_json(track), "tags": [_as_json(tag) for tag in tags]} for track, tags in shown])
    elif sys.stdout.isatty():
        for track, tags in shown:
            _print_bars(track, tags)
    else:
        rows = ((t.title, tag.category, tag.label, f"{tag.probability:.3f}") for t, tags in shown for tag in tags)
        print_table(("title", "category", "tag", "probability"), rows)


def _heard(shared: Shared, seeds: Sequence[str]) -> list[tuple[Track, list[HeardTag]]]:
    """The songs and all that the model tells of them; files need no library."""
    from soundkin.errors import EmptyLibraryError
    from soundkin.seeds import seed_outside, tags_of

    try:
        with shared.ask() as library:
            songs, model = [library.seed(seed) for seed in seeds], library.model
            return [(song.track, tags_of(song, model)) for song in songs]
    except EmptyLibraryError:
        files = [Path(seed).expanduser() for seed in seeds]
        if not all(file.is_file() for file in files):
            raise
    from soundkin.analysis import analyse
    from soundkin.model import load_model

    model = load_model(shared.hearing_model)
    songs = [seed_outside(analyse(file, model=model)) for file in files]
    return [(song.track, tags_of(song, model)) for song in songs]


def _as_json(tag: HeardTag) -> dict[str, object]:
    return {"label": tag.label, "category": tag.category, "probability": round(tag.probability, 4)}


def _print_bars(track: Track, tags: Sequence[HeardTag]) -> None:
    """A line a tag, by category."""
    from soundkin.modeltags import by_category
    from soundkin.seeds import name

    print(f"\n{plain(name(track))}")
    groups = by_category(tags)
    first, second = max(map(len, groups)), max(len(plain(tag.label)) for tag in tags)
    for category, group in groups.items():
        for i, tag in enumerate(group):
            head = "" if i else plain(category)
            bar = _bar(tag.probability)
            print(f"  {head:<{first}}  {plain(tag.label):<{second}}  {bar:<{_BAR}} {tag.probability:.2f}")


def _bar(share: float) -> str:
    """`share` of _BAR characters, to the eighth of one where the terminal can show it."""
    eighths = round(share * _BAR * 8)
    bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    try:
        bar.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * round(share * _BAR)
    return bar
