"""`soundkin lab tag-space`: recommending by tags against by embedding, on a library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundkin.cli.options import Shared
from soundkin.cli.output import plain, print_json, print_table, track_as_json

if TYPE_CHECKING:
    from soundkin.lab.tagneighbours import Neighbour, Neighbours
    from soundkin.lab.tagspace import Tagged


def run(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL…",
            help="Taggers that have scanned the library: .onnx files, run folders. Default: --model.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write a page with t-SNE maps there.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many nearest.")] = 5,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            "--seed",
            metavar="SONG",
            help="Show what is near this song instead: its id, a file, or words of its title. Repeatable.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        str, typer.Option(help="The tag space of the lists: euclidean (S5), cosine or logits (z-scored).")
    ] = "euclidean",
    dominant: Annotated[
        str,
        typer.Option(
            help="The dominant tag on maps: distinctive (most above the library, of those heard), standardised "
            "(of all), argmax."
        ),
    ] = "distinctive",
    shortest: Annotated[float, typer.Option(min=0, help="Seconds; shorter tracks are left out.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Are songs with like tags alike? Tag space against embedding: albums, artists, genres, hubs, maps."""
    from soundkin.lab import tagspace_plots
    from soundkin.lab.recommend import model_file
    from soundkin.lab.tagneighbours import example_songs, neighbours
    from soundkin.lab.tagspace import check_names, compare_spaces, load_tagged
    from soundkin.library import Library

    shared: Shared = context.obj
    check_names(space=space, dominant=dominant)
    found, answers = [], []
    with shared.open() as asked:
        for model in [model_file(one) for one in models or [shared.hearing_model]]:
            tagged = load_tagged(asked.catalogue, model, shortest=shortest)
            library = Library(asked.catalogue, model=model)
            songs: list[str | int] = [*seed] if seed else []
            if seed or out:
                lists = [neighbours(library, tagged, song, n=k, space=space) for song in songs or example_songs(tagged)]
                answers.append((tagged, lists))
            if out or not seed:
                found.append((tagged, compare_spaces(tagged, k=k)))
    if seed:
        _print_lists(answers, as_json=as_json)
    elif as_json:
        print_json([tagspace_plots.as_json(*one, k=k) for one in found])
    else:
        print(tagspace_plots.markdown(found, k=k), end="")
    if out is not None:
        pages = [(*one, lists) for one, (_, lists) in zip(found, answers, strict=True)]
        written = tagspace_plots.write_page(out, pages, k=k, dominant=dominant)
        print(f"wrote {plain(written)}", file=sys.stderr)


def _print_lists(found: Sequence[tuple[Tagged, Sequence[Neighbours]]], *, as_json: bool) -> None:
    """What is near each song, by either, side by side."""
    if as_json:
        print_json([{"model": tagged.model_id, **_song(one)} for tagged, lists in found for one in lists])
        return
    from soundkin.lab.tagspace_plots import song_text, tags_text

    for tagged, lists in found:
        for one in lists:
            print(plain(f"{song_text(one.track)}: {tags_text(one.tags)}, says {tagged.model_id}"))
            value = "distance" if one.space == "euclidean" else "similarity"
            names = ("#", "by tags", value, "why", "by embedding", "likeness", "why ")
            rows = (
                (rank, song_text(a.track), f"{a.value:.3f}", a.reason, song_text(b.track), f"{b.value:.3f}", b.reason)
                for rank, (a, b) in enumerate(zip(one.by_tags, one.by_embedding, strict=True), start=1)
            )
            print_table(names, rows, right=("#", value, "likeness"))


def _song(one: Neighbours) -> dict[str, Any]:
    value = "distance" if one.space == "euclidean" else "similarity"
    return {
        "song": track_as_json(one.track),
        "tags": dict(one.tags),
        "space": one.space,
        "by_tags": [_neighbour(near, value) for near in one.by_tags],
        "by_embedding": [_neighbour(near, "similarity") for near in one.by_embedding],
    }


def _neighbour(one: Neighbour, value: str) -> dict[str, Any]:
    return {value: one.value, "reason": one.reason, "tags": dict(one.tags), "track": track_as_json(one.track)}
