"""`soundkin lab recommend`: the recommenders of the source documents."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundkin.cli.lab.options import Cache, Data, Workers, cache_folder
from soundkin.cli.options import Shared
from soundkin.cli.output import plain, print_json, print_table

if TYPE_CHECKING:
    from soundkin.lab.recommend import Answer


def run(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(help="A run folder, an .onnx file, a built-in model; with --dataset also a representation."),
    ],
    song: Annotated[
        str,
        typer.Argument(metavar="SONG", help="A file, or what names a song of the library or a clip of the dataset."),
    ],
    among: Annotated[
        Path | None,
        typer.Option("--among", metavar="PLACE", help="A folder of music, or the file of a library: what may answer."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="The clips of this dataset may answer.")] = None,
    data: Data = None,
    n: Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="How many songs.")] = 5,
    metric: Annotated[str, typer.Option(help="cosine (S1) or euclidean (S4).")] = "cosine",
    method: Annotated[
        str | None, typer.Option(help="The line of the run's table, where there are several.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """The genre of a song, and the songs nearest to it, by cosine or by Euclidean distance.

    A folder is scanned once and kept, in the library named with --library or else in the cache folder.
    """
    from soundkin.errors import InputError

    shared: Shared = context.obj
    if (among is None) == (dataset is None and data is None):
        raise InputError("among what? --among FOLDER, --among LIBRARY, or --dataset NAME --data DIR")
    if among is None:
        from soundkin.lab.recommend import nearest_clips
        from soundkin.lab.spaces import Place

        place = Place(data, dataset, cache_folder(cache), workers)
        answer = nearest_clips(model, song, place, method=method, n=n, metric=metric)
    else:
        answer = _among(shared, model, song, among, method=method, n=n, metric=metric, cache=cache, workers=workers)
    _print(answer, as_json=as_json)


def _among(
    shared: Shared,
    model: str,
    song: str,
    among: Path,
    *,
    method: str | None,
    n: int,
    metric: str,
    cache: Path | None,
    workers: int | None,
) -> Answer:
    from soundkin.lab.recommend import model_file, nearest_songs
    from soundkin.library import Library

    place = among.expanduser()
    if place.is_dir():
        name = hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:16]
        path = shared.library or cache_folder(cache) / "recommend" / f"{name}.db"
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        path = place
    with Library.open(path, model=model_file(model, method=method), create=place.is_dir()) as library:
        if place.is_dir():
            report = library.scan(place, workers=workers)
            for note in report.failures:
                print(f"left out: {plain(note.path)}: {plain(note.reason)}", file=sys.stderr)
        return nearest_songs(library, song, n=n, metric=metric)


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "song": answer.song,
                "genres": answer.genres,
                "metric": answer.metric,
                "nearest": [
                    {
                        "rank": one.rank,
                        "name": one.name,
                        "label": one.label,
                        "path": None if one.path is None else str(one.path),
                        "similarity" if answer.metric == "cosine" else "distance": one.value,
                    }
                    for one in answer.nearest
                ],
            }
        )
        return
    if answer.genres:
        told = ", ".join(f"{genre} {share:.0%}" for genre, share in list(answer.genres.items())[:3])
        print(f"{plain(answer.song)}: {plain(told)}")
    value = "similarity" if answer.metric == "cosine" else "distance"
    rows = ((one.rank, f"{one.value:.4f}", one.name, one.label, one.path) for one in answer.nearest)
    print_table(("#", value, "song", "genre", "file"), rows, right=("#", value))
