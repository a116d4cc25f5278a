"""`soundkin failures`: the files that could not be analysed, and why."""

from __future__ import annotations

import typer

from soundkin.cli.options import Json, Shared
from soundkin.cli.output import print_json, print_table


def run(context: typer.Context, as_json: Json = False) -> None:
    """The files that could not be analysed, and why. `soundkin scan --retry-failed` tries them again."""
    shared: Shared = context.obj
    with shared.open() as library:
        failures = library.catalogue.failures()
        if as_json:
            print_json([{"path": str(one.path), "kind": one.kind, "reason": one.reason} for one in failures])
        elif failures:
            print_table(("kind", "file", "reason"), ((one.kind, one.path, one.reason) for one in failures))
        else:
            print("no file has failed")
