"""`soundkin info`: what is known of the library, or of one song."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from soundkin.cli.options import SEED_HELP, Json, Shared
from soundkin.cli.output import clock, counted, plain, print_json, track_as_json


def run(
    context: typer.Context,
    song: Annotated[str | None, typer.Argument(metavar="[SEED]", help=SEED_HELP, show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """What is known of the library, or of one song."""
    shared: Shared = context.obj
    with shared.open() as library:
        shown = library_as_json(library) if song is None else track_as_json(library.find(song))
        if as_json:
            print_json(shown)
            return
        for name, value in _lines(shown):
            print(f"{name + ':':<12} {value}")


def library_as_json(library: Any) -> dict[str, Any]:
    """Counts of a library and where it lies."""
    numbers = library.catalogue.statistics()
    return {
        "library": str(library.catalogue.path),
        "songs": numbers.tracks,
        "duration": round(numbers.duration),
        "recordings": numbers.recordings,
        "partial": numbers.partial,
        "missing": numbers.missing,
        "failed": numbers.failed,
        "folders": [str(folder) for folder in library.catalogue.folders()],
        "models": numbers.vectors,
        "bytes": numbers.file_size,
    }


def _lines(shown: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for name, value in shown.items():
        if value is None:
            continue
        if name == "duration":
            lines.append(("length", clock(value)))
        elif name == "models":
            lines += [("model", f"{model}: {counted(heard, 'recording')} heard") for model, heard in value.items()]
        elif name == "folders":
            lines += [("folder", plain(folder)) for folder in value]
        elif name == "bytes":
            lines.append(("size", f"{value / 1e6:,.1f} MB"))
        else:
            lines.append((name, f"{value:,}" if isinstance(value, int) and name != "year" else plain(value)))
    return lines
